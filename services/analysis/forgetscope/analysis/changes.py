"""Which items a chain lost and gained: right before and wrong after, and the other way round.

An item that one of the two models left unscored is neither. For one seed, lost minus gained is its
forgetting times the items that both models scored.

Texts stand here only when the experiment asks for them: those of safety data offend.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field, TypeAdapter

from forgetscope.analysis.outcomes import CellKey, Chain
from forgetscope.analysis.tables import chain_field, text_field, write_table
from forgetscope.core import forgetting as forms
from forgetscope.core.predictions import Prediction
from forgetscope.schema.base import Value
from forgetscope.schema.example import Example

__all__ = [
    "SHOWN",
    "ItemMove",
    "ItemTexts",
    "MovedItem",
    "RowChanges",
    "TaskChanges",
    "changes",
    "read",
    "write",
]

SHOWN = 50
"""Items of each list that the report shows; items.csv has all."""

_FILE = "changes.json"


class ItemTexts(Value):
    """The words of an item: as it was asked, and what is right."""

    prompt: str
    options: tuple[str, ...]
    target: str


class ItemMove(Value):
    """What happened to an item in one seed. Choices are indices of options, from 0; the texts are
    generated answers, and null for choices or where texts were not asked for."""

    seed: int
    choice_before: int | None
    choice_after: int | None
    text_before: str | None = None
    text_after: str | None = None


class MovedItem(Value):
    """An item that was lost, or gained, in at least one seed."""

    id: str
    cluster: str
    groups: tuple[str, ...]
    answer: int | None = Field(description="index of the right option; null for generated answers")
    moves: tuple[ItemMove, ...]
    texts: ItemTexts | None = None


class RowChanges(Value):
    """One row of the forgetting table. `lost` and `gained` are the first `SHOWN` items of each,
    those of the most seeds first; the counts are of all."""

    chain: tuple[str, ...]
    task: str
    position: int
    lost_items: int
    gained_items: int
    lost: tuple[MovedItem, ...]
    gained: tuple[MovedItem, ...]


class _Move(NamedTuple):
    """One line of items.csv."""

    kind: Literal["lost", "gained"]
    seed: int
    before: Prediction
    after: Prediction


class TaskChanges(NamedTuple):
    """Every row of one task with all of its moves, in the order of the items."""

    rows: tuple[tuple[Chain, str, int, tuple[_Move, ...]], ...]
    examples: Mapping[str, Example] | None


def changes(
    task: str,
    cells: Mapping[CellKey, Sequence[Prediction]],
    chains: Sequence[Chain],
    seeds: Sequence[int],
    examples: Iterable[Example] | None = None,
) -> TaskChanges:
    """Compare the models of every row of a task.

    Args:
        cells: predictions of each model, with the same items in the same order.
        chains, seeds: of the experiment.
        examples: of the task, when texts are to be shown.
    """
    rows = [
        (
            chain,
            task,
            position,
            tuple(
                move
                for seed in seeds
                for move in _moves(seed, cells[chain[:position], seed], cells[chain, seed])
            ),
        )
        for chain in chains
        for name, position in forms.forgetting_rows(chain)
        if name == task
    ]
    known = None if examples is None else {example.id: example for example in examples}
    return TaskChanges(tuple(rows), known)


def _moves(seed: int, before: Sequence[Prediction], after: Sequence[Prediction]) -> Iterator[_Move]:
    for first, last in zip(before, after, strict=True):
        if None not in {first.correct, last.correct} and first.correct != last.correct:
            yield _Move("lost" if first.correct else "gained", seed, first, last)


def write(found: Sequence[TaskChanges], folder: Path) -> None:
    """Write items.csv with every change of every seed, and changes.json, which the report reads."""
    write_table(
        folder / "items.csv",
        [
            *("chain", "task", "position", "seed", "change", "id", "cluster", "groups"),
            *("answer", "choice_before", "choice_after"),
        ],
        (
            [
                chain_field(chain),
                task,
                position,
                move.seed,
                move.kind,
                text_field(move.before.id),
                text_field(move.before.cluster),
                text_field(" | ".join(move.before.groups)),
                move.before.answer,
                move.before.choice,
                move.after.choice,
            ]
            for part in found
            for chain, task, position, moves in part.rows
            for move in moves
        ),
    )
    rows = tuple(_row(*row, part.examples) for part in found for row in part.rows)
    content = TypeAdapter(tuple[RowChanges, ...]).dump_json(rows, indent=1)
    (folder / _FILE).write_bytes(content + b"\n")


def read(folder: Path) -> tuple[RowChanges, ...]:
    """What `write` left in a folder for the report."""
    return TypeAdapter(tuple[RowChanges, ...]).validate_json((folder / _FILE).read_bytes())


def _row(
    chain: Chain,
    task: str,
    position: int,
    moves: Sequence[_Move],
    examples: Mapping[str, Example] | None,
) -> RowChanges:
    lost = _items([move for move in moves if move.kind == "lost"])
    gained = _items([move for move in moves if move.kind == "gained"])
    return RowChanges(
        chain=chain,
        task=task,
        position=position,
        lost_items=len(lost),
        gained_items=len(gained),
        lost=tuple(_shown(item, examples) for item in lost[:SHOWN]),
        gained=tuple(_shown(item, examples) for item in gained[:SHOWN]),
    )


def _items(moves: Sequence[_Move]) -> list[list[_Move]]:
    """The moves of each item; those of most seeds first, then as they stand in the data."""
    by_id: dict[str, list[_Move]] = {}
    for move in moves:
        by_id.setdefault(move.before.id, []).append(move)
    return sorted(by_id.values(), key=len, reverse=True)


def _shown(moves: Sequence[_Move], examples: Mapping[str, Example] | None) -> MovedItem:
    item = moves[0].before
    example = None if examples is None else examples[item.id]
    return MovedItem(
        id=item.id,
        cluster=item.cluster,
        groups=item.groups,
        answer=item.answer,
        moves=tuple(
            ItemMove(
                seed=move.seed,
                choice_before=move.before.choice,
                choice_after=move.after.choice,
                text_before=None if example is None else move.before.text,
                text_after=None if example is None else move.after.text,
            )
            for move in moves
        ),
        texts=None
        if example is None
        else ItemTexts(prompt=example.prompt, options=example.options, target=example.target),
    )
