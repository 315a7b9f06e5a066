"""What the stages of a plan need of memory, stated before any of them starts. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from forgetscope.core.curvature_plan import kept_vectors
from forgetscope.core.facts import TaskFacts
from forgetscope.core.memory import (
    DEFAULT_BATCH_TOKENS,
    PRODUCT_SHARE,
    Method,
    estimate_stage,
)
from forgetscope.core.memory_stages import (
    dtype_of,
    factor_count,
    gib,
    product_batch,
    trainer_memory,
)
from forgetscope.core.methods import LoraParams
from forgetscope.core.model_shape import ModelShape, target_count
from forgetscope.schema.base import JsonObject
from forgetscope.schema.curvature import CurvatureSpec
from forgetscope.schema.plan import PlannedStage, StageMemory

__all__ = ["memory_note", "plan_memory"]

Way = Literal["exact", "layered", "finite_differences"]
_WAYS: dict[Way, Method] = {
    "exact": "exact",
    "layered": "layered",
    "finite_differences": "differences",
}
_DISPLACED_VECTORS = 2


def plan_memory(
    stages: Sequence[PlannedStage], shape: ModelShape, tasks: Mapping[str, TaskFacts]
) -> tuple[StageMemory, ...]:
    """For each kind of stage, way and set of parameters: the stage that needs most.

    A curvature stage is given in every way to make products, and beside its own parameters over all
    weights, or over LoRA factors of the default rank where it is about all weights.
    """
    by_key = {stage.key: stage for stage in stages}
    largest: dict[tuple[str | None, ...], StageMemory] = {}
    for stage in stages:
        found: Iterable[StageMemory] = trainer_memory(stage, by_key, shape, tasks)
        if stage.kind in ("curvature", "displacement"):
            found = _products(stage, by_key[stage.inputs["checkpoint"]], shape, tasks)
        for row in found:
            same = (row.kind, row.way, row.over, row.dtype, row.use, row.mitigation)
            if same not in largest or row.total > largest[same].total:
                largest[same] = row
    return tuple(largest.values())


def memory_note(
    stages: Sequence[PlannedStage], shape: ModelShape | None, parameters: int | None
) -> str | None:
    """What the estimates rest on, or why there are none; None where nothing is trained."""
    if not any(stage.kind == "train" for stage in stages):
        return None
    if shape is not None:
        return (
            "Memory is an estimate of what torch allocates, fitted on CPUs, never measured on a "
            "GPU: leave a fifth of the device free. Lengths are those of the longest example at "
            "four letters a token; products take micro-batches of "
            f"{DEFAULT_BATCH_TOKENS // PRODUCT_SHARE} tokens or one row. Where there is a GPU, the "
            "Krylov space stays in the host's memory."
        )
    if parameters is None:
        return "Memory cannot be estimated: the size of the model is not known before it is here."
    return (
        "Memory cannot be estimated: the configuration of the model does not tell the sizes of a "
        f"Llama-like model. Its weights alone take {4 * parameters / 2**30:.1f} GiB in float32."
    )


def _products(
    stage: PlannedStage,
    before: PlannedStage,
    shape: ModelShape,
    tasks: Mapping[str, TaskFacts],
) -> Iterator[StageMemory]:
    params, dtype = stage.params, dtype_of(stage.params)
    asked = str(params["product"])
    batch = product_batch(params, tasks[str(stage.label.task)])
    for own, (over, selected) in enumerate(_subsets(stage, before, shape)):
        if own > 0 and stage.kind == "displacement":
            return
        for way, method in _WAYS.items():
            if way == "finite_differences" and dtype == "bfloat16":
                continue
            vectors = _DISPLACED_VECTORS
            if stage.kind == "curvature":
                vectors = kept_vectors(_asked(params), selected)
            found = estimate_stage(
                shape,
                method,
                selected=selected,
                dtype=dtype,
                rows=batch.rows,
                sequence=batch.sequence,
                answer_tokens=batch.answer_tokens,
                kept_vectors=vectors,
            )
            use = _use(asked, way) if own == 0 else "for comparison"
            if stage.kind == "displacement" and use == "for comparison":
                continue
            yield StageMemory(
                kind="curvature" if stage.kind == "curvature" else "displacement",
                stage=stage.label.title,
                way=way,
                use=use,
                over=over,
                parameters=selected,
                dtype=dtype,
                rows=batch.rows,
                sequence=batch.sequence,
                weights=gib(found.weights),
                gradients=gib(found.gradients),
                optimiser=0,
                tangents=gib(found.tangents),
                activations=gib(found.activations),
                krylov=gib(found.kept),
                total=gib(found.total),
            )


def _asked(params: JsonObject) -> CurvatureSpec:
    known = {name: params[name] for name in CurvatureSpec.model_fields if name in params}
    return CurvatureSpec.model_validate(known)


def _use(asked: str, way: str) -> Literal["asked for", "where memory is short", "for comparison"]:
    if asked == way or (asked, way) == ("auto", "exact"):
        return "asked for"
    return "where memory is short" if (asked, way) == ("auto", "layered") else "for comparison"


def _subsets(
    stage: PlannedStage, before: PlannedStage, shape: ModelShape
) -> Iterator[tuple[str, int]]:
    """(name, how many) of the stage's own parameters, then of those to compare with. Which weights
    prefixes name is known once the model is loaded: they are counted as all."""
    subset = stage.params["subset"]
    assert isinstance(subset, dict)
    kind, names = subset["kind"], subset.get("names")
    wanted = list(map(str, names)) if isinstance(names, list) else []
    everything = ("all weights", shape.parameters)
    if kind == "all":
        yield everything
        default = LoraParams()
        count = target_count(shape, ["all-linear"], default.rank)
        assert count is not None
        yield f"LoRA factors of rank {default.rank}", count
        return
    if kind == "prefixes":
        yield "weights under prefixes, at most", shape.parameters
        return
    own = (
        factor_count(shape, before.params)
        if kind == "factors"
        else target_count(shape, wanted, None)
    )
    if own is not None:
        yield "LoRA factors" if kind == "factors" else "weights of LoRA's targets", own
    yield everything
