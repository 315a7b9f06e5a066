"""One example of a task in the one form that everything inside uses."""

from typing import Literal

from pydantic import Field, JsonValue, model_validator

from forgetscope.schema.base import Value

__all__ = ["Example", "Row", "Source", "Split"]

Split = Literal["train", "evaluation"]


class Source(Value):
    """A file of a data set, by path below the data folder."""

    path: str
    format: Literal["jsonl", "json"] = "jsonl"


class Row(Value):
    """A raw record of a source file: `number` counts from 1, as an editor shows it."""

    file: str
    number: int = Field(ge=1)
    data: dict[str, JsonValue]


class Example(Value):
    """A question with its answer.

    `choice`: the model is scored by the log-likelihood of each option after the prompt; `target`
    is the right option. `generate`: the model writes; `target` is the reference and `options` is
    empty. `prompt` ends without a blank, options and targets begin with one: that is where
    byte-pair tokenizers cut words.
    """

    id: str = Field(min_length=1)
    form: Literal["choice", "generate"] = "choice"
    prompt: str = Field(min_length=1)
    options: tuple[str, ...] = ()
    answer: int | None = Field(default=None, ge=0)
    target: str = Field(min_length=1)
    groups: tuple[str, ...] = Field(default=(), description="demographic groups; may be several")
    cluster: str = Field(min_length=1, description="items of one cluster are not independent")
    stratum: str = Field(default="", description="what subsampling balances over")
    facts: dict[str, str | int] = Field(
        default={}, description="what a score of the task's own needs to know of the item"
    )

    @model_validator(mode="after")
    def _answer_is_an_option(self) -> "Example":
        if self.form == "choice":
            if len(self.options) < 2 or len(set(self.options)) != len(self.options):
                raise ValueError("a choice needs at least two options, all different")
            if self.answer is None or self.answer >= len(self.options):
                raise ValueError("the answer must be the index of an option")
            if self.target != self.options[self.answer]:
                raise ValueError("the target must be the right option")
        return self
