"""Models behind OpenAI-compatible completions servers, asked over the network."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from forgetscope.core.endpoints import Echo, Refused
from forgetscope.schema.endpoint import EndpointModel, ServedModel

__all__ = ["Endpoints", "Patience"]


class Patience(NamedTuple):
    """How long to wait for one answer, and how often to ask for it."""

    seconds: float
    attempts: int


class Endpoints(Protocol):
    """Only servers that the settings allow are called, and no redirect is followed.

    Every method raises EndpointNotAllowed for a server that is not allowed, Unavailable when none
    answers in time, UnknownName when it does not have the model, InvalidInput when it does not
    speak the protocol; `where` is the address.
    """

    @property
    def texts_at_once(self) -> int:
        """Bound on the texts of one call that wait for an answer at once."""

    def served(self, model: EndpointModel) -> ServedModel:
        """What the server says of the model."""

    def echo(
        self, model: EndpointModel, texts: Sequence[str], limit: int | None
    ) -> list[Echo | Refused]:
        """Each text as the model reads it. `limit` is the longest text in tokens, None where it is
        not known."""

    def write(
        self, model: EndpointModel, prompts: Sequence[str], new_tokens: int, limit: int | None
    ) -> list[str | Refused]:
        """The greedy continuation of each prompt, of at most `new_tokens` tokens."""
