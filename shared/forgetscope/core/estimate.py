"""Predict seconds of work from the work done so far. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from forgetscope.schema.plan import Estimate, Queue, StageKind

__all__ = [
    "Done",
    "Rate",
    "Remaining",
    "assumed_rate",
    "estimate_plan",
    "estimate_remaining",
    "rates_of",
    "seconds_for",
]

# Before anything was measured: what two CPU cores, or one data-centre GPU at about a third of its
# peak, do in dense bf16 or fp32 products. Said wherever it is used.
ASSUMED_FLOPS = {"cpu": 2e10, "cuda": 3e14}
ASSUMED_SECONDS_PER_STAGE = 1.0


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


def assumed_rate(parameters: int, accelerator: str) -> Rate:
    """A forward pass costs 2 FLOPs per parameter and token (Kaplan et al. 2020,
    arXiv 2001.08361, section 2.1)."""
    return Rate(2 * parameters / ASSUMED_FLOPS[accelerator], ASSUMED_SECONDS_PER_STAGE)


def estimate_plan(
    work: Sequence[tuple[StageKind, int]],
    measured: Mapping[str, Rate],
    *,
    parameters: int | None,
    accelerator: str,
) -> Estimate:
    """Seconds for stages (kind, tokens) run one after another.

    Measured rates where this model has run before; else an assumed speed, which the basis names.
    None, with the reason, when the size of the model is not known either.
    """
    unknown = {kind for kind, tokens in work if tokens > 0 and kind not in measured}
    if unknown and parameters is None:
        return Estimate(seconds=None, basis="the size of the model is not known before it is here")
    assumed = assumed_rate(parameters or 0, accelerator)
    seconds = sum(seconds_for(tokens, measured.get(kind, assumed)) for kind, tokens in work)
    basis = (
        f"assumed {ASSUMED_FLOPS[accelerator]:g} FLOP/s, as this model has not run here yet"
        if unknown
        else "measured on earlier stages with this model"
    )
    return Estimate(seconds=round(seconds, 1), basis=f"{basis}; stages one after another")


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
    heavy = unknown & {"train", "evaluate", "curvature", "displacement", "drift"}
    if heavy:
        names = " and ".join(sorted(heavy))
        return Estimate(seconds=None, basis=f"no {names} stage has finished yet")
    last = per_queue.pop("analyse", 0.0)
    seconds = max(per_queue.values(), default=0.0) + last
    return Estimate(seconds=round(seconds, 1), basis="measured on finished stages")
