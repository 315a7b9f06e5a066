"""The example on curvature through separate processes, from the file to the report."""

import os
import signal
from pathlib import Path

import pytest
import yaml
from e2e.conftest import Embedded
from e2e.processes import PROJECT, digests, finish, wait_for

from forgetscope.client import Client
from forgetscope.schema.base import JsonObject

pytestmark = pytest.mark.timeout(600)

EXAMPLE: JsonObject = yaml.safe_load((PROJECT / "examples" / "curvature.yaml").read_text("utf-8"))


def test_the_example_ends_with_curvature_predictions_and_their_truth(embedded: Embedded) -> None:
    plan = embedded.client.plan(EXAMPLE)
    assert (plan.by_kind["curvature"], plan.by_kind["displacement"]) == (2, 2)
    assert {row.kind for row in plan.memory} == {"train", "curvature", "displacement"}
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


LONG: JsonObject = {
    "tasks": [
        {"name": "synthetic_safety", "train_examples": 128, "evaluation_examples": 60},
        {"name": "synthetic_capability", "train_examples": 128, "evaluation_examples": 60},
    ],
    "chains": [["synthetic_safety", "synthetic_capability"]],
    "seeds": [77],
    "training": {"learning_rate": 3e-3, "epochs": 1},
    "evaluation": {"engine": "transformers"},
    "curvature": {
        "examples": 16,
        "trace": True,
        "density": True,
        "displacement": False,
        "dtype": "bfloat16",
    },
    "analysis": {"bootstrap_replicates": 200},
}


def test_a_cancelled_and_then_killed_curvature_goes_on_to_the_same_bytes(
    embedded: Embedded,
) -> None:
    client = embedded.client

    def spectrum(experiment: str) -> dict[str, str]:
        found = digests(client, experiment).items()
        return {name: digest for name, digest in found if name.startswith("curvature synthetic")}

    def wait_for_products(experiment: str, least: float) -> None:
        def there() -> bool:
            (stage,) = [s for s in client.stages(experiment) if s.kind == "curvature"]
            assert stage.state != "succeeded", "too short to be disturbed"
            now = stage.progress if stage.state == "running" else None
            return now is not None and now.done >= least and now.eta_seconds is not None

        wait_for(f"{least} products are done", there)

    whole = client.submit(LONG)
    finish(client, whole)
    expected = spectrum(whole)
    assert expected
    _for_screening_only(client, whole)
    client.delete(whole)
    disturbed = client.submit(LONG)
    wait_for_products(disturbed, 20)
    client.cancel(disturbed)
    wait_for("it is cancelled", lambda: client.get(disturbed).state == "cancelled", seconds=30)
    client.retry(disturbed)
    wait_for_products(disturbed, 60)
    os.kill(_child(embedded, "analyse"), signal.SIGKILL)
    finish(client, disturbed)
    (stage,) = [s for s in client.stages(disturbed) if s.kind == "curvature"]
    assert len(client.stage(disturbed, stage.key).attempts) == 3
    assert spectrum(disturbed) == expected


def _for_screening_only(client: Client, experiment: str) -> None:
    """bfloat16 is said wherever its numbers are."""
    results = client.results(experiment)
    (row,) = results.curvature
    (spectrum,) = row.spectra
    assert spectrum.dtype == "bfloat16"
    assert spectrum.radius.value is not None and spectrum.trace.value is not None
    assert spectrum.trace.iterations == 30
    assert "Curvature in bfloat16 is for screening" in " ".join(results.notes)
    page = client.report_html(experiment)
    assert "bfloat16: screening only" in page
    assert "Curvature in bfloat16 is for screening" in page


def _child(embedded: Embedded, queue: str) -> int:
    """The process in which the stages of a queue run."""
    (pid,) = [
        pid
        for pid in embedded.service.children()
        if f"forgetscope.wiring.child\0{queue}\0".encode()
        in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    return pid
