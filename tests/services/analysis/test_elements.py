"""Chains of elements: a step is no task, and a pair trained in another way no other pair."""

import numpy as np
import pytest
from services.analysis.study import analysed, items, models, outcomes, task

from forgetscope.analysis.curvature_results import Place
from forgetscope.analysis.mechanisms import add_mechanisms
from forgetscope.analysis.outcomes import Chain, plain_pair, trainings, unmitigated
from forgetscope.schema.example import Example
from forgetscope.schema.mechanisms import DriftFile
from forgetscope.schema.recovery import MitigatedChain
from forgetscope.schema.results import Results

PLAIN: tuple[Chain, ...] = (("s", "c"), ("c", "s"))
STEPS: tuple[Chain, ...] = (
    ("s", "c:mixed[share=0.05]"),
    ("s:gently", "c"),
    ("c:gently", "s"),
    ("s", "c", "s:replay"),
    ("s", "c", "~half[alpha=0.5]"),
)


def share(chain: Chain, name: str, group: str) -> float:
    return 0.95 - 0.1 * len(chain) - 0.05 * "abcde".index(group[0])


def studied(chains: tuple[Chain, ...], seeds: tuple[int, ...] = (0, 1)) -> Results:
    arranged = items(40)
    tasks = [
        task(
            name,
            kind,
            arranged,
            {
                (chain, seed): outcomes(arranged, chain, name, share, seed or 0)
                for chain, seed in models(chains, seeds)
            },
        )
        for name, kind in (("s", "safety"), ("c", "capability"))
    ]
    mixed = MitigatedChain(
        chain=STEPS[0],
        plain=("s", "c"),
        mitigation="mix",
        variant=STEPS[0][1],
        tokens=2,
        plain_tokens=1,
    )
    found = [mixed] if STEPS[0] in chains else []
    return analysed(tasks, chains, seeds, mitigated=found)


def example(name: str) -> Example:
    return Example(
        id=name,
        prompt=f"Is {name} a letter?",
        options=(" yes", " no"),
        answer=0,
        target=" yes",
        groups=("amber",),
        cluster=name,
    )


def test_elements_are_told_apart() -> None:
    assert plain_pair(("s", "c"))
    assert not any(plain_pair(chain) for chain in (*STEPS, ("s",), ("s", "c", "s")))
    assert trainings(("s:gently", "c", "~half", "s:replay")) == ("s", "c", "s")


def test_order_consistency_and_variance_are_about_plain_pairs_only() -> None:
    bare, more = studied(PLAIN), studied((*STEPS, *PLAIN))
    assert more.order_effects == bare.order_effects
    assert len(bare.order_effects) == 1
    assert [found.pairs for found in more.consistency] == [
        found.pairs for found in bare.consistency
    ]
    assert more.variance == bare.variance
    assert bare.variance.rows


def test_without_plain_pairs_there_is_no_order_effect_and_a_reason_for_no_decomposition() -> None:
    found = studied((("s:gently", "c"), ("c", "s:gently")))
    assert not found.order_effects
    assert "in both orders" in str(found.variance.reason)


def test_transfer_counts_trainings_and_reads_the_last_model_after_a_merge() -> None:
    found = {
        row.chain: row for row in studied((*STEPS, *PLAIN), (0,)).transfer if row.seed is not None
    }
    merged, plain = found["s", "c", "~half[alpha=0.5]"], found["s", "c"]
    assert plain.bwt.value == pytest.approx(-0.1)
    assert merged.bwt.value == pytest.approx(-0.2)
    assert merged.acc.value == pytest.approx(float(plain.acc.value or 0) - 0.1)
    assert "twice" in str(found["s", "c", "s:replay"].bwt.reason)
    assert found[STEPS[1]].fwt.value == pytest.approx(plain.fwt.value)


def test_the_task_of_a_place_is_that_of_its_element() -> None:
    assert Place(("s:gently", "c"), 1, 0).task == "s"


def test_a_mitigated_chain_is_no_further_point_of_a_correlation() -> None:
    results = studied((*STEPS[:2], *PLAIN))
    assert STEPS[0] not in {row.chain for row in unmitigated(results)}
    assert {row.chain for row in unmitigated(results)} == {STEPS[1], *PLAIN}


def test_mechanisms_of_chains_with_steps_say_what_is_not_known() -> None:
    results = studied((STEPS[0], STEPS[4], *PLAIN), (0,))
    layer = {"items": 40, "cka": {"value": 0.5}, "displacement": {"value": 0.5}}
    drift = DriftFile.model_validate(
        {
            "digest": "0" * 64,
            "dtype": "float32",
            "depth": 1,
            "unfit": 0,
            "layers": [{"layer": 1, "whole": layer, "groups": {}}],
        }
    )
    drifts = {Place(row.chain, row.position, 0): drift for row in results.forgetting}
    train = {name: [example(name)] for name in ("s", "c")}
    found = add_mechanisms(results, drifts, train, np.random.default_rng(0)).mechanisms
    assert found is not None
    assert {pair.chain for pair in found.pairs} == set(PLAIN)
    reasons = {g.chain: str(g.share_later.reason) for g in found.groups if g.task == "s"}
    assert "a later stage has a step" in reasons[STEPS[0]]
    assert "a later stage has a step" not in reasons["s", "c"]
