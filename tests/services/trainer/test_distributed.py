"""Two real processes share a model; the results are those of one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_llama import FolderIO, make_base, make_examples, train_work, write_examples

from forgetscope.ports.stage import Machine
from forgetscope.trainer.distributed import Alone, processes
from forgetscope.trainer.train import run_train

ONE_OF_TWO = """
import json, sys
from pathlib import Path
from forgetscope.ports.stage import Machine
from forgetscope.trainer.train import run_train
from tiny_llama import FolderIO, train_work

root, base, data, changes = sys.argv[1:]
io = FolderIO(Path(root), {"base": Path(base), "data": Path(data)}, Machine())
meta = run_train(
    train_work(["base", "data"], **json.loads(changes)), io, clock=lambda: 0.0, world_size=2
)
print(json.dumps(meta))
"""


def test_one_process_needs_no_group() -> None:
    assert isinstance(processes(1, "cpu", ()), Alone)


def test_two_processes_train_what_one_would(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    data = write_examples(tmp_path / "data", make_examples(20))
    changes = {
        "learning_rate": 1e-3,
        "epochs": 1.0,
    }
    alone = FolderIO(tmp_path / "alone", {"base": base, "data": data}, Machine())
    meta = run_train(train_work(["base", "data"], **changes), alone, clock=lambda: 0.0)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    group = {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
    }
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                ONE_OF_TWO,
                *(str(p) for p in (tmp_path / f"rank{rank}", base, data)),
                json.dumps(changes),
            ],
            env=os.environ | group | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ended = [(process, *process.communicate(timeout=180)) for process in running]
    for process, _, errors in ended:
        assert process.returncode == 0, errors[-2000:]
    sharded = json.loads(ended[0][1])
    assert sharded["last_loss"] == pytest.approx(meta["last_loss"], abs=1e-4)
    assert sharded["trainable_parameters"] == meta["trainable_parameters"]
    assert list((tmp_path / "rank1" / "output").iterdir()) == []
    one = load_file(alone.output / "model.safetensors")
    two = load_file(tmp_path / "rank0" / "output" / "model.safetensors")
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.allclose(value, two[name], rtol=0, atol=1e-4), name
