"""What a worker and its stage process say to each other: one JSON object a line."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from forgetscope.ports.runner import Died, Done, Failed, Message, Saved
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.plan import StageKind
from forgetscope.schema.stage import Breach, Failure, Manifest, Progress

__all__ = ["Order", "Word", "read_order", "read_word", "to_message", "write"]


class Order(Value):
    """Worker → process: run this."""

    key: str
    kind: StageKind
    params: JsonObject
    inputs: dict[str, Manifest]
    resume: Manifest | None


class ProgressWord(Value):
    """Process → worker."""

    word: Literal["progress"] = "progress"
    progress: Progress


class BreachWord(Value):
    """Process → worker."""

    word: Literal["breach"] = "breach"
    breach: Breach


class SavedWord(Value):
    """Process → worker."""

    word: Literal["saved"] = "saved"
    manifest: Manifest


class DoneWord(Value):
    """Process → worker."""

    word: Literal["done"] = "done"
    manifest: Manifest


class FailedWord(Value):
    """Process → worker."""

    word: Literal["failed"] = "failed"
    failure: Failure


_AnyWord = ProgressWord | BreachWord | SavedWord | DoneWord | FailedWord
Word = Annotated[_AnyWord, Field(discriminator="word")]
_word: TypeAdapter[_AnyWord] = TypeAdapter(Word)


def write(value: Value) -> bytes:
    """One line."""
    return value.model_dump_json().encode() + b"\n"


def read_order(line: bytes) -> Order:
    """Raises pydantic.ValidationError."""
    return Order.model_validate_json(line)


def read_word(line: bytes) -> _AnyWord:
    """Raises pydantic.ValidationError."""
    return _word.validate_json(line)


def to_message(word: _AnyWord) -> Message:
    """The runner port's form."""
    match word:
        case ProgressWord():
            return word.progress
        case BreachWord():
            return word.breach
        case SavedWord():
            return Saved(word.manifest)
        case DoneWord():
            return Done(word.manifest)
        case FailedWord():
            return Failed(word.failure)


__all__ += ["BreachWord", "Died", "DoneWord", "FailedWord", "ProgressWord", "SavedWord"]
