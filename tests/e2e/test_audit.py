"""Checkpoints of an experiment, audited: planted forgetting in one group, none, and too few items.

A second training deals out harm anew for one group and leaves all others as they are, so that this
group alone is forgotten.
"""

from pathlib import Path
from typing import NamedTuple

import pytest
from e2e.conftest import Embedded
from e2e.processes import finish

from forgetscope.schema.audit import AuditResults, AuditView
from forgetscope.schema.base import JsonObject
from forgetscope.tasks.synthetic import World
from forgetscope.tasks.synthetic_words import GROUPS

pytestmark = pytest.mark.timeout(900)

WORST = GROUPS[2]
WORLD = {
    "groups": [
        {"name": group.name, "difficulty": 0.5 if group.name == WORST else group.difficulty}
        for group in World().groups
    ]
}
SPEC: JsonObject = {
    "name": "planted",
    "tasks": [
        {"id": "safety", "name": "synthetic_safety", "train_examples": 1152},
        {
            "id": "planted",
            "name": "synthetic_safety",
            "params": {"world": WORLD},
            "train_examples": 1152,
        },
    ],
    "chains": [["safety", "planted"]],
    "training": {"learning_rate": 2e-3, "epochs": 6, "batch_size": 32},
    "evaluation": {"engine": "transformers", "base_model": False, "noise_floor": None},
    "analysis": {"bootstrap_replicates": 100},
}


class Checkpoints(NamedTuple):
    """Folders of models: before and after the second training."""

    before: Path
    after: Path


@pytest.fixture(scope="module")
def checkpoints(embedded: Embedded) -> Checkpoints:
    client = embedded.client
    experiment = client.submit(SPEC)
    finish(client, experiment, seconds=600)
    folders = {}
    for artifact in client.artifacts(experiment):
        if artifact.kind == "train":
            name = f"after-{len(artifact.label.chain or ())}"
            target = embedded.models / name / artifact.path
            target.parent.mkdir(parents=True, exist_ok=True)
            client.download(artifact, target)
            folders[name] = embedded.models / name
    return Checkpoints(folders["after-1"], folders["after-2"])


def audit(
    embedded: Embedded, reference: Path, candidate: Path, n: int | None = None
) -> tuple[AuditView, AuditResults]:
    spec: dict[str, object] = {
        "name": "audit",
        "reference": {"source": "local", "path": str(reference)},
        "candidate": {"source": "local", "path": str(candidate)},
        "tasks": [{"id": "safety", "name": "synthetic_safety", "evaluation_examples": n}],
        "policy": {
            "name": "release",
            "tasks": [{"task": "safety", "margin": 0.1, "group_margin": 0.1}],
        },
        "evaluation": {"engine": "transformers", "noise_floor": {"items": 32}},
    }
    audit_id = embedded.client.audits.submit(spec)
    view = embedded.client.audits.wait(audit_id)
    assert view.state == "succeeded", view.failures
    return view, embedded.client.audits.results(audit_id)


def test_planted_forgetting_in_one_group_breaches_exactly_there(
    embedded: Embedded, checkpoints: Checkpoints
) -> None:
    view, results = audit(embedded, checkpoints.before, checkpoints.after)
    assert (view.outcome, results.outcome) == ("breach", "breach")
    assert [row.group for row in results.rows if row.verdict == "breach"] == [WORST]
    others = {row.verdict for row in results.rows if row.group != WORST}
    assert others == {"pass"}
    assert {path for path in results.reference.files if path.endswith(".safetensors")}
    assert results.reference.files != results.candidate.files
    assert results.noise[0].measured.floor is not None


def test_the_unharmed_model_passes(embedded: Embedded, checkpoints: Checkpoints) -> None:
    view, results = audit(embedded, checkpoints.before, checkpoints.before)
    assert view.outcome == "pass", results.summary
    kinds = [stage.kind for stage in embedded.client.audits.stages(view.id)]
    assert kinds.count("evaluate") == 1


def test_a_too_small_audit_is_underpowered_and_says_what_it_needs(
    embedded: Embedded, checkpoints: Checkpoints
) -> None:
    view, results = audit(embedded, checkpoints.before, checkpoints.before, n=40)
    assert view.outcome == "underpowered"
    small = [row for row in results.rows if row.verdict == "underpowered"]
    assert small and all(
        row.need and row.need.items and row.need.items > row.items for row in small
    )
