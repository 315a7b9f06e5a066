"""Audits: plan one, look at the plan, submit it, look at it."""

import uuid
from datetime import date

from forgetscope.app.platform import Platform
from forgetscope.app.queries import links_of, run_view
from forgetscope.app.ring import ring_all
from forgetscope.app.submit import judge_of, plan_view, pointing_to, task_facts, world
from forgetscope.core.audit_plan import build_audit_plan
from forgetscope.core.facts import Facts
from forgetscope.core.identity import digest_of
from forgetscope.ports.models import ModelFacts
from forgetscope.schema.audit import AuditSpec, AuditView
from forgetscope.schema.plan import Plan, PlanView

__all__ = ["audit_view", "preview_audit", "submit_audit"]


def preview_audit(platform: Platform, spec: AuditSpec, *, today: date) -> PlanView:
    """What submitting would do. Leaves no trace. Raises the subclasses of InvalidInput."""
    plan, facts = _plan(platform, spec, today)
    return plan_view(platform, plan, facts)


def submit_audit(
    platform: Platform, spec: AuditSpec, *, today: date, idempotency_key: str | None = None
) -> tuple[str, bool]:
    """Record an audit and ring for its first stages. Returns (id, created).

    `today` (UTC) is the day that waivers are held against, whenever it is judged; a repetition with
    the same key on a later day is still the same audit. Raises the subclasses of InvalidInput,
    IdempotencyConflict.
    """
    plan, _ = _plan(platform, spec, today)
    audit_id, created, bells = platform.records.add_experiment(
        str(uuid.uuid4()),
        spec,
        plan,
        idempotency_key=idempotency_key,
        request_digest=digest_of(spec.model_dump(mode="json")),
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


def _plan(platform: Platform, spec: AuditSpec, today: date) -> tuple[Plan, Facts]:
    models: list[ModelFacts] = []
    for side in ("reference", "candidate"):
        with pointing_to(f"/{side}"):
            models.append(platform.models.inspect(getattr(spec, side)))
    tasks = task_facts(platform, spec.tasks)
    judge = judge_of(platform, spec.evaluation, tasks)
    reference, candidate = (world(platform, model, tasks, judge) for model in models)
    return build_audit_plan(spec, reference, candidate, judged_on=today), reference
