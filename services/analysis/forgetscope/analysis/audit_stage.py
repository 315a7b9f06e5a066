"""The stage `audit`: predictions of two models, judged by a policy.

Writes audit.json (`schema.audit.AuditResults`), audit.csv and audit.html.
"""

from collections.abc import Mapping
from datetime import date

import numpy as np

from forgetscope.analysis.audit_outcomes import (
    CANDIDATE,
    REFERENCE,
    AuditedOutcomes,
    outcomes_under,
)
from forgetscope.analysis.audit_page import render_audit
from forgetscope.analysis.audit_rows import audit_rows
from forgetscope.analysis.joining import AnalysedTask, join_predictions, packages
from forgetscope.analysis.outcomes import CellKey
from forgetscope.analysis.tables import measured_fields, text_field, write_table
from forgetscope.app.examples_file import EXAMPLES
from forgetscope.app.judge_file import read_judge_info
from forgetscope.app.noise_file import read_noise
from forgetscope.app.predictions_file import read_predictions
from forgetscope.core.identity import digest_of
from forgetscope.core.policy import missing_tasks, outcome_of, rule_of
from forgetscope.core.policy_words import summary_of
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.audit import (
    AuditedModel,
    AuditedRef,
    AuditedTask,
    AuditResults,
    AuditRow,
    UsedBaseline,
)
from forgetscope.schema.base import Digest, JsonObject, Value
from forgetscope.schema.errors import DataChanged
from forgetscope.schema.experiment import ScoringSpec
from forgetscope.schema.noise import TaskNoise
from forgetscope.schema.policy import Policy
from forgetscope.schema.stage import Manifest

__all__ = ["run_audit"]


class _Model(Value):
    model: AuditedRef
    fingerprint: str


class _NoiseUse(Value):
    role: str
    task: str
    chain: tuple[str, ...]
    seed: int | None


class _Baseline(Value):
    """That the reference is one. `items`: id of a task → sha256 of the file of its items."""

    used: UsedBaseline
    items: dict[str, Digest]


class _Audit(Value):
    """The parameters of an audit stage."""

    name: str
    policy: Policy
    judged_on: date
    bootstrap_replicates: int
    evaluation: ScoringSpec
    engine: str
    models: dict[str, _Model]
    tasks: tuple[AnalysedTask, ...]
    noise: tuple[_NoiseUse, ...]
    baseline: _Baseline | None = None


def run_audit(work: Work, io: StageIO) -> JsonObject:
    """Judge the candidate. Raises DataChanged when the two did not answer the same items."""
    params = _Audit.model_validate(work.params)
    if params.baseline is not None:
        _refuse_other_items(params.tasks, params.baseline, work)
    noise = tuple(
        TaskNoise(measured=read_noise(io.input(use.role)), **use.model_dump(exclude={"role"}))
        for use in params.noise
    )
    audited = _outcomes(params, work, io)
    policy, judged_on = params.policy, params.judged_on
    rows = audit_rows(
        policy,
        audited,
        {n.task: n.measured.floor for n in noise if n.measured.floor is not None},
        judged_on=judged_on,
    )
    missing = missing_tasks(policy, [task.id for task in params.tasks])
    outcome = outcome_of(policy, rows, missing)
    results = AuditResults(
        name=params.name,
        judged_on=judged_on,
        outcome=outcome,
        summary=summary_of(policy, outcome, rows, missing, judged_on=judged_on),
        rows=rows,
        missing=missing,
        tasks=tuple(
            AuditedTask(
                **dict(one.task.info), examples=work.inputs[f"data-{i}"].files[EXAMPLES].digest
            )
            for i, one in enumerate(audited)
        ),
        policy=policy,
        policy_digest=digest_of(policy.model_dump(mode="json")),
        reference=_model(params.models["reference"], work.inputs["reference"], params.baseline),
        candidate=_model(params.models["candidate"], work.inputs["candidate"]),
        evaluation=params.evaluation,
        engine=params.engine,
        noise=noise,
        provenance={
            "inputs": {role: manifest.stage for role, manifest in sorted(work.inputs.items())},
            "packages": packages(),
            "seed": str(work.seed),  # 63 bits: more than a JSON number keeps everywhere
        },
    )
    text = results.model_dump_json(indent=1)
    (io.output / "audit.json").write_text(text + "\n", encoding="utf-8")
    _write_table(io, rows)
    (io.output / "audit.html").write_text(render_audit(results), encoding="utf-8")
    return {"outcome": outcome, "rows": len(rows)}


def _outcomes(params: _Audit, work: Work, io: StageIO) -> list[AuditedOutcomes]:
    judge = read_judge_info(io.input("judge")) if any(t.judged for t in params.tasks) else None
    # Children of one generator: the draws of a task do not depend on the tasks before it.
    streams = np.random.default_rng(work.seed).spawn(len(params.tasks))
    found = []
    for i, (task, stream) in enumerate(zip(params.tasks, streams, strict=True)):
        io.progress(i, len(params.tasks), "tasks")
        cells = {
            key: read_predictions(io.input(f"{key[0][0]}-{i}") / "predictions.parquet")
            for key in (REFERENCE, CANDIDATE)
        }
        joined = join_predictions(task, cells, judge if task.judged else None, _side)
        rule = rule_of(params.policy, task.id)
        assert rule is not None  # the specification refuses a task that the policy does not name
        found.append(
            outcomes_under(params.policy, rule, joined, params.bootstrap_replicates, stream)
        )
    io.progress(len(params.tasks), len(params.tasks), "tasks")
    return found


def _side(key: CellKey) -> str:
    return key[0][0]


def _refuse_other_items(tasks: tuple[AnalysedTask, ...], baseline: _Baseline, work: Work) -> None:
    """The items of the candidate are those of the baseline, to the byte."""
    for i, task in enumerate(tasks):
        found = work.inputs[f"data-{i}"].files[EXAMPLES].digest
        if found != baseline.items[task.id]:
            raise DataChanged(
                f"the candidate was asked other items of task {task.id!r} (sha256 {found[:12]}…) "
                f"than baseline {baseline.used.name!r} ({baseline.items[task.id][:12]}…)",
                hint="Audit against a model instead, and replace the baseline.",
            )


def _model(model: _Model, prepared: Manifest, baseline: _Baseline | None = None) -> AuditedModel:
    files: Mapping[str, str] = {path: blob.digest for path, blob in prepared.files.items()}
    return AuditedModel(
        model=model.model,
        fingerprint=model.fingerprint,
        stage=prepared.stage,
        files=dict(sorted(files.items())),
        baseline=None if baseline is None else baseline.used,
    )


def _write_table(io: StageIO, rows: tuple[AuditRow, ...]) -> None:
    """Fractions, not percent, as in the tables of an experiment."""
    numbers = ("reference", "candidate", "estimate")
    write_table(
        io.output / "audit.csv",
        [
            *("task", "group", "what", "tier", "items", "clusters", "unscored"),
            *(f"{name}{end}" for name in numbers for end in ("", "_low", "_high")),
            *("margin", "noise_floor", "verdict", "waived", "needed_items", "needed_clusters"),
        ],
        (
            [
                row.task,
                text_field(row.group or ""),
                row.what,
                row.tier,
                row.items,
                row.clusters,
                row.unscored,
                *measured_fields([row.reference, row.candidate, row.estimate]),
                row.margin,
                row.noise_floor,
                row.verdict,
                text_field(row.waived or ""),
                None if row.need is None else row.need.items,
                None if row.need is None else row.need.clusters,
            ]
            for row in rows
        ),
    )
