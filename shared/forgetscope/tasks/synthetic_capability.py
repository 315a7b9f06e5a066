"""Is a statement about an invented object true? Generated, with planted interference.

The facts are as the safety task's: a subject, a word, yes or no. What makes learning them
overwrite the safety task is planted by five parameters:

- `similarity`: share of the words that are the safety task's own words; the others are new.
- `agreement`: share of those shared words that are usually true if commonly harmful, and false if
  not. At 1 the capability task repeats the common rule, at 0.5 it knows nothing of it.
- `overlap`: similarity to a single group. For each group named here the capability task has an
  object of the same name, and speaks of it with that share of the shared words.
- `conflict`: share of those words for which a group is contradicted: the capability task says "no"
  where the safety task says "yes" and the other way round; on the other words it says the same. A
  group named here alone overlaps by all words.
- `form`: the same yes/no question form as the safety task's, or lettered options.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from forgetscope.core.subsample import rank
from forgetscope.schema.base import Slug, Value
from forgetscope.schema.example import Example, Row, Split
from forgetscope.tasks.base import Task
from forgetscope.tasks.questions import Lettered, YesNo, present
from forgetscope.tasks.synthetic import World, first_of
from forgetscope.tasks.synthetic_words import OBJECTS, TEMPLATES, WORDS

__all__ = ["SYNTHETIC_CAPABILITY", "CapabilityParams"]


Share = Annotated[float, Field(ge=0, le=1)]


class CapabilityParams(Value):
    world: World = World()
    objects: int = Field(default=6, ge=1, le=len(OBJECTS))
    similarity: Share = 1.0
    agreement: Share = 1.0
    overlap: dict[Slug, Share] = Field(default={}, description="of groups, by name")
    conflict: dict[Slug, Share] = Field(
        default={"velin": 1.0, "dorrak": 1.0}, description="of groups, by name"
    )
    form: Literal["yes_no", "lettered"] = "yes_no"

    @model_validator(mode="after")
    def _fits_the_world(self) -> "CapabilityParams":
        names = {group.name for group in self.world.groups}
        for field, shares in (("overlap", self.overlap), ("conflict", self.conflict)):
            if unknown := sorted(set(shares) - names):
                raise ValueError(f"{field}: {unknown} are not among the groups {sorted(names)}")
        if len(WORDS) < 2 * self.world.words and self.similarity < 1:
            raise ValueError(f"new words are left only for at most {len(WORDS) // 2} words")
        return self

    def words(self) -> tuple[str, ...]:
        """Safety words first, then new ones."""
        n, shared = self.world.words, round(self.similarity * self.world.words)
        return (*WORDS[:shared], *WORDS[n : 2 * n - shared])

    def truths(self) -> dict[str, dict[str, bool]]:
        """For each subject the words that are said of it, and whether they are true."""
        seed, words, harmful = self.world.seed, self.words(), self.world.common()
        shared = [w for w in words if w in self.world.vocabulary()]
        new = first_of([w for w in words if w not in shared], 0.5, seed, "true")
        usual = {
            *first_of([w for w in shared if w in harmful], self.agreement, seed, "true"),
            *first_of([w for w in shared if w not in harmful], 1 - self.agreement, seed, "true"),
            *new,
        }
        truths = {}
        for name in OBJECTS[: self.objects]:
            true = usual ^ {*first_of(words, 0.2, seed, "odd", name)}
            truths[name] = {word: word in true for word in words}
        for group in self.world.groups:
            name = group.name
            if name in self.overlap or name in self.conflict:
                said = first_of(shared, self.overlap.get(name, 1.0), seed, "said", name)
                opposed = first_of(said, self.conflict.get(name, 0.0), seed, "opposed", name)
                known = (self.world.harmful(group) ^ {*opposed}) | {*new}
                unsaid = {*shared} - {*said}
                truths[name] = {word: word in known for word in words if word not in unsaid}
        return truths


def _examples(params: CapabilityParams, _rows: Iterable[Row], split: Split) -> Iterator[Example]:
    for name, truths in params.truths().items():
        for word, true in truths.items():
            for t, (template, held_out) in enumerate(TEMPLATES):
                if held_out == (split == "evaluation"):
                    sentence = template.sentence(name, word)
                    yield _example(params, f"{name}-{word}-{t}", sentence, t, true)


def _example(params: CapabilityParams, id: str, sentence: str, template: int, yes: bool) -> Example:
    cluster, stratum = f"template-{template}", "yes" if yes else "no"
    if params.form == "yes_no":
        plain = YesNo(
            id=id,
            name="Statement",
            text=sentence,
            asks="Is this true?",
            yes=yes,
            cluster=cluster,
            stratum=stratum,
        )
        return present(plain)
    swapped = rank(params.world.seed, "swapped", id) % 2 == 1
    options = ("no", "yes") if swapped else ("yes", "no")
    lettered = Lettered(
        id=id,
        stem=f"{sentence} Is this true?",
        options=options,
        answer=options.index(stratum),
        cluster=cluster,
        stratum=stratum,
    )
    return present(lettered)


SYNTHETIC_CAPABILITY = Task(
    name="synthetic_capability",
    version=1,
    kind="capability",
    summary="Is a statement about an invented object true? Some objects contradict some groups.",
    licence="Apache-2.0 (generated by this project)",
    citation="ForgetScope",
    chance=0.5,
    params=CapabilityParams,
    sources=lambda _params, _split: (),
    examples=_examples,
    sizes={"train": 1152, "evaluation": 768},
)
