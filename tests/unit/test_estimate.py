import pytest

from forgetscope.core.estimate import (
    Planned,
    Rate,
    Remaining,
    estimate_compute,
    estimate_plan,
    estimate_remaining,
    rates_of,
)
from forgetscope.ports.records import KindRate


def test_rates_are_seconds_per_token_or_per_stage() -> None:
    rates = rates_of([KindRate("train", 2, 20.0, 1000), KindRate("analyse", 4, 8.0, 0)])
    assert rates == {
        "train": Rate(seconds_per_token=0.02),
        "analyse": Rate(seconds_per_stage=2.0),
    }


def test_queues_work_side_by_side_and_analysis_comes_last() -> None:
    rates = {
        "train": Rate(seconds_per_token=1.0),
        "evaluate": Rate(seconds_per_token=1.0),
        "analyse": Rate(seconds_per_stage=3.0),
    }
    remaining = [
        Remaining("train", "train", 10, 0.5),
        Remaining("train", "train", 10, 0.0),
        Remaining("evaluate", "evaluate", 4, 0.0),
        Remaining("analyse", "analyse", 0, 0.0),
    ]
    assert estimate_remaining(remaining, {}, rates).seconds == 15 + 3


def test_an_estimate_that_would_be_a_guess_is_not_made() -> None:
    estimate = estimate_remaining([Remaining("train", "train", 10, 0.0)], {}, {})
    assert estimate.seconds is None
    assert "no train stage has finished yet" in estimate.basis


def test_rates_of_this_experiment_are_preferred() -> None:
    here, anywhere = Rate(seconds_per_token=2.0), Rate(seconds_per_token=9.0)
    remaining = [Remaining("train", "train", 10, 0.0)]
    assert estimate_remaining(remaining, {"train": here}, {"train": anywhere}).seconds == 20


def test_a_plan_is_estimated_from_measured_rates_of_the_model() -> None:
    work = [Planned("train", 100), Planned("analyse", 0)]
    rates = {"train": Rate(seconds_per_token=0.1), "analyse": Rate(seconds_per_stage=2.0)}
    estimate = estimate_plan(work, rates, parameters=1, accelerator="cpu")
    assert estimate.seconds == 12.0
    assert "measured" in estimate.basis


def test_an_unknown_speed_is_assumed_and_said() -> None:
    estimate = estimate_plan([Planned("train", 10**6)], {}, parameters=10**6, accelerator="cpu")
    assert estimate.seconds == 2e12 / 2e10 + 1
    assert "assumed 2e+10 FLOP/s" in estimate.basis


def test_a_plan_for_a_model_of_unknown_size_has_no_estimate() -> None:
    assert (
        estimate_plan([Planned("train", 10)], {}, parameters=None, accelerator="cpu").seconds
        is None
    )


def test_an_assumed_gpu_is_slower_in_float32_than_in_bfloat16() -> None:
    def seconds(dtype: str) -> float | None:
        work = [Planned("train", 10**9, dtype)]
        return estimate_plan(work, {}, parameters=10**6, accelerator="cuda").seconds

    assert seconds("float32") == pytest.approx(2e15 / (0.4 * 19.5e12) + 1, abs=0.1)
    assert seconds("bfloat16") == pytest.approx(2e15 / (0.4 * 312e12) + 1, abs=0.1)


def test_gpu_hours_follow_from_flops_and_a_speed_that_is_named() -> None:
    work = [Planned("train", 3 * 10**9, "bfloat16"), Planned("evaluate", 10**9)]
    found = estimate_compute(work, 7 * 10**9)
    assert found.flops == 14e9 * 4e9
    hours = (14e9 * 3e9 / (0.4 * 312e12) + 14e9 * 1e9 / (0.4 * 19.5e12)) / 3600
    assert found.gpu_hours == pytest.approx(hours, rel=0.01)
    assert "A100 at 40%" in found.basis
    assert "assumed" in found.basis


def test_a_model_of_unknown_size_has_no_gpu_hours() -> None:
    found = estimate_compute([Planned("train", 1)], None)
    assert found.flops is found.gpu_hours is None
