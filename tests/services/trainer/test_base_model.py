"""Preparing the base model of an experiment."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from tiny_llama import FolderIO, make_base

from forgetscope.modeling.loading import load_model
from forgetscope.modeling.saving import save_adapter
from forgetscope.ports.models import ModelFacts
from forgetscope.ports.stage import Work
from forgetscope.schema.errors import AdapterMismatch, DataChanged, UnknownName, UnsafeWeights
from forgetscope.schema.example import Row, Source
from forgetscope.schema.experiment import LocalModel, ModelRef
from forgetscope.trainer.stage import stages

IDS = torch.tensor([[1, 5, 9, 13]])


class LocalFolders:
    """Models in local folders, without the rules about roots."""

    def inspect(self, ref: ModelRef) -> ModelFacts:
        return ModelFacts(fingerprint="f1", parameters=None)

    def materialise(self, ref: ModelRef, folder: Path) -> None:
        assert isinstance(ref, LocalModel)
        shutil.copytree(ref.path, folder, dirs_exist_ok=True)
        if ref.adapter is not None:
            shutil.copytree(ref.adapter, folder / "adapter")


class NoRows:
    """A base model needs no data."""

    def fingerprint(self, sources: tuple[Source, ...]) -> str:
        raise AssertionError("no data is needed")

    def read(self, source: Source) -> Iterator[Row]:
        raise AssertionError("no data is needed")


def prepare(io: FolderIO, model: dict[str, Any], fingerprint: str = "f1") -> dict[str, Any]:
    params = {"model": model, "fingerprint": fingerprint}
    work = Work("a" * 64, "prepare_model", params, {}, seed=0)
    return dict(stages(LocalFolders(), NoRows())["prepare_model"](work, io))


def adapter_for(base: Path, folder: Path) -> Path:
    folder.mkdir()
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    save_adapter(get_peft_model(load_model(base, "float32", "sdpa"), config), folder)
    return folder


def test_a_local_model_is_taken_over_with_its_facts(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    io = FolderIO(tmp_path / "stage")
    meta = prepare(io, {"source": "local", "path": str(base)})
    assert {p.name: p.read_bytes() for p in io.output.iterdir()} == {
        p.name: p.read_bytes() for p in base.iterdir()
    }
    parameters = sum(v.numel() for v in load_file(base / "model.safetensors").values())
    assert meta == {
        "parameters": parameters,
        "vocabulary": 43,
        "architecture": "LlamaForCausalLM",
    }


def test_an_adapter_is_merged_into_the_weights(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    adapter = adapter_for(base, tmp_path / "adapter")
    io = FolderIO(tmp_path / "stage")
    prepare(io, {"source": "local", "path": str(base), "adapter": str(adapter)})
    assert {p.name for p in io.output.iterdir()} == {p.name for p in base.iterdir()}
    with torch.no_grad():
        before = load_model(base, "float32", "sdpa")(input_ids=IDS).logits
        after = load_model(io.output, "float32", "sdpa")(input_ids=IDS).logits
    assert (before - after).abs().max() > 0.01


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    adapter = adapter_for(make_base(tmp_path / "other", hidden_size=64), tmp_path / "adapter")
    model = {"source": "local", "path": str(base), "adapter": str(adapter)}
    with pytest.raises(AdapterMismatch):
        prepare(FolderIO(tmp_path / "stage"), model)


def test_a_model_that_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    with pytest.raises(DataChanged):
        prepare(
            FolderIO(tmp_path / "stage"), {"source": "local", "path": str(base)}, fingerprint="f0"
        )


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    with pytest.raises(UnsafeWeights):
        prepare(FolderIO(tmp_path / "stage"), {"source": "local", "path": str(base)})


def test_the_builtin_model_needs_no_files(tmp_path: Path) -> None:
    io = FolderIO(tmp_path / "stage")
    meta = prepare(io, {"source": "builtin", "name": "tiny"})
    assert meta["parameters"] == sum(
        p.numel() for p in load_model(io.output, "float32", "sdpa").parameters()
    )


def test_an_unknown_builtin_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        prepare(FolderIO(tmp_path / "stage"), {"source": "builtin", "name": "no-such-model"})
