"""The catalogue of tuning methods."""

import pytest

from forgetscope.core.methods import METHODS
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidSpec


def test_defaults_are_written_out() -> None:
    assert METHODS.get("full").resolve({}) == {}
    assert METHODS.get("lora").resolve({"rank": 4}) == {
        "rank": 4,
        "alpha": 16,
        "dropout": 0.0,
        "target_modules": "all-linear",
        "bias": "none",
    }


def test_an_effective_rank_is_a_number_of_directions_or_a_fraction_of_them() -> None:
    osf = METHODS.get("osf")
    assert osf.resolve({}) == {"effective_rank": 0.5, "target_modules": "all-linear"}
    for rank in (1, 4, 0.25):
        found = osf.resolve({"effective_rank": rank})["effective_rank"]
        assert (found, type(found)) == (rank, type(rank))


def test_target_modules_may_be_listed() -> None:
    params: JsonObject = {"target_modules": ["q_proj", "v_proj"]}
    assert METHODS.get("lora").resolve(params)["target_modules"] == ["q_proj", "v_proj"]


@pytest.mark.parametrize(
    ("method", "params", "where"),
    [
        ("full", {"rank": 4}, "params/rank"),
        ("lora", {"rank": 0}, "params/rank"),
        ("lora", {"dropout": 1.0}, "params/dropout"),
        ("lora", {"target_modules": []}, "params/target_modules"),
        ("lora", {"bias": "all"}, "params/bias"),
        ("osf", {"effective_rank": 0}, "params/effective_rank"),
        ("osf", {"effective_rank": 1.0}, "params/effective_rank"),
        ("osf", {"effective_rank": True}, "params/effective_rank"),
        ("osf", {"rank": 4}, "params/rank"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_by_name(
    method: str, params: JsonObject, where: str
) -> None:
    with pytest.raises(InvalidSpec) as caught:
        METHODS.get(method).resolve(params)
    assert where in str(caught.value.where)
