"""Numbers and times as people read them. Pure."""

from forgetscope.schema.results import Measured

__all__ = ["chain_name", "duration", "percent", "points"]


def duration(seconds: float) -> str:
    """`45 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def chain_name(chain: tuple[str, ...]) -> str:
    """The tasks in training order."""
    return " → ".join(chain) if chain else "base model"


def percent(value: float | None, reason: str | None) -> str:
    """A fraction in percent, or why there is none."""
    return f"{100 * value:.1f}" if value is not None else f"– ({reason})"


def points(measured: Measured) -> str:
    """A difference in percentage points with its interval, or why there is none."""
    if measured.value is None:
        return f"– ({measured.reason})"
    text = f"{100 * measured.value:+.1f}"
    if measured.low is not None and measured.high is not None:
        text += f" [{100 * measured.low:+.1f}, {100 * measured.high:+.1f}]"
    return text
