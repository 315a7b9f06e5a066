"""From a specification to a DAG of content-addressed stages. Pure: facts come in as values.

Equal prefixes of chains have equal keys and therefore are one stage: all ordered pairs of six
tasks are 6 + 30 trainings instead of 60.
"""

from forgetscope.core.chains import chains_of, check_size, prefixes_of
from forgetscope.core.curvature_plan import curvature_stages
from forgetscope.core.engines import choose_engine
from forgetscope.core.facts import Facts, TaskFacts
from forgetscope.core.mechanisms_plan import drift_stages
from forgetscope.core.noise_plan import noise_stages
from forgetscope.core.plan_builder import Builder
from forgetscope.core.plan_results import analyse, report
from forgetscope.core.steps import Chain, Steps
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import Plan

__all__ = ["Facts", "TaskFacts", "build_plan"]


def build_plan(spec: ExperimentSpec, facts: Facts) -> Plan:
    """The stages of an experiment, inputs before users.

    Raises PlanTooLarge (with the count), InvalidSpec, UnknownName.
    """
    kinds: dict[str, str] = {i: t.kind for i, t in facts.tasks.items()}
    steps = Steps(spec)
    chains, added = chains_of(spec, kinds, steps)
    check_size(spec, chains, facts.max_stages)
    engine, engine_reason = choose_engine(
        spec.evaluation.engine,
        parameters=facts.model_parameters,
        head_size=facts.model_head_size,
        accelerator=facts.accelerator,
        available=facts.engines,
    )
    builder = Builder(spec, facts, engine, steps)
    prefixes = list(dict.fromkeys(p for chain in chains for p in prefixes_of(chain)))
    models: list[tuple[Chain, int | None]] = []
    if spec.evaluation.base_model:
        models.append(((), None))
    models += [(prefix, seed) for seed in spec.seeds for prefix in prefixes]
    for prefix, seed in models:
        if seed is not None:
            builder.model(prefix, seed)
    for prefix, seed in models:
        for task in spec.tasks:
            builder.evaluate(prefix, seed, task.id)
    for noise in noise_stages(spec.evaluation.noise_floor, spec.tasks, facts, engine, models[0]):
        builder.noise(noise)
    for stage in curvature_stages(spec, steps, chains, facts.model_parameters):
        builder.curve(stage)
    for drift in drift_stages(spec, chains, facts):
        builder.drift(drift)
    report(builder, analyse(builder, chains), engine_reason)
    plain = f"Added to compare with: {', '.join(' → '.join(c) for c in added)}." if added else None
    notes = (facts.model_note, plain)
    return Plan(
        stages=tuple(builder.stages.values()),
        naive_trainings=sum(len(c) for c in chains) * len(spec.seeds),
        parameters=facts.model_parameters,
        engine=engine,
        engine_reason=engine_reason,
        notes=tuple(note for note in notes if note),
    )
