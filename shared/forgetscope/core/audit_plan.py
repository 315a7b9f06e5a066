"""From the specification of an audit to a DAG of stages. Pure.

Both models are scored with the same engine and settings. The stages that prepare and score them are
those of an experiment on the same model, so that what an experiment has scored is not scored again.
Of a baseline they are those that have scored it.
"""

from datetime import date

from forgetscope.core.audit_engine import ENDPOINT_REASON, scored_by_servers
from forgetscope.core.baselines import Pinned
from forgetscope.core.collector import Collector
from forgetscope.core.engines import ENDPOINT, EngineName, ScoredBy, choose_engine
from forgetscope.core.facts import Facts
from forgetscope.core.noise_plan import noise_stages
from forgetscope.schema.audit import AuditedRef, AuditSpec, BaselineRef
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidSpec, PlanTooLarge
from forgetscope.schema.plan import Plan, StageLabel

__all__ = ["build_audit_plan"]


def build_audit_plan(
    spec: AuditSpec, reference: Facts | Pinned, candidate: Facts, *, judged_on: date
) -> Plan:
    """The stages of an audit, inputs before users.

    Args:
        spec: what is audited; against a baseline, with its settings.
        reference: facts about the tasks, the fleet and the reference model, or a baseline.
        candidate: the same with the candidate model.
        judged_on: the day that waivers are held against.

    Raises PlanTooLarge, UnknownName, InvalidSpec.
    """
    pinned = reference if isinstance(reference, Pinned) else None
    known = candidate if isinstance(reference, Pinned) else reference
    most = 4 + 4 * len(spec.tasks)
    if most > known.max_stages:
        raise PlanTooLarge(
            f"an audit of {len(spec.tasks)} tasks has up to {most} stages; this server allows "
            f"{known.max_stages}",
            where="/tasks",
            hint="Audit fewer tasks at once.",
        )
    engine: ScoredBy
    if scored_by_servers(spec, pinned):
        engine, engine_reason = ENDPOINT, ENDPOINT_REASON
    else:
        engine, engine_reason = _engine(spec, pinned, known, candidate)
    plan = Collector(known, engine, spec.evaluation)
    if pinned is not None:
        plan.stages.update({stage.key: stage for stage in pinned.stages})
        models = {"reference": pinned.model}
        told: JsonObject = {"reference": _told(pinned.contents.model, pinned.contents.fingerprint)}
    else:
        assert not isinstance(spec.reference, BaselineRef)
        its = known.model_fingerprint
        models = {
            "reference": plan.prepared(spec.reference, its, "reference model", known.endpoint)
        }
        told = {"reference": _told(spec.reference, its)}
    models["candidate"] = plan.prepared(
        spec.candidate, candidate.model_fingerprint, "candidate model", candidate.endpoint
    )
    told["candidate"] = _told(spec.candidate, candidate.model_fingerprint)
    inputs = dict(models)
    data = {}
    for i, use in enumerate(spec.tasks):
        facts = known.tasks[use.id]
        data[use.id] = plan.examples(use, "evaluation", use.evaluation_examples)
        inputs[f"data-{i}"] = data[use.id]
        tokens = facts.evaluation_examples * facts.tokens_per_example
        for side, model in models.items():
            if pinned is not None and side == "reference":
                inputs[f"{side}-{i}"] = pinned.scores[use.id]
                continue
            label = StageLabel(title=f"score {side} on {use.id}", task=use.id)
            inputs[f"{side}-{i}"] = plan.score(
                "evaluate", {}, label, tokens, base=model, data=data[use.id]
            )
    noises = list(noise_stages(spec.evaluation.noise_floor, spec.tasks, known, engine))
    for noise in noises:
        inputs[str(noise.use["role"])] = plan.score(
            "noise_floor",
            noise.params,
            noise.label,
            noise.tokens,
            # A baseline's model need not be at hand.
            base=models["candidate" if pinned is not None else "reference"],
            data=data[str(noise.label.task)],
        )
    if any(task.judged for task in known.tasks.values()):
        inputs["judge"] = plan.judge()
        if pinned is not None and pinned.judge != inputs["judge"]:
            raise InvalidSpec(
                f"the safety classifier is no longer the one that baseline {pinned.used.name!r} "
                "was scored with.",
                where="/evaluation/judge",
                hint="Audit its model again with the present one, and replace the baseline.",
            )
    params: JsonObject = {
        "name": spec.name,
        "policy": spec.policy.model_dump(mode="json"),
        "judged_on": judged_on.isoformat(),
        "bootstrap_replicates": spec.bootstrap_replicates,
        "evaluation": spec.evaluation.model_dump(mode="json"),
        "engine": engine,
        "models": told,
        "tasks": [
            {
                "id": use.id,
                "name": use.name,
                "kind": known.tasks[use.id].kind,
                "chance": known.tasks[use.id].chance,
                "judged": known.tasks[use.id].judged,
            }
            for use in spec.tasks
        ],
        "noise": [noise.use for noise in noises],
    }
    if pinned is not None:
        params["baseline"] = pinned.params()
    plan.add("audit", params, inputs, StageLabel(title="audit"), 0)
    notes = dict.fromkeys(
        (
            pinned.note() if pinned is not None else None,
            known.model_note,
            candidate.model_note,
        )
    )
    return Plan(
        stages=tuple(plan.stages.values()),
        naive_trainings=0,
        parameters=known.model_parameters,
        engine=engine,
        engine_reason=engine_reason,
        notes=tuple(note for note in notes if note),
    )


def _told(model: AuditedRef, fingerprint: str) -> JsonObject:
    return {"model": model.model_dump(mode="json"), "fingerprint": fingerprint}


def _engine(
    spec: AuditSpec, pinned: Pinned | None, known: Facts, candidate: Facts
) -> tuple[EngineName, str]:
    """One for both: that of the baseline, or vLLM where both models take it."""
    chosen = [
        choose_engine(
            spec.evaluation.engine,
            parameters=facts.model_parameters,
            head_size=facts.model_head_size,
            accelerator=facts.accelerator,
            available=facts.engines,
            where="/evaluation/engine" if pinned is None else "/reference",
        )
        for facts in (known, candidate)
    ]
    engine, reason = next((found for found in chosen if found[0] == "transformers"), chosen[0])
    if pinned is not None:
        reason = f"{engine}, because baseline {pinned.used.name!r} was scored with it."
    return engine, reason
