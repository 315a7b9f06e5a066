"""One command, one folder, separate processes."""

import subprocess
import sys
import time

import pytest
from e2e.conftest import Embedded
from e2e.processes import SPEC, alive, finish, keys, ready, running, wait_for

from forgetscope.client import NotFound
from forgetscope.schema.base import JsonObject

pytestmark = pytest.mark.timeout(600)


def test_a_chain_in_both_orders_ends_with_matrix_forgetting_and_report(
    embedded: Embedded, undisturbed: str
) -> None:
    results = embedded.client.results(undisturbed)
    assert len(results.matrix) == 5 * 2
    assert {row.chain for row in results.forgetting} == {
        ("synthetic_safety", "synthetic_capability"),
        ("synthetic_capability", "synthetic_safety"),
    }
    assert all(row.forgetting.low is not None for row in results.forgetting)
    safety = next(r for r in results.forgetting if r.task == "synthetic_safety")
    assert len(safety.groups) >= 6
    report = embedded.client.report_html(undisturbed)
    assert "</html>" in report
    assert "http://" not in report.replace("http://www.w3.org", "")


def test_events_tell_the_whole_story_and_resume_where_one_stopped(
    embedded: Embedded, undisturbed: str
) -> None:
    events = list(embedded.client.events(undisturbed))
    assert [e.id for e in events] == list(range(1, len(events) + 1))
    assert events[0].type == "experiment.submitted"
    assert events[-1].type == "experiment.succeeded"
    assert any(e.type == "stage.progress" for e in events)
    assert list(embedded.client.events(undisturbed, after=events[-3].id)) == events[-2:]


def test_a_finished_experiment_submitted_again_trains_nothing(
    embedded: Embedded, undisturbed: str
) -> None:
    plan = embedded.client.plan(SPEC)
    assert plan.to_run == 0
    again = embedded.client.submit(SPEC)
    assert again != undisturbed
    assert embedded.client.get(again).state == "succeeded"
    attempts = [
        embedded.client.stage(again, key).attempts for key in keys(embedded.client, again).values()
    ]
    assert all(len(a) == 1 for a in attempts)
    assert embedded.client.results(again) == embedded.client.results(undisturbed)


def test_a_longer_chain_trains_only_what_is_new(embedded: Embedded, undisturbed: str) -> None:
    chain = ["synthetic_safety", "synthetic_capability", "synthetic_safety"]
    plan = embedded.client.plan(SPEC | {"chains": [chain]})
    done = keys(embedded.client, undisturbed).values()
    new = [s.label.chain for s in plan.stages if s.kind == "train" and s.key not in done]
    assert new == [tuple(chain)]


def test_cancelling_ends_the_running_process_and_a_retry_takes_up_again(
    embedded: Embedded, undisturbed: str
) -> None:
    spec: JsonObject = SPEC | {"seeds": [5], "chains": [["synthetic_safety"]]}
    experiment_id = embedded.client.submit(spec)
    wait_for("it trains", lambda: bool(running(embedded.client, experiment_id, "train")))
    embedded.client.cancel(experiment_id)
    wait_for(
        "it is cancelled",
        lambda: embedded.client.get(experiment_id).state == "cancelled",
        seconds=30,
    )
    embedded.client.retry(experiment_id)
    finish(embedded.client, experiment_id)
    embedded.client.delete(experiment_id)
    with pytest.raises(NotFound):
        embedded.client.get(experiment_id)
    assert embedded.client.results(undisturbed).forgetting


def test_a_failed_stage_stops_what_depends_on_it_and_no_worker_dies(embedded: Embedded) -> None:
    before = embedded.service.children()
    # Which layers a model has is known only once it is loaded.
    method = {"name": "lora", "params": {"target_modules": ["nowhere"]}}
    override = {"task": "synthetic_capability", "values": {"method": method}}
    chains = [["synthetic_safety", "synthetic_capability"], ["synthetic_safety"]]
    training: JsonObject = {"learning_rate": 1e-3, "epochs": 1, "overrides": [override]}
    spec: JsonObject = SPEC | {"training": training, "chains": chains}
    experiment_id = embedded.client.submit(spec)
    wait_for("it ends", lambda: embedded.client.get(experiment_id).state in ("failed", "succeeded"))
    view = embedded.client.get(experiment_id)
    assert view.state == "failed"
    (failure,) = view.failures.values()
    assert "nowhere" in failure.detail
    stages = {(s.kind, s.label.chain, s.state) for s in embedded.client.stages(experiment_id)}
    whole = ("synthetic_safety", "synthetic_capability")
    assert ("train", whole, "failed") in stages
    assert {state for kind, chain, state in stages if (kind, chain) == ("evaluate", whole)} == {
        "skipped"
    }
    assert {state for _, chain, state in stages if chain in ((), whole[:1])} == {"succeeded"}
    assert len(set(before) & set(embedded.service.children())) == len(before)


def test_a_killed_service_is_started_again(embedded: Embedded, undisturbed: str) -> None:
    victim = embedded.service.children()[0]
    subprocess.run(["kill", "-9", str(victim)], check=True)
    wait_for("it is gone", lambda: not alive(victim))
    wait_for("the gateway answers", lambda: ready(embedded.client), seconds=60)
    assert embedded.client.results(undisturbed).forgetting


def test_a_second_platform_in_the_same_folder_is_refused(embedded: Embedded) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "forgetscope.cli.main", "up"],
        env={"FORGETSCOPE_HOME_DIR": str(embedded.home), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode != 0
    assert "already runs in" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_nothing_is_left_when_the_platform_is_killed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    platform = Embedded(tmp_path_factory)
    try:
        platform.client.submit(SPEC | {"seeds": [9]})
        time.sleep(2)
        pids = platform.service.children()
        assert len(pids) >= 4
        platform.service.kill()
        wait_for("all are gone", lambda: not any(alive(p) for p in pids), seconds=30)
    finally:
        platform.stop()
