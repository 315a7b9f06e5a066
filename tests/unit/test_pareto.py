"""Pareto fronts."""

from hypothesis import given
from hypothesis import strategies as st

from forgetscope.core.pareto import on_front

points = st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=8)


def test_the_front_of_a_few_points_is_the_one_seen_by_eye() -> None:
    assert on_front([(0, 3), (1, 1), (3, 0), (2, 2), (1, 3)]) == [True, True, True, False, False]


def test_equal_points_stay_together() -> None:
    assert on_front([(1, 1), (1, 1), (2, 1)]) == [True, True, False]


@given(points)
def test_somebody_is_on_the_front_and_beats_everybody_off_it(
    found: list[tuple[int, int, int]],
) -> None:
    front = on_front(found)
    best = [p for p, on in zip(found, front, strict=True) if on]
    assert best
    for point, on in zip(found, front, strict=True):
        beaten = any(
            b != point and all(x <= y for x, y in zip(b, point, strict=True)) for b in best
        )
        assert on is not beaten
