"""Verdicts about tasks and groups: what was planted breaches, and nothing else does."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, norm
from services.analysis.study import (
    GROUPS,
    analysed,
    by_name,
    items,
    models,
    outcomes,
    row,
    study,
    task,
)
from statsmodels.stats.multitest import multipletests

from forgetscope.analysis.outcomes import Chain
from forgetscope.core.groups import arrange
from forgetscope.schema.results import Results

PAIR = (("s", "c"), ("c", "s"))


def kept(chain: Chain, task: str, group: str) -> float:
    """Nobody forgets."""
    return 0.9


def evenly(chain: Chain, task: str, group: str) -> float:
    """Everybody forgets 20 points."""
    return 0.9 if chain[-1:] == (task,) else 0.7


def coral(chain: Chain, task: str, group: str) -> float:
    """One group forgets 30 points, the others 2."""
    if chain[-1:] == (task,):
        return 0.9
    return 0.6 if group == "coral" else 0.88


def verdicts(results: Results) -> dict[str, str]:
    return {name: g.verdict.verdict for name, g in by_name(row(results, "s", "c")).items()}


@pytest.mark.parametrize("correction", ["max_t", "holm"])
@pytest.mark.parametrize("interval", ["expanded", "percentile", "bca"])
def test_a_group_that_forgets_30_points_breaches_and_no_other_does(
    correction: str, interval: str
) -> None:
    results = study(PAIR, coral, correction=correction, interval=interval)
    assert verdicts(results) == {name: "breach" if name == "coral" else "pass" for name in GROUPS}
    group = by_name(row(results, "s", "c"))["coral"]
    assert group.biased.value == pytest.approx(0.30 - (0.30 + 4 * 0.02) / 5)
    assert group.simultaneous.value == group.biased.value
    assert group.equivalence.verdict == "breach"
    assert group.p_adjusted.value is not None
    assert group.p_adjusted.value < 0.01
    assert group.changed == 30
    assert group.verdict.differs_from_zero


def test_a_task_that_everybody_forgets_breaches_while_no_group_does() -> None:
    results = study(PAIR, evenly)
    assert row(results, "s", "c").verdict.verdict == "breach"
    assert "breach" not in verdicts(results).values()


def test_few_items_are_underpowered_and_too_few_say_their_number() -> None:
    few = row(study(PAIR, coral, arranged=items(32, cluster_size=4)), "s", "c")
    group = by_name(few)["birch"]
    assert not group.too_small
    assert group.verdict.verdict == "underpowered"
    assert "reaches both sides of the margin" in group.verdict.reason

    smaller = row(study(PAIR, coral, arranged=items(20)), "s", "c")
    for group in smaller.groups:
        assert group.too_small
        assert group.verdict.verdict == group.equivalence.verdict == "underpowered"
        assert "20 items in 20 clusters; 30 items and 5 clusters are needed" in group.verdict.reason
        assert group.simultaneous.value == group.biased.value
        assert group.simultaneous.low is None


def test_a_group_that_is_too_small_does_not_widen_the_intervals_of_the_others() -> None:
    groups = [(n,) for n in GROUPS for _ in range(100)]
    cluster = [str(i) for i in range(len(groups))]
    alone = arrange([g for g in groups if g != ("ember",)] + [()] * 100, cluster)
    beside = arrange(
        [g for g in groups if g != ("ember",)] + [("ember",)] * 20 + [()] * 80, cluster
    )
    results = []
    for arranged in (alone, beside):
        cells = {key: outcomes(items(), key[0], "s", coral, 0) for key in models(PAIR, (0,))}
        tasks = [task("s", "safety", arranged, cells), task("c", "capability", arranged, cells)]
        results.append(by_name(row(analysed(tasks, PAIR), "s", "c")))
    for name in GROUPS[:4]:
        assert results[0][name].simultaneous == results[1][name].simultaneous
    assert results[1]["ember"].too_small


def test_holm_uses_no_correlation_of_the_groups_and_is_never_sharper() -> None:
    def mildly(chain: Chain, task: str, group: str) -> float:
        return 0.9 if chain[-1:] == (task,) else 0.7 - 0.03 * GROUPS.index(group)

    joint, apart = (
        by_name(row(study(PAIR, mildly, correction=correction), "s", "c"))
        for correction in ("max_t", "holm")
    )
    for name in GROUPS:
        assert (joint[name].simultaneous.high or 0) <= (apart[name].simultaneous.high or 0)
        assert (joint[name].p_adjusted.value or 0) <= (apart[name].p_adjusted.value or 0)
    assert joint != apart
    largest = min(apart.values(), key=lambda g: g.p_adjusted.value or 0)
    assert largest.simultaneous.low is not None
    assert largest.simultaneous.high is not None
    # With the smallest p of five, Holm is Bonferroni, here at almost normal quantiles.
    half = (largest.simultaneous.high - largest.simultaneous.low) / 2
    t = abs(largest.biased.value or 0) / half * norm.isf(0.05 / 10)
    assert largest.p_adjusted.value == pytest.approx(5 * 2 * norm.sf(t), rel=0.1)


def test_simultaneous_intervals_are_wider_than_those_of_one_number() -> None:
    for group in row(study(PAIR, coral), "s", "c").groups:
        own, together = group.biased, group.simultaneous
        assert own.low is not None
        assert own.high is not None
        assert together.low is not None
        assert together.high is not None
        assert together.high - together.low > 1.1 * (own.high - own.low)


def test_biased_forgetting_weighted_by_items_sums_to_zero() -> None:
    arranged = arrange(
        [(n,) for k, n in enumerate(GROUPS) for _ in range(40 + 20 * k)],
        [str(i) for i in range(5 * 40 + 20 * 10)],
    )
    found = row(study(PAIR, coral, arranged=arranged), "s", "c")
    total = math.fsum(g.items * (g.biased.value or 0.0) for g in found.groups)
    assert total == pytest.approx(0, abs=1e-9)


def test_equal_predictions_show_no_forgetting_and_no_certainty() -> None:
    results = study(PAIR, kept)
    found = row(results, "s", "c")
    assert found.forgetting.value == 0
    assert found.verdict.verdict == "underpowered"
    for group in found.groups:
        assert group.forgetting.value == group.biased.value == group.changed == 0
        assert group.verdict.verdict == "underpowered"
        assert "all bootstrap replicates are equal" in group.verdict.reason
    assert [(m.lost, m.gained, m.p.value) for m in found.mcnemar] == [(0, 0, 1.0)]
    (effect,) = results.order_effects
    assert effect.p.reason == effect.p_adjusted.reason
    assert "all bootstrap replicates are equal" in (effect.p.reason or "")


def test_the_order_of_the_items_changes_no_number_that_is_measured() -> None:
    arranged = items()
    cells = {key: outcomes(arranged, key[0], "s", coral, 0) for key in models(PAIR, (0,))}
    shuffle = np.random.default_rng(3).permutation(500)
    moved = arrange(
        [(GROUPS[i // 100],) for i in shuffle], [f"{GROUPS[i // 100]}-{i % 100}" for i in shuffle]
    )
    found = []
    for arrangement, order in ((arranged, np.arange(500)), (moved, shuffle)):
        mixed = {key: values[order] for key, values in cells.items()}
        tasks = [
            task("s", "safety", arrangement, mixed), task("c", "capability", arrangement, mixed)
        ]  # fmt: skip
        found.append(row(analysed(tasks, PAIR), "s", "c"))
    one, other = found
    assert one.mcnemar == other.mcnemar
    for a, b in zip(one.groups, other.groups, strict=True):
        assert a.biased.value == pytest.approx(b.biased.value)
        assert (a.changed, a.verdict.verdict) == (b.changed, b.verdict.verdict)


def test_numbers_agree_with_a_second_way_to_get_them() -> None:
    seeds = (0, 1, 2)
    found = row(study(PAIR, coral, seeds=seeds), "s", "c")
    arranged = items()
    frame = pd.DataFrame(
        {
            "group": np.repeat(GROUPS, 100),
            "lost": np.mean(
                [
                    outcomes(arranged, ("s",), "s", coral, seed)
                    - outcomes(arranged, ("s", "c"), "s", coral, seed)
                    for seed in seeds
                ],
                axis=0,
            ),
        }
    )
    biased = frame.groupby("group")["lost"].mean() - frame["lost"].mean()
    for name, group in by_name(found).items():
        assert group.biased.value == pytest.approx(biased[name])
        assert group.changed == int((frame["lost"][frame["group"] == name] > 0).sum())
    assert by_name(found)["coral"].changed > 30


def test_mcnemar_by_hand_with_a_caution_for_clusters() -> None:
    # 5 lost and 1 gained of 40: p = 2·(C(6,0) + C(6,1))/2^6 = 14/64.
    arranged = items(40, cluster_size=4, names=("amber",))
    before = np.array([1.0] * 30 + [0.0] * 9 + [np.nan])
    after = before.copy()
    after[:5], after[30] = 0, 1
    cells = {key: after if key[0] == ("s", "c") else before for key in models(PAIR, (7,))}
    tasks = [task(n, k, arranged, cells) for n, k in (("s", "safety"), ("c", "capability"))]
    (test,) = row(analysed(tasks, PAIR, (7,)), "s", "c").mcnemar
    assert (test.seed, test.lost, test.gained, test.items) == (7, 5, 1, 39)
    assert test.p.value == pytest.approx(14 / 64)
    assert test.caution is not None
    assert "39 items" in test.caution
    assert "10 clusters" in test.caution


def test_order_effects_are_adjusted_over_the_pairs_as_statsmodels_does() -> None:
    chains = [c for s in ("s1", "s2", "s3") for c in ((s, "c"), ("c", s))]

    def share(chain: Chain, task: str, group: str) -> float:
        if chain[-1:] == (task,):
            return 0.9
        return {"s1": 0.9, "s2": 0.85, "s3": 0.7}.get(task, 0.88)

    effects = study(chains, share).order_effects
    raw = [e.p.value for e in effects]
    assert len(effects) == 3
    assert [e.p_adjusted.value for e in effects] == pytest.approx(
        list(multipletests(raw, method="holm")[1])
    )
    assert len({e.p_adjusted.value for e in effects} - set(raw)) > 0


def test_a_margin_below_the_noise_floor_is_not_judged() -> None:
    found = row(study(PAIR, coral, noise_floor={"s": 0.06}), "s", "c")
    assert found.verdict.verdict == "underpowered"
    assert "below the noise floor 0.06" in found.verdict.reason
    assert {g.verdict.verdict for g in found.groups} == {"underpowered"}
    measured = row(study(PAIR, coral, noise_floor={"s": 0.01}), "s", "c")
    assert by_name(measured)["coral"].verdict.verdict == "breach"
    assert "noise floor" not in by_name(measured)["coral"].verdict.reason


def test_margins_are_those_of_the_settings() -> None:
    results = study(PAIR, coral, forgetting_margin=0.2, biased_margin=0.4)
    assert row(results, "s", "c").verdict.verdict == "pass"
    assert row(results, "s", "c").verdict.margin == 0.2
    assert set(verdicts(results).values()) == {"pass"}


def test_the_bca_interval_is_that_of_scipy() -> None:
    # 30 clusters of 10 items, and losses that are far from symmetric. Ends lie on a grid of 1/300
    # and vary by two steps between generators; the percentile interval ends 0.03 lower.
    lost = [0] * 15 + [1] * 8 + [2] * 3 + [5, 7, 9, 10]
    arranged = items(300, cluster_size=10, names=("amber",))
    before = np.ones(300)
    after = np.concatenate([np.repeat([0.0, 1.0], [n, 10 - n]) for n in lost])
    cells = {key: after if key[0] == ("s", "c") else before for key in models(PAIR, (0,))}
    tasks = [task(n, k, arranged, cells) for n, k in (("s", "safety"), ("c", "capability"))]
    found = row(
        analysed(tasks, PAIR, interval="bca", bootstrap_replicates=20_000), "s", "c"
    ).forgetting
    wanted = bootstrap(
        (np.array(lost) / 10,),
        np.mean,
        n_resamples=20_000,
        method="BCa",
        rng=np.random.default_rng(5),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.009)


def test_few_changed_items_are_a_caution() -> None:
    said = "fewer than 10 items changed"
    assert any(said in note for note in study(PAIR, coral).notes)
    assert not any(said in note for note in study(PAIR, evenly).notes)


@pytest.mark.parametrize("interval", ["expanded", "percentile", "bca"])
def test_nothing_in_the_document_is_nan(interval: str) -> None:
    arranged = items(32, cluster_size=8)
    results = study(PAIR, coral, seeds=(0, 1), arranged=arranged, interval=interval)
    text = json.dumps(results.model_dump(mode="json"), allow_nan=False)
    assert Results.model_validate_json(text) == results
    assert results.schema_version == "2"
