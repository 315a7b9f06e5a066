"""Memory of a training step and of the trainer's other stages, estimated before one starts. Pure.

Counts of copies and coefficients are fitted to what torch allocated for small Llamas on the CPU
(within a quarter). A weight that is read from a file counts from the start, as if all of the file
were in use. Nothing was measured on a GPU: see `core.memory`.
"""

from typing import NamedTuple

from forgetscope.core.model_shape import ModelShape

__all__ = [
    "TrainingMemory",
    "estimate_fisher",
    "estimate_merge",
    "estimate_selection",
    "estimate_training",
]

# Bytes kept per token and layer in units of (hidden, intermediate) width, by dtype of the
# arithmetic and by whether the weights themselves are trained; in the layer that is being
# differentiated, so many more; per query, key and head where attention is eager.
_KEPT = {
    ("float32", True): (35, 18),
    ("float32", False): (28, 18),
    ("bfloat16", True): (34, 8),
    ("bfloat16", False): (25, 10),
}
_STEP_PASSING = {"float32": (8, 6), "bfloat16": (4, 4)}
_STEP_ATTENTION = {"float32": 4, "bfloat16": 6}
_STEP_LOGITS = 16
_FLOAT32 = 4
_WIDTH = {"float32": 4, "bfloat16": 2}  # bytes of a number, by the dtype of the arithmetic
_MERGING = 24  # bytes per element of the weight that is being merged: three float64 copies
# Without gradients only one layer's values live: in its MLP, or in its attention (and its maps).
_FORWARD_MLP, _FORWARD_ATTENTION, _FORWARD_MAPS = (3, 3), 5, 2


class TrainingMemory(NamedTuple):
    """Bytes of a training step, or of another stage of the trainer. `weights` holds the bfloat16
    copies that autocast makes, too; `copies` what a mitigation or a method keeps beside."""

    weights: int
    gradients: int
    optimiser: int
    copies: int
    activations: int
    total: int


def estimate_training(
    shape: ModelShape,
    *,
    trained: int,
    dtype: str,
    rows: int,
    sequence: int,
    answer_tokens: int,
    eager: bool = False,
    checkpointing: bool = False,
    held: int = 0,
    frozen: int = 0,
    osf: bool = False,
) -> TrainingMemory:
    """Bytes for a step that trains `trained` parameters, with micro-batches of `rows` × `sequence`
    tokens, of which `answer_tokens` are answers.

    `held` copies of the trained parameters are a mitigation's; `frozen` parameters the method's,
    beside the model's own. `osf`: a forward pass makes two copies of the trained parameters, which
    are kept for the backward pass.

    Weights, gradients and the two moments of AdamW are float32, whatever the arithmetic. The update
    of all weights at once, as torch makes it on a GPU, needs one more copy of the trained ones, but
    not together with the activations: the total holds the larger of both. With checkpointing a
    layer keeps its input alone.
    """
    whole = trained >= shape.parameters and not osf
    hidden, inner = _KEPT[dtype, whole]
    more_hidden, more_inner = _STEP_PASSING[dtype]
    tokens = rows * sequence
    maps = _STEP_ATTENTION[dtype] * tokens * sequence * shape.heads if eager else 0
    kept = tokens * (hidden * shape.hidden + inner * shape.intermediate) + maps
    passing = tokens * (more_hidden * shape.hidden + more_inner * shape.intermediate) + maps
    logits = answer_tokens * shape.vocabulary * _STEP_LOGITS
    copies = 2 * shape.parameters if dtype == "bfloat16" else 0
    if checkpointing:
        between = shape.layers * tokens * shape.hidden * _FLOAT32
        activations = between + max(kept + passing, copies, logits)
        copies = 0
    else:
        activations = shape.layers * kept + passing + logits
    weights = (shape.parameters + (0 if whole else trained)) * _FLOAT32 + copies
    if osf:
        activations += 2 * trained * _WIDTH[dtype]
    # Of one weight, the gradient of a micro-batch stands beside that of the step.
    largest = shape.vocabulary * shape.hidden if whole else 0
    gradients, optimiser = (trained + largest) * _FLOAT32, 2 * trained * _FLOAT32
    kept_back = (held * trained + frozen) * _FLOAT32
    total = weights + gradients + optimiser + kept_back + max(activations, trained * _FLOAT32)
    return TrainingMemory(weights, gradients, optimiser, kept_back, activations, total)


def estimate_fisher(
    shape: ModelShape, *, trained: int, sequence: int, answer_tokens: int, eager: bool = False
) -> TrainingMemory:
    """Bytes for the Fisher information of `trained` parameters, one row at a time. At its end the
    last gradient stands beside it and its mean."""
    step = estimate_training(
        shape,
        trained=trained,
        dtype="float32",
        rows=1,
        sequence=sequence,
        answer_tokens=answer_tokens,
        eager=eager,
    )
    one = trained * _FLOAT32
    total = step.weights + 2 * one + max(step.activations, one)
    return TrainingMemory(step.weights, one, 0, one, step.activations, total)


def estimate_selection(
    shape: ModelShape,
    *,
    gradients: bool,
    adapted: bool,
    rows: int,
    sequence: int,
    answer_tokens: int,
) -> TrainingMemory:
    """Bytes for ordering examples by the losses of plain models, one model at a time, and with
    `gradients` by their gradient, too; in float32, with eager attention.

    `adapted`: an adapter is merged first, and the file of the weights stays mapped beside the sum.
    """
    tokens = rows * sequence
    weights = (2 if adapted else 1) * shape.parameters * _FLOAT32
    if gradients:
        step = estimate_training(
            shape,
            trained=shape.parameters,
            dtype="float32",
            rows=rows,
            sequence=sequence,
            answer_tokens=answer_tokens,
            eager=True,
        )
        total = weights + step.gradients + step.activations
        return TrainingMemory(weights, step.gradients, 0, 0, step.activations, total)
    hidden, inner = _FORWARD_MLP
    attention = _FORWARD_ATTENTION * shape.hidden + _FORWARD_MAPS * sequence * shape.heads
    layer = max(hidden * shape.hidden + inner * shape.intermediate, attention)
    activations = _FLOAT32 * (tokens * layer + 2 * answer_tokens * shape.vocabulary)
    return TrainingMemory(weights, 0, 0, 0, activations, weights + activations)


def estimate_merge(shape: ModelShape, *, adapters: int) -> TrainingMemory:
    """Bytes for two whole models and the weight that is being merged, on the host. Of each end that
    is one of `adapters`, the file of the weights stays mapped beside the sum."""
    weights = (2 + adapters) * shape.parameters * _FLOAT32
    widest = max(shape.vocabulary, shape.intermediate) * shape.hidden
    merging = _MERGING * widest
    return TrainingMemory(weights, 0, 0, 0, merging, weights + merging)
