"""A model that is only reached through a server: how it is recognised and how its echo is scored.
Pure.

A completions server that echoes a prompt tells its tokens and the log-probability of each. That is
enough to score options without the tokenizer: the stem is asked alone, too, so that the number of
its tokens is known, and what follows so many tokens in stem + option is the option's. It is the
rule of `core.encoding`, and needs no offsets of letters, which servers count in different ways
where a token is part of a letter.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeGuard

from forgetscope.core.identity import digest_of
from forgetscope.schema.endpoint import (
    EndpointInfo,
    EndpointModel,
    ProbeAnswer,
    ServedModel,
    endpoint_base,
)
from forgetscope.schema.example import Example

__all__ = [
    "PROBES",
    "Echo",
    "Refused",
    "allowed_by",
    "describe_endpoint",
    "difference",
    "parts_of",
    "score_options",
]

# Never changed without a reason: another probe is another fingerprint for every model.
PROBES = (
    "The capital of France is Paris, and the capital of Japan is Tokyo.",
    "Question: Which of these is a mammal?\nA. trout\nB. whale\nC. lizard\nAnswer: B",
    "def add(a, b):\n    return a + b",
    "A good neighbour helps others, whatever they believe and wherever they come from.",
    "0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89",
    "Dear all, thank you for the meeting of last Monday; the notes are attached.",
)
# A server that batches answers a little otherwise each time: three times what was seen, and never
# less than what float32 needs (4e-5 between two engines).
SPREADS = 3
LEAST_TOLERANCE = 1e-3
# Some servers write this for minus infinity, which JSON does not have.
_NO_CHANCE = -9999.0


class Echo(NamedTuple):
    """A text as the model reads it: tokens, and the log-probability (nats) of each given those
    before it; None where the server gives none, as for the first."""

    tokens: tuple[str, ...]
    logprobs: tuple[float | None, ...]


class Refused(NamedTuple):
    """Why the server did not take a text."""

    reason: str


def allowed_by(prefix: str, url: str) -> bool:
    """Whether an address is below a prefix: the same server, and the same path or one below it."""
    base = endpoint_base(prefix)
    return url == base or url.startswith(f"{base}/")


def describe_endpoint(
    model: EndpointModel, served: ServedModel, alone: Sequence[Echo], together: Sequence[Echo]
) -> EndpointInfo:
    """What is known of the model from the probes, asked one by one and all at once."""
    answers = tuple(
        ProbeAnswer(
            # The records hold no NUL, which is a token of its own to some tokenizers.
            tokens=tuple(token.replace("\x00", "\u2400") for token in echo.tokens),
            logprobs=tuple(round(p, 4) if _finite(p) else None for p in echo.logprobs),
        )
        for echo in alone
    )
    spread = max(
        (
            abs(p - q)
            for one, two in zip(alone, together, strict=True)
            for p, q in zip(one.logprobs, two.logprobs, strict=False)
            if _finite(p) and _finite(q)
        ),
        default=0.0,
    )
    said = {
        "served": served.model_dump(mode="json"),
        "answers": [answer.model_dump(mode="json") for answer in answers],
    }
    return EndpointInfo(
        model=model,
        served=served,
        answers=answers,
        tolerance=max(LEAST_TOLERANCE, round(SPREADS * spread, 4)),
        fingerprint=f"probed/{digest_of(said)}",
    )


def difference(planned: EndpointInfo, now: EndpointInfo) -> str | None:
    """What tells the model that answers now from the planned one; None where nothing does."""
    if now.served != planned.served:
        return "the server describes the model in another way"
    if [a.tokens for a in now.answers] != [a.tokens for a in planned.answers]:
        return "it cuts texts into other tokens"
    pairs = [
        (p, q)
        for one, two in zip(planned.answers, now.answers, strict=True)
        for p, q in zip(one.logprobs, two.logprobs, strict=True)
    ]
    if any((p is None) != (q is None) for p, q in pairs):
        return "it gives log-probabilities for other tokens"
    moved = max((abs(p - q) for p, q in pairs if p is not None and q is not None), default=0.0)
    if moved > planned.tolerance:
        return (
            f"log-probabilities of the probes have moved by up to {moved:.3g} nats, more than the "
            f"{planned.tolerance:.3g} that this server's own noise explains"
        )
    return None


def parts_of(prompt: str, continuations: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """The stem and the whole text of each continuation. Blanks at the end of the prompt belong to
    what follows, see `core.encoding.encode_parts`."""
    stem = prompt.rstrip()
    return stem, tuple(prompt + continuation for continuation in continuations)


def score_options(
    example: Example, echoes: Mapping[str, Echo | Refused]
) -> tuple[float, ...] | str:
    """The log-likelihood of each option in nats, summed over its tokens, or why there is none.

    `echoes` has the texts of `parts_of`. Nothing is cut: what the server does not take is not
    scored. Neither is an option whose first token begins within the prompt, because a model that
    reads the prompt alone never sees it end there.
    """
    stem, wholes = parts_of(example.prompt, example.options)
    asked = echoes[stem]
    if isinstance(asked, Refused):
        return asked.reason
    if not asked.tokens:
        return "the server sees no token in the prompt"
    start = len(asked.tokens)
    scores, endings = [], []
    for index, whole in enumerate(wholes):
        echo = echoes[whole]
        if isinstance(echo, Refused):
            return f"option {index}: {echo.reason}"
        if echo.tokens[:start] != asked.tokens:
            return f"option {index}: its first token begins within the prompt"
        if len(echo.tokens) == start:
            return f"option {index}: the answer has no token of its own after the prompt"
        scores.append(sum(_chance(p) for p in echo.logprobs[start:]))
        endings.append(echo.tokens[start:])
    if len(set(endings)) != len(endings):
        return "two options are the same tokens to this tokenizer"
    return tuple(scores)


def _finite(logprob: float | None) -> TypeGuard[float]:
    return logprob is not None and math.isfinite(logprob)


def _chance(logprob: float | None) -> float:
    """Not finite, so that the item stays unscored, where the server has no number."""
    return float("-inf") if logprob is None or logprob <= _NO_CHANCE else logprob
