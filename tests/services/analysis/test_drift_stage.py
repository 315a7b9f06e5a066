"""Drift as the worker runs it: against the model's own hidden states, with planted drift."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_llama import (
    FolderIO,
    make_base,
    make_examples,
    tiny_model,
    tiny_tokenizer,
    train_work,
    write_examples,
)
from transformers import LlamaForCausalLM

from forgetscope.analysis.drift_stage import run_drift
from forgetscope.analysis.stage import stages
from forgetscope.core.drift import debiased_cka, relative_displacement
from forgetscope.core.methods import METHODS
from forgetscope.modeling.loading import TokenizerEncoder
from forgetscope.ports.stage import Machine, Work
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Example
from forgetscope.schema.mechanisms import DriftFile
from forgetscope.schema.stage import Manifest
from forgetscope.trainer.train import run_train

LAYERS = 5
MARK = "w39"


def examples(count: int = 48) -> list[Example]:
    """Those of group "marked" have a word in their prompt that the others do not have."""
    found = []
    for i, e in enumerate(make_examples(count)):
        marked = i % 3 == 0
        words = [w if w != MARK else "w0" for w in e.prompt.split()]
        prompt = " ".join([*words[:-1], MARK, words[-1]] if marked else words)
        group = "marked" if marked else "plain"
        groups = (group, "few") if i < 4 else (group,)
        found.append(e.model_copy(update={"prompt": prompt, "groups": groups}))
    return found


def save(model: LlamaForCausalLM, folder: Path) -> Path:
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def drift(
    folder: Path,
    base: Path,
    models: tuple[Path, Path],
    machine: Machine | None = None,
    **asked: Any,
) -> DriftFile:
    data = write_examples(folder / "data", examples())
    inputs = {"base": base, "checkpoint": models[0], "later": models[1], "data": data}
    io = FolderIO(folder / "run", inputs, machine or Machine())
    params = {"items": 40, "layers": "three", "dtype": "float32", "max_length": 64} | asked
    given = {role: Manifest(stage="a" * 64, kind="train", files={}) for role in inputs}
    meta = run_drift(Work("a" * 64, "drift", params, given, seed=7), io)
    assert io.reports[-1][0] == io.reports[-1][1]
    found = DriftFile.model_validate_json((io.output / "drift.json").read_text("utf-8"))
    assert meta["cka"] == found.layers[-1].whole.cka.value
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("drift") / "base", num_hidden_layers=LAYERS)


@pytest.fixture(scope="module")
def moved(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All weights of the base, moved at random."""
    model = LlamaForCausalLM.from_pretrained(base)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=draw))
    return save(model, tmp_path_factory.mktemp("drift") / "moved")


def test_one_model_twice_has_cka_1_and_displacement_0_exactly(tmp_path: Path, base: Path) -> None:
    found = drift(tmp_path, base, (base, base), layers="all")
    assert [layer.layer for layer in found.layers] == [1, 2, 3, 4, 5]
    for layer in found.layers:
        for part in (layer.whole, layer.groups["marked"], layer.groups["plain"]):
            assert part.cka.value == pytest.approx(1.0, abs=1e-12)
            assert part.displacement.value == 0.0


def test_the_states_are_those_of_the_layer_at_the_last_token_of_the_prompt(
    tmp_path: Path, base: Path, moved: Path
) -> None:
    """One prompt at a time, without padding, through transformers' own hidden states."""
    found = drift(tmp_path, base, (base, moved), machine=Machine(batch_tokens=60))
    assert [layer.layer for layer in found.layers] == [1, 3, 5]
    assert (found.depth, found.unfit) == (LAYERS, 0)
    encode = TokenizerEncoder(tiny_tokenizer())
    chosen = examples()[:40]
    for layer in found.layers[:2]:  # behind the last one transformers applies the norm
        before, after = (
            np.array([_state(model, encode(e.prompt), layer.layer) for e in chosen])
            for model in (LlamaForCausalLM.from_pretrained(f).eval() for f in (base, moved))
        )
        assert layer.whole.cka.value == pytest.approx(debiased_cka(before, after), abs=1e-5)
        length = relative_displacement(before, after)
        assert layer.whole.displacement.value == pytest.approx(length, rel=1e-4)
        own = [i for i, e in enumerate(chosen) if "marked" in e.groups]
        assert layer.groups["marked"].items == len(own)
        cka = debiased_cka(before[own], after[own])
        assert layer.groups["marked"].cka.value == pytest.approx(cka, abs=1e-5)


def _state(model: LlamaForCausalLM, ids: list[int], layer: int) -> Any:
    with torch.no_grad():
        out = model(torch.tensor([ids]), output_hidden_states=True)
    return out.hidden_states[layer][0, -1].double().numpy()


def test_drift_planted_in_one_group_is_found_there(tmp_path: Path, base: Path) -> None:
    """Only the embedding of a word moves that no other group's prompts hold."""
    model = LlamaForCausalLM.from_pretrained(base)
    token = tiny_tokenizer().convert_tokens_to_ids(MARK)
    with torch.no_grad():
        model.model.embed_tokens.weight[token] += 2.0
    found = drift(tmp_path, base, (base, save(model, tmp_path / "planted")))
    last = found.layers[-1].groups
    assert last["plain"].displacement.value == 0.0
    assert last["plain"].cka.value == pytest.approx(1.0, abs=1e-12)
    assert last["marked"].displacement.value is not None
    assert last["marked"].displacement.value > 0.05
    assert last["marked"].cka.value is not None
    assert last["marked"].cka.value < 0.999


def test_a_group_of_few_items_has_a_reason_and_no_number(
    tmp_path: Path, base: Path, moved: Path
) -> None:
    few = drift(tmp_path, base, (base, moved)).layers[0].groups["few"]
    assert few.items == 4
    assert few.cka.value is None
    assert "too few items: 4" in str(few.displacement.reason)


def test_the_same_run_gives_the_same_bytes_and_items_without_room_are_counted(
    tmp_path: Path, base: Path, moved: Path
) -> None:
    one = drift(tmp_path / "1", base, (base, moved))
    assert one == drift(tmp_path / "2", base, (base, moved))
    assert one.digest != drift(tmp_path / "3", base, (base, moved), items=30).digest
    short = drift(tmp_path / "4", base, (base, moved), max_length=3)
    assert short.unfit > 0
    assert short.unfit + short.layers[0].whole.items == 40


def test_lora_checkpoints_drift_from_their_base(tmp_path: Path, base: Path) -> None:
    data = write_examples(tmp_path / "data", examples())
    lora = {"method": "lora", "method_params": METHODS.get("lora").resolve({"rank": 2})}
    io = FolderIO(tmp_path / "a", {"base": base, "data": data})
    run_train(train_work(["base", "data"], **lora, learning_rate=3e-2), io, clock=lambda: 0.0)
    found = drift(tmp_path, base, (base, io.output))
    assert found.layers[-1].whole.displacement.value is not None
    assert found.layers[-1].whole.displacement.value > 0.01
    same = drift(tmp_path, base, (io.output, io.output))
    assert same.layers[-1].whole.displacement.value == 0.0


def test_bfloat16_gives_nearly_the_same_drift_and_says_so(
    tmp_path: Path, base: Path, moved: Path
) -> None:
    wide = drift(tmp_path / "1", base, (base, moved)).layers[-1].whole
    found = drift(tmp_path / "2", base, (base, moved), dtype="bfloat16")
    assert found.dtype == "bfloat16"
    assert found.layers[-1].whole.cka.value == pytest.approx(wide.cka.value, abs=0.02)
    moved_by = found.layers[-1].whole.displacement.value
    assert moved_by == pytest.approx(wide.displacement.value, rel=0.05)
    assert moved_by != wide.displacement.value


def test_a_diverged_checkpoint_is_refused_by_name(tmp_path: Path, base: Path) -> None:
    model = tiny_model(num_hidden_layers=LAYERS)
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight.fill_(float("inf"))
    broken = save(model, tmp_path / "broken")
    with pytest.raises(InvalidInput, match="not finite") as error:
        drift(tmp_path, base, (base, broken))
    assert error.value.where == "broken"


def test_the_service_runs_drift() -> None:
    assert "drift" in stages()
