"""The parts of a task without code: sources, splits, options, answers, groups, scores.

Columns are named by their key in a row; dots lead into nested objects (`question.stem`). Where a
part has one field that matters, a bare value stands for the whole.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from forgetscope.schema.base import Text, Value
from forgetscope.schema.example import Source

__all__ = [
    "LETTERS",
    "AnswerColumn",
    "AnswerRule",
    "ChoiceScore",
    "Column",
    "ColumnSplit",
    "Columns",
    "ExactScore",
    "ExtractScore",
    "FunctionalScore",
    "GroupColumn",
    "GroupOrColumn",
    "HoldOut",
    "JudgedScore",
    "Options",
    "OptionsOrWords",
    "ScoreOrName",
    "ScoreRule",
    "SourceOfRows",
    "SplitRule",
    "TemplateText",
]

LETTERS = "ABCDEFGHIJ"

_FORMATS = {"jsonl": "jsonl", "json": "json", "csv": "csv", "parquet": "parquet", "txt": "lines"}


def _source_from_words(value: object) -> object:
    """A path alone is a file; its ending says the format where nothing else does."""
    if isinstance(value, str):
        value = {"path": value}
    if not isinstance(value, dict):
        return value
    kinds = {"path": "file", "digest": "upload", "id": "hub"}
    kind = next((kind for key, kind in kinds.items() if key in value), "file")
    value = {"kind": kind, **value}
    path = value.get("path")
    if value["kind"] == "file" and "format" not in value and isinstance(path, str):
        ending = path.removesuffix(".gz").rsplit(".", 1)[-1]
        value["format"] = _FORMATS.get(ending, "jsonl")
    return value


def _quoted(value: object) -> object:
    """YAML reads a bare yes as true, and a bare 1 as a number."""
    if isinstance(value, (bool, int, float)):
        raise ValueError("this is no text: put it into quotes")
    return value


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _options_from_words(value: object) -> object:
    if isinstance(value, str):
        return {"column": value}
    return {"labels": value} if isinstance(value, (list, tuple)) else value


def _column_from_name(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


def _score_from_name(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


SourceOfRows = Annotated[
    Source, BeforeValidator(_source_from_words, json_schema_input_type=Text | Source)
]
Column = Annotated[Text, Field(min_length=1, max_length=200)]
Columns = Annotated[
    tuple[Column, ...],
    Field(min_length=1, max_length=32),
    BeforeValidator(_one_or_many, json_schema_input_type=Column | tuple[Column, ...]),
]
Word = Annotated[Text, Field(min_length=1), BeforeValidator(_quoted, json_schema_input_type=Text)]
WordMap = Annotated[dict[Annotated[Text, BeforeValidator(_quoted)], Word], Field(max_length=1000)]
TemplateText = Annotated[Text, Field(min_length=1)]


class ColumnSplit(Value):
    """A column says which split a row belongs to."""

    column: Column
    train: Annotated[tuple[Word, ...], Field(min_length=1), BeforeValidator(_one_or_many)]
    evaluation: Annotated[tuple[Word, ...], Field(min_length=1), BeforeValidator(_one_or_many)]
    unused: Annotated[tuple[Word, ...], BeforeValidator(_one_or_many)] = Field(
        default=(), description="values of rows that belong to neither; any other value is an error"
    )

    @model_validator(mode="after")
    def _no_word_twice(self) -> "ColumnSplit":
        words = self.train + self.evaluation + self.unused
        if len(set(words)) < len(words):
            raise ValueError("a value of the column is named twice")
        return self


class HoldOut(Value):
    """A share of the clusters, chosen by hash, is for evaluation. Clusters stay whole."""

    hold_out: float = Field(gt=0, lt=1, description="share for evaluation, e.g. 0.2")


def _split_kind(value: object) -> str:
    by_share = "hold_out" in value if isinstance(value, dict) else isinstance(value, HoldOut)
    return "hold_out" if by_share else "column"


SplitRule = Annotated[
    Annotated[ColumnSplit, Tag("column")] | Annotated[HoldOut, Tag("hold_out")],
    Discriminator(_split_kind),
]


class Options(Value):
    """What the model chooses among: one of the three ways. A list alone means `labels`, a column
    name alone means `column`."""

    labels: tuple[Word, ...] | None = Field(
        default=None, min_length=2, max_length=64, description="the same words in every row"
    )
    columns: tuple[Column, ...] | None = Field(
        default=None, min_length=2, max_length=len(LETTERS), description="one option in each column"
    )
    column: Column | None = Field(default=None, description="a column that holds a list")
    field: Column | None = Field(
        default=None, description="where the list holds objects: the field with the option's text"
    )

    @model_validator(mode="after")
    def _one_way(self) -> "Options":
        if sum(way is not None for way in (self.labels, self.columns, self.column)) != 1:
            raise ValueError("exactly one of labels, columns and column says where options are")
        if self.field is not None and self.column is None:
            raise ValueError("field belongs to column")
        if self.labels is not None and len(set(self.labels)) < len(self.labels):
            raise ValueError("two labels are equal")
        return self


OptionsOrWords = Annotated[
    Options,
    BeforeValidator(
        _options_from_words, json_schema_input_type=Options | Column | tuple[Word, ...]
    ),
]


class AnswerColumn(Value):
    """The column that says which option is right."""

    column: Column
    holds: Literal["option", "index", "letter"] = Field(
        default="option",
        description="option: its text, or a value that `map` turns into it; index: its number, "
        "see counted_from; letter: A for the first one",
    )
    counted_from: Literal[0, 1] = 0
    map: WordMap = Field(default={}, description="value of the column → text of the option")

    @model_validator(mode="after")
    def _map_is_used(self) -> "AnswerColumn":
        if self.map and self.holds != "option":
            raise ValueError("map belongs to an answer that holds the option")
        return self


def _answer_kind(value: object) -> str:
    return "template" if isinstance(value, str) else "column"


AnswerRule = Annotated[
    Annotated[AnswerColumn, Tag("column")] | Annotated[TemplateText, Tag("template")],
    Discriminator(_answer_kind),
]


class GroupColumn(Value):
    """A column that says whom a row is about: one demographic group, or a list of them. A column
    name alone is a column without map."""

    column: Column
    map: WordMap = Field(
        default={},
        description="value of the column → name of the group; with a map, a value that is neither "
        "in it nor unknown is an error",
    )
    unknown: tuple[Word, ...] = Field(
        default=(),
        description="values that name no group; so do null, empty text and an empty list. Such "
        "rows stay in the task without a group, and are counted",
    )
    separator: Annotated[str, Field(min_length=1, max_length=8)] | None = Field(
        default=None, description="where text holds several groups: what stands between them"
    )


GroupOrColumn = Annotated[
    GroupColumn, BeforeValidator(_column_from_name, json_schema_input_type=GroupColumn | Column)
]


class ChoiceScore(Value):
    """The option with the highest log-likelihood is the model's choice."""

    kind: Literal["multiple_choice"] = "multiple_choice"


class ExactScore(Value):
    """The model writes; its first line must be the answer. With options, a text that is none of
    them is unscored."""

    kind: Literal["exact"] = "exact"


class ExtractScore(Value):
    """As exact, for what the pattern finds first in the whole text: its first group, or all."""

    kind: Literal["extract"]
    pattern: Annotated[str, Field(min_length=1, max_length=1000, description="RE2 syntax")]


class FunctionalScore(Value):
    """The model writes an expression, which is interpreted (never executed) on the cases."""

    kind: Literal["functional"]
    cases: Column = Field(
        description="column with a list of {inputs: {variable: value}, output: value}"
    )


class JudgedScore(Value):
    """The model writes a reply; the experiment's safety classifier says whether it is safe."""

    kind: Literal["judged"]
    turns: Columns = Field(
        description="columns of the dialogue, oldest first; each holds text or a list of texts"
    )


ScoreRule = Annotated[
    ChoiceScore | ExactScore | ExtractScore | FunctionalScore | JudgedScore,
    Field(discriminator="kind"),
]
ScoreOrName = Annotated[
    ScoreRule,
    BeforeValidator(
        _score_from_name, json_schema_input_type=Literal["multiple_choice", "exact"] | ScoreRule
    ),
]
