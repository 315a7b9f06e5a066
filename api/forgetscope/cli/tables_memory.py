"""What the stages of a plan need of memory, as a table."""

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from forgetscope.schema.plan import PlanView, StageMemory

__all__ = ["memory_table"]

_PARTS = (
    *("weights", "gradients", "optimiser", "copies", "tangents", "activations", "krylov"),
    "total",
)


def memory_table(plan: PlanView) -> Table:
    """One line for each kind of stage, way and set of parameters; the largest stage stands for
    all."""
    table = Table(
        title="Memory in GiB, estimated", title_justify="left", title_style="bold", box=SIMPLE_HEAD
    )
    table.add_column("stage", overflow="fold")
    for part in _PARTS:
        name = {"gradients": "grads", "activations": "activ."}.get(part, part)
        table.add_column(name, justify="right", no_wrap=True)
    for row in plan.memory:
        style = "dim" if row.use == "for comparison" else None
        sizes = [_size(getattr(row, part)) for part in _PARTS]
        table.add_row(escape(_name(row)), *sizes, style=style)
    return table


def _name(row: StageMemory) -> str:
    over = f"{row.over} ({row.parameters:,}), {row.dtype}"
    if row.kind == "merge":
        return f"merge, {over}, on the host"
    use = "" if row.use == "asked for" else f" ({row.use})"
    way = row.way.replace("_", " ")
    way += f" with {row.mitigation}" if row.mitigation else ""
    return f"{row.kind}, {way}, {over}, {row.rows} × {row.sequence} tokens{use}"


def _size(gib: float) -> str:
    return f"{gib:.1f}" if gib == 0 or gib >= 0.05 else "<0.1"
