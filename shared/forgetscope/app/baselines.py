"""Baselines: store the model of an audit under a name, and find it again as a reference."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, cast

from forgetscope.app.examples_file import EXAMPLES
from forgetscope.app.platform import Platform
from forgetscope.core.baselines import Pinned
from forgetscope.ports.baselines import BaselineRow
from forgetscope.ports.records import StageRecord
from forgetscope.schema.audit import BaselineRef, BaselineSide, UsedBaseline
from forgetscope.schema.baseline import (
    BaselineContents,
    BaselineRequest,
    BaselineTask,
    BaselineView,
)
from forgetscope.schema.errors import Conflict, NotFound, UnknownName
from forgetscope.schema.plan import PlannedStage, StageKind, StageLabel
from forgetscope.schema.stage import Manifest

__all__ = ["baseline_view", "pinned_by", "put_baseline"]


def put_baseline(
    platform: Platform, name: str, request: BaselineRequest, *, replace: bool
) -> tuple[BaselineView, bool]:
    """Store a model of an audit under a name. Returns (view, created).

    Raises UnknownName for the audit; Conflict when it has not succeeded, and, unless `replace`,
    when the name stands for another model.
    """
    try:
        state = platform.records.state(request.audit, kind="audit")
        if state != "succeeded":
            raise Conflict(
                f"Audit {request.audit!r} is {state}.",
                hint="Only what an audit that has succeeded has scored can be compared with.",
            )
        contents = _contents(platform, request.audit, request.side)
        row, created = platform.baselines.put_baseline(
            name, request.audit, request.side, contents, replace=replace
        )
    except NotFound as error:
        raise UnknownName(
            error.detail, where="/audit", hint="GET /v1/audits?state=succeeded lists what can be."
        ) from None
    return baseline_view(row), created


def baseline_view(row: BaselineRow) -> BaselineView:
    """The public form of a record."""
    return BaselineView(
        **dict(row.contents),
        name=row.name,
        audit=row.audit_id,
        side=row.side,
        created_at=row.created_at,
        links={
            "self": f"/v1/baselines/{row.name}",
            "audit": f"/v1/audits/{row.audit_id}",
            "results": f"/v1/audits/{row.audit_id}/results",
        },
    )


def pinned_by(platform: Platform, ref: BaselineRef, tasks: Collection[str]) -> Pinned:
    """The baseline that the name stands for now, with the stages that scored it on those of the
    tasks that it has.

    Raises UnknownName when there is none, Conflict when it is deleted at this moment.
    """
    try:
        row = platform.baselines.baseline(ref.name)
    except NotFound as error:
        raise UnknownName(
            error.detail, where="/reference/name", hint="GET /v1/baselines lists what there is."
        ) from None
    try:
        audit = _audit(platform, row.audit_id)[0]
        roles = audit.inputs
        scores = {
            task.id: roles[f"{row.side}-{i}"]
            for i, task in enumerate(row.contents.tasks)
            if task.id in tasks
        }
        stages = _needed(platform, roles[row.side], scores)
    except NotFound:
        raise Conflict(
            f"Baseline {ref.name!r} was deleted at this moment.", where="/reference"
        ) from None
    return Pinned(
        used=UsedBaseline(
            name=row.name, audit=row.audit_id, side=row.side, created_at=row.created_at
        ),
        contents=row.contents,
        stages=stages,
        model=roles[row.side],
        scores=scores,
        judge=roles.get("judge"),
    )


def _contents(platform: Platform, audit_id: str, side: BaselineSide) -> BaselineContents:
    audit, manifests = _audit(platform, audit_id)
    params = cast("dict[str, Any]", audit.params)

    def scored(i: int, task: dict[str, Any]) -> BaselineTask:
        data = manifests[audit.inputs[f"data-{i}"]]
        return BaselineTask(
            id=task["id"],
            name=task["name"],
            items=cast("int", data.meta["examples"]),
            examples=data.files[EXAMPLES].digest,
        )

    return BaselineContents(
        model=params["models"][side]["model"],
        fingerprint=params["models"][side]["fingerprint"],
        engine=params["engine"],
        evaluation=params["evaluation"],
        tasks=tuple(scored(i, task) for i, task in enumerate(params["tasks"])),
    )


def _audit(platform: Platform, audit_id: str) -> tuple[StageRecord, dict[str, Manifest]]:
    """The stage that judged, and what all stages left behind. Raises NotFound."""
    found = platform.records.manifests(audit_id)
    (judged,) = [view.key for view, _ in found if view.kind == "audit"]
    return platform.records.stage(judged), {view.key: manifest for view, manifest in found}


def _needed(platform: Platform, model: str, scores: Mapping[str, str]) -> tuple[PlannedStage, ...]:
    """The stages with all that they need, inputs before users. Raises NotFound."""
    made: dict[str, PlannedStage] = {}

    def visit(key: str, task: str | None) -> None:
        if key in made:
            return
        stage = platform.records.stage(key)
        for needed in stage.inputs.values():
            visit(needed, task)
        title = _TITLES.get(stage.kind, stage.kind).format(task=task)
        own = task if "{task}" in _TITLES.get(stage.kind, "") else None
        made[key] = PlannedStage(
            key=key,
            kind=stage.kind,
            queue=stage.queue,
            params=stage.params,
            inputs=stage.inputs,
            label=StageLabel(title=title, task=own),
            tokens=0,
        )

    visit(model, None)
    for task, key in scores.items():
        visit(key, task)
    return tuple(made.values())


_TITLES: Mapping[StageKind, str] = MappingProxyType(
    {
        "prepare_model": "reference model",
        "prepare_data": "{task} · evaluation data",
        "prepare_judge": "safety classifier",
        "evaluate": "score reference on {task}",
    }
)
