"""ACC, BWT and FWT by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from forgetscope.core.inference.transfer import transfer

R = np.array([[0.9, 0.3, 0.2], [0.7, 0.8, 0.4], [0.6, 0.75, 0.85]])
BASE = np.array([0.5, 0.25, 0.1])


def test_three_stages_by_hand() -> None:
    found = transfer(("a", "b", "c"), R, BASE)
    assert found.acc.value == pytest.approx((0.6 + 0.75 + 0.85) / 3)
    assert found.bwt.value == pytest.approx((0.6 - 0.9 + 0.75 - 0.8) / 2)
    assert found.fwt.value == pytest.approx((0.3 - 0.25 + 0.4 - 0.1) / 2)


@settings(deadline=None)
@given(arrays.arrays(np.float64, (2, 2), elements=st.floats(0, 1)))
def test_backward_transfer_of_a_pair_is_minus_its_forgetting(matrix: np.ndarray) -> None:
    forgetting = matrix[0, 0] - matrix[1, 0]
    assert transfer(("a", "b"), matrix, None).bwt.value == pytest.approx(-forgetting)


def test_without_the_base_model_there_is_no_forward_transfer() -> None:
    found = transfer(("a", "b", "c"), R, None)
    assert found.fwt.reason == "the base model was not scored"
    assert found.bwt.value is not None


def test_one_stage_has_an_accuracy_and_no_transfer() -> None:
    found = transfer(("a",), np.array([[0.9]]), np.array([0.5]))
    assert found.acc.value == 0.9
    assert found.bwt.reason == found.fwt.reason == "a chain of one stage has no transfer"


def test_a_repeated_task_counts_once_and_has_no_transfer() -> None:
    matrix = R.copy()
    matrix[:, 2] = matrix[:, 0]
    found = transfer(("a", "b", "a"), matrix, BASE)
    assert found.acc.value == pytest.approx((0.6 + 0.75) / 2)
    assert found.bwt.reason is not None
    assert "trained twice" in found.bwt.reason


@pytest.mark.parametrize(
    ("cell", "lost"),
    [((2, 2), {"acc"}), ((2, 0), {"acc", "bwt"}), ((1, 1), {"bwt"}), ((0, 1), {"fwt"})],
)
def test_a_cell_that_was_not_scored_undoes_what_needs_it(
    cell: tuple[int, int], lost: set[str]
) -> None:
    matrix = R.copy()
    matrix[cell] = np.nan
    found = transfer(("a", "b", "c"), matrix, BASE)._asdict()
    assert {name for name, m in found.items() if m.value is None} == lost


def test_a_matrix_of_another_chain_is_refused() -> None:
    with pytest.raises(ValueError, match="for a chain of 2 stages"):
        transfer(("a", "b"), R, None)
