"""The shape of a causal language model, read from its `config.json` without loading it. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from forgetscope.schema.errors import InvalidInput

__all__ = ["PUBLISHED", "ModelShape", "Published", "parameter_count", "shape_of", "target_count"]


class ModelShape(NamedTuple):
    """Sizes of a model of the Llama family: gated layers without biases.

    `key_value_heads` and `head_size` are None for as many heads as queries have, and for
    `hidden` / `heads`. `tied`: the output head is the embedding.
    """

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    vocabulary: int
    key_value_heads: int | None = None
    head_size: int | None = None
    tied: bool = False


_NAMES = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "intermediate": "intermediate_size",
    "heads": "num_attention_heads",
    "vocabulary": "vocab_size",
}


def shape_of(config: Mapping[str, object], parameters: int | None) -> ModelShape:
    """The shape in a `config.json`; parameters that are not known are counted from it.

    Raises InvalidInput for a model that does not tell its sizes under the names of the Llama
    family.
    """
    sizes = {field: _size(config, name) for field, name in _NAMES.items()}
    missing = [_NAMES[field] for field, size in sizes.items() if size is None]
    if missing:
        raise InvalidInput(
            f"the memory of a {config.get('model_type')} model cannot be estimated: its "
            f"configuration has no {', '.join(missing)}",
            where="/model",
        )
    shape = ModelShape(
        parameters=0,
        **{field: size for field, size in sizes.items() if size is not None},
        key_value_heads=_size(config, "num_key_value_heads"),
        head_size=_size(config, "head_dim"),
        tied=config.get("tie_word_embeddings") is True,
    )
    return shape._replace(parameters=parameters or parameter_count(shape))


def weights_of(shape: ModelShape) -> dict[str, tuple[int, int]]:
    """(outputs, inputs) of the linear weights of one layer, by the last part of their names."""
    size = shape.head_size or shape.hidden // shape.heads
    queries, keys = size * shape.heads, size * (shape.key_value_heads or shape.heads)
    hidden, inner = shape.hidden, shape.intermediate
    return {
        "q_proj": (queries, hidden),
        "k_proj": (keys, hidden),
        "v_proj": (keys, hidden),
        "o_proj": (hidden, queries),
        "gate_proj": (inner, hidden),
        "up_proj": (inner, hidden),
        "down_proj": (hidden, inner),
    }


def parameter_count(shape: ModelShape) -> int:
    """Linear weights, two norms a layer and one at the end, embedding, and head unless tied."""
    linear = sum(outputs * inputs for outputs, inputs in weights_of(shape).values())
    embeddings = (1 if shape.tied else 2) * shape.vocabulary * shape.hidden
    return shape.layers * (linear + 2 * shape.hidden) + shape.hidden + embeddings


def target_count(shape: ModelShape, names: Sequence[str], rank: int | None) -> int | None:
    """Parameters of the LoRA factors of these modules, rank · (outputs + inputs) each (Hu et al.
    2021, arXiv 2106.09685, section 4.2); without a rank, of their weights. None for other names."""
    weights = weights_of(shape)
    wanted = list(weights) if "all-linear" in names else list(dict.fromkeys(names))
    if not set(wanted) <= weights.keys():
        return None
    sizes = [weights[name] for name in wanted]
    return shape.layers * sum(o * i if rank is None else rank * (o + i) for o, i in sizes)


class Published(NamedTuple):
    """A shape, and where it was published."""

    shape: ModelShape
    source: str


# For planning alone, where neither files nor hub are at hand: the model of the paper, in both of
# its repositories.
_LLAMA_2_7B = Published(
    ModelShape(6_738_415_616, 32, 4096, 11008, 32, 32000),
    "Touvron et al. 2023, arXiv 2307.09288, and the config.json of meta-llama/Llama-2-7b-hf",
)
PUBLISHED: Mapping[str, Published] = {
    "meta-llama/Llama-2-7b": _LLAMA_2_7B,
    "meta-llama/Llama-2-7b-hf": _LLAMA_2_7B,
}


def _size(config: Mapping[str, object], name: str) -> int | None:
    value = config.get(name)
    return value if type(value) is int and value > 0 else None
