"""From the specification of an audit to a DAG of stages. Pure.

Both models are scored with the same engine and settings. The stages that prepare and score them are
those of an experiment on the same model, so that what an experiment has scored is not scored again.
"""

from datetime import date

from forgetscope.core.collector import Collector
from forgetscope.core.engines import EngineName, choose_engine
from forgetscope.core.facts import Facts
from forgetscope.core.noise_plan import noise_stages
from forgetscope.schema.audit import AuditSpec
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import PlanTooLarge
from forgetscope.schema.plan import Plan, StageLabel

__all__ = ["build_audit_plan"]


def build_audit_plan(
    spec: AuditSpec, reference: Facts, candidate: Facts, *, judged_on: date
) -> Plan:
    """The stages of an audit, inputs before users.

    Args:
        spec: what is audited.
        reference: facts about the tasks, the fleet and the reference model.
        candidate: the same with the candidate model.
        judged_on: the day that waivers are held against.

    Raises PlanTooLarge, UnknownName, InvalidSpec.
    """
    most = 4 + 4 * len(spec.tasks)
    if most > reference.max_stages:
        raise PlanTooLarge(
            f"an audit of {len(spec.tasks)} tasks has up to {most} stages; this server allows "
            f"{reference.max_stages}",
            where="/tasks",
            hint="Audit fewer tasks at once.",
        )
    engine, engine_reason = _engine(spec, reference, candidate)
    plan = Collector(reference, engine, spec.evaluation)
    models = {
        "reference": plan.prepared(spec.reference, reference.model_fingerprint, "reference model"),
        "candidate": plan.prepared(spec.candidate, candidate.model_fingerprint, "candidate model"),
    }
    inputs = dict(models)
    data = {}
    for i, use in enumerate(spec.tasks):
        facts = reference.tasks[use.id]
        data[use.id] = plan.examples(use, "evaluation", use.evaluation_examples)
        inputs[f"data-{i}"] = data[use.id]
        tokens = facts.evaluation_examples * facts.tokens_per_example
        for side, model in models.items():
            label = StageLabel(title=f"score {side} on {use.id}", task=use.id)
            inputs[f"{side}-{i}"] = plan.score(
                "evaluate", {}, label, tokens, base=model, data=data[use.id]
            )
    noises = list(noise_stages(spec.evaluation.noise_floor, spec.tasks, reference, engine))
    for noise in noises:
        inputs[str(noise.use["role"])] = plan.score(
            "noise_floor",
            noise.params,
            noise.label,
            noise.tokens,
            base=models["reference"],
            data=data[str(noise.label.task)],
        )
    if any(task.judged for task in reference.tasks.values()):
        inputs["judge"] = plan.judge()
    params: JsonObject = {
        "name": spec.name,
        "policy": spec.policy.model_dump(mode="json"),
        "judged_on": judged_on.isoformat(),
        "bootstrap_replicates": spec.bootstrap_replicates,
        "evaluation": spec.evaluation.model_dump(mode="json"),
        "engine": engine,
        "models": {
            "reference": {
                "model": spec.reference.model_dump(mode="json"),
                "fingerprint": reference.model_fingerprint,
            },
            "candidate": {
                "model": spec.candidate.model_dump(mode="json"),
                "fingerprint": candidate.model_fingerprint,
            },
        },
        "tasks": [
            {
                "id": use.id,
                "name": use.name,
                "kind": reference.tasks[use.id].kind,
                "chance": reference.tasks[use.id].chance,
                "judged": reference.tasks[use.id].judged,
            }
            for use in spec.tasks
        ],
        "noise": [noise.use for noise in noises],
    }
    plan.add("audit", params, inputs, StageLabel(title="audit"), 0)
    notes = dict.fromkeys((reference.model_note, candidate.model_note))
    return Plan(
        stages=tuple(plan.stages.values()),
        naive_trainings=0,
        parameters=reference.model_parameters,
        engine=engine,
        engine_reason=engine_reason,
        notes=tuple(note for note in notes if note),
    )


def _engine(spec: AuditSpec, reference: Facts, candidate: Facts) -> tuple[EngineName, str]:
    """One for both: vLLM where both models take it."""
    chosen = [
        choose_engine(
            spec.evaluation.engine,
            parameters=facts.model_parameters,
            head_size=facts.model_head_size,
            accelerator=facts.accelerator,
            available=facts.engines,
        )
        for facts in (reference, candidate)
    ]
    return next((found for found in chosen if found[0] == "transformers"), chosen[0])
