"""A tiny Llama with a word tokenizer, examples for it, and a stage's window made of folders."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from forgetscope.ports.stage import Machine, Work
from forgetscope.schema.example import Example
from forgetscope.schema.stage import Breach, Manifest

WORDS = [f"w{i}" for i in range(40)]
TRAINING: dict[str, Any] = {
    "method": "full",
    "method_params": {},
    "learning_rate": 1e-2,
    "batch_size": 8,
    "micro_batch_size": 3,
    "epochs": 2.0,
    "weight_decay": 0.0,
    "warmup_ratio": 0.0,
    "max_grad_norm": 1.0,
    "max_length": 64,
    "batching": "length_grouped",
    "dtype": "float32",
    "attention": "sdpa",
    "gradient_checkpointing": False,
    "seed": 0,
}


def tiny_model(seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    values = {
        "vocab_size": 43,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 256,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "initializer_range": 0.2,
    }
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**(values | changes))).eval()


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate(["<unk>", "<s>", "</s>", *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def make_base(folder: Path, seed: int = 0, **changes: Any) -> Path:
    transformers_logging.disable_progress_bar()
    tiny_model(seed, **changes).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def make_examples(count: int, seed: int = 0) -> list[Example]:
    """Prompts of 3 to 12 words; the answer of 1 to 4 words repeats the prompt's last word."""
    draw = torch.Generator().manual_seed(seed)

    def whole(low: int, high: int) -> int:
        return int(torch.randint(low, high, (1,), generator=draw))

    examples = []
    for i in range(count):
        prompt = " ".join(WORDS[whole(0, 40)] for _ in range(whole(3, 13)))
        answer = f" {prompt.split()[-1]}" * whole(1, 5)
        examples.append(
            Example(id=f"e{i}", form="generate", prompt=prompt, target=answer, cluster=f"c{i}")
        )
    return examples


def write_examples(folder: Path, examples: Sequence[Example]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(e.model_dump_json() + "\n" for e in examples)
    (folder / "examples.jsonl").write_text(text, encoding="utf-8")
    return folder


class FolderIO:
    """A stage's window to the world: plain folders, everything remembered."""

    def __init__(
        self,
        root: Path,
        inputs: dict[str, Path] | None = None,
        machine: Machine = Machine(),  # noqa: B008
    ) -> None:
        self.machine = machine
        self.output = root / "output"
        self.scratch = root / "scratch"
        self.saved = root / "resume"
        self.inputs = inputs or {}
        self.reports: list[tuple[float, float, str, dict[str, float]]] = []
        self.breaches: list[Breach] = []
        for folder in (self.output, self.scratch):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)

    def input(self, role: str) -> Path:
        return self.inputs[role]

    def progress(self, done: float, total: float, unit: str, **metrics: float) -> None:
        self.reports.append((done, total, unit, metrics))

    def breach(self, breach: Breach) -> None:
        self.breaches.append(breach)

    def save_resume(self, folder: Path) -> None:
        """Whole or not at all: the copy is renamed into place."""
        copy = self.saved.with_name("copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        shutil.rmtree(self.saved, ignore_errors=True)
        copy.rename(self.saved)

    def resume(self) -> Path | None:
        return self.saved if self.saved.is_dir() else None


def train_work(inputs: Sequence[str], seed: int = 7, **changes: Any) -> Work:
    key = "a" * 64
    manifests = {role: Manifest(stage=key, kind="train", files={}) for role in inputs}
    return Work(key, "train", json.loads(json.dumps(TRAINING | changes)), manifests, seed)
