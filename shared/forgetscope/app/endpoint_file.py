"""What is known of a model behind an endpoint: the file `endpoint.json` in place of a model."""

import json
from pathlib import Path

from pydantic import ValidationError

from forgetscope.schema.endpoint import EndpointInfo
from forgetscope.schema.errors import InvalidInput

__all__ = ["ENDPOINT_INFO", "read_endpoint", "write_endpoint"]

ENDPOINT_INFO = "endpoint.json"


def write_endpoint(folder: Path, info: EndpointInfo) -> None:
    """Write `endpoint.json`: equal facts, equal bytes."""
    text = json.dumps(info.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False)
    (folder / ENDPOINT_INFO).write_text(text + "\n", encoding="utf-8")


def read_endpoint(folder: Path) -> EndpointInfo:
    """Raises InvalidInput when there is no such file, or another one."""
    try:
        return EndpointInfo.model_validate_json((folder / ENDPOINT_INFO).read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise InvalidInput(
            "the facts about the endpoint cannot be read.",
            where=ENDPOINT_INFO,
            hint="Delete the stage that prepares the model, and run it again.",
        ) from error
