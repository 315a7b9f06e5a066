"""Memory of a Hessian-vector product, estimated before it starts.

Counts of copies and coefficients are fitted to what was allocated: small Llamas on the CPU (within
a quarter), and Llama-2-7B with fake tensors (one sequence of 256 and 1024 tokens, float32 and
bfloat16, LoRA and full; within 15 %). Nothing was measured on a GPU, whose allocator and context
come on top: leave a fifth of the device free.
"""

from typing import Literal, NamedTuple

from transformers import PreTrainedConfig

from forgetscope.schema.errors import InvalidInput

__all__ = ["Memory", "ModelShape", "estimate_memory", "shape_of"]

Method = Literal["exact", "layered", "differences"]
_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
_HIDDEN, _INTERMEDIATE = 16, 9  # values kept per token and layer, in units of each width
_ATTENTION = 14  # bytes kept per query, key and head: a float32 softmax and its derivatives
_PASSING = 32  # further such bytes, in the one layer that is being differentiated
_LINEAR_PASSING = 1.5  # that layer's linear share, where no other layer is kept
_LOGITS = 40  # bytes per answer token and word: float32 logits and their derivatives
_FIRST_LINEAR, _FIRST_ATTENTION = 0.4, 5  # the same for a gradient alone: share, and bytes


class ModelShape(NamedTuple):
    parameters: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    vocabulary: int


class Memory(NamedTuple):
    """Bytes, an estimate. `working`: vector, gradient, product and their copies; `kept`: vectors of
    a Krylov space, on the host when it stores them there."""

    weights: int
    working: int
    activations: int
    kept: int
    total: int
    method: Method
    statement: str


def shape_of(config: PreTrainedConfig, parameters: int) -> ModelShape:
    """The shape of a model of the Llama family. Raises InvalidInput."""
    try:
        return ModelShape(
            parameters,
            config.num_hidden_layers,
            config.hidden_size,
            config.intermediate_size,
            config.num_attention_heads,
            config.vocab_size,
        )
    except AttributeError as error:
        raise InvalidInput(
            f"the memory of a {config.model_type} model cannot be estimated: {error}",
            where="/model",
        ) from error


def estimate_memory(
    shape: ModelShape,
    method: Method,
    *,
    selected: int,
    dtype: str,
    rows: int,
    sequence: int,
    answer_tokens: int,
    kept_vectors: int = 0,
) -> Memory:
    """Bytes for one product with `selected` parameters and micro-batches of `rows` × `sequence`
    tokens, of which `answer_tokens` are answers.

    exact: the vector, the product, and three more copies of the selected weights; the peak adds
    the activations of all layers, or one more copy, whichever is larger. layered: the vector, the
    product and one layer's share of the rest. differences: weights aside, vector and both
    gradients, with first-order activations.
    """
    width = _BYTES[dtype]
    vector = selected * max(width, 4)
    own = selected * width
    cast = own if width < 4 else 0
    tokens = rows * sequence
    maps = tokens * sequence * shape.heads
    linear = tokens * (_HIDDEN * shape.hidden + _INTERMEDIATE * shape.intermediate) * width
    logits = answer_tokens * shape.vocabulary * _LOGITS
    whole = (linear + _ATTENTION * maps) * shape.layers + _PASSING * maps + logits
    if method == "exact":
        working, activations = 2 * vector + cast + 2 * own, max(whole, own)
    elif method == "layered":
        working = 2 * vector + cast + 3 * own // shape.layers
        between = 2 * (shape.layers + 1) * tokens * shape.hidden * width
        layer = round(_LINEAR_PASSING * linear) + (_ATTENTION + _PASSING) * maps
        activations = between + layer + logits
    else:
        working = 3 * vector + own
        first = round(_FIRST_LINEAR * (linear * shape.layers + logits))
        activations = first + _FIRST_ATTENTION * maps * shape.layers
    weights = shape.parameters * width
    kept = kept_vectors * vector
    total = weights + working + activations + kept
    statement = (
        f"About {total / 2**30:.1f} GiB by estimate, not by measurement: weights "
        f"{weights / 2**30:.1f}, vectors {working / 2**30:.1f}, activations "
        f"{activations / 2**30:.1f}, Krylov space {kept / 2**30:.1f}."
    )
    return Memory(weights, working, activations, kept, total, method, statement)
