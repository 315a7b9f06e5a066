"""Mitigations: their gradients against autograd of what is written, and whole stages with them."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_llama import FolderIO, make_base, make_examples, train_work, write_examples
from torch import Tensor

from forgetscope.core.methods import METHODS
from forgetscope.core.mitigations import MITIGATIONS as CATALOGUE
from forgetscope.modeling.loading import load_model
from forgetscope.ports.stage import Machine
from forgetscope.schema.errors import InvalidInput
from forgetscope.trainer.fisher import run_fisher
from forgetscope.trainer.mitigations import MITIGATIONS, Anchor, Scene
from forgetscope.trainer.mitigations.base import FISHER
from forgetscope.trainer.train import run_train

FULL: dict[str, Any] = {"method": "full", "method_params": {}}
LORA: dict[str, Any] = {
    "method": "lora",
    "method_params": METHODS.get("lora").resolve({"rank": 2, "dropout": 0.3}),
}
METHOD = pytest.mark.parametrize("method", [FULL, LORA], ids=["full", "lora with dropout"])
NAMES = pytest.mark.parametrize("name", ["l2_sp", "ewc", "sam"])
KNOB = {"l2_sp": "strength", "ewc": "strength", "sam": "radius"}
SENSIBLE = {"l2_sp": 0.1, "ewc": 100.0, "sam": 0.05}


class Interrupted(Exception):
    pass


def ticking() -> Callable[[], float]:
    ticks = count()
    return lambda: float(next(ticks))


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


class Chain:
    """Stages one on top of the other, with the Fisher information of each."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.base = make_base(root / "base")
        self.tasks = [write_examples(root / f"data-{i}", make_examples(20, i)) for i in range(3)]

    def inputs(self, task: int, before: list[Path], method: dict[str, Any]) -> dict[str, Path]:
        inputs = {"base": self.base, "data": self.tasks[task]}
        if before:
            inputs["parent"] = before[-1]
        for i, checkpoint in enumerate(before):
            inputs |= {f"anchor-{i}": checkpoint, f"fisher-{i}": self.fisher(i, checkpoint, method)}
        return inputs

    def fisher(self, task: int, checkpoint: Path, method: dict[str, Any]) -> Path:
        root = self.root / "fisher" / checkpoint.parent.name
        if not (root / "output" / FISHER).exists():
            inputs = {"base": self.base, "checkpoint": checkpoint, "data": self.tasks[task]}
            asked = method | {"examples": 12, "max_length": 64, "attention": "sdpa"}
            work = train_work(list(inputs))._replace(kind="fisher", params=asked)
            run_fisher(work, FolderIO(root, inputs))
        return root / "output"

    def __call__(
        self, name: str, task: int, before: list[Path], method: dict[str, Any], **changes: Any
    ) -> Path:
        inputs = self.inputs(task, before, method)
        io = FolderIO(self.root / name, inputs, Machine(resume_seconds=1e9))
        run_train(train_work(list(inputs), **(method | changes)), io, clock=ticking())
        return io.output


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Chain, Path]]:
    """By method: a chain, and the model after its first stage."""
    made = {}
    for method in (FULL, LORA):
        chain = Chain(tmp_path_factory.mktemp(method["method"]))
        made[method["method"]] = (chain, chain("first", 0, [], method))
    return made


def asked(name: str, value: float) -> dict[str, Any]:
    params = CATALOGUE.get(name).params.model_validate({KNOB[name]: value})
    return {"mitigation": name, "mitigation_params": params.model_dump(mode="json")}


def flat(folder: Path) -> Tensor:
    (file,) = folder.glob("*.safetensors")
    return torch.cat([v.flatten() for _, v in sorted(load_file(file).items())])


# The trainer and the catalogue.


def test_every_mitigation_of_the_catalogue_has_a_trainer() -> None:
    assert set(CATALOGUE.names()) == set(MITIGATIONS)


# Gradients.


def parameters(seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    shapes = {"matrix": (3, 4), "vector": (5,)}
    return {
        name: torch.randn(shape, generator=draw).requires_grad_() for name, shape in shapes.items()
    }


def quadratic(trained: dict[str, Tensor], factor: float = 1.7) -> Callable[[], float]:
    def backward() -> float:
        loss = sum(((p**2).sum() for p in trained.values()), torch.zeros(())) * factor / 2
        loss.backward()
        return float(loss.detach())

    return backward


def test_l2_sp_adds_the_gradient_of_its_penalty() -> None:
    trained = parameters()
    start = {name: p.detach().clone() for name, p in trained.items()}
    mitigate = MITIGATIONS["l2_sp"](Scene(trained, ()), {"strength": 0.3})
    with torch.no_grad():
        for p in trained.values():
            p.add_(0.5 * torch.sin(p))
    loss = mitigate(quadratic(trained))
    expected = parameters()
    with torch.no_grad():
        for name, p in expected.items():
            p.copy_(trained[name])
    plain = sum(((p**2).sum() for p in expected.values()), torch.zeros(())) * 1.7 / 2
    penalty = sum(((p - start[n]) ** 2).sum() for n, p in expected.items()) * 0.3 / 2
    (plain + penalty).backward()
    assert loss == pytest.approx(float(plain.detach()))
    for name, p in trained.items():
        assert p.grad is not None
        assert torch.allclose(p.grad, expected[name].grad, rtol=1e-6)


@METHOD
@pytest.mark.parametrize("anchors", [1, 2])
def test_ewc_adds_the_gradient_of_its_penalty(
    chains: dict[str, tuple[Chain, Path]], method: dict[str, Any], anchors: int, tmp_path: Path
) -> None:
    """The anchors are checkpoints as stages leave them; half of the parameters are of no importance
    to the last one."""
    chain, first = chains[method["method"]]
    named = _named(first, method)
    draw = torch.Generator().manual_seed(1)
    trained = {
        n: (v + torch.randn(v.shape, generator=draw)).requires_grad_() for n, v in named.items()
    }
    checkpoints = [first, chain("moved", 1, [first], method)][:anchors]
    targets = [_named(checkpoint, method) for checkpoint in checkpoints]
    fishers = [{n: torch.rand(v.shape, generator=draw) for n, v in named.items()} for _ in targets]
    fishers[-1] = {n: f * (f > 0.5) for n, f in fishers[-1].items()}
    folders = []
    for i, (checkpoint, fisher) in enumerate(zip(checkpoints, fishers, strict=True)):
        folders.append(Anchor(checkpoint, tmp_path / str(i)))
        folders[-1].fisher.mkdir()
        save_file(fisher, folders[-1].fisher / FISHER)
    mitigate = MITIGATIONS["ewc"](Scene(trained, folders), {"strength": 7.0})
    mitigate(lambda: 0.0)  # no loss: the penalty alone
    found = {n: p.grad.clone() for n, p in trained.items() if p.grad is not None}
    for p in trained.values():
        p.grad = None
    penalty = sum(
        (f[n] * (p - t[n]) ** 2).sum()
        for f, t in zip(fishers, targets, strict=True)
        for n, p in trained.items()
    )
    (3.5 * penalty).backward()
    assert set(found) == set(trained)
    for name, p in trained.items():
        assert torch.allclose(found[name], p.grad, rtol=1e-4, atol=1e-4), name


def _named(folder: Path, method: dict[str, Any]) -> dict[str, Tensor]:
    """The trained parameters in a checkpoint, by the recipe's names; written out once more."""
    if method is FULL:
        model = load_model(folder, "float32", "sdpa")
        return {f"model.{n}": p.detach() for n, p in model.named_parameters()}
    saved = load_file(folder / "adapter_model.safetensors")
    names = (
        n.replace("lora_A", "lora_A.default").replace("lora_B", "lora_B.default") for n in saved
    )
    return {f"model.{name}": v for name, v in zip(names, saved.values(), strict=True)}


def test_the_gradient_of_sam_is_that_of_the_closed_form_for_a_quadratic() -> None:
    """∇ of ½θᵀHθ at θ + r·Hθ/‖Hθ‖ is Hθ + r·H²θ/‖Hθ‖; H differs between the parameters."""
    trained = parameters()
    curvature = {"matrix": 1.7, "vector": 0.4}

    def backward() -> float:
        loss = sum((curvature[n] / 2 * (p**2).sum() for n, p in trained.items()), torch.zeros(()))
        loss.backward()
        return float(loss.detach())

    before = {n: p.detach().clone() for n, p in trained.items()}
    norm = sum(float(((curvature[n] * p) ** 2).sum()) for n, p in before.items()) ** 0.5
    loss = MITIGATIONS["sam"](Scene(trained, ()), {"radius": 0.3})(backward)
    assert loss == pytest.approx(
        sum(curvature[n] / 2 * float((p**2).sum()) for n, p in before.items())
    )
    for name, p in trained.items():
        h = curvature[name]
        assert torch.equal(p.detach(), before[name])
        assert torch.allclose(p.grad, h * before[name] * (1 + 0.3 * h / norm), rtol=1e-5)


def test_sam_stays_where_the_gradient_is_zero() -> None:
    trained = {"one": torch.zeros(3).requires_grad_()}
    assert MITIGATIONS["sam"](Scene(trained, ()), {"radius": 0.3})(quadratic(trained)) == 0
    assert torch.equal(trained["one"].grad, torch.zeros(3))


def test_both_passes_of_sam_see_the_same_dropout_and_the_next_step_another() -> None:
    trained = {"one": torch.ones(200).requires_grad_()}
    seen: list[Tensor] = []

    def backward() -> float:
        kept = torch.nn.functional.dropout(trained["one"], 0.5)
        seen.append(kept.detach() != 0)
        kept.sum().backward()
        return float(kept.detach().sum())

    torch.manual_seed(3)
    mitigate = MITIGATIONS["sam"](Scene(trained, ()), {"radius": 0.3})
    for _ in range(2):
        mitigate(backward)
        trained["one"].grad = None
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[2], seen[3])
    assert not torch.equal(seen[0], seen[2])
    torch.manual_seed(3)  # and the generator stands where plain training would have left it
    assert torch.equal(torch.nn.functional.dropout(torch.ones(200), 0.5) != 0, seen[0])
    assert torch.equal(torch.nn.functional.dropout(torch.ones(200), 0.5) != 0, seen[2])


# Whole stages.


@METHOD
@NAMES
def test_a_mitigation_of_strength_zero_is_plain_training_bit_for_bit(
    chains: dict[str, tuple[Chain, Path]], name: str, method: dict[str, Any]
) -> None:
    chain, first = chains[method["method"]]
    plain = chain("plain", 1, [first], method, weight_decay=0.1)
    off = chain("off", 1, [first], method, weight_decay=0.1, **asked(name, 0.0))
    on = chain("on", 1, [first], method, weight_decay=0.1, **asked(name, SENSIBLE[name]))
    assert contents(off) == contents(plain)
    assert not torch.equal(flat(on), flat(plain))


@METHOD
@NAMES
def test_an_interrupted_stage_with_a_mitigation_ends_in_the_same_bytes(
    chains: dict[str, tuple[Chain, Path]], tmp_path: Path, name: str, method: dict[str, Any]
) -> None:
    chain, first = chains[method["method"]]
    mitigation = asked(name, SENSIBLE[name])
    expected = chain("undisturbed", 1, [first], method, **mitigation)

    class Stopping(FolderIO):
        def progress(self, done: float, total: float, unit: str, **metrics: float) -> None:
            super().progress(done, total, unit, **metrics)
            if done == 4:
                raise Interrupted

    inputs = chain.inputs(1, [first], method)
    work = train_work(list(inputs), **(method | mitigation))
    every_step = Machine(resume_seconds=1)
    with pytest.raises(Interrupted):
        run_train(work, Stopping(tmp_path, inputs, every_step), clock=ticking())
    io = FolderIO(tmp_path, inputs, every_step)
    run_train(work, io, clock=ticking())
    assert io.reports[0][0] == 4
    assert contents(io.output) == contents(expected)


@METHOD
@pytest.mark.parametrize("name", ["l2_sp", "ewc"])
def test_a_stronger_pull_ends_nearer_to_where_the_stage_began(
    chains: dict[str, tuple[Chain, Path]], name: str, method: dict[str, Any]
) -> None:
    """Distance in the norm of the penalty. Under Adam no step is much shorter than the learning
    rate, so that even an endless pull leaves a remainder of a few steps."""
    chain, first = chains[method["method"]]
    ones = {n: torch.ones_like(v) for n, v in _named(first, method).items()}
    fisher = load_file(chain.fisher(0, first, method) / FISHER) if name == "ewc" else ones
    start = _named(first, method)

    def distance(strength: float) -> float:
        folder = chain("pulled", 1, [first], method, epochs=8.0, **asked(name, strength))
        end = _named(folder, method)
        return sum(float((fisher[n] * (end[n] - start[n]) ** 2).sum()) for n in start) ** 0.5

    free, held, huge = (distance(s) for s in (0.0, SENSIBLE[name], 1e6))
    assert held < free
    assert huge < min(held, 0.25 * free)


@METHOD
def test_the_third_stage_of_a_chain_holds_on_to_both_earlier_ones(
    chains: dict[str, tuple[Chain, Path]], method: dict[str, Any]
) -> None:
    chain, first = chains[method["method"]]
    ewc = asked("ewc", 1e3)
    second = chain("second", 1, [first], method, **ewc)
    both = chain("both", 2, [first, second], method, **ewc)
    inputs = chain.inputs(2, [first, second], method)
    alone = {k: v for k, v in inputs.items() if k not in ("anchor-1", "fisher-1")}
    io = FolderIO(chain.root / "one anchor", alone, Machine(resume_seconds=1e9))
    run_train(train_work(list(alone), **(method | ewc)), io, clock=ticking())
    assert not torch.equal(flat(both), flat(io.output))


@NAMES
def test_bfloat16_keeps_weights_and_penalty_in_float32(
    chains: dict[str, tuple[Chain, Path]], name: str
) -> None:
    chain, first = chains["full"]
    exact = chain("exact", 1, [first], FULL, **asked(name, SENSIBLE[name]))
    rounded = chain("rounded", 1, [first], FULL, dtype="bfloat16", **asked(name, SENSIBLE[name]))
    assert flat(rounded).dtype == torch.float32
    assert not torch.equal(flat(exact), flat(rounded))
    assert (flat(exact) - flat(rounded)).norm() < 0.1 * flat(exact).norm()


# What is refused.


def test_ewc_without_an_earlier_training_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no earlier training"):
        MITIGATIONS["ewc"](Scene(parameters(), ()), {"strength": 1.0})


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("name", r"fisher-0: .*is missing"),
        ("shape", r"fisher-0: .*has shape \[1\], here"),
        ("method", r"anchor-0: .*is missing"),
    ],
)
def test_an_anchor_with_other_parameters_is_refused(
    chains: dict[str, tuple[Chain, Path]], tmp_path: Path, problem: str, words: str
) -> None:
    chain, first = chains["full"]
    inputs = chain.inputs(1, [first], FULL)
    fisher = load_file(inputs["fisher-0"] / FISHER)
    name = next(iter(fisher))
    if problem == "name":
        del fisher[name]
    elif problem == "shape":
        fisher[name] = torch.ones(1)
    else:
        inputs["anchor-0"] = chains["lora"][1]
    save_file(fisher, tmp_path / FISHER)
    inputs["fisher-0"] = tmp_path
    with pytest.raises(InvalidInput, match=words):
        run_train(
            train_work(list(inputs), **FULL, **asked("ewc", 1.0)),
            FolderIO(tmp_path / "run", inputs, Machine(resume_seconds=1e9)),
            clock=ticking(),
        )


def test_a_mitigation_in_a_sharded_run_is_refused(
    chains: dict[str, tuple[Chain, Path]], tmp_path: Path
) -> None:
    chain, first = chains["full"]
    inputs = chain.inputs(1, [first], FULL)
    io = FolderIO(tmp_path, inputs, Machine(processes=2))
    with pytest.raises(InvalidInput, match="one process only"):
        run_train(train_work(list(inputs), **FULL, **asked("sam", 0.1)), io, clock=ticking())
