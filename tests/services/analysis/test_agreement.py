"""Transfer, agreement of pairs about groups, and where variance comes from."""

import numpy as np
import pytest
from services.analysis.study import GROUPS, analysed, items, models, outcomes, study, task

from forgetscope.analysis.outcomes import Chain

LOSS = dict(zip(GROUPS, (0.0, 0.1, 0.2, 0.3, 0.4), strict=True))


def ranked(chain: Chain, task: str, group: str) -> float:
    """Every task loses the most about the last group."""
    return 0.9 if task not in chain or chain[-1] == task else 0.9 - LOSS[group]


def test_transfer_by_hand() -> None:
    shares = {
        ((), "s"): 0.50, ((), "c"): 0.30,
        (("s",), "s"): 0.90, (("s",), "c"): 0.40,
        (("s", "c"), "s"): 0.60, (("s", "c"), "c"): 0.80,
    }  # fmt: skip
    results = study([("s", "c")], lambda chain, task, group: shares[chain, task], seeds=(3, 4))
    assert [(row.chain, row.seed) for row in results.transfer] == [
        (("s", "c"), seed) for seed in (3, 4, None)
    ]
    for row in results.transfer:
        assert row.acc.value == pytest.approx(0.70)
        assert row.bwt.value == pytest.approx(-0.30)
        assert row.fwt.value == pytest.approx(0.10)
        assert row.bwt.value == pytest.approx(-(results.forgetting[0].forgetting.value or 0.0))


def test_transfer_has_the_interval_of_the_forgetting_that_it_is() -> None:
    """BWT of a pair is minus its forgetting: the same number from other draws of the clusters."""
    settings = {"bootstrap_replicates": 20_000, "interval": "expanded"}
    for seeds in ((3,), (3, 4, 5)):
        results = study([("s", "c")], ranked, seeds=seeds, **settings)
        forgetting, bwt = results.forgetting[0].forgetting, results.transfer[-1].bwt
        assert bwt.value == pytest.approx(-(forgetting.value or 0))
        assert forgetting.low is not None
        assert forgetting.high is not None
        width = forgetting.high - forgetting.low
        assert bwt.low == pytest.approx(-forgetting.high, abs=0.03 * width)
        assert bwt.high == pytest.approx(-forgetting.low, abs=0.03 * width)


def test_the_interval_of_average_accuracy_is_that_of_independent_tasks() -> None:
    shares = {"s": 0.6, "c": 0.8}
    results = study(
        [("s", "c")], lambda chain, task, group: shares[task], bootstrap_replicates=20_000
    )
    (found,) = results.transfer
    error = np.sqrt((0.6 * 0.4 + 0.8 * 0.2) / 500) / 2
    assert found.acc.low is not None
    assert found.acc.high is not None
    assert found.acc.high - found.acc.low == pytest.approx(2 * 1.96 * error, rel=0.03)
    assert found.fwt.value == found.fwt.low == found.fwt.high == 0


def test_runs_that_differ_widen_the_interval_of_their_mean_only() -> None:
    arranged, chains = items(), (("s", "c"),)
    level = {0: 0.9, 1: 0.7, 2: 0.5}
    cells = {
        (chain, seed): outcomes(
            arranged, chain, "s", lambda c, t, g, s=seed: level.get(s, 0.8), seed or 0
        )
        for chain, seed in models(chains, (0, 1, 2))
    }
    tasks = [task(n, k, arranged, cells) for n, k in (("s", "safety"), ("c", "capability"))]
    *each, mean = analysed(tasks, chains, (0, 1, 2)).transfer
    widths = [(row.acc.high or 0) - (row.acc.low or 0) for row in (*each, mean)]
    assert max(widths[:3]) < 0.1
    # The t quantile of two degrees of freedom times the standard error of 0.9, 0.7, 0.5, and more;
    # it ends where accuracies do.
    assert (mean.acc.low, mean.acc.high) == (pytest.approx(0.7 - 4.30 * 0.2 / 3**0.5, abs=0.02), 1)


def test_transfer_is_undefined_with_a_reason_where_it_has_no_meaning() -> None:
    results = study([("s",), ("s", "c", "s")], ranked)
    alone, back = results.transfer
    assert alone.bwt.reason == "a chain of one stage has no transfer"
    assert "trained twice" in (back.bwt.reason or "")
    assert back.acc.value is not None


def test_pairs_that_rank_the_groups_alike_agree_fully() -> None:
    results = study([("s1", "c"), ("s2", "c"), ("s2", "d")], ranked)
    whole, one, two = results.consistency
    assert (whole.task, one.task, two.task) == (None, "s1", "s2")
    assert whole.groups == GROUPS
    assert whole.kendall_w.value == pytest.approx(1)
    assert whole.spearman.value == pytest.approx(1)
    # Two first stages, five groups: one of 5! orders agrees as well.
    assert whole.by_first_stage.p.value == pytest.approx(1 / 120)
    assert whole.by_pair.p.value == pytest.approx(1 / 120**2)
    assert one.kendall_w.reason == "agreement needs at least 2 pairs"
    assert two.kendall_w.value == pytest.approx(1)
    assert "only one first stage" in (two.by_first_stage.p.reason or "")


def test_groups_that_are_too_small_take_no_part_in_the_agreement() -> None:
    results = study([("s1", "c"), ("s2", "c")], ranked, arranged=items(20))
    assert {found.kendall_w.reason for found in results.consistency[:1]} == {
        "0 groups are defined in every pair; an order worth comparing needs 3"
    }
    assert set(results.consistency[0].left_out) == set(GROUPS)


def test_longer_chains_are_no_pairs() -> None:
    (whole,) = study([("s", "c"), ("s", "d"), ("s", "c", "d")], ranked).consistency
    assert whole.pairs == (("s", "c"), ("s", "d"))


def test_variance_needs_two_seeds_and_both_orders() -> None:
    both = [("s", "c"), ("c", "s")]
    one_seed = study(both, ranked).variance
    assert one_seed.rows == ()
    assert "one seed" in (one_seed.reason or "")
    one_order = study(both[:1], ranked, seeds=(0, 1)).variance
    assert "both orders" in (one_order.reason or "")


def test_a_difference_between_the_orders_alone_is_variance_of_order_alone() -> None:
    both = [("s", "c"), ("c", "s")]
    results = study(both, lambda chain, task, group: float(chain[-1:] == (task,)), seeds=(0, 1, 2))
    assert [(r.task, r.unit) for r in results.variance.rows] == [("s", "item"), ("c", "item")]
    for row in results.variance.rows:
        assert row.levels == {"order": 2, "seed": 3, "item": 500}
        found = {name: part.variance.value for name, part in row.components.items()}
        # All right in one order, all wrong in the other: the variance of 1 and 0.
        assert found.pop("order") == pytest.approx(0.5)
        assert list(found.values()) == pytest.approx([0] * 6)


def test_clustered_items_are_decomposed_by_cluster() -> None:
    both = [("s", "c"), ("c", "s")]
    arranged = items(40, cluster_size=4)
    for row in study(both, ranked, seeds=(0, 1), arranged=arranged).variance.rows:
        assert (row.unit, row.levels["item"], row.left_out) == ("cluster", 50, 0)

    def last(chain: Chain, task: str, group: str) -> float:
        return float(chain[-1:] == (task,))

    for row in study(both, last, seeds=(0, 1), arranged=arranged).variance.rows:
        assert row.components["order"].variance.value == pytest.approx(0.5)


def test_items_unscored_under_one_model_are_left_out_of_the_decomposition() -> None:
    arranged = items(20)
    chains = [("s", "c"), ("c", "s")]
    cells = {
        key: outcomes(arranged, key[0], "s", ranked, key[1] or 0) for key in models(chains, (0, 1))
    }
    gap = cells[("c", "s"), 1].copy()
    gap[:7] = np.nan
    none = np.full(100, np.nan)
    tasks = [
        task("s", "safety", arranged, cells | {(("c", "s"), 1): gap}),
        task("c", "capability", arranged, cells | {(("c", "s"), 1): none}),
    ]
    some, nothing = analysed(tasks, chains, (0, 1)).variance.rows
    assert (some.left_out, some.levels["item"]) == (7, 93)
    assert (nothing.left_out, nothing.levels["item"]) == (100, 0)
    for part in nothing.components.values():
        assert part.variance.value is None
        assert part.variance.reason
