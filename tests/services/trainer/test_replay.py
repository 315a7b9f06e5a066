"""Replay as the planner asks for it and the trainer does it: plans are run, stage by stage."""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_llama import FolderIO, make_base, make_examples, write_examples

from forgetscope.core.facts import Facts, TaskFacts
from forgetscope.core.plan import build_plan
from forgetscope.ports.stage import Machine, Work
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import Plan, PlannedStage
from forgetscope.schema.stage import Manifest
from forgetscope.trainer import train as train_module
from forgetscope.trainer.methods import Source
from forgetscope.trainer.stage import stages

EXAMPLES = 20
SHARES = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]
TRAINING: dict[str, Any] = {
    "learning_rate": 1e-2,
    "batch_size": 8,
    "micro_batch_size": 3,
    "epochs": 2,
    "max_length": 64,
}
LORA = {"name": "lora", "params": {"rank": 2}}
REPLAY: dict[str, Any] = {"r": {"kind": "replay", "vary": {"share": SHARES}}}
MIX: dict[str, Any] = {"x": {"kind": "train", "vary": {"mix.share": SHARES}}}


def plan(steps: dict[str, Any], *chains: list[str], **training: Any) -> Plan:
    tasks = [{"id": i, "name": i, "train_examples": EXAMPLES} for i in ("s", "c")]
    spec = {"tasks": tasks, "chains": chains, "steps": steps, "training": TRAINING | training}
    facts = {
        i: TaskFacts(i, 1, "safety", 0.5, {}, i, evaluation_examples=5, tokens_per_example=8.0)
        for i in ("s", "c")
    }
    world = Facts("m", 1000, 16, None, facts, "cpu", frozenset({"transformers"}), 2000)
    return build_plan(ExperimentSpec.model_validate(spec), world)


class Runner:
    """Runs the stages of the trainer's queue; remembers on which examples each was trained."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.base = make_base(root / "base", tie_word_embeddings=True)
        self.folders: dict[str, Path] = {}
        self.ids: dict[str, list[str]] = {}
        self.table = stages(None, None, clock=lambda: 0.0)  # type: ignore[arg-type]
        self._now = ""
        encode = train_module.encode_examples

        def remember(examples: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
            examples = list(examples)
            self.ids[self._now] = [e.id for e in examples]
            return encode(examples, *args, **kwargs)

        monkeypatch.setattr(train_module, "encode_examples", remember)

    def __call__(self, found: Plan) -> None:
        for stage in found.stages:
            if stage.queue == "train" and stage.key not in self.folders:
                self.folders[stage.key] = self._run(stage)

    def _run(self, stage: PlannedStage) -> Path:
        if stage.kind == "prepare_model":
            return self.base
        if stage.kind == "prepare_judge":
            return self.root
        root = self.root / stage.key
        if stage.kind == "prepare_data":
            seed = {"s": 1, "c": 2}[str(stage.params["task"])]
            made = [
                e.model_copy(update={"id": f"{stage.label.task}{i}", "groups": ("ab"[i % 3 > 1],)})
                for i, e in enumerate(make_examples(EXAMPLES, seed))
            ]
            return write_examples(root, made)
        inputs = {role: self.folders[key] for role, key in stage.inputs.items()}
        io = FolderIO(root, inputs, Machine(resume_seconds=1e9))
        manifests = {r: Manifest(stage="a" * 64, kind="train", files={}) for r in inputs}
        self._now = stage.key
        self.table[stage.kind](Work(stage.key, stage.kind, stage.params, manifests, seed=7), io)
        return io.output

    def losses(self, stage: PlannedStage) -> list[float]:
        text = (self.folders[stage.key] / "losses.jsonl").read_text("utf-8")
        return [json.loads(line)["loss"] for line in text.splitlines()]

    def weights(self, stage: PlannedStage) -> torch.Tensor:
        model = Source(self.base, self.folders[stage.key], "sdpa").load_weights()
        return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    return Runner(tmp_path, monkeypatch)


def at(found: Plan, position: int) -> list[PlannedStage]:
    trained = (s for s in found.stages if s.kind in ("train", "merge"))
    return [s for s in trained if len(s.label.chain or ()) == position]


@pytest.mark.parametrize("method", ["full", LORA], ids=["full", "lora"])
@pytest.mark.parametrize("batching", ["length_grouped", "packed"])
def test_a_third_stage_trains_on_nested_shares_of_what_the_first_was_trained_on(
    runner: Runner, method: Any, batching: str
) -> None:
    found = plan(REPLAY, ["s", "c", "r"], method=method, batching=batching)
    runner(found)
    (first,), (second,), replays = (at(found, i) for i in (1, 2, 3))
    ids = [runner.ids[s.key] for s in replays]
    assert [len(i) for i in ids] == [1, 2, 5, 10, 20]  # 0.01 and 0.05 of 20 are one example
    assert all(larger[: len(smaller)] == smaller for smaller, larger in pairwise(ids))
    assert ids[-1] == runner.ids[first.key]
    before = runner.weights(second)
    moved = [float((runner.weights(s) - before).norm()) for s in replays]
    assert all(distance > 0 for distance in moved)


@pytest.mark.parametrize("method", ["full", LORA], ids=["full", "lora"])
@pytest.mark.parametrize("batching", ["length_grouped", "packed"])
def test_a_mix_trains_on_all_of_its_own_and_nested_shares_of_the_earlier_examples(
    runner: Runner, method: Any, batching: str
) -> None:
    found = plan(MIX, ["s", "c:x"], method=method, batching=batching)
    runner(found)
    (first,), (plain, *mixed) = at(found, 1), at(found, 2)
    own = [f"c{i}" for i in range(EXAMPLES)]
    assert runner.ids[plain.key] == own
    for stage, count in zip(mixed, [1, 2, 5, 10, 20], strict=True):
        assert runner.ids[stage.key] == own + runner.ids[first.key][:count]
        assert len(runner.losses(stage)) == 2 * -(-(EXAMPLES + count) // 8)


def test_a_share_of_nothing_is_the_model_before(runner: Runner) -> None:
    steps = {"r": {"kind": "replay", "share": 0}, "x": {"kind": "train", "mix": {"share": 0}}}
    found = plan(steps, ["s", "c", "r"], ["s", "c:x"])
    runner(found)
    assert not at(found, 3)
    assert len(at(found, 2)) == 1
    scored = [s for s in found.stages if s.kind == "evaluate" and "checkpoint" in s.inputs]
    assert {s.inputs["checkpoint"] for s in scored} == {at(found, 1)[0].key, at(found, 2)[0].key}


@pytest.mark.parametrize("batching", ["length_grouped", "packed"])
def test_with_equal_steps_every_share_is_as_many_steps(runner: Runner, batching: str) -> None:
    steps = {"r": REPLAY["r"] | {"equal_steps": True}}
    found = plan(steps, ["s", "c", "r"], batching=batching)
    runner(found)
    assert [len(runner.losses(s)) for s in at(found, 3)] == [2 * 3] * 5


@pytest.mark.parametrize("method", ["full", LORA], ids=["full", "lora"])
@pytest.mark.parametrize(
    ("steps", "chain"), [(REPLAY, ["s", "c", "r"]), (MIX, ["s", "c:x"])], ids=["replay", "mix"]
)
def test_packed_batches_give_the_losses_of_padded_ones(
    runner: Runner, method: Any, steps: dict[str, Any], chain: list[str]
) -> None:
    last = []
    for batching in ("length_grouped", "packed"):
        found = plan(steps, chain, method=method, batching=batching)
        runner(found)
        last.append(at(found, len(chain)))
    assert len(last[0]) == len(last[1]) > 4
    for padded, packed in zip(*last, strict=True):
        assert runner.losses(padded) == pytest.approx(runner.losses(packed), rel=1e-4)


@pytest.mark.parametrize("selection", ["group_balanced", "worst_group", "gradient_similarity"])
def test_shares_of_a_selection_are_nested_and_of_the_training_examples(
    runner: Runner, selection: str
) -> None:
    steps = {"r": REPLAY["r"] | {"selection": selection}}
    found = plan(steps, ["s", "c", "r"], method=LORA)
    runner(found)
    ids = [runner.ids[s.key] for s in at(found, 3)]
    assert [len(i) for i in ids] == [1, 2, 5, 10, 20]
    assert all(larger[: len(smaller)] == smaller for smaller, larger in pairwise(ids))
    assert sorted(ids[-1]) == sorted(f"s{i}" for i in range(EXAMPLES))
    (order,) = (s for s in found.stages if s.kind == "select")
    (data,) = (s for s in found.stages if s.key == order.inputs["data"])
    assert data.params["split"] == "train"


def test_balanced_examples_are_mixed_in(runner: Runner) -> None:
    steps = {"x": {"kind": "train", "mix": {"share": 0.2, "selection": "group_balanced"}}}
    found = plan(steps, ["s", "c:x"])
    runner(found)
    (mixed,) = (s for s in at(found, 2) if "replay" in s.inputs)
    assert runner.ids[mixed.key][EXAMPLES:] == ["s0", "s2", "s1", "s5"]


def test_replay_brings_the_loss_of_the_task_back(runner: Runner) -> None:
    found = plan({"r": {"kind": "replay", "share": 1}}, ["s", "c", "r"], epochs=6)
    runner(found)
    (first,), (_,), (replayed,) = (at(found, i) for i in (1, 2, 3))
    forgotten = runner.losses(replayed)[0] - runner.losses(first)[-1]
    assert forgotten > 0
    assert runner.losses(replayed)[-1] < runner.losses(first)[-1] + 0.5 * forgotten


@pytest.mark.parametrize("method", ["full", LORA], ids=["full", "lora"])
def test_a_planned_merge_is_run_and_trained_on(runner: Runner, method: Any) -> None:
    steps = {"m": {"kind": "merge", "vary": {"alpha": [0, 0.5, 1]}}}
    found = plan(steps, ["s", "c", "m", "s"], method=method)
    runner(found)
    (first,), (second,) = (at(found, i) for i in (1, 2))
    (merged,) = (s for s in found.stages if s.kind == "merge")
    middle = (runner.weights(first) + runner.weights(second)) / 2
    assert torch.allclose(runner.weights(merged), middle, atol=1e-6)
    parents = {s.inputs["parent"] for s in found.stages if "parent" in s.inputs}
    assert parents == {first.key, second.key, merged.key}
