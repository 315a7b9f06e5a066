"""The monitor's test: unbiased contrasts, a fair bet, and answers that may be read at any time."""

import itertools
import json
import math

import numpy as np
import numpy.typing as npt
import pytest

from forgetscope.core.inference.sequential import (
    Pool,
    Rule,
    State,
    begin,
    contrasts,
    draw,
    look,
    pool_of,
)

RULE = Rule(margin=0.05, alpha=0.05)
MIXED = [["a"], ["a", "b"], ["b"], [], ["a", "b"], ["a"], [], ["c"], ["c"], ["a"]]


def stages(
    pool: Pool, change: npt.NDArray[np.int8], looks: int, seed: int, rule: Rule = RULE
) -> list[State]:
    """Looks of 4 rounds at a model that does not move."""
    rng, state, found = np.random.default_rng(seed), begin(pool), []
    for _ in range(looks):
        state, _ = look(pool, rule, state, contrasts(pool, change[draw(pool, 4, rng)]))
        found.append(state)
    return found


def test_contrasts_estimate_biased_forgetting_without_bias_for_items_of_several_groups() -> None:
    pool = pool_of(MIXED)
    change = np.random.default_rng(0).integers(-1, 2, len(MIXED)).astype(np.int8)
    means = np.array([change[stratum].mean() for stratum in pool.strata])
    for g, name in enumerate(pool.groups):
        own = [c for c, groups in zip(change, MIXED, strict=True) if name in groups]
        expected = float(np.mean(own) - change.mean())
        assert (pool.weights @ means)[g] == pytest.approx(expected, abs=1e-12)
    drawn = draw(pool, 40_000, np.random.default_rng(1))
    found = contrasts(pool, change[drawn])
    assert found.mean(axis=1) == pytest.approx(pool.weights @ means, abs=0.02)
    assert (np.abs(found) <= pool.reach[:, None] + 1e-12).all()


def test_probes_come_from_their_stratum_and_looks_do_not_repeat_each_other() -> None:
    pool = pool_of(MIXED)
    drawn = draw(pool, 50, np.random.default_rng(0))
    for row, stratum in zip(drawn, pool.strata, strict=True):
        assert set(row) == set(stratum)
    assert (draw(pool, 50, np.random.default_rng(1)) != drawn).any()


def test_a_group_that_holds_every_item_is_not_watched() -> None:
    assert pool_of([["all", "a"], ["all"], ["all", "a"]]).groups == ("a",)
    assert pool_of([["all"], ["all"]]).groups == ()


def test_at_the_margin_the_e_value_has_mean_one_whatever_the_model_did_before() -> None:
    """All courses of two looks of two rounds; the second model depends on the first look."""
    pool = pool_of([["a"], ["b"]])
    rule = Rule(margin=0.1, alpha=0.05)
    # X of group a is (D_a - D_b) / 2; D in {0, 1} with chances p, q is at the margin for
    # (p - q) / 2 = 0.1.
    chances = {False: (0.6, 0.4), True: (0.9, 0.7)}

    def rounds(p: float, q: float) -> list[tuple[float, tuple[int, int]]]:
        return [
            ((p if a else 1 - p) * (q if b else 1 - q), (a, b))
            for a, b in itertools.product((0, 1), repeat=2)
        ]

    total = 0.0
    for first in itertools.product(rounds(*chances[False]), repeat=2):
        change = np.array([d for _, d in first], dtype=np.int8).T
        state, _ = look(pool, rule, begin(pool), contrasts(pool, change))
        worse = bool(change[0].sum() > change[1].sum())
        for second in itertools.product(rounds(*chances[worse]), repeat=2):
            change = np.array([d for _, d in second], dtype=np.int8).T
            _, seen = look(pool, rule, state, contrasts(pool, change))
            chance = math.prod(p for p, _ in (*first, *second))
            total += chance * math.exp(seen[0].log_e_value)
    assert total == pytest.approx(1, abs=1e-12)


def test_the_e_value_is_the_mixture_over_bets_and_starts() -> None:
    pool = pool_of([["a"], ["b"], ["b"]])
    rng = np.random.default_rng(3)
    found = [contrasts(pool, rng.integers(0, 2, (2, 3)).astype(np.int8)) for _ in range(5)]
    state = begin(pool)
    for one in found:
        state, seen = look(pool, RULE, state, one)
    reach = pool.reach[0]
    bets = [0.95 / 2**k for k in range(6)]
    expected = 1 / 6  # bets that begin after the fifth look
    for start, bet in itertools.product(range(1, 6), bets):
        x = np.concatenate([one[0] for one in found[start - 1 :]])
        wealth = np.prod(1 + bet * (x - RULE.margin) / (RULE.margin + reach))
        expected += wealth / (start * (start + 1)) / 6
    assert math.exp(seen[0].log_e_value) == pytest.approx(expected)


def test_a_group_at_the_margin_is_seldom_called_and_one_beyond_is() -> None:
    """13 groups of 20 items, 12 of them exactly at the margin: (16 - 3) / 20 / 13; 60 looks."""
    pool = pool_of([[f"g{g:02d}"] for g in range(13) for _ in range(20)])

    def losing(*counts: int) -> npt.NDArray[np.int8]:
        return np.concatenate([np.arange(20) < n for n in counts]).astype(np.int8)

    at_margin = losing(3, *[16] * 12)
    called = sum(any(stages(pool, at_margin, 60, seed)[-1].called) for seed in range(40))
    assert called <= 6  # 2 are promised on the average at most
    planted = losing(14, *[2] * 12)
    for seed in range(5):
        state = stages(pool, planted, 60, seed)[-1]
        assert [g for g, at in enumerate(state.called) if at] == [0]


def test_forgetting_that_begins_late_is_called_soon_after() -> None:
    pool = pool_of([[f"g{g}"] for g in range(6) for _ in range(20)])
    still = np.zeros(120, dtype=np.int8)
    lost = np.array([1] * 18 + [0] * 102, dtype=np.int8)
    rng, state = np.random.default_rng(0), begin(pool)
    for t in range(140):
        model = lost if t >= 100 else still
        state, _ = look(pool, RULE, state, contrasts(pool, model[draw(pool, 4, rng)]))
    assert 100 < state.called[0] <= 115
    assert not any(state.called[1:])


def test_the_interval_is_for_the_running_mean_of_a_model_that_moves() -> None:
    """Lost items of group a go up and down; all intervals of a course hold, and they narrow."""
    pool = pool_of([[g] for g in "abcd" for _ in range(25)])
    missed = 0
    for seed in range(40):
        rng, state, truth, widths = np.random.default_rng(seed), begin(pool), [], []
        right = True
        for t in range(60):
            lost = round(12 + 12 * math.sin(t / 6))
            change = np.array([1] * lost + [0] * (100 - lost), dtype=np.int8)
            truth.append(lost / 25 - lost / 100)
            found = contrasts(pool, change[draw(pool, 8, rng)])
            state, seen = look(pool, RULE, state, found)
            right &= seen[0].lower <= np.mean(truth) <= seen[0].upper
            assert seen[0].lower <= seen[0].mean <= seen[0].upper
            widths.append(seen[0].upper - seen[0].lower)
        missed += not right
        assert widths[-1] < 0.35 < widths[0]
    assert missed <= 5


def test_a_test_goes_on_from_its_state_as_json_and_a_call_stays() -> None:
    pool = pool_of([["a"]] * 10 + [["b"]] * 30)
    lost, back = np.array([1] * 10 + [0] * 30, dtype=np.int8), np.zeros(40, dtype=np.int8)
    called = stages(pool, lost, 30, 0)[-1]
    assert called.called[0] > 0
    again = State(**json.loads(json.dumps(called._asdict(), allow_nan=False)))
    found = contrasts(pool, back[draw(pool, 4, np.random.default_rng(5))])
    assert look(pool, RULE, again, found) == look(pool, RULE, called, found)
    after, seen = look(pool, RULE, called, found)
    assert seen[0].verdict == "breach"
    assert after.called == called.called
    json.dumps(begin(pool)._asdict(), allow_nan=False)


def test_a_contrast_out_of_reach_is_refused() -> None:
    pool = pool_of([["a"], ["b"]])
    with pytest.raises(ValueError, match="larger than the pool allows"):
        look(pool, RULE, begin(pool), np.full((2, 1), 1.5))
