"""What the results document says about its own limits."""

from collections.abc import Iterator, Sequence

from forgetscope.schema.experiment import AnalysisSpec
from forgetscope.schema.results import ChainForgetting, Measured

__all__ = ["cautions"]


def cautions(
    seeds: Sequence[int], settings: AnalysisSpec, rows: Sequence[ChainForgetting]
) -> Iterator[str]:
    """What a reader must know before believing the intervals."""
    if len(seeds) == 1:
        yield (
            "One seed: the intervals cover the choice of items, not the variation between "
            "training runs."
        )
    elif len(seeds) < 5:
        yield (
            f"{len(seeds)} seeds: runs are resampled as well as items, but so few runs "
            "describe the variation between runs only roughly."
        )
    if any(row.groups for row in rows):
        yield ("Each interval is for one number; they are not adjusted for looking at many groups.")
    most = max((m.left_out for m in _all_measured(rows)), default=0)
    if most:
        yield (
            f"For some numbers up to {most} of {settings.bootstrap_replicates} bootstrap "
            "replicates were undefined (no item of the group drawn, or nothing to divide by); "
            "their intervals are those of the other replicates."
        )
    unscored = sum(row.unscored for row in rows)
    if unscored:
        yield (
            f"{unscored} item comparisons were left out because an item was unscored under one "
            "of the two models; the counts stand beside each number."
        )


def _all_measured(rows: Sequence[ChainForgetting]) -> Iterator[Measured]:
    for row in rows:
        for part in (row, *row.groups):
            yield from (value for _, value in part if isinstance(value, Measured))
