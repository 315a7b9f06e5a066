"""Models behind OpenAI-compatible completions servers, over HTTP.

What is used is what every such server has, as far as it returns the log-probabilities of prompts:
`GET /models`, and `POST /completions` with lists of prompts; `echo` with `logprobs` and without new
tokens scores, temperature 0 writes. Tested with the server of vLLM 0.32.

The other side is not trusted: it is called only where the settings allow it, its redirects are not
followed, its answers are bounded in size and time and are checked, and what it writes is not
repeated in errors, because it may repeat the texts of a data set.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, SecretStr

from forgetscope.adapters._endpoint_http import NEEDED, Caller, Declined
from forgetscope.core.endpoints import Echo, Refused
from forgetscope.ports.endpoint import Patience
from forgetscope.schema.base import Text
from forgetscope.schema.endpoint import EndpointModel, ServedModel
from forgetscope.schema.errors import InvalidInput, UnknownName

__all__ = ["HttpEndpoints"]

TEXTS_PER_REQUEST = 16
CHARACTERS_PER_REQUEST = 64_000
REQUESTS_AT_ONCE = 4
# Tokens that a server may put around a text. No tokenizer makes more tokens than there are bytes.
SPECIAL_TOKENS = 8

Said = TypeVar("Said")


class _Model(BaseModel):
    id: Text
    root: Text | None = None
    owned_by: Text | None = None
    max_model_len: int | None = Field(default=None, ge=1)


class _Models(BaseModel):
    data: list[_Model]


class _Logprobs(BaseModel):
    tokens: list[Annotated[str, Field(max_length=4096)]]
    token_logprobs: list[float | None]


class _Choice(BaseModel):
    index: int
    text: str
    logprobs: _Logprobs | None = None


class _Completion(BaseModel):
    choices: list[_Choice] = Field(max_length=TEXTS_PER_REQUEST)


class HttpEndpoints:
    """See `Endpoints`. `allowed` are prefixes of addresses, `tokens` secrets by prefix, of which
    the longest that fits is sent. Safe to share between threads."""

    def __init__(
        self,
        allowed: Sequence[str],
        tokens: Mapping[str, SecretStr],
        patience: Patience,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._caller = Caller(allowed, tokens, patience, sleep=sleep)

    @property
    def texts_at_once(self) -> int:
        return TEXTS_PER_REQUEST * REQUESTS_AT_ONCE

    def served(self, model: EndpointModel) -> ServedModel:
        found = self._caller.call("GET", model.url, "/models", None, _Models).data
        for one in found:
            if one.id == model.model:
                return ServedModel.model_validate(one.model_dump())
        raise UnknownName(
            f"the server has no model {model.model!r}.",
            where=model.url,
            hint="GET /v1/models of that server lists the names that it serves.",
        )

    def echo(
        self, model: EndpointModel, texts: Sequence[str], limit: int | None
    ) -> list[Echo | Refused]:
        def ask(part: Sequence[str]) -> list[Echo]:
            choices = self._complete(model, part, {"echo": True, "logprobs": 1, "max_tokens": 0})
            return [_echo(model, text, choice) for text, choice in zip(part, choices, strict=True)]

        return _in_requests(texts, 0, limit, ask)

    def write(
        self, model: EndpointModel, prompts: Sequence[str], new_tokens: int, limit: int | None
    ) -> list[str | Refused]:
        def ask(part: Sequence[str]) -> list[str]:
            choices = self._complete(model, part, {"max_tokens": new_tokens})
            return [choice.text for choice in choices]

        return _in_requests(prompts, new_tokens, limit, ask)

    def _complete(
        self, model: EndpointModel, prompts: Sequence[str], how: Mapping[str, object]
    ) -> list[_Choice]:
        body = {"model": model.model, "prompt": list(prompts), "temperature": 0, **how}
        choices = self._caller.call("POST", model.url, "/completions", body, _Completion).choices
        by_index = {choice.index: choice for choice in choices}
        if sorted(by_index) != list(range(len(prompts))) or len(choices) != len(prompts):
            raise InvalidInput(
                f"{len(prompts)} prompts got {len(choices)} answers.", where=model.url, hint=NEEDED
            )
        return [by_index[i] for i in range(len(prompts))]


def _echo(model: EndpointModel, text: str, choice: _Choice) -> Echo:
    found = choice.logprobs
    if found is None or not found.tokens:
        raise InvalidInput(
            "the server returns no log-probabilities of the prompt.", where=model.url, hint=NEEDED
        )
    if len(found.tokens) != len(found.token_logprobs):
        raise InvalidInput(
            "the server returns more tokens than log-probabilities, or fewer.",
            where=model.url,
            hint=NEEDED,
        )
    if len(found.tokens) > len(text.encode()) + SPECIAL_TOKENS:
        raise InvalidInput(
            "the server returns more tokens than the prompt has bytes.",
            where=model.url,
            hint=NEEDED,
        )
    if choice.text != text:
        raise InvalidInput(
            "the server returns another text than the prompt it was to echo.",
            where=model.url,
            hint=NEEDED,
        )
    return Echo(tuple(found.tokens), tuple(found.token_logprobs))


def _in_requests(
    texts: Sequence[str],
    new_tokens: int,
    limit: int | None,
    ask: Callable[[Sequence[str]], list[Said]],
) -> list[Said | Refused]:
    """Several texts a request and several requests at once. A text that may be too long goes alone:
    a server that finds one too long answers none of its request."""

    def bounded(part: Sequence[int]) -> list[Said | Refused]:
        try:
            return [*ask([texts[i] for i in part])]
        except Declined:
            if len(part) > 1:
                # It fits, and is refused all the same: one by one, to say which.
                return [said for i in part for said in bounded([i])]
            return [Refused(f"the server does not take it ({len(texts[part[0]])} characters)")]

    parts = _parts(texts, new_tokens, limit)
    pool = ThreadPoolExecutor(REQUESTS_AT_ONCE)
    try:
        answers = [*pool.map(bounded, parts)]
    finally:
        pool.shutdown(cancel_futures=True)
    found = {
        i: said
        for part, all_said in zip(parts, answers, strict=True)
        for i, said in zip(part, all_said, strict=True)
    }
    return [found[i] for i in range(len(texts))]


def _parts(texts: Sequence[str], new_tokens: int, limit: int | None) -> list[list[int]]:
    parts: list[list[int]] = []
    open_part: list[int] = []
    characters = 0
    for i, text in enumerate(texts):
        if limit is None or len(text.encode()) + new_tokens + SPECIAL_TOKENS > limit:
            parts.append([i])
            continue
        full = len(open_part) == TEXTS_PER_REQUEST
        if open_part and (full or characters + len(text) > CHARACTERS_PER_REQUEST):
            parts.append(open_part)
            open_part, characters = [], 0
        open_part.append(i)
        characters += len(text)
    return [*parts, open_part] if open_part else parts
