"""The built-in base model."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from forgetscope.core.builtin_models import BUILTIN_MODELS
from forgetscope.schema.errors import UnknownName
from forgetscope.tasks.synthetic_words import GROUPS, OBJECTS, WORDS, vocabulary
from forgetscope.trainer.builtin import make

# A change here changes every stage that rests on the model: raise its version with it.
TOKENIZER_VERSION_1 = "ebc7600caa2d6c6647337377b6f38b7b31b4cf6fbd0f4cf2a9a295243d34256b"


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    make("tiny", folder)
    return folder


def test_the_same_bytes_are_made_every_time(tiny: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    torch.rand(3)
    make("tiny", tmp_path)
    assert digests(tmp_path) == digests(tiny)


def test_making_a_model_leaves_the_generator_of_others_alone(tmp_path: Path) -> None:
    torch.manual_seed(7)
    undisturbed = torch.rand(3)
    torch.manual_seed(7)
    make("tiny", tmp_path)
    assert torch.equal(torch.rand(3), undisturbed)


def test_the_vocabulary_is_that_of_the_recorded_version(tiny: Path) -> None:
    bpe = json.loads((tiny / "tokenizer.json").read_text())["model"]
    text = json.dumps([bpe["vocab"], bpe["merges"]], sort_keys=True)
    assert BUILTIN_MODELS.get("tiny").version == 1
    assert hashlib.sha256(text.encode()).hexdigest() == TOKENIZER_VERSION_1


def test_the_catalogue_knows_its_size_and_vllm_its_head_size(tiny: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    assert sum(p.numel() for p in model.parameters()) == BUILTIN_MODELS.get("tiny").parameters
    assert model.config.head_dim == 32
    assert model.config.max_position_embeddings == 1024
    assert model.config.tie_word_embeddings


def test_every_word_of_the_synthetic_suite_is_one_token(tiny: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    assert {*GROUPS, *WORDS, *OBJECTS} <= set(vocabulary())
    for word in vocabulary():
        assert len(tokenizer.tokenize(f" {word}")) == 1, word


@pytest.mark.parametrize(
    "text", ["Question: Wärme?\nA. 10 °C\nAnswer: A", "今日は ☃", " yes", "\t\x01<end>", "naïve  x"]
)
def test_any_text_survives_encoding(tiny: Path, text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="Known: tiny"):
        make("tinny", tmp_path)
