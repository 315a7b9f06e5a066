"""Which stages of drift an experiment means. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from forgetscope.core.curvature_plan import forgetting_places
from forgetscope.core.facts import Facts
from forgetscope.core.steps import task_of
from forgetscope.schema.base import JsonObject
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import StageLabel

__all__ = ["DriftStage", "drift_stages"]

Chain = tuple[str, ...]
_MODELS = 2


class DriftStage(NamedTuple):
    """A stage to plan: from the model after `position` stages of `chain` to its end. `use` is what
    the analysis is told of it."""

    chain: Chain
    position: int
    seed: int
    params: JsonObject
    label: StageLabel
    tokens: float
    use: JsonObject

    @property
    def task(self) -> str:
        return str(task_of(self.chain[self.position - 1]))


def drift_stages(
    spec: ExperimentSpec, chains: Sequence[Chain], facts: Facts
) -> Iterator[DriftStage]:
    """One stage for each training that another follows, in each seed."""
    asked = spec.mechanisms
    if asked is None:
        return
    uses = {use.id: use for use in spec.tasks}
    places = [(seed, *place) for seed in spec.seeds for place in forgetting_places(chains)]
    for i, (seed, chain, at) in enumerate(places):
        task = str(task_of(chain[at - 1]))
        its = facts.tasks[task]
        items = min(asked.items, uses[task].evaluation_examples or its.evaluation_examples)
        place = "" if len(chain) == 2 else f" from stage {at}"
        title = f"drift {' → '.join(chain)}{place} · seed {seed}"
        yield DriftStage(
            chain=chain,
            position=at,
            seed=seed,
            params={
                "items": items,
                "layers": asked.layers,
                "dtype": spec.evaluation.dtype,
                "max_length": spec.evaluation.max_length,
            },
            label=StageLabel(title=title, chain=chain, seed=seed, task=task),
            tokens=_MODELS * items * its.tokens_per_example,
            use={"role": f"drift-{i}", "chain": [*chain], "position": at, "seed": seed},
        )
