"""The noise floor from predictions under several conditions."""

from typing import Any, Literal

import pytest
from scipy import stats

from forgetscope.core.inference.noise import changed_bound, noise_floor
from forgetscope.core.predictions import Prediction
from forgetscope.schema.noise import NoiseCondition, NoiseFloor

Name = Literal["usual", "quarter", "single", "shuffled", "other engine"]


def condition(name: Name) -> NoiseCondition:
    return NoiseCondition(
        name=name,
        engine="transformers",
        engine_version="1",
        tokens_per_call=1 if name == "single" else None,
        batch_tokens=64,
        shuffled=name == "shuffled",
    )


def choice(i: int, *scores: float) -> Prediction:
    chosen = scores.index(max(scores)) if scores else None
    return Prediction(
        id=f"i{i}",
        cluster=f"c{i}",
        groups=(),
        form="choice",
        answer=0,
        choice=chosen,
        correct=None if chosen is None else chosen == 0,
        unscored=None if scores else "too long",
        scores=scores or None,
        text=None,
    )


def text(i: int, said: str, correct: bool | None = True) -> Prediction:
    return choice(i, 0.0)._replace(
        form="generate",
        answer=None,
        choice=None,
        scores=None,
        text=said,
        correct=correct,
        unscored=None if correct is not None else "none of the answers",
    )


def measure(**answers: list[Prediction]) -> NoiseFloor:
    names: Any = answers
    return noise_floor(
        [(condition(name), rows) for name, rows in names.items()], dtype="float32", device="cpu"
    )


def test_changed_items_are_counted_once_over_all_conditions_and_by_pair() -> None:
    usual = [choice(i, -1.0, -1.5) for i in range(10)]
    single = [choice(0, -1.6, -1.5), *usual[1:]]
    shuffled = [choice(0, -1.7, -1.5), choice(1, -1.25, -1.0), *usual[2:]]
    found = measure(usual=usual, single=single, shuffled=shuffled)
    assert (found.items, found.changed, found.floor) == (10, 2, 0.2)
    changed = {(p.first, p.second): p.changed_choices for p in found.pairs}
    assert changed == {("usual", "single"): 1, ("usual", "shuffled"): 2, ("single", "shuffled"): 1}
    assert found.pairs[0].largest == pytest.approx(0.6)
    assert found.pairs[1].largest == pytest.approx(0.7)


def test_the_99th_percentile_leaves_out_the_one_wild_option() -> None:
    usual = [choice(i, -1.0, -2.0) for i in range(200)]
    single = [choice(0, -1.5, -2.0), *(choice(i, -1.001, -2.0) for i in range(1, 200))]
    (pair,) = measure(usual=usual, single=single).pairs
    assert pair.largest == pytest.approx(0.5)
    assert pair.high_99 == pytest.approx(0.001)


def test_a_text_that_changes_without_another_verdict_does_not_raise_the_floor() -> None:
    usual = [text(0, "dog"), text(1, "cat"), text(2, "fox")]
    single = [text(0, "dog."), text(1, "cow", correct=False), text(2, "owl", correct=None)]
    found = measure(usual=usual, single=single)
    (pair,) = found.pairs
    assert (pair.texts, pair.changed_texts, pair.changed_verdicts) == (3, 3, 2)
    assert (pair.largest, pair.choices) == (None, 0)
    assert pair.reason is not None
    assert found.floor == pytest.approx(2 / 3)


def test_an_item_that_no_condition_scores_is_left_out_and_one_that_some_score_has_changed() -> None:
    usual = [choice(0), choice(1, -1.0, -2.0), choice(2, -1.0, -2.0)]
    single = [choice(0), choice(1), choice(2, -1.0, -2.0)]
    found = measure(usual=usual, single=single)
    assert (found.items, found.left_out, found.changed) == (2, 1, 1)


def test_without_a_scored_item_there_is_a_reason_instead_of_a_floor() -> None:
    found = measure(usual=[choice(0)], single=[choice(0)])
    assert (found.floor, found.bound, found.items, found.left_out) == (None, None, 0, 1)
    assert found.reason is not None


@pytest.mark.parametrize(("changed", "items"), [(0, 1), (0, 256), (1, 256), (7, 60), (59, 60)])
def test_the_bound_is_that_of_clopper_and_pearson(changed: int, items: int) -> None:
    wanted = stats.binomtest(changed, items, alternative="less").proportion_ci(0.95).high
    assert changed_bound(changed, items) == pytest.approx(wanted, rel=1e-9)


def test_the_bound_is_three_over_n_where_nothing_changed_and_1_where_everything_did() -> None:
    assert changed_bound(0, 256) == pytest.approx(1 - 0.05 ** (1 / 256), rel=1e-9)
    assert changed_bound(0, 256) == pytest.approx(3 / 256, rel=0.01)
    assert changed_bound(5, 5) == 1


def test_other_items_under_a_condition_are_an_error() -> None:
    with pytest.raises(ValueError, match="same items"):
        measure(usual=[choice(0, -1.0)], single=[choice(1, -1.0)])


def test_the_digest_names_the_conditions_and_not_what_was_found() -> None:
    usual, other = [choice(0, -1.0, -2.0)], [choice(0, -3.0, -2.0)]
    one, two = measure(usual=usual, single=usual), measure(usual=usual, single=other)
    assert one.conditions_digest == two.conditions_digest
    assert one.changed != two.changed
    assert one.conditions_digest != measure(usual=usual, shuffled=usual).conditions_digest
