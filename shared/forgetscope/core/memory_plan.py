"""What the stages of a plan need of memory, stated before any of them starts. Pure."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from forgetscope.core.curvature_plan import lanczos_steps
from forgetscope.core.facts import TaskFacts
from forgetscope.core.memory import (
    DEFAULT_BATCH_TOKENS,
    PRODUCT_SHARE,
    Method,
    estimate_stage,
    estimate_training,
)
from forgetscope.core.methods import LoraParams
from forgetscope.core.model_shape import ModelShape, target_count
from forgetscope.schema.base import JsonObject
from forgetscope.schema.plan import PlannedStage, StageMemory

__all__ = ["memory_note", "plan_memory"]

Way = Literal["exact", "layered", "finite_differences"]
_WAYS: dict[Way, Method] = {
    "exact": "exact",
    "layered": "layered",
    "finite_differences": "differences",
}
_DISPLACED_VECTORS = 2


class _Batch(NamedTuple):
    rows: int
    sequence: int
    answer_tokens: int


def plan_memory(
    stages: Sequence[PlannedStage], shape: ModelShape, tasks: Mapping[str, TaskFacts]
) -> tuple[StageMemory, ...]:
    """For each kind of stage, way and set of parameters: the stage that needs most.

    A curvature stage is given in every way to make products, and beside its own parameters over all
    weights, or over LoRA factors of the default rank where it is about all weights.
    """
    by_key = {stage.key: stage for stage in stages}
    largest: dict[tuple[str, ...], StageMemory] = {}
    for stage in stages:
        found: Iterable[StageMemory] = ()
        if stage.kind == "train":
            found = _training(stage, shape, tasks)
        elif stage.kind in ("curvature", "displacement"):
            found = _products(stage, by_key[stage.inputs["checkpoint"]], shape, tasks)
        for row in found:
            same = (row.kind, row.way, row.over, row.dtype, row.use)
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


def _training(
    stage: PlannedStage, shape: ModelShape, tasks: Mapping[str, TaskFacts]
) -> Iterator[StageMemory]:
    params = stage.params
    adapted = params["method"] == "lora"
    trained = _factors(shape, params) if adapted else shape.parameters
    if trained is None:
        return
    batch = _step_batch(params, tasks[str(stage.label.task)])
    dtype = _dtype(params)
    found = estimate_training(
        shape,
        trained=trained,
        dtype=dtype,
        rows=batch.rows,
        sequence=batch.sequence,
        answer_tokens=batch.answer_tokens,
        eager=params["attention"] == "eager",
        checkpointing=bool(params["gradient_checkpointing"]),
    )
    yield StageMemory(
        kind="train",
        stage=stage.label.title,
        way="lora" if adapted else "full",
        use="asked for",
        over="LoRA factors" if adapted else "all weights",
        parameters=trained,
        dtype=dtype,
        rows=batch.rows,
        sequence=batch.sequence,
        weights=_gib(found.weights),
        gradients=_gib(found.gradients),
        optimiser=_gib(found.optimiser),
        tangents=0,
        activations=_gib(found.activations),
        krylov=0,
        total=_gib(found.total),
    )


def _products(
    stage: PlannedStage,
    before: PlannedStage,
    shape: ModelShape,
    tasks: Mapping[str, TaskFacts],
) -> Iterator[StageMemory]:
    params, dtype = stage.params, _dtype(stage.params)
    asked = str(params["product"])
    batch = _product_batch(params, tasks[str(stage.label.task)])
    for own, (over, selected) in enumerate(_subsets(stage, before, shape)):
        if own > 0 and stage.kind == "displacement":
            return
        for way, method in _WAYS.items():
            if way == "finite_differences" and dtype == "bfloat16":
                continue
            vectors = _DISPLACED_VECTORS
            if stage.kind == "curvature":
                vectors = min(lanczos_steps(selected), int(str(params["max_iterations"])))
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
                weights=_gib(found.weights),
                gradients=_gib(found.gradients),
                optimiser=0,
                tangents=_gib(found.tangents),
                activations=_gib(found.activations),
                krylov=_gib(found.kept),
                total=_gib(found.total),
            )


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
    own = _factors(shape, before.params) if kind == "factors" else target_count(shape, wanted, None)
    if own is not None:
        yield "LoRA factors" if kind == "factors" else "weights of LoRA's targets", own
    yield everything


def _factors(shape: ModelShape, params: JsonObject) -> int | None:
    """Parameters of the adapter that a training stage makes; None for modules of other names."""
    lora = LoraParams.model_validate(params["method_params"])
    targets = lora.target_modules
    return target_count(shape, [targets] if isinstance(targets, str) else targets, lora.rank)


def _step_batch(params: JsonObject, task: TaskFacts) -> _Batch:
    most, longest = int(str(params["max_length"])), _longest(task)
    rows = min(int(str(params["micro_batch_size"])), int(str(params["batch_size"])))
    answer = max(1, task.longest_answer_tokens)
    if params["batching"] != "packed":
        return _Batch(rows, min(longest, most), rows * answer)
    answers = int(str(params["batch_size"])) * answer
    needed = math.ceil(int(str(params["batch_size"])) * task.tokens_per_example / most)
    return _Batch(max(1, min(rows, needed)), most, answers)


def _product_batch(params: JsonObject, task: TaskFacts) -> _Batch:
    sequence = min(_longest(task), int(str(params["max_length"])))
    fitting = DEFAULT_BATCH_TOKENS // PRODUCT_SHARE // sequence
    rows = max(1, min(fitting, int(str(params["examples"]))))
    return _Batch(rows, sequence, rows * max(1, task.longest_answer_tokens))


def _longest(task: TaskFacts) -> int:
    return max(1, task.longest_tokens or math.ceil(task.tokens_per_example))


def _dtype(params: JsonObject) -> Literal["float32", "bfloat16"]:
    return "bfloat16" if params.get("dtype") == "bfloat16" else "float32"


def _gib(size: int) -> float:
    return round(size / 2**30, 3)
