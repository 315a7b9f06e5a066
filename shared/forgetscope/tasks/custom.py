"""Tasks from definitions: `schema.custom` as a `Task` like every other one.

`read` gives what is wrong with a row as a value, so that a preview can list all of it; as a task,
the first such row is an error.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pydantic import JsonValue, ValidationError

from forgetscope.core.predictions import judge_text, read_pattern
from forgetscope.core.subsample import folded, rank
from forgetscope.schema.custom import CustomTask
from forgetscope.schema.custom_parts import LETTERS, ColumnSplit, ExtractScore, HoldOut
from forgetscope.schema.errors import BadRow, InvalidSpec
from forgetscope.schema.example import Example, Judged, Row, Source, Split
from forgetscope.schema.preview import FlagKind
from forgetscope.tasks.base import Task, bad_row, faults_of, place
from forgetscope.tasks.custom_answers import Answer, Flawed, closed_answer, open_answer
from forgetscope.tasks.custom_cells import groups_of, key_of, missing, word
from forgetscope.tasks.template import MissingColumn, Template, TemplateFault

__all__ = ["CUSTOM", "Flaw", "custom_task", "parse_definition", "read"]

CUSTOM = "custom"
VERSION = 1  # goes up when the same definition gives other examples


class Flaw(NamedTuple):
    """Why a row is no example."""

    kind: FlagKind
    row: Row
    detail: str


def parse_definition(params: Mapping[str, JsonValue], *, where: str | None = None) -> CustomTask:
    """A definition with every default filled in. Raises InvalidSpec naming each fault."""
    try:
        return CustomTask.model_validate(dict(params))
    except ValidationError as error:
        raise InvalidSpec(f"definition of a task: {faults_of(error)}.", where=where) from None


def custom_task(definition: CustomTask, *, where: str = "") -> Task[CustomTask]:
    """The task that a definition describes; its parameters are the definition itself.

    `where` points to the definition in the input. Raises InvalidSpec for a template, InvalidInput
    for a pattern that cannot be used.
    """
    _Templates(definition, where)
    if isinstance(definition.scoring, ExtractScore):
        read_pattern(definition.scoring.pattern, where=f"{where}/score/pattern")
    return Task(
        name=definition.name,
        version=VERSION,
        kind=definition.kind,
        summary=definition.summary,
        licence=definition.licence,
        citation=definition.citation,
        chance=_chance(definition),
        params=CustomTask,
        sources=_sources,
        examples=_examples,
        groups=_known_groups(definition),
    )


def read(definition: CustomTask, rows: Iterable[Row], split: Split) -> Iterator[Example | Flaw]:
    """Every row of a split as an example, or as what is wrong with it."""
    templates = _Templates(definition, "")
    seen: dict[str, int] = {}
    for row in rows:
        try:
            if isinstance(definition.split, ColumnSplit) and _named(definition, row) != split:
                continue
            example = _example(definition, templates, row, split)
        except Flawed as flaw:
            yield Flaw(flaw.kind, row, flaw.detail)
            continue
        except BadRow as error:
            yield Flaw("bad_row", row, error.detail.removesuffix("."))
            continue
        if isinstance(definition.split, HoldOut):
            held_out = rank("custom held out", example.cluster) % 10_000
            if (held_out < definition.split.hold_out * 10_000) != (split == "evaluation"):
                continue
        first = seen.setdefault(example.id, row.number)
        if first != row.number:
            yield Flaw("duplicate_id", row, f"id: it is the same as in row {first}")
        else:
            yield example


class _Templates:
    """The templates of a definition, checked once. Raises InvalidSpec."""

    def __init__(self, definition: CustomTask, where: str) -> None:
        self._prompt = Template(definition.prompt, where=f"{where}/prompt")
        answer = definition.answer
        self._answer = (
            Template(answer, where=f"{where}/answer") if isinstance(answer, str) else None
        )

    def prompt(self, row: Row) -> str:
        return _rendered(self._prompt, row, "prompt")

    def answer(self, row: Row) -> str | None:
        return None if self._answer is None else _rendered(self._answer, row, "answer")


def _rendered(template: Template, row: Row, field: str) -> str:
    try:
        text = template.render(row.data)
    except MissingColumn as fault:
        raise bad_row(row, f"{field}: {missing(row, fault.column)}") from None
    except TemplateFault as fault:
        raise bad_row(row, f"{field}: {fault}") from None
    if not text.strip():
        raise Flawed("empty", f"{field}: it is blank")
    return text.strip() if field == "answer" else text.rstrip()


def _example(definition: CustomTask, templates: _Templates, row: Row, split: Split) -> Example:
    asked = templates.prompt(row)
    reference = templates.answer(row)
    answer = (
        closed_answer(definition, row)
        if reference is None
        else open_answer(definition, row, reference)
    )
    cluster = (
        f"prompt-{rank(folded(asked)):064x}"[:23]
        if definition.cluster is None
        else key_of(*(word(row, column) for column in definition.cluster))
    )
    example = Example(
        id=_id(definition, row, split),
        form=answer.form,
        prompt=_whole(definition, asked, answer),
        options=answer.options,
        answer=answer.choice,
        target=answer.target,
        score=answer.score,
        max_new_tokens=definition.max_new_tokens if answer.form == "generate" else None,
        groups=tuple(
            dict.fromkeys(group for rule in definition.groups for group in groups_of(row, rule))
        ),
        cluster=cluster,
        stratum=answer.stratum
        if definition.stratum is None
        else key_of(*(word(row, column) for column in definition.stratum)),
        row=place(row),
    )
    if (
        example.form == "generate"
        and not isinstance(example.score, Judged)
        and not judge_text(example.target, example).correct
    ):
        raise Flawed("wrong_reference", "answer: the task's own score does not accept it as right")
    return example


def _whole(definition: CustomTask, asked: str, answer: Answer) -> str:
    lines = [asked]
    if definition.showing == "letters":
        lines += [f"{letter}. {text}" for letter, text in zip(LETTERS, answer.texts, strict=False)]
    elif definition.showing == "list":
        lines += [f"- {text}" for text in answer.texts]
    if cue := definition.cue.rstrip():
        lines.append(cue)
    return "\n".join(lines)


def _id(definition: CustomTask, row: Row, split: Split) -> str:
    if definition.id is not None:
        if name := word(row, definition.id):
            return key_of(name)
        raise Flawed("empty", f"id: column {definition.id!r} is blank")
    part = "" if definition.source is not None else f"{split}-"
    return f"{definition.name}-{part}{row.number}"


def _named(definition: CustomTask, row: Row) -> Split | None:
    """The split that a row's column names; None for rows that belong to neither."""
    rule = definition.split
    assert isinstance(rule, ColumnSplit)
    name = word(row, rule.column)
    if name in rule.train:
        return "train"
    if name in rule.evaluation:
        return "evaluation"
    if name in rule.unused:
        return None
    raise bad_row(row, f"split: the value of column {rule.column!r} names no split")


def _examples(definition: CustomTask, rows: Iterable[Row], split: Split) -> Iterator[Example]:
    for found in read(definition, rows, split):
        if isinstance(found, Flaw):
            raise bad_row(found.row, found.detail)
        yield found


def _sources(definition: CustomTask, split: Split) -> tuple[Source, ...]:
    source = definition.train if split == "train" else definition.evaluation
    source = definition.source if source is None else source
    assert source is not None
    return (source,)


def _chance(definition: CustomTask) -> float | None:
    options = definition.options
    if definition.chance is not None or options is None:
        return definition.chance
    fixed = options.labels or options.columns
    return None if fixed is None else 1 / len(fixed)


def _known_groups(definition: CustomTask) -> tuple[str, ...]:
    """The groups that the definition itself names: all of them, or none where the data do."""
    if not all(rule.map for rule in definition.groups):
        return ()
    return tuple(sorted({name for rule in definition.groups for name in rule.map.values()}))
