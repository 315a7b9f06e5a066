"""The last two stages of an experiment: analysis and report. Pure."""

from collections.abc import Iterator

from pydantic import JsonValue

from forgetscope.core.mitigated import mitigated_chains
from forgetscope.core.plan_builder import Builder
from forgetscope.core.steps import Chain, task_of
from forgetscope.schema.base import JsonObject
from forgetscope.schema.example import Split
from forgetscope.schema.plan import StageLabel

__all__ = ["analyse", "report"]


def analyse(builder: Builder, chains: tuple[Chain, ...]) -> str:
    """The stage that reads every prediction and measurement; returns its key."""
    roles = {key: f"cell-{i}" for i, key in enumerate(dict.fromkeys(c[0] for c in builder.cells))}
    params: JsonObject = {
        "settings": builder.spec.analysis.model_dump(mode="json"),
        "tasks": [
            {
                "id": t.id,
                "name": t.name,
                "kind": builder.facts.tasks[t.id].kind,
                "chance": builder.facts.tasks[t.id].chance,
                "judged": builder.facts.tasks[t.id].judged,
                "own_scores": builder.facts.tasks[t.id].own_scores,
            }
            for t in builder.spec.tasks
        ],
        "chains": [list(c) for c in chains],
        "seeds": list(builder.spec.seeds),
        "cells": [
            {"role": roles[key], "chain": list(chain), "seed": seed, "task": task}
            for key, chain, seed, task in builder.cells
        ],
        "curves": [
            {
                "role": f"{stage.kind}-{i}",
                "chain": list(stage.chain),
                "position": stage.position,
                "seed": stage.seed,
            }
            for i, (_, stage) in enumerate(builder.curves)
        ],
        "noise": [stage.use for _, stage in builder.noises],
        "mechanisms": builder.spec.mechanisms is not None,
        "drifts": [stage.use for _, stage in builder.drifts],
    }
    if mitigated := mitigated_chains(builder.steps, chains, builder.trained_tokens):
        params["mitigated"] = [each.model_dump(mode="json") for each in mitigated]
    monitors = list(_monitors(builder))
    if monitors:
        params["monitors"] = [use for _, use in monitors]
    inputs = {role: key for key, role in roles.items()}
    inputs |= {str(use["role"]): key for key, use in monitors}
    inputs |= {f"{stage.kind}-{i}": key for i, (key, stage) in enumerate(builder.curves)}
    inputs |= {str(stage.use["role"]): key for key, stage in builder.noises}
    inputs |= {str(stage.use["role"]): key for key, stage in builder.drifts}
    # Own scores need the facts of the examples; a share of safe replies, its classifier's.
    texts = builder.spec.analysis.show_texts
    for i, use in enumerate(builder.spec.tasks):
        if texts or builder.facts.tasks[use.id].own_scores is not None:
            inputs[f"data-{i}"] = builder.data(use.id, "evaluation")
        if builder.spec.mechanisms and _trained(use.id, chains):
            inputs[f"train-{i}"] = builder.data(use.id, "train")
    if any(task.judged for task in builder.facts.tasks.values()):
        inputs["judge"] = builder.judge()
    params["digests"] = _digests(builder, chains)
    return builder.add("analyse", params, inputs, StageLabel(title="analysis"), 0)


def report(builder: Builder, results: str, engine_reason: str) -> None:
    """The stage that writes the report of `results`."""
    params: JsonObject = {
        "name": builder.spec.name,
        "spec": builder.spec.model_dump(mode="json"),
        "engine": builder.engine,
        "engine_reason": engine_reason,
        "stages": {s.label.title: s.key for s in builder.stages.values()},
    }
    builder.add("report", params, {"results": results}, StageLabel(title="report"), 0)


def _trained(task: str, chains: tuple[Chain, ...]) -> bool:
    return any(task == task_of(element) for chain in chains for element in chain)


def _monitors(builder: Builder) -> Iterator[tuple[str, JsonObject]]:
    """(key, how the analysis finds it) of every training that is watched."""
    found: dict[str, JsonObject] = {}
    for (chain, seed), key in builder.models.items():
        if not builder.steps.trains(chain[-1]) or key in found:
            continue
        training = builder.training(chain)
        if training.monitor is None:
            continue
        found[key] = {
            "role": f"monitor-{len(found)}",
            "chain": list(chain),
            "seed": seed,
            "watched": training.monitor.task,
            "settings": training.params["monitor"],
        }
    yield from found.items()


def _digests(builder: Builder, chains: tuple[Chain, ...]) -> JsonObject:
    """What the numbers rest on: sha256 of the model's files and of the examples of each split."""
    facts = builder.facts
    data: list[JsonValue] = []
    splits: tuple[Split, ...] = ("train", "evaluation")
    for use in builder.spec.tasks:
        for split in splits:
            if split == "evaluation" or _trained(use.id, chains):
                params = builder.stages[builder.data(use.id, split)].params
                given = {key: params[key] for key in ("n", "examples", "fingerprint")}
                data.append({"task": use.id, "split": split, **given})
    found: JsonObject = {"model": facts.model_fingerprint, "data": data}
    if any(task.judged for task in facts.tasks.values()):
        found["judge"] = facts.judge_fingerprint
    return found
