"""Models behind a server: what names one, and what can be known of it from outside."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from forgetscope.schema.base import Text, Value

__all__ = [
    "ENDPOINT_PATTERN",
    "EndpointInfo",
    "EndpointModel",
    "ProbeAnswer",
    "ServedModel",
    "endpoint_base",
]


def endpoint_base(url: str) -> str:
    """The one way to write an address: no slash at its end, no default port, small letters in the
    host. Raises ValueError for a path with dots for segments."""
    scheme, _, rest = url.rstrip("/").partition("://")
    host, slash, path = rest.partition("/")
    if any(part in (".", "..") for part in path.split("/")):
        raise ValueError("the path of an endpoint has no dots for segments")
    default = {"http": ":80", "https": ":443"}[scheme]
    return f"{scheme}://{host.lower().removesuffix(default)}{slash}{path}"


def _ends_in_v1(url: str) -> str:
    base = endpoint_base(url)
    return base if base.endswith("/v1") else f"{base}/v1"


ENDPOINT_PATTERN = (
    r"^https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)(:[1-9][0-9]{0,4})?"
    r"(/[A-Za-z0-9._~-]+)*/?$"
)
EndpointUrl = Annotated[
    Text,
    Field(
        max_length=2000,
        pattern=ENDPOINT_PATTERN,
        description="base address, with or without /v1 at its end; one that the server may call",
    ),
    AfterValidator(_ends_in_v1),
]


class EndpointModel(Value):
    """A model behind an OpenAI-compatible completions server that returns the log-probabilities of
    prompts. It can be audited, not trained: its weights are not seen."""

    source: Literal["endpoint"]
    url: EndpointUrl
    model: Annotated[Text, Field(min_length=1, max_length=500, description="its name there")]


class ServedModel(Value):
    """What the server says of the model. `root` is where its weights come from, `max_model_len` the
    longest text in tokens; each is null where the server does not say."""

    id: str
    root: str | None = None
    owned_by: str | None = None
    max_model_len: int | None = Field(default=None, ge=1)


class ProbeAnswer(Value):
    """A probe as the model reads it: its tokens, and the log-probability (nats, four decimals) of
    each given those before it; null for the first where nothing stands before it."""

    tokens: tuple[str, ...]
    logprobs: tuple[float | None, ...]

    @model_validator(mode="after")
    def _one_each(self) -> "ProbeAnswer":
        if len(self.tokens) != len(self.logprobs):
            raise ValueError("a log-probability for each token")
        return self


class EndpointInfo(Value):
    """A model as it answered when the audit was submitted. Written as `endpoint.json`.

    `fingerprint` is a digest of what the server says of the model and of its answers to fixed
    probes: of behaviour, not of weights. `tolerance` (nats) is how far a log-probability may lie
    from the one here before the model counts as another one.
    """

    model: EndpointModel
    served: ServedModel
    answers: tuple[ProbeAnswer, ...]
    tolerance: float = Field(gt=0)
    fingerprint: str
