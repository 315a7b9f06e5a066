"""`forgetscope compare`: two experiments side by side."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from forgetscope.cli.files import write_text
from forgetscope.cli.tables_curvature import unsettled_table
from forgetscope.cli.tables_verdicts import VERDICT_LOOKS, verdict_text
from forgetscope.cli.talk import DEFAULT_URL, ExperimentArg, Url, out, talk
from forgetscope.cli.words import chain_name, points
from forgetscope.core.compare_curvature import compared_unsettled
from forgetscope.schema.compare import Compared, ComparedVerdict, Comparison, Leftover
from forgetscope.schema.curvature import Iterated

__all__ = ["compare"]

_WORDS = {(): "", ("one",): "the first", ("other",): "the second"}


def compare(
    experiment_id: ExperimentArg,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Id of the other experiment.")],
    *,
    html: Annotated[
        Path | None, typer.Option("--html", help="Save it as a page there, and print no tables.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--csv", help="Save it as a CSV table there, and print no tables."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Compare two finished experiments: forgetting, verdicts, curvature, settings that differ.

    Example: forgetscope compare ID OTHER --html comparison.html
    """
    with talk(url) as client:
        if html is not None:
            write_text(html, client.compare_html(experiment_id, other))
        if table is not None:
            write_text(table, client.compare_csv(experiment_id, other))
        if saved := [path for path in (html, table) if path is not None]:
            for path in saved:
                out.print(f"{path.resolve()}", markup=False, soft_wrap=True)
            return
        found = client.compare(experiment_id, other)
    if as_json:
        print(found.model_dump_json(indent=1))  # noqa: T201 - exact, for scripts
        return
    for each in _tables(found):
        out.print(each, "")
    for which, left in (("first", found.only_one), ("second", found.only_other)):
        if said := _leftover(left):
            out.print(f"Only in the {which}: {said}", markup=False, soft_wrap=True)
    for note in found.notes:
        out.print(f"Note: {note}", markup=False, soft_wrap=True)


def _tables(found: Comparison) -> Iterator[Table]:
    if found.rows:
        yield _changed(found)
        table = _sides("Forgetting in points, with the interval of each experiment", found)
        for row in found.rows:
            label = f"{row.task}\nafter {chain_name(row.chain)}"
            _add(table, label, row.forgetting, _verdicts(row.verdict))
        yield table
    for row in found.rows:
        if row.groups:
            title = f"Biased forgetting of {row.task} after {chain_name(row.chain)}, in points"
            table = _sides(title, found)
            for group in row.groups:
                where = "both" if len(group.too_small) == 2 else _WORDS[group.too_small[:1]]
                small = f"\n(too small to judge in {where})" if group.too_small else ""
                _add(table, group.group + small, group.biased, _verdicts(group.verdict))
            yield table
    if found.order_effects:
        table = _sides("Order effect in points", found, last="shown, first and second")
        for order in found.order_effects:
            shown = f"{order.one_shown}\n{order.other_shown}"
            _add(table, f"{order.safety}, {order.capability}", order.effect, escape(shown))
        yield table
    if found.curvature:
        yield _curvature(found)
        if open_ := compared_unsettled(found.curvature):
            yield unsettled_table(open_)
    if found.settings:
        table = _table("Settings that differ")
        for name in ("setting", "first", "second"):
            table.add_column(name, overflow="fold")
        for setting in found.settings:
            table.add_row(
                *(escape(f"{part}") for part in (setting.pointer, setting.one, setting.other))
            )
        yield table


def _changed(found: Comparison) -> Table:
    changed = found.changed_verdicts
    table = _table(f"Verdicts: {len(changed)} of {len(changed) + found.same_verdicts} differ")
    for name in ("about", "where", "first", "second", "keep in mind"):
        table.add_column(name, overflow="fold")
    for one in changed:
        where = f"{one.task} after {chain_name(one.chain)}" if one.task else " and ".join(one.chain)
        table.add_row(
            one.about,
            escape(where + (f"\n{one.group}" if one.group else "")),
            *(VERDICT_LOOKS.get(word, word) for word in (one.one, one.other)),
            one.caution or "",
        )
    return table


def _curvature(found: Comparison) -> Table:
    table = _table("Curvature: the Hessian of the loss right after a task's stage")
    table.add_column("model", overflow="fold")
    table.add_column("number")
    for name in ("first", "second", "second − first"):
        table.add_column(name, justify="right", overflow="fold")
    for row in found.curvature:
        place = f"{chain_name(row.chain)}\nseed {row.seed}, set {row.set}"
        for name, number in (
            ("radius λ", row.radius),
            ("largest λ", row.largest),
            ("lowest λ", row.lowest),
            ("trace", row.trace),
        ):
            if number.one.value is not None or number.other.value is not None:
                difference = number.difference
                table.add_row(
                    escape(place),
                    name,
                    *(escape(_iterated(side)) for side in (number.one, number.other)),
                    f"{difference.value:+.3g}"
                    if difference.value is not None
                    else escape(f"– ({difference.reason})"),
                )
        table.add_row(escape(place), "loss", f"{row.one_loss:.3g}", f"{row.other_loss:.3g}", "")
    return table


def _iterated(found: Iterated) -> str:
    if found.value is None:
        return f"– ({found.reason})"
    return f"{found.value:+.3g}" + ("\n(not converged)" if found.why else "")


def _verdicts(found: ComparedVerdict) -> str:
    return "\n".join(verdict_text(judged) for judged in (found.one, found.other))


def _sides(title: str, found: Comparison, *, last: str = "verdict, first and second") -> Table:
    table = _table(title)
    table.add_column("", overflow="fold")
    for word, side in (("first", found.one), ("second", found.other)):
        table.add_column(escape(f"{word}: {side.name}"), justify="right")
    table.add_column("second − first", justify="right", overflow="fold")
    table.add_column(last)
    return table


def _add(table: Table, label: str, compared: Compared, judged: str) -> None:
    """`judged` is rich markup."""
    numbers = (points(m) for m in (compared.one, compared.other, compared.difference))
    table.add_row(escape(label), *(escape(number) for number in numbers), judged)


def _leftover(left: Leftover) -> str:
    tasks = [f"tasks {', '.join(left.tasks)}"] if left.tasks else []
    chains = [f"chains {', '.join(map(chain_name, left.chains))}"] if left.chains else []
    curvature = [f"curvature of {'; '.join(left.curvature)}"] if left.curvature else []
    return "; ".join(tasks + chains + curvature)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", header_style="bold")
