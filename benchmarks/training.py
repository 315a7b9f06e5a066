"""How long is a training stage, against the transformers Trainer on the same examples?

    make bench

Both train the same model on the same examples with the same batch size, optimiser, schedule and
number of steps, in turns within one run. Answers are one or two tokens of a long prompt, as in
multiple choice, and the vocabulary is as wide as Llama-2's: the Trainer computes the output layer
at every position, the recipe at answer positions only. FLOPs are counted, so that the ratio of
times can be held against the ratio of work.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    DataCollatorForSeq2Seq,
    LlamaConfig,
    LlamaForCausalLM,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.utils import logging as transformers_logging

from forgetscope.core.training import TRAINING_DEFAULTS
from forgetscope.modeling.batches import Item
from forgetscope.ports.stage import Machine
from forgetscope.trainer.distributed import Alone
from forgetscope.trainer.mitigations import Scene, begin_plain
from forgetscope.trainer.params import TrainParams
from forgetscope.trainer.recipe import train

VOCABULARY = 32_000
BATCH = 16


class Silent:
    """A stage's window that nobody looks through."""

    machine = Machine(resume_seconds=1e9)
    output = scratch = Path()

    def input(self, role: str) -> Path:
        raise KeyError(role)

    def progress(self, done: float, total: float, unit: str, **metrics: float) -> None: ...

    def save_resume(self, folder: Path) -> None: ...

    def resume(self) -> None:
        return None


def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=256,
            intermediate_size=688,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=512,
        )
    )


def items(count: int) -> list[Item]:
    draw = torch.Generator().manual_seed(1)
    made = []
    for _ in range(count):
        prompt, answer = (int(torch.randint(*r, (1,), generator=draw)) for r in ((20, 200), (1, 3)))
        ids = torch.randint(3, VOCABULARY, (prompt + answer,), generator=draw).tolist()
        made.append(Item(ids, prompt))
    return made


def ours(examples: list[Item]) -> None:
    values = TRAINING_DEFAULTS | {"method": "full", "method_params": {}, "learning_rate": 1e-4}
    values |= {"batch_size": BATCH, "micro_batch_size": BATCH, "epochs": 1.0, "seed": 0}
    params = TrainParams.model_validate(values)
    train(
        model(),
        examples,
        params,
        Silent(),
        seed=0,
        clock=time.monotonic,
        processes=Alone(),
        begin=lambda trained: begin_plain(Scene(trained, ()), {}),
        begin_watch=lambda _: None,
    )


def theirs(examples: list[Item]) -> None:
    rows: Any = [
        {"input_ids": i.ids, "labels": [-100] * i.start + i.ids[i.start :]} for i in examples
    ]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=BATCH,
            num_train_epochs=1,
            learning_rate=1e-4,
            lr_scheduler_type="linear",
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
        )
        collator = DataCollatorForSeq2Seq(Padding())
        trainer = Trainer(model(), arguments, collator, train_dataset=rows)
        trainer.remove_callback(PrinterCallback)
        trainer.train()


class Padding:
    """What the collator asks of a tokenizer."""

    padding_side = "right"
    pad_token_id = 0

    def pad(self, features: list[dict[str, list[int]]], **_: object) -> dict[str, torch.Tensor]:
        longest = max(len(f["input_ids"]) for f in features)
        filled = {
            "input_ids": [f["input_ids"] + [0] * (longest - len(f["input_ids"])) for f in features],
            "attention_mask": [
                [1] * len(f["input_ids"]) + [0] * (longest - len(f["input_ids"])) for f in features
            ],
        }
        return {name: torch.tensor(value) for name, value in filled.items()}


def flops(run: Any, examples: list[Item]) -> float:
    with FlopCounterMode(display=False) as counter:
        run(examples)
    return float(counter.get_total_flops())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    transformers_logging.set_verbosity_error()
    examples = items(arguments.examples)
    work = flops(ours, examples) / flops(theirs, examples)
    ratios = []
    for _ in range(arguments.rounds):
        seconds = []
        for run in (ours, theirs):
            began = time.perf_counter()
            run(examples)
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[0] / seconds[1])
    table = Table(title="A training stage: ours over the transformers Trainer")
    for name in ("", "least", "median", "most"):
        table.add_column(name, justify="right")
    table.add_row("time", *(f"{f(ratios):.2f}" for f in (min, statistics.median, max)))
    table.add_row("FLOPs", "", f"{work:.2f}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
