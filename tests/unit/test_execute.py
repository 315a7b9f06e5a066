"""The worker's loop over real records (SQLite) and a runner that follows a script."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from forgetscope.adapters.queue_poll import PollDoorbell
from forgetscope.adapters.sql import (
    SqlBaselines,
    SqlLibrary,
    SqlRecords,
    SqlSearches,
    SqlWebhooks,
    connect,
    migrate,
)
from forgetscope.adapters.store_files import FileStore
from forgetscope.app.execute import execute
from forgetscope.app.platform import Fleet, Platform
from forgetscope.app.prepare import FactsMemory
from forgetscope.app.work import work
from forgetscope.ports.records import Claim
from forgetscope.ports.runner import Died, Done, Failed, Message, Saved
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import Plan, PlannedStage, StageLabel
from forgetscope.schema.stage import Breach, Failure, Manifest, Progress
from forgetscope.wiring.messages import BreachWord, read_word, to_message, write

KEY = "a" * 64


class ScriptedRunner:
    """Says what it is told to say, and remembers whether it was stopped."""

    def __init__(self, *script: Message | None) -> None:
        self.script = list(script)
        self.started: list[str] = []
        self.stopped = 0
        self.warmed = False

    def warm(self) -> None:
        self.warmed = True

    def start(self, claim: Claim) -> None:
        self.started.append(claim.key)

    def poll(self, seconds: float) -> Message | None:
        return self.script.pop(0) if self.script else None

    def stop(self) -> None:
        self.stopped += 1

    def log_tail(self) -> str:
        return "last words"


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    url = f"sqlite:///{tmp_path / 'records.sqlite'}"
    migrate(url)
    engine = connect(url)
    unused: Any = None
    yield Platform(
        records=SqlRecords(engine),
        library=SqlLibrary(engine),
        searches=SqlSearches(engine),
        baselines=SqlBaselines(engine),
        webhooks=SqlWebhooks(engine),
        sender=unused,
        store=FileStore(tmp_path),
        doorbell=PollDoorbell(),
        rows=unused,
        inbox=unused,
        models=unused,
        fleet=Fleet(max_attempts=2, lease_seconds=5, poll_seconds=0.01),
        memory=FactsMemory(),
    )
    engine.dispose()


def submit_one_stage(platform: Platform) -> str:
    stage = PlannedStage(
        key=KEY,
        kind="prepare_model",
        queue="train",
        params={},
        inputs={},
        label=StageLabel(title="base model"),
        tokens=0,
    )
    plan = Plan(stages=(stage,), naive_trainings=0, engine="transformers", engine_reason="small")
    spec = ExperimentSpec.model_validate({"tasks": ["a"], "chains": [["a"]]})
    platform.records.add_experiment("e1", spec, plan, request_digest="d")
    return "e1"


def claim_it(platform: Platform) -> Claim:
    claim = platform.records.claim("train", "w1", lease_seconds=5)
    assert claim is not None
    return claim


def run(platform: Platform, runner: ScriptedRunner, *, stopping: bool = False) -> str:
    claim = claim_it(platform)
    return execute(platform, claim, runner, stopping=lambda: stopping, alive=lambda: None)


def test_a_stage_that_is_done_is_recorded_with_its_log(platform: Platform) -> None:
    submit_one_stage(platform)
    manifest = Manifest(stage=KEY, kind="prepare_model", files={}, meta={"parameters": 3})
    runner = ScriptedRunner(Progress(done=1, total=2, unit="steps"), Done(manifest))
    assert run(platform, runner) == "succeeded"
    assert platform.records.stage(KEY).manifest == manifest
    assert platform.records.attempts(KEY)[0].log_tail == "last words"
    assert platform.records.experiment("e1").state == "succeeded"


def test_a_dead_process_is_tried_again_and_then_given_up_with_the_reason(
    platform: Platform,
) -> None:
    submit_one_stage(platform)
    assert run(platform, ScriptedRunner(Died("killed by SIGKILL"))) == "failed"
    assert platform.records.stage(KEY).state == "ready"
    assert run(platform, ScriptedRunner(Died("killed by SIGKILL"))) == "failed"
    stage = platform.records.stage(KEY)
    assert stage.state == "failed"
    assert stage.failure is not None
    assert "SIGKILL" in stage.failure.detail
    assert platform.records.experiment("e1").state == "failed"


def test_a_permanent_failure_is_not_tried_again(platform: Platform) -> None:
    submit_one_stage(platform)
    failure = Failure(code="bad-row", detail="row 3", permanent=True)
    run(platform, ScriptedRunner(Failed(failure)))
    assert platform.records.stage(KEY).failure == failure
    assert platform.records.stage(KEY).state == "failed"


def test_a_saved_point_is_handed_to_the_next_attempt(platform: Platform) -> None:
    submit_one_stage(platform)
    point = Manifest(stage=KEY, kind="prepare_model", files={}, meta={"step": 7})
    run(platform, ScriptedRunner(Saved(point), Died("killed by SIGKILL")))
    assert claim_it(platform).resume == point


def test_a_breach_reaches_the_events_though_the_stage_ends_right_after(platform: Platform) -> None:
    submit_one_stage(platform)
    breach = Breach(group="velin", step=8, look=4, margin=0.05, mean=0.3, lower=0.1, action="stop")
    said = to_message(read_word(write(BreachWord(breach=breach))))
    manifest = Manifest(stage=KEY, kind="prepare_model", files={})
    assert run(platform, ScriptedRunner(said, Done(manifest))) == "succeeded"
    events = platform.records.events("e1", after=0, limit=50)
    assert [e.data for e in events if e.type == "stage.breach"] == [breach.model_dump(mode="json")]


def test_cancelling_stops_the_process(platform: Platform) -> None:
    submit_one_stage(platform)
    claim = claim_it(platform)
    platform.records.cancel_experiment("e1")
    runner = ScriptedRunner()
    outcome = execute(platform, claim, runner, stopping=lambda: False, alive=lambda: None)
    assert outcome == "cancelled"
    assert runner.stopped == 1
    assert platform.records.experiment("e1").state == "cancelled"


def test_a_worker_that_shuts_down_gives_its_stage_back_uncounted(platform: Platform) -> None:
    submit_one_stage(platform)
    for _ in range(5):
        assert run(platform, ScriptedRunner(), stopping=True) == "released"
    assert platform.records.stage(KEY).state == "ready"


def test_a_stage_that_was_taken_over_is_dropped(platform: Platform) -> None:
    submit_one_stage(platform)
    claim = claim_it(platform)
    platform.records.release(claim.key, claim.attempt)
    claim_it(platform)
    runner = ScriptedRunner()
    outcome = execute(platform, claim, runner, stopping=lambda: False, alive=lambda: None)
    assert outcome == "lost"
    assert runner.stopped == 1


def test_the_loop_runs_what_is_ready_and_ends_when_told(platform: Platform) -> None:
    submit_one_stage(platform)
    stop = Event()

    class StoppingRunner(ScriptedRunner):
        def log_tail(self) -> str:
            stop.set()
            return super().log_tail()

    manifest = Manifest(stage=KEY, kind="prepare_model", files={})
    runner = StoppingRunner(Done(manifest))
    work(platform, "train", "w1", runner, bell=Event(), stop=stop, alive=lambda: None)
    assert runner.warmed
    assert runner.started == [KEY]
    assert platform.records.stage(KEY).state == "succeeded"
