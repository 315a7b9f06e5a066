"""Variance components against statsmodels' sums of squares, and in a simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgetscope.core.inference.variance import decompose

SD = {"order": 0.5, "seed": 0.3, "item": 1.0, "order × item": 0.4, "seed × item": 0.6}


def drawn(rng: np.random.Generator, orders: int, seeds: int, items: int) -> np.ndarray:
    """Outcomes with the standard deviations of `SD` and noise of 0.2."""
    shapes = {
        "order": (orders, 1, 1),
        "seed": (1, seeds, 1),
        "item": (1, 1, items),
        "order × item": (orders, 1, items),
        "seed × item": (1, seeds, items),
    }
    y = 0.2 * rng.normal(size=(orders, seeds, items))
    for name, shape in shapes.items():
        y = y + SD[name] * rng.normal(size=shape)
    return y


def test_mean_squares_equal_an_analysis_of_variance_by_regression() -> None:
    import pandas as pd
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    y = drawn(np.random.default_rng(1), 2, 3, 4)
    index = np.indices(y.shape).reshape(3, -1)
    frame = pd.DataFrame({"y": y.reshape(-1), "o": index[0], "s": index[1], "i": index[2]})
    fitted = anova_lm(ols("y ~ (C(o) + C(s) + C(i))**2", frame).fit())
    found = decompose(y).components
    names = {"order": "C(o)", "seed": "C(s)", "item": "C(i)", "order × seed": "C(o):C(s)"}
    names |= {"order × item": "C(o):C(i)", "seed × item": "C(s):C(i)", "residual": "Residual"}
    for ours, theirs in names.items():
        assert found[ours].mean_square.value == pytest.approx(fitted.loc[theirs, "mean_sq"])
        assert found[ours].degrees == fitted.loc[theirs, "df"]
    ms = fitted["mean_sq"]
    order = (ms["C(o)"] - ms["C(o):C(s)"] - ms["C(o):C(i)"] + ms["Residual"]) / 12
    assert found["order"].variance.value == pytest.approx(max(0, order))
    assert found["order"].negative == (order < 0)
    crossed = (ms["C(s):C(i)"] - ms["Residual"]) / 2
    assert found["seed × item"].variance.value == pytest.approx(max(0, crossed))


def test_planted_components_are_found() -> None:
    rng = np.random.default_rng(2)
    found = [decompose(drawn(rng, 5, 6, 30)).components for _ in range(300)]
    for name, sd in {**SD, "residual": 0.2, "order × seed": 0.0}.items():
        values = [f[name].variance.value for f in found]
        # Cutting at 0 lifts the mean of a component that is 0.
        error = 5 * np.std(values) / np.sqrt(300) + 0.002
        assert np.mean(values) == pytest.approx(sd**2, abs=error)


def test_a_component_below_zero_is_zero_and_flagged() -> None:
    """Seeds whose means are equal although their items vary: less than chance."""
    y = np.array([[[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]])
    seed = decompose(y).components["seed"]
    assert (seed.variance.value, seed.negative) == (0, True)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(-5, 5), st.floats(0.1, 10))
def test_shift_scale_and_order_of_levels_act_as_on_a_variance(
    seed: int, shift: float, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    y = drawn(rng, 2, 3, 8)
    turned = shift + scale * y[:, rng.permutation(3)][:, :, rng.permutation(8)]
    one, two = decompose(y).components, decompose(turned).components
    for name, component in one.items():
        value = component.variance.value
        assert value is not None
        assert two[name].variance.value == pytest.approx(scale**2 * value, abs=1e-9)


def test_equal_outcomes_have_no_variance_and_no_flag() -> None:
    for component in decompose(np.full((2, 3, 4), 0.1)).components.values():
        assert component.variance.value == pytest.approx(0, abs=1e-12)
        assert not component.negative


def test_a_single_seed_leaves_its_component_undefined_and_the_rest_a_smaller_model() -> None:
    y = drawn(np.random.default_rng(3), 2, 1, 6)
    found = decompose(y).components
    assert found["seed"].variance.reason == "fewer than two levels of seed"
    assert found["order × seed"].variance.reason == "fewer than two levels of seed"
    assert found["order × item"].variance.reason == (
        "cannot be told from the residual, as every cell is seen once"
    )
    two_way = y[:, 0]
    centred = two_way - two_way.mean(axis=0) - two_way.mean(axis=1, keepdims=True) + two_way.mean()
    assert found["residual"].mean_square.value == pytest.approx((centred**2).sum() / 5)


def test_items_with_an_undefined_cell_are_left_out_and_counted() -> None:
    y = drawn(np.random.default_rng(4), 2, 3, 6)
    broken = y.copy()
    broken[1, 0, 2] = np.nan
    found = decompose(broken)
    assert (found.left_out, found.levels["item"]) == (1, 5)
    assert found.components == decompose(np.delete(y, 2, axis=2)).components


def test_nothing_scored_is_undefined_everywhere() -> None:
    found = decompose(np.full((2, 2, 3), np.nan))
    assert all(c.variance.reason for c in found.components.values())
    single = decompose(np.ones((1, 1, 1))).components["residual"].variance
    assert single.reason == "fewer than two levels of order and seed and item"


def test_another_number_of_axes_is_refused() -> None:
    with pytest.raises(ValueError, match="orders, seeds and items"):
        decompose(np.ones((2, 3)))
