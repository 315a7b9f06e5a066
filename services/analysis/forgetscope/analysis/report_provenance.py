"""What the report says of where its numbers come from."""

from typing import NamedTuple

from pydantic import TypeAdapter

from forgetscope.schema.base import Value
from forgetscope.schema.results import Results

__all__ = ["Data", "Provenance", "provenance"]


class Data(Value):
    """A split of a task; `n` examples of it are used, all of them when None."""

    task: str
    split: str
    n: int | None
    examples: str | None
    """sha256 of all examples of the split"""
    fingerprint: str
    """of what they were read or made from"""


class Provenance(NamedTuple):
    """`model` and `judge` are fingerprints; `packages` are names with versions."""

    model: str | None
    judge: str | None
    data: tuple[Data, ...]
    packages: tuple[tuple[str, str], ...]


def provenance(results: Results) -> Provenance:
    """Of an experiment; results without digests have none here."""
    known = results.provenance.get("digests")
    digests = known if isinstance(known, dict) else {}
    model, judge = digests.get("model"), digests.get("judge")
    found = results.provenance.get("packages")
    packages = found.items() if isinstance(found, dict) else ()
    return Provenance(
        model=None if model is None else str(model),
        judge=None if judge is None else str(judge),
        data=TypeAdapter(tuple[Data, ...]).validate_python(digests.get("data", ())),
        packages=tuple((str(name), str(version)) for name, version in sorted(packages)),
    )
