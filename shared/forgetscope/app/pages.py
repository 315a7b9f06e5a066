"""What all HTML pages share: stylesheet, macros, and numbers in words.

A page is one file that opens anywhere: no script, nothing loaded, every name in it escaped.
"""

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from forgetscope.schema.measured import Measured

__all__ = ["chain_text", "environment", "interval", "level", "number", "percent", "points", "ratio"]

_MINUS = "\N{MINUS SIGN}"
_NBSP = "\N{NO-BREAK SPACE}"


def environment(package: str) -> Environment:
    """Templates of `package` and those that all pages share: page.css, macros.html.j2."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("forgetscope.app")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for word in (chain_text, interval, level, percent, points, ratio):
        made.filters[word.__name__] = word
    made.globals.update(percent=percent, points=points, ratio=ratio)
    return made


def number(value: float, digits: int, *, sign: bool) -> str:
    """A number with a real minus sign; what rounds to 0 has no sign."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return (_MINUS if value < 0 else "+" if sign else "") + text


def percent(fraction: float | None) -> str:
    """0.978 → "97.8 %"."""
    return "–" if fraction is None else number(100 * fraction, 1, sign=False) + _NBSP + "%"


def points(fraction: float | None) -> str:
    """0.368 → "+36.8": percentage points with their sign."""
    return "–" if fraction is None else number(100 * fraction, 1, sign=True)


def ratio(value: float | None) -> str:
    """0.376 → "+0.38": a share without unit."""
    return "–" if value is None else number(value, 2, sign=True)


def interval(measured: Measured, *, scale: float = 100, digits: int = 1, sign: bool = True) -> str:
    """ "+30.1 to +42.9", or the reason why there is no interval."""
    if measured.low is None or measured.high is None:
        return measured.reason or measured.interval_reason or "no interval"
    low, high = (number(scale * e, digits, sign=sign) for e in (measured.low, measured.high))
    return f"{low} to {high}"


def chain_text(chain: tuple[str, ...]) -> str:
    """The tasks in training order."""
    return " → ".join(chain) if chain else "base model"


def level(confidence: float) -> str:
    """0.95 → "95 %"."""
    return f"{100 * confidence:g}{_NBSP}%"
