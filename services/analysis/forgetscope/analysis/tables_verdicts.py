"""Tests, order effects, transfer, consistency and variance as CSV tables."""

from pathlib import Path

from forgetscope.analysis.tables import chain_field, measured_fields, text_field, write_table
from forgetscope.schema.results import Results

__all__ = ["write"]

_ENDS = ("", "_low", "_high")


def write(results: Results, folder: Path) -> None:
    """Write mcnemar.csv, order_effects.csv, transfer.csv, consistency.csv and variance.csv, each
    where it has rows."""
    chains = ["chain", "task", "position", "seed"]
    if results.forgetting:
        write_table(
            folder / "mcnemar.csv",
            [*chains, "lost", "gained", "items", "p", "items_in_clusters"],
            (
                [
                    chain_field(row.chain),
                    row.task,
                    row.position,
                    test.seed,
                    test.lost,
                    test.gained,
                    test.items,
                    test.p.value,
                    str(test.caution is not None).lower(),
                ]
                for row in results.forgetting
                for test in row.mcnemar
            ),
        )
    if results.order_effects:
        parts = ("safety_first", "capability_first", "effect")
        write_table(
            folder / "order_effects.csv",
            [
                *("safety", "capability"),
                *(f"{part}{end}" for part in parts for end in _ENDS),
                *("p", "p_adjusted"),
            ],
            (
                [
                    row.safety,
                    row.capability,
                    *measured_fields([getattr(row, part) for part in parts]),
                    row.p.value,
                    row.p_adjusted.value,
                ]
                for row in results.order_effects
            ),
        )
    if results.transfer:
        write_table(
            folder / "transfer.csv",
            ["chain", "seed", *(f"{n}{end}" for n in ("acc", "bwt", "fwt") for end in _ENDS)],
            (
                [
                    chain_field(row.chain),
                    "all" if row.seed is None else row.seed,
                    *measured_fields([row.acc, row.bwt, row.fwt]),
                ]
                for row in results.transfer
            ),
        )
    _agreement(results, folder)


def _agreement(results: Results, folder: Path) -> None:
    if any(found.kendall_w.value is not None for found in results.consistency):
        names = ["kendall_w", "friedman", "friedman_p", "spearman"]
        write_table(
            folder / "consistency.csv",
            ["first_task", "pairs", "groups", *names, "p_by_pair", "p_by_first_stage"],
            (
                [
                    found.task,
                    len(found.pairs),
                    text_field("; ".join(found.groups)),
                    *(getattr(found, name).value for name in names),
                    found.by_pair.p.value,
                    found.by_first_stage.p.value,
                ]
                for found in results.consistency
            ),
        )
    if results.variance.rows:
        write_table(
            folder / "variance.csv",
            ["safety", "capability", "task", "unit", "source", "variance", "negative"],
            (
                [
                    row.safety,
                    row.capability,
                    row.task,
                    row.unit,
                    source,
                    part.variance.value,
                    str(part.negative).lower(),
                ]
                for row in results.variance.rows
                for source, part in row.components.items()
            ),
        )
