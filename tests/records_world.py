"""A small world around the records: databases, plans by name, a clock that is set by hand."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

from forgetscope.adapters.sql import (
    SqlBaselines,
    SqlLibrary,
    SqlRecords,
    SqlSearches,
    SqlWebhooks,
    connect,
)
from forgetscope.ports.records import Bell, Claim
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import Plan, PlannedStage, StageLabel
from forgetscope.schema.stage import BlobRef, Failure, Manifest

T = TypeVar("T")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def planned(name: str, needs: Mapping[str, str] | None = None, **fields: Any) -> PlannedStage:
    """A stage whose key and title follow from its name; `needs` maps roles to names."""
    values: dict[str, Any] = {"kind": "train", "queue": "train", "params": {}, "tokens": 10}
    return PlannedStage(
        key=digest(name),
        inputs={role: digest(other) for role, other in (needs or {}).items()},
        label=StageLabel(title=name),
        **{**values, **fields},
    )


def plan_of(*stages: PlannedStage) -> Plan:
    return Plan(
        stages=stages, naive_trainings=1, engine="transformers", engine_reason="small", notes=("n",)
    )


def manifest_of(key: str, *contents: str) -> Manifest:
    files = {
        f"file{i}": BlobRef(digest=digest(text), size=len(text)) for i, text in enumerate(contents)
    }
    return Manifest(stage=key, kind="train", files=files)


def failure(permanent: bool = False) -> Failure:
    return Failure(code="bad-row", detail="row 3 has no answer", permanent=permanent)


def at_once(actions: Sequence[Callable[[], T]]) -> list[T]:
    """Run the actions in threads that begin at the same moment."""
    gate = Barrier(len(actions))

    def run(action: Callable[[], T]) -> T:
        gate.wait(30)
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """The records under test with shorthands; stages go by their names."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = connect(url)
        self.clock = Clock()
        self.records = SqlRecords(self.engine, self.clock)
        self.library = SqlLibrary(self.engine, self.clock)
        self.searches = SqlSearches(self.engine, self.clock)
        self.baselines = SqlBaselines(self.engine, self.clock)
        self.webhooks = SqlWebhooks(self.engine, self.clock)

    def submit(self, experiment_id: str, *stages: PlannedStage, name: str = "e") -> list[Bell]:
        self.clock.now += 1
        _, created, bells = self.records.add_experiment(
            experiment_id,
            ExperimentSpec(name=name, tasks=("a",), chains=(("a",),)),  # type: ignore[arg-type]
            plan_of(*stages),
            request_digest="d",
        )
        assert created
        return list(bells)

    def claim(self, name: str | None = None, queue: Any = "train") -> Claim:
        claim = self.records.claim(queue, "w", lease_seconds=60)
        assert claim is not None
        assert name is None or claim.key == digest(name)
        return claim

    def finish(self, claim: Claim, *contents: str) -> Any:
        manifest = manifest_of(claim.key, *contents)
        return self.records.finish(claim.key, claim.attempt, manifest, log_tail="")

    def fail(self, claim: Claim, *, permanent: bool = False, max_attempts: int = 3) -> Any:
        return self.records.fail(
            claim.key,
            claim.attempt,
            failure(permanent),
            log_tail="log",
            max_attempts=max_attempts,
        )

    def sweep(self, max_attempts: int = 3, ring_after_seconds: float = 30) -> Any:
        return self.records.sweep(max_attempts=max_attempts, ring_after_seconds=ring_after_seconds)

    def state(self, name: str) -> str:
        return self.records.stage(digest(name)).state

    def experiment_state(self, experiment_id: str) -> str:
        return self.records.experiment(experiment_id).state

    def told(self, experiment_id: str) -> list[str]:
        return [e.type for e in self.records.events(experiment_id, after=0, limit=100_000)]

    def page(self, experiment_id: str, **asked: Any) -> Any:
        values = {"kind": None, "state": None, "cursor": None, "limit": 50}
        return self.records.stages(experiment_id, **{**values, **asked})

    def list(self, **asked: Any) -> Any:
        values = {"state": None, "name": None, "cursor": None, "limit": 50}
        return self.records.experiments(**{**values, **asked})
