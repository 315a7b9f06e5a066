"""The stage `drift`: how far later training moved the states that predict A's answers.

The state is what a decoder layer puts out at the last token of the prompt. Both models see the
same batches, so that equal models give equal states, bit for bit.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from forgetscope.app.examples_file import read_examples
from forgetscope.core.drift import drift_between
from forgetscope.core.encoding import Encoder, encode_parts, fit
from forgetscope.core.identity import digest_of
from forgetscope.modeling.curvature.selection import decoder_layers
from forgetscope.modeling.determinism import deterministic
from forgetscope.modeling.loading import (
    TokenizerEncoder,
    apply_adapter,
    is_adapter,
    load_model,
    load_tokenizer,
)
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Example
from forgetscope.schema.mechanisms import Drift, DriftFile, LayerDrift

__all__ = ["DRIFT", "run_drift"]

DRIFT = "drift.json"
Singles = npt.NDArray[np.float32]
Model: TypeAlias = PreTrainedModel | PeftModel


class DriftParams(Value):
    """`Work.params` of a drift stage."""

    items: int
    layers: Literal["three", "all"]
    dtype: Literal["float32", "bfloat16"]
    max_length: int


class _Prompt(NamedTuple):
    example: Example
    ids: list[int]


def run_drift(work: Work, io: StageIO) -> JsonObject:
    """Inputs: base, checkpoint θ_A, later θ_AB, data, the evaluation examples of A. Output:
    `drift.json`.

    Raises what loading raises, and InvalidInput for states that are not finite, and for models
    whose decoder layers cannot be found.
    """
    params = DriftParams.model_validate(work.params)
    machine = io.machine
    base = io.input("base")
    examples = read_examples(io.input("data"))[: params.items]
    prompts = _prompts(examples, TokenizerEncoder(load_tokenizer(base)), params.max_length)
    batches = _batches(prompts, machine.batch_tokens)
    ordered = [prompt for batch in batches for prompt in batch]
    states = []
    with deterministic(machine.device, threads=machine.threads, seed=work.seed):
        for passed, role in enumerate(("checkpoint", "later")):
            model = _load(base, io.input(role), params.dtype).to(machine.device)
            depth = len(decoder_layers(model)[1])
            layers = _layers(params.layers, depth)
            parts = []
            for done, batch in enumerate(batches):
                parts.append(_states(model, batch, layers, machine.device, io.input(role).name))
                io.progress(passed * len(batches) + done + 1, 2 * len(batches), "batches")
            states.append(np.concatenate(parts, axis=1))
            del model
    before, after = states
    groups = sorted({group for prompt in ordered for group in prompt.example.groups})
    found = DriftFile(
        digest=digest_of([prompt.example.id for prompt in prompts]),
        unfit=len(examples) - len(prompts),
        depth=depth,
        dtype=params.dtype,
        layers=tuple(
            LayerDrift(
                layer=1 + layer,
                whole=_drift(before[i], after[i]),
                groups={g: _drift(before[i], after[i], _of(g, ordered)) for g in groups},
            )
            for i, layer in enumerate(layers)
        ),
    )
    (io.output / DRIFT).write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    last = found.layers[-1].whole
    return {
        "items": len(prompts),
        "cka": last.cka.value,
        "displacement": last.displacement.value,
        "groups": len(groups),
    }


def _prompts(examples: Sequence[Example], encode: Encoder, max_length: int) -> list[_Prompt]:
    """The ids that an answer follows; examples without room for their answer are left out."""
    found = []
    for example in examples:
        prompt, answer = encode_parts(encode, example.prompt, example.target)
        fitted = fit(prompt, answer, max_length, bos=encode.bos)
        if fitted.misfit is None:
            found.append(_Prompt(example, fitted.prompt_ids))
    if not found:
        raise InvalidInput(
            f"none of {len(examples)} items has room for its answer",
            where="/evaluation/max_length",
            hint="Raise it.",
        )
    return found


def _batches(prompts: Sequence[_Prompt], batch_tokens: int) -> list[list[_Prompt]]:
    """Prompts of similar lengths, longest first, at most `batch_tokens` with their padding."""
    batches: list[list[_Prompt]] = []
    for prompt in sorted(prompts, key=lambda p: (-len(p.ids), p.example.id)):
        if batches and (len(batches[-1]) + 1) * len(batches[-1][0].ids) <= batch_tokens:
            batches[-1].append(prompt)
        else:
            batches.append([prompt])
    return batches


def _load(base: Path, checkpoint: Path, dtype: str) -> Model:
    if is_adapter(checkpoint):
        return apply_adapter(load_model(base, dtype, "sdpa"), checkpoint)
    return load_model(checkpoint, dtype, "sdpa")


def _layers(asked: str, depth: int) -> list[int]:
    """Numbers of layers from 0."""
    if asked == "all":
        return list(range(depth))
    return sorted({0, (depth - 1) // 2, depth - 1})


@torch.no_grad()
def _states(
    model: Model, batch: Sequence[_Prompt], layers: Sequence[int], device: str, name: str
) -> Singles:
    """[layers, rows, width]. Padding stands on the right, where a causal model does not look."""
    lengths = [len(prompt.ids) for prompt in batch]
    width = max(lengths)
    ids = torch.tensor([p.ids + [0] * (width - len(p.ids)) for p in batch], device=device)
    positions = torch.arange(width, device=device).expand(len(batch), -1)
    columns = torch.tensor(lengths, device=device) - 1
    plain = model.get_base_model() if isinstance(model, PeftModel) else model
    with _watched(model, layers, columns) as kept:
        plain.base_model(input_ids=ids, position_ids=positions, use_cache=False)
    found = torch.stack([kept[layer] for layer in layers])
    if not bool(torch.isfinite(found).all()):
        raise InvalidInput(
            "a hidden state is not finite",
            where=name,
            hint="The checkpoint has diverged, or its dtype is too narrow.",
        )
    return found.float().cpu().numpy()


@contextmanager
def _watched(model: Model, layers: Sequence[int], columns: Tensor) -> Iterator[dict[int, Tensor]]:
    """Keep each layer's output at one column of every row, and nothing else of it."""
    kept: dict[int, Tensor] = {}
    rows = torch.arange(len(columns), device=columns.device)

    def keep(layer: int) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            hidden = output[0] if isinstance(output, tuple) else output
            kept[layer] = hidden[rows, columns].clone()

        return hook

    _, every = decoder_layers(model)
    handles = [every[layer].register_forward_hook(keep(layer)) for layer in layers]
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _of(group: str, prompts: Sequence[_Prompt]) -> npt.NDArray[np.bool_]:
    return np.array([group in prompt.example.groups for prompt in prompts])


def _drift(
    before: Singles, after: Singles, chosen: npt.NDArray[np.bool_] | slice = slice(None)
) -> Drift:
    return drift_between(before[chosen].astype(np.float64), after[chosen].astype(np.float64))
