"""What monitors saw as a CSV table."""

from pathlib import Path

from forgetscope.analysis.tables import chain_field, text_field, write_table
from forgetscope.schema.results import Results

__all__ = ["write_monitored"]


def write_monitored(results: Results, folder: Path) -> None:
    """Write monitored.csv, a line for each group at each look, where a stage was watched."""
    if not results.monitored:
        return
    write_table(
        folder / "monitored.csv",
        [
            *("chain", "seed", "watched", "group", "step", "estimate"),
            *("mean", "mean_low", "mean_high", "margin", "called"),
        ],
        (
            [
                *(chain_field(stage.chain), stage.seed, stage.watched, text_field(seen.group)),
                *(look.step, look.estimate, look.mean, look.low, look.high),
                stage.settings.margin,
                str(seen.call is not None and seen.call.step <= look.step).lower(),
            ]
            for stage in results.monitored
            for seen in stage.groups
            for look in seen.looks
        ),
    )
