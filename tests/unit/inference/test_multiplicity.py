"""Holm against statsmodels; max-T against its definition and by simulation under "no effect"."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from forgetscope.core.inference.multiplicity import GroupStatistic, holm, max_t
from forgetscope.core.inference.spread import expanded
from forgetscope.core.statistics import cluster_weights
from forgetscope.schema.results import Measured

MANY = 10**6
"""So many clusters that nothing is expanded."""


def family(seed: int, effects: list[float], *, clusters: int = MANY) -> list[GroupStatistic]:
    """Correlated replicates around the effects."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=400)
    return [
        GroupStatistic(
            f"g{i}", Measured(value=e), e + 0.1 * (common + rng.normal(size=400)), clusters
        )
        for i, e in enumerate(effects)
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=15))
def test_holm_equals_statsmodels(values: list[float]) -> None:
    found = holm({str(i): Measured(value=p) for i, p in enumerate(values)})
    expected = multipletests(values, method="holm")[1]
    assert list(found.adjusted.values()) == pytest.approx(list(expected))


def test_an_undefined_p_value_is_no_member_of_the_family() -> None:
    found = holm({"a": Measured(value=0.01), "b": Measured(reason="too small")})
    assert found.adjusted == {"a": 0.01}
    assert found.left_out == {"b": "too small"}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_max_t_equals_its_definition_replicate_by_replicate(seed: int, groups: int) -> None:
    effects = list(np.random.default_rng(seed).normal(0, 0.2, groups))
    data = family(seed, effects)
    found = max_t(data, drawn=MANY, confidence=0.9)
    error = [float(np.std(s.replicates, ddof=1)) for s in data]
    t = [abs(e) / se for e, se in zip(effects, error, strict=True)]
    order = sorted(range(groups), key=lambda g: -t[g])
    maxima = [
        [
            max(abs(data[g].replicates[r] - effects[g]) / error[g] for g in order[place:])
            for r in range(400)
        ]
        for place in range(groups)
    ]

    def p(value: float, place: int) -> float:
        drawn = (1 + sum(m >= value for m in maxima[place])) / 401
        return min(drawn, (groups - place) * 2 * float(norm.sf(value)), 1)

    critical = min(sorted(maxima[0])[-(-9 * 399 // 10)], norm.isf(0.05 / groups))
    smallest = 0.0
    for place, g in enumerate(order):
        mine = found.groups[f"g{g}"]
        smallest = max(smallest, p(t[g], place))
        assert mine.p_step_down == pytest.approx(smallest, rel=1e-3)
        assert mine.p_single_step == pytest.approx(p(t[g], 0), rel=1e-3)
        half = critical * error[g]
        assert mine.interval.high == pytest.approx(effects[g] + half, abs=1e-4 * half)
        assert mine.interval.low == pytest.approx(effects[g] - half, abs=1e-4 * half)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(6, 40))
def test_step_down_never_asks_for_more_than_single_step(seed: int, clusters: int) -> None:
    for g in max_t(
        family(seed, [0.0, 0.2, 0.5], clusters=clusters), drawn=MANY, confidence=0.95
    ).groups.values():
        assert g.p_step_down <= g.p_single_step


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.floats(-0.6, 0.6))
def test_an_interval_excludes_zero_exactly_when_its_single_step_p_is_small(
    seed: int, clusters: int, effect: float
) -> None:
    found = max_t(
        family(seed, [effect, 0.1], clusters=clusters), drawn=MANY, confidence=0.95
    ).groups["g0"]
    low, high = found.interval.low, found.interval.high
    assert low is not None
    assert high is not None
    # 400 replicates: the quantile is itself a replicate, so that both sides of 5 % agree up to one.
    if found.p_single_step <= 19 / 401:
        assert not low <= 0 <= high
    if found.p_single_step >= 22 / 401:
        assert low <= 0 <= high


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.permutations(range(4)))
def test_the_order_of_the_groups_changes_nothing(seed: int, turn: list[int]) -> None:
    data = family(seed, [0.0, 0.1, 0.2, 0.3], clusters=9)
    assert (
        max_t([data[i] for i in turn], drawn=MANY, confidence=0.95).groups
        == max_t(data, drawn=MANY, confidence=0.95).groups
    )


def test_more_groups_make_wider_intervals() -> None:
    data = family(1, [0.0] * 8)
    alone = max_t(data[:1], drawn=MANY, confidence=0.95).critical.value
    together = max_t(data, drawn=MANY, confidence=0.95).critical.value
    assert alone == pytest.approx(1.96, abs=0.2)
    assert together is not None
    assert together > alone + 0.3


def test_few_clusters_widen_the_interval_of_that_group_only() -> None:
    many, few = family(1, [0.0, 0.0])
    found = max_t([many, few._replace(clusters=5)], drawn=MANY, confidence=0.95)
    c = found.critical.value
    assert c is not None
    assert c == pytest.approx(norm.isf(0.05 / 4))
    for s, factor in ((many, c), (few, expanded(c, 5, MANY, biased=True))):
        half = factor * np.std(s.replicates, ddof=1)
        assert found.groups[s.name].interval.high == pytest.approx(half, rel=1e-4)


def test_groups_without_interval_are_left_out_and_named() -> None:
    good, holes, constant, single, small, undefined = family(2, [0.1] * 6)
    broken = holes.replicates.copy()
    broken[:100] = np.nan
    found = max_t(
        [
            good,
            holes._replace(replicates=broken),
            constant._replace(replicates=np.full(400, 0.1)),
            single._replace(clusters=1),
            small._replace(value=Measured(value=0.1, interval_reason="too small")),
            undefined._replace(value=Measured(reason="nothing scored")),
        ],
        drawn=MANY,
        confidence=0.95,
    )
    assert list(found.groups) == ["g0"]
    assert found.left_out == {
        "g1": "undefined in 25 % of the bootstrap replicates",
        "g2": "all bootstrap replicates are equal, which says nothing about the uncertainty",
        "g3": "all items are from a single cluster",
        "g4": "too small",
        "g5": "nothing scored",
    }
    assert found.groups == max_t([good], drawn=MANY, confidence=0.95).groups


def test_undefined_replicates_of_one_group_do_not_take_part_in_the_maximum() -> None:
    one, two = family(3, [0.0, 0.0])
    broken = two.replicates.copy()
    broken[np.argsort(-np.abs(broken))[:20]] = np.nan
    found = max_t([one, two._replace(replicates=broken)], drawn=MANY, confidence=0.95)
    assert found.groups["g1"].interval.left_out == 20
    whole = max_t([one, two], drawn=MANY, confidence=0.95)
    assert found.groups["g0"].p_single_step <= whole.groups["g0"].p_single_step


def test_a_family_of_nobody_has_no_quantile() -> None:
    assert max_t([], drawn=MANY, confidence=0.95).critical.reason == "no group has an interval"


def test_a_group_that_comes_twice_and_uneven_replicates_are_refused() -> None:
    one, two = family(3, [0.0, 0.0])
    with pytest.raises(ValueError, match="twice"):
        max_t([one, one], drawn=MANY, confidence=0.95)
    with pytest.raises(ValueError, match="numbers of replicates"):
        max_t([one, two._replace(replicates=two.replicates[:5])], drawn=MANY, confidence=0.95)


@pytest.mark.parametrize("clusters", [5, 8, 40])
def test_any_false_alarm_is_as_rare_as_promised(clusters: int) -> None:
    """600 tasks of 6 groups without effect on the same clusters, a bootstrap for each."""
    rng = np.random.default_rng(clusters)
    alarms = 0
    for _ in range(600):
        data = rng.normal(size=(6, clusters)) + 0.5 * rng.normal(size=clusters)
        weights = cluster_weights(rng, clusters, 800) / clusters
        found = max_t(
            [
                GroupStatistic(str(g), Measured(value=float(x.mean())), weights @ x, clusters)
                for g, x in enumerate(data)
            ],
            drawn=clusters,
            confidence=0.95,
        )
        alarms += any(g.p_step_down <= 0.05 for g in found.groups.values())
    # A share of 0.05 has a standard error of 0.009. Without the expansion, 5 clusters give 0.46 and
    # 8 give 0.25; with max-T instead of Holm, 5 give 0.09.
    assert 0.005 <= alarms / 600 <= 0.075
