"""Safety classifiers from folders: the probability that a reply to a dialogue is safe.

`classifier.json` beside the weights says which of two kinds a folder holds: `hashed` (this
project's own, `hashed_classifier`) or `transformers` (`sequence_classifier`).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

from pydantic import ValidationError

from forgetscope.ports.stage import Machine
from forgetscope.schema.base import Value
from forgetscope.schema.errors import InvalidInput

__all__ = ["CLASSIFIER", "Asked", "Classifier", "ClassifierFile", "Report", "load_classifier"]

CLASSIFIER = "classifier.json"
Asked = tuple[Sequence[str], str]
"""(turns of the dialogue, the latest last; the reply to them)."""
Report = Callable[[float], None]
"""Told the share that is done, from 0 to 1."""


class ClassifierFile(Value):
    """`safe_label`: the label of a transformers model that means safe."""

    kind: Literal["hashed", "transformers"]
    safe_label: str | None = None

    def write(self, folder: Path) -> None:
        """As `classifier.json`."""
        (folder / CLASSIFIER).write_text(self.model_dump_json() + "\n", encoding="utf-8")


class Classifier(Protocol):
    """The same answers for the same questions, in any order of them up to rounding."""

    def safe(self, asked: Sequence[Asked], report: Report) -> list[float]:
        """The probability of safe for each reply, in their order."""


def load_classifier(folder: Path, machine: Machine) -> Classifier:
    """Load the classifier in `folder`. Raises InvalidInput when it is not whole."""
    try:
        settings = ClassifierFile.model_validate_json((folder / CLASSIFIER).read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise InvalidInput(
            "the folder holds no safety classifier that can be read.",
            where=CLASSIFIER,
            hint="Delete the stage that prepares the classifier, and run it again.",
        ) from error
    if settings.kind == "hashed":
        from forgetscope.modeling.hashed_classifier import HashedClassifier

        return HashedClassifier.load(folder)
    from forgetscope.modeling.sequence_classifier import SequenceClassifier

    return SequenceClassifier(
        folder, settings.safe_label or "", machine.device, machine.batch_tokens
    )
