"""Curvature and displacement as the worker runs them: against a dense Hessian and measured losses,
with full tuning and LoRA, and with interruptions."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_llama import FolderIO, make_base, make_examples, train_work, write_examples
from torch import Tensor

from forgetscope.analysis import curvature_model
from forgetscope.analysis.curvature_stage import run_curvature
from forgetscope.analysis.displacement_stage import run_displacement
from forgetscope.analysis.stage import stages
from forgetscope.app.examples_file import read_examples
from forgetscope.core.curvature_plan import lanczos_steps
from forgetscope.core.methods import METHODS
from forgetscope.modeling.answers import AnswerLoss
from forgetscope.modeling.batches import collate, encode_examples
from forgetscope.modeling.curvature.solvers import random_start_gap
from forgetscope.modeling.loading import TokenizerEncoder, load_model, load_tokenizer
from forgetscope.ports.stage import Machine, Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.curvature import CurvatureFile, DisplacementFile
from forgetscope.schema.errors import InvalidInput, UnknownName
from forgetscope.schema.plan import StageKind
from forgetscope.schema.stage import Manifest
from forgetscope.trainer.train import run_train

NEVER = Machine(resume_seconds=1e9)
ALWAYS = Machine(resume_seconds=0)
FULL: dict[str, Any] = {"method": "full", "method_params": {}}
LORA = {"method": "lora", "method_params": METHODS.get("lora").resolve({"rank": 2})}
NORMS = ("model.norm.weight", "model.layers.0.input_layernorm.weight")
ALL: JsonObject = {"kind": "all"}
EXAMPLES = 12


class Killed(Exception):
    pass


class World:
    """Checkpoints of one base: A on its data, AB on top of it, in full and by LoRA."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.base = make_base(root / "base")
        grouped = [
            e.model_copy(update={"groups": (f"g{i % 2}", "even" if i % 4 == 0 else "rest")})
            for i, e in enumerate(make_examples(24))
        ]
        self.data = write_examples(root / "data", grouped)
        self.other = write_examples(root / "other", make_examples(16, seed=1))
        self.full = self._chain("full", FULL, 3e-3)
        self.lora = self._chain("lora", LORA, 3e-2)

    def _chain(self, name: str, method: dict[str, Any], rate: float) -> tuple[Path, Path]:
        one = self._train(f"{name}-a", method, rate, self.data, None)
        return one, self._train(f"{name}-ab", method, rate / 3, self.other, one)

    def _train(
        self, name: str, method: dict[str, Any], rate: float, data: Path, parent: Path | None
    ) -> Path:
        inputs = {"base": self.base, "data": data} | ({"parent": parent} if parent else {})
        io = FolderIO(self.root / name, inputs, NEVER)
        changes = method | {"learning_rate": rate, "epochs": 3.0}
        run_train(train_work(list(inputs), **changes), io, clock=lambda: 0.0)
        return io.output


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("curvature"))


def work_of(kind: StageKind, inputs: dict[str, Path], params: JsonObject) -> Work:
    given = {role: Manifest(stage="a" * 64, kind="train", files={}) for role in inputs}
    return Work("a" * 64, kind, {"max_length": 64} | params, given, seed=7)


def curvature(
    world: World, folder: Path, checkpoint: Path, machine: Machine = NEVER, **params: Any
) -> FolderIO:
    inputs = {"base": world.base, "checkpoint": checkpoint, "data": world.data}
    io = FolderIO(folder, inputs, machine)
    asked: JsonObject = {"subset": ALL, "examples": EXAMPLES, "max_iterations": 40} | params
    run_curvature(work_of("curvature", inputs, asked), io, clock=ticking())
    return io


def displacement(
    world: World,
    folder: Path,
    models: tuple[Path, Path],
    machine: Machine = NEVER,
    **params: Any,
) -> FolderIO:
    before, after = models
    inputs = {"base": world.base, "checkpoint": before, "later": after, "data": world.data}
    io = FolderIO(folder, inputs, machine)
    asked: JsonObject = {"subset": ALL, "examples": EXAMPLES, "product": "auto", "path_nodes": 0}
    run_displacement(work_of("displacement", inputs, asked | params), io, clock=ticking())
    return io


def ticking() -> Callable[[], float]:
    ticks = count()
    return lambda: float(next(ticks))


def spectra(io: FolderIO) -> CurvatureFile:
    return CurvatureFile.model_validate_json((io.output / "curvature.json").read_text())


def ways(io: FolderIO) -> DisplacementFile:
    return DisplacementFile.model_validate_json((io.output / "displacement.json").read_text())


def loss_of(
    world: World, checkpoint: Path, examples: slice = slice(EXAMPLES)
) -> Callable[..., Tensor]:
    """The mean loss of the checkpoint's own model as a function of some of its weights."""
    model = load_model(checkpoint, "float64", "eager").double().requires_grad_(False)
    tokenizer = load_tokenizer(world.base)
    found = read_examples(world.data)[examples]
    items = encode_examples(found, TokenizerEncoder(tokenizer), eos=2, max_length=64)
    batch = collate([[item] for item in items])
    loss = AnswerLoss(model)

    def mean(*weights: Tensor) -> Tensor:
        named = {f"model.{name}": w for name, w in zip(NORMS, weights, strict=False)}
        total: Tensor = torch.func.functional_call(loss, named, tuple(batch))
        return total / batch.answers.targets.numel()

    return mean


def test_the_spectrum_is_that_of_the_dense_hessian(world: World, tmp_path: Path) -> None:
    checkpoint = world.full[0]
    io = curvature(
        world,
        tmp_path,
        checkpoint,
        subset={"kind": "prefixes", "names": list(NORMS)},
        top=3,
        lowest=True,
        trace=True,
        trace_products=98,
        density=True,
        tolerance=1e-4,
        max_iterations=64,
    )
    (found,) = spectra(io).spectra
    model = load_model(checkpoint, "float32", "eager").double()
    weights = tuple(model.get_parameter(name).detach() for name in NORMS)
    loss = loss_of(world, checkpoint)
    blocks: Any = torch.autograd.functional.hessian(loss, weights)  # type: ignore[no-untyped-call]
    dense = torch.cat([torch.cat(row, dim=1) for row in blocks])
    values = torch.linalg.eigvalsh(dense).tolist()
    assert spectra(io).parameters.parameters == len(values) == 64
    assert found.loss == pytest.approx(float(loss(*weights)), rel=1e-5)
    assert [e.value for e in found.largest] == pytest.approx(values[:-4:-1], rel=1e-3)
    assert found.radius.value == pytest.approx(max(values, key=abs), rel=1e-3)
    assert found.lowest.value == pytest.approx(values[0], rel=1e-3)
    assert found.radius.verdict == found.lowest.verdict == "converged"
    assert found.trace.value == pytest.approx(sum(values), rel=0.2)
    assert found.trace.iterations == 98
    assert found.density is not None
    assert sum(found.density.weights) == pytest.approx(1)
    assert (found.examples, found.dtype, found.method) == (EXAMPLES, "float32", "exact")
    assert found.check.difference < 0.05


def test_what_was_not_asked_for_is_undefined_with_a_reason(world: World, tmp_path: Path) -> None:
    io = curvature(world, tmp_path, world.full[0])
    (found,) = spectra(io).spectra
    assert found.density is None
    assert found.lowest.reason == found.trace.reason == "not asked for"
    assert found.radius.value is not None
    assert spectra(io).parameters.name == "all weights"
    assert "GiB by estimate" in spectra(io).memory
    done, total, unit, said = io.reports[-1]
    assert unit == "products"
    assert 0 < done <= total
    assert said["memory_gib"] > 0
    assert [r[0] for r in io.reports] == sorted(r[0] for r in io.reports)


def test_products_layer_by_layer_and_by_differences_agree(world: World, tmp_path: Path) -> None:
    radii = [
        spectra(curvature(world, tmp_path / name, world.full[0], product=name)).spectra[0]
        for name in ("exact", "layered", "finite_differences")
    ]
    assert radii[1].radius.value == pytest.approx(radii[0].radius.value, rel=1e-3)
    assert radii[2].radius.value == pytest.approx(radii[0].radius.value, rel=1e-2)
    assert [s.method.split(",")[0] for s in radii] == ["exact", "exact", "central differences"]


def test_layer_by_layer_is_chosen_where_memory_is_short(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curvature_model, "_room", lambda _: 1.0)
    found = spectra(curvature(world, tmp_path, world.full[0], max_iterations=2, product="auto"))
    assert found.spectra[0].method == "exact, layer by layer"


def test_subsets_of_the_data_are_disjoint(world: World, tmp_path: Path) -> None:
    one, two = spectra(curvature(world, tmp_path / "two", world.full[0], subsets=2)).spectra
    assert one.digest != two.digest
    alone = spectra(curvature(world, tmp_path / "one", world.full[0])).spectra[0]
    assert alone == one
    assert two.loss == pytest.approx(
        float(loss_of(world, world.full[0], slice(EXAMPLES, 2 * EXAMPLES))()), rel=1e-5
    )


def test_lora_factors_are_told_apart_from_merged_weights(world: World, tmp_path: Path) -> None:
    targets = {"names": ["all-linear"]}
    factors = spectra(curvature(world, tmp_path / "f", world.lora[0], subset={"kind": "factors"}))
    merged = spectra(
        curvature(world, tmp_path / "t", world.lora[0], subset={"kind": "targets"} | targets)
    )
    assert factors.parameters.name == "LoRA factors"
    assert "compare tasks with parameters: targets" in str(factors.parameters.note)
    assert merged.parameters.note is None
    assert factors.parameters.parameters < merged.parameters.parameters
    assert factors.spectra[0].loss == pytest.approx(merged.spectra[0].loss, rel=1e-4)


def test_bfloat16_is_labelled(world: World, tmp_path: Path) -> None:
    (found,) = spectra(curvature(world, tmp_path, world.full[0], dtype="bfloat16")).spectra
    assert found.dtype == "bfloat16"


LONG: dict[str, Any] = {
    "subset": {"kind": "prefixes", "names": list(NORMS)},
    "trace": True,
    "density": True,
    "top": 2,
}


@pytest.fixture(scope="module")
def uninterrupted(world: World, tmp_path_factory: pytest.TempPathFactory) -> FolderIO:
    return curvature(world, tmp_path_factory.mktemp("whole"), world.full[0], **LONG)


@pytest.mark.parametrize("after", [9, 25, 33, 70])
def test_a_killed_run_goes_on_to_the_same_bytes(
    world: World,
    uninterrupted: FolderIO,
    tmp_path: Path,
    after: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed in the Krylov space, between its ends, in the trace and in the density."""
    whole = uninterrupted
    calls = count()

    def interrupted(self: FolderIO, *said: Any, **metrics: float) -> None:
        if next(calls) == after:
            raise Killed
        self.reports.append((*said, metrics))

    with monkeypatch.context() as patch:
        patch.setattr(FolderIO, "progress", interrupted)
        with pytest.raises(Killed):
            curvature(world, tmp_path / "cut", world.full[0], ALWAYS, **LONG)
    resumed = curvature(world, tmp_path / "cut", world.full[0], ALWAYS, **LONG)
    assert len(resumed.reports) < len(whole.reports)
    name = "curvature.json"
    assert (resumed.output / name).read_bytes() == (whole.output / name).read_bytes()


def test_the_change_of_the_loss_is_that_of_the_two_checkpoints(
    world: World, tmp_path: Path
) -> None:
    found = ways(displacement(world, tmp_path, world.full, path_nodes=12))
    before, after = (float(loss_of(world, folder)()) for folder in world.full)
    whole = found.whole
    assert whole.loss == pytest.approx(before, rel=1e-5)
    assert whole.change == pytest.approx(after - before, rel=1e-3)
    assert whole.path.value == pytest.approx(whole.change, rel=2e-2)
    assert whole.prediction.value == pytest.approx(whole.slope + whole.quadratic)
    assert whole.curvature.value == pytest.approx(2 * whole.quadratic / whole.length**2)
    assert found.outside == 0.0


def test_groups_share_out_the_whole_by_their_tokens(world: World, tmp_path: Path) -> None:
    found = ways(displacement(world, tmp_path, world.full))
    assert sorted(found.groups) == ["even", "g0", "g1", "rest"]
    for pair in (("g0", "g1"), ("even", "rest")):
        parts = [found.groups[name] for name in pair]
        assert sum(p.examples for p in parts) == EXAMPLES
        for field in ("loss", "change", "slope", "quadratic"):
            pooled = sum(getattr(p, field) * p.tokens for p in parts) / found.whole.tokens
            assert getattr(found.whole, field) == pytest.approx(pooled, rel=1e-3, abs=1e-6)


def test_displacement_of_factors_and_of_merged_weights_ends_at_the_same_loss(
    world: World, tmp_path: Path
) -> None:
    factors = ways(displacement(world, tmp_path / "f", world.lora, subset={"kind": "factors"}))
    targets = {"kind": "targets", "names": ["all-linear"]}
    merged = ways(displacement(world, tmp_path / "m", world.lora, subset=targets))
    assert factors.parameters.name == "LoRA factors"
    assert merged.outside == 0.0
    assert factors.whole.change == pytest.approx(merged.whole.change, rel=1e-3)


def test_what_moves_outside_the_parameters_is_stated(world: World, tmp_path: Path) -> None:
    subset = {"kind": "prefixes", "names": ["model.layers.0"]}
    found = ways(displacement(world, tmp_path, world.full, subset=subset))
    assert 0.1 < found.outside < 1


def test_a_model_that_did_not_move_has_no_curvature_along_the_way(
    world: World, tmp_path: Path
) -> None:
    same = (world.full[0], world.full[0])
    found = ways(displacement(world, tmp_path, same)).whole
    assert found.change == 0.0
    assert "do not differ" in str(found.curvature.reason)


def test_a_killed_displacement_goes_on_to_the_same_bytes(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = displacement(world, tmp_path / "whole", world.full, path_nodes=2)
    calls = count()

    def interrupted(self: FolderIO, *said: Any, **metrics: float) -> None:
        if next(calls) == 7:
            raise Killed
        self.reports.append((*said, metrics))

    with monkeypatch.context() as patch:
        patch.setattr(FolderIO, "progress", interrupted)
        with pytest.raises(Killed):
            displacement(world, tmp_path / "cut", world.full, ALWAYS, path_nodes=2)
    resumed = displacement(world, tmp_path / "cut", world.full, ALWAYS, path_nodes=2)
    assert len(resumed.reports) < len(whole.reports)
    name = "displacement.json"
    assert (resumed.output / name).read_bytes() == (whole.output / name).read_bytes()


@pytest.mark.parametrize("parameters", [1000, 4_200_000, 6_740_000_000])
def test_the_planner_expects_as_many_steps_as_the_solver_takes(parameters: int) -> None:
    steps = lanczos_steps(parameters)
    assert random_start_gap(steps, parameters) <= 0.1 < random_start_gap(steps - 1, parameters)


def test_what_is_not_there_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not 25 training examples"):
        curvature(world, tmp_path / "a", world.full[0], examples=25)
    with pytest.raises(UnknownName, match="nowhere"):
        subset = {"kind": "prefixes", "names": ["nowhere"]}
        curvature(world, tmp_path / "b", world.full[0], subset=subset)


def test_the_service_runs_both_kinds(world: World, tmp_path: Path) -> None:
    inputs = {"base": world.base, "checkpoint": world.full[0], "data": world.data}
    io = FolderIO(tmp_path, inputs, NEVER)
    asked: JsonObject = {
        "subset": {"kind": "prefixes", "names": list(NORMS)},
        "examples": 4,
        "max_iterations": 2,
    }
    meta = stages()["curvature"](work_of("curvature", inputs, asked), io)
    assert meta["converged"] is False
    assert "displacement" in stages()
