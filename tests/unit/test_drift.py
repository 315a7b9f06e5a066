"""CKA against its definition and its invariances; displacement of states."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from forgetscope.core.drift import MIN_ITEMS, debiased_cka, drift_between, relative_displacement

Floats = npt.NDArray[np.float64]


def states(n: int, width: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(1.0, 1.0, (n, width))


def hsic_by_tuples(x: Floats, y: Floats) -> float:
    """The U-statistic as its definition says: a mean over ordered quadruples of different items
    (Song et al. 2012, theorem 3): K_ij·(L_ij + L_qr − 2·L_iq)."""
    k, m = x @ x.T, y @ y.T
    found = [
        k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q])
        for i, j, q, r in itertools.permutations(range(len(x)), 4)
    ]
    return float(np.mean(found))


def cka_by_tuples(x: Floats, y: Floats) -> float:
    own = hsic_by_tuples(x, x) * hsic_by_tuples(y, y)
    return hsic_by_tuples(x, y) / float(np.sqrt(own))


@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("seed", range(4))
def test_cka_is_the_ratio_of_u_statistics_over_all_quadruples_of_items(n: int, seed: int) -> None:
    x, noise = states(n, 3, seed), states(n, 3, seed + 50)
    y = np.concatenate([x[:, :2] + 0.5 * noise[:, :2], noise], axis=1)
    assert debiased_cka(x, y) == pytest.approx(cka_by_tuples(x, y), abs=1e-10)


def test_cka_does_not_see_rotation_scale_or_shift() -> None:
    x, y = states(40, 12), states(40, 9, 1) + states(40, 12)[:, :9]
    rotation = np.linalg.qr(states(12, 12, 2))[0]
    found = debiased_cka(x, y)
    assert found is not None
    assert 0.2 < found < 0.9
    assert debiased_cka(x @ rotation, y) == pytest.approx(found, abs=1e-12)
    assert debiased_cka(37.0 * x, 0.01 * y) == pytest.approx(found, abs=1e-12)
    assert debiased_cka(x + 1000.0, y) == pytest.approx(found, abs=1e-9)
    assert debiased_cka(x * np.arange(1, 13), y) != pytest.approx(found, abs=1e-3)


def test_unrelated_states_wider_than_their_number_have_a_cka_about_0() -> None:
    """The biased estimator is near 1 here."""
    found = [debiased_cka(states(20, 500, s), states(20, 500, 100 + s)) for s in range(20)]
    assert abs(np.mean([f for f in found if f is not None])) < 0.03
    assert len(found) == 20


def test_equal_states_have_cka_1_and_displacement_0() -> None:
    x = states(30, 64)
    found = drift_between(x, x.copy())
    assert found.cka.value == pytest.approx(1.0, abs=1e-12)
    assert found.displacement.value == 0.0


def test_displacement_is_a_mean_of_shares_of_each_items_own_length() -> None:
    before = np.array([[3.0, 4.0], [0.0, 1.0]])
    after = np.array([[3.0, 5.0], [0.0, 3.0]])
    assert relative_displacement(before, after) == pytest.approx((0.2 + 2.0) / 2)


def test_what_is_undefined_has_a_reason() -> None:
    few = drift_between(states(MIN_ITEMS - 1, 4), states(MIN_ITEMS - 1, 4))
    assert (few.cka.value, few.displacement.value) == (None, None)
    assert "too few items: 9, at least 10" in str(few.cka.reason)
    flat = drift_between(np.full((12, 3), 0.1), states(12, 3))
    assert "the same for all items" in str(flat.cka.reason)
    assert flat.displacement.value is not None
    zero = states(12, 3)
    zero[5] = 0.0
    assert "a state before is 0" in str(drift_between(zero, states(12, 3)).displacement.reason)


def test_cka_refuses_three_items_and_different_numbers_of_them() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        debiased_cka(states(3, 2), states(3, 2))
    with pytest.raises(ValueError, match="5 and 6"):
        debiased_cka(states(5, 2), states(6, 2))
