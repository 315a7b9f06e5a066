"""What an evaluation must know of a model's folder before anything is loaded."""

import json
from pathlib import Path
from typing import NamedTuple

from forgetscope.schema.errors import InvalidInput

__all__ = ["ModelFiles", "read_model_files"]


class ModelFiles(NamedTuple):
    """`positions` is the longest text that the model can read, None where it has no limit.

    `kv_values` counts the numbers that attention keeps for one token, over all layers; None where
    the configuration does not tell. `stop` are the tokens that end a text.
    """

    architecture: str
    positions: int | None
    head_size: int | None
    kv_values: int | None
    stop: frozenset[int]


def read_model_files(folder: Path) -> ModelFiles:
    """Read config.json and generation_config.json. Raises InvalidInput."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"config.json cannot be read: {error}", where=folder.name) from error
    heads = getattr(config, "num_attention_heads", None)
    hidden = getattr(config, "hidden_size", None)
    layers = getattr(config, "num_hidden_layers", None)
    head_size = getattr(config, "head_dim", None) or (hidden // heads if heads and hidden else None)
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    return ModelFiles(
        architecture=(config.architectures or ["unknown"])[0],
        positions=getattr(config, "max_position_embeddings", None),
        head_size=head_size,
        kv_values=2 * layers * kv_heads * head_size if layers and kv_heads and head_size else None,
        stop=_ids(getattr(config, "eos_token_id", None))
        | _ids(_json(folder / "generation_config.json").get("eos_token_id")),
    )


def _json(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InvalidInput(f"{path.name} is not JSON: {error}", where=path.parent.name) from error
    return found if isinstance(found, dict) else {}


def _ids(value: object) -> frozenset[int]:
    values = value if isinstance(value, list) else [value]
    return frozenset(v for v in values if isinstance(v, int))
