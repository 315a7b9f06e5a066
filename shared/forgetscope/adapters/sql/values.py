"""From rows to values, and the cursors of lists."""

import base64
import json
import math
from typing import Any, TypeVar

from sqlalchemy import Row

from forgetscope.ports.library import DatasetRow
from forgetscope.ports.records import AuditRow, ExperimentRow, RunRow, StageRecord
from forgetscope.schema.audit import AuditSpec
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import StageLabel
from forgetscope.schema.stage import Failure, Manifest, Progress
from forgetscope.schema.views import AttemptView, EventView, StageView

__all__ = [
    "attempt_view",
    "audit_row",
    "cursor_of",
    "dataset_cursor",
    "dataset_row",
    "event_view",
    "experiment_row",
    "position_cursor",
    "stage_record",
    "stage_view",
    "time_cursor",
]

S = TypeVar("S", ExperimentSpec, AuditSpec)


def experiment_row(row: Row[Any]) -> ExperimentRow:
    return _run_row(row, ExperimentSpec.model_validate(row.spec))


def audit_row(row: Row[Any]) -> AuditRow:
    return _run_row(row, AuditSpec.model_validate(row.spec))


def _run_row(row: Row[Any], spec: S) -> RunRow[S]:
    return RunRow(
        id=row.id,
        name=row.name,
        state=row.state,
        spec=spec,
        engine=row.engine,
        engine_reason=row.engine_reason,
        notes=tuple(row.notes),
        created_at=row.created_at,
        finished_at=row.finished_at,
        stages=row.counts,
        last_event=row.event_seq,
    )


def stage_record(row: Row[Any], inputs: dict[str, str]) -> StageRecord:
    return StageRecord(
        key=row.key,
        kind=row.kind,
        queue=row.queue,
        state=row.state,
        params=row.params,
        inputs=inputs,
        attempt=row.attempt,
        progress=progress(row.progress),
        failure=failure(row.failure),
        manifest=None if row.manifest is None else Manifest.model_validate(row.manifest),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def stage_view(row: Row[Any], inputs: dict[str, str]) -> StageView:
    return StageView(
        key=row.key,
        kind=row.kind,
        queue=row.queue,
        state=row.state,
        label=StageLabel.model_validate(row.label),
        inputs=inputs,
        attempt=row.attempt,
        progress=progress(row.progress),
        failure=failure(row.failure),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def attempt_view(row: Row[Any]) -> AttemptView:
    return AttemptView(
        attempt=row.attempt,
        worker=row.worker,
        started_at=row.started_at,
        finished_at=row.finished_at,
        outcome=row.outcome,
        failure=failure(row.failure),
        log_tail=row.log_tail,
    )


def dataset_row(row: Row[Any]) -> DatasetRow:
    return DatasetRow(
        digest=row.digest,
        name=row.name,
        format=row.format,
        size=row.size,
        rows=row.rows,
        columns=row.columns,
        created_at=row.created_at,
    )


def event_view(row: Row[Any]) -> EventView:
    return EventView(id=row.id, type=row.type, at=row.at, stage=row.stage_key, data=row.data)


def progress(data: object) -> Progress | None:
    return None if data is None else Progress.model_validate(data)


def failure(data: object) -> Failure | None:
    return None if data is None else Failure.model_validate(data)


def cursor_of(*place: str | float) -> str:
    """An opaque cursor: the place of the last item of a page in its list."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def time_cursor(cursor: str) -> tuple[float, str]:
    """Time and id that `cursor_of(time, id)` wrote down. Raises InvalidInput."""
    match _place(cursor):
        case [float() as at, str() as id_] if math.isfinite(at):
            return at, id_
    raise _foreign()


def position_cursor(cursor: str, experiment_id: str) -> int:
    """Position that `cursor_of(experiment_id, position)` wrote down. Raises InvalidInput."""
    match _place(cursor):
        case [owner, int() as position] if owner == experiment_id and 0 <= position < 2**31:
            return position
    raise _foreign()


def dataset_cursor(cursor: str) -> tuple[float, str]:
    """Time and digest that `cursor_of(digest, time)` wrote down. Raises InvalidInput."""
    match _place(cursor):
        case [str() as digest, float() as at] if math.isfinite(at):
            return at, digest
    raise _foreign()


def _place(cursor: str) -> object:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        raise _foreign() from None


def _foreign() -> InvalidInput:
    return InvalidInput(
        "This cursor does not belong to this list.",
        where="cursor",
        hint="Pass next_cursor of the page before, unchanged.",
    )
