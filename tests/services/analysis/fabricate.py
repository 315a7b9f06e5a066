"""Predictions with planted forgetting, and a stage window over plain folders."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from forgetscope.app.predictions_file import write_predictions
from forgetscope.core.predictions import Prediction
from forgetscope.ports.stage import Machine, Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.plan import StageKind
from forgetscope.schema.stage import Manifest

GROUPS = ("amber", "birch", "coral", "delta", "ember", "fjord")
Probability = Callable[[tuple[str, ...], str, str], float]
"""(chain so far, task, group) → probability of a right answer."""


class FolderIO:
    """Inputs and output as folders; remembers the progress it was told."""

    def __init__(self, inputs: Mapping[str, Path], output: Path) -> None:
        self.machine = Machine()
        self.inputs = inputs
        self.output = output
        self.scratch = output
        self.steps: list[tuple[float, float]] = []
        output.mkdir(parents=True, exist_ok=True)

    def input(self, role: str) -> Path:
        return self.inputs[role]

    def input_file(self, role: str, path: str) -> Path:
        return self.inputs[role] / path

    def progress(self, done: float, total: float, unit: str, **metrics: float) -> None:
        self.steps.append((done, total))

    def save_resume(self, folder: Path) -> None:
        raise AssertionError("the analysis has nothing to resume")

    def resume(self) -> Path | None:
        return None


def planted(worst: str = "coral") -> Probability:
    """Safety first: forgotten, and about one group far more. Capability first: nearly kept."""

    def probability(chain: tuple[str, ...], task: str, group: str) -> float:
        if task not in chain:
            return 0.5 if task == "safety" else 0.25
        if chain[-1] == task:
            return 0.97
        if task == "safety":
            return 0.45 if group == worst else 0.80
        return 0.93

    return probability


def evenly(chain: tuple[str, ...], task: str, group: str) -> float:
    """Every group forgets alike."""
    return 0.95 if chain[-1:] == (task,) else 0.7


def predictions(
    task: str,
    chain: tuple[str, ...],
    seed: int | None,
    probability: Probability,
    *,
    groups: Sequence[str] = GROUPS,
    per_group: int = 60,
    cluster_size: int = 3,
    unscored: float = 0.0,
) -> list[Prediction]:
    """The safety task has groups, the capability task has none."""
    rng = np.random.default_rng([len(chain), seed or 0, *map(ord, task + "".join(chain))])
    names = groups if task == "safety" else [""] * len(groups)
    rows = []
    for g, group in enumerate(names):
        for i in range(per_group):
            drawn, lost = rng.random(2)
            skip = lost < unscored
            rows.append(
                Prediction(
                    id=f"{task}-{g}-{i}",
                    cluster=f"{g}-{i // cluster_size}",
                    groups=(group,) if group else (),
                    form="choice",
                    answer=0,
                    choice=None if skip else int(drawn >= probability(chain, task, group)),
                    correct=None if skip else bool(drawn < probability(chain, task, group)),
                    unscored="no text" if skip else None,
                    scores=None if skip else (-1.0, -2.0),
                    text=None,
                )
            )
    return rows


def manifest(name: str, kind: StageKind) -> Manifest:
    return Manifest(stage=(name.encode().hex() + "0" * 64)[:64], kind=kind, files={})


def analyse_work(
    folder: Path,
    *,
    chains: Sequence[tuple[str, ...]] = (("safety", "capability"), ("capability", "safety")),
    seeds: Sequence[int] = (0, 1, 2),
    probability: Probability | None = None,
    settings: JsonObject | None = None,
    **shape: object,
) -> tuple[Work, FolderIO]:
    """Write the predictions of every cell below `folder`, and the work that analyses them."""
    tasks = ("safety", "capability")
    prefixes = dict.fromkeys(c[:n] for c in chains for n in range(1, len(c) + 1))
    models: list[tuple[tuple[str, ...], int | None]] = [((), None)]
    models += [(prefix, seed) for prefix in prefixes for seed in seeds]
    cells, inputs = [], {}
    for chain, seed in models:
        for task in tasks:
            role = f"cell-{len(cells)}"
            inputs[role] = folder / role
            inputs[role].mkdir(parents=True)
            rows = predictions(task, chain, seed, probability or planted(), **shape)  # type: ignore[arg-type]
            write_predictions(inputs[role] / "predictions.parquet", rows)
            cells.append({"role": role, "chain": list(chain), "seed": seed, "task": task})
    params: JsonObject = {
        "settings": settings or {"bootstrap_replicates": 500},
        "tasks": [
            {
                "id": "safety",
                "name": "made_safety",
                "kind": "safety",
                "chance": 0.5,
                "judged": False,
                "own_scores": None,
            },
            {
                "id": "capability",
                "name": "made_capability",
                "kind": "capability",
                "chance": 0.25,
                "judged": False,
                "own_scores": None,
            },
        ],
        "chains": [list(c) for c in chains],
        "seeds": list(seeds),
        "cells": cells,
    }
    manifests = {role: manifest(role, "evaluate") for role in inputs}
    work = Work("a" * 64, "analyse", params, manifests, 7)
    return work, FolderIO(inputs, folder / "analysed")


def report_work(folder: Path, *, name: str = "Does order matter?") -> tuple[Work, FolderIO]:
    """The work that reports what `analyse` left in `folder`/analysed."""
    params: JsonObject = {
        "name": name,
        "spec": {"name": name, "tasks": ["safety", "capability"], "seeds": [0, 1, 2]},
        "engine": "transformers",
        "engine_reason": "a small model on a CPU",
        "stages": {"train safety, seed 0": "b" * 64, "analysis": "a" * 64},
    }
    work = Work("c" * 64, "report", params, {"results": manifest("results", "analyse")}, 8)
    return work, FolderIO({"results": folder / "analysed"}, folder / "reported")
