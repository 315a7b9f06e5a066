"""Which stages measure the noise floor: one for each task, all on the same model. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from forgetscope.core.engines import ENDPOINT, EngineName, ScoredBy, choose_engine
from forgetscope.core.facts import Facts
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidSpec
from forgetscope.schema.experiment import ScoredTask
from forgetscope.schema.noise import NoiseSpec
from forgetscope.schema.plan import StageLabel

__all__ = ["NoiseStage", "noise_stages"]

SCORINGS = 4  # conditions of one engine or server, see `schema.noise.NoiseSpec`


class NoiseStage(NamedTuple):
    """A stage to plan. `params` come on top of those of an evaluation; `use` is what the analysis
    is told of it."""

    params: JsonObject
    label: StageLabel
    tokens: float
    use: JsonObject


def noise_stages(
    asked: NoiseSpec | None,
    tasks: Sequence[ScoredTask],
    facts: Facts,
    engine: ScoredBy,
    model: tuple[tuple[str, ...], int | None] = ((), None),
) -> Iterator[NoiseStage]:
    """One stage for each task on `model`, (chain, seed). Raises UnknownName or InvalidSpec when
    the other engine is asked for and is not installed or cannot run the model, as no engine of this
    platform can that of an endpoint."""
    if asked is None:
        return
    other = _other(engine, facts) if asked.other_engine else None
    chain, seed = model
    for i, use in enumerate(tasks):
        its = facts.tasks[use.id]
        items = min(asked.items, use.evaluation_examples or its.evaluation_examples)
        yield NoiseStage(
            params={"items": items, "other_engine": other},
            label=StageLabel(title=f"noise floor on {use.id}", chain=chain, seed=seed, task=use.id),
            tokens=(SCORINGS + asked.other_engine) * items * its.tokens_per_example,
            use={"role": f"noise-{i}", "task": use.id, "chain": [*chain], "seed": seed},
        )


def _other(engine: ScoredBy, facts: Facts) -> EngineName:
    where = "/evaluation/noise_floor/other_engine"
    if engine == ENDPOINT:
        raise InvalidSpec(
            "a model behind an endpoint has no other engine than its server.",
            where=where,
            hint="Leave it out: its server is asked in other ways.",
        )
    return choose_engine(
        "transformers" if engine == "vllm" else "vllm",
        parameters=facts.model_parameters,
        head_size=facts.model_head_size,
        accelerator=facts.accelerator,
        available=facts.engines,
        where=where,
    )[0]
