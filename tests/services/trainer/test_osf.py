"""Orthogonal subspace fine-tuning: what it leaves alone, and what stages make of it."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft.tuners.osf.layer import OSFLayer
from safetensors.torch import load_file
from tiny_llama import FolderIO, make_base, make_examples, train_work, write_examples
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from forgetscope.core.methods import METHODS
from forgetscope.modeling.loading import load_model
from forgetscope.ports.stage import Machine
from forgetscope.schema.errors import InvalidInput
from forgetscope.trainer.distributed import Place
from forgetscope.trainer.methods import METHODS as TRAINERS
from forgetscope.trainer.methods import Source
from forgetscope.trainer.train import run_train

NEVER = Machine(resume_seconds=1e9)
NAMES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Interrupted(Exception):
    pass


def osf(**params: Any) -> dict[str, Any]:
    return {"method": "osf", "method_params": METHODS.get("osf").resolve(params)}


def ticking() -> Callable[[], float]:
    ticks = count()
    return lambda: float(next(ticks))


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_examples(tmp_path_factory.mktemp("data"), make_examples(20))


def trained(
    root: Path, base: Path, data: Path, parent: Path | None = None, **changes: Any
) -> tuple[Path, dict[str, Any]]:
    inputs = {"base": base, "data": data}
    if parent is not None:
        inputs["parent"] = parent
    io = FolderIO(root, inputs, NEVER)
    meta = run_train(train_work(list(inputs), **changes), io, clock=ticking())
    return io.output, dict(meta)


def leak(before: Tensor, after: Tensor, kept: int) -> float:
    """How far `after` maps the first `kept` singular directions elsewhere than `before` does, on
    either side, as a share of the whole change."""
    u, _, v = torch.linalg.svd(before.double(), full_matrices=False)
    change = after.double() - before.double()
    moved = max(float((change @ v[:kept].T).norm()), float((u[:, :kept].T @ change).norm()))
    return moved / float(change.norm())


@pytest.mark.parametrize("rank", [0.5, 4])
@pytest.mark.parametrize("mitigation", [None, "l2_sp", "sam"])
def test_the_kept_directions_of_every_layer_are_mapped_as_before(
    tmp_path: Path, base: Path, data: Path, rank: float, mitigation: str | None
) -> None:
    """Weight decay and a penalty do not change that. The layers are wide, high and square."""
    changes = osf(effective_rank=rank) | {"weight_decay": 0.1}
    if mitigation is not None:
        changes |= {"mitigation": mitigation, "mitigation_params": {}}
    folder, meta = trained(tmp_path, base, data, **changes)
    assert meta["form"] == "full"
    before, after = weights(base), weights(folder)
    assert before.keys() == after.keys()
    for name, old in before.items():
        if name.split(".")[-2] in NAMES:
            kept = rank if isinstance(rank, int) else int(rank * min(old.shape))
            assert float((after[name] - old).norm()) > 0.01 * float(old.norm()), name
            assert leak(old, after[name], kept) < 1e-4, name
        else:
            assert torch.equal(after[name], old), name


def test_projecting_the_gradient_alone_would_not_keep_them_under_adam(base: Path) -> None:
    """Why the factors are projected, too: the same steps with and without it."""
    leaks = []
    for settled in (True, False):
        tuning = TRAINERS["osf"](Source(base, None, "sdpa"), {"effective_rank": 0.5})
        layer = next(m for m in tuning.model.modules() if isinstance(m, OSFLayer))
        old = layer.get_base_layer().weight.detach().clone()
        optimiser = torch.optim.AdamW([p for p in tuning.model.parameters() if p.requires_grad])
        for _ in range(10):
            tuning.model(input_ids=torch.tensor([[1, 5, 9]])).logits.square().mean().backward()
            optimiser.step()
            optimiser.zero_grad()
            if settled and tuning.settle is not None:
                tuning.settle()
        new = old + layer.get_delta_weight("default").detach()
        leaks.append(leak(old, new, min(old.shape) // 2))
    assert leaks[0] < 1e-3
    assert leaks[1] > 0.05


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 15), st.integers(0, 2**20))
def test_settling_brings_any_factors_back_and_leaves_settled_ones(
    base: Path, rank: int, seed: int
) -> None:
    tuning = TRAINERS["osf"](
        Source(base, None, "sdpa"),
        {"effective_rank": rank, "target_modules": ["k_proj", "q_proj", "up_proj", "down_proj"]},
    )
    assert tuning.settle is not None
    layers = [m for m in tuning.model.modules() if isinstance(m, OSFLayer)]
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in layers:
            for factor in ("U_low", "V_low"):
                p = layer.osf_svd_params["default"][factor]
                p.add_(torch.randn(p.shape, generator=draw))
    tuning.settle()
    once = [layer.get_delta_weight("default").detach() for layer in layers]
    for layer, delta in zip(layers, once, strict=True):
        old = layer.get_base_layer().weight.detach()
        assert leak(old, old + delta, rank) < 1e-4
    tuning.settle()
    for layer, delta in zip(layers, once, strict=True):
        assert torch.allclose(layer.get_delta_weight("default"), delta, atol=1e-4)


def test_the_model_begins_where_the_stage_before_ended(
    tmp_path: Path, base: Path, data: Path
) -> None:
    one, _ = trained(tmp_path / "one", base, data, **osf())
    two, _ = trained(tmp_path / "two", base, data, one, **osf(), learning_rate=1e-9)
    ids = torch.tensor([[1, 5, 9, 13]])
    with torch.no_grad():
        logits = [load_model(f, "float32", "sdpa")(input_ids=ids).logits for f in (base, one, two)]
    assert (logits[1] - logits[0]).abs().max() > 0.01
    assert torch.allclose(logits[2], logits[1], atol=1e-4)


def test_an_interrupted_stage_ends_in_the_bytes_of_an_undisturbed_one(
    tmp_path: Path, base: Path, data: Path
) -> None:
    expected, _ = trained(tmp_path / "undisturbed", base, data, **osf())

    class Stopping(FolderIO):
        def progress(self, done: float, total: float, unit: str, **metrics: float) -> None:
            super().progress(done, total, unit, **metrics)
            if done == 3:
                raise Interrupted

    inputs = {"base": base, "data": data}
    every_step = Machine(resume_seconds=1)
    work = train_work(list(inputs), **osf())
    with pytest.raises(Interrupted):
        run_train(work, Stopping(tmp_path / "again", inputs, every_step), clock=ticking())
    io = FolderIO(tmp_path / "again", inputs, every_step)
    run_train(work, io, clock=ticking())
    assert io.reports[0][0] == 3
    assert {p.name: p.read_bytes() for p in io.output.iterdir()} == {
        p.name: p.read_bytes() for p in expected.iterdir()
    }


def test_bfloat16_and_checkpointing_train_as_well(tmp_path: Path, base: Path, data: Path) -> None:
    changes = osf() | {"dtype": "bfloat16", "gradient_checkpointing": True}
    folder, meta = trained(tmp_path, base, data, **changes)
    assert meta["last_loss"] < meta["first_loss"]
    old, new = weights(base), weights(folder)
    name = "model.layers.0.mlp.up_proj.weight"
    assert leak(old[name], new[name], 16) < 1e-4


# What is refused.


@pytest.mark.parametrize(
    ("rank", "words"),
    [(16, "keeps 16 of the 16 directions of .*k_proj"), (0.01, "keeps 0 of the 32")],
)
def test_a_rank_that_leaves_nothing_to_do_is_refused(base: Path, rank: float, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        TRAINERS["osf"](Source(base, None, "sdpa"), {"effective_rank": rank})


def test_layers_that_store_their_weights_transposed_are_refused(tmp_path: Path) -> None:
    gpt2 = make_base(tmp_path)
    (gpt2 / "config.json").unlink()
    config = GPT2Config(vocab_size=43, n_embd=32, n_layer=2, n_head=2, bos_token_id=1)
    GPT2LMHeadModel(config).save_pretrained(gpt2)
    with pytest.raises(InvalidInput, match="transposed"):
        TRAINERS["osf"](Source(gpt2, None, "sdpa"), {})


def test_a_sharded_run_is_refused(tmp_path: Path, base: Path, data: Path) -> None:
    io = FolderIO(tmp_path, {"base": base, "data": data}, NEVER)
    work = train_work(["base", "data"], **osf())
    with pytest.raises(InvalidInput, match="one process only"):
        run_train(work, io, clock=ticking(), place=Place(0, 2, ""))
