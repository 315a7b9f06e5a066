from forgetscope.core.estimate import Rate, Remaining, estimate_remaining, rates_of
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
