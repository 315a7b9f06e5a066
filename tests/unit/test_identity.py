import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgetscope.core.identity import canonical_json, digest_of, seed_of, stage_key

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), json_values, max_size=5))
def test_the_order_of_keys_does_not_change_a_digest(params: dict[str, object]) -> None:
    turned = dict(reversed(list(params.items())))
    assert digest_of(params) == digest_of(turned)


def test_not_a_number_has_no_identity() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"x": math.nan})


def test_kind_parameters_and_inputs_each_change_the_key() -> None:
    keys = {
        stage_key("train", {"a": 1}, {"data": "x"}),
        stage_key("evaluate", {"a": 1}, {"data": "x"}),
        stage_key("train", {"a": 2}, {"data": "x"}),
        stage_key("train", {"a": 1}, {"data": "y"}),
        stage_key("train", {"a": 1}, {"base": "x"}),
    }
    assert len(keys) == 5


def test_the_seed_derives_from_the_key_and_fits_63_bits() -> None:
    key = stage_key("train", {}, {})
    assert seed_of(key) == seed_of(key)
    assert 0 <= seed_of("f" * 64) < 2**63
