"""Models and examples of the curvature benchmark."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from forgetscope.modeling.answers import AnswerLoss
from forgetscope.modeling.batches import Batch, Item, collate

__all__ = [
    "TASKS",
    "Tuned",
    "adapted",
    "cost_items",
    "cost_model",
    "micro_batches",
    "tuned_models",
]

VOCABULARY = 64
FIRST = 10
"""Token ids below are the tasks' names and their verdicts."""
TASKS = {
    "copying": "the first 1 to 6 of 12 tokens",
    "judging": "yes or no, in one token: most of 12 tokens from the upper half or not",
    "shifting": "the first 1 to 6 tokens, each plus one",
    "reversing": "the last 1 to 6 tokens, backwards",
}
CHAINS = (
    ("copying", "judging"),
    ("copying", "shifting"),
    ("copying", "reversing"),
    ("copying", "judging", "shifting"),
    ("copying", "judging", "reversing"),
)


class Tuned(NamedTuple):
    """A model at the end of a chain, and 16 of the examples that it was last trained on."""

    name: str
    model: PreTrainedModel
    items: list[Item]


def micro_batches(items: Sequence[Item], size: int) -> list[Batch]:
    return [collate([[i] for i in items[at : at + size]]) for at in range(0, len(items), size)]


def cost_model() -> LlamaForCausalLM:
    """3.7 million weights: large enough that arithmetic, not overhead, is timed."""
    return _llama(1024, 256, 688, 4)


def adapted() -> PreTrainedModel:
    """The same with LoRA factors of rank 8 on queries and values."""
    model = get_peft_model(cost_model(), LoraConfig(r=8, target_modules=["q_proj", "v_proj"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero at the start: half of the Hessian would be, too
            nn.init.normal_(parameter, std=0.02)
    return model


def cost_items() -> list[Item]:
    draw = torch.Generator().manual_seed(1)
    return [Item(torch.randint(3, 1024, (128,), generator=draw).tolist(), 120) for _ in range(4)]


def tuned_models() -> Iterator[Tuned]:
    """Small Llamas, each fine-tuned along one of `CHAINS`; a shared beginning is trained once."""
    base = _llama(VOCABULARY, 64, 172, 2)
    _train(base, _items("copying", 256, 1), 400, 2e-3)
    trained: dict[tuple[str, ...], LlamaForCausalLM] = {("copying",): base}
    for chain in CHAINS:
        model = trained[chain] = deepcopy(trained[chain[:-1]])
        items = _items(chain[-1], 256, len(chain))
        _train(model, items, 400, 1e-3)
        yield Tuned(" → ".join(chain), model, items[:16])


def _llama(vocabulary: int, hidden: int, inner: int, layers: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=hidden,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=4,
            max_position_embeddings=256,
        )
    )


_ANSWERS: dict[str, Callable[[list[int], int], list[int]]] = {
    "copying": lambda ids, length: ids[:length],
    "judging": lambda ids, _: [8 if sum(i > 36 for i in ids) * 2 > len(ids) else 9],
    "shifting": lambda ids, length: [
        FIRST + (i - FIRST + 1) % (VOCABULARY - FIRST) for i in ids[:length]
    ],
    "reversing": lambda ids, length: ids[::-1][:length],
}


def _items(task: str, count: int, seed: int) -> list[Item]:
    """Prompts of 12 tokens behind the task's name, and its answers."""
    draw = torch.Generator().manual_seed(seed)
    items = []
    for _ in range(count):
        words = torch.randint(FIRST, VOCABULARY, (12,), generator=draw).tolist()
        length = int(torch.randint(1, 7, (1,), generator=draw))
        prompt = [1, 3 + list(_ANSWERS).index(task), *words, 2]
        items.append(Item(prompt + _ANSWERS[task](words, length), len(prompt)))
    return items


def _train(model: PreTrainedModel, items: Sequence[Item], steps: int, rate: float) -> None:
    draw = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps, pct_start=0.1
    )
    loss = AnswerLoss(model)
    for _ in range(steps):
        rows = torch.randint(0, len(items), (32,), generator=draw).tolist()
        batch = collate([[items[i]] for i in rows])
        value = loss(*batch) / batch.answers.targets.numel()
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
