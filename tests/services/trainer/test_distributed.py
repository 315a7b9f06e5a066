"""Two real processes share a model; the results are those of one."""

import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_llama import FolderIO, make_base, make_examples, train_work, write_examples

from forgetscope.ports.stage import Machine
from forgetscope.schema.errors import InvalidInput, TrainingDiverged
from forgetscope.trainer.distributed import ALONE, Alone, processes
from forgetscope.trainer.launch import run_together
from forgetscope.trainer.train import run_train


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    return {
        "base": make_base(tmp_path / "base"),
        "data": write_examples(tmp_path / "data", make_examples(20)),
    }


def test_one_process_needs_no_group() -> None:
    assert isinstance(processes(ALONE, "cpu", ()), Alone)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_two_processes_train_what_one_would(
    tmp_path: Path, inputs: dict[str, Path], method: str
) -> None:
    params = {} if method == "full" else {"method": "lora", "method_params": {"rank": 2}}
    work = train_work(["base", "data"], learning_rate=1e-3, epochs=1.0, **params)
    alone = FolderIO(tmp_path / "alone", inputs, Machine())
    meta = run_train(work, alone, clock=time.monotonic)
    together = FolderIO(tmp_path / "together", inputs, Machine(processes=2))
    sharded = run_together(work, together, clock=time.monotonic)
    assert sharded["last_loss"] == pytest.approx(meta["last_loss"], abs=1e-4)
    assert sharded["trainable_parameters"] == meta["trainable_parameters"]
    name = "model.safetensors" if method == "full" else "adapter_model.safetensors"
    one, two = load_file(alone.output / name), load_file(together.output / name)
    assert one.keys() == two.keys()
    for tensor, value in one.items():
        assert torch.allclose(value, two[tensor], rtol=0, atol=1e-4), tensor


def test_a_failure_in_one_process_is_the_failure_of_the_stage(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    work = train_work(["base", "data"], learning_rate=1e30, epochs=3.0, max_grad_norm=None)
    io = FolderIO(tmp_path / "together", inputs, Machine(processes=2))
    with pytest.raises((TrainingDiverged, InvalidInput)):
        run_together(work, io, clock=time.monotonic)
