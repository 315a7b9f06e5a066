"""Predict seconds of work from the work done so far. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from forgetscope.schema.plan import Estimate, Queue, StageKind

__all__ = ["Done", "Rate", "Remaining", "estimate_remaining", "rates_of", "seconds_for"]


class Done(Protocol):
    """Finished work of one kind."""

    @property
    def kind(self) -> StageKind: ...
    @property
    def stages(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def tokens(self) -> int: ...


class Rate(NamedTuple):
    """Seconds per token, or per stage for kinds whose work has no tokens."""

    seconds_per_token: float = 0.0
    seconds_per_stage: float = 0.0


class Remaining(NamedTuple):
    """A stage still to run; `fraction` of it is done."""

    kind: StageKind
    queue: Queue
    tokens: int
    fraction: float


def rates_of(done: Iterable[Done]) -> dict[str, Rate]:
    """One rate per kind that has finished stages."""
    return {
        d.kind: Rate(seconds_per_token=d.seconds / d.tokens)
        if d.tokens
        else Rate(seconds_per_stage=d.seconds / d.stages)
        for d in done
        if d.stages
    }


def seconds_for(tokens: int, rate: Rate) -> float:
    """Predicted seconds of one stage."""
    return tokens * rate.seconds_per_token + rate.seconds_per_stage


def estimate_remaining(
    remaining: Sequence[Remaining], here: Mapping[str, Rate], anywhere: Mapping[str, Rate]
) -> Estimate:
    """Seconds until the last stage ends: queues work side by side, stages of one in a row.

    Rates of this experiment are preferred to those of all experiments. None, with the reason,
    while a kind that stands for most of the work has never finished.
    """
    per_queue: dict[str, float] = {}
    unknown: set[str] = set()
    for stage in remaining:
        rate = here.get(stage.kind) or anywhere.get(stage.kind)
        if rate is None:
            unknown.add(stage.kind)
            continue
        left = seconds_for(stage.tokens, rate) * (1 - stage.fraction)
        per_queue[stage.queue] = per_queue.get(stage.queue, 0.0) + left
    heavy = unknown & {"train", "evaluate"}
    if heavy:
        names = " and ".join(sorted(heavy))
        return Estimate(seconds=None, basis=f"no {names} stage has finished yet")
    last = per_queue.pop("analyse", 0.0)
    seconds = max(per_queue.values(), default=0.0) + last
    return Estimate(seconds=round(seconds, 1), basis="measured on finished stages")
