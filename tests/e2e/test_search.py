"""The example of a search through separate processes, undisturbed and with workers that die."""

import os
import signal
from pathlib import Path

import pytest
import yaml
from e2e.conftest import Embedded
from e2e.processes import PROJECT, alive, running, wait_for

from forgetscope.schema.base import JsonObject
from forgetscope.schema.search import SearchView

pytestmark = pytest.mark.timeout(600)

EXAMPLE: JsonObject = yaml.safe_load(
    (PROJECT / "examples" / "search-replay.yaml").read_text("utf-8")
)


@pytest.fixture(scope="module")
def disturbed(embedded: Embedded) -> SearchView:
    """The search while every worker is killed twice: in a training, and between two rounds."""
    search_id = embedded.client.searches.submit(EXAMPLE)
    for round_ in (1, 3):
        wait_for(
            f"round {round_} trains",
            lambda round_=round_: trains(embedded, search_id, round_),  # type: ignore[misc]
            seconds=300,
        )
        killed = workers(embedded)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait_for("they are gone", lambda killed=killed: not any(map(alive, killed)))  # type: ignore[misc]
    view = embedded.client.searches.wait(search_id)
    assert view.state == "succeeded", view.failure
    return view


def trains(embedded: Embedded, search_id: str, round_: int) -> bool:
    view = embedded.client.searches.get(search_id)
    assert view.state == "running", view
    experiment = view.rounds[-1].experiment
    assert experiment is not None
    return view.rounds[-1].round == round_ and bool(running(embedded.client, experiment, "train"))


def workers(embedded: Embedded) -> list[int]:
    """Processes that serve a queue; the stages run in children of theirs."""
    found = []
    for pid in embedded.service.children():
        command = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
        if b"forgetscope.wiring" in command and b"worker" in command:
            found.append(pid)
    assert len(found) == 3
    return found


def test_the_smallest_share_is_found_though_workers_die(
    embedded: Embedded, disturbed: SearchView
) -> None:
    answer = disturbed.answer
    assert answer is not None
    assert answer.outcome == "found"
    assert answer.value is not None
    assert 0 < answer.value < 1
    assert [one.round for one in disturbed.rounds] == list(range(1, len(disturbed.rounds) + 1))
    assert [one.value for one in disturbed.rounds][:3] == [1.0, 0.0, 0.5]
    trainings = {
        stage.key
        for one in disturbed.rounds
        for stage in embedded.client.stages(str(one.experiment), kind="train")
    }
    plan = embedded.client.searches.plan(EXAMPLE)
    assert len(trainings) <= plan.trainings < plan.naive_trainings
    report = embedded.client.report_html(str(disturbed.rounds[-1].experiment))
    assert "</html>" in report


def test_the_same_search_undisturbed_and_trained_anew_has_the_same_answer(
    embedded: Embedded, disturbed: SearchView
) -> None:
    for one in disturbed.rounds:
        embedded.client.delete(str(one.experiment))
    assert embedded.client.searches.plan(EXAMPLE).existing <= 3  # of other tests: model and data
    again = embedded.client.searches.wait(embedded.client.searches.submit(EXAMPLE))
    assert again.answer == disturbed.answer
    assert [r.judged for r in again.rounds] == [r.judged for r in disturbed.rounds]
