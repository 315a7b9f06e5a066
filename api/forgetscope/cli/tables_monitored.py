"""What monitors saw and did while stages trained, as a table for the terminal."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from forgetscope.cli.words import chain_name
from forgetscope.schema.results import Results

__all__ = ["monitor_tables"]


def monitor_tables(results: Results) -> Iterator[Table]:
    """One table, where a stage was watched."""
    if not results.monitored:
        return
    table = Table(
        title="Monitored stages; biased forgetting of the probes in points",
        title_justify="left",
        title_style="bold",
    )
    for name in ("stage at the end of", "seed", "watched", "looks", "calls", "end"):
        table.add_column(name, overflow="fold")
    for stage in results.monitored:
        calls = "\n".join(
            f"▲ {seen.group} at step {seen.call.step}, mean {100 * seen.call.mean:+.1f}"
            for seen in stage.groups
            if seen.call is not None
        )
        end = f"all {stage.steps} steps"
        if stage.stopped_at is not None:
            end = f"{stage.settings.action} at step {stage.stopped_at}"
        table.add_row(
            escape(chain_name(stage.chain)),
            str(stage.seed),
            escape(stage.watched),
            str(stage.looks),
            escape(calls or "none"),
            end,
        )
    yield table
