"""The page of an audit: one HTML file that opens anywhere, without network and without scripts."""

from datetime import UTC, datetime
from functools import cache

from jinja2 import Environment

from forgetscope.analysis.figures import Drawing, Line, interval_plot
from forgetscope.analysis.noise import noise_line
from forgetscope.analysis.words import judge_line
from forgetscope.app import pages
from forgetscope.core.policy_words import need_line, row_title
from forgetscope.schema.audit import AuditResults, AuditRow

__all__ = ["render_audit"]

_MARKS = {"pass": "pass", "breach": "breach", "underpowered": "open"}
_TITLES = {"pass": "Passed", "breach": "Breached", "underpowered": "Not decided"}


def render_audit(results: AuditResults) -> str:
    """The whole page. Equal input gives equal bytes; every name in it is escaped. It holds no text
    of an item."""
    packages = results.provenance.get("packages")
    found = packages.items() if isinstance(packages, dict) else ()
    return (
        _environment()
        .get_template("audit.html.j2")
        .render(
            results=results,
            title=_TITLES[results.outcome],
            tone=_MARKS[results.outcome],
            figure=_forest(results),
            models=(("Reference", results.reference), ("Candidate", results.candidate)),
            noisy="reference" if results.reference.baseline is None else "candidate",
            packages=sorted((str(name), str(version)) for name, version in found),
        )
    )


@cache
def _environment() -> Environment:
    environment = pages.environment("forgetscope.analysis")
    for word in (row_title, need_line, noise_line, judge_line, day):
        environment.filters[word.__name__] = word
    return environment


def day(seconds: float) -> str:
    """Seconds since 1970 as a day (UTC)."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _forest(results: AuditResults) -> Drawing | None:
    """Every number with its interval; the margin stands beside it, as each row has its own."""
    rows = [row for row in results.rows if row.estimate.value is not None]
    if not rows:
        return None
    said = "; ".join(f"{row_title(row)}: {pages.points(row.estimate.value)}" for row in rows)
    return interval_plot(
        [_line(row) for row in rows],
        axis="accuracy lost, percentage points",
        alt=f"Accuracy lost in percentage points with simultaneous intervals. {said}.",
        name="audit",
        title="Accuracy lost by the candidate",
    )


def _line(row: AuditRow) -> Line:
    value, low, high = (
        None if end is None else 100 * end
        for end in (row.estimate.value, row.estimate.low, row.estimate.high)
    )
    margin = "no margin" if row.margin is None else f"margin {100 * row.margin:.3g}"
    tone = "none" if low is None else _MARKS[row.verdict]
    label = row.task if row.group is None else f"{row.task}\n{row.group}"
    if row.what == "biased":
        label += " (beyond the task)"
    return Line(
        label, value or 0.0, low, high, tone, f"{pages.points(row.estimate.value)}, {margin}"
    )
