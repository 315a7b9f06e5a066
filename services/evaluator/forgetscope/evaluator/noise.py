"""Noise floor: one model says the same things again under conditions that should not matter."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from forgetscope.app.examples_file import read_examples
from forgetscope.app.noise_file import write_noise
from forgetscope.core.inference.noise import noise_floor
from forgetscope.evaluator.engines.base import Engine
from forgetscope.evaluator.engines.cache import EngineCache
from forgetscope.evaluator.evaluation import Settings, answers
from forgetscope.evaluator.regrouped import Regrouped
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.noise import NoiseCondition

__all__ = ["measure_noise"]

EngineName = Literal["transformers", "vllm"]


class NoiseSettings(Settings):
    """The parameters of a noise_floor stage: those of an evaluation, and how much is repeated."""

    items: int
    other_engine: EngineName | None


class _Condition(NamedTuple):
    name: str
    engine: EngineName
    tokens_per_call: int | None = None
    shuffle: int | None = None

    def ask(self, engine: Engine) -> Engine:
        return Regrouped(engine, tokens_per_call=self.tokens_per_call, shuffle=self.shuffle)


def measure_noise(work: Work, io: StageIO, cache: EngineCache) -> JsonObject:
    """Score the first `items` examples under every condition, and write noise.json.

    Examples stand in the order of `core.subsample`, so that the first ones are a subsample, too.
    A text longer than the model takes is left out under every condition. Raises what `evaluate`
    raises.
    """
    asked = NoiseSettings.model_validate(work.params)
    examples = read_examples(io.input("data"))[: asked.items]
    conditions = [*_conditions(asked, io.machine.batch_tokens, work.seed)]
    total = len(conditions) * len(examples)
    said = []
    for i, condition in enumerate(conditions):

        def report(done: float, before: int = i * len(examples)) -> None:
            io.progress(before + done, total, "examples")

        settings = Settings(
            engine=condition.engine,
            dtype=asked.dtype,
            attention=asked.attention,
            max_length=asked.max_length,
        )
        told = answers(work, io, cache, settings, examples, report=report, way=condition.ask)
        facts = {
            "name": condition.name,
            "engine": condition.engine,
            "engine_version": told.engine_version,
            "tokens_per_call": condition.tokens_per_call,
            "batch_tokens": io.machine.batch_tokens,
            "shuffled": condition.shuffle is not None,
        }
        said.append((NoiseCondition.model_validate(facts), told.rows))
    measured = noise_floor(said, dtype=asked.dtype, device=io.machine.device)
    write_noise(io.output, measured)
    return {"items": measured.items, "changed": measured.changed, "conditions": len(conditions)}


def _conditions(asked: NoiseSettings, batch_tokens: int, seed: int) -> Iterator[_Condition]:
    yield _Condition("usual", asked.engine)
    yield _Condition("quarter", asked.engine, tokens_per_call=max(1, batch_tokens // 4))
    yield _Condition("single", asked.engine, tokens_per_call=1)
    yield _Condition("shuffled", asked.engine, shuffle=seed)
    if asked.other_engine is not None:
        yield _Condition("other engine", asked.other_engine)
