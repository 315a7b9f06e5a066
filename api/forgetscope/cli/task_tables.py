"""Tasks and their previews for the terminal."""

from collections.abc import Iterator

import yaml
from pydantic import JsonValue
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from forgetscope.schema.preview import Flag, PreviewExample, SplitPreview, TaskPreview
from forgetscope.schema.views import TaskView

__all__ = ["preview_parts", "task_parts"]

MARKS = {"error": "[bold red]error[/]", "warning": "[yellow]warning[/]", "note": "[dim]note[/]"}


def task_parts(task: TaskView) -> Iterator[RenderableType]:
    """One task of the catalogue: what it is, then its parameters or its definition."""
    table = _pairs(task.name)
    sizes = ", ".join(f"{split} {count}" for split, count in task.sizes.items())
    rows = {
        "kind": task.kind,
        "summary": task.summary,
        "licence": task.licence,
        "citation": task.citation,
        "guessing": _chance(task.chance),
        "groups": ", ".join(task.groups),
        "sizes": sizes,
        "notes": "\n".join(task.notes),
        "origin": "registered here" if task.registered else "built in",
    }
    for name, value in rows.items():
        table.add_row(name, escape(value) or "–")
    yield table
    if task.definition is not None:
        told = yaml.safe_dump(_told(task.definition), sort_keys=False, allow_unicode=True)
        yield Text(told)
        return
    params = _parameters(task)
    if params.row_count:
        yield params


def _told(value: JsonValue) -> JsonValue:
    """A definition without the fields that say nothing."""
    if not isinstance(value, dict):
        return [_told(item) for item in value] if isinstance(value, list) else value
    return {name: _told(item) for name, item in value.items() if item not in (None, {}, [])}


def _parameters(task: TaskView) -> Table:
    table = _table("Parameters")
    for name in ("name", "values", "default", ""):
        table.add_column(name, overflow="fold")
    properties = task.params_schema.get("properties")
    for name, value in (properties if isinstance(properties, dict) else {}).items():
        if isinstance(value, dict):
            listed = value.get("enum")
            values = ", ".join(map(str, listed)) if isinstance(listed, list) else value.get("type")
            default = value.get("default")
            short = (
                "…" if isinstance(default, (dict, list)) else "–" if default is None else default
            )
            cells = (name, values or "", short, value.get("description", ""))
            table.add_row(*(escape(str(cell)) for cell in cells))
    return table


def preview_parts(preview: TaskPreview) -> Iterator[RenderableType]:
    """Counts and first examples of each split, then what is doubtful."""
    yield Text(f"{preview.name}: {preview.kind}, guessing {_chance(preview.chance)}", style="bold")
    for split in preview.splits:
        yield _counts(split)
        for example in split.first:
            yield _example(example)
    yield from map(_flag, preview.flags)
    if not preview.flags:
        yield Text("Nothing doubtful was found.", style="green")


def _counts(split: SplitPreview) -> Table:
    table = _pairs(split.split)
    groups = [
        f"{name} {size.items} in {size.clusters}" for name, size in sorted(split.groups.items())
    ]
    if split.groups:
        groups.append(f"without a known group {split.without_group}")
    rows = {
        "items": str(split.examples),
        "right answers": ", ".join(f"{word} {count}" for word, count in split.classes.items()),
        "clusters": str(split.clusters),
        "groups (items in clusters)": ", ".join(groups),
        "longest": f"about {split.longest_tokens} tokens (estimate)",
    }
    for name, value in rows.items():
        table.add_row(name, escape(value) or "–")
    return table


def _example(example: PreviewExample) -> Panel:
    facts = [f"cluster {example.cluster}", f"score {example.score}"]
    if example.groups:
        facts.append(f"groups {', '.join(example.groups)}")
    if example.stratum:
        facts.append(f"stratum {example.stratum}")
    if example.options:
        answer = " |".join(
            f"{option} ✓" if option == example.target else option for option in example.options
        )
    else:
        answer = example.target
    return Panel(
        Group(
            Text(example.prompt),
            Text(answer.strip(), style="green"),
            Text("; ".join(facts), style="dim"),
        ),
        title=escape(example.row or example.id),
        title_align="left",
    )


def _flag(flag: Flag) -> Text:
    text = Text.from_markup(f"{MARKS[flag.severity]} {flag.kind} in {flag.split or 'both splits'}")
    text.append(f": {flag.count} {flag.detail}" if flag.count else f": {flag.detail}")
    if flag.rows:
        text.append(f"\n  {', '.join(flag.rows)}", style="dim")
    return text


def _chance(chance: float | None) -> str:
    return "not known" if chance is None else f"{100 * chance:.0f} %"


def _pairs(title: str) -> Table:
    table = _table(title)
    table.show_header = False
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _table(title: str) -> Table:
    return Table(title=escape(title), title_justify="left", title_style="bold", header_style="bold")
