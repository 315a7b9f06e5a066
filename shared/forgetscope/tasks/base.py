"""What a task is: data, prompt and score. Pure: rows come in, examples go out."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import ConfigDict, Field, JsonValue, ValidationError

from forgetscope.schema.base import Value
from forgetscope.schema.errors import BadRow, InvalidSpec
from forgetscope.schema.example import Example, Row, Source, Split
from forgetscope.schema.views import TaskView

__all__ = [
    "Filled",
    "Loose",
    "Task",
    "bad_row",
    "faults_of",
    "parse_params",
    "place",
    "read_row",
    "to_view",
]

Filled = Annotated[str, Field(pattern=r"\S", description="text that is not blank")]

P = TypeVar("P", bound=Value)
V = TypeVar("V", bound=Value)


class Loose(Value):
    """The columns of a row that a task needs. Others are ignored, and no type is converted."""

    model_config = ConfigDict(extra="ignore", strict=True)


@dataclass(frozen=True)
class Task(Generic[P]):
    """A task of the catalogue.

    `version` goes up whenever prompts, labels, splits or any other rule change: it is part of the
    key of everything made from the task. `sources` names the files of a split (none for a
    generated task); `examples` turns their rows, in the order of the sources, into examples with
    unique ids. Train and evaluation examples share no cluster. `chance` (None where guessing means
    nothing), `groups` and `sizes` hold for the default parameters; the exact values of a data set
    are counted from its examples. `notes` say what a user of its figures must know. `own_scores`
    names scores beside accuracy that the analysis computes from the examples' facts.
    """

    name: str
    version: int
    kind: Literal["safety", "capability"]
    summary: str
    licence: str
    citation: str
    chance: float | None
    params: type[P]
    sources: Callable[[P, Split], tuple[Source, ...]]
    examples: Callable[[P, Iterable[Row], Split], Iterator[Example]]
    groups: tuple[str, ...] = ()
    sizes: Mapping[Split, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    own_scores: Literal["bbq"] | None = None


def parse_params(task: Task[P], params: Mapping[str, JsonValue], *, where: str | None = None) -> P:
    """Parameters with every default filled in. Raises InvalidSpec naming each fault."""
    try:
        return task.params.model_validate(dict(params))
    except ValidationError as error:
        known = ", ".join(task.params.model_fields) or "none"
        raise InvalidSpec(
            f"parameters of task {task.name!r}: {faults_of(error)}.",
            where=where,
            hint=f"Parameters of this task: {known}.",
        ) from None


def read_row(model: type[V], row: Row) -> V:
    """The fields that a task needs, checked. `model` should ignore the others, as `Loose` does.

    Raises BadRow with file, row number and the faulty fields, never with their texts: some data
    sets hold offensive ones.
    """
    try:
        return model.model_validate(row.data)
    except ValidationError as error:
        raise bad_row(row, faults_of(error)) from None


def place(row: Row) -> str:
    """Where a row stands, for `Example.row` and for errors."""
    return f"{row.file}, row {row.number}"


def bad_row(row: Row, detail: str) -> BadRow:
    return BadRow(
        f"{detail}.",
        where=place(row),
        hint="Mend or replace the file; rows are never skipped.",
    )


def to_view(task: Task[Any]) -> TaskView:
    return TaskView(
        name=task.name,
        kind=task.kind,
        summary=task.summary,
        licence=task.licence,
        citation=task.citation,
        chance=task.chance,
        groups=task.groups,
        sizes=dict(task.sizes),
        notes=task.notes,
        params_schema=task.params.model_json_schema(),
    )


def faults_of(error: ValidationError) -> str:
    """Every fault with its field, without the input itself."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'value'}: {fault['msg']}"
        for fault in error.errors(include_input=False, include_url=False)
    )
