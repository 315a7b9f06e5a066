"""`SqlRecords`: the records port, one transaction a method."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from sqlalchemy import text

from forgetscope.adapters.sql import blobs, endings, experiments, queries, work
from forgetscope.adapters.sql.transactions import Transactions
from forgetscope.ports.records import (
    AuditRow,
    Bell,
    Claim,
    Directive,
    ExperimentRow,
    Finish,
    KindRate,
    StageRecord,
    Sweep,
)
from forgetscope.schema.audit import AuditSpec
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

__all__ = ["SqlRecords"]

T = TypeVar("T")


class SqlRecords(Transactions):
    """`forgetscope.ports.records.Records`; documented there."""

    # Experiments ------------------------------------------------------------------------------

    def add_experiment(
        self,
        experiment_id: str,
        spec: ExperimentSpec | AuditSpec,
        plan: Plan,
        *,
        idempotency_key: str | None = None,
        request_digest: str,
    ) -> tuple[str, bool, tuple[Bell, ...]]:
        return self._change(
            lambda c, now: experiments.add(
                c,
                now,
                experiment_id,
                spec=spec,
                plan=plan,
                idempotency_key=idempotency_key,
                request_digest=request_digest,
            )
        )

    def experiment(self, experiment_id: str) -> ExperimentRow:
        return self._read(lambda c: queries.experiment(c, experiment_id))

    def audit(self, audit_id: str) -> AuditRow:
        return self._read(lambda c: queries.audit(c, audit_id))

    def state(self, experiment_id: str, *, kind: RunKind | None = None) -> ExperimentState:
        return self._read(lambda c: queries.state(c, experiment_id, kind))

    def experiments(
        self, *, state: ExperimentState | None, name: str | None, cursor: str | None, limit: int
    ) -> Page[ExperimentRow]:
        return self._read(
            lambda c: queries.experiment_page(c, state=state, name=name, cursor=cursor, limit=limit)
        )

    def audits(
        self, *, state: ExperimentState | None, name: str | None, cursor: str | None, limit: int
    ) -> Page[AuditRow]:
        return self._read(
            lambda c: queries.audit_page(c, state=state, name=name, cursor=cursor, limit=limit)
        )

    def cancel_experiment(self, experiment_id: str) -> None:
        self._change(lambda c, now: experiments.cancel(c, now, experiment_id))

    def retry_experiment(self, experiment_id: str) -> tuple[Bell, ...]:
        return self._change(lambda c, now: experiments.retry(c, now, experiment_id))

    def delete_experiment(self, experiment_id: str) -> None:
        self._change(lambda c, _: experiments.forget(c, experiment_id))

    # Stages as experiments see them -------------------------------------------------------------

    def stages(
        self,
        experiment_id: str,
        *,
        kind: StageKind | None,
        state: StageState | None,
        cursor: str | None,
        limit: int,
    ) -> Page[StageView]:
        return self._read(
            lambda c: queries.stage_page(
                c, experiment_id, kind=kind, state=state, cursor=cursor, limit=limit
            )
        )

    def stage_view(self, experiment_id: str, key: str) -> StageView:
        return self._read(lambda c: queries.stage_view(c, experiment_id, key))

    def stage(self, key: str) -> StageRecord:
        return self._read(lambda c: queries.stage(c, key))

    def attempts(self, key: str) -> tuple[AttemptView, ...]:
        return self._read(lambda c: queries.attempts_of(c, key))

    def manifests(self, experiment_id: str) -> Sequence[tuple[StageView, Manifest]]:
        return self._read(lambda c: queries.manifests(c, experiment_id))

    def finished(self, keys: Iterable[str]) -> frozenset[str]:
        wanted = list(keys)
        return self._read(lambda c: queries.finished(c, wanted))

    def rates(self, experiment_id: str) -> tuple[KindRate, ...]:
        return self._read(lambda c: queries.rates(c, experiment_id))

    def rates_of_base(self, base: str) -> tuple[KindRate, ...]:
        return self._read(lambda c: queries.rates_of_base(c, base))

    def remaining(self, experiment_id: str) -> Sequence[tuple[StageKind, Queue, int, float]]:
        return self._read(lambda c: queries.remaining(c, experiment_id))

    # Events -------------------------------------------------------------------------------------

    def events(self, experiment_id: str, *, after: int, limit: int) -> tuple[EventView, ...]:
        return self._read(lambda c: queries.events_after(c, experiment_id, after, limit))

    # Work ---------------------------------------------------------------------------------------

    def claim(
        self, queue: Queue, worker: str, *, lease_seconds: float, prefer_base: str | None = None
    ) -> Claim | None:
        if not self._read(lambda c: work.any_ready(c, queue)):
            return None
        return self._touch(
            lambda c, now: work.claim(
                c, now, queue, worker, lease_seconds=lease_seconds, prefer_base=prefer_base
            )
        )

    def heartbeat(
        self, key: str, attempt: int, *, lease_seconds: float, progress: Progress | None
    ) -> Directive:
        return self._touch(
            lambda c, now: work.heartbeat(
                c, now, key, attempt, lease_seconds=lease_seconds, progress=progress
            )
        )

    def breach(self, key: str, attempt: int, breach: Breach) -> bool:
        return self._change(lambda c, now: work.breach(c, now, key, attempt, breach=breach))

    def save_resume(self, key: str, attempt: int, manifest: Manifest) -> bool:
        return self._change(lambda c, _: endings.save_resume(c, key, attempt, manifest))

    def finish(self, key: str, attempt: int, manifest: Manifest, *, log_tail: str) -> Finish:
        return self._change(
            lambda c, now: endings.finish(
                c, now, key, attempt, manifest=manifest, log_tail=log_tail
            )
        )

    def fail(
        self, key: str, attempt: int, failure: Failure, *, log_tail: str, max_attempts: int
    ) -> tuple[Bell, ...]:
        return self._change(
            lambda c, now: endings.fail(
                c, now, key, attempt, failure=failure, log_tail=log_tail, max_attempts=max_attempts
            )
        )

    def cancelled(self, key: str, attempt: int, *, log_tail: str) -> None:
        self._change(lambda c, now: endings.cancelled(c, now, key, attempt, log_tail))

    def release(self, key: str, attempt: int) -> tuple[Bell, ...]:
        return self._change(lambda c, now: endings.release(c, now, key, attempt))

    def sweep(self, *, max_attempts: int, ring_after_seconds: float) -> Sweep:
        return self._change(lambda c, now: endings.sweep(c, now, max_attempts, ring_after_seconds))

    # Blobs --------------------------------------------------------------------------------------

    def blob(self, digest: str) -> BlobRef:
        return self._read(lambda c: blobs.blob(c, digest))

    def garbage(self, limit: int) -> tuple[str, ...]:
        return self._touch(lambda c, now: blobs.taken(c, now, limit))

    def collected(self, digests: Iterable[str]) -> None:
        gone = list(digests)
        self._change(lambda c, now: blobs.collected(c, now, gone))

    # Whole --------------------------------------------------------------------------------------

    def ping(self) -> None:
        self._read(lambda c: c.execute(text("SELECT 1")).one())
