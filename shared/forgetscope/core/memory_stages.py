"""What the trainer's stages of a plan need of memory. Pure."""

import math
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from forgetscope.core.facts import TaskFacts
from forgetscope.core.memory import DEFAULT_BATCH_TOKENS, PRODUCT_SHARE
from forgetscope.core.memory_training import (
    TrainingMemory,
    estimate_fisher,
    estimate_merge,
    estimate_selection,
    estimate_training,
)
from forgetscope.core.methods import LoraParams, OsfParams
from forgetscope.core.mitigations import MITIGATIONS, SELECTIONS
from forgetscope.core.model_shape import ModelShape, target_count, weights_of
from forgetscope.schema.base import JsonObject
from forgetscope.schema.plan import PlannedStage, StageMemory

__all__ = ["Batch", "dtype_of", "factor_count", "gib", "product_batch", "trainer_memory"]

_OVER = {"full": "all weights", "lora": "LoRA factors", "osf": "OSF's free directions"}


class Batch(NamedTuple):
    """A micro-batch, by its size."""

    rows: int
    sequence: int
    answer_tokens: int


def trainer_memory(
    stage: PlannedStage,
    by_key: Mapping[str, PlannedStage],
    shape: ModelShape,
    tasks: Mapping[str, TaskFacts],
) -> Iterator[StageMemory]:
    """The row of a stage that trains, merges, orders examples or measures Fisher information; none
    for other kinds, for orders that need no model, and for modules of unknown names."""
    if stage.kind == "train":
        yield from _training(stage, shape, tasks[str(stage.label.task)])
    elif stage.kind == "merge":
        adapters = sum(_adapted(stage, by_key, role) for role in ("checkpoint", "other"))
        found = estimate_merge(shape, adapters=adapters)
        yield _row(stage, found, "merge", Batch(1, 1, 1), parameters=shape.parameters)
    elif stage.kind == "select":
        yield from _selection(stage, by_key, shape, tasks[str(stage.label.task)])
    elif stage.kind == "fisher":
        yield from _fisher(stage, shape, tasks[str(stage.label.task)])


def _training(stage: PlannedStage, shape: ModelShape, task: TaskFacts) -> Iterator[StageMemory]:
    params, method = stage.params, str(stage.params["method"])
    counted = _trained(shape, params)
    if counted is None:
        return
    trained, frozen = counted
    batch, dtype = _step_batch(params, task), dtype_of(params)
    name = params.get("mitigation")
    found = estimate_training(
        shape,
        trained=trained,
        dtype=dtype,
        rows=batch.rows,
        sequence=batch.sequence,
        answer_tokens=batch.answer_tokens,
        eager=params["attention"] == "eager",
        checkpointing=bool(params["gradient_checkpointing"]),
        held=0 if name is None else MITIGATIONS.get(str(name)).copies,
        frozen=frozen,
        osf=method == "osf",
    )
    row = _row(stage, found, method, batch, parameters=trained, over=_OVER[method])
    mitigation = None if name is None else str(name)
    yield row.model_copy(update={"dtype": dtype, "mitigation": mitigation})


def _fisher(stage: PlannedStage, shape: ModelShape, task: TaskFacts) -> Iterator[StageMemory]:
    params, method = stage.params, str(stage.params["method"])
    counted = _trained(shape, params)
    if counted is None:
        return
    batch = Batch(1, min(_longest(task), _whole(params["max_length"])), _answer(task))
    found = estimate_fisher(
        shape,
        trained=counted[0],
        sequence=batch.sequence,
        answer_tokens=batch.answer_tokens,
        eager=params["attention"] == "eager",
    )
    yield _row(stage, found, method, batch, parameters=counted[0], over=_OVER[method])


def _selection(
    stage: PlannedStage,
    by_key: Mapping[str, PlannedStage],
    shape: ModelShape,
    task: TaskFacts,
) -> Iterator[StageMemory]:
    selection = SELECTIONS.get(str(stage.params["selection"]))
    if not selection.compares:
        return
    batch = product_batch(stage.params, task)
    found = estimate_selection(
        shape,
        gradients=selection.gradients,
        adapted=any(_adapted(stage, by_key, role) for role in ("checkpoint", "reference")),
        rows=batch.rows,
        sequence=batch.sequence,
        answer_tokens=batch.answer_tokens,
    )
    yield _row(stage, found, selection.name, batch, parameters=shape.parameters)


def _row(
    stage: PlannedStage,
    found: TrainingMemory,
    way: str,
    batch: Batch,
    *,
    parameters: int,
    over: str = "all weights",
) -> StageMemory:
    return StageMemory.model_validate(
        {
            "kind": stage.kind,
            "stage": stage.label.title,
            "way": way,
            "use": "asked for",
            "over": over,
            "parameters": parameters,
            "dtype": "float32",
            "rows": batch.rows,
            "sequence": batch.sequence,
            "tangents": 0,
            "krylov": 0,
            **{part: gib(size) for part, size in found._asdict().items()},
        }
    )


def _trained(shape: ModelShape, params: JsonObject) -> tuple[int, int] | None:
    """Parameters that a training of these `params` moves, and those it adds and leaves alone; None
    for modules of other names."""
    if params["method"] == "lora":
        factors = factor_count(shape, params)
        return None if factors is None else (factors, 0)
    if params["method"] == "osf":
        return _osf_counts(shape, OsfParams.model_validate(params["method_params"]))
    return shape.parameters, 0


def factor_count(shape: ModelShape, params: JsonObject) -> int | None:
    """Parameters of the adapter that a training stage makes; None for modules of other names."""
    lora = LoraParams.model_validate(params["method_params"])
    targets = lora.target_modules
    return target_count(shape, [targets] if isinstance(targets, str) else targets, lora.rank)


def _osf_counts(shape: ModelShape, osf: OsfParams) -> tuple[int, int] | None:
    """Of each target [outputs, inputs] with r free directions: r·(outputs + inputs + 1) trained,
    their start, and of the longer side the kept directions."""
    weights = weights_of(shape)
    chosen = osf.target_modules
    wanted = list(weights) if chosen == "all-linear" else list(dict.fromkeys(chosen))
    if not set(wanted) <= weights.keys():
        return None
    trained = kept = 0
    for outputs, inputs in (weights[name] for name in wanted):
        least, most = sorted((outputs, inputs))
        rank = osf.effective_rank
        high = rank if isinstance(rank, int) else int(rank * least)
        trained += max(0, least - high) * (outputs + inputs + 1)
        kept += 0 if least == most else min(high, least) * most
    return shape.layers * trained, shape.layers * (trained + kept)


def _adapted(stage: PlannedStage, by_key: Mapping[str, PlannedStage], role: str) -> bool:
    """Whether this input is an adapter."""
    return by_key[stage.inputs[role]].params.get("method") == "lora"


def _step_batch(params: JsonObject, task: TaskFacts) -> Batch:
    most = _whole(params["max_length"])
    size = _whole(params["batch_size"])
    rows = min(_whole(params["micro_batch_size"]), size)
    if params["batching"] != "packed":
        return Batch(rows, min(_longest(task), most), rows * _answer(task))
    needed = math.ceil(size * task.tokens_per_example / most)
    return Batch(max(1, min(rows, needed)), most, size * _answer(task))


def product_batch(params: JsonObject, task: TaskFacts) -> Batch:
    """Rows that see a model for a product or for a loss: a fixed number of tokens, or one row."""
    sequence = min(_longest(task), _whole(params["max_length"]))
    rows = max(1, DEFAULT_BATCH_TOKENS // PRODUCT_SHARE // sequence)
    if "examples" in params:
        rows = min(rows, _whole(params["examples"]))
    return Batch(rows, sequence, rows * _answer(task))


def _longest(task: TaskFacts) -> int:
    return max(1, task.longest_tokens or math.ceil(task.tokens_per_example))


def _answer(task: TaskFacts) -> int:
    return max(1, task.longest_answer_tokens)


def _whole(value: object) -> int:
    return int(str(value))


def dtype_of(params: JsonObject) -> Literal["float32", "bfloat16"]:
    """Of the arithmetic."""
    return "bfloat16" if params.get("dtype") == "bfloat16" else "float32"


def gib(size: int) -> float:
    return round(size / 2**30, 3)
