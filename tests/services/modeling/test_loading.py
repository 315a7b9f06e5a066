"""Loading models and adapters from folders."""

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tiny_llama import make_base, tiny_model, tiny_tokenizer

from forgetscope.modeling.loading import (
    TokenizerEncoder,
    apply_adapter,
    load_model,
    load_tokenizer,
    merge_adapter,
)
from forgetscope.modeling.saving import save_adapter, save_model
from forgetscope.schema.errors import AdapterMismatch, InvalidInput, UnknownName, UnsafeWeights

IDS = torch.tensor([[1, 5, 9, 13]])


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_base(tmp_path / "base")


def make_adapter(
    folder: Path, base: Path, targets: tuple[str, ...] = ("q_proj", "down_proj")
) -> Path:
    """An adapter that does something: B is not zero."""
    folder.mkdir()
    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules=list(targets), init_lora_weights=False)
    save_adapter(get_peft_model(load_model(base, "float32", "sdpa"), config), folder)
    return folder


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def test_a_saved_model_loads_with_the_same_outputs_in_evaluation_mode(
    base: Path, tmp_path: Path
) -> None:
    model = load_model(base, "float32", "eager")
    assert not model.training
    save_model(model, tmp_path / "copy", like=base)
    assert torch.equal(logits(load_model(tmp_path / "copy", "float32", "eager")), logits(model))
    assert load_tokenizer(tmp_path / "copy")("w3")["input_ids"] == [1, 6]


def test_weights_load_in_the_asked_dtype(base: Path) -> None:
    assert load_model(base, "bfloat16", "sdpa").dtype is torch.bfloat16


def test_pickled_weights_are_refused(base: Path) -> None:
    weights = load_file(base / "model.safetensors")
    (base / "model.safetensors").unlink()
    torch.save(weights, base / "pytorch_model.bin")
    with pytest.raises(UnsafeWeights, match=r"pytorch_model\.bin"):
        load_model(base, "float32", "sdpa")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"config\.json"):
        load_model(tmp_path, "float32", "sdpa")


def test_a_model_with_missing_weights_is_refused_not_filled_at_random(base: Path) -> None:
    weights = load_file(base / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InvalidInput, match=r"layers\.1\.mlp\.up_proj"):
        load_model(base, "float32", "sdpa")


def test_weights_that_are_no_safetensors_are_refused(base: Path) -> None:
    (base / "model.safetensors").write_bytes(b"\x80\x04 this is no safetensors file")
    with pytest.raises(InvalidInput, match="cannot be loaded"):
        load_model(base, "float32", "sdpa")


def test_a_model_with_code_of_its_own_is_refused(base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoModelForCausalLM": "own.Own"}}
    (base / "config.json").write_text(json.dumps(config))
    (base / "own.py").write_text("raise SystemExit('this must never run')\n")
    with pytest.raises(InvalidInput, match="cannot be loaded"):
        load_model(base, "float32", "sdpa")


def test_an_adapter_changes_the_outputs_and_comes_off_again(base: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", base)
    model = load_model(base, "float32", "sdpa")
    plain = logits(model)
    adapted = apply_adapter(model, adapter)
    assert (logits(adapted) - plain).abs().max() > 0.01
    assert not any(p.requires_grad for p in adapted.parameters())
    assert torch.equal(logits(adapted.unload()), plain)


def test_merging_gives_the_outputs_of_the_adapter(base: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", base)
    adapted = apply_adapter(load_model(base, "float32", "sdpa"), adapter)
    expected = logits(adapted)
    assert torch.allclose(logits(merge_adapter(adapted)), expected, atol=1e-5)


def test_a_trainable_adapter_trains_its_factors_only(base: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", base)
    adapted = apply_adapter(load_model(base, "float32", "sdpa"), adapter, trainable=True)
    names = [n for n, p in adapted.named_parameters() if p.requires_grad]
    assert names
    assert all("lora_" in n for n in names)


def test_an_adapter_for_another_width_is_refused_by_module_and_shape(
    base: Path, tmp_path: Path
) -> None:
    other = make_base(tmp_path / "other", hidden_size=64)
    adapter = make_adapter(tmp_path / "adapter", other)
    model = load_model(base, "float32", "sdpa")
    plain = logits(model)
    with pytest.raises(AdapterMismatch, match=r"q_proj.*adapter \[4, 64\], base \[4, 32\]"):
        apply_adapter(model, adapter)
    assert torch.equal(logits(model), plain)


def test_an_adapter_for_a_deeper_model_is_refused(base: Path, tmp_path: Path) -> None:
    other = make_base(tmp_path / "other", num_hidden_layers=3)
    adapter = make_adapter(tmp_path / "adapter", other)
    with pytest.raises(AdapterMismatch, match=r"layers\.2.*no such module"):
        apply_adapter(load_model(base, "float32", "sdpa"), adapter)


def test_an_adapter_for_another_architecture_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", base)
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["target_modules"] = ["query_key_value"]
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(AdapterMismatch, match="query_key_value"):
        apply_adapter(tiny_model(), adapter)


def test_a_pickled_adapter_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", base)
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(UnsafeWeights):
        apply_adapter(tiny_model(), adapter)


def test_an_adapter_that_is_not_lora_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", base)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"peft_type": "IA3"}))
    with pytest.raises(AdapterMismatch, match="IA3"):
        apply_adapter(tiny_model(), adapter)


def test_a_saved_adapter_names_no_machine_and_is_the_same_bytes_again(
    base: Path, tmp_path: Path
) -> None:
    one = make_adapter(tmp_path / "one", base)
    two = make_adapter(tmp_path / "two", base)
    assert str(tmp_path) not in (one / "adapter_config.json").read_text()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_the_encoder_adds_bos_once() -> None:
    encode = TokenizerEncoder(tiny_tokenizer())
    assert encode.bos == 1
    assert encode("w0 w1") == [1, 3, 4]
    assert encode("<s> w0") == [1, 3]
    assert encode("") == [1]


def test_the_encoder_adds_no_bos_where_the_tokenizer_does_not() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.post_processor = None
    encode = TokenizerEncoder(tokenizer)
    assert encode.bos is None
    assert encode("w0") == [3]
