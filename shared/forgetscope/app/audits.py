"""Audits: plan one, look at the plan, submit it, look at it."""

import uuid
from datetime import date
from typing import NamedTuple

from forgetscope.app.baselines import pinned_by
from forgetscope.app.platform import Platform
from forgetscope.app.queries import links_of, run_view
from forgetscope.app.ring import ring_all
from forgetscope.app.submit import judge_of, plan_view, pointing_to, task_facts, world
from forgetscope.core.audit_plan import build_audit_plan
from forgetscope.core.baselines import refuse_other_items, with_settings
from forgetscope.core.facts import Facts
from forgetscope.core.identity import digest_of
from forgetscope.ports.models import ModelFacts
from forgetscope.schema.audit import AuditedRef, AuditSpec, AuditView, BaselineRef
from forgetscope.schema.endpoint import EndpointModel
from forgetscope.schema.plan import Plan, PlanView

__all__ = ["audit_view", "preview_audit", "submit_audit"]


def preview_audit(platform: Platform, spec: AuditSpec, *, today: date) -> PlanView:
    """What submitting would do. Leaves no trace. Raises the subclasses of InvalidInput, and
    Conflict when the baseline is deleted at this moment."""
    planned = _plan(platform, spec, today)
    return plan_view(platform, planned.plan, planned.facts)


def submit_audit(
    platform: Platform, spec: AuditSpec, *, today: date, idempotency_key: str | None = None
) -> tuple[str, bool]:
    """Record an audit and ring for its first stages. Returns (id, created).

    `today` (UTC) is the day that waivers are held against, whenever it is judged; a repetition with
    the same key on a later day, or when the baseline has changed, is still the same audit. Raises
    the subclasses of InvalidInput, IdempotencyConflict, and Conflict when the baseline is deleted
    at this moment.
    """
    request_digest = digest_of(spec.model_dump(mode="json"))
    if idempotency_key is not None:
        earlier = platform.baselines.submitted(idempotency_key, request_digest)
        if earlier is not None:
            return earlier, False
    planned = _plan(platform, spec, today)
    audit_id, created, bells = platform.baselines.add_audit(
        str(uuid.uuid4()),
        planned.spec,
        planned.plan,
        pinned=planned.pinned,
        idempotency_key=idempotency_key,
        request_digest=request_digest,
    )
    ring_all(platform, bells)
    return audit_id, created


def audit_view(platform: Platform, audit_id: str) -> AuditView:
    """One audit with failures, the time it still needs, and its outcome. Raises NotFound."""
    row = platform.records.audit(audit_id)
    run = run_view(platform, row, links_of(audit_id, "audit"))
    outcome = None
    if row.state == "succeeded":
        meta = {v.kind: m.meta for v, m in platform.records.manifests(audit_id)}["audit"]
        outcome = meta["outcome"]
    return AuditView.model_validate({**dict(run), "spec": row.spec, "outcome": outcome})


class _Planned(NamedTuple):
    """`spec` is what is recorded; `pinned` are stages that must have succeeded."""

    spec: AuditSpec
    plan: Plan
    facts: Facts
    pinned: frozenset[str] = frozenset()


def _plan(platform: Platform, spec: AuditSpec, today: date) -> _Planned:
    if isinstance(spec.reference, BaselineRef):
        return _plan_against(platform, spec, spec.reference, today)
    models: list[ModelFacts] = []
    for side in ("reference", "candidate"):
        models.append(_inspected(platform, getattr(spec, side), side))
    tasks = task_facts(platform, spec.tasks)
    judge = judge_of(platform, spec.evaluation, tasks)
    reference, candidate = (world(platform, model, tasks, judge) for model in models)
    plan = build_audit_plan(spec, reference, candidate, judged_on=today)
    return _Planned(spec, plan, reference)


def _plan_against(
    platform: Platform, asked: AuditSpec, baseline: BaselineRef, today: date
) -> _Planned:
    pinned = pinned_by(platform, baseline, [task.id for task in asked.tasks])
    spec = with_settings(asked, pinned)
    model = _inspected(platform, spec.candidate, "candidate")
    tasks = task_facts(platform, spec.tasks)
    refuse_other_items(spec, pinned, tasks)
    facts = world(platform, model, tasks, judge_of(platform, spec.evaluation, tasks))
    plan = build_audit_plan(spec, pinned, facts, judged_on=today)
    return _Planned(spec, plan, facts, frozenset(stage.key for stage in pinned.stages))


def _inspected(platform: Platform, ref: AuditedRef, side: str) -> ModelFacts:
    with pointing_to(f"/{side}/url" if isinstance(ref, EndpointModel) else f"/{side}"):
        return platform.models.inspect(ref)
