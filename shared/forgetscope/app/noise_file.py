"""A noise floor as the file `noise.json`: written by the evaluator, read by the analysis."""

import json
from pathlib import Path

from pydantic import ValidationError

from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.noise import NoiseFloor

__all__ = ["NOISE", "read_noise", "write_noise"]

NOISE = "noise.json"


def write_noise(folder: Path, noise: NoiseFloor) -> None:
    """Write `noise.json`: equal facts, equal bytes."""
    text = json.dumps(noise.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False)
    (folder / NOISE).write_text(text + "\n", encoding="utf-8")


def read_noise(folder: Path) -> NoiseFloor:
    """Raises InvalidInput when there is no such file, or another one."""
    try:
        return NoiseFloor.model_validate_json((folder / NOISE).read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise InvalidInput(
            "the noise floor cannot be read.",
            where=NOISE,
            hint="Delete the stage that measured it, and run it again.",
        ) from error
