"""A stage with a monitor: what it sees, what it does, and what it leaves alone."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_llama import WORDS, FolderIO, make_base, make_examples, train_work, write_examples

from forgetscope.core.methods import METHODS
from forgetscope.ports.stage import Machine
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Example
from forgetscope.trainer.train import run_train

NEVER = Machine(resume_seconds=1e9)
EVERY_STEP = Machine(resume_seconds=1)
FULL: dict[str, Any] = {"method": "full", "method_params": {}}
DROPOUT_LORA: dict[str, Any] = {
    "method": "lora",
    "method_params": METHODS.get("lora").resolve({"rank": 8, "dropout": 0.1}),
    "learning_rate": 1e-2,
}
GROUPS = ("ash", "birch", "cedar", "dogwood")
PLANTED = "birch"
MONITOR = {"every": 2, "items_per_group": 24, "margin": 0.05, "alpha": 0.05, "action": "warn"}
STAGE: dict[str, Any] = {"epochs": 6.0, "learning_rate": 3e-3, "batch_size": 8}


class Interrupted(Exception):
    pass


def ticking() -> Callable[[], float]:
    ticks = count()
    return lambda: float(next(ticks))


def questions(per_group: int, turned: str = "", only: str = "") -> list[Example]:
    """The first word of a prompt is that of the group; the answer is one of two words, by the
    second. `turned`: the group for which it is the other one."""
    examples = []
    for g, group in enumerate(GROUPS):
        for i in range(per_group if only in {"", group} else 0):
            side = (i + (group == turned)) % 2
            examples.append(
                Example(
                    id=f"{group}-{i}",
                    prompt=f"{WORDS[g]} {WORDS[10 + i % 2]} {WORDS[20 + i % 20]}",
                    options=(f" {WORDS[5]}", f" {WORDS[6]}"),
                    answer=side,
                    target=f" {WORDS[5 + side]}",
                    groups=(group,),
                    cluster=f"{group}-{i}",
                )
            )
    return examples


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A base, a reference that knows all groups, and training that turns one of them around."""
    root = tmp_path_factory.mktemp("inputs")
    base = make_base(root / "base")
    watched = write_examples(root / "watched", questions(20))
    io = FolderIO(root / "reference", {"base": base, "data": watched}, NEVER)
    run_train(train_work(["base", "data"], **FULL, epochs=8.0), io, clock=ticking())
    turned = [*questions(20, turned=PLANTED, only=PLANTED), *questions(6, turned=PLANTED)]
    data = write_examples(
        root / "data", [e.model_copy(update={"id": f"{i}"}) for i, e in enumerate(turned)]
    )
    return {
        "base": base,
        "data": data,
        "parent": io.output,
        "watched": watched,
        "reference": io.output,
    }


def run(
    folder: Path, inputs: dict[str, Path], *, io: FolderIO | None = None, **changes: Any
) -> tuple[FolderIO, dict[str, Any]]:
    io = io or FolderIO(folder, inputs, NEVER)
    params = FULL | STAGE | changes
    return io, dict(run_train(train_work(list(inputs), **params), io, clock=ticking()))


def monitored(**changes: Any) -> dict[str, Any]:
    return {"monitor": MONITOR | changes}


def lines(io: FolderIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (io.output / "monitor.jsonl").read_text().splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("method", [FULL, DROPOUT_LORA], ids=["full", "lora with dropout"])
def test_a_monitor_that_only_warns_changes_no_byte_of_the_training(
    tmp_path: Path, inputs: dict[str, Path], method: dict[str, Any]
) -> None:
    plain, _ = run(tmp_path / "plain", inputs, **method)
    seen, meta = run(tmp_path / "seen", inputs, **method, **monitored())
    left = contents(seen.output)
    assert left.pop("monitor.jsonl")
    assert left == contents(plain.output)
    assert meta["monitor"]["looks"] == meta["steps"] // 2


def test_the_planted_group_is_called_and_no_other(tmp_path: Path, inputs: dict[str, Path]) -> None:
    io, meta = run(tmp_path, inputs, **monitored())
    assert set(meta["monitor"]["calls"]) == {PLANTED}
    assert "stopped_at" not in meta["monitor"]
    told = io.breaches[0]
    assert [told.group, told.step] == [PLANTED, meta["monitor"]["calls"][PLANTED]]
    assert len(io.breaches) == 1
    seen = lines(io)
    assert len(seen) == meta["monitor"]["looks"] * len(GROUPS)
    assert {row["group"] for row in seen} == set(GROUPS)
    for row in seen:
        planted_since = row["group"] == PLANTED and row["look"] >= told.look
        assert row["verdict"] == ("breach" if planted_since else "no call")
        assert row["lower"] <= row["mean"] <= row["upper"]
        assert row["step"] == 2 * row["look"]
    last = {row["group"]: row["mean"] for row in seen[-len(GROUPS) :]}
    assert last[PLANTED] > 0.2
    assert sum(last.values()) == pytest.approx(0, abs=1e-9)  # equally many items in each group
    assert io.reports[-1][3]["monitor_calls"] == 1
    assert "monitor_looks" not in io.reports[0][3]


def test_stopping_ends_the_stage_at_the_call(tmp_path: Path, inputs: dict[str, Path]) -> None:
    _, warned = run(tmp_path / "warn", inputs, **monitored())
    io, meta = run(tmp_path / "stop", inputs, **monitored(action="stop"))
    step = warned["monitor"]["calls"][PLANTED]
    assert meta["monitor"]["stopped_at"] == meta["monitor"]["weights_of_step"] == step
    assert meta["steps"] == step < warned["steps"]
    assert io.breaches[0].action == "stop"


def test_a_rollback_ends_in_the_weights_of_the_look_before(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    io, meta = run(tmp_path / "back", inputs, **monitored(action="rollback"))
    kept = meta["monitor"]["weights_of_step"]
    assert kept == meta["monitor"]["stopped_at"] - 2 > 0
    point = load_file(interrupted(tmp_path / "plain", inputs, kept) / "state.safetensors")
    for name, tensor in load_file(io.output / "model.safetensors").items():
        assert torch.equal(tensor, point[f"weight/model.{name}"]), name


def test_a_call_at_the_first_look_rolls_back_to_the_start(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    once = monitored(action="rollback", every=20, items_per_group=200)
    io, meta = run(tmp_path, inputs, **once)
    assert meta["monitor"]["stopped_at"] == 20
    assert meta["monitor"]["weights_of_step"] == 0
    before = load_file(inputs["parent"] / "model.safetensors")
    after = load_file(io.output / "model.safetensors")
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def interrupted(folder: Path, inputs: dict[str, Path], after: int, **changes: Any) -> Path:
    """A stage killed in the step after `after`; the point to resume from."""

    class Stopping(FolderIO):
        def progress(self, done: float, total: float, unit: str, **metrics: float) -> None:
            if done == after + 1:
                raise Interrupted

    with pytest.raises(Interrupted):
        run(folder, inputs, io=Stopping(folder, inputs, EVERY_STEP), **changes)
    return folder / "resume"


@pytest.mark.parametrize("action", ["warn", "stop", "rollback"])
@pytest.mark.parametrize("after", [1, 5])
def test_an_interrupted_stage_sees_and_ends_as_an_undisturbed_one(
    tmp_path: Path, inputs: dict[str, Path], action: str, after: int
) -> None:
    changes = monitored(action=action) | DROPOUT_LORA
    whole, meta = run(tmp_path / "whole", inputs, **changes)
    assert meta["monitor"]["calls"]
    assert meta["monitor"].get("stopped_at", 99) > after + 1
    point = interrupted(tmp_path / "again", inputs, after, **changes)
    assert not [p.name for p in point.iterdir() if p.suffix not in {".json", ".safetensors"}]
    io = FolderIO(tmp_path / "again", inputs, EVERY_STEP)
    assert run(tmp_path / "again", inputs, io=io, **changes)[1] == meta
    assert contents(io.output) == contents(whole.output)
    assert io.breaches == whole.breaches


def test_a_reference_that_differs_from_the_start_is_what_is_compared_with(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    """The model that was trained on the other task already, so it starts out with a loss."""
    lost, _ = run(tmp_path / "lost", inputs)
    still = {"learning_rate": 1e-9, "epochs": 1.0}
    later = inputs | {"parent": lost.output}
    io, _ = run(tmp_path / "later", later, **still, **monitored(items_per_group=40))
    first = {row["group"]: row["estimate"] for row in lines(io)[: len(GROUPS)]}
    assert first[PLANTED] > 0.3
    same = later | {"reference": lost.output}
    io, _ = run(tmp_path / "same", same, **still, **monitored())
    assert all(row["estimate"] == 0 for row in lines(io))


def test_what_cannot_be_watched_is_refused(tmp_path: Path, inputs: dict[str, Path]) -> None:
    def refused(examples: list[Example], match: str, **changes: Any) -> None:
        watched = write_examples(tmp_path / "watched", examples)
        with pytest.raises(InvalidInput, match=match):
            run(tmp_path / "stage", inputs | {"watched": watched}, **monitored(), **changes)

    written = [
        e.model_copy(update={"groups": (GROUPS[i % 2],)}) for i, e in enumerate(make_examples(4))
    ]
    refused(written, "cannot score a generated answer")
    refused([e.model_copy(update={"groups": ()}) for e in questions(4)], "no group to watch")
    twins = questions(4)
    alike = twins[0].model_copy(update={"options": (" nothing", " known"), "target": " nothing"})
    refused([alike, *twins[1:]], "two options are the same tokens")
    io = FolderIO(tmp_path / "sharded", inputs, Machine(processes=2))
    with pytest.raises(InvalidInput, match="one process only"):
        run(tmp_path, inputs, io=io, **monitored())
