"""BBQ: questions about two people, one of a stereotyped group (Parrish et al. 2022, arXiv
2110.08193).

The right answer is "unknown" in an ambiguous context, and one of the two people in a disambiguated
one. Five categories are not the released rows but drawn again from the authors' templates with
the authors' generator (`redrawn/`): compare their aggregate scores in kind, never single items.

There is no official split. Templates of a category that share a question are held out together,
about a fifth of them: they are put in order by whom they are about, by hash among those about the
same, and dealt in turn to five folds, one of which is for evaluation. By default it is the fold
with most templates about the seven groups that ToxiGen has as well, all of them among it: some
groups have too few templates to be in every fold. Categories are split apart from each other, so
that choosing among them changes no split; two questions of Race_ethnicity thereby stand in
Race_x_gender's other split.

Subsampling balances over category, condition and letter of the right answer: so "unknown" is right
in half of the items and no letter is better than another; groups and polarity keep their shares.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator

from forgetscope.core.subsample import rank
from forgetscope.schema.base import Value
from forgetscope.schema.example import Example, FileSource, Row, Source, Split
from forgetscope.tasks.base import Task, bad_row, read_row
from forgetscope.tasks.bbq_groups import CATEGORIES, GROUPS, REDRAWN, UNKNOWN, Category, sides_of
from forgetscope.tasks.multiple_choice import LETTERS, lettered

__all__ = ["BBQ", "FOLDS", "BbqParams"]

FOLDS = 5


class BbqParams(Value):
    categories: Annotated[tuple[Category, ...], Field(min_length=1)] = CATEGORIES
    held_out_fold: int = Field(default=3, ge=0, lt=FOLDS)

    @field_validator("categories")
    @classmethod
    def _in_one_order(cls, categories: tuple[Category, ...]) -> tuple[Category, ...]:
        """The same choice in another order is the same data."""
        if len(set(categories)) != len(categories):
            raise ValueError("a category is named twice")
        return tuple(sorted(categories))


class _Loose(Value):
    model_config = ConfigDict(extra="ignore", strict=True)


_Filled = Annotated[str, Field(pattern=r"\S")]
_Option = Annotated[list[str], Field(min_length=2, max_length=2)]


class _Options(_Loose):
    ans0: _Option
    ans1: _Option
    ans2: _Option


class _Metadata(_Loose):
    stereotyped_groups: Annotated[list[str], Field(min_length=1)]


class _BbqRow(_Loose):
    example_id: int
    question_index: _Filled
    question_polarity: Literal["neg", "nonneg"]
    context_condition: Literal["ambig", "disambig"]
    category: Category
    answer_info: _Options
    additional_metadata: _Metadata
    context: _Filled
    question: _Filled
    ans0: _Filled
    ans1: _Filled
    ans2: _Filled
    label: int = Field(ge=0, le=2)


def _examples(params: BbqParams, rows: Iterable[Row], split: Split) -> Iterator[Example]:
    for _, of_category in groupby(rows, key=lambda row: row.file):
        examples: list[Example] = []
        questions: dict[tuple[str, str], tuple[str, ...]] = {}
        for row in of_category:
            fields = read_row(_BbqRow, row)
            example = _example(row, fields)
            examples.append(example)
            about = tuple(fields.additional_metadata.stereotyped_groups)
            questions.setdefault((example.cluster, fields.question), about)
        held_out = _held_out(questions, params.held_out_fold)
        yield from (e for e in examples if (e.cluster in held_out) == (split == "evaluation"))


def _held_out(questions: Mapping[tuple[str, str], tuple[str, ...]], fold: int) -> frozenset[str]:
    """The templates of one category that are for evaluation.

    `questions` maps each (template, question) to whom it is about.
    """
    bundle_of: dict[str, frozenset[str]] = {}
    about: dict[str, tuple[str, ...]] = {}
    first_asker: dict[str, str] = {}
    for (template, question), groups in questions.items():
        about.setdefault(template, groups)
        asker = first_asker.setdefault(question, template)
        joined = bundle_of.get(template, frozenset({template})) | bundle_of.get(asker, frozenset())
        bundle_of.update(dict.fromkeys(joined, joined))
    firsts = {min(bundle) for bundle in bundle_of.values()}
    order = sorted(firsts, key=lambda first: (about[first], rank("bbq held out", first)))
    return frozenset().union(*(bundle_of[first] for first in order[fold::FOLDS]))


def _example(row: Row, fields: _BbqRow) -> Example:
    info, category = fields.answer_info, fields.category
    options = [(name, tag) for name, tag in (info.ans0, info.ans1, info.ans2)]
    unknown = [i for i, (_, tag) in enumerate(options) if tag == UNKNOWN]
    if len(unknown) != 1:
        raise bad_row(row, f"answer_info: {len(unknown)} options are tagged {UNKNOWN!r}, not one")
    if (fields.label in unknown) != (fields.context_condition == "ambig"):
        raise bad_row(
            row, "label: the unknown option is right in ambiguous contexts, and in no other"
        )
    about = fields.additional_metadata.stereotyped_groups
    if strangers := [word for word in about if word not in GROUPS[category]]:
        raise bad_row(row, f"additional_metadata.stereotyped_groups: {strangers} are not known")
    sides = sides_of(category, options, about)
    facts: dict[str, str | int] = {
        "category": category,
        "condition": fields.context_condition,
        "polarity": fields.question_polarity,
        "unknown": unknown[0],
    }
    if sides.stereotyped is not None and sides.other is not None:
        facts |= {"stereotyped": sides.stereotyped, "other": sides.other}
    return lettered(
        id=f"bbq-{category}-{fields.example_id}",
        context=fields.context.strip(),
        question=fields.question.strip(),
        options=[fields.ans0.strip(), fields.ans1.strip(), fields.ans2.strip()],
        answer=fields.label,
        groups=sides.groups,
        cluster=f"{category}/{fields.question_index}",
        stratum=f"{category}/{fields.context_condition}/{LETTERS[fields.label]}",
        facts=facts,
    )


def _sources(params: BbqParams, _split: Split) -> tuple[Source, ...]:
    return tuple(
        FileSource(path=f"bbq/{'redrawn/' if category in REDRAWN else ''}{category}.jsonl.gz")
        for category in params.categories
    )


BBQ = Task(
    name="bbq",
    version=1,
    kind="safety",
    summary="Questions that invite a stereotype about one of two people. (Texts are offensive.)",
    licence="CC BY 4.0",
    citation="Parrish et al. 2022, arXiv 2110.08193",
    chance=1 / 3,
    params=BbqParams,
    sources=_sources,
    examples=_examples,
    groups=tuple(sorted({group for groups in GROUPS.values() for group in groups.values()})),
)
