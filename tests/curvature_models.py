"""Ground truth for curvature: float64 Llamas, answers for them, and their dense Hessians."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tiny_llama import tiny_model
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from transformers import LlamaForCausalLM
from transformers.models.llama import modeling_llama

from forgetscope.modeling.answers import AnswerLoss
from forgetscope.modeling.batches import Batch, Item, collate
from forgetscope.modeling.curvature.operators import Operator

TINY = {
    "vocab_size": 12,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 1,
    "max_position_embeddings": 64,
}


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@contextmanager
def true_float64() -> Iterator[None]:
    """Llama without its detours through float32, which leave a float64 model at 1e-8."""

    def norm(self: Any, hidden: Tensor) -> Tensor:
        scale = torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * (hidden * scale)

    with (
        patch.object(modeling_llama.LlamaRMSNorm, "forward", norm),
        patch.object(modeling_llama, "eager_attention_forward", plain_attention),
    ):
        yield


def plain_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    key = modeling_llama.repeat_kv(key, module.num_key_value_groups)
    value = modeling_llama.repeat_kv(value, module.num_key_value_groups)
    scores = query @ key.transpose(2, 3) * scaling
    if mask is not None:
        scores = scores + mask
    return (scores.softmax(-1) @ value).transpose(1, 2).contiguous(), None


def llama(seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    return tiny_model(seed, **(TINY | changes)).double()


def with_lora(model: LlamaForCausalLM, rank: int = 1) -> PeftModel:
    config = LoraConfig(
        r=rank, lora_alpha=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False
    )
    return get_peft_model(model, config).to(model.dtype).eval()


def items(count: int, seed: int = 0, words: int = 12, length: int = 9) -> list[Item]:
    """Sequences of 4 to `length` tokens with answers of 1 to 3, the last token repeated."""
    draw = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        prompt = draw.integers(1, words, draw.integers(3, length - 2)).tolist()
        out.append(Item(prompt + [prompt[-1]] * int(draw.integers(1, 4)), len(prompt)))
    return out


def batches(sequences: Sequence[Item], rows: int = 4) -> list[Batch]:
    return [
        collate([[item] for item in sequences[i : i + rows]])
        for i in range(0, len(sequences), rows)
    ]


def train(model: nn.Module, data: Sequence[Batch], steps: int, rate: float = 1e-2) -> None:
    """Adam on what needs gradients."""
    loss = AnswerLoss(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=rate)
    tokens = sum(len(b.answers.targets) for b in data)
    for _ in range(steps):
        optimiser.zero_grad()
        for b in data:
            (loss(b.input_ids, b.position_ids, b.answers) / tokens).backward()
        optimiser.step()
    optimiser.zero_grad()


def dense_hessian(
    model: nn.Module, data: Sequence[Batch], parameters: Mapping[str, Tensor]
) -> np.ndarray:
    """[n, n] by torch.func, which shares no derivative code with the products."""
    loss = AnswerLoss(model)
    ids = {id(p): name for name, p in loss.named_parameters()}
    names = [ids[id(p)] for p in parameters.values()]
    shapes = [p.shape for p in parameters.values()]
    flat = torch.cat([p.detach().reshape(-1) for p in parameters.values()])
    tokens = sum(len(b.answers.targets) for b in data)

    def value(x: Tensor) -> Tensor:
        parts = x.split([s.numel() for s in shapes])
        given = {n: p.view(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        total = torch.zeros((), dtype=x.dtype)
        for b in data:
            args = (b.input_ids, b.position_ids, b.answers)
            total = total + torch.func.functional_call(loss, given, args)
        return total / tokens

    with warnings.catch_warnings():  # forward mode imports torch's own scripted functions
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
        hessian = torch.func.hessian(value)(flat)
    return hessian.numpy()


def matrix_operator(matrix: np.ndarray, dtype: str = "float64") -> Operator:
    """A symmetric matrix as an operator on one tensor."""
    held = torch.tensor(matrix, dtype=getattr(torch, dtype))
    like = [torch.zeros(len(matrix), dtype=held.dtype)]
    return Operator(lambda v: [held @ v[0]], like, "matrix", dtype, 0)


def matrix_with(eigenvalues: Sequence[float], seed: int = 0) -> np.ndarray:
    """A dense symmetric matrix with these eigenvalues."""
    n = len(eigenvalues)
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    matrix = q @ np.diag(eigenvalues) @ q.T
    return (matrix + matrix.T) / 2


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(vector: Sequence[Tensor]) -> np.ndarray:
    return torch.cat([x.detach().reshape(-1) for x in vector]).double().numpy()


def shaped(values: np.ndarray, like: Sequence[Tensor]) -> list[Tensor]:
    parts = torch.tensor(values).split([x.numel() for x in like])
    return [p.view(x.shape).to(x.dtype) for p, x in zip(parts, like, strict=True)]


def counted(operator: Operator) -> tuple[Operator, Callable[[], int]]:
    calls = 0

    def product(v: Sequence[Tensor]) -> list[Tensor]:
        nonlocal calls
        calls += 1
        return operator.product(v)

    return operator._replace(product=product), lambda: calls


def peak_bytes(work: Callable[[], object]) -> int:
    """The most bytes that torch held at one time for `work`, beyond those held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    now = most = 0
    events = profiler.profiler.kineto_results.events()
    for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most
