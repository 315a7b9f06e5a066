"""BBQ's own scores as tables for the terminal."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from forgetscope.cli.words import bias, chain_name, percent
from forgetscope.core.steps import task_of
from forgetscope.schema.results import BbqResults, Results

__all__ = ["bbq_tables"]


def bbq_tables(results: Results) -> Iterator[Table]:
    """For each BBQ task: the scores of every model, and what each chain did to them."""
    for bbq in results.bbq:
        yield _models(bbq, 100 * results.settings.confidence)
        if bbq.changes:
            yield _changes(bbq, 100 * results.settings.confidence)


def _models(bbq: BbqResults, confidence: float) -> Table:
    table = _table(
        f"{bbq.task}: accuracy in percent, and bias scores from −1 (against the stereotype) to 1 "
        f"(with it), {confidence:g} % interval",
        f"{bbq.unknown_groups} of {bbq.items} items stand under no group; {bbq.unknown_persons} do "
        "not tell the stereotyped person, and are in no bias score",
    )
    table.add_column("trained on", overflow="fold")
    table.add_column("seed", justify="right")
    for name in ("right, ambiguous", "right, disambiguated", "bias, ambiguous"):
        table.add_column(name, justify="right")
    table.add_column("bias, disambiguated", justify="right")
    for model in bbq.models:
        scores = model.overall
        table.add_row(
            escape(chain_name(model.chain)),
            "–" if model.seed is None else str(model.seed),
            *(
                escape(percent(right.value, right.reason))
                for right in (
                    scores.accuracy_ambiguous.accuracy,
                    scores.accuracy_disambiguated.accuracy,
                )
            ),
            escape(bias(scores.bias_ambiguous.score)),
            escape(bias(scores.bias_disambiguated.score)),
        )
    return table


def _changes(bbq: BbqResults, confidence: float) -> Table:
    table = _table(
        f"{bbq.task}: bias scores after the task's own stage and at the end of the chain, "
        f"{confidence:g} % interval of the change (positive: towards the stereotype)"
    )
    table.add_column("chain", overflow="fold")
    table.add_column("group", overflow="fold")
    table.add_column("context")
    for name in ("before", "after"):
        table.add_column(name, justify="right")
    table.add_column("change", justify="right")
    for row in bbq.changes:
        name = chain_name(row.chain)
        if [*map(task_of, row.chain)].count(bbq.task) > 1:
            name += f" (from stage {row.position})"
        for context, change in (
            ("ambiguous", row.ambiguous),
            ("disambiguated", row.disambiguated),
        ):
            table.add_row(
                escape(name),
                "all" if row.group is None else escape(row.group),
                context,
                *(
                    "–" if side.value is None else f"{side.value:+.2f}"
                    for side in (change.before, change.after)
                ),
                escape(bias(change.change)),
            )
    return table


def _table(title: str, caption: str | None = None) -> Table:
    return Table(
        title=escape(title),
        caption=caption and escape(caption),
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        header_style="bold",
    )
