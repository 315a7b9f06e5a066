"""The planner's memory of the trainer's stages against what torch allocated for whole ones."""

import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from curvature_models import one_thread, peak_bytes
from tiny_llama import WORDS, FolderIO, make_base, train_work, write_examples

from forgetscope.core.facts import TaskFacts
from forgetscope.core.memory_stages import trainer_memory
from forgetscope.core.methods import METHODS
from forgetscope.core.mitigations import MITIGATIONS
from forgetscope.core.model_shape import ModelShape, shape_of
from forgetscope.modeling.loading import load_model
from forgetscope.ports.stage import Machine, Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.example import Example
from forgetscope.schema.plan import PlannedStage, StageKind, StageLabel
from forgetscope.schema.stage import Manifest
from forgetscope.trainer.fisher import run_fisher
from forgetscope.trainer.merge import run_merge
from forgetscope.trainer.select import run_select
from forgetscope.trainer.train import run_train

# 1 + 124 words, 2 of the answer, and its end; eight rows fill a micro-batch of the products.
LENGTH, ANSWER, ROWS = 128, 3, 8
FACTS = TaskFacts(
    name="words",
    version=1,
    kind="safety",
    chance=None,
    params={},
    fingerprint="words",
    evaluation_examples=ROWS,
    tokens_per_example=LENGTH,
    longest_tokens=LENGTH,
    longest_answer_tokens=ANSWER,
)
KEYS = {"one": "1" * 64, "two": "2" * 64, "adapter": "3" * 64, "adapter two": "4" * 64}
LORA: JsonObject = {"method": "lora", "method_params": METHODS.get("lora").resolve({"rank": 2})}


class World:
    """A small base, two models in a row that were trained from it, and two adapters."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.base = make_base(
            root / "base",
            hidden_size=256,
            intermediate_size=688,
            num_hidden_layers=4,
            num_attention_heads=8,
            num_key_value_heads=8,
            head_dim=32,
        )
        prompts = [" ".join(WORDS[(i + j) % 40] for j in range(LENGTH - 4)) for i in range(ROWS)]
        self.data = write_examples(
            root / "data",
            [
                Example(
                    id=f"e{i}",
                    form="generate",
                    prompt=prompt,
                    target=" w1 w2",
                    cluster=f"c{i}",
                    groups=("ab"[i % 2],),
                )
                for i, prompt in enumerate(prompts)
            ],
        )
        self.models: dict[str, Path] = {}
        self.planned: dict[str, PlannedStage] = {}
        for name, parent, method in [
            ("one", None, {}),
            ("two", "one", {}),
            ("adapter", None, LORA),
            ("adapter two", "adapter", LORA),
        ]:
            work, io = self.training(parent, **method)
            run_train(work, io, clock=lambda: 0.0)
            self.models[name] = io.output.rename(root / name)
            self.planned[KEYS[name]] = planned("train", work.params, {})

    @property
    def shape(self) -> ModelShape:
        config = json.loads((self.base / "config.json").read_text())
        return shape_of(config, load_model(self.base, "float32", "sdpa").num_parameters())

    def training(
        self, parent: str | None, anchor: Path | None = None, **params: Any
    ) -> tuple[Work, FolderIO]:
        inputs = {"base": self.base, "data": self.data}
        if parent is not None:
            inputs["parent"] = self.models[parent]
        if anchor is not None:
            inputs |= {"anchor-0": self.models["one"], "fisher-0": anchor}
        changes = {"micro_batch_size": 4, "max_length": LENGTH, "learning_rate": 1e-4}
        work = train_work(list(inputs), **(changes | params))
        return work, FolderIO(self.root / "stage", inputs, Machine(resume_seconds=1e9))

    def stage(
        self, kind: str, params: JsonObject, **inputs: str
    ) -> tuple[Work, FolderIO, dict[str, str]]:
        folders = {"base": self.base, "data": self.data}
        folders |= {role: self.models[name] for role, name in inputs.items()}
        manifests = {r: Manifest(stage="a" * 64, kind="train", files={}) for r in folders}
        io = FolderIO(self.root / kind, folders)
        keys = {role: KEYS[name] for role, name in inputs.items()}
        return Work("a" * 64, kind, params, manifests, 7), io, keys

    def estimate(self, kind: StageKind, params: JsonObject, inputs: dict[str, str]) -> float:
        """Bytes."""
        stage = planned(kind, params, inputs)
        (row,) = trainer_memory(stage, self.planned, self.shape, {"words": FACTS})
        return row.total * 2**30


def planned(kind: StageKind, params: JsonObject, inputs: dict[str, str]) -> PlannedStage:
    label = StageLabel(title=kind, task="words")
    return PlannedStage(
        key="a" * 64,
        kind=kind,
        queue="train",
        params=params,
        inputs=inputs,
        label=label,
        tokens=0,
    )


def peak_of(work: Callable[[], object]) -> int:
    gc.collect()  # what earlier stages left behind is not to be freed meanwhile
    return peak_bytes(work)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with one_thread():
        yield World(tmp_path_factory.mktemp("memory"))


@pytest.mark.parametrize("ends", [("one", "two"), ("adapter", "two"), ("adapter", "adapter two")])
def test_a_merge_is_estimated_as_two_models_and_the_files_of_merged_adapters(
    world: World, ends: tuple[str, str]
) -> None:
    work, io, inputs = world.stage("merge", {"alpha": 0.5}, checkpoint=ends[0], other=ends[1])
    peak = peak_of(lambda: run_merge(work, io))
    assert peak == pytest.approx(world.estimate("merge", work.params, inputs), rel=0.1)


@pytest.mark.parametrize("ends", [("one", "two"), ("adapter", "adapter two")])
@pytest.mark.parametrize("selection", ["worst_group", "gradient_similarity"])
def test_the_memory_of_an_order_of_examples_is_near_the_measured_one(
    world: World, selection: str, ends: tuple[str, str]
) -> None:
    params: JsonObject = {"selection": selection, "params": {}, "max_length": LENGTH}
    work, io, inputs = world.stage("select", params, reference=ends[0], checkpoint=ends[1])
    peak = peak_of(lambda: run_select(work, io))
    assert peak == pytest.approx(world.estimate("select", params, inputs), rel=0.25)


@pytest.mark.parametrize(("model", "method"), [("one", {}), ("adapter", LORA)])
def test_the_memory_of_fisher_information_is_near_the_measured_one(
    world: World, model: str, method: JsonObject
) -> None:
    fixed: JsonObject = {"examples": ROWS, "max_length": LENGTH, "attention": "sdpa"}
    params = {"method": "full", "method_params": {}} | method | fixed
    work, io, inputs = world.stage("fisher", params, checkpoint=model)
    peak = peak_of(lambda: run_fisher(work, io))
    assert peak == pytest.approx(world.estimate("fisher", params, inputs), rel=0.25)


@pytest.mark.parametrize("mitigation", [None, "l2_sp", "sam", "ewc"])
def test_what_a_mitigation_keeps_is_estimated_as_copies_of_the_trained_weights(
    world: World, mitigation: str | None
) -> None:
    """Plain training lay within 2 %: a copy is an eighth."""
    params: dict[str, Any] = {}
    anchor = None
    if mitigation is not None:
        settings = MITIGATIONS.get(mitigation).params().model_dump(mode="json")
        params = {"mitigation": mitigation, "mitigation_params": settings}
    if mitigation == "ewc":
        fixed: JsonObject = {"examples": 2, "max_length": LENGTH, "attention": "sdpa"}
        fisher, io, _ = world.stage(
            "fisher", {"method": "full", "method_params": {}} | fixed, checkpoint="one"
        )
        run_fisher(fisher, io)
        anchor = io.output
    work, io = world.training("one", anchor, **params)
    peak = peak_of(lambda: run_train(work, io, clock=lambda: 0.0))
    assert peak == pytest.approx(world.estimate("train", work.params, {}), rel=0.05)


@pytest.mark.parametrize("kept", [0.5, 0.9])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_subspaces_of_osf_are_counted(world: World, kept: float, dtype: str) -> None:
    method = METHODS.get("osf").resolve({"effective_rank": kept})
    work, io = world.training("one", method="osf", method_params=method, dtype=dtype)
    peak = peak_of(lambda: run_train(work, io, clock=lambda: 0.0))
    assert peak == pytest.approx(world.estimate("train", work.params, {}), rel=0.25)
