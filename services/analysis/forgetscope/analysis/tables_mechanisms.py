"""Mechanisms as CSV tables. An undefined number is an empty field."""

from pathlib import Path

from forgetscope.analysis.tables import chain_field, text_field, write_table
from forgetscope.schema.results import Results

__all__ = ["write_mechanisms"]

_GROUP = (
    *("forgetting", "biased", "displacement", "cka", "share_own", "share_later"),
    *("curvature", "slope"),
)
_PAIR = ("domain", "format", "output", "forgetting")


def write_mechanisms(results: Results, folder: Path) -> None:
    """Write mechanisms.csv, drift.csv, associations.csv and similarity.csv; nothing where
    mechanisms were not asked for."""
    found = results.mechanisms
    if found is None:
        return
    write_table(
        folder / "mechanisms.csv",
        ["chain", "task", "position", "group", "too_small", *_GROUP],
        (
            [
                *(chain_field(row.chain), row.task, row.position, text_field(row.group)),
                str(row.too_small).lower(),
                *(getattr(row, name).value for name in _GROUP),
            ]
            for row in found.groups
        ),
    )
    write_table(
        folder / "drift.csv",
        [
            *("chain", "task", "position", "seed", "layer", "depth", "group", "items"),
            *("cka", "displacement"),
        ],
        (
            [
                *(chain_field(row.chain), row.task, row.position, row.seed),
                *(layer.layer, row.depth, text_field(group), drift.items),
                *(drift.cka.value, drift.displacement.value),
            ]
            for row in found.drift
            for layer in row.layers
            for group, drift in [("", layer.whole), *layer.groups.items()]
        ),
    )
    write_table(
        folder / "associations.csv",
        [
            *("candidate", "against", "task", "chain", "position", "points", "rows"),
            *("spearman", "spearman_low", "spearman_high", "p"),
        ],
        (
            [
                *(row.candidate, row.against, row.task),
                *(None if row.chain is None else chain_field(row.chain), row.position),
                *(row.points, row.rows, row.spearman.value, row.spearman.low, row.spearman.high),
                row.p.value,
            ]
            for row in found.associations
        ),
    )
    write_table(
        folder / "similarity.csv",
        ["chain", *_PAIR],
        (
            [chain_field(row.chain), *(getattr(row, name).value for name in _PAIR)]
            for row in found.pairs
        ),
    )
