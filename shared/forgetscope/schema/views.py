"""What the API answers."""

from typing import Generic, Literal, TypeVar

from pydantic import Field, JsonValue

from forgetscope.schema.base import Digest, JsonObject, StageKey, Value
from forgetscope.schema.example import Split
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import Queue, StageKind, StageLabel
from forgetscope.schema.stage import ExperimentState, Failure, Manifest, Progress, StageState

__all__ = [
    "ArtifactView",
    "AttemptView",
    "CatalogueView",
    "ComponentView",
    "DatasetFormat",
    "DatasetView",
    "EventType",
    "EventView",
    "ExperimentSummary",
    "ExperimentView",
    "Health",
    "Page",
    "Problem",
    "ProblemItem",
    "RunView",
    "StageDetail",
    "StageView",
    "Submitted",
    "TaskView",
]

T = TypeVar("T")

DatasetFormat = Literal["jsonl", "parquet"]

EventType = Literal[
    "experiment.submitted",
    "experiment.running",
    "experiment.succeeded",
    "experiment.failed",
    "experiment.cancelling",
    "experiment.cancelled",
    "experiment.retried",
    "audit.submitted",
    "audit.running",
    "audit.succeeded",
    "audit.failed",
    "audit.cancelling",
    "audit.cancelled",
    "audit.retried",
    "stage.ready",
    "stage.running",
    "stage.progress",
    "stage.breach",
    "stage.succeeded",
    "stage.retrying",
    "stage.failed",
    "stage.skipped",
    "stage.cancelled",
]


class Page(Value, Generic[T]):
    """One page of a list. Pass `next_cursor` as `cursor` to go on; it is null on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None = None


class ExperimentSummary(Value):
    """An experiment in a list."""

    id: str
    name: str
    state: ExperimentState
    created_at: float = Field(description="seconds since 1970, UTC")
    finished_at: float | None = None
    stages: dict[StageState, int] = Field(description="number of stages in each state")


class RunView(ExperimentSummary):
    """What experiments and audits have in common. `eta_seconds` is absent, with the reason, until
    it can be estimated."""

    engine: str
    engine_reason: str
    notes: tuple[str, ...] = ()
    eta_seconds: float | None = None
    eta_basis: str
    failures: dict[StageKey, Failure] = {}
    last_event: int = Field(
        description="id of the latest event in this view: follow its events `after` it"
    )
    links: dict[str, str]


class ExperimentView(RunView):
    """One experiment. `eta_seconds` is absent, with the reason, until it can be estimated."""

    spec: ExperimentSpec


class Submitted(Value):
    """Answer to a submission; the same when it is repeated with the same Idempotency-Key."""

    id: str
    links: dict[str, str]


class StageView(Value):
    """A stage as an experiment sees it."""

    key: StageKey
    kind: StageKind
    queue: Queue
    state: StageState
    label: StageLabel
    inputs: dict[str, StageKey]
    attempt: int
    progress: Progress | None = None
    failure: Failure | None = None
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None


class AttemptView(Value):
    """One try at a stage."""

    attempt: int
    worker: str
    started_at: float
    finished_at: float | None = None
    outcome: Literal["running", "succeeded", "failed", "lost", "cancelled", "released"]
    failure: Failure | None = None
    log_tail: str = ""


class StageDetail(StageView):
    """A stage with what it is made of, its attempts and its files."""

    params: JsonObject
    attempts: tuple[AttemptView, ...]
    manifest: Manifest | None = None


class EventView(Value):
    """Something that happened in an experiment or audit; `id` counts from 1 within it, without
    gaps."""

    id: int
    type: EventType
    at: float
    stage: StageKey | None = None
    data: JsonObject = {}


class ArtifactView(Value):
    """A file that a stage of the experiment left behind."""

    stage: StageKey
    kind: StageKind
    label: StageLabel
    path: str
    digest: str
    size: int
    media_type: str
    href: str


class TaskView(Value):
    """A task of the catalogue: built in, or registered by its users."""

    name: str
    kind: Literal["safety", "capability"]
    summary: str
    licence: str
    citation: str
    chance: float | None = Field(description="accuracy of guessing; null where there is none")
    groups: tuple[str, ...]
    sizes: dict[Split, int] = Field(
        default={}, description="examples in each split with default parameters, where known"
    )
    notes: tuple[str, ...] = ()
    registered: bool = Field(default=False, description="not built in, but registered here")
    definition: JsonObject | None = Field(default=None, description="of a registered task")
    params_schema: JsonObject


class DatasetView(Value):
    """An uploaded data set: immutable bytes under their sha256."""

    digest: Digest = Field(description="sha256 of the bytes, as hex")
    name: str = Field(description="that of its first upload")
    format: DatasetFormat
    size: int = Field(description="bytes")
    rows: int
    columns: dict[str, str] = Field(
        description="kind of value in each column: string, integer, number, boolean, array or "
        "object, with `or null` where a row has none; null for a column without any value"
    )
    created_at: float = Field(description="seconds since 1970, UTC")
    links: dict[str, str]


class ComponentView(Value):
    """A component that a specification can choose by name."""

    name: str
    summary: str
    params_schema: JsonObject


class CatalogueView(Value):
    """What a specification can choose from."""

    methods: tuple[ComponentView, ...]
    engines: tuple[ComponentView, ...]


class ProblemItem(Value):
    """One fault of the input: `pointer` is a JSON pointer into the body."""

    pointer: str
    detail: str


class Problem(Value):
    """RFC 9457 problem. `type` is stable; `errors` lists every fault found."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    hint: str | None = None
    errors: tuple[ProblemItem, ...] = ()


class Health(Value):
    """Whether the gateway lives, and whether its components answer."""

    status: Literal["ok", "degraded"]
    version: str
    wiring: str
    components: dict[str, JsonValue] = {}
