"""The records: the one truth about experiments, audits, stages and events.

An audit is recorded like an experiment: what is said of one by its id is true of the other, too,
unless the method says otherwise.

Every method is one transaction. Methods that change a stage are fenced: they take the attempt
number that `claim` gave out and do nothing when the stage has moved on since. Time is the
database's own clock, so that workers with skewed clocks agree about leases.

Raises `Unavailable` when the database does not answer; driver errors never leave the adapter.
"""

from collections.abc import Iterable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from forgetscope.schema.audit import AuditSpec
from forgetscope.schema.base import JsonObject
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import Plan, Queue, StageKind
from forgetscope.schema.stage import (
    BlobRef,
    Breach,
    ExperimentState,
    Failure,
    Manifest,
    Progress,
    RunKind,
    StageState,
)
from forgetscope.schema.views import AttemptView, EventView, Page, StageView

__all__ = [
    "AuditRow",
    "Bell",
    "Claim",
    "Directive",
    "ExperimentRow",
    "Finish",
    "KindRate",
    "Records",
    "RunRow",
    "StageRecord",
    "Sweep",
]


class Bell(NamedTuple):
    """A stage that became ready: ring its queue after the transaction is committed."""

    queue: Queue
    key: str


S = TypeVar("S", ExperimentSpec, AuditSpec)


class RunRow(NamedTuple, Generic[S]):
    """An experiment or audit as recorded. `stages` counts its stages by state; `last_event` is the
    id of its latest event when it was read."""

    id: str
    name: str
    state: ExperimentState
    spec: S
    engine: str
    engine_reason: str
    notes: tuple[str, ...]
    created_at: float
    finished_at: float | None
    stages: dict[StageState, int]
    last_event: int


ExperimentRow = RunRow[ExperimentSpec]
AuditRow = RunRow[AuditSpec]


class StageRecord(NamedTuple):
    """Everything recorded about one stage, independent of any experiment."""

    key: str
    kind: StageKind
    queue: Queue
    state: StageState
    params: JsonObject
    inputs: dict[str, str]
    attempt: int
    progress: Progress | None
    failure: Failure | None
    manifest: Manifest | None
    created_at: float
    started_at: float | None
    finished_at: float | None


class Claim(NamedTuple):
    """The right to run one attempt of a stage until the lease ends.

    `inputs` maps each role to the manifest of the finished input stage; `resume` is what an
    earlier attempt saved, if anything.
    """

    key: str
    kind: StageKind
    params: JsonObject
    inputs: dict[str, Manifest]
    attempt: int
    resume: Manifest | None


class Directive(NamedTuple):
    """Answer to a heartbeat. `held` is false when the stage was taken away: stop at once."""

    held: bool
    cancel: bool


class Finish(NamedTuple):
    """Answer to the end of an attempt.

    `accepted` is false when the fence refused it (another attempt ended the stage).
    `put_again` names digests that are being collected as garbage: store them again after they
    are gone from the garbage list, then finish again.
    """

    accepted: bool
    bells: tuple[Bell, ...] = ()
    put_again: tuple[str, ...] = ()


class Sweep(NamedTuple):
    """What a sweep did: leases it ended, and every ready stage whose bell may have been lost."""

    lost: int
    bells: tuple[Bell, ...]


class KindRate(NamedTuple):
    """Seconds of work and tokens of finished stages of a kind: their ratio predicts others."""

    kind: StageKind
    stages: int
    seconds: float
    tokens: int


class Records(Protocol):
    """See the module's docstring."""

    # Experiments -----------------------------------------------------------------------------

    def add_experiment(
        self,
        experiment_id: str,
        spec: ExperimentSpec | AuditSpec,
        plan: Plan,
        *,
        idempotency_key: str | None = None,
        request_digest: str,
    ) -> tuple[str, bool, tuple[Bell, ...]]:
        """Record an experiment, or an audit, with its stages and edges.

        Stages that exist are shared; failed, skipped and cancelled ones are set back to pending
        with a fresh count of attempts, because somebody asked for them again. Stages without
        unfinished inputs become ready. Returns (id, created, bells); with a known
        `idempotency_key` the id of the earlier experiment and created=False.

        Raises IdempotencyConflict when that key was used with another `request_digest`;
        UnknownName when a stage reads an uploaded data set that is not in the library.
        """

    def experiment(self, experiment_id: str) -> ExperimentRow:
        """Raises NotFound, also for an audit."""

    def audit(self, audit_id: str) -> AuditRow:
        """Raises NotFound, also for an experiment."""

    def state(self, experiment_id: str, *, kind: RunKind | None = None) -> ExperimentState:
        """Raises NotFound, also for one of another kind than `kind`."""

    def experiments(
        self, *, state: ExperimentState | None, name: str | None, cursor: str | None, limit: int
    ) -> Page[ExperimentRow]:
        """Newest first. `name` selects by substring. Raises InvalidInput for a foreign cursor."""

    def audits(
        self, *, state: ExperimentState | None, name: str | None, cursor: str | None, limit: int
    ) -> Page[AuditRow]:
        """As `experiments`."""

    def cancel_experiment(self, experiment_id: str) -> None:
        """Stop what no other live experiment needs: waiting stages at once, running ones at their
        next heartbeat. Raises NotFound; Conflict when the experiment is over."""

    def retry_experiment(self, experiment_id: str) -> tuple[Bell, ...]:
        """Set failed, skipped and cancelled stages back to pending with fresh attempts.
        Raises NotFound; Conflict when nothing is there to retry."""

    def delete_experiment(self, experiment_id: str) -> None:
        """Forget an experiment that is over, and every stage that no other experiment uses; their
        blobs are listed as garbage unless a remaining stage names them.
        Raises NotFound; Conflict while it is live."""

    # Stages as experiments see them ----------------------------------------------------------

    def stages(
        self,
        experiment_id: str,
        *,
        kind: StageKind | None,
        state: StageState | None,
        cursor: str | None,
        limit: int,
    ) -> Page[StageView]:
        """In plan order. Raises NotFound, InvalidInput."""

    def stage_view(self, experiment_id: str, key: str) -> StageView:
        """Raises NotFound."""

    def stage(self, key: str) -> StageRecord:
        """Raises NotFound."""

    def attempts(self, key: str) -> tuple[AttemptView, ...]:
        """First to last."""

    def manifests(self, experiment_id: str) -> Sequence[tuple[StageView, Manifest]]:
        """Finished stages of an experiment in plan order."""

    def finished(self, keys: Iterable[str]) -> frozenset[str]:
        """Those of the keys whose stage has succeeded."""

    def rates(self, experiment_id: str) -> tuple[KindRate, ...]:
        """Work done so far by kind in an experiment. Raises NotFound."""

    def rates_of_base(self, base: str) -> tuple[KindRate, ...]:
        """Work lately done by kind on the base model that this stage prepared, anywhere."""

    def remaining(self, experiment_id: str) -> Sequence[tuple[StageKind, Queue, int, float]]:
        """(kind, queue, tokens, fraction done) of each stage that still has to run."""

    # Events ----------------------------------------------------------------------------------

    def events(self, experiment_id: str, *, after: int, limit: int) -> tuple[EventView, ...]:
        """Events with id > after, in order. Raises NotFound."""

    # Work ------------------------------------------------------------------------------------

    def claim(
        self, queue: Queue, worker: str, *, lease_seconds: float, prefer_base: str | None = None
    ) -> Claim | None:
        """Take the ready stage that waited longest; among equals one whose `base` input is
        `prefer_base` first, so that a loaded model is used again. At most one caller gets it."""

    def heartbeat(
        self, key: str, attempt: int, *, lease_seconds: float, progress: Progress | None
    ) -> Directive:
        """Extend the lease and record progress."""

    def breach(self, key: str, attempt: int, breach: Breach) -> bool:
        """Tell every experiment of the stage, once for each group. False when fenced off."""

    def save_resume(self, key: str, attempt: int, manifest: Manifest) -> bool:
        """Record a point to resume from. False when fenced off. Replaced points are garbage."""

    def finish(self, key: str, attempt: int, manifest: Manifest, *, log_tail: str) -> Finish:
        """End the attempt well: manifest, blobs, dependants and events in one transaction."""

    def fail(
        self, key: str, attempt: int, failure: Failure, *, log_tail: str, max_attempts: int
    ) -> tuple[Bell, ...]:
        """End the attempt badly. Ready again while attempts are left and the failure is not
        permanent; else failed, and everything that depends on it is skipped."""

    def cancelled(self, key: str, attempt: int, *, log_tail: str) -> None:
        """End the attempt because it was cancelled."""

    def release(self, key: str, attempt: int) -> tuple[Bell, ...]:
        """Give a claimed stage back unharmed (the worker shuts down); the attempt is not counted
        against it."""

    def sweep(self, *, max_attempts: int, ring_after_seconds: float) -> Sweep:
        """End leases that ran out (a lost worker), promote what was forgotten, name the bells."""

    # Blobs -----------------------------------------------------------------------------------

    def blob(self, digest: str) -> BlobRef:
        """Raises NotFound."""

    def garbage(self, limit: int) -> tuple[str, ...]:
        """Digests that no manifest names any more, for one collector: others do not get them
        for a quarter of an hour."""

    def collected(self, digests: Iterable[str]) -> None:
        """The store has deleted these."""

    # Whole -----------------------------------------------------------------------------------

    def ping(self) -> None:
        """Raises Unavailable."""
