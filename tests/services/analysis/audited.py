"""An audit on predictions made by hand: which items each model gets right is said, not drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from services.analysis.fabricate import FolderIO

from forgetscope.analysis.stage import stages
from forgetscope.app.noise_file import write_noise
from forgetscope.app.predictions_file import write_predictions
from forgetscope.core.predictions import Prediction
from forgetscope.ports.stage import Work
from forgetscope.schema.audit import AuditResults, AuditRow, UsedBaseline
from forgetscope.schema.base import JsonObject
from forgetscope.schema.experiment import BuiltinModel, ScoringSpec
from forgetscope.schema.noise import NoiseFloor
from forgetscope.schema.policy import Policy
from forgetscope.schema.stage import BlobRef, Manifest

TODAY = "2026-03-01"
ITEMS_DIGEST = "d" * 64
USED = UsedBaseline(name="production", audit="an-audit", side="candidate", created_at=1772000000.0)
Items = Mapping[str, Sequence[bool | None]]
"""group ("" for none) → right, wrong or unscored (None) on each of its items"""


def some(right: int, of: int, *, unscored: int = 0) -> list[bool | None]:
    """The first `right` of `of` items right, the last ones unscored."""
    return [True] * right + [False] * (of - right - unscored) + [None] * unscored


def policy(*tasks: JsonObject, **more: object) -> Policy:
    return Policy.model_validate({"name": "release", "tasks": tasks, **more})


def run(
    folder: Path,
    rules: Policy,
    tasks: Mapping[str, tuple[Items, Items]],
    *,
    cluster_size: int = 1,
    chance: float | None = 0.5,
    noise: Mapping[str, NoiseFloor] | None = None,
    baseline: Mapping[str, str] | None = None,
    seed: int = 7,
) -> tuple[AuditResults, Path]:
    """Run the stage on (reference, candidate) of each task; `baseline` maps each task to the digest
    of the items that the reference was asked."""
    inputs, manifests, uses = {}, {}, []

    def put(role: str, kind: str, files: Mapping[str, str] | None = None) -> Path:
        inputs[role] = folder / role
        inputs[role].mkdir(parents=True)
        blobs = {path: BlobRef(digest=digest, size=1) for path, digest in (files or {}).items()}
        key = (role.encode().hex() + "0" * 64)[:64]
        manifests[role] = Manifest.model_validate({"stage": key, "kind": kind, "files": blobs})
        return inputs[role]

    for i, (task, sides) in enumerate(tasks.items()):
        put(f"data-{i}", "prepare_data", {"examples.jsonl": ITEMS_DIGEST})
        for side, items in zip(("reference", "candidate"), sides, strict=True):
            rows = _predictions(task, items, cluster_size)
            write_predictions(put(f"{side}-{i}", "evaluate") / "predictions.parquet", rows)
        if noise and task in noise:
            write_noise(put(f"noise-{i}", "noise_floor"), noise[task])
            uses.append({"role": f"noise-{i}", "task": task, "chain": [], "seed": None})
    for side in ("reference", "candidate"):
        put(side, "prepare_model", {"model.safetensors": "e" * 64})
    model = {"model": BuiltinModel().model_dump(mode="json"), "fingerprint": "f"}
    params: JsonObject = {
        "name": "made",
        "policy": rules.model_dump(mode="json"),
        "judged_on": TODAY,
        "bootstrap_replicates": 1000,
        "evaluation": ScoringSpec().model_dump(mode="json"),
        "engine": "transformers",
        "models": {"reference": model, "candidate": model},  # type: ignore[dict-item]
        "tasks": [
            {"id": task, "name": task, "kind": "safety", "chance": chance, "judged": False}
            for task in tasks
        ],
        "noise": uses,  # type: ignore[dict-item]
    }
    if baseline is not None:
        params["baseline"] = {"used": USED.model_dump(mode="json"), "items": {**baseline}}
    io = FolderIO(inputs, folder / "audited")
    stages()["audit"](Work("a" * 64, "audit", params, manifests, seed), io)
    text = (io.output / "audit.json").read_text("utf-8")
    return AuditResults.model_validate_json(text), io.output


def row(results: AuditResults, group: str | None, what: str = "loss", task: str = "qa") -> AuditRow:
    """The one row about this."""
    (found,) = [r for r in results.rows if (r.task, r.group, r.what) == (task, group, what)]
    return found


def _predictions(task: str, items: Items, cluster_size: int) -> list[Prediction]:
    return [
        Prediction(
            id=f"{task}-{group}-{i}",
            cluster=f"{group}-{i // cluster_size}",
            groups=(group,) if group else (),
            form="choice",
            answer=0,
            choice=None if correct is None else int(not correct),
            correct=correct,
            unscored="no text" if correct is None else None,
            scores=None if correct is None else (-1.0, -2.0),
            text=None,
        )
        for group, answers in items.items()
        for i, correct in enumerate(answers)
    ]
