"""The report's section on single items: which were lost and gained, by id."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import NamedTuple

from forgetscope.analysis.changes import SHOWN, ItemMove, MovedItem, RowChanges
from forgetscope.schema.results import Results

__all__ = ["ItemsPart", "items_part"]


class ItemLine(NamedTuple):
    """One item of a list. `choices` are what it was answered with, the same ones together."""

    item: MovedItem
    right: str
    choices: tuple[str, ...]


class ItemList(NamedTuple):
    """The shown ones of `total` items."""

    word: str
    meaning: str
    total: int
    lines: tuple[ItemLine, ...]


class ItemRow(NamedTuple):
    """One row of the forgetting table."""

    anchor: str
    row: RowChanges
    lists: tuple[ItemList, ...]


class ItemsPart(NamedTuple):
    """The whole section. `sources` are tasks with the key of the stage that has their examples."""

    rows: tuple[ItemRow, ...]
    shown: int
    texts: bool
    sources: tuple[tuple[str, str], ...]


def items_part(
    results: Results, found: Sequence[RowChanges], stages: Mapping[str, str]
) -> ItemsPart:
    """In the order of the forgetting table.

    Args:
        found: one for each row of the forgetting table.
        stages: title → key, of all stages of the experiment.
    """
    by_place = {(row.chain, row.position): row for row in found}
    seeds = len(results.seeds)
    rows = []
    for i, place in enumerate(results.forgetting, start=1):
        row = by_place[place.chain, place.position]
        lost = _list("Lost", "right before, wrong after", row.lost_items, row.lost, seeds)
        gained = _list("Gained", "wrong before, right after", row.gained_items, row.gained, seeds)
        rows.append(ItemRow(f"items-{i}", row, (lost, gained)))
    titles = {task.id: f"{task.id} · evaluation data" for task in results.tasks}
    sources = tuple((task, stages[title]) for task, title in titles.items() if title in stages)
    return ItemsPart(tuple(rows), SHOWN, results.settings.show_texts, sources)


def _list(word: str, meaning: str, total: int, items: Sequence[MovedItem], seeds: int) -> ItemList:
    lines = tuple(ItemLine(item, _option(item.answer), _choices(item, seeds)) for item in items)
    return ItemList(word, meaning, total, lines)


def _choices(item: MovedItem, seeds: int) -> tuple[str, ...]:
    """ "B → A (2 of 3 seeds)"; without the seeds where there is one."""
    counts: dict[str, int] = {}
    for move in item.moves:
        if (said := _said(move)) is not None:
            counts[said] = counts.get(said, 0) + 1
    if not counts:
        counts = {"generated": len(item.moves)}
    return tuple(
        said if seeds == 1 else f"{said} ({n} of {seeds} seeds)" for said, n in counts.items()
    )


def _said(move: ItemMove) -> str | None:
    if move.choice_before is None or move.choice_after is None:
        return None
    return f"{_option(move.choice_before)} → {_option(move.choice_after)}"


def _option(index: int | None) -> str:
    """0 → "A": the first option. Items have at most a few; beyond Z it is the number from 1."""
    if index is None:
        return "–"
    return ascii_uppercase[index] if index < len(ascii_uppercase) else str(index + 1)
