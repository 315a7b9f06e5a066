"""The example on mechanisms through separate processes, from the file to the report."""

import pytest
import yaml
from e2e.conftest import Embedded
from e2e.processes import PROJECT, finish

from forgetscope.schema.base import JsonObject

pytestmark = pytest.mark.timeout(600)

EXAMPLE: JsonObject = yaml.safe_load((PROJECT / "examples" / "mechanisms.yaml").read_text("utf-8"))
SAFETY = "synthetic_safety"


def test_the_example_ends_with_candidates_beside_biased_forgetting(embedded: Embedded) -> None:
    plan = embedded.client.plan(EXAMPLE)
    assert plan.by_kind["drift"] == 4
    experiment = embedded.client.submit(EXAMPLE)
    finish(embedded.client, experiment)
    results = embedded.client.results(experiment)
    found = results.mechanisms
    assert found is not None
    assert {row.chain for row in found.drift} == set(results.chains)
    for row in found.drift:
        assert [layer.layer for layer in row.layers][-1] == row.depth
        last = row.layers[-1].whole
        assert last.displacement.value is not None
        assert last.displacement.value > 0.01
        assert last.cka.value is not None
        assert last.cka.value < 1
    groups = [g for g in found.groups if g.task == SAFETY]
    assert {g.chain for g in groups} == {c for c in results.chains if c[0] == SAFETY}
    shares: dict[tuple[str, ...], float] = {}
    for g in groups:
        assert g.displacement.value is not None
        assert g.curvature.value is not None
        assert g.slope.value is not None
        assert g.share_own.value is not None
        shares[g.chain] = shares.get(g.chain, 0.0) + g.share_own.value
    assert all(total == pytest.approx(1.0) for total in shares.values())
    pooled = [a for a in found.associations if a.task == SAFETY and a.chain is None]
    drifted = next(a for a in pooled if a.candidate == "displacement of states")
    assert (drifted.rows, drifted.points) == (2, len(groups) // 2)
    assert drifted.spearman.value is not None
    assert drifted.p.value is not None
    likeness = {pair.chain: pair for pair in found.pairs}
    assert likeness.keys() == set(results.chains)
    near = likeness[SAFETY, "synthetic_capability"].format.value
    far = likeness[SAFETY, "lettered"].format.value
    assert near is not None
    assert far is not None
    assert near > far
    over = next(a for a in found.associations if a.candidate == "similarity in format")
    assert over.points == 4
    assert over.spearman.value is not None
    page = embedded.client.report_html(experiment)
    assert 'id="mechanisms"' in page
    paths = {a.path for a in embedded.client.artifacts(experiment)}
    assert {"mechanisms.csv", "drift.csv", "similarity.csv", "drift.json"} <= paths
