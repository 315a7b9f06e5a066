"""What a task looks like before anything is trained on it: counts, first examples, doubts."""

from typing import Literal

from pydantic import Field

from forgetscope.schema.base import Value
from forgetscope.schema.example import Split

__all__ = ["Flag", "FlagKind", "GroupSize", "PreviewExample", "SplitPreview", "TaskPreview"]

FlagKind = Literal[
    "bad_row",
    "empty",
    "same_options",
    "wrong_reference",
    "duplicate_id",
    "duplicate",
    "over_long",
    "leaking",
    "single_class",
    "small_group",
    "unknown_group",
    "no_chance",
]


class Flag(Value):
    """Something about the data that a user should know. An `error` keeps a task from being
    registered, and mostly from being planned as well."""

    kind: FlagKind
    severity: Literal["error", "warning", "note"]
    split: Split | None = Field(default=None, description="null: about both")
    detail: str
    count: int = Field(ge=0, description="how many rows, items or groups")
    rows: tuple[str, ...] = Field(default=(), description="file and row of the first ones")


class GroupSize(Value):
    """How much a split says about one group."""

    items: int
    clusters: int


class PreviewExample(Value):
    """An example as a model sees it. `score` says how an answer is judged."""

    id: str
    prompt: str
    options: tuple[str, ...]
    target: str
    score: str
    groups: tuple[str, ...]
    cluster: str
    stratum: str
    row: str


class SplitPreview(Value):
    """All examples of a split, before subsampling."""

    split: Split
    examples: int
    classes: dict[str, int] = Field(
        description="items of each right answer; empty where answers are free text"
    )
    groups: dict[str, GroupSize]
    without_group: int = Field(description="items without any known group")
    clusters: int
    longest_tokens: int = Field(
        description="of prompt and answer together; an estimate from the number of characters"
    )
    first: tuple[PreviewExample, ...]


class TaskPreview(Value):
    """Both splits of a task, and everything doubtful about them, errors first."""

    name: str
    kind: Literal["safety", "capability"]
    chance: float | None
    splits: tuple[SplitPreview, ...]
    flags: tuple[Flag, ...]
