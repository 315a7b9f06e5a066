"""The results document as CSV tables, for spreadsheets and statistics programs.

Fractions, not percent. An undefined number is an empty field; its reason stands in results.json.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from forgetscope.schema.results import BbqAccuracy, BbqBias, BbqScores, Measured, Results

__all__ = ["Field", "chain_field", "measured_fields", "text_field", "write", "write_table"]

Field = str | int | float | None


def write(results: Results, folder: Path) -> None:
    """Write accuracy.csv, forgetting.csv and groups.csv; for BBQ bbq.csv and bbq_changes.csv."""
    write_table(
        folder / "accuracy.csv",
        ["chain", "seed", "task", "group", "accuracy", "scored", "correct", "unscored"],
        (
            [
                chain_field(cell.chain),
                cell.seed,
                cell.task,
                text_field(group),
                a.value,
                a.scored,
                a.correct,
                a.unscored,
            ]
            for cell in results.matrix
            for group, a in [("", cell.overall), *cell.groups.items()]
        ),
    )
    whole = ["before", "after", "forgetting", "best_minus_last", "relative", "chance_corrected"]
    write_table(
        folder / "forgetting.csv",
        [
            *("chain", "task", "position", "items", "clusters", "unscored"),
            *(*_ends(whole), "margin", "verdict"),
        ],
        (
            [
                chain_field(row.chain),
                row.task,
                row.position,
                row.items,
                row.clusters,
                row.unscored,
                *measured_fields([getattr(row, name) for name in whole]),
                row.verdict.margin,
                row.verdict.verdict,
            ]
            for row in results.forgetting
        ),
    )
    keys = ["chain", "task", "position", "group", "items", "clusters", "unscored", "too_small"]
    parts = ["before", "after", "forgetting", "biased", "biased_macro"]
    write_table(
        folder / "groups.csv",
        [
            *(*keys, *_ends(parts), "changed", "simultaneous_low", "simultaneous_high"),
            *("p_adjusted", "margin", "verdict", "equivalence"),
        ],
        (
            [
                chain_field(row.chain),
                row.task,
                row.position,
                text_field(group.group),
                group.items,
                group.clusters,
                group.unscored,
                str(group.too_small).lower(),
                *measured_fields([getattr(group, name) for name in parts]),
                group.changed,
                group.simultaneous.low,
                group.simultaneous.high,
                group.p_adjusted.value,
                group.verdict.margin,
                group.verdict.verdict,
                group.equivalence.verdict,
            ]
            for row in results.forgetting
            for group in row.groups
        ),
    )
    if results.bbq:
        _bbq(results, folder)


_RIGHT = ("scored", "correct", "unscored", "clusters")
_BIAS = ("biased", "named", "items", "left_out", "clusters")


def _bbq(results: Results, folder: Path) -> None:
    header = ["chain", "seed", "task", "group"]
    for name in ("accuracy_ambiguous", "accuracy_disambiguated"):
        header += [*_ends([name]), *(f"{name}_{count}" for count in _RIGHT)]
    for name in ("s_amb", "s_dis"):
        header += [*_ends([name]), *(f"{name}_{count}" for count in _BIAS)]
    write_table(
        folder / "bbq.csv",
        header,
        (
            [
                chain_field(model.chain),
                model.seed,
                bbq.task,
                text_field(group),
                *_bbqmeasured_fields(scores),
            ]
            for bbq in results.bbq
            for model in bbq.models
            for group, scores in [("", model.overall), *model.groups.items()]
        ),
    )
    parts, counts = ["before", "after", "change"], ["items", "clusters", "unscored", "left_out"]
    write_table(
        folder / "bbq_changes.csv",
        ["chain", "task", "position", "group", "score", *_ends(parts), *counts],
        (
            [
                chain_field(row.chain),
                bbq.task,
                row.position,
                text_field(row.group or ""),
                name,
                *measured_fields([getattr(change, part) for part in parts]),
                *(getattr(change, count) for count in counts),
            ]
            for bbq in results.bbq
            for row in bbq.changes
            for name, change in [("s_amb", row.ambiguous), ("s_dis", row.disambiguated)]
        ),
    )


def _bbqmeasured_fields(scores: BbqScores) -> list[Field]:
    def right(found: BbqAccuracy) -> list[Field]:
        return [*measured_fields([found.accuracy]), *(getattr(found, name) for name in _RIGHT)]

    def bias(found: BbqBias) -> list[Field]:
        return [*measured_fields([found.score]), *(getattr(found, name) for name in _BIAS)]

    return [
        *right(scores.accuracy_ambiguous),
        *right(scores.accuracy_disambiguated),
        *bias(scores.bias_ambiguous),
        *bias(scores.bias_disambiguated),
    ]


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Field]]) -> None:
    """Write a CSV table; equal rows give equal bytes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _ends(names: Iterable[str]) -> list[str]:
    return [column for name in names for column in (name, f"{name}_low", f"{name}_high")]


def measured_fields(measured: Iterable[Measured]) -> list[Field]:
    """Value and both ends of the interval of each."""
    return [number for m in measured for number in (m.value, m.low, m.high)]


def chain_field(chain: tuple[str, ...]) -> str:
    """Task ids cannot contain ">"; the base model is the empty chain."""
    return " > ".join(chain)


def text_field(value: str) -> str:
    """Spreadsheets run a cell that begins like a formula; an apostrophe makes it text."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
