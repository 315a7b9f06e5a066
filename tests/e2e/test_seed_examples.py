"""The small variants of the seed's experiments, run as they are, on one platform that reuses their
stages."""

from typing import NamedTuple

import pytest
import yaml
from e2e.conftest import Embedded
from e2e.processes import PROJECT, finish

from forgetscope.schema.plan import PlanView
from forgetscope.schema.results import Results

LIMIT = 1200  # seconds; a few minutes where nothing else runs
pytestmark = pytest.mark.timeout(2 * LIMIT)

NAMES = sorted(
    path.name.partition(".")[0] for path in (PROJECT / "examples" / "seed").glob("*.tiny.yaml")
)
TOXIGEN, ARC, CSQA_2 = "toxigen_qa", "arc", "commonsense_qa_2"
GROUPS = 13


class Submitted(NamedTuple):
    """Every experiment was submitted before any was waited for."""

    plans: dict[str, PlanView]
    ids: dict[str, str]


@pytest.fixture(scope="module")
def submitted(embedded: Embedded) -> Submitted:
    specs: dict[str, dict[str, object]] = {
        name: yaml.safe_load((PROJECT / f"examples/seed/{name}.tiny.yaml").read_text("utf-8"))
        for name in NAMES
    }
    plans = {name: embedded.client.plan(spec) for name, spec in specs.items()}
    return Submitted(plans, {name: embedded.client.submit(spec) for name, spec in specs.items()})


@pytest.mark.parametrize("name", NAMES)
def test_a_small_variant_of_the_seed_runs_from_its_file_to_its_report(
    name: str, embedded: Embedded, submitted: Submitted
) -> None:
    experiment = submitted.ids[name]
    finish(embedded.client, experiment, seconds=LIMIT)
    results = embedded.client.results(experiment)
    assert all(cell.overall.scored + cell.overall.unscored > 0 for cell in results.matrix)
    assert {row.chain for row in results.forgetting} == {c for c in results.chains if len(c) > 1}
    assert "</html>" in embedded.client.report_html(experiment)
    CHECKS[name](results)


def test_what_experiments_share_is_trained_once(embedded: Embedded, submitted: Submitted) -> None:
    stages = [stage for plan in submitted.plans.values() for stage in plan.stages]
    planned = [stage.key for stage in stages if stage.kind == "train"]
    assert (len(planned), len(set(planned))) == (90, 71)
    for experiment in submitted.ids.values():
        finish(embedded.client, experiment, seconds=LIMIT)
    keys = {
        (stage.key, experiment)
        for experiment in submitted.ids.values()
        for stage in embedded.client.stages(experiment)
        if stage.kind == "train"
    }
    assert {key for key, _ in keys} == set(planned)
    attempts = {
        key: len(embedded.client.stage(experiment, key).attempts) for key, experiment in keys
    }
    assert set(attempts.values()) == {1}


def _order(results: Results) -> None:
    assert {row.chain for row in results.forgetting} == {(TOXIGEN, ARC), (ARC, TOXIGEN)}
    (effect,) = results.order_effects
    assert effect.effect.low is not None
    learned = next(row for row in results.forgetting if row.task == TOXIGEN)
    assert learned.before.low is not None
    assert learned.before.low > 0.5, "it learns to tell what is toxic better than by guessing"


def _groups(results: Results) -> None:
    for row in results.forgetting:
        assert len([g for g in row.groups if not g.too_small]) == GROUPS
        assert all(g.items == 80 for g in row.groups)
        assert sum(g.items * (g.biased.value or 0) for g in row.groups) == pytest.approx(0)
    agreement = next(a for a in results.consistency if len(a.pairs) > 1)
    assert len(agreement.pairs) == 2
    assert agreement.kendall_w.value is not None


def _replay(results: Results) -> None:
    knobs = [(r.mitigated.mitigation, r.mitigated.knob) for r in results.recovery]
    assert knobs.count(("replay", 0.05)) == 2, "once as it is, once in equal steps"
    assert {k for m, k in knobs if m == "replay"} == {0.0, 0.05, 0.25, 1.0}
    assert {k for m, k in knobs if m == "mix"} == {0.05, 0.25}
    none = next(r for r in results.recovery if r.mitigated.knob == 0)
    assert none.remaining.value == none.forgotten.value
    assert none.mitigated.tokens == none.mitigated.plain_tokens
    assert [p.task for p in none.prices] == [ARC]
    assert none.prices[0].price.value == 0


def _curvature(results: Results) -> None:
    kinds = {task.id: task.kind for task in results.tasks}
    assert (
        sorted(kinds[row.task] for row in results.curvature) == ["capability"] * 3 + ["safety"] * 3
    )
    assert not results.displacement
    assert all(row.spectra[0].radius.value for row in results.curvature)
    assert results.curvature_summary is not None
    assert results.curvature_summary.comparison is not None


def _replay_of_pairs(results: Results) -> None:
    pairs = {chain for chain in results.chains if len(chain) == 2}
    assert len(pairs) == 8
    assert {r.mitigated.plain for r in results.recovery} == pairs
    assert all(r.task == r.mitigated.plain[0] for r in results.recovery)
    assert all(r.mitigated.knob == 0.05 for r in results.recovery)


def _formats(results: Results) -> None:
    formats = {"toxigen-qa", "toxigen-classification", "toxigen-generation"}
    assert {row.task for row in results.forgetting} == formats
    written = next(t for t in results.tasks if t.id == "toxigen-generation")
    assert len(written.groups) == GROUPS


def _learning_rates(results: Results) -> None:
    first = {row.chain[0] for row in results.forgetting if row.chain[1] == ARC}
    second = {row.chain[1] for row in results.forgetting if row.chain[0] == TOXIGEN}
    assert len(first) == 2
    assert len(second) == 3
    usual = {"toxigen_qa:first[learning_rate=0.003]", "arc:second[learning_rate=0.01]"}
    same = [r.forgetting.value for r in results.forgetting if usual & set(r.chain)]
    assert len(same) == 2
    assert len(set(same)) == 1, "both are the same two trainings, under two names"


def _rounds(results: Results) -> None:
    cycle = (TOXIGEN, ARC, TOXIGEN, ARC)
    assert [r.position for r in results.forgetting if r.chain == cycle] == [1, 2, 3]
    third = (TOXIGEN, ARC, CSQA_2)
    assert [r.task for r in results.forgetting if r.chain == third] == [TOXIGEN, ARC]


def _whole(results: Results) -> None:
    assert len(results.order_effects) == 4
    assert len(results.recovery) == 2 * 3
    assert results.seeds == (0, 1)
    assert {row.seed for row in results.curvature} == {0, 1}
    assert {row.task for row in results.curvature if len(row.chain) == 1} == {
        t.id for t in results.tasks
    }
    assert results.displacement


CHECKS = {
    "a-order": _order,
    "b-groups": _groups,
    "c-replay": _replay,
    "d-curvature": _curvature,
    "e-replay-pairs": _replay_of_pairs,
    "f-format": _formats,
    "g-learning-rate": _learning_rates,
    "h-rounds": _rounds,
    "i-whole-paper": _whole,
}
