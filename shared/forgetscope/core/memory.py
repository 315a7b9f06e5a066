"""Memory of a Hessian-vector product, estimated before it starts. Pure.

Counts of copies and coefficients are fitted to what torch allocated: on small Llamas on the CPU
(within a quarter), and for Llama-2-7B with fake tensors (one sequence of 256 and 1024 tokens,
float32 and bfloat16, LoRA and full; within 15 %). Nothing was measured on a GPU, whose allocator
and context come on top: leave a fifth of the device free.
"""

from typing import Literal, NamedTuple

from forgetscope.core.model_shape import ModelShape

__all__ = [
    "DEFAULT_BATCH_TOKENS",
    "PRODUCT_SHARE",
    "Memory",
    "Method",
    "estimate_memory",
    "estimate_stage",
]

Method = Literal["exact", "layered", "differences"]

PRODUCT_SHARE = 8
"""A product keeps what four passes leave behind: a micro-batch is an eighth of a forward pass's."""
DEFAULT_BATCH_TOKENS = 8192
"""Tokens of a forward pass, unless the worker is told otherwise (`wiring.settings`)."""

_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
_HIDDEN, _INTERMEDIATE = 16, 9  # values kept per token and layer, in units of each width
_ATTENTION = 14  # bytes kept per query, key and head: a float32 softmax and its derivatives
_PASSING = 32  # further such bytes, in the one layer that is being differentiated
_LINEAR_PASSING = 1.5  # that layer's linear share, where no other layer is kept
_LOGITS = 40  # bytes per answer token and word: float32 logits and their derivatives
_FIRST_LINEAR, _FIRST_ATTENTION = 0.4, 5  # the same for a gradient alone: share, and bytes
_CHECK_VECTORS = 2  # held by the check beside those of its product


class Memory(NamedTuple):
    """Bytes of a product. `tangents`: the vector and its product; `gradients`: gradient, its
    derivative and their copies; `kept`: vectors of a Krylov space, on the host where there is a
    GPU."""

    weights: int
    tangents: int
    gradients: int
    activations: int
    kept: int
    method: Method

    @property
    def total(self) -> int:
        return self.weights + self.tangents + self.gradients + self.activations + self.kept

    @property
    def statement(self) -> str:
        """A sentence for people."""
        return (
            f"About {self.total / 2**30:.1f} GiB by estimate, not by measurement: weights "
            f"{self.weights / 2**30:.1f}, vectors {(self.tangents + self.gradients) / 2**30:.1f}, "
            f"activations {self.activations / 2**30:.1f}, Krylov space {self.kept / 2**30:.1f}."
        )


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
    tangents = 2 * vector + cast
    if method == "exact":
        gradients, activations = 2 * own, max(whole, own)
    elif method == "layered":
        gradients = 3 * own // shape.layers
        between = 2 * (shape.layers + 1) * tokens * shape.hidden * width
        layer = round(_LINEAR_PASSING * linear) + (_ATTENTION + _PASSING) * maps
        activations = between + layer + logits
    else:
        tangents, gradients = vector, 2 * vector + own
        first = round(_FIRST_LINEAR * (linear * shape.layers + logits))
        activations = first + _FIRST_ATTENTION * maps * shape.layers
    weights = shape.parameters * width
    return Memory(weights, tangents, gradients, activations, kept_vectors * vector, method)


def estimate_stage(
    shape: ModelShape,
    method: Method,
    *,
    selected: int,
    dtype: str,
    rows: int,
    sequence: int,
    answer_tokens: int,
    kept_vectors: int,
) -> Memory:
    """Bytes for a stage of such products: its largest moment is a product, or the check of the
    product before it, which is in float32 at least and holds two more vectors."""

    def product(dtype: str) -> Memory:
        return estimate_memory(
            shape,
            method,
            selected=selected,
            dtype=dtype,
            rows=rows,
            sequence=sequence,
            answer_tokens=answer_tokens,
        )

    run, check = product(dtype), product("float32" if _BYTES[dtype] < 4 else dtype)
    vector = selected * max(_BYTES[dtype], 4)
    check = check._replace(tangents=check.tangents + _CHECK_VECTORS * vector)
    return max(run, check, key=lambda found: found.total)._replace(kept=kept_vectors * vector)
