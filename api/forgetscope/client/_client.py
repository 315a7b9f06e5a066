"""The client: one method per thing the API does."""

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from forgetscope.client._answers import pages, parse, send_spec
from forgetscope.client._audits import Audits
from forgetscope.client._baselines import Baselines
from forgetscope.client._compare import compare, compare_csv, compare_html
from forgetscope.client._datasets import Datasets
from forgetscope.client._errors import BadAnswer, raise_for_problem
from forgetscope.client._events import follow
from forgetscope.client._power import plan_power
from forgetscope.client._search import Searches
from forgetscope.client._tasks import Tasks
from forgetscope.client._transport import Transport
from forgetscope.client._webhooks import Webhooks
from forgetscope.schema.compare import Comparison
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import PlanView, StageKind
from forgetscope.schema.power import PowerPlan, PowerRequest
from forgetscope.schema.results import Results
from forgetscope.schema.stage import ExperimentState, StageState
from forgetscope.schema.views import (
    ArtifactView,
    CatalogueView,
    EventView,
    ExperimentSummary,
    ExperimentView,
    Health,
    Page,
    StageDetail,
    StageView,
    Submitted,
)

__all__ = ["Client"]

T = TypeVar("T", bound=BaseModel)
OVER = ("succeeded", "failed", "cancelled")


class Client:
    """A ForgetScope server over HTTP.

    `timeout` is seconds per request. What can be repeated without harm is tried `retries` times
    more, with growing pauses. `transport` is httpx's seam for tests, proxies and certificates.
    Every method raises the errors of `forgetscope.client` and no others. `audits` has those on
    audits, `baselines` those on baselines, `datasets` those on uploaded data sets, `tasks` those on
    tasks, `searches` those on searches, `webhooks` those on webhooks.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        retries: int = 4,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._transport = Transport(
            self.base_url, timeout=timeout, transport=transport, retries=retries, sleep=sleep
        )
        self.audits = Audits(self._transport)
        self.baselines = Baselines(self._transport)
        self.datasets = Datasets(self._transport)
        self.searches = Searches(self._transport)
        self.tasks = Tasks(self._transport)
        self.webhooks = Webhooks(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.http.close()

    # Experiments ------------------------------------------------------------------------------

    def submit(
        self, spec: ExperimentSpec | dict[str, object], *, idempotency_key: str | None = None
    ) -> str:
        """Submit and return the id. A fresh key makes repetitions after lost answers safe."""
        key = idempotency_key or str(uuid.uuid4())
        response = send_spec(self._transport, "/v1/experiments", spec, idempotency_key=key)
        return parse(response, Submitted).id

    def plan(self, spec: ExperimentSpec | dict[str, object]) -> PlanView:
        """What submitting would do; nothing is recorded."""
        response = send_spec(self._transport, "/v1/plans", spec)
        return parse(response, PlanView)

    def power(self, request: PowerRequest | dict[str, object]) -> PowerPlan:
        """What a design can show, per group, before anything is trained; nothing is recorded."""
        return plan_power(self._transport, request)

    def get(self, experiment_id: str) -> ExperimentView:
        """One experiment."""
        return self._get(_path(experiment_id), ExperimentView)

    def list(
        self, *, state: ExperimentState | None = None, name: str | None = None
    ) -> Iterator[ExperimentSummary]:
        """Experiments, newest first, page by page as they are asked for."""
        return self._pages(
            "/v1/experiments", Page[ExperimentSummary], {"state": state, "name": name}
        )

    def cancel(self, experiment_id: str) -> ExperimentView:
        """Ask to stop; running stages end within seconds."""
        return self._post(_path(experiment_id, "cancel"))

    def retry(self, experiment_id: str) -> ExperimentView:
        """Run again what failed, was skipped or cancelled."""
        return self._post(_path(experiment_id, "retry"))

    def delete(self, experiment_id: str) -> None:
        """Delete an experiment that is over."""
        self._transport.send("DELETE", _path(experiment_id), repeatable=False)

    # Stages and events ------------------------------------------------------------------------

    def stages(
        self,
        experiment_id: str,
        *,
        kind: StageKind | None = None,
        state: StageState | None = None,
    ) -> Iterator[StageView]:
        """Stages in the order of the plan."""
        query = {"kind": kind, "state": state}
        return self._pages(_path(experiment_id, "stages"), Page[StageView], query)

    def stage(self, experiment_id: str, key: str) -> StageDetail:
        """One stage with attempts, log tails and files."""
        return self._get(_path(experiment_id, "stages", key), StageDetail)

    def events(self, experiment_id: str, *, after: int = 0) -> Iterator[EventView]:
        """Events as they happen, each once, until the experiment is over; lost connections are
        opened again."""
        return follow(
            self._transport,
            _path(experiment_id, "events"),
            after=after,
            is_over=lambda: self.get(experiment_id).state in OVER,
            kind=EventView,
        )

    def wait(
        self, experiment_id: str, *, on_event: Callable[[EventView], None] | None = None
    ) -> ExperimentView:
        """Wait until the experiment is over, whichever way."""
        for event in self.events(experiment_id):
            if on_event is not None:
                on_event(event)
        return self.get(experiment_id)

    # What it leaves behind --------------------------------------------------------------------

    def results(self, experiment_id: str) -> Results:
        """Accuracy matrix, forgetting, biased forgetting, order effects."""
        return self._get(_path(experiment_id, "results"), Results)

    def report_html(self, experiment_id: str) -> str:
        """The report as one HTML page."""
        response = self._transport.send(
            "GET",
            _path(experiment_id, "report"),
            headers={"Accept": "text/html"},
            repeatable=True,
        )
        return response.text

    def compare(self, experiment_id: str, other: str) -> Comparison:
        """Two finished experiments side by side."""
        return compare(self._transport, experiment_id, other)

    def compare_html(self, experiment_id: str, other: str) -> str:
        """The comparison as one HTML page."""
        return compare_html(self._transport, experiment_id, other)

    def compare_csv(self, experiment_id: str, other: str) -> str:
        """The comparison as a CSV table, a line for each number; fractions, not percent."""
        return compare_csv(self._transport, experiment_id, other)

    def artifacts(self, experiment_id: str) -> Iterator[ArtifactView]:
        """Files of the finished stages."""
        return self._pages(_path(experiment_id, "artifacts"), Page[ArtifactView], {})

    def download(self, artifact: ArtifactView, target: Path) -> None:
        """Save a file; it appears at `target` whole and with the right sha256, or not at all."""
        part = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
        digest = hashlib.sha256()
        try:
            with (
                self._transport.http.stream("GET", quote(artifact.href)) as response,
                part.open("wb") as out,
            ):
                if response.is_error:
                    response.read()
                    raise_for_problem(response)
                for chunk in response.iter_bytes():
                    digest.update(chunk)
                    out.write(chunk)
            if digest.hexdigest() != artifact.digest:
                raise BadAnswer(f"{artifact.href} came with other bytes than announced")
            os.replace(part, target)  # noqa: PTH105 - one atomic step on every system
        except httpx.TransportError as error:
            raise self._transport.unreachable(error) from error
        finally:
            part.unlink(missing_ok=True)

    # The server -------------------------------------------------------------------------------

    def catalogue(self) -> CatalogueView:
        """Tuning methods and engines."""
        return self._get("/v1/catalogue", CatalogueView)

    def health(self) -> Health:
        """Raises ServerFailed or Unreachable when the server is not there; a component that does
        not answer makes it `degraded`."""
        request = self._transport.http.build_request("GET", "/v1/health/ready")
        try:
            response = self._transport.http.send(request)
        except httpx.TransportError as error:
            raise self._transport.unreachable(error) from error
        if response.status_code != 503:
            raise_for_problem(response)
        return parse(response, Health)

    def _get(self, path: str, model: type[T]) -> T:
        return parse(self._transport.send("GET", path, repeatable=True), model)

    def _post(self, path: str) -> ExperimentView:
        return parse(self._transport.send("POST", path, repeatable=False), ExperimentView)

    def _pages(
        self, path: str, page: type[Page[T]], query: Mapping[str, str | None]
    ) -> Iterator[T]:
        return pages(self._transport, path, page, query)


def _path(*parts: str) -> str:
    return "/".join(["/v1/experiments", *(quote(part, safe="") for part in parts)])
