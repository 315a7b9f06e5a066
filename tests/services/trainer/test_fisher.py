"""Fisher information against its definition, and the stage that writes it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_llama import (
    FolderIO,
    make_base,
    make_examples,
    tiny_model,
    tiny_tokenizer,
    train_work,
    write_examples,
)
from torch import Tensor

from forgetscope.core.methods import METHODS
from forgetscope.modeling.batches import Item, encode_examples
from forgetscope.modeling.loading import TokenizerEncoder
from forgetscope.ports.stage import Machine
from forgetscope.schema.errors import InvalidInput, UnknownName
from forgetscope.trainer.fisher import diagonal_fisher, run_fisher
from forgetscope.trainer.mitigations.base import FISHER
from forgetscope.trainer.train import run_train

FULL: dict[str, Any] = {"method": "full", "method_params": {}}
LORA: dict[str, Any] = {
    "method": "lora",
    "method_params": METHODS.get("lora").resolve({"rank": 2, "dropout": 0.5}),
}
ITEMS = encode_examples(make_examples(6), TokenizerEncoder(tiny_tokenizer()), eos=2, max_length=64)


def log_probabilities(model: Any, item: Item) -> Tensor:
    """[answer tokens, V], by the model's own head."""
    logits = model(input_ids=torch.tensor([item.ids])).logits[0, item.start - 1 : -1]
    return torch.log_softmax(logits, dim=-1)


def squares(model: Any, value: Tensor) -> dict[str, Tensor]:
    named = dict(model.named_parameters())
    gradients = torch.autograd.grad(value, list(named.values()), retain_graph=True)
    return {f"model.{n}": g**2 for n, g in zip(named, gradients, strict=True)}


def test_it_is_the_sum_of_squared_gradients_of_examples_over_their_answer_tokens() -> None:
    """The signs are drawn again here, from the same generator; v by its definition, as a matrix
    with v·vᵀ = diag(p) − p·pᵀ in expectation, times the signs."""
    model = tiny_model().double()
    assert len({item.answer_tokens for item in ITEMS}) > 1
    found = diagonal_fisher(model, ITEMS, torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    expected = {name: torch.zeros_like(f) for name, f in found.items()}
    for item in ITEMS:
        logits = model(input_ids=torch.tensor([item.ids])).logits[0, item.start - 1 : -1]
        odds = torch.softmax(logits.detach(), dim=-1)
        signs = torch.randint(0, 2, odds.shape, generator=generator) * 2.0 - 1
        value = torch.zeros((), dtype=torch.float64)
        for row, p, s in zip(logits, odds, signs.double(), strict=True):
            factor = torch.diag(p.sqrt()) - torch.outer(p, p.sqrt())
            assert torch.allclose(factor @ factor.T, torch.diag(p) - torch.outer(p, p))
            value = value + row @ (factor @ s)
        for name, square in squares(model, value).items():
            expected[name] += square / sum(item.answer_tokens for item in ITEMS)
    assert found.keys() == expected.keys()
    for name, f in found.items():
        assert torch.allclose(f, expected[name], rtol=1e-6), name


@pytest.mark.parametrize("sureness", [1, 12])
def test_many_draws_approach_the_expectation_over_every_possible_answer_token(
    sureness: int,
) -> None:
    """The expectation is enumerated: all 43 tokens at each position, weighted by the model. The
    labels of the data would give something else. A model that is sure of its answers is no
    harder."""
    model = tiny_model(num_hidden_layers=1, hidden_size=16, intermediate_size=16)
    with torch.no_grad():
        model.lm_head.weight *= sureness
    items = [item for item in ITEMS if item.answer_tokens <= 3][:2]
    tokens = sum(item.answer_tokens for item in items)
    exact = empirical = torch.zeros(())
    for item in items:
        logs = log_probabilities(model, item)
        for at in range(item.answer_tokens):
            for log in logs[at]:
                exact = exact + log.detach().exp() * flat(squares(model, log)) / tokens
        labels = torch.tensor(item.ids[item.start :])[:, None]
        empirical = empirical + flat(squares(model, logs.gather(1, labels).sum())) / tokens
    drawn = flat(diagonal_fisher(model, items * 400, torch.Generator().manual_seed(0)))
    assert float(drawn.sum()) == pytest.approx(float(exact.sum()), rel=0.1)
    assert float((drawn - exact).norm() / exact.norm()) < 0.15
    few = flat(diagonal_fisher(model, items * 4, torch.Generator().manual_seed(0)))
    assert float(few.sum()) == pytest.approx(float(exact.sum()), rel=0.9)
    assert float((empirical - exact).norm() / exact.norm()) > 0.5


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([t.flatten() for _, t in sorted(tensors.items())])


# The stage.


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fisher")
    make_base(root / "base")
    write_examples(root / "data", make_examples(20))
    return root


def trained(root: Path, method: dict[str, Any]) -> Path:
    inputs = {"base": root / "base", "data": root / "data"}
    io = FolderIO(root / method["method"], inputs, Machine(resume_seconds=1e9))
    run_train(train_work(list(inputs), **method), io, clock=lambda: 0.0)
    return io.output


def stage(
    root: Path,
    name: str,
    checkpoint: Path,
    method: dict[str, Any],
    seed: int = 7,
    examples: int = 9,
) -> tuple[FolderIO, dict[str, Any]]:
    inputs = {"base": root / "base", "checkpoint": checkpoint, "data": root / "data"}
    params = method | {"examples": examples, "max_length": 64, "attention": "sdpa"}
    io = FolderIO(root / name, inputs)
    work = train_work(list(inputs), seed)._replace(kind="fisher", params=params)
    return io, dict(run_fisher(work, io))


@pytest.mark.parametrize("method", [FULL, LORA], ids=["full", "lora with dropout"])
def test_the_stage_writes_the_information_of_every_trained_parameter(
    root: Path, method: dict[str, Any]
) -> None:
    """With dropout, too, it is that of the model in use."""
    checkpoint = trained(root, method)
    io, meta = stage(root, "one", checkpoint, method)
    fisher = load_file(io.output / FISHER)
    (file,) = checkpoint.glob("*.safetensors")
    shapes = {name: tuple(v.shape) for name, v in load_file(file).items()}
    if method is FULL:
        assert {n.removeprefix("model."): tuple(f.shape) for n, f in fisher.items()} == shapes
    else:
        names = {n.removeprefix("model.").replace(".default", ""): n for n in fisher}
        assert {n: tuple(fisher[name].shape) for n, name in names.items()} == shapes
    assert all(bool((f >= 0).all()) for f in fisher.values())
    assert meta["examples"] == 9
    assert meta["parameters"] == sum(f.numel() for f in fisher.values())
    assert meta["trace"] == pytest.approx(sum(float(f.sum()) for f in fisher.values()), rel=1e-5)
    assert io.reports[-1][:3] == (9, 9, "example")
    first = (io.output / FISHER).read_bytes()
    again, _ = stage(root, "again", checkpoint, method)
    assert (again.output / FISHER).read_bytes() == first
    other, _ = stage(root, "other", checkpoint, method, seed=8)
    assert (other.output / FISHER).read_bytes() != first


def test_more_examples_than_there_are_are_refused(root: Path) -> None:
    with pytest.raises(InvalidInput, match="21 examples asked, but there are 20"):
        stage(root, "more", root / "base", FULL, examples=21)


def test_an_unknown_method_is_refused(root: Path) -> None:
    with pytest.raises(UnknownName, match="'prefix'"):
        stage(root, "unknown", root / "base", {"method": "prefix", "method_params": {}})
