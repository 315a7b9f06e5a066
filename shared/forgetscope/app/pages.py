"""What all HTML pages share: stylesheet, macros, and numbers in words.

A page is one file that opens anywhere: no script, nothing loaded, every name in it escaped.
"""

from collections.abc import Mapping
from types import MappingProxyType

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from forgetscope.schema.measured import Measured
from forgetscope.schema.verdicts import Judged

__all__ = [
    "chain_text",
    "environment",
    "interval",
    "level",
    "number",
    "p_value",
    "percent",
    "points",
    "ratio",
    "significant",
    "verdict_mark",
    "verdict_tone",
    "word_mark",
    "word_tone",
]

_TONES: Mapping[str, str] = MappingProxyType(
    {"breach": "breach", "pass": "pass", "underpowered": "open"}
)
_MARKS: Mapping[str, str] = MappingProxyType({"breach": "▲", "pass": "▼", "open": "●", "none": "○"})
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
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
    words = (chain_text, interval, level, p_value, percent, points, ratio, significant)
    for word in (*words, verdict_mark, verdict_tone, word_mark, word_tone):
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


def significant(value: float | None) -> str:
    """Three digits: 0.0232, −12.3, 1.16×10⁻⁷."""
    if value is None:
        return "–"
    sign = _MINUS if value < 0 else ""
    digits, _, power = f"{abs(value):.2e}".partition("e")
    digits = digits.removesuffix(".00")
    if value == 0 or -3 <= int(power) <= 4:
        text = f"{abs(value):.3g}"
        text = f"{float(text):,.0f}".replace(",", "") if "e" in text else text
        return sign + text
    return f"{sign}{digits}×10{str(int(power)).translate(_RAISED)}"


def p_value(p: Measured) -> str:
    """ "0.034", "< 0.001", or a dash."""
    if p.value is None:
        return "–"
    return "< 0.001" if p.value < 0.001 else f"{p.value:.3f}"


def verdict_tone(judged: Judged) -> str:
    """The tone of a mark: that of the verdict, or none where there is no interval to judge."""
    return "none" if judged.differs_from_zero is None else _TONES[judged.verdict]


def verdict_mark(judged: Judged) -> str:
    """The same shapes as in the figures, and the word."""
    return f"{_MARKS[verdict_tone(judged)]} {judged.verdict}"


def word_tone(word: str) -> str:
    """The tone of a verdict of which only the word is known; none of other words."""
    return _TONES.get(word, "none")


def word_mark(word: str) -> str:
    """A verdict's word with its shape; other words as they are."""
    return f"{_MARKS[_TONES[word]]} {word}" if word in _TONES else word
