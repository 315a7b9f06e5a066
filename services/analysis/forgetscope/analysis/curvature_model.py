"""A checkpoint, the parameters asked for, and the task's examples, ready to be differentiated."""

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from forgetscope.app.examples_file import read_examples
from forgetscope.core.identity import digest_of
from forgetscope.core.memory import PRODUCT_SHARE, Memory, estimate_stage
from forgetscope.core.model_shape import shape_of
from forgetscope.modeling.answers import check_head
from forgetscope.modeling.batches import Batch, Item, collate, encode_examples
from forgetscope.modeling.curvature.layered import layered_operator
from forgetscope.modeling.curvature.objective import Objective, answer_objective, widened
from forgetscope.modeling.curvature.operators import Operator, gaussian
from forgetscope.modeling.curvature.products import (
    choose_step,
    difference_operator,
    difference_product,
    exact_operator,
)
from forgetscope.modeling.curvature.selection import select_parameters
from forgetscope.modeling.curvature.self_check import require_sound, self_check
from forgetscope.modeling.loading import (
    TokenizerEncoder,
    apply_adapter,
    is_adapter,
    load_model,
    load_tokenizer,
    merge_adapter,
)
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.curvature import ParameterSubset, SelfCheckFigures
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Example

__all__ = [
    "Data",
    "Decision",
    "Subset",
    "Target",
    "batches_of",
    "checked",
    "decide",
    "generator",
    "load",
    "make_operator",
    "plain",
    "require_finite",
]

Model: TypeAlias = PreTrainedModel | PeftModel
_ROOM = 0.8
_NOT_INVARIANT = (
    "The Hessian over LoRA factors changes when (A, B) becomes (cA, B/c), which leaves the model "
    "as it is: compare tasks with parameters: targets."
)


class Subset(Value):
    """Which parameters a stage is about, as the planner resolved it. `names`: prefixes, or last
    parts of LoRA's target modules ("all-linear" for all of them)."""

    kind: Literal["all", "factors", "targets", "prefixes"]
    names: tuple[str, ...] = ()


class Target(NamedTuple):
    """A model with the parameters that are differentiated."""

    model: Model
    parameters: dict[str, Tensor]
    subset: ParameterSubset


class Data(NamedTuple):
    """Examples with their tokens; `digest` is that of their ids, in order."""

    examples: list[Example]
    items: list[Item]
    digest: str

    @classmethod
    def read(cls, base: Path, folder: Path, *, first: int, count: int, max_length: int) -> "Data":
        """`count` examples from number `first` on. Raises InvalidInput when there are fewer."""
        found = read_examples(folder)[first : first + count]
        if len(found) < count:
            raise InvalidInput(
                f"there are not {first + count} training examples",
                where="/curvature/examples",
                hint="Ask for fewer examples or subsets.",
            )
        tokenizer = load_tokenizer(base)
        items = encode_examples(
            found, TokenizerEncoder(tokenizer), eos=tokenizer.eos_token_id, max_length=max_length
        )
        return cls(found, items, digest_of([e.id for e in found]))

    def of_group(self, group: str) -> list[Item]:
        return [i for e, i in zip(self.examples, self.items, strict=True) if group in e.groups]

    @property
    def groups(self) -> list[str]:
        return sorted({group for e in self.examples for group in e.groups})


def load(base: Path, checkpoint: Path, subset: Subset, *, dtype: str, device: str) -> Target:
    """Load θ for `subset`: LoRA factors stay factors, for all else an adapter is merged.

    Raises what loading raises, and UnknownName, InvalidInput for parameters that are not there.
    """
    if subset.kind == "factors" and is_adapter(checkpoint):
        adapted = apply_adapter(load_model(base, dtype, "sdpa"), checkpoint, trainable=True)
        adapted.to(device)
        chosen = select_parameters(adapted)
        return _target(adapted, chosen, "LoRA factors", _NOT_INVARIANT)
    model = plain(base, checkpoint, dtype).to(device)
    if subset.kind == "all":
        return _target(model, select_parameters(model), "all weights", None)
    if subset.kind == "prefixes":
        named = f"weights under {', '.join(subset.names)}"
        return _target(model, select_parameters(model, subset.names), named, _PART)
    weights = _target_weights(model, subset.names)
    chosen = select_parameters(model, weights)
    note = None if subset.kind == "targets" else "The factors are merged in this checkpoint."
    return _target(model, chosen, "merged weights of the LoRA target modules", note)


_PART = "A part of the weights: its λ_max is at most that of all."


def plain(base: Path, checkpoint: Path, dtype: str) -> PreTrainedModel:
    """The checkpoint as plain weights, all of which can be differentiated."""
    if is_adapter(checkpoint):
        model = merge_adapter(apply_adapter(load_model(base, dtype, "sdpa"), checkpoint))
    else:
        model = load_model(checkpoint, dtype, "sdpa")
    model.requires_grad_(True)
    return model


def batches_of(items: Sequence[Item], batch_tokens: int, device: str) -> list[Batch]:
    """Micro-batches of similar lengths; how they are cut changes the last bits only."""
    batches: list[Batch] = []
    rows: list[list[Item]] = []
    for item in sorted(items, key=lambda i: -len(i.ids)):
        if rows and (len(rows) + 1) * len(rows[0][0].ids) > max(1, batch_tokens // PRODUCT_SHARE):
            batches.append(collate(rows, device))
            rows = []
        rows.append([item])
    return [*batches, collate(rows, device)]


class Decision(NamedTuple):
    """How products are made, and what is said about memory before the first."""

    product: Literal["exact", "layered", "finite_differences"]
    memory: str
    bytes: int | None


def decide(target: Target, data: Data, product: str, *, batch_tokens: int, kept: int) -> Decision:
    """Estimate memory and choose the product: "auto" is layered where exact does not fit."""
    largest = batches_of(data.items, batch_tokens, "cpu")[0]
    model = target.model
    bare = model.get_base_model() if isinstance(model, PeftModel) else model
    first = next(bare.parameters())

    def estimate(method: Any) -> Memory:
        return estimate_stage(
            shape_of(bare.config.to_dict(), sum(p.numel() for p in bare.parameters())),
            method,
            selected=target.subset.parameters,
            dtype=str(first.dtype).removeprefix("torch."),
            rows=largest.input_ids.shape[0],
            sequence=largest.input_ids.shape[1],
            answer_tokens=largest.answers.targets.numel(),
            kept_vectors=kept,
        )

    chosen: Any = "exact" if product == "auto" else product
    try:
        found = estimate("differences" if chosen == "finite_differences" else chosen)
    except InvalidInput as error:
        return Decision(chosen, error.detail, None)
    host = first.device.type == "cpu"
    if product == "auto" and found.total - (0 if host else found.kept) > _room(first.device):
        chosen, found = "layered", estimate("layered")
    return Decision(chosen, found.statement, found.total)


def make_operator(
    target: Target, batches: Sequence[Batch], product: str, generator: torch.Generator
) -> tuple[Operator, Objective]:
    """The Hessian on `batches`; inside `prepared`. Raises InvalidInput."""
    objective = answer_objective(target.model, batches, target.parameters)
    if product == "exact":
        return exact_operator(objective), objective
    if product == "layered":
        return layered_operator(target.model, batches, target.parameters), objective
    first = difference_operator(objective)
    along = difference_product(objective, gaussian(first.like, generator))
    step = choose_step(objective, along)
    if not step.accepted:
        raise InvalidInput(
            "finite differences do not settle: two steps differ by "
            f"{step.curvature_disagreement:.0%}",
            where="/curvature/product",
            hint="Use the exact product.",
        )
    return difference_operator(objective, step.step), objective


def generator(*parts: int) -> torch.Generator:
    """A generator of its own for each purpose, from whole numbers."""
    seed = np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed >> 1))


def checked(
    target: Target, batches: Sequence[Batch], product: str, dtype: str, draw: torch.Generator
) -> JsonObject:
    """The figures of a self-check that was passed. bfloat16 weights are widened for it: kernels
    are judged, not rounding. Raises InvalidInput."""
    with widened(target.model) if dtype == "bfloat16" else nullcontext():
        operator, objective = make_operator(target, batches, product, draw)
        found = self_check(operator, objective, draw)
    require_sound(found)
    figures = {name: getattr(found, name) for name in SelfCheckFigures.model_fields}
    return SelfCheckFigures(**figures).model_dump(mode="json")


def require_finite(loss: float) -> float:
    """Raises InvalidInput for a loss that is not a number."""
    if not math.isfinite(loss):
        raise InvalidInput(
            f"the loss is {loss}",
            where="/curvature/examples",
            hint="The checkpoint has diverged, or its dtype is too narrow.",
        )
    return loss


def _target(model: Model, chosen: Mapping[str, Tensor], name: str, note: str | None) -> Target:
    check_head(model)
    size = sum(p.numel() for p in chosen.values())
    return Target(model, dict(chosen), ParameterSubset(name=name, parameters=size, note=note))


def _target_weights(model: PreTrainedModel, names: Sequence[str]) -> list[str]:
    """Full names of the weights of target modules, as `trainer.methods.lora` finds them."""
    head = model.get_output_embeddings()
    return [
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
        and module is not head
        and ("all-linear" in names or name.rsplit(".", 1)[-1] in names)
    ]


def _room(device: torch.device) -> float:
    """Bytes that may be used: a fifth is left free."""
    if device.type == "cuda":
        return _ROOM * torch.cuda.mem_get_info(device)[0]
    return _ROOM * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
