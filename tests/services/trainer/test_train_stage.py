"""The stage as the worker runs it: forms of results, chains, same bytes, interruptions."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_llama import FolderIO, make_base, make_examples, train_work, write_examples
from transformers import GPT2Config, GPT2LMHeadModel

from forgetscope.core.methods import METHODS
from forgetscope.modeling.loading import apply_adapter, is_adapter, load_model
from forgetscope.ports.stage import Machine
from forgetscope.schema.errors import AdapterMismatch, InvalidInput, UnknownName
from forgetscope.trainer.methods import METHODS as TRAINERS
from forgetscope.trainer.train import run_train

IDS = torch.tensor([[1, 5, 9, 13]])
LORA = {"method": "lora", "method_params": METHODS.get("lora").resolve({"rank": 2})}
OTHER_LORA = {"method": "lora", "method_params": METHODS.get("lora").resolve({"rank": 3})}
DROPOUT_LORA = {
    "method": "lora",
    "method_params": METHODS.get("lora").resolve({"rank": 2, "dropout": 0.3}),
}
FULL: dict[str, Any] = {"method": "full", "method_params": {}}
NEVER = Machine(resume_seconds=1e9)
EVERY_STEP = Machine(resume_seconds=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_examples(tmp_path_factory.mktemp("data"), make_examples(20))


class Interrupted(Exception):
    pass


def ticking() -> Callable[[], float]:
    ticks = count()
    return lambda: float(next(ticks))


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def outputs(base: Path, folder: Path) -> torch.Tensor:
    if is_adapter(folder):
        return logits(apply_adapter(load_model(base, "float32", "sdpa"), folder))
    return logits(load_model(folder, "float32", "sdpa"))


class Trainings:
    """Runs stages one on top of the other."""

    def __init__(self, root: Path, base: Path, data: Path) -> None:
        self.root, self.base, self.data = root, base, data

    def __call__(
        self, name: str, method: dict[str, Any], parent: Path | None = None, **changes: Any
    ) -> tuple[Path, dict[str, Any]]:
        inputs = {"base": self.base, "data": self.data}
        if parent is not None:
            inputs["parent"] = parent
        io = FolderIO(self.root / name, inputs, NEVER)
        meta = run_train(train_work(list(inputs), **(method | changes)), io, clock=ticking())
        return io.output, dict(meta)


@pytest.fixture
def trained(tmp_path: Path, base: Path, data: Path) -> Trainings:
    return Trainings(tmp_path, base, data)


def test_every_method_of_the_catalogue_has_a_trainer() -> None:
    assert set(METHODS.names()) == set(TRAINERS)


def test_full_tuning_leaves_a_whole_model(trained: Trainings, base: Path) -> None:
    folder, meta = trained("one", FULL)
    assert meta["form"] == "full"
    parameters = sum(v.numel() for v in load_file(base / "model.safetensors").values())
    assert meta["trainable_parameters"] == parameters
    names = {p.name for p in folder.iterdir()}
    assert names == {p.name for p in base.iterdir()} | {"losses.jsonl"}
    assert (outputs(base, folder) - outputs(base, base)).abs().max() > 0.1
    for name in ("tokenizer.json", "generation_config.json"):
        assert (folder / name).read_bytes() == (base / name).read_bytes()


def test_lora_leaves_an_adapter_that_changes_the_outputs(trained: Trainings, base: Path) -> None:
    folder, meta = trained("one", LORA)
    assert meta["form"] == "adapter"
    assert {p.name for p in folder.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "losses.jsonl",
    }
    # rank 2 on seven layers of widths 32, 16 and 48 in each of two blocks
    pairs = [(32, 32), (32, 16), (32, 16), (32, 32), (32, 48), (32, 48), (48, 32)]
    assert meta["trainable_parameters"] == 2 * 2 * sum(a + b for a, b in pairs)
    assert (outputs(base, folder) - outputs(base, base)).abs().max() > 0.01


def test_facts_and_losses_tell_what_was_done(trained: Trainings, data: Path) -> None:
    folder, meta = trained("one", FULL, epochs=1.5)
    lines = [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert set(lines[0]) == {"step", "loss", "learning_rate", "tokens"}
    assert lines[0]["learning_rate"] == 1e-2
    assert lines[-1]["learning_rate"] == pytest.approx(1e-2 / 5)
    assert meta["steps"] == 5
    assert meta["epochs"] == 1.5
    assert (meta["first_loss"], meta["last_loss"]) == (lines[0]["loss"], lines[-1]["loss"])
    assert meta["supervised_tokens"] == sum(line["tokens"] for line in lines)


def test_lora_after_lora_continues_the_same_adapter(trained: Trainings, base: Path) -> None:
    first, _ = trained("one", LORA)
    second, meta = trained("two", LORA, first, learning_rate=1e-9)
    assert meta["form"] == "adapter"
    assert torch.allclose(outputs(base, second), outputs(base, first), atol=1e-5)
    third, meta = trained("three", LORA, first)
    assert meta["form"] == "adapter"
    assert (outputs(base, third) - outputs(base, first)).abs().max() > 0.01


@pytest.mark.parametrize(
    ("first", "second", "forms"),
    [
        (FULL, LORA, ("full", "full")),
        (LORA, OTHER_LORA, ("adapter", "full")),
        (LORA, FULL, ("adapter", "full")),
        (FULL, FULL, ("full", "full")),
    ],
    ids=["full-lora", "lora-other lora", "lora-full", "full-full"],
)
def test_mixed_chains_start_where_the_stage_before_ended(
    trained: Trainings,
    base: Path,
    first: dict[str, Any],
    second: dict[str, Any],
    forms: tuple[str, str],
) -> None:
    one, meta_one = trained("one", first)
    still, meta_still = trained("still", second, one, learning_rate=1e-9)
    assert (meta_one["form"], meta_still["form"]) == forms
    assert torch.allclose(outputs(base, still), outputs(base, one), atol=1e-4)
    moved, _ = trained("moved", second, one)
    assert (outputs(base, moved) - outputs(base, one)).abs().max() > 0.01


def test_a_third_stage_goes_on_from_full_lora(trained: Trainings, base: Path) -> None:
    one, _ = trained("one", FULL)
    two, _ = trained("two", LORA, one)
    three, meta = trained("three", LORA, two, learning_rate=1e-9)
    assert meta["form"] == "full"
    assert torch.allclose(outputs(base, three), outputs(base, two), atol=1e-5)


@pytest.mark.parametrize("method", [FULL, DROPOUT_LORA], ids=["full", "lora with dropout"])
def test_the_same_work_gives_the_same_bytes(trained: Trainings, method: dict[str, Any]) -> None:
    one, _ = trained("one", method)
    torch.rand(17)  # what the process did before must not matter
    two, _ = trained("two", method)
    assert contents(one) == contents(two)


@pytest.mark.parametrize("method", [FULL, DROPOUT_LORA], ids=["full", "lora with dropout"])
@pytest.mark.parametrize("stop", [1, 4])
def test_an_interrupted_stage_ends_in_the_bytes_of_an_undisturbed_one(
    trained: Trainings, tmp_path: Path, method: dict[str, Any], stop: int
) -> None:
    expected, meta = trained("undisturbed", method)

    class Stopping(FolderIO):
        def progress(self, done: float, total: float, unit: str, **metrics: float) -> None:
            super().progress(done, total, unit, **metrics)
            if done == stop + 1:
                raise Interrupted

    work = train_work(["base", "data"], **method)
    inputs = {"base": trained.base, "data": trained.data}
    with pytest.raises(Interrupted):
        run_train(work, Stopping(tmp_path / "again", inputs, EVERY_STEP), clock=ticking())
    point = tmp_path / "again" / "resume"
    assert {p.name for p in point.iterdir()} == {"state.safetensors", "steps.json"}
    io = FolderIO(tmp_path / "again", inputs, EVERY_STEP)
    assert run_train(work, io, clock=ticking()) == meta
    assert io.reports[0][0] == stop + 1
    assert contents(io.output) == contents(expected)


def test_a_stage_killed_by_the_system_ends_in_the_same_bytes(
    trained: Trainings, tmp_path: Path, base: Path, data: Path
) -> None:
    expected, _ = trained("undisturbed", DROPOUT_LORA)
    root = tmp_path / "killed"
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(root), str(base), str(data), json.dumps(DROPOUT_LORA)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    io = FolderIO(root, {"base": base, "data": data}, EVERY_STEP)
    run_train(train_work(["base", "data"], **DROPOUT_LORA), io, clock=ticking())
    assert io.reports[0][0] == 4
    assert contents(io.output) == contents(expected)


KILLED = """
import json, os, signal, sys
from itertools import count
from pathlib import Path
from forgetscope.ports.stage import Machine
from forgetscope.trainer.train import run_train
from tiny_llama import FolderIO, train_work

class Mortal(FolderIO):
    def progress(self, done, total, unit, **metrics):
        if done == 4:
            os.kill(os.getpid(), signal.SIGKILL)

root, base, data, changes = sys.argv[1:]
ticks = count()
io = Mortal(Path(root), {"base": Path(base), "data": Path(data)}, Machine(resume_seconds=1))
run_train(train_work(["base", "data"], **json.loads(changes)), io, clock=lambda: float(next(ticks)))
"""


def test_seeds_of_stages_differ(tmp_path: Path, base: Path, data: Path) -> None:
    results = []
    for seed in (1, 2):
        io = FolderIO(tmp_path / str(seed), {"base": base, "data": data}, NEVER)
        run_train(train_work(["base", "data"], seed=seed, **LORA), io, clock=ticking())
        results.append(contents(io.output)["adapter_model.safetensors"])
    assert results[0] != results[1]


def test_an_adapter_of_another_base_is_refused(
    trained: Trainings, tmp_path: Path, data: Path
) -> None:
    other = make_base(tmp_path / "other", hidden_size=64)
    foreign, _ = Trainings(tmp_path / "elsewhere", other, data)("one", LORA)
    with pytest.raises(AdapterMismatch, match=r"adapter \[2, 64\], base \[2, 32\]"):
        trained("two", LORA, foreign)


def test_lora_trains_layers_that_store_their_weights_transposed(tmp_path: Path, data: Path) -> None:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=43, n_embd=32, n_layer=2, n_head=2, bos_token_id=1)
    gpt2 = make_base(tmp_path / "gpt2")
    (gpt2 / "config.json").unlink()
    GPT2LMHeadModel(config).save_pretrained(gpt2)
    folder, meta = Trainings(tmp_path, gpt2, data)("one", LORA)
    assert meta["form"] == "adapter"
    assert (outputs(gpt2, folder) - outputs(gpt2, gpt2)).abs().max() > 0.01
    merged, meta = Trainings(tmp_path, gpt2, data)("two", FULL, folder, learning_rate=1e-9)
    assert torch.allclose(outputs(gpt2, merged), outputs(gpt2, folder), atol=1e-5)


def test_texts_with_unusual_line_breaks_are_one_example(trained: Trainings, tmp_path: Path) -> None:
    examples = [
        e.model_copy(update={"prompt": f"w1\u2028{e.prompt}\x85w2"}) for e in make_examples(8)
    ]
    trained.data = write_examples(tmp_path / "unusual", examples)
    _, meta = trained("one", FULL, epochs=1.0)
    assert meta["steps"] == 1


def test_unknown_target_modules_are_refused_with_those_that_exist(trained: Trainings) -> None:
    params = METHODS.get("lora").resolve({"target_modules": ["query"]})
    with pytest.raises(InvalidInput, match=r"called query.*down_proj"):
        trained("one", {"method": "lora", "method_params": params})


def test_an_unknown_method_is_refused(trained: Trainings) -> None:
    with pytest.raises(UnknownName, match="'prefix'"):
        trained("one", {"method": "prefix", "method_params": {}})


def test_no_examples_are_refused(trained: Trainings, tmp_path: Path) -> None:
    trained.data = write_examples(tmp_path / "none", [])
    with pytest.raises(InvalidInput, match="no example"):
        trained("one", FULL)
