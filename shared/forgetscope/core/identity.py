"""The identity of a stage: a digest of all that can change its result, and of nothing else."""

import hashlib
import json
from collections.abc import Mapping

from forgetscope.schema.base import JsonObject
from forgetscope.schema.plan import StageKind

__all__ = ["CODE_VERSIONS", "canonical_json", "digest_of", "seed_of", "stage_key"]

# A kind's number moves when its code gives other results for the same parameters and inputs.
CODE_VERSIONS: Mapping[StageKind, int] = {
    "prepare_model": 1,
    "prepare_data": 3,
    "prepare_judge": 1,
    "train": 1,
    "merge": 1,
    "select": 1,
    "fisher": 1,
    "evaluate": 2,
    "noise_floor": 1,
    "curvature": 1,
    "displacement": 1,
    "drift": 1,
    "analyse": 5,
    "report": 5,
    "audit": 1,
}


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no blanks: equal values give equal text.

    Floats are written in their shortest round-trip form. Raises ValueError for NaN and infinity.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def digest_of(value: object) -> str:
    """sha256 of the canonical JSON, as hex."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def stage_key(kind: StageKind, params: JsonObject, inputs: Mapping[str, str]) -> str:
    """The key of a stage. Equal key = same stage, in any experiment and in any wiring."""
    return digest_of(
        {
            "kind": kind,
            "code": CODE_VERSIONS[kind],
            "params": params,
            "inputs": dict(inputs),
        }
    )


def seed_of(key: str) -> int:
    """The seed of a stage's randomness (63 bits), so that a key determines the result."""
    return int(key[:16], 16) >> 1
