"""From a specification to a DAG of content-addressed stages. Pure: facts come in as values.

Equal prefixes of chains have equal keys and therefore are one stage: all ordered pairs of six
tasks are 6 + 30 trainings instead of 60.
"""

from collections.abc import Mapping
from typing import Literal

from forgetscope.core.chains import chains_of, check_size, prefixes_of
from forgetscope.core.curvature_plan import CurvatureStage, curvature_note, curvature_stages
from forgetscope.core.engines import EngineName, choose_engine
from forgetscope.core.facts import Facts, TaskFacts
from forgetscope.core.identity import stage_key
from forgetscope.core.mechanisms_plan import DriftStage, drift_stages
from forgetscope.core.noise_plan import NoiseStage, noise_stages
from forgetscope.core.training import resolve_training
from forgetscope.schema.base import JsonObject
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import Plan, PlannedStage, Queue, StageKind, StageLabel

__all__ = ["Facts", "TaskFacts", "build_plan"]

QUEUES: Mapping[StageKind, Queue] = {
    "prepare_model": "train",
    "prepare_data": "train",
    "prepare_judge": "train",
    "train": "train",
    "evaluate": "evaluate",
    "noise_floor": "evaluate",
    "curvature": "analyse",
    "displacement": "analyse",
    "drift": "analyse",
    "analyse": "analyse",
    "report": "analyse",
}

# A backward pass costs about two forward passes (Kaplan et al. 2020, arXiv 2001.08361, table 1).
PASSES_PER_TRAINED_TOKEN = 3


def build_plan(spec: ExperimentSpec, facts: Facts) -> Plan:
    """The stages of an experiment, inputs before users.

    Raises PlanTooLarge (with the count), InvalidSpec, UnknownName.
    """
    kinds: dict[str, str] = {i: t.kind for i, t in facts.tasks.items()}
    chains = chains_of(spec, kinds)
    check_size(spec, chains, facts.max_stages)
    engine, engine_reason = choose_engine(
        spec.evaluation.engine,
        parameters=facts.model_parameters,
        head_size=facts.model_head_size,
        accelerator=facts.accelerator,
        available=facts.engines,
    )
    builder = _Builder(spec, facts, engine)
    prefixes = list(dict.fromkeys(p for chain in chains for p in prefixes_of(chain)))
    models: list[tuple[tuple[str, ...], int | None]] = []
    if spec.evaluation.base_model:
        models.append(((), None))
    models += [(prefix, seed) for seed in spec.seeds for prefix in prefixes]
    for prefix, seed in models:
        if seed is not None:
            builder.train(prefix, seed)
    for prefix, seed in models:
        for task in spec.tasks:
            builder.evaluate(prefix, seed, task.id)
    for noise in noise_stages(spec, facts, engine, models[0]):
        builder.noise(noise)
    for stage in curvature_stages(spec, chains, facts.model_parameters):
        builder.curve(stage)
    for drift in drift_stages(spec, chains, facts):
        builder.drift(drift)
    builder.analyse(chains)
    builder.report(engine_reason)
    notes = (facts.model_note, curvature_note(spec, chains, facts.model_parameters))
    return Plan(
        stages=tuple(builder.stages.values()),
        naive_trainings=sum(len(c) for c in chains) * len(spec.seeds),
        parameters=facts.model_parameters,
        engine=engine,
        engine_reason=engine_reason,
        notes=tuple(note for note in notes if note),
    )


class _Builder:
    """Collects stages by key, so that equal ones fall together."""

    def __init__(self, spec: ExperimentSpec, facts: Facts, engine: EngineName) -> None:
        self.spec = spec
        self.facts = facts
        self.engine = engine
        self.stages: dict[str, PlannedStage] = {}
        self.uses = {t.id: t for t in spec.tasks}
        self.models: dict[tuple[tuple[str, ...], int | None], str] = {}
        self.cells: list[tuple[str, tuple[str, ...], int | None, str]] = []
        self.curves: list[tuple[str, CurvatureStage]] = []
        self.drifts: list[tuple[str, DriftStage]] = []
        self.noises: list[tuple[str, NoiseStage]] = []
        self.base = self._add(
            "prepare_model",
            {
                "model": spec.model.model_dump(mode="json"),
                "fingerprint": facts.model_fingerprint,
            },
            {},
            StageLabel(title="base model"),
            0,
        )

    def _add(
        self,
        kind: StageKind,
        params: JsonObject,
        inputs: dict[str, str],
        label: StageLabel,
        tokens: float,
    ) -> str:
        key = stage_key(kind, params, inputs)
        if key not in self.stages:
            self.stages[key] = PlannedStage(
                key=key,
                kind=kind,
                queue=QUEUES[kind],
                params=params,
                inputs=inputs,
                label=label,
                tokens=round(tokens),
            )
        return key

    def data(self, task_id: str, split: Literal["train", "evaluation"]) -> str:
        use, facts = self.uses[task_id], self.facts.tasks[task_id]
        n = use.train_examples if split == "train" else use.evaluation_examples
        return self._add(
            "prepare_data",
            {
                "task": facts.name,
                "version": facts.version,
                "params": facts.params,
                "fingerprint": facts.fingerprint,
                "examples": facts.examples.get(split),
                "split": split,
                "n": n,
                "seed": 0,
                "balance": use.balance,
            },
            {},
            StageLabel(title=f"{task_id} · {split} data", task=task_id),
            0,
        )

    def judge(self) -> str:
        """The safety classifier: one for the whole experiment."""
        return self._add(
            "prepare_judge",
            {
                "judge": self.spec.evaluation.judge.model_dump(mode="json"),
                "fingerprint": self.facts.judge_fingerprint,
            },
            {},
            StageLabel(title="safety classifier"),
            0,
        )

    def train(self, chain: tuple[str, ...], seed: int) -> str:
        known = self.models.get((chain, seed))
        if known is not None:
            return known
        task, position = chain[-1], len(chain)
        inputs = {"base": self.base, "data": self.data(task, "train")}
        if position > 1:
            inputs["parent"] = self.train(chain[:-1], seed)
        params = resolve_training(self.spec.training, task, position) | {"seed": seed}
        tokens = (
            self.uses[task].train_examples
            * self.facts.tasks[task].tokens_per_example
            * float(str(params["epochs"]))
            * PASSES_PER_TRAINED_TOKEN
        )
        label = StageLabel(
            title=f"train {' → '.join(chain)} · seed {seed}", chain=chain, seed=seed, task=task
        )
        key = self._add("train", params, inputs, label, tokens)
        self.models[(chain, seed)] = key
        return key

    def evaluate(self, chain: tuple[str, ...], seed: int | None, task: str) -> None:
        facts = self.facts.tasks[task]
        name = " → ".join(chain) if chain else "base model"
        title = f"score {name} on {task}" + ("" if seed is None else f" · seed {seed}")
        label = StageLabel(title=title, chain=chain, seed=seed, task=task)
        n = self.uses[task].evaluation_examples or facts.evaluation_examples
        key = self._score("evaluate", {}, label, n * facts.tokens_per_example)
        self.cells.append((key, chain, seed, task))

    def noise(self, stage: NoiseStage) -> None:
        key = self._score("noise_floor", stage.params, stage.label, stage.tokens)
        self.noises.append((key, stage))

    def _score(self, kind: StageKind, extra: JsonObject, label: StageLabel, tokens: float) -> str:
        """The model of `label` on the evaluation data of its task."""
        assert label.chain is not None
        assert label.task is not None
        inputs = {"base": self.base, "data": self.data(label.task, "evaluation")}
        if label.seed is not None:
            inputs["checkpoint"] = self.models[(label.chain, label.seed)]
        if self.facts.tasks[label.task].judged:
            inputs["judge"] = self.judge()
        evaluation = self.spec.evaluation
        params: JsonObject = {
            "engine": self.engine,
            "dtype": evaluation.dtype,
            "attention": "sdpa",
            "max_length": evaluation.max_length,
        }
        return self._add(kind, params | extra, inputs, label, tokens)

    def curve(self, stage: CurvatureStage) -> None:
        """A model around its own data, and where later training takes it."""
        before = self.models[(stage.chain[: stage.position], stage.seed)]
        inputs = {"base": self.base, "checkpoint": before, "data": self.data(stage.task, "train")}
        if stage.kind == "displacement":
            inputs["later"] = self.models[(stage.chain, stage.seed)]
        tokens = stage.passes * self.facts.tasks[stage.task].tokens_per_example
        key = self._add(stage.kind, stage.params, inputs, stage.label, tokens)
        self.curves.append((key, stage))

    def drift(self, stage: DriftStage) -> None:
        """A model's states on the evaluation data of its last task, and those of a later model."""
        inputs = {
            "base": self.base,
            "checkpoint": self.models[(stage.chain[: stage.position], stage.seed)],
            "later": self.models[(stage.chain, stage.seed)],
            "data": self.data(stage.task, "evaluation"),
        }
        key = self._add("drift", stage.params, inputs, stage.label, stage.tokens)
        self.drifts.append((key, stage))

    def analyse(self, chains: tuple[tuple[str, ...], ...]) -> None:
        roles = {key: f"cell-{i}" for i, key in enumerate(dict.fromkeys(c[0] for c in self.cells))}
        params: JsonObject = {
            "settings": self.spec.analysis.model_dump(mode="json"),
            "tasks": [
                {
                    "id": t.id,
                    "name": t.name,
                    "kind": self.facts.tasks[t.id].kind,
                    "chance": self.facts.tasks[t.id].chance,
                    "judged": self.facts.tasks[t.id].judged,
                    "own_scores": self.facts.tasks[t.id].own_scores,
                }
                for t in self.spec.tasks
            ],
            "chains": [list(c) for c in chains],
            "seeds": list(self.spec.seeds),
            "cells": [
                {"role": roles[key], "chain": list(chain), "seed": seed, "task": task}
                for key, chain, seed, task in self.cells
            ],
            "curves": [
                {
                    "role": f"{stage.kind}-{i}",
                    "chain": list(stage.chain),
                    "position": stage.position,
                    "seed": stage.seed,
                }
                for i, (_, stage) in enumerate(self.curves)
            ],
            "noise": [stage.use for _, stage in self.noises],
            "mechanisms": self.spec.mechanisms is not None,
            "drifts": [stage.use for _, stage in self.drifts],
        }
        inputs = {role: key for key, role in roles.items()}
        inputs |= {f"{stage.kind}-{i}": key for i, (key, stage) in enumerate(self.curves)}
        inputs |= {str(stage.use["role"]): key for key, stage in self.noises}
        inputs |= {str(stage.use["role"]): key for key, stage in self.drifts}
        # Own scores need the facts of the examples; a share of safe replies, its classifier's.
        texts = self.spec.analysis.show_texts
        for i, use in enumerate(self.spec.tasks):
            if texts or self.facts.tasks[use.id].own_scores is not None:
                inputs[f"data-{i}"] = self.data(use.id, "evaluation")
            if self.spec.mechanisms and any(use.id in chain for chain in chains):
                inputs[f"train-{i}"] = self.data(use.id, "train")
        if any(task.judged for task in self.facts.tasks.values()):
            inputs["judge"] = self.judge()
        self.results = self._add("analyse", params, inputs, StageLabel(title="analysis"), 0)

    def report(self, engine_reason: str) -> None:
        params: JsonObject = {
            "name": self.spec.name,
            "spec": self.spec.model_dump(mode="json"),
            "engine": self.engine,
            "engine_reason": engine_reason,
            "stages": {s.label.title: s.key for s in self.stages.values()},
        }
        self._add("report", params, {"results": self.results}, StageLabel(title="report"), 0)
