"""The example on curvature through separate processes, from the file to the report."""

import pytest
import yaml
from e2e.conftest import Embedded
from e2e.processes import PROJECT, finish

from forgetscope.schema.base import JsonObject

pytestmark = pytest.mark.timeout(600)

EXAMPLE: JsonObject = yaml.safe_load((PROJECT / "examples" / "curvature.yaml").read_text("utf-8"))


def test_the_example_ends_with_curvature_predictions_and_their_truth(embedded: Embedded) -> None:
    plan = embedded.client.plan(EXAMPLE)
    assert (plan.by_kind["curvature"], plan.by_kind["displacement"]) == (2, 2)
    assert any("GiB" in note for note in plan.notes)
    experiment = embedded.client.submit(EXAMPLE)
    finish(embedded.client, experiment)
    results = embedded.client.results(experiment)
    assert {row.chain for row in results.curvature} == {
        ("synthetic_safety",),
        ("synthetic_capability",),
    }
    for row in results.curvature:
        (spectrum,) = row.spectra
        assert spectrum.radius.verdict == "converged"
        assert len(spectrum.largest) == 2
        assert spectrum.density is not None
        assert spectrum.check.difference < 0.05
        assert "GiB by estimate" in row.memory
    whole = [row for row in results.displacement if row.group is None]
    assert len(whole) == 2
    for way in whole:
        assert way.local_bound.value is not None
        assert way.exceeded == (way.result.change > way.local_bound.value)
        path = way.result.path
        assert path.value is not None
        near = abs(path.value - way.result.change) <= 0.01 * abs(way.result.change)
        assert path.verdict == ("converged" if near else "not converged")
    assert any(row.group is not None for row in results.displacement)
    assert results.curvature_summary is not None
    first = results.curvature_summary.correlations[0]
    assert "too few pairs" in str(first.spearman.reason)
    assert results.curvature_summary.comparison is not None
    assert "unequal losses" in results.curvature_summary.comparison.caution
    page = embedded.client.report_html(experiment)
    assert 'id="curvature"' in page
    assert "The local bound" in page
    paths = {a.path for a in embedded.client.artifacts(experiment)}
    assert {"curvature.csv", "displacement.csv", "curvature.json", "displacement.json"} <= paths
