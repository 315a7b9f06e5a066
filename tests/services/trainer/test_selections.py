"""Orders of examples for replay: against brute force, and as the worker makes them."""

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_llama import (
    FolderIO,
    make_base,
    make_examples,
    tiny_tokenizer,
    train_work,
    write_examples,
)
from transformers import PreTrainedModel

from forgetscope.app.examples_file import read_examples
from forgetscope.core.mitigations import SELECTIONS as CATALOGUE
from forgetscope.modeling.batches import Item, encode_examples
from forgetscope.modeling.loading import TokenizerEncoder, load_model
from forgetscope.ports.stage import Machine, Work
from forgetscope.schema.errors import InvalidInput, UnknownName
from forgetscope.schema.example import Example
from forgetscope.schema.stage import Manifest
from forgetscope.trainer.influence import directional_derivatives, example_losses, gradient_of
from forgetscope.trainer.select import run_select
from forgetscope.trainer.selections import SELECTIONS, minimax_order
from forgetscope.trainer.train import run_train

GROUPS = [("a",), ("a",), ("b", "a"), (), ("b",), ("a",)]


def examples() -> list[Example]:
    return [
        e.model_copy(update={"groups": GROUPS[i % len(GROUPS)]})
        for i, e in enumerate(make_examples(24, seed=5))
    ]


def group(example: Example) -> str:
    return {(): "no group", ("b", "a"): "a + b"}.get(example.groups, "".join(example.groups))


ITEMS = encode_examples(examples(), TokenizerEncoder(tiny_tokenizer()), eos=2, max_length=64)


class World:
    """Two models of a chain, by their roles, and the stage on top of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.base = make_base(root / "base", tie_word_embeddings=True)
        self.data = write_examples(root / "data", examples())
        self.models = {"reference": self._train("reference", self.data, None)}
        other = write_examples(root / "other", make_examples(24, seed=9))
        self.models["checkpoint"] = self._train("later", other, self.models["reference"])

    def _train(self, name: str, data: Path, parent: Path | None) -> Path:
        inputs = {"base": self.base, "data": data} | ({"parent": parent} if parent else {})
        io = FolderIO(self.root / name, inputs, Machine(resume_seconds=1e9))
        run_train(train_work(list(inputs)), io, clock=lambda: 0.0)
        return io.output

    def select(
        self,
        root: Path,
        selection: str,
        params: dict[str, Any] | None = None,
        machine: Machine | None = None,
        **inputs: Path,
    ) -> tuple[list[Example], dict[str, Any], FolderIO]:
        asked: dict[str, Any] = {"selection": selection, "params": params or {}}
        given = {"data": self.data}
        if selection not in CATALOGUE or CATALOGUE.get(selection).compares:
            asked["max_length"] = 64
            given |= {"base": self.base} | self.models
        io = FolderIO(root, given | inputs, machine or Machine())
        manifests = {r: Manifest(stage="a" * 64, kind="train", files={}) for r in io.inputs}
        meta = run_select(Work("a" * 64, "select", asked, manifests, 7), io)
        return read_examples(io.output), dict(meta), io

    def model(self, role: str) -> PreTrainedModel:
        return load_model(self.models[role], "float32", "eager")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("selections"))


def own_loss(model: PreTrainedModel, item: Item) -> torch.Tensor:
    """Summed loss of one example through the model's own logits."""
    logits = model(input_ids=torch.tensor([item.ids])).logits[0]
    targets = torch.tensor(item.ids[item.start :])
    return torch.nn.functional.cross_entropy(logits[item.start - 1 : -1], targets, reduction="sum")


def brute_force(model: PreTrainedModel, aim: list[int]) -> list[float]:
    """∇ℓ_i·∇L from the gradient of every example."""
    model.requires_grad_(True)
    parameters = list(model.parameters())
    gradients = [
        torch.cat([g.flatten() for g in torch.autograd.grad(own_loss(model, item), parameters)])
        for item in ITEMS
    ]
    tokens = sum(ITEMS[i].answer_tokens for i in aim)
    whole = torch.stack([gradients[i] for i in aim]).sum(0) / tokens
    return [float(g.double() @ whole.double()) for g in gradients]


def brute_rises(world: World) -> dict[str, float]:
    with torch.no_grad():
        before, after = (
            [float(own_loss(world.model(role), item)) for item in ITEMS]
            for role in ("reference", "checkpoint")
        )
    found = {}
    for name in ("a", "a + b", "no group", "b"):
        chosen = [i for i, e in enumerate(examples()) if group(e) == name]
        tokens = sum(ITEMS[i].answer_tokens for i in chosen)
        found[name] = sum(after[i] - before[i] for i in chosen) / tokens
    return found


def test_every_selection_of_the_catalogue_but_uniform_has_a_function() -> None:
    assert set(CATALOGUE.names()) == {"uniform"} | set(SELECTIONS)


@pytest.mark.parametrize("selection", sorted(SELECTIONS))
def test_an_order_holds_every_example_once(world: World, tmp_path: Path, selection: str) -> None:
    found, meta, _ = world.select(tmp_path, selection)
    assert sorted(e.id for e in found) == sorted(e.id for e in examples())
    assert [e.id for e in found] != [e.id for e in examples()]
    assert {e.id: e for e in found} == {e.id: e for e in examples()}
    assert meta["examples"] == 24


@pytest.mark.parametrize("selection", sorted(SELECTIONS))
def test_the_same_selection_gives_the_same_bytes(
    world: World, tmp_path: Path, selection: str
) -> None:
    orders = [
        world.select(tmp_path / str(i), selection)[2].output / "examples.jsonl" for i in (0, 1)
    ]
    assert orders[0].read_bytes() == orders[1].read_bytes()


def test_groups_take_turns_and_those_of_several_and_of_none_are_groups(
    world: World, tmp_path: Path
) -> None:
    found, _, _ = world.select(tmp_path, "group_balanced")
    names = [group(e) for e in found]
    assert names[:16] == ["a", "a + b", "no group", "b"] * 4
    assert names[16:] == ["a"] * 8
    of_a = [e.id for e in found if group(e) == "a"]
    assert of_a == [e.id for e in examples() if group(e) == "a"]


def test_the_worst_group_is_that_whose_training_loss_rose_most(
    world: World, tmp_path: Path
) -> None:
    found, meta, io = world.select(tmp_path, "worst_group")
    expected = brute_rises(world)
    assert meta["rises"] == pytest.approx(expected, rel=1e-4)
    assert group(found[0]) == max(expected, key=lambda name: expected[name])
    left = Counter(group(e) for e in examples())
    taken: Counter[str] = Counter()
    for name in map(group, found):
        best = max(max(expected[g], 0) / (1 + taken[g]) for g, n in left.items() if n)
        assert max(expected[name], 0) / (1 + taken[name]) == pytest.approx(best, rel=1e-3)
        taken[name] += 1
        left[name] -= 1
    assert io.reports[-1][:2] == (48, 48)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-2, 20), st.integers(1, 4)), min_size=1, max_size=4),
    st.integers(1, 8),
)
def test_each_beginning_of_the_order_has_the_least_possible_worst_group(
    groups: list[tuple[int, int]], budget: int
) -> None:
    rises = {str(i): float(rise) for i, (rise, _) in enumerate(groups)}
    names = [str(i) for i, (_, size) in enumerate(groups) for _ in range(size)]
    budget = min(budget, len(names))

    def worst(taken: Counter[str]) -> float:
        return max(max(rise, 0.0) / (1 + taken[name]) for name, rise in rises.items())

    order = minimax_order(names, rises)
    assert sorted(order) == list(range(len(names)))
    reached = worst(Counter(names[i] for i in order[:budget]))
    possible = [
        worst(Counter(dict(zip(rises, counts, strict=True))))
        for counts in itertools.product(*(range(size + 1) for _, size in groups))
        if sum(counts) == budget
    ]
    assert reached == min(possible)


def test_derivatives_are_dot_products_with_every_gradient(world: World) -> None:
    model = world.model("checkpoint")
    everything = list(range(len(ITEMS)))
    expected = brute_force(world.model("checkpoint"), everything)
    gradient = gradient_of(model, ITEMS, 64, lambda more: None)
    found = directional_derivatives(model, ITEMS, gradient, 64, lambda more: None)
    assert found.forward_mode
    assert found.values.tolist() == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert all(p.grad is None and not p.requires_grad for p in model.parameters())


def test_kernels_without_a_forward_derivative_are_answered_by_backward_passes(
    world: World,
) -> None:
    fused = load_model(world.models["checkpoint"], "float32", "sdpa")
    gradient = gradient_of(fused, ITEMS, 64, lambda more: None)
    found = directional_derivatives(fused, ITEMS, gradient, 64, lambda more: None)
    assert not found.forward_mode
    expected = brute_force(world.model("checkpoint"), list(range(len(ITEMS))))
    assert found.values.tolist() == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("target", ["all", "worst_group"])
def test_examples_come_by_how_much_their_gradient_lowers_the_forgotten_loss(
    world: World, tmp_path: Path, target: str
) -> None:
    found, meta, io = world.select(tmp_path, "gradient_similarity", {"target": target})
    aim = list(range(24))
    if target == "worst_group":
        rises = brute_rises(world)
        worst = max(rises, key=lambda name: rises[name])
        assert meta["worst_group"] == worst
        aim = [i for i, e in enumerate(examples()) if group(e) == worst]
    scores = brute_force(world.model("checkpoint"), aim)
    expected = sorted(range(24), key=lambda i: -scores[i])
    assert [e.id for e in found] == [examples()[i].id for i in expected]
    assert meta["forward_mode"] is True
    assert meta["helpful"] == sum(score > 0 for score in scores)
    done = [report[0] for report in io.reports]
    assert done == sorted(done)
    assert done[-1] <= io.reports[-1][1]


def test_a_step_on_the_first_example_lowers_the_loss_more_than_one_on_the_last(
    world: World, tmp_path: Path
) -> None:
    found, _, _ = world.select(tmp_path, "gradient_similarity")
    after = []
    for example in (found[0], found[-1]):
        model = world.model("checkpoint")
        item = ITEMS[[e.id for e in examples()].index(example.id)]
        model.requires_grad_(True)
        own_loss(model, item).backward()
        with torch.no_grad():
            for p in model.parameters():
                p.sub_(p.grad, alpha=1e-5)
        after.append(float(example_losses(model, ITEMS, 512, lambda more: None).sum()))
    assert after[0] < after[1]


@pytest.mark.parametrize("selection", ["worst_group", "gradient_similarity"])
def test_the_size_of_batches_does_not_change_the_order(
    world: World, tmp_path: Path, selection: str
) -> None:
    one, _, _ = world.select(tmp_path / "one", selection, machine=Machine(batch_tokens=1))
    many, _, _ = world.select(tmp_path / "many", selection, machine=Machine(batch_tokens=1 << 16))
    assert [e.id for e in one] == [e.id for e in many]


def test_losses_that_are_no_numbers_are_refused_with_the_example(
    world: World, tmp_path: Path
) -> None:
    model = world.model("checkpoint")
    with torch.no_grad():
        next(model.parameters())[5] = float("nan")
    model.save_pretrained(tmp_path / "broken")
    with pytest.raises(InvalidInput, match="is nan") as caught:
        world.select(tmp_path / "run", "worst_group", checkpoint=tmp_path / "broken")
    assert str(caught.value.where).startswith("example e")


def test_no_examples_and_unknown_selections_are_refused(world: World, tmp_path: Path) -> None:
    none = write_examples(tmp_path / "none", [])
    with pytest.raises(InvalidInput, match="no example"):
        world.select(tmp_path / "one", "group_balanced", data=none)
    with pytest.raises(UnknownName, match="'best'"):
        world.select(tmp_path / "two", "best")
