"""`forgetscope compare`: two experiments side by side."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from forgetscope.cli.files import write_text
from forgetscope.cli.talk import DEFAULT_URL, ExperimentArg, Url, out, talk
from forgetscope.cli.words import chain_name, points
from forgetscope.schema.compare import Compared, Comparison, Leftover

__all__ = ["compare"]

_WORDS = {"one": "first", "other": "second"}


def compare(
    experiment_id: ExperimentArg,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Id of the other experiment.")],
    html: Annotated[
        Path | None, typer.Option("--html", help="Save it as a page there, and print no tables.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Compare two finished experiments: forgetting side by side, and the settings that differ.

    Example: forgetscope compare ID OTHER --html comparison.html
    """
    with talk(url) as client:
        if html is not None:
            write_text(html, client.compare_html(experiment_id, other))
            out.print(f"{html.resolve()}", markup=False, soft_wrap=True)
            return
        found = client.compare(experiment_id, other)
    if as_json:
        print(found.model_dump_json(indent=1))  # noqa: T201 - exact, for scripts
        return
    for table in _tables(found):
        out.print(table, "")
    for which, left in (("first", found.only_one), ("second", found.only_other)):
        if said := _leftover(left):
            out.print(f"Only in the {which}: {said}", markup=False, soft_wrap=True)
    for note in found.notes:
        out.print(f"Note: {note}", markup=False, soft_wrap=True)


def _tables(found: Comparison) -> Iterator[Table]:
    if found.rows:
        table = _sides("Forgetting in points, with the interval of each experiment", found)
        for row in found.rows:
            _add(table, f"{row.task}\nafter {chain_name(row.chain)}", row.forgetting)
        yield table
    for row in found.rows:
        if row.groups:
            title = f"Biased forgetting of {row.task} after {chain_name(row.chain)}, in points"
            table = _sides(title, found)
            for group in row.groups:
                which = " and the ".join(_WORDS[side] for side in group.too_small)
                small = f"\n(too small to judge in the {which})" if which else ""
                _add(table, group.group + small, group.biased)
            yield table
    if found.order_effects:
        table = _sides("Order effect in points", found)
        for order in found.order_effects:
            _add(table, f"{order.safety}, {order.capability}", order.effect)
        yield table
    if found.settings:
        table = _table("Settings that differ")
        for name in ("setting", "first", "second"):
            table.add_column(name, overflow="fold")
        for setting in found.settings:
            table.add_row(
                *(escape(f"{part}") for part in (setting.pointer, setting.one, setting.other))
            )
        yield table


def _sides(title: str, found: Comparison) -> Table:
    table = _table(title)
    table.add_column("", overflow="fold")
    for word, side in (("first", found.one), ("second", found.other)):
        table.add_column(escape(f"{word}: {side.name}"), justify="right")
    table.add_column("second − first", justify="right", overflow="fold")
    return table


def _add(table: Table, label: str, compared: Compared) -> None:
    numbers = (points(m) for m in (compared.one, compared.other, compared.difference))
    table.add_row(escape(label), *(escape(number) for number in numbers))


def _leftover(left: Leftover) -> str:
    tasks = [f"tasks {', '.join(left.tasks)}"] if left.tasks else []
    chains = [f"chains {', '.join(map(chain_name, left.chains))}"] if left.chains else []
    return "; ".join(tasks + chains)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", header_style="bold")
