"""Recovery, prices and the Pareto front as CSV tables."""

from pathlib import Path

from forgetscope.analysis.fronts import largest_price
from forgetscope.analysis.tables import (
    Field,
    chain_field,
    measured_fields,
    text_field,
    write_table,
)
from forgetscope.schema.recovery import MitigatedChain
from forgetscope.schema.results import Results

__all__ = ["write_recovery"]

_KEYS = ("chain", "plain", "mitigation", "variant", "selection", "equal_steps", "knob")
_PARTS = ("forgotten", "regained", "recovery", "remaining")


def write_recovery(results: Results, folder: Path) -> None:
    """Write recovery.csv (groups below their task), prices.csv and pareto.csv, where there are
    mitigated chains."""
    if not results.recovery:
        return
    counts = ("items", "clusters", "too_small")
    write_table(
        folder / "recovery.csv",
        [
            *(*_KEYS, "task", "position", "group", *counts, *_ends(_PARTS)),
            *("recovery_simultaneous_low", "recovery_simultaneous_high"),
        ],
        (
            [
                *_names(row.mitigated),
                row.task,
                row.position,
                *fields,
            ]
            for row in results.recovery
            for fields in [
                [
                    *("", row.items, row.clusters, None),
                    *measured_fields([getattr(row, part) for part in _PARTS]),
                    *(None, None),
                ],
                *(
                    [
                        *(text_field(group.group), group.items, group.clusters),
                        str(group.too_small).lower(),
                        *measured_fields([getattr(group, part) for part in _PARTS]),
                        group.simultaneous.recovery.low,
                        group.simultaneous.recovery.high,
                    ]
                    for group in row.groups
                ),
            ]
        ),
    )
    write_table(
        folder / "prices.csv",
        [
            *(*_KEYS, "task", "position", "price_task", "items"),
            *_ends(("plain_accuracy", "mitigated_accuracy", "price")),
            *("price_simultaneous_low", "price_simultaneous_high"),
        ],
        (
            [
                *(*_names(row.mitigated), row.task, row.position, price.task, price.items),
                *measured_fields([price.plain, price.mitigated, price.price]),
                *(price.simultaneous.low, price.simultaneous.high),
            ]
            for row in results.recovery
            for price in row.prices
        ),
    )
    write_table(
        folder / "pareto.csv",
        [
            *(*_KEYS, "task", "position", *_ends(("remaining",)), "worst_group"),
            *(*_ends(("worst_biased",)), "largest_price", "tokens", "plain_tokens", "front"),
        ],
        (
            [
                *(*_names(row.mitigated), row.task, row.position),
                *measured_fields([row.remaining]),
                None if row.worst_group is None else text_field(row.worst_group),
                *measured_fields([row.worst_biased]),
                largest_price(row),
                row.mitigated.tokens,
                row.mitigated.plain_tokens,
                row.front,
            ]
            for row in results.recovery
        ),
    )


def _names(found: MitigatedChain) -> list[Field]:
    return [
        chain_field(found.chain),
        chain_field(found.plain),
        found.mitigation,
        text_field(found.variant),
        found.selection,
        str(found.equal_steps).lower(),
        found.knob,
    ]


def _ends(names: tuple[str, ...]) -> list[str]:
    return [column for name in names for column in (name, f"{name}_low", f"{name}_high")]
