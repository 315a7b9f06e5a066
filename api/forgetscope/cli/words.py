"""Numbers and times as people read them. Pure."""

from forgetscope.schema.results import JudgeInfo, Measured

__all__ = ["bias", "chain_name", "duration", "judge_line", "percent", "points"]


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


def bias(measured: Measured) -> str:
    """A bias score, or a difference of two, with its interval, or why there is none."""
    if measured.value is None:
        return f"– ({measured.reason})"
    text = f"{measured.value:+.2f}"
    if measured.low is not None and measured.high is not None:
        text += f" [{measured.low:+.2f}, {measured.high:+.2f}]"
    return text


def judge_line(judge: JudgeInfo) -> str:
    """What the accuracies of a judged task are, and how often its classifier is right."""
    said = f"share that the classifier {judge.name} calls safe"
    known = [
        f"{percent(found.accuracy.value, found.accuracy.reason)} %"
        + (
            f" [{100 * found.accuracy.low:.1f}, {100 * found.accuracy.high:.1f}]"
            if found.accuracy.low is not None and found.accuracy.high is not None
            else ""
        )
        + f" of {found.items} held-out items of {found.data}"
        for found in judge.held_out
    ]
    if not known:
        return f"{said}; how often it is right is not known"
    return f"{said}; {judge.name} is right on {' and '.join(known)}"
