"""Predict seconds of work from the work done so far. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from forgetscope.schema.plan import Compute, Estimate, PlannedStage, Queue, StageKind

__all__ = [
    "Done",
    "Planned",
    "Rate",
    "Remaining",
    "assumed_rate",
    "estimate_compute",
    "estimate_plan",
    "estimate_remaining",
    "rates_of",
    "seconds_for",
]

# Before anything was measured: what two CPU cores do, and a GPU of the kind that the estimate of
# GPU-hours names. Its peaks are those of NVIDIA's data sheet for the A100, dense products, float32
# without TF32, which torch leaves off. The share of them that is reached is our assumption: PaLM
# reached 46 % (Chowdhery et al. 2022, arXiv 2204.02311, table 3). Said wherever it is used.
GPU = "A100"
PEAK_FLOPS = {"float32": 19.5e12, "bfloat16": 312e12}
UTILISATION = 0.4
CPU_FLOPS = 2e10
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


class Planned(NamedTuple):
    """A stage to run. `tokens` counts forward passes, backward ones as two."""

    kind: StageKind
    tokens: int
    dtype: str = "float32"

    @classmethod
    def of(cls, stage: PlannedStage) -> "Planned":
        return cls(stage.kind, stage.tokens, str(stage.params.get("dtype", "float32")))


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


def assumed_rate(parameters: int, accelerator: str, dtype: str) -> Rate:
    """A forward pass costs 2 FLOPs per parameter and token (Kaplan et al. 2020,
    arXiv 2001.08361, section 2.1)."""
    return Rate(2 * parameters / _assumed_flops(accelerator, dtype), ASSUMED_SECONDS_PER_STAGE)


def estimate_plan(
    work: Sequence[Planned],
    measured: Mapping[str, Rate],
    *,
    parameters: int | None,
    accelerator: str,
) -> Estimate:
    """Seconds for stages run one after another.

    Measured rates where this model has run before; else an assumed speed, which the basis names.
    None, with the reason, when the size of the model is not known either.
    """
    unknown = [w for w in work if w.tokens > 0 and w.kind not in measured]
    if unknown and parameters is None:
        return Estimate(seconds=None, basis="the size of the model is not known before it is here")
    seconds = sum(
        seconds_for(
            w.tokens, measured.get(w.kind) or assumed_rate(parameters or 0, accelerator, w.dtype)
        )
        for w in work
    )
    basis = "measured on earlier stages with this model"
    if unknown:
        speeds = sorted({_assumed_flops(accelerator, w.dtype) for w in unknown})
        named = " and ".join(f"{speed:g}" for speed in speeds)
        basis = f"assumed {named} FLOP/s, as this model has not run here yet"
    return Estimate(seconds=round(seconds, 1), basis=f"{basis}; stages one after another")


def estimate_compute(work: Iterable[Planned], parameters: int | None) -> Compute:
    """FLOPs by count, and the hours that one GPU takes for them at an assumed speed.

    Left out: attention's own products, which grow with the square of a sequence and matter beyond
    some thousand tokens, loading, tokenizing and storing.
    """
    if parameters is None:
        return Compute(flops=None, gpu_hours=None, basis="the size of the model is not known")
    counted = [(2 * parameters * w.tokens, w.dtype) for w in work]
    seconds = sum(flops / _assumed_flops("cuda", dtype) for flops, dtype in counted)
    peaks = " and ".join(f"{peak / 1e12:g} TFLOP/s in {name}" for name, peak in PEAK_FLOPS.items())
    return Compute(
        flops=float(sum(flops for flops, _ in counted)),
        gpu_hours=float(f"{seconds / 3600:.3g}"),
        basis=f"2 FLOPs per parameter and token of a forward pass, a backward pass as two; one "
        f"{GPU} at {UTILISATION:.0%} of its peak of {peaks}: assumed, not measured",
    )


def _assumed_flops(accelerator: str, dtype: str) -> float:
    return CPU_FLOPS if accelerator == "cpu" else UTILISATION * PEAK_FLOPS[dtype]


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
