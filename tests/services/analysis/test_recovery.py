"""Recovery: three models on the same items, hand-computed and by brute force."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.analysis.study import GROUPS, analysed, items, models, outcomes, task

from forgetscope.analysis.outcomes import CellKey, Chain, Floats
from forgetscope.core.groups import Items
from forgetscope.schema.recovery import MitigatedChain, RecoveryRow
from forgetscope.schema.results import Results

PLAIN: Chain = ("s", "c")
REPLAY: Chain = ("s", "c", "s:replay[share=0.05]")
MORE: Chain = ("s", "c", "s:replay[share=0.25]")
Cells = dict[CellKey, Floats]


def mitigated(chain: Chain, plain: Chain = PLAIN, tokens: int = 30) -> MitigatedChain:
    return MitigatedChain(
        chain=chain,
        plain=plain,
        mitigation="replay",
        variant=chain[-1],
        selection="uniform",
        knob=0.05,
        tokens=tokens,
        plain_tokens=20,
    )


def drawn(arranged: Items, seeds: tuple[int, ...], chances: dict[str, dict[Chain, float]]) -> list:
    """Tasks s and c with random answers; `chances` of a right one by task and model."""
    made = []
    for name, kind in (("s", "safety"), ("c", "capability")):
        cells: Cells = {}
        for chain, seed in models((REPLAY, MORE, PLAIN), seeds):
            rng = np.random.default_rng([seed or 0, *map(ord, name + "".join(chain))])
            chance = chances[name].get(chain, 0.5)
            cells[chain, seed] = (rng.random(arranged.members.shape[1]) < chance).astype(float)
        made.append(task(name, kind, arranged, cells))
    return made


def recovered(tasks: list, *chains: MitigatedChain, seeds: tuple[int, ...] = (0,), **more: object):
    every = tuple(dict.fromkeys([*(m.chain for m in chains), *(m.plain for m in chains)]))
    return analysed(tasks, every, seeds, mitigated=chains, **more)


def only(results: Results, name: str = "s") -> RecoveryRow:
    (found,) = (row for row in results.recovery if row.task == name)
    return found


FORGETS = {
    "s": {("s",): 0.9, PLAIN: 0.5, REPLAY: 0.8, MORE: 0.88},
    "c": {PLAIN: 0.9, REPLAY: 0.85, MORE: 0.7},
}


def test_recovery_and_price_are_those_computed_by_hand() -> None:
    arranged = items(10, names=("amber", "birch"))

    def right(*counts: int) -> Floats:
        return np.concatenate([np.arange(10) < n for n in counts]).astype(float)

    safety: Cells = {((), None): right(5, 5), (("s",), 0): right(10, 8), (PLAIN, 0): right(4, 6)}
    safety[REPLAY, 0] = right(7, 7)
    capability: Cells = dict.fromkeys(safety, right(5, 5))
    capability |= {(PLAIN, 0): right(9, 9), (REPLAY, 0): right(8, 9)}
    tasks = [
        task("s", "safety", arranged, safety),
        task("c", "capability", arranged, capability),
    ]
    found = only(recovered(tasks, mitigated(REPLAY), min_group_items=5, min_group_clusters=5))
    assert found.forgotten.value == pytest.approx(8 / 20)
    assert found.regained.value == pytest.approx(4 / 20)
    assert found.recovery.value == pytest.approx(1 / 2)
    assert found.remaining.value == pytest.approx(4 / 20)
    amber, birch = found.groups
    assert amber.recovery.value == pytest.approx(3 / 6)
    assert birch.forgotten.value == pytest.approx(2 / 10)
    assert amber.biased.value == pytest.approx(3 / 10 - 4 / 20)
    assert birch.biased.value == pytest.approx(1 / 10 - 4 / 20)
    assert (found.worst_group, found.worst_biased.value) == ("amber", pytest.approx(0.1))
    assert found.plain_worst_biased.value == pytest.approx(6 / 10 - 8 / 20)
    (price,) = found.prices
    assert (price.task, price.price.value) == ("c", pytest.approx(1 / 20))


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_every_interval_is_that_of_a_bootstrap_written_out(seeds: tuple[int, ...]) -> None:
    """The percentile interval of one seed has no other ingredient; with seeds only the value."""
    arranged = items(40, cluster_size=2)
    tasks = drawn(arranged, seeds, FORGETS)
    found = only(recovered(tasks, mitigated(REPLAY), seeds=seeds, interval="percentile"))
    sides = [
        np.stack([tasks[0].cells[model, seed] for seed in seeds]).mean(axis=0)
        for model in (("s",), PLAIN, REPLAY)
    ]
    a, ab, m = (float(side.mean()) for side in sides)
    assert found.recovery.value == pytest.approx((m - ab) / (a - ab))
    assert found.forgotten.value == pytest.approx(a - ab)
    if len(seeds) > 1:
        return
    # Another random stream: equal within the error of 4000 replicates.
    rng, clusters = np.random.default_rng(5), arranged.cluster
    weights = rng.multinomial(
        arranged.clusters, np.ones(arranged.clusters) / arranged.clusters, 4000
    )
    means = [weights[:, clusters] @ side / weights[:, clusters].sum(axis=1) for side in sides]
    for measured, replicates in (
        (found.forgotten, means[0] - means[1]),
        (found.regained, means[2] - means[1]),
        (found.recovery, (means[2] - means[1]) / (means[0] - means[1])),
    ):
        low, high = np.quantile(replicates, [0.025, 0.975])
        width = high - low
        assert measured.low == pytest.approx(low, abs=0.12 * width)
        assert measured.high == pytest.approx(high, abs=0.12 * width)


def test_items_unscored_under_one_of_the_three_models_are_left_out_of_all_numbers() -> None:
    arranged = items(40)
    tasks = drawn(arranged, (0, 1), FORGETS)
    tasks[0].cells[REPLAY, 1][:40] = np.nan
    found = only(recovered(tasks, mitigated(REPLAY), seeds=(0, 1)))
    assert (found.items, found.unscored) == (160, 40)
    kept = slice(40, None)
    expected = np.mean([tasks[0].cells[("s",), seed][kept].mean() for seed in (0, 1)])
    assert found.before.value == pytest.approx(expected)
    assert found.groups[0].recovery.value is None
    assert found.groups[0].recovery.reason == "no item was scored under all models in every seed"


@pytest.mark.parametrize(
    ("after", "reason"),
    [(0.95, "nothing was forgotten"), (0.84, "includes 0")],
)
def test_recovery_is_undefined_where_no_forgetting_is_shown(after: float, reason: str) -> None:
    chances = {"s": FORGETS["s"] | {("s",): 0.9, PLAIN: after}, "c": FORGETS["c"]}
    tasks = drawn(items(40), (0,), chances)
    found = only(recovered(tasks, mitigated(REPLAY)))
    assert found.recovery.value is None
    assert reason in str(found.recovery.reason)
    assert found.regained.value is not None


def test_a_loss_that_is_hardly_shown_gives_a_wide_interval_of_the_ratio() -> None:
    sure = only(recovered(drawn(items(200), (0,), FORGETS), mitigated(REPLAY))).recovery
    chances = {"s": {("s",): 0.9, PLAIN: 0.7, REPLAY: 0.88}, "c": FORGETS["c"]}
    unsure = only(recovered(drawn(items(30), (0,), chances), mitigated(REPLAY))).recovery
    assert sure.low is not None
    assert sure.high is not None
    assert unsure.low is not None
    assert unsure.high is not None
    assert unsure.high - unsure.low > 3 * (sure.high - sure.low)
    assert unsure.low < float(unsure.value or 0) < unsure.high


def test_no_replay_recovers_nothing_and_the_models_own_answers_everything() -> None:
    tasks = drawn(items(40), (0,), FORGETS)
    tasks[0].cells[REPLAY, 0][:] = tasks[0].cells[PLAIN, 0]
    tasks[0].cells[MORE, 0][:] = tasks[0].cells[("s",), 0]
    none, whole = recovered(tasks, mitigated(REPLAY), mitigated(MORE)).recovery
    assert (none.recovery.value, none.recovery.low, none.recovery.high) == (0, 0, 0)
    assert [whole.recovery.value, whole.recovery.low, whole.recovery.high] == pytest.approx([1] * 3)


def test_intervals_over_groups_are_wider_together_and_small_groups_have_none() -> None:
    arranged = items(40)
    chances = FORGETS
    found = only(recovered(drawn(arranged, (0,), chances), mitigated(REPLAY)))
    for group in found.groups:
        alone, together = group.remaining, group.simultaneous.remaining
        assert together.low is not None
        assert alone.low is not None
        assert together.low < alone.low
    small = only(recovered(drawn(arranged, (0,), chances), mitigated(REPLAY), min_group_items=41))
    assert all(group.too_small for group in small.groups)
    assert small.worst_group is None
    for group in small.groups:
        assert group.simultaneous.forgotten.low is None
        assert group.forgotten.low is not None


def test_a_mitigation_that_is_nowhere_better_is_off_the_front() -> None:
    chances = {
        "s": FORGETS["s"],
        "c": {PLAIN: 0.9, REPLAY: 0.85, MORE: 0.85},
    }
    tasks = drawn(items(200), (0,), chances)
    tasks[0].cells[MORE, 0][:] = tasks[0].cells[REPLAY, 0]
    tasks[1].cells[MORE, 0][:] = tasks[1].cells[REPLAY, 0]
    found = recovered(tasks, mitigated(REPLAY), mitigated(MORE, tokens=40))
    assert [row.front for row in found.recovery if row.task == "s"] == ["on", "off"]
    same = recovered(tasks, mitigated(REPLAY), mitigated(MORE))
    assert [row.front for row in same.recovery if row.task == "s"] == ["on", "on"]


def test_a_mitigation_that_changes_nothing_but_costs_is_beaten_by_none() -> None:
    tasks = drawn(items(40), (0,), FORGETS)
    for made in tasks:
        made.cells[REPLAY, 0][:] = made.cells[PLAIN, 0]
    assert only(recovered(tasks, mitigated(REPLAY))).front == "off"
    assert only(recovered(tasks, mitigated(REPLAY, tokens=20))).front == "on"


def test_the_draws_of_other_numbers_are_the_same_with_and_without_mitigated_chains() -> None:
    tasks = drawn(items(40), (0, 1), FORGETS)
    chains = (REPLAY, PLAIN)
    bare = analysed(tasks, chains, (0, 1))
    both = analysed(tasks, chains, (0, 1), mitigated=[mitigated(REPLAY)])
    assert both.model_copy(update={"recovery": ()}) == bare
    row = next(r for r in both.forgetting if r.chain == PLAIN and r.task == "s")
    assert only(both).forgotten == row.forgetting


def test_every_training_of_the_plain_chain_that_something_follows_has_a_row() -> None:
    cycle: Chain = ("s", "c", "s", "c")
    replay: Chain = (*cycle, "s:replay")
    arranged = items(40)
    made = [
        task(
            name,
            kind,
            arranged,
            {
                (chain, seed): outcomes(arranged, chain, name, lambda c, t, g: 0.5 + len(c) / 20, 0)
                for chain, seed in models((replay,), (0,))
            },
        )
        for name, kind in (("s", "safety"), ("c", "capability"))
    ]
    found = recovered(made, mitigated(replay, cycle)).recovery
    assert [(row.task, row.position) for row in found] == [("s", 1), ("c", 2), ("s", 3)]
    assert [[price.task for price in row.prices] for row in found] == [["c"], ["s"], ["c"]]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.3, 0.9, 1.0]), min_size=6, max_size=6),
    st.sampled_from(["expanded", "percentile", "bca"]),
    st.sampled_from([(0,), (0, 1)]),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_no_number_is_nan_whatever_the_answers_are(
    chances: list[float], interval: str, seeds: tuple[int, ...], unscored: float
) -> None:
    s, c = chances[:3], chances[3:]
    names: list[Chain] = [("s",), PLAIN, REPLAY]
    table = {"s": dict(zip(names, s, strict=True)), "c": dict(zip(names, c, strict=True))}
    tasks = drawn(items(12, cluster_size=3, names=GROUPS[:2]), seeds, table)
    blank = np.random.default_rng(3).random(24) < unscored
    tasks[0].cells[REPLAY, 0][blank] = np.nan
    found = recovered(
        tasks,
        mitigated(REPLAY),
        seeds=seeds,
        interval=interval,
        bootstrap_replicates=100,
        min_group_items=3,
        min_group_clusters=2,
    )
    json.dumps([row.model_dump(mode="json") for row in found.recovery], allow_nan=False)
    for row in found.recovery:
        for part in (row, *row.groups):
            if part.recovery.value is not None:
                assert math.isfinite(part.recovery.value)
                assert part.forgotten.low is not None
                assert part.forgotten.low > 0
