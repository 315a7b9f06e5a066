"""Noise floor of a model behind an endpoint: its server is asked for the same things in other ways.

How it batches is its own affair. What arrives together can be varied: many texts, a quarter of
them, one alone, or others together. Of a server that remembers its answers no noise is seen.
"""

import random
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeVar

from forgetscope.app.endpoint_file import read_endpoint
from forgetscope.app.endpoints import look_at, require_same
from forgetscope.app.examples_file import read_examples
from forgetscope.app.noise_file import write_noise
from forgetscope.core.endpoints import Echo, Refused
from forgetscope.core.inference.noise import noise_floor
from forgetscope.evaluator.remote import endpoint_answers
from forgetscope.ports.endpoint import Endpoints
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.endpoint import EndpointModel, ServedModel
from forgetscope.schema.noise import EndpointCondition

__all__ = ["Rearranged", "measure_endpoint_noise"]

Said = TypeVar("Said")


class _Settings(Value):
    """The parameters of the stage."""

    engine: Literal["endpoint"]
    items: int
    other_engine: None


class _Way(NamedTuple):
    name: Literal["usual", "quarter", "single", "shuffled"]
    texts_at_once: int
    shuffle: int | None = None


class Rearranged:
    """See `Endpoints`; answers stand in the order of the texts.

    Fewer texts wait at once where `texts_at_once` is less than usual. With `shuffle`, a seed, the
    texts of each call go out in an order drawn with it.
    """

    def __init__(
        self, endpoints: Endpoints, *, texts_at_once: int, shuffle: int | None = None
    ) -> None:
        self._endpoints = endpoints
        self._texts = texts_at_once
        self._shuffle = shuffle

    @property
    def texts_at_once(self) -> int:
        return min(self._texts, self._endpoints.texts_at_once)

    def served(self, model: EndpointModel) -> ServedModel:
        return self._endpoints.served(model)

    def echo(
        self, model: EndpointModel, texts: Sequence[str], limit: int | None
    ) -> list[Echo | Refused]:
        return self._in_calls(texts, lambda part: self._endpoints.echo(model, part, limit))

    def write(
        self, model: EndpointModel, prompts: Sequence[str], new_tokens: int, limit: int | None
    ) -> list[str | Refused]:
        def ask(part: Sequence[str]) -> list[str | Refused]:
            return self._endpoints.write(model, part, new_tokens, limit)

        return self._in_calls(prompts, ask)

    def _in_calls(
        self, texts: Sequence[str], ask: Callable[[Sequence[str]], list[Said]]
    ) -> list[Said]:
        order = [*range(len(texts))]
        if self._shuffle is not None:
            random.Random(self._shuffle).shuffle(order)  # noqa: S311
        # One call where that is the usual bound: nothing waits for the slowest of a part.
        bounded = self._texts < self._endpoints.texts_at_once
        size = self._texts if bounded else max(1, len(order))
        found: dict[int, Said] = {}
        for start in range(0, len(order), size):
            call = order[start : start + size]
            found.update(zip(call, ask([texts[i] for i in call]), strict=True))
        return [found[i] for i in range(len(texts))]


def measure_endpoint_noise(work: Work, io: StageIO, endpoints: Endpoints) -> JsonObject:
    """Score the first `items` examples in every way, and write noise.json.

    Raises DataChanged when the model behind the endpoint is not the planned one, and as
    `Endpoints` does.
    """
    asked = _Settings.model_validate(work.params)
    info = read_endpoint(io.input("base"))
    examples = read_examples(io.input("data"))[: asked.items]
    ways = _ways(endpoints.texts_at_once, work.seed)
    total = len(ways) * len(examples)
    require_same(info, look_at(endpoints, info.model))
    said = []
    for i, way in enumerate(ways):

        def report(done: int, before: int = i * len(examples)) -> None:
            io.progress(before + done, total, "examples")

        asking = Rearranged(endpoints, texts_at_once=way.texts_at_once, shuffle=way.shuffle)
        rows = endpoint_answers(asking, info, examples, io, report)
        condition = EndpointCondition(
            name=way.name,
            engine=asked.engine,
            engine_version=info.served.owned_by or "unknown",
            texts_at_once=way.texts_at_once,
            shuffled=way.shuffle is not None,
        )
        said.append((condition, rows))
    require_same(info, look_at(endpoints, info.model))
    measured = noise_floor(said, dtype=None, device=None)
    write_noise(io.output, measured)
    return {"items": measured.items, "changed": measured.changed, "conditions": len(ways)}


def _ways(texts_at_once: int, seed: int) -> tuple[_Way, ...]:
    return (
        _Way("usual", texts_at_once),
        _Way("quarter", max(1, texts_at_once // 4)),
        _Way("single", 1),
        _Way("shuffled", texts_at_once, shuffle=seed),
    )
