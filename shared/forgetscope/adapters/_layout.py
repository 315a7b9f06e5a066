"""Model folders in transformers layout, looked at without loading: what is there, is it safe."""

import json
import math
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from typing import BinaryIO, Protocol

from forgetscope.core.model_shape import ModelShape, shape_of
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidInput, UnknownName, UnsafeWeights

__all__ = [
    "FILES",
    "Folder",
    "Shapes",
    "count",
    "head_size",
    "json_object",
    "labels",
    "model_files",
    "require_safe",
    "shape",
    "shapes",
    "tensors",
]

# What loading needs beside the weights: configuration, tokenizer, chat template. No code.
FILES = ("*.json", "*.model", "*.txt", "*.jinja")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_INDEX = "model.safetensors.index.json"
_WEIGHTS = "model.safetensors"
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
_JSON_BYTES = 32 << 20
_HEADER_BYTES = 100_000_000  # the limit of the safetensors library itself

Shapes = dict[str, tuple[int, ...]]


class Folder(Protocol):
    """Files directly inside one folder, wherever it is."""

    @property
    def where(self) -> str:
        """The folder's name in messages."""

    @property
    def entries(self) -> Mapping[str, int]:
        """File name → size in bytes."""

    def open(self, name: str) -> BinaryIO: ...

    def tag(self, name: str) -> str:
        """A text that changes when the file's bytes do."""


def model_files(folder: Folder) -> tuple[list[str], list[str]]:
    """Names of the files that make the model, sorted: (weights, everything else).

    Raises UnknownName when this is no model folder, UnsafeWeights when it can only be read by
    unpickling or by running code, InvalidInput when files contradict each other.
    """
    entries = folder.entries
    if "config.json" not in entries:
        raise UnknownName(
            "no model in transformers layout is there: config.json is missing.", where=folder.where
        )
    for name in ("config.json", "tokenizer_config.json"):
        if name in entries and json_object(folder, name).get("auto_map"):
            raise UnsafeWeights(
                f"{name} asks to run code of the model's author (auto_map), which never happens.",
                where=folder.where,
                hint="Use a model of an architecture that the transformers library knows.",
            )
    weights = _weights(folder)
    if not any(name in entries for name in _TOKENIZERS):
        raise UnknownName(
            f"the model has no tokenizer: {' or '.join(_TOKENIZERS)} is missing.",
            where=folder.where,
        )
    others = [name for name in entries if any(fnmatch(name, pattern) for pattern in FILES)]
    return weights, sorted(others)


def _weights(folder: Folder) -> list[str]:
    """The files that the transformers library would load, and no other copies beside them."""
    if _WEIGHTS in folder.entries:
        return [_WEIGHTS]
    if _INDEX in folder.entries:
        mapping = json_object(folder, _INDEX).get("weight_map")
        names = set(map(str, mapping.values())) if isinstance(mapping, dict) else set()
        for name in names:
            if name not in folder.entries or not name.endswith(".safetensors"):
                raise InvalidInput(
                    f"{_INDEX} names {name!r}, which is not there", where=folder.where
                )
        if names:
            return sorted(names)
    require_safe(folder.entries, folder.where, _WEIGHTS)
    raise UnknownName(f"the model has no weights: {_WEIGHTS} is missing.", where=folder.where)


def require_safe(names: Iterable[str], where: str, wanted: str) -> None:
    """Raises UnsafeWeights when weights are there, but pickled."""
    pickled = [name for name in names if any(fnmatch(name, pattern) for pattern in _PICKLES)]
    if pickled:
        raise UnsafeWeights(
            f"the weights are pickled ({min(pickled)}); unpickling can run any code.",
            where=where,
            hint=f"Save them as {wanted}.",
        )


def json_object(folder: Folder, name: str) -> JsonObject:
    """Content of a JSON file. Raises InvalidInput."""
    with folder.open(name) as stream:
        content = stream.read(_JSON_BYTES + 1)
    try:
        value = json.loads(content) if len(content) <= _JSON_BYTES else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInput(
            f"{name} is not a JSON object of at most {_JSON_BYTES} bytes", where=folder.where
        )
    return value


def head_size(folder: Folder) -> int | None:
    """Width of one attention head, where the configuration tells."""
    config = json_object(folder, "config.json")
    size = config.get("head_dim")
    width, heads = config.get("hidden_size"), config.get("num_attention_heads")
    if not isinstance(size, int) and isinstance(width, int) and isinstance(heads, int) and heads:
        size = width // heads
    return size if isinstance(size, int) else None


def shape(folder: Folder, parameters: int | None) -> ModelShape | None:
    """Sizes of the model, where the configuration tells them."""
    config = json_object(folder, "config.json")
    try:
        return shape_of(config, parameters)
    except InvalidInput:
        return None


def labels(folder: Folder) -> tuple[str, ...] | None:
    """What a text classification model may answer, by its configuration; None for other models.

    The transformers library leaves out the labels of a model that has two without names.
    """
    config = json_object(folder, "config.json")
    kinds = config.get("architectures")
    if not isinstance(kinds, list) or not any(
        str(kind).endswith("ForSequenceClassification") for kind in kinds
    ):
        return None
    names = config.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})
    return tuple(map(str, names.values())) if isinstance(names, dict) else ()


def tensors(folder: Folder, weights: list[str]) -> Shapes:
    """Shapes of the tensors of all weight files, by name."""
    found: Shapes = {}
    for name in weights:
        found |= shapes(folder, name)
    return found


def shapes(folder: Folder, name: str) -> Shapes:
    """Shapes by the header of one safetensors file.

    The format: 8 bytes little-endian length, that many bytes JSON, the tensors without gaps
    (https://huggingface.co/docs/safetensors). Raises InvalidInput when the file is not that, or
    not whole.
    """
    size = folder.entries[name]
    with folder.open(name) as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(_HEADER_BYTES, size - 8):
            raise _not_safetensors(folder, name, "its header has an impossible length")
        content = stream.read(length)
    found: Shapes = {}
    end = 0
    try:
        for tensor, fact in json.loads(content).items():
            if tensor != "__metadata__":
                found[tensor] = tuple(int(dimension) for dimension in fact["shape"])
                end = max(end, int(fact["data_offsets"][1]))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise _not_safetensors(folder, name, "its header cannot be read") from None
    if end + 8 + length != size:
        raise _not_safetensors(folder, name, f"{end + 8 + length} bytes expected, {size} found")
    return found


def count(found: Shapes) -> int:
    """Number of parameters; tied weights are stored, and so counted, once."""
    return sum(math.prod(shape) for shape in found.values())


def _not_safetensors(folder: Folder, name: str, why: str) -> InvalidInput:
    return InvalidInput(f"{name} is not a whole safetensors file: {why}", where=folder.where)
