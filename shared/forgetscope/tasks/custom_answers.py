"""What is right in a row of a custom task, and among which options."""

from typing import Literal, NamedTuple

from pydantic import ValidationError

from forgetscope.schema.custom import CustomTask
from forgetscope.schema.custom_parts import (
    LETTERS,
    AnswerColumn,
    ChoiceScore,
    ExtractScore,
    FunctionalScore,
    JudgedScore,
    Options,
)
from forgetscope.schema.example import Exact, Extract, Functional, Judged, Row, Score
from forgetscope.schema.preview import FlagKind
from forgetscope.tasks.base import bad_row
from forgetscope.tasks.custom_cells import cell, texts, word

__all__ = ["Answer", "Flawed", "closed_answer", "open_answer"]


class Answer(NamedTuple):
    """The parts of an example that its answer decides. `texts` are the options in words."""

    form: Literal["choice", "generate"]
    target: str
    score: Score | None
    options: tuple[str, ...] = ()
    choice: int | None = None
    texts: tuple[str, ...] = ()
    stratum: str = ""


class Flawed(Exception):
    """A row that can be read, but makes no question."""

    def __init__(self, kind: FlagKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def closed_answer(definition: CustomTask, row: Row) -> Answer:
    """One of the row's options: chosen by the model, or written. Raises BadRow, Flawed."""
    assert definition.options is not None and isinstance(definition.answer, AnswerColumn)
    choices = _options(definition.options, row)
    index = _index(definition.answer, row, choices)
    lettered = definition.showing == "letters"
    said = tuple(LETTERS[: len(choices)]) if lettered else choices
    stratum = said[index] if lettered or definition.options.labels else f"option {index + 1}"
    scoring = definition.scoring
    if isinstance(scoring, ChoiceScore):
        spoken = tuple(f" {word}" for word in said)
        return Answer("choice", spoken[index], None, spoken, index, choices, stratum)
    score: Score = (
        Extract(pattern=scoring.pattern, answers=said)
        if isinstance(scoring, ExtractScore)
        else Exact(answers=said)
    )
    return Answer("generate", f" {said[index]}", score, texts=choices, stratum=stratum)


def open_answer(definition: CustomTask, row: Row, reference: str) -> Answer:
    """What the model should write. Raises BadRow, Flawed."""
    match definition.scoring:
        case ExtractScore(pattern=pattern):
            score: Score = Extract(pattern=pattern)
        case FunctionalScore(cases=column):
            score = _functional(row, column)
        case JudgedScore(turns=columns):
            score = Judged(turns=_turns(row, columns))
        case _:
            score = Exact()
    return Answer("generate", f" {reference}", score)


def _options(rule: Options, row: Row) -> tuple[str, ...]:
    if rule.labels is not None:
        return rule.labels
    if rule.columns is not None:
        choices = tuple(word(row, column) for column in rule.columns)
    else:
        assert rule.column is not None
        choices = texts(row, rule.column, rule.field)
    if not 2 <= len(choices) <= len(LETTERS):
        raise bad_row(row, f"options: there are {len(choices)}, not 2 to {len(LETTERS)}")
    for number, choice in enumerate(choices, start=1):
        if not choice:
            raise Flawed("empty", f"options: number {number} is blank")
        if (first := choices.index(choice) + 1) != number:
            raise Flawed("same_options", f"options: numbers {first} and {number} are the same")
    return choices


def _index(rule: AnswerColumn, row: Row, choices: tuple[str, ...]) -> int:
    said = word(row, rule.column)
    if not said:
        raise Flawed("empty", f"answer: column {rule.column!r} is blank")
    if rule.holds == "index":
        if not said.removeprefix("-").isdecimal():
            raise bad_row(row, f"answer: column {rule.column!r} holds no whole number")
        index = int(said) - rule.counted_from
        if not 0 <= index < len(choices):
            raise bad_row(row, f"answer: option {said} does not exist; there are {len(choices)}")
        return index
    if rule.holds == "letter":
        index = LETTERS.find(said.upper()) if len(said) == 1 else -1
        if not 0 <= index < len(choices):
            raise bad_row(row, f"answer: column {rule.column!r} holds no letter of an option")
        return index
    if rule.map and said not in rule.map:
        raise bad_row(row, f"answer: the value of column {rule.column!r} is not in the map")
    meant = rule.map.get(said, said)
    if meant not in choices:
        raise bad_row(row, f"answer: the value of column {rule.column!r} is none of the options")
    return choices.index(meant)


def _functional(row: Row, column: str) -> Functional:
    try:
        return Functional.model_validate({"cases": cell(row, column)})
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"][1:])
        raise bad_row(row, f"column {column!r}, at {place or 'its top'}: {fault['msg']}") from None


def _turns(row: Row, columns: tuple[str, ...]) -> tuple[str, ...]:
    turns: list[str] = []
    for column in columns:
        several = isinstance(cell(row, column), list)
        turns += texts(row, column) if several else [word(row, column)]
    if not turns or not all(turns):
        raise Flawed("empty", "score: a turn of the dialogue is blank, or there is none")
    return tuple(turns)
