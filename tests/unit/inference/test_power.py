"""The planner against closed forms and against simulated studies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from forgetscope.core.inference.multiplicity import GroupStatistic, max_t
from forgetscope.core.inference.power import GroupPower, plan_power
from forgetscope.core.inference.power_model import (
    Error,
    Expected,
    Plan,
    Runs,
    Sample,
    claim_power,
    effect_of,
    effective_clusters,
    error_of,
)
from forgetscope.core.inference.power_needs import Question
from forgetscope.core.inference.power_shape import cumulants
from forgetscope.core.inference.spread import expanded, of_runs
from forgetscope.core.inference.verdicts import judge
from forgetscope.core.statistics import cluster_weights
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.results import Measured

ONE_RUN = Runs(seeds=1, icc=0.0, seed_correlation=1.0, seed_sd=0.0)
MORE = Question(margin=0.05, test="non-inferiority")


def planned(plan: Plan, question: Question = MORE, runs: Runs = ONE_RUN) -> GroupPower:
    return plan_power([plan], question, runs).groups[0]


def singles(n: int, lost: float, gained: float) -> Plan:
    """n items that are a cluster each."""
    return Plan("g", Sample((1,) * n), Expected(lost, gained))


def test_independent_items_have_the_variance_of_a_paired_proportion() -> None:
    found = error_of(singles(200, 0.2, 0.05), ONE_RUN)
    assert found.standard_error == pytest.approx(np.sqrt((0.25 - 0.15**2) / 200))
    assert found.degrees == pytest.approx(199)


def test_unequal_clusters_have_the_variance_of_their_correlation_matrix() -> None:
    sizes, icc = (1, 5, 9, 3, 12), 0.3
    cluster = np.repeat(np.arange(5), sizes)
    correlation = np.where(cluster[:, None] == cluster, icc, 0.0)
    np.fill_diagonal(correlation, 1.0)
    plan = Plan("g", Sample(sizes), Expected(0.2, 0.05))
    found = error_of(plan, ONE_RUN._replace(icc=icc)).standard_error
    assert found**2 == pytest.approx((0.25 - 0.15**2) * correlation.mean())


def test_seeds_have_the_variance_of_crossed_runs() -> None:
    """Gaussian differences with the assumed correlations; 3 seeds, 8 clusters of 4."""
    rng, runs = np.random.default_rng(1), Runs(3, icc=0.3, seed_correlation=0.6, seed_sd=0.05)
    expected = Expected(0.3, 0.1)

    def level(share: float, *shape: int) -> np.ndarray:
        return np.sqrt(share * expected.variance) * rng.normal(size=(20_000, *shape))

    y = level(0.3 * 0.6, 1, 8, 1) + level(0.3 * 0.4, 3, 8, 1)
    y = y + level(0.7 * 0.6, 1, 8, 4) + level(0.7 * 0.4, 3, 8, 4)
    y = y + 0.05 * rng.normal(size=(20_000, 3, 1, 1))
    found = error_of(Plan("g", Sample((4,) * 8), expected), runs).standard_error
    assert found == pytest.approx(y.mean(axis=(1, 2, 3)).std(), rel=0.02)


def test_biased_forgetting_is_the_difference_to_the_rest_by_its_share() -> None:
    rest = Sample((2,) * 90), Expected(0.1, 0.04)
    plan = Plan("g", Sample((2,) * 10), Expected(0.3, 0.1), rest)
    whole = (20 * 0.2 + 180 * 0.06) / 200
    assert effect_of(plan) == pytest.approx(0.2 - whole)
    apart = [Plan("x", *part) for part in ((plan.sample, plan.expected), rest)]
    errors = [error_of(p, ONE_RUN).standard_error for p in apart]
    found = error_of(plan, ONE_RUN).standard_error
    assert found == pytest.approx(0.9 * np.hypot(*errors))


@settings(deadline=None)
@given(st.integers(2, 50), st.integers(1, 20), st.floats(0, 1))
def test_equal_clusters_all_count(clusters: int, size: int, icc: float) -> None:
    assert effective_clusters(Sample((size,) * clusters), icc) == pytest.approx(clusters)


def test_one_large_cluster_is_worth_little_more_than_one() -> None:
    assert effective_clusters(Sample((1000, *(1,) * 10)), 0.5) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("effect", [0.02, 0.08])
def test_power_equals_that_of_the_t_test_in_statsmodels(effect: float) -> None:
    found = claim_power(effect, Error(0.02, 39), margin=0.05, tail=0.01, test="non-inferiority")
    expected = TTestPower().power(0.03 / (0.02 * np.sqrt(40)), 40, 0.01, alternative="larger")
    assert found == pytest.approx(expected, abs=1e-3)  # a quadrature of 64 points


def test_equivalence_has_the_power_of_two_one_sided_tests() -> None:
    """Simulated t intervals around 0.01 with 24 clusters."""
    rng = np.random.default_rng(4)
    x = 0.01 + 0.1 * rng.normal(size=(40_000, 24))
    half = stats.t.isf(0.025, 23) * x.std(axis=1, ddof=1) / np.sqrt(24)
    passed = (x.mean(axis=1) + half < 0.06) & (x.mean(axis=1) - half > -0.06)
    error = Error(0.1 / np.sqrt(24), 23)
    found = claim_power(0.01, error, margin=0.06, tail=0.025, test="equivalence")
    assert found == pytest.approx(passed.mean(), abs=0.03)


def studies(
    rng: np.random.Generator, n: int, sizes: tuple[int, ...], expected: Expected, icc: float
) -> tuple[np.ndarray, np.ndarray]:
    """Sums [n, C] and sizes [C] of clusters whose shares of lost and gained items vary: a
    Dirichlet-multinomial with concentration 1/icc − 1 correlates items of a cluster by icc."""
    share = np.array([expected.gained, 1 - expected.lost - expected.gained, expected.lost])
    chances = rng.dirichlet(share * (1 / icc - 1), size=(n, len(sizes)))
    counts = rng.multinomial(np.array(sizes), chances)
    return counts[..., 2] - counts[..., 0], np.array(sizes, dtype=float)


@pytest.mark.parametrize(
    ("sizes", "expected", "icc", "margin"),
    [
        ((5,) * 40, Expected(0.16, 0.04), 0.2, 0.03),
        ((20,) * 8, Expected(0.30, 0.10), 0.1, 0.02),
        ((2, 4, 6, 8) * 15, Expected(0.12, 0.10), 0.1, 0.08),
    ],
)
def test_power_is_within_three_points_of_simulated_studies(
    sizes: tuple[int, ...], expected: Expected, icc: float, margin: float
) -> None:
    """4000 studies with the expanded normal interval of the cluster bootstrap's variance."""
    rng = np.random.default_rng(len(sizes))
    sums, m = studies(rng, 4000, sizes, expected, icc)
    value = sums.sum(axis=1) / m.sum()
    # The bootstrap variance of a ratio of sums over clusters, as 2000 draws of weights give it.
    weights = cluster_weights(rng, len(sizes), 2000)
    error = ((weights @ sums.T) / (weights @ m)[:, None]).std(axis=0)
    half = expanded(stats.norm.isf(0.025), len(sizes), len(sizes)) * error
    right = value + half < margin if expected.forgetting < margin else value - half > margin
    question = Question(margin=margin, test="non-inferiority")
    plan = Plan("g", Sample(sizes), expected)
    found = planned(plan, question, ONE_RUN._replace(icc=icc))
    assert found.power.value is not None
    assert 0.3 < found.power.value < 0.95
    assert found.power.value == pytest.approx(right.mean(), abs=0.03)


def test_power_after_correction_is_within_three_points_of_max_t_over_groups() -> None:
    """600 studies of 4 groups of 25 clusters; the verdict of max-T about the first group."""
    rng, expected, icc = np.random.default_rng(9), Expected(0.2, 0.04), 0.1
    sizes, replicates = (4,) * 25, 999
    sums = [studies(rng, 600, sizes, expected, icc)[0] / 100 for _ in range(4)]
    weights = [cluster_weights(rng, 25, replicates) for _ in range(4)]
    breaches = 0
    for i in range(600):
        family = [
            GroupStatistic(str(g), Measured(value=float(s[i].sum())), w @ s[i], 25)
            for g, (s, w) in enumerate(zip(sums, weights, strict=True))
        ]
        interval = max_t(family, drawn=25, confidence=0.95).groups["0"].interval
        breaches += judge(interval, 0.03, test=MORE.test, noise_floor=None).verdict == "breach"
    plans = [Plan(str(g), Sample(sizes), expected) for g in range(4)]
    question = Question(margin=0.03, test="non-inferiority")
    found = plan_power(plans, question, ONE_RUN._replace(icc=icc))
    assert found.tail == 0.05 / 8
    assert found.groups[0].power.value == pytest.approx(breaches / 600, abs=0.03)


@settings(max_examples=20, deadline=None)
@given(st.integers(30, 400), st.floats(0, 0.2), st.sampled_from(["non-inferiority", "equivalence"]))
def test_the_detectable_effects_have_the_target_power(n: int, gained: float, test: str) -> None:
    question = Question(margin=0.05, test=test)
    found = planned(singles(n, 0.3, gained), question)
    for limit in (found.minimum_detectable, found.largest_passing):
        if limit.value is None:
            assert "at this size" in (limit.reason or "")
            continue
        again = planned(singles(n, gained + limit.value, gained), question)
        assert again.power.value == pytest.approx(question.target_power, abs=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.integers(5, 30), st.integers(6, 20), st.floats(0, 0.3))
def test_what_is_needed_is_enough_and_one_less_is_not(clusters: int, size: int, icc: float) -> None:
    runs = ONE_RUN._replace(icc=icc)
    plan = Plan("g", Sample((size,) * clusters), Expected(0.14, 0.04))
    need = planned(plan, MORE, runs).needs.clusters.value
    assert need is not None
    enough = plan._replace(sample=Sample((size,) * int(need)))
    assert planned(enough, MORE, runs).outcome == "enough"
    if need > 5:
        less = plan._replace(sample=Sample((size,) * (int(need) - 1)))
        assert planned(less, MORE, runs).outcome != "enough"


def test_endless_items_in_few_clusters_do_not_help_but_clusters_do() -> None:
    plan = Plan("g", Sample((60,) * 6), Expected(0.14, 0.04))
    found = planned(plan, MORE, ONE_RUN._replace(icc=0.3))
    assert found.outcome == "underpowered"
    assert found.needs.items.reason == "not in the same clusters, however many items they hold"
    assert found.needs.seeds.reason == "not even with 100 seeds on the same items"
    assert found.helps == (
        f"{found.needs.clusters.value:.0f} clusters (e.g. templates) of the same sizes "
        "instead of 6",
    )


def test_more_seeds_help_where_runs_differ() -> None:
    runs = Runs(seeds=2, icc=0.0, seed_correlation=0.2, seed_sd=0.0)
    found = planned(singles(150, 0.14, 0.04), MORE, runs)
    assert found.needs.seeds.value is not None
    assert found.needs.seeds.value > 2
    more = planned(
        singles(150, 0.14, 0.04), MORE, runs._replace(seeds=int(found.needs.seeds.value))
    )
    assert more.outcome == "enough"


@pytest.mark.parametrize(
    ("sizes", "lost", "reason"),
    [
        ((40,) * 4, 0.1, "4 clusters; fewer than 5 do not tell how much clusters differ"),
        ((1,) * 20, 0.1, "20 items; at least 30 are needed"),
        ((1000, *(1,) * 10), 0.1, "one cluster that holds nearly all items"),
        ((1,) * 50, 0.0, "no item of the group is expected to change"),
    ],
)
def test_what_cannot_be_answered_says_why_and_takes_no_part_in_the_correction(
    sizes: tuple[int, ...], lost: float, reason: str
) -> None:
    runs = ONE_RUN._replace(icc=0.2)
    bad, good = Plan("bad", Sample(sizes), Expected(lost, 0.0)), singles(200, 0.1, 0.04)
    found = plan_power([bad, good], MORE, runs)
    assert found.judged == 1
    group = found.groups[0]
    assert group.outcome == "cannot be answered"
    assert reason in group.reason
    assert group.power.reason == group.reason
    assert group.minimum_detectable.value is None
    assert found.groups[1] == plan_power([good], MORE, runs).groups[0]


def test_four_templates_are_told_how_many_would_do() -> None:
    found = planned(Plan("g", Sample((40,) * 4), Expected(0.2, 0.02)), MORE, ONE_RUN)
    assert found.needs.clusters.value is not None
    assert found.needs.clusters.value >= 5
    assert found.helps[0].endswith("clusters (e.g. templates) of the same sizes instead of 4")


def test_a_rest_of_too_few_clusters_cannot_be_compared_with() -> None:
    plan = Plan("g", Sample((4,) * 20), Expected(0.2, 0.02), (Sample((40,) * 3), Expected(0.1, 0)))
    assert planned(plan).reason.startswith("the rest of the task has 3 clusters")


def test_an_expected_effect_at_the_margin_has_no_right_verdict() -> None:
    found = planned(singles(200, 0.0625, 0.03125), Question(margin=0.03125, test=MORE.test))
    assert found.outcome == "cannot be answered"
    assert found.helps == ("another margin",)
    assert found.minimum_detectable.value is not None


def test_rare_changes_and_single_seeds_come_with_a_caution() -> None:
    found = planned(singles(60, 0.1, 0.0))
    assert found.cautions == (
        "only 6.0 items are expected to change: the power is rough",
        "one seed: the verdict will be about this run, not about the method",
    )


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"plan": Plan("g", Sample(()), Expected(0.1, 0.1))}, "groups.g.cluster_sizes"),
        ({"plan": Plan("g", Sample((3, 0)), Expected(0.1, 0.1))}, "groups.g.cluster_sizes"),
        ({"plan": singles(50, 0.6, 0.5)}, "groups.g.expected"),
        ({"plan": singles(50, -0.1, 0.5)}, "groups.g.expected"),
        ({"plan": singles(50, float("nan"), 0.5)}, "groups.g.expected"),
        ({"question": MORE._replace(margin=0.01, noise_floor=0.02)}, "margin"),
        ({"question": MORE._replace(alpha=0.0)}, "alpha"),
        ({"question": MORE._replace(target_power=0.04)}, "target_power"),
        ({"runs": ONE_RUN._replace(seeds=0)}, "seeds"),
        ({"runs": ONE_RUN._replace(icc=1.5)}, "icc"),
        ({"runs": ONE_RUN._replace(seed_correlation=-0.1)}, "seed_correlation"),
        ({"runs": ONE_RUN._replace(seed_sd=-0.1)}, "seed_sd"),
    ],
)
def test_numbers_that_are_no_design_are_refused(change: dict[str, object], where: str) -> None:
    case = {"plan": singles(50, 0.1, 0.1), "question": MORE, "runs": ONE_RUN, **change}
    with pytest.raises(InvalidInput) as caught:
        planned(**case)
    assert caught.value.where == where


def test_a_group_that_comes_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="twice"):
        plan_power([singles(50, 0.1, 0.1)] * 2, MORE, ONE_RUN)


def test_clusters_and_seeds_say_on_average_what_is_planned_with() -> None:
    """Gaussian crossed differences; 3 seeds, 60 clusters of 1; 400 studies, 400 replicates."""
    rng, runs = np.random.default_rng(2), Runs(3, icc=0.0, seed_correlation=0.3, seed_sd=0.04)
    expected = Expected(0.3, 0.1)
    sd = np.sqrt(expected.variance)
    y = sd * np.sqrt(0.3) * rng.normal(size=(400, 1, 60))
    y = y + sd * np.sqrt(0.7) * rng.normal(size=(400, 3, 60))
    y = y + 0.04 * rng.normal(size=(400, 3, 1))
    clusters, seeds = cluster_weights(rng, 60, 400) / 60, cluster_weights(rng, 3, 400) / 3
    items = np.einsum("isc,rc->ir", y / 3, clusters)
    both = np.einsum("rs,isc,rc->ir", seeds, y, clusters, optimize=True)
    left_out = (y.sum(axis=1, keepdims=True) - y).mean(axis=2) / 2
    said = [
        of_runs(*parts, clusters=60, drawn=60) for parts in zip(items, both, left_out, strict=True)
    ]
    planned = error_of(Plan("g", Sample((1,) * 60), expected), runs)
    assert planned.runs is not None
    assert planned.items is not None
    taken = items.var(axis=1).mean() * 60 / 59
    assert np.sqrt(taken) == pytest.approx(planned.items, rel=0.04)
    assert np.mean([r.between for r in said if r]) == pytest.approx(planned.runs.between, rel=0.15)
    assert np.mean([r.shared for r in said if r]) == pytest.approx(planned.runs.shared, rel=0.08)
    assert planned.standard_error == pytest.approx(y.mean(axis=(1, 2)).std(), rel=0.08)


@pytest.mark.parametrize("icc", [0.0, 0.2, 1.0])
def test_cumulants_of_a_cluster_are_those_of_its_draws(icc: float) -> None:
    """400 000 clusters of 6 items."""
    rng, share = np.random.default_rng(3), np.array([0.3, 0.1, 0.6])
    if icc == 1:
        total = 6 * rng.choice([1, -1, 0], p=share, size=400_000)
    else:
        chances = rng.dirichlet(share * (1 / icc - 1), size=400_000) if icc else share
        counts = rng.multinomial(6, chances, size=400_000)
        total = counts[:, 0] - counts[:, 1]
    found = cumulants((6,), 1.0, lost=0.3, gained=0.1, icc=icc)
    y = total - total.mean()
    assert found.third == pytest.approx(np.mean(y**3), rel=0.05, abs=0.05)
    assert found.fourth == pytest.approx(np.mean(y**4) - 3 * np.mean(y**2) ** 2, rel=0.05, abs=0.1)


def test_rare_changes_in_clusters_vary_the_standard_error_more_than_normal_ones() -> None:
    rare = error_of(Plan("g", Sample((10,) * 20), Expected(0.04, 0.0)), ONE_RUN._replace(icc=0.1))
    assert rare.varies is not None
    assert rare.varies < 0.5 * rare.degrees
    assert rare.lean > 0.3


@pytest.mark.parametrize("icc", [0.0, 0.1, 0.2, 1.0])
def test_equal_clusters_are_counted_without_rounding_errors(icc: float) -> None:
    """Two are enough where two are asked for."""
    assert effective_clusters(Sample((40, 40)), icc) == 2
