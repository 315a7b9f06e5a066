"""One example of a task in the one form that everything inside uses."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from forgetscope.schema.base import Digest, Text, Value

__all__ = [
    "Case",
    "Exact",
    "Example",
    "Extract",
    "FileSource",
    "Functional",
    "HubSource",
    "Judged",
    "Row",
    "Score",
    "Source",
    "Split",
    "UploadSource",
]

Split = Literal["train", "evaluation"]


class FileSource(Value):
    """A file of a data set, by path below the data folder; `.gz` is decompressed on the way.

    `lines`: each line of a text file is a row with the one field `line`.
    """

    kind: Literal["file"] = "file"
    path: Annotated[str, Field(max_length=4096)]
    format: Literal["jsonl", "json", "csv", "parquet", "lines"] = "jsonl"

    @property
    def name(self) -> str:
        return self.path


class UploadSource(Value):
    """An uploaded data set by its digest. Format and size are looked up when it is submitted."""

    kind: Literal["upload"]
    digest: Digest
    format: Literal["jsonl", "parquet"] | None = None
    size: int | None = Field(default=None, ge=0)

    @property
    def name(self) -> str:
        return f"upload {self.digest[:12]}"


class HubSource(Value):
    """One split of a data set of the Hugging Face hub at one commit; its code is never run."""

    kind: Literal["hub"]
    id: Annotated[Text, Field(pattern=r"^\w[\w.-]*(/\w[\w.-]*)?$")]
    revision: Annotated[
        str, Field(pattern=r"^[0-9a-f]{40}$", description="full commit hash, so that it is pinned")
    ]
    config: Text | None = None
    split: Text = "train"

    @property
    def name(self) -> str:
        config = f"/{self.config}" if self.config else ""
        return f"{self.id}@{self.revision[:8]}{config}/{self.split}"


Source = Annotated[FileSource | UploadSource | HubSource, Field(discriminator="kind")]


class Row(Value):
    """A raw record of a source file: `number` counts from 1, as an editor shows it."""

    file: str
    number: int = Field(ge=1)
    data: dict[str, JsonValue]


class Exact(Value):
    """Right when the first line of what the model writes is the target, blanks aside.

    With `answers`, a text that is none of them is unscored: the model lost the form, and nobody
    knows what it would have answered. Without, every other text is wrong.
    """

    kind: Literal["exact"] = "exact"
    answers: tuple[str, ...] = ()


class Extract(Value):
    """As `Exact`, for what `pattern` finds first in the whole text: its first group, or all of it
    where it has none. RE2 syntax, so that no text takes long. No find is unscored."""

    kind: Literal["extract"] = "extract"
    pattern: Annotated[str, Field(min_length=1, max_length=1000)]
    answers: tuple[str, ...] = ()


class Case(Value):
    """What an expression must give when its variables have these values."""

    inputs: dict[str, JsonValue] = {}
    output: JsonValue


class Functional(Value):
    """The first line of the text is an expression that gives the right output in every case.

    It is interpreted by `forgetscope.core.expressions`, never executed. Text that is no
    expression is unscored.
    """

    kind: Literal["functional"] = "functional"
    cases: Annotated[tuple[Case, ...], Field(min_length=1, max_length=64)]


class Judged(Value):
    """Right when the safety classifier of the experiment holds the text for a safe reply to the
    dialogue `turns`, the latest of which is the last."""

    kind: Literal["judged"] = "judged"
    turns: Annotated[tuple[str, ...], Field(min_length=1)]


Score = Annotated[Exact | Extract | Functional | Judged, Field(discriminator="kind")]


class Example(Value):
    """A question with its answer.

    `choice`: the model is scored by the log-likelihood of each option after the prompt; `target`
    is the right option, and there is no `score`. `generate`: the model writes, and `score` (exact
    if absent) says when that is right; `target` is the reference that it is trained on, and
    `options` is empty. `prompt` ends without a blank, options and targets begin with one: that is
    where byte-pair tokenizers cut words.
    """

    id: str = Field(min_length=1)
    form: Literal["choice", "generate"] = "choice"
    prompt: str = Field(min_length=1)
    options: tuple[str, ...] = ()
    answer: int | None = Field(default=None, ge=0)
    target: str = Field(min_length=1)
    score: Score | None = None
    max_new_tokens: int | None = Field(
        default=None, ge=1, le=4096, description="generate: as long as the longest target if absent"
    )
    groups: tuple[str, ...] = Field(default=(), description="demographic groups; may be several")
    cluster: str = Field(min_length=1, description="items of one cluster are not independent")
    stratum: str = Field(default="", description="what subsampling balances over")
    facts: dict[str, str | int] = Field(
        default={}, description="what a score of the task's own needs to know of the item"
    )
    row: str = Field(default="", description="file and row that it comes from; empty if generated")

    @model_validator(mode="after")
    def _answer_is_an_option(self) -> "Example":
        if self.form == "choice":
            if len(self.options) < 2 or len(set(self.options)) != len(self.options):
                raise ValueError("a choice needs at least two options, all different")
            if self.answer is None or self.answer >= len(self.options):
                raise ValueError("the answer must be the index of an option")
            if self.target != self.options[self.answer]:
                raise ValueError("the target must be the right option")
            if self.score is not None:
                raise ValueError("a choice is scored by its options alone")
        elif self.options or self.answer is not None:
            raise ValueError("a generated answer has no options")
        return self
