"""Models and examples of the curvature benchmark, and their form for PyHessian."""

from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from forgetscope.modeling.answers import AnswerLoss
from forgetscope.modeling.batches import Batch, Item, collate

__all__ = [
    "Logits",
    "adapted",
    "cost_items",
    "cost_model",
    "loader",
    "mean_loss",
    "micro_batches",
    "tuned_models",
]

VOCABULARY = 64
FIRST = 10
"""Token ids below are the tasks' names and their verdicts."""


class Logits(nn.Module):
    """A causal model as PyHessian wants one: a tensor in, a tensor [B, T − 1, V] out."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=ids, use_cache=False).logits[:, :-1]
        return logits


def mean_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats over a batch's answer tokens; others have the target −100."""
    return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def micro_batches(items: Sequence[Item], size: int) -> list[Batch]:
    return [collate([[i] for i in items[at : at + size]]) for at in range(0, len(items), size)]


def loader(items: Sequence[Item], size: int) -> list[tuple[Tensor, Tensor]]:
    """The same batches for PyHessian: ids [B, T] and targets [B, T − 1]."""
    pairs = []
    for batch in micro_batches(items, size):
        targets = torch.full_like(batch.input_ids, -100)[:, :-1]
        targets[batch.answers.rows, batch.answers.columns] = batch.answers.targets
        pairs.append((batch.input_ids, targets))
    return pairs


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


def tuned_models() -> dict[str, tuple[PreTrainedModel, list[Item]]]:
    """Small Llamas, first trained to copy, then each fine-tuned on another task; with 32 of its
    examples."""
    base = _llama(VOCABULARY, 96, 256, 3)
    _train(base, _items("copying", 512, 0), 300, 2e-3)
    models: dict[str, tuple[PreTrainedModel, list[Item]]] = {}
    for task in ("reversing", "shifting", "judging"):
        model, items = deepcopy(base), _items(task, 256, 1)
        _train(model, items, 150, 5e-4)
        models[task] = (model, items[:32])
    return models


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
    "reversing": lambda ids, length: ids[::-1][:length],
    "shifting": lambda ids, length: [
        FIRST + (i - FIRST + 1) % (VOCABULARY - FIRST) for i in ids[:length]
    ],
    "judging": lambda ids, _: [8 if sum(i > 36 for i in ids) * 2 > len(ids) else 9],
}


def _items(task: str, count: int, seed: int) -> list[Item]:
    """Prompts of 12 tokens behind the task's name; answers of 1 to 6 tokens, or verdicts of
    one."""
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
    loss = AnswerLoss(model)
    for _ in range(steps):
        rows = torch.randint(0, len(items), (32,), generator=draw).tolist()
        batch = collate([[items[i]] for i in rows])
        value = loss(*batch) / batch.answers.targets.numel()
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
