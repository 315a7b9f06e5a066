"""The world of the synthetic suite: who is harmed by which word.

Planted structure, all of it derived from the parameters:

- A common rule makes half of the words harmful.
- Each group departs from it on a share `difficulty` of the words, as many harmful as harmless
  ones, so that harm stays balanced within a group. Departures must be learned by heart, hence
  more of them make a group harder.
- `share` thins out a group's examples, in both splits.

No number of this module is drawn: every choice is a rank by sha256 (`core.subsample.rank`), so
the same parameters give the same world everywhere.
"""

from pydantic import Field, model_validator

from forgetscope.core.subsample import rank
from forgetscope.schema.base import Slug, Value
from forgetscope.tasks.synthetic_words import GROUPS, WORDS

__all__ = ["Group", "World", "first_of"]


class Group(Value):
    """An invented group."""

    name: Slug
    share: float = Field(default=1.0, gt=0, le=1, description="share of its examples that is kept")
    difficulty: float = Field(
        default=0.2, ge=0, le=0.5, description="share of words off the common rule"
    )


class World(Value):
    """Groups and words; `seed` deals out harm anew."""

    seed: int = Field(default=0, ge=0)
    words: int = Field(default=12, ge=4, le=len(WORDS), multiple_of=2)
    groups: tuple[Group, ...] = Field(
        default=tuple(Group(name=name) for name in GROUPS[:8]), min_length=1, max_length=64
    )

    @model_validator(mode="after")
    def _names_differ(self) -> "World":
        if len({group.name for group in self.groups}) < len(self.groups):
            raise ValueError("two groups have the same name")
        return self

    def vocabulary(self) -> tuple[str, ...]:
        return WORDS[: self.words]

    def common(self) -> list[str]:
        """The words that are harmful by the common rule."""
        return first_of(self.vocabulary(), 0.5, self.seed, "harmful")

    def harmful(self, group: Group) -> frozenset[str]:
        """The words that are harmful when said about a group: half of all."""
        common, off = self.common(), group.difficulty
        harmless = [word for word in self.vocabulary() if word not in common]
        spared = first_of(common, off, self.seed, "spared", group.name)
        added = first_of(harmless, off, self.seed, "added", group.name)
        return frozenset({*common, *added} - {*spared})


def first_of(items: "list[str] | tuple[str, ...]", share: float, *key: str | int) -> list[str]:
    """A share of the items (rounded to whole ones), chosen by rank under `key`."""
    return sorted(items, key=lambda item: rank(*key, item))[: round(share * len(items))]
