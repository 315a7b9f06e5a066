"""The plan: a DAG of content-addressed stages, and what running it would mean."""

from typing import Literal

from pydantic import Field

from forgetscope.schema.base import JsonObject, StageKey, Value

__all__ = [
    "Compute",
    "Estimate",
    "Plan",
    "PlanView",
    "PlannedStage",
    "Queue",
    "StageKind",
    "StageLabel",
    "StageMemory",
]

StageKind = Literal[
    "prepare_model",
    "prepare_data",
    "prepare_judge",
    "train",
    "merge",
    "select",
    "fisher",
    "evaluate",
    "noise_floor",
    "curvature",
    "displacement",
    "drift",
    "analyse",
    "report",
    "audit",
]
Queue = Literal["train", "evaluate", "analyse"]


class StageLabel(Value):
    """What a stage is to one experiment, in words and in coordinates. Not part of its key."""

    title: str
    chain: tuple[str, ...] | None = Field(
        default=None, description="tasks trained up to here; empty for the base model"
    )
    seed: int | None = None
    task: str | None = None


class PlannedStage(Value):
    """A stage before it is run.

    `key` is the sha256 of kind, code version, `params` and `inputs`: equal key, same result.
    `tokens` estimates the work (prompt and answer tokens through the model, times passes).
    """

    key: StageKey
    kind: StageKind
    queue: Queue
    params: JsonObject
    inputs: dict[str, StageKey]
    label: StageLabel
    tokens: int = Field(ge=0)


class StageMemory(Value):
    """Estimated memory, in GiB (2^30 bytes), of the stage of its kind that needs most.

    `total` is the peak: not every part stands at its highest at the same time. Where there is a GPU
    the Krylov space stays on the host, and `total` less `krylov` is what the device needs.
    """

    kind: Literal["train", "merge", "select", "fisher", "curvature", "displacement"]
    stage: str = Field(description="its title")
    way: Literal[
        "full",
        "lora",
        "osf",
        "merge",
        "worst_group",
        "gradient_similarity",
        "exact",
        "layered",
        "finite_differences",
    ] = Field(
        description="tuning method, choice of examples, or how Hessian-vector products are made"
    )
    mitigation: str | None = Field(default=None, description="of the training")
    use: Literal["asked for", "where memory is short", "for comparison"]
    over: str = Field(description="the parameters that are trained or differentiated")
    parameters: int = Field(ge=1, description="how many these are")
    dtype: Literal["float32", "bfloat16"]
    rows: int = Field(ge=1, description="of a micro-batch")
    sequence: int = Field(ge=1, description="tokens of a row, from the longest example's letters")
    weights: float = Field(ge=0)
    gradients: float = Field(ge=0)
    optimiser: float = Field(ge=0)
    copies: float = Field(
        default=0, ge=0, description="what a mitigation, OSF or Fisher information keeps"
    )
    tangents: float = Field(ge=0, description="vectors and their products")
    activations: float = Field(ge=0, description="of a merge, the weight that is being merged")
    krylov: float = Field(ge=0, description="basis vectors")
    total: float = Field(ge=0)


class Plan(Value):
    """Stages in an order in which every input stands before its users."""

    stages: tuple[PlannedStage, ...]
    naive_trainings: int = Field(description="trainings if no prefix were shared")
    parameters: int | None = Field(default=None, description="of the base model, if known")
    engine: Literal["transformers", "vllm", "endpoint"]
    engine_reason: str
    notes: tuple[str, ...] = ()


class Estimate(Value):
    """Seconds with their basis, or none with the reason."""

    seconds: float | None
    basis: str


class Compute(Value):
    """Work of the stages to run, by count; both null where the size of the model is not known."""

    flops: float | None
    gpu_hours: float | None
    basis: str


class PlanView(Value):
    """Answer to a dry run."""

    stages: tuple[PlannedStage, ...]
    trainings: int
    naive_trainings: int
    shared: int = Field(description="stages that more than one chain uses, counted once")
    existing: int = Field(description="stages already done in earlier experiments")
    to_run: int
    by_kind: dict[str, int]
    tokens: int = Field(description="estimated tokens through the model, for stages to run")
    time: Estimate
    compute: Compute
    memory: tuple[StageMemory, ...] = Field(
        default=(), description="empty, with a note that says why, where it cannot be estimated"
    )
    engine: str
    engine_reason: str
    notes: tuple[str, ...] = ()
