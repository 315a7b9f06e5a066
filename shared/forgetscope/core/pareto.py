"""Which of several points no other one beats. Pure."""

from collections.abc import Sequence

__all__ = ["on_front"]


def on_front(points: Sequence[Sequence[float]]) -> list[bool]:
    """For each point: no other is at most as large in every number and smaller in one.

    Smaller is better. Equal points do not beat each other.
    """
    return [not any(_beats(other, point) for other in points) for point in points]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
