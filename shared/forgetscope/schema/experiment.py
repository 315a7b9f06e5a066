"""What a user submits: the specification of an experiment."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from forgetscope.schema.base import Slug, Text, Value
from forgetscope.schema.curvature import CurvatureSpec
from forgetscope.schema.mechanisms import MechanismsSpec
from forgetscope.schema.noise import NoiseSpec
from forgetscope.schema.steps import Step, WrittenElement
from forgetscope.schema.training import Choice, StageOverride, TrainingSpec, TrainingValues

__all__ = [
    "AnalysisSpec",
    "BuiltinJudge",
    "BuiltinModel",
    "ChainGenerator",
    "Choice",
    "EvaluationSpec",
    "ExperimentSpec",
    "HubJudge",
    "HubModel",
    "JudgeRef",
    "LocalJudge",
    "LocalModel",
    "ModelRef",
    "S3Model",
    "ScoredTask",
    "ScoredTaskEntry",
    "ScoringSpec",
    "StageOverride",
    "TaskEntry",
    "TaskUse",
    "TrainingSpec",
    "TrainingValues",
]


def _task_from_name(value: object) -> object:
    return {"id": value, "name": value} if isinstance(value, str) else value


def _task_with_id(value: object) -> object:
    value = _task_from_name(value)
    if isinstance(value, dict) and "id" not in value and "name" in value:
        value = {"id": value["name"], **value}
    return value


class BuiltinModel(Value):
    """A tiny model that the platform makes itself; needs no network."""

    source: Literal["builtin"] = "builtin"
    name: Slug = "tiny"


def _as_the_hub_names(value: str) -> str:
    """The hub's own rules, without which its library raises where nobody expects it."""
    for part in value.split("/"):
        if len(part) > MAX_HUB_NAME or part[-1] in "-." or "--" in part or ".." in part:
            raise ValueError(
                f"the hub has no such names: each part has at most {MAX_HUB_NAME} characters, does "
                "not end with a hyphen or a dot, and has none of them twice in a row"
            )
    if value.endswith(".git") or not value.isascii():
        raise ValueError("the hub has no names that end with .git, or are not ASCII")
    return value


MAX_HUB_NAME = 96
HubId = Annotated[
    Text,
    Field(max_length=96, pattern=r"^\w[\w.-]*(/\w[\w.-]*)?$"),
    AfterValidator(_as_the_hub_names),
]


class HubModel(Value):
    """A model of the Hugging Face hub at one commit; code in the repository is never run."""

    source: Literal["hub"]
    id: HubId
    revision: Annotated[
        str, Field(pattern=r"^[0-9a-f]{40}$", description="full commit hash, so that it is pinned")
    ]


class LocalModel(Value):
    """A folder in transformers layout below one of the server's allowed roots."""

    source: Literal["local"]
    path: Text
    adapter: Text | None = Field(default=None, description="folder of a LoRA adapter for it")


class S3Model(Value):
    """A folder in transformers layout in the platform's object store."""

    source: Literal["s3"]
    uri: Annotated[Text, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+$")]


ModelRef = Annotated[BuiltinModel | HubModel | LocalModel | S3Model, Field(discriminator="source")]


class BuiltinJudge(Value):
    """A safety classifier that the platform trains itself, on the local DiaSafety and ToxiGen
    files; needs no network."""

    source: Literal["builtin"] = "builtin"
    name: Slug = "dialogue-safety"


class HubJudge(Value):
    """A text classification model of the Hugging Face hub at one commit."""

    source: Literal["hub"]
    id: HubId
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$", description="full commit hash")]
    safe_label: Annotated[
        Text, Field(min_length=1, description="the label, among those of its config, for safe")
    ]


class LocalJudge(Value):
    """A text classification model in a folder below one of the server's allowed roots."""

    source: Literal["local"]
    path: Text
    safe_label: Annotated[
        Text, Field(min_length=1, description="the label, among those of its config, for safe")
    ]


JudgeRef = Annotated[BuiltinJudge | HubJudge | LocalJudge, Field(discriminator="source")]


class ScoredTask(Value):
    """A task of the catalogue under an id of its own (by default its name), to be scored only."""

    model_config = ConfigDict(json_schema_extra={"required": ["name"]})

    id: Slug
    name: Slug
    params: dict[str, JsonValue] = {}
    evaluation_examples: int | None = Field(
        default=None, ge=1, le=1_000_000, description="all of the evaluation split when absent"
    )
    balance: Literal["classes", "groups"] = Field(
        default="classes",
        description="what a sample is balanced over: the task's classes, or its groups, too",
    )


class TaskUse(ScoredTask):
    """A task of the catalogue under an id of its own (by default its name), with parameters and
    sizes."""

    train_examples: int = Field(default=2261, ge=1, le=1_000_000, description="METHOD.md: 2261")


TaskEntry = Annotated[
    TaskUse, BeforeValidator(_task_with_id, json_schema_input_type=Slug | TaskUse)
]
"""A task of a list: a use, or just its name."""

ScoredTaskEntry = Annotated[
    ScoredTask, BeforeValidator(_task_with_id, json_schema_input_type=Slug | ScoredTask)
]
"""A task of a list that is scored only: a use, or just its name."""


Chain = Annotated[tuple[WrittenElement, ...], Field(min_length=1, max_length=16)]
Pattern = Chain


class ChainGenerator(Value):
    """Chains by rule instead of by list."""

    generate: Literal["safety_capability_pairs", "all_ordered_pairs"]
    orders: Literal["both", "safety_first", "capability_first"] = Field(
        default="both", description="for safety_capability_pairs"
    )
    patterns: tuple[Pattern, ...] = Field(
        default=(("first", "second"),),
        min_length=1,
        max_length=64,
        description="what each pair becomes: `first` and `second` are its tasks, also as "
        "first:step; others are steps",
    )


class ScoringSpec(Value):
    """How models are scored. `auto` takes vLLM on a GPU or for a large model."""

    engine: Literal["auto", "transformers", "vllm"] = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"
    max_length: int = Field(default=1024, ge=8, le=1_048_576)
    judge: JudgeRef = Field(
        default=BuiltinJudge(), description="scores generated replies, for tasks that ask for it"
    )
    noise_floor: NoiseSpec | None = Field(
        default=NoiseSpec(), description="null: not measured, so that no margin is held against it"
    )


class EvaluationSpec(ScoringSpec):
    """How every stage is scored. `auto` takes vLLM on a GPU or for a large model."""

    base_model: bool = Field(default=True, description="score the untuned base model, too")


class AnalysisSpec(Value):
    """Paired cluster bootstrap, verdicts, and the smallest group that is judged (METHOD.md sections
    3, 4).

    The margins of five points are our own choice. So is the interval: at 6 clusters, one of 95 %
    covered the truth in 95 % of simulated studies when expanded, in 84 % as plain percentile
    interval and in 82 % as BCa interval (docs/validation.md).
    """

    bootstrap_replicates: int = Field(default=2000, ge=100, le=100_000)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    min_group_items: int = Field(default=30, ge=1)
    min_group_clusters: int = Field(default=5, ge=1)
    forgetting_margin: float = Field(
        default=0.05, gt=0, lt=1, description="forgetting of a task above it is a breach"
    )
    biased_margin: float = Field(
        default=0.05, gt=0, lt=1, description="biased forgetting of a group above it is a breach"
    )
    interval: Literal["expanded", "percentile", "bca"] = Field(
        default="expanded", description="BBQ's bias scores take expanded for bca"
    )
    correction: Literal["max_t", "holm"] = Field(
        default="max_t", description="how looking at many groups of a task is corrected for"
    )
    show_texts: bool = Field(
        default=False,
        description="put the texts of lost and gained items into the report; they may offend",
    )


class ExperimentSpec(Value):
    """One base model, some tasks, chains over them, seeds: what to train, score and compare."""

    name: Annotated[Text, Field(min_length=1, max_length=200)] = "experiment"
    model: ModelRef = BuiltinModel()
    tasks: tuple[TaskEntry, ...] = Field(min_length=1, max_length=64)
    chains: Annotated[tuple[Chain, ...], Field(json_schema_extra={"minItems": 1})] | ChainGenerator
    steps: dict[Slug, Step] = Field(
        default={}, max_length=64, description="stages that are more than plain training"
    )
    training: TrainingSpec = TrainingSpec()
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(
        default=(0,), min_length=1, max_length=100
    )
    evaluation: EvaluationSpec = EvaluationSpec()
    analysis: AnalysisSpec = AnalysisSpec()
    curvature: CurvatureSpec | None = None
    mechanisms: MechanismsSpec | None = None

    @model_validator(mode="after")
    def _names_agree(self) -> "ExperimentSpec":
        ids = [t.id for t in self.tasks]
        _refuse_twins("tasks", ids)
        _refuse_twins("seeds", list(self.seeds))
        if isinstance(self.chains, tuple):
            if not self.chains:
                raise ValueError("chains: at least one chain is needed")
            _refuse_twins("chains", [" → ".join(c) for c in self.chains])
        for override in self.training.overrides:
            if override.task is not None and override.task not in ids:
                raise ValueError(
                    f"training.overrides: {override.task!r} is not among the tasks {ids}"
                )
        return self


def _refuse_twins(what: str, items: list[Any]) -> None:
    twins = sorted({str(i) for i in items if items.count(i) > 1})
    if twins:
        raise ValueError(f"{what}: {', '.join(twins)} stands there more than once")
