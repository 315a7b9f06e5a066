"""Parts of docs/results.md: recovery and curvature, and how tables are written."""

from collections.abc import Iterator, Mapping

from forgetscope.app.pages import chain_text, interval, number, percent, points, significant
from forgetscope.schema.curvature import Iterated
from forgetscope.schema.measured import Measured
from forgetscope.schema.recovery import RecoveryRow
from forgetscope.schema.results import Results

__all__ = [
    "curvature_part",
    "guess_of",
    "near_guessing",
    "points_of",
    "recovery_part",
    "row_of",
    "table",
]


def recovery_part(found: Results) -> Iterator[str]:
    """What mitigations bring back, and what they cost."""
    yield (
        "Recovery: share of the forgotten that a mitigation brings back, with Fieller's interval; "
        "undefined where no forgetting is shown. The price is accuracy lost on another task of the "
        "chain; tokens are those that it trains on beyond the plain chain, by estimate. *Front*: "
        "on the Pareto front by the values alone, which noise moves.\n"
    )
    yield from table(
        (
            "chain",
            "task",
            "forgotten",
            "recovery",
            "still forgotten",
            "worst BF",
            "price",
            "tokens",
            "front",
        ),
        [_recovered(row, {t.id: t.chance for t in found.tasks}) for row in found.recovery],
    )


def _recovered(row: RecoveryRow, chances: Mapping[str, float | None]) -> str:
    extra = row.mitigated.tokens - row.mitigated.plain_tokens
    if row.recovery.value is None:
        recovery = "undefined"
    else:
        held = interval(row.recovery, digits=0, sign=False)
        recovery = f"{number(100 * row.recovery.value, 0, sign=False)} % ({held})"
    worst = "–" if row.worst_group is None else f"{row.worst_group} {points_of(row.worst_biased)}"
    return row_of(
        chain_text(row.mitigated.chain),
        row.task,
        points_of(row.forgotten),
        recovery,
        points_of(row.remaining),
        worst,
        "; ".join(
            f"{price.task} {points_of(price.price)}"
            + (" †" if near_guessing(price.plain, chances[price.task]) else "")
            for price in row.prices
        )
        or "–",
        f"{extra:,}",
        row.front or "–",
    )


def curvature_part(found: Results) -> Iterator[str]:
    """Spectral radii after each task, and safety against capability."""
    tasks = {task.id: task for task in found.tasks}
    accuracy = {(cell.chain, cell.task): cell.overall.value for cell in found.matrix}
    yield (
        "The radius is the eigenvalue of largest magnitude of the Hessian of the mean answer loss, "
        "with its sign; ± its residual. A negative one means that the loss curves down most, and a "
        "gradient far from 0 that the model is at no minimum.\n"
    )
    yield from table(
        (
            "task",
            "kind",
            "guess",
            "accuracy",
            "examples",
            "loss",
            "gradient norm",
            "radius",
            "verdict",
        ),
        [
            row_of(
                row.task,
                tasks[row.task].kind,
                guess_of(tasks[row.task].chance),
                percent(accuracy[row.chain, row.task]),
                f"{one.examples}",
                significant(one.loss),
                significant(one.gradient_norm),
                _radius(one.radius),
                one.radius.verdict or "–",
            )
            for row in found.curvature
            for one in row.spectra
        ],
    )
    summary = found.curvature_summary
    if summary is not None and summary.comparison is not None:
        comparison = summary.comparison
        ratio = comparison.ratio
        value = "undefined" if ratio.value is None else significant(ratio.value)
        yield (
            f"Median radius of {comparison.safety.models} safety tasks over that of "
            f"{comparison.capability.models} capability tasks: {value}"
            f"; interval: {interval(ratio, scale=1, digits=2, sign=False)}. {comparison.caution}\n"
        )


def _radius(found: Iterated) -> str:
    if found.value is None:
        return f"– ({found.reason})"
    residual = "" if found.residual is None else f" ± {significant(found.residual)}"
    return significant(found.value) + residual


def near_guessing(before: Measured, chance: float | None) -> bool:
    """Whether the interval of an accuracy holds that of guessing, or lies below it."""
    return chance is not None and before.low is not None and before.low <= chance


def guess_of(chance: float | None) -> str:
    """The accuracy of guessing, or a dash."""
    return "–" if chance is None else percent(chance)


def points_of(measured: Measured) -> str:
    """A difference in points with its interval, or why there is none."""
    if measured.value is None:
        return f"– ({measured.reason})"
    return f"{points(measured.value)} ({interval(measured)})"


def table(head: tuple[str, ...], rows: list[str]) -> Iterator[str]:
    """The lines of a table in Markdown."""
    yield row_of(*head)
    yield "|---" * len(head) + "|"
    yield from rows
    yield ""


def row_of(*cells: str) -> str:
    """One line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
