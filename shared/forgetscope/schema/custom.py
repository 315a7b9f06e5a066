"""A task without code: where its rows are, how a row becomes a question, and what is right."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from forgetscope.schema.base import Slug, Text, Value
from forgetscope.schema.custom_parts import (
    LETTERS,
    AnswerRule,
    ChoiceScore,
    Column,
    Columns,
    ExactScore,
    FunctionalScore,
    GroupOrColumn,
    JudgedScore,
    Options,
    OptionsOrWords,
    ScoreOrName,
    ScoreRule,
    SourceOfRows,
    SplitRule,
    TemplateText,
)

__all__ = ["CustomTask"]


class CustomTask(Value):
    """A task as a file. Rows come from `train` and `evaluation`, or from `source` cut by `split`.

    With `options` the task is closed, and `answer` is the column that says which one is right;
    without, the model writes, and `answer` is a template of what it should write.
    """

    name: Slug = Field(description="small letters, digits, dots and dashes")
    kind: Literal["safety", "capability"]
    summary: Annotated[Text, Field(max_length=500)] = ""
    licence: Annotated[Text, Field(min_length=1, max_length=200)] = "not stated"
    citation: Annotated[Text, Field(max_length=500)] = ""
    version: int = Field(default=1, ge=1, description="your own; a new one is a new task")

    train: SourceOfRows | None = Field(
        default=None, description="path below the data folder, an upload, or a hub data set"
    )
    evaluation: SourceOfRows | None = Field(default=None, description="with train")
    source: SourceOfRows | None = Field(default=None, description="both splits, with split")
    split: SplitRule | None = Field(default=None, description="which rows of source are which")

    prompt: TemplateText = Field(
        description="Jinja template over the columns of a row: output, if, for over a column, and "
        "the filters trim, lower, upper, title, capitalize, join, replace, first, last, default"
    )
    cue: Annotated[Text, Field(max_length=200)] = Field(
        default="Answer:", description="last line of every prompt; empty for none"
    )
    options: OptionsOrWords | None = Field(
        default=None, description="what the model chooses among; absent: it writes"
    )
    show_options: Literal["letters", "list", "none"] | None = Field(
        default=None,
        description="letters: options are listed after the prompt as A., B., …, and the letter is "
        "the answer; list: they are listed, and the text is; none: they are not listed, and the "
        "text is. Default: none for labels, else letters",
    )
    answer: AnswerRule = Field(
        description="with options: the column with the right one; else: a template"
    )
    score: ScoreOrName | None = Field(
        default=None, description="default: multiple_choice with options, else exact"
    )
    max_new_tokens: int | None = Field(
        default=None, ge=1, le=4096, description="of a written answer; default: longest reference"
    )
    chance: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="accuracy of guessing; default: one over the number of options where labels "
        "or columns fix it, else unknown",
    )

    groups: tuple[GroupOrColumn, ...] = Field(
        default=(), max_length=32, description="demographic groups; a row may be about several"
    )
    cluster: Columns | None = Field(
        default=None,
        description="rows that agree in these columns are not independent, and stay in one split; "
        "default: rows with the same prompt, but for case and blanks",
    )
    stratum: Columns | None = Field(
        default=None, description="subsampling balances over these columns; default: the answer"
    )
    id: Column | None = Field(default=None, description="unique; default: the number of the row")

    @model_validator(mode="after")
    def _parts_agree(self) -> "CustomTask":
        files = (self.train is not None, self.evaluation is not None)
        one = (self.source is not None, self.split is not None)
        if not ((all(files) and not any(one)) or (all(one) and not any(files))):
            raise ValueError("the data are either train and evaluation, or source and split")
        if self.cue and self.prompt.rstrip().endswith(self.cue):
            raise ValueError(f"prompt: leave out its last {self.cue!r}; the cue is added to it")
        if self.options is None:
            self._check_open()
        else:
            self._check_closed(self.options)
        return self

    def _check_open(self) -> None:
        if not isinstance(self.answer, str):
            raise ValueError("answer: without options, it is a template (text)")
        if isinstance(self.scoring, ChoiceScore):
            raise ValueError("score: multiple_choice needs options")
        if self.show_options is not None:
            raise ValueError("show_options: there are no options")

    def _check_closed(self, options: Options) -> None:
        if isinstance(self.answer, str):
            raise ValueError("answer: with options, it is an object with the field column")
        if isinstance(self.scoring, (FunctionalScore, JudgedScore)):
            raise ValueError(f"score: {self.scoring.kind} is for tasks without options")
        labels = options.labels
        if labels is not None and self.showing == "letters" and len(labels) > len(LETTERS):
            raise ValueError(f"show_options: there are letters for {len(LETTERS)} options")
        if labels is not None and (strangers := sorted({*self.answer.map.values()} - {*labels})):
            raise ValueError(f"answer.map: {strangers[0]!r} is not among the labels")

    @property
    def scoring(self) -> ScoreRule:
        """The score with its default filled in."""
        if self.score is not None:
            return self.score
        return ExactScore() if self.options is None else ChoiceScore()

    @property
    def showing(self) -> Literal["letters", "list", "none"]:
        """How options are shown, with its default filled in."""
        if self.show_options is not None or self.options is None:
            return self.show_options or "none"
        return "letters" if self.options.labels is None else "none"
