"""Models on the line between two others: the ends, the middle, tied weights, adapters."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from tiny_llama import FolderIO, make_base, make_examples, tiny_model, train_work, write_examples

from forgetscope.core.methods import METHODS
from forgetscope.modeling.loading import load_model
from forgetscope.ports.stage import Machine, Work
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.stage import Manifest
from forgetscope.trainer.merge import interpolate, run_merge
from forgetscope.trainer.methods import Source
from forgetscope.trainer.train import run_train

LORA = {"method": "lora", "method_params": METHODS.get("lora").resolve({"rank": 2})}
FULL: dict[str, Any] = {"method": "full", "method_params": {}}


class World:
    """A base model with tied weights, and models trained from it by name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.base = make_base(root / "base", tie_word_embeddings=True)

    def train(self, name: str, method: dict[str, Any], seed: int, parent: str = "") -> Path:
        data = write_examples(self.root / f"data {seed}", make_examples(16, seed))
        inputs = {"base": self.base, "data": data}
        if parent:
            inputs["parent"] = self.root / parent / "output"
        io = FolderIO(self.root / name, inputs, Machine(resume_seconds=1e9))
        run_train(train_work(list(inputs), **method), io, clock=lambda: 0.0)
        return io.output

    def merge(self, root: Path, one: str, other: str, alpha: float) -> tuple[Path, dict[str, Any]]:
        ends = {"checkpoint": one, "other": other}
        inputs = {role: self.root / name / "output" for role, name in ends.items()}
        io = FolderIO(root, inputs | {"base": self.base})
        manifests = {r: Manifest(stage="a" * 64, kind="train", files={}) for r in io.inputs}
        return io.output, dict(
            run_merge(Work("a" * 64, "merge", {"alpha": alpha}, manifests, 7), io)
        )

    def weights(self, folder: Path) -> dict[str, torch.Tensor]:
        model = Source(self.base, folder, "sdpa").load_weights()
        return {name: p.detach() for name, p in model.named_parameters()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    found = World(tmp_path_factory.mktemp("merge"))
    found.train("full", FULL, 1)
    found.train("later", FULL, 2, parent="full")
    found.train("lora", LORA, 1)
    found.train("lora later", LORA, 2, parent="lora")
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


PAIRS = [("full", "later"), ("lora", "lora later"), ("full", "lora")]


@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.parametrize("alpha", [0, 1])
def test_the_ends_are_the_files_of_the_models_in_their_own_form(
    world: World, tmp_path: Path, one: str, other: str, alpha: float
) -> None:
    folder, meta = world.merge(tmp_path, one, other, alpha)
    end = other if alpha else one
    expected = contents(world.root / end / "output")
    del expected["losses.jsonl"]
    assert contents(folder) == expected
    assert meta == {"form": "adapter" if "lora" in end else "full", "alpha": alpha}


@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.parametrize("alpha", [0.25, 0.7])
def test_every_weight_lies_on_the_line_rounded_once(
    world: World, tmp_path: Path, one: str, other: str, alpha: float
) -> None:
    folder, meta = world.merge(tmp_path, one, other, alpha)
    assert meta["form"] == "full"
    before, after = (world.weights(world.root / name / "output") for name in (one, other))
    merged = world.weights(folder)
    assert merged.keys() == before.keys()
    for name, weight in merged.items():
        line = (1 - alpha) * before[name].double() + alpha * after[name].double()
        assert torch.equal(weight, line.float()), name
    assert any(not torch.equal(merged[n], before[n]) for n in merged)


def test_tied_weights_stay_tied_and_move_once(world: World, tmp_path: Path) -> None:
    folder, _ = world.merge(tmp_path, "full", "later", 0.5)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    model = load_model(folder, "float32", "sdpa")
    embedding = model.get_input_embeddings().weight
    assert model.get_output_embeddings().weight is embedding
    ends = [world.weights(world.root / n / "output") for n in ("full", "later")]
    name = "model.embed_tokens.weight"
    assert torch.allclose(embedding, (ends[0][name] + ends[1][name]) / 2)


def test_merged_adapters_are_the_line_between_their_updates_not_between_their_factors(
    world: World, tmp_path: Path
) -> None:
    folder, _ = world.merge(tmp_path, "lora", "lora later", 0.5)
    name = "model.layers.0.self_attn.q_proj"
    start = load_file(world.base / "model.safetensors")[f"{name}.weight"]
    ends = [
        load_file(world.root / n / "output" / "adapter_model.safetensors")
        for n in ("lora", "lora later")
    ]
    b, a = (
        (ends[0][key] + ends[1][key]) / 2
        for key in (f"base_model.model.{name}.lora_{f}.weight" for f in "BA")
    )
    update = world.weights(folder)[f"{name}.weight"] - start
    assert (update - 16 / 2 * b @ a).norm() > 0.01 * update.norm() > 0


def test_the_same_merge_gives_the_same_bytes(world: World, tmp_path: Path) -> None:
    one, _ = world.merge(tmp_path / "one", "lora", "full", 0.3)
    two, _ = world.merge(tmp_path / "two", "lora", "full", 0.3)
    assert contents(one) == contents(two)


def test_training_goes_on_from_a_merge_of_adapters(world: World, tmp_path: Path) -> None:
    folder, _ = world.merge(world.root / "merged", "lora", "lora later", 0.5)
    still = world.train("on", LORA | {"learning_rate": 1e-12}, 3, parent="merged")
    before, after = world.weights(folder), world.weights(still)
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 64).map(lambda i: i / 64), st.integers(0, 3), st.integers(0, 3))
def test_the_line_has_its_ends_is_the_same_backwards_and_stays_where_both_agree(
    alpha: float, one: int, other: int
) -> None:
    forth, back = tiny_model(one), tiny_model(other)
    interpolate(forth, tiny_model(other), alpha)
    interpolate(back, tiny_model(one), 1 - alpha)
    ends = (tiny_model(one), tiny_model(other))
    for f, b, x, y in zip(*(m.parameters() for m in (forth, back, *ends)), strict=True):
        assert torch.equal(f, b)
        if alpha in (0, 1) or one == other:
            assert torch.equal(f, y if alpha == 1 else x)
        assert bool(((torch.minimum(x, y) <= f) & (f <= torch.maximum(x, y))).all())


def test_models_of_different_shapes_are_refused() -> None:
    with pytest.raises(InvalidInput, match="different parameters"):
        interpolate(tiny_model(), tiny_model(intermediate_size=64), 0.5)
