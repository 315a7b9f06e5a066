"""The part of the client that handles audits."""

import uuid
from collections.abc import Callable, Iterator
from urllib.parse import quote

from forgetscope.client._answers import pages, parse, send_spec
from forgetscope.client._events import follow
from forgetscope.client._transport import Transport
from forgetscope.schema.audit import AuditResults, AuditSpec, AuditView
from forgetscope.schema.plan import PlanView, StageKind
from forgetscope.schema.stage import ExperimentState, StageState
from forgetscope.schema.views import (
    ArtifactView,
    EventView,
    ExperimentSummary,
    Page,
    StageDetail,
    StageView,
    Submitted,
)

__all__ = ["Audits"]

PATH = "/v1/audits"
OVER = ("succeeded", "failed", "cancelled")


class Audits:
    """`Client.audits`. A specification is an `AuditSpec`, or a dict with what its file holds."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(
        self, spec: AuditSpec | dict[str, object], *, idempotency_key: str | None = None
    ) -> str:
        """Submit and return the id. A fresh key makes repetitions after lost answers safe."""
        key = idempotency_key or str(uuid.uuid4())
        answer = send_spec(self._transport, PATH, _sent(spec), idempotency_key=key)
        return parse(answer, Submitted).id

    def plan(self, spec: AuditSpec | dict[str, object]) -> PlanView:
        """What submitting would do; nothing is recorded."""
        answer = send_spec(self._transport, PATH, _sent(spec), dry_run=True)
        return parse(answer, PlanView)

    def get(self, audit_id: str) -> AuditView:
        """One audit."""
        return parse(self._transport.send("GET", _path(audit_id), repeatable=True), AuditView)

    def list(
        self, *, state: ExperimentState | None = None, name: str | None = None
    ) -> Iterator[ExperimentSummary]:
        """Audits, newest first, page by page as they are asked for."""
        query = {"state": state, "name": name}
        return pages(self._transport, PATH, Page[ExperimentSummary], query)

    def cancel(self, audit_id: str) -> AuditView:
        """Ask to stop; running stages end within seconds."""
        return self._act(audit_id, "cancel")

    def retry(self, audit_id: str) -> AuditView:
        """Run again what failed, was skipped or cancelled."""
        return self._act(audit_id, "retry")

    def delete(self, audit_id: str) -> None:
        """Delete an audit that is over."""
        self._transport.send("DELETE", _path(audit_id), repeatable=False)

    def stages(
        self, audit_id: str, *, kind: StageKind | None = None, state: StageState | None = None
    ) -> Iterator[StageView]:
        """Stages in the order of the plan."""
        query = {"kind": kind, "state": state}
        return pages(self._transport, _path(audit_id, "stages"), Page[StageView], query)

    def stage(self, audit_id: str, key: str) -> StageDetail:
        """One stage with attempts, log tails and files."""
        path = _path(audit_id, "stages", key)
        return parse(self._transport.send("GET", path, repeatable=True), StageDetail)

    def events(self, audit_id: str, *, after: int = 0) -> Iterator[EventView]:
        """Events as they happen, each once, until the audit is over; lost connections are opened
        again."""
        return follow(
            self._transport,
            _path(audit_id, "events"),
            after=after,
            is_over=lambda: self.get(audit_id).state in OVER,
            kind=EventView,
        )

    def wait(
        self, audit_id: str, *, on_event: Callable[[EventView], None] | None = None
    ) -> AuditView:
        """Wait until the audit is over, whichever way."""
        for event in self.events(audit_id):
            if on_event is not None:
                on_event(event)
        return self.get(audit_id)

    def results(self, audit_id: str) -> AuditResults:
        """Outcome, and a verdict about every task and group."""
        response = self._transport.send("GET", _path(audit_id, "results"), repeatable=True)
        return parse(response, AuditResults)

    def report_html(self, audit_id: str) -> str:
        """The audit as one HTML page."""
        headers = {"Accept": "text/html"}
        path = _path(audit_id, "report")
        return self._transport.send("GET", path, headers=headers, repeatable=True).text

    def artifacts(self, audit_id: str) -> Iterator[ArtifactView]:
        """Files of the finished stages; `Client.download` saves one."""
        return pages(self._transport, _path(audit_id, "artifacts"), Page[ArtifactView], {})

    def _act(self, audit_id: str, verb: str) -> AuditView:
        response = self._transport.send("POST", _path(audit_id, verb), repeatable=False)
        return parse(response, AuditView)


def _sent(spec: AuditSpec | dict[str, object]) -> AuditSpec | dict[str, object]:
    """Settings that nobody has set are left out: those of a baseline are its own."""
    if isinstance(spec, AuditSpec) and "evaluation" not in spec.model_fields_set:
        return spec.model_dump(mode="json", exclude={"evaluation"})
    return spec


def _path(*parts: str) -> str:
    return "/".join([PATH, *(quote(part, safe="") for part in parts)])
