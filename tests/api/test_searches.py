"""Searches over HTTP: the gateway plans and records, workers are played by hand."""

import hashlib
import json
import threading
import uuid
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from api.conftest import RESULTS, Gateway, claim_any, fail_one
from records_world import at_once
from sqlalchemy import update
from typer.testing import CliRunner
from unit.test_goals import row as goal_row
from unit.test_goals import span

from forgetscope.adapters.sql import connect
from forgetscope.adapters.sql.tables import searches
from forgetscope.api.openapi import text
from forgetscope.api.routes.searches import SEARCH_EXAMPLE, SEARCH_PLAN_EXAMPLE
from forgetscope.app.search import advance_searches
from forgetscope.cli.main import app
from forgetscope.client import Client, Conflict, InvalidRequest, NotFound
from forgetscope.core.search import longest_way
from forgetscope.schema.recovery import MitigatedChain
from forgetscope.schema.search import SearchPlan, SearchSpec
from forgetscope.schema.stage import Manifest

SAFETY, CAPABILITY = "synthetic_safety", "synthetic_capability"
TASKS: list[Any] = [
    {"name": name, "train_examples": 64, "evaluation_examples": 400}
    for name in (SAFETY, CAPABILITY)
]
SPEC: dict[str, Any] = {
    "name": "smallest replay",
    "experiment": {
        "tasks": TASKS,
        "steps": {"again": {"kind": "replay"}},
        "chains": [[SAFETY, CAPABILITY, "again"]],
        "training": {"epochs": 1},
    },
    "knob": {"step": "again", "low": 0.0, "high": 1.0, "tolerance": 0.125},
    "goal": {"of": "task", "price": 0.1},
}


def spec_with(seed: int, **changes: Any) -> dict[str, Any]:
    """A search that shares no training with those of other tests."""
    return SPEC | {"experiment": SPEC["experiment"] | {"seeds": [seed]}} | changes


def work(gateway: Gateway, threshold: float) -> int:
    """Play every worker until nothing is left to do. Returns how many trainings ran."""
    trainings = 0
    while True:
        advance_searches(gateway.platform)
        kinds = finish_ready(gateway, threshold)
        if not kinds:
            return trainings
        trainings += kinds.count("train")


def finish_ready(gateway: Gateway, threshold: float) -> list[str]:
    """Finish every stage that can run, in a world in which shares from `threshold` on bring
    everything back. Returns their kinds."""
    kinds: list[str] = []
    while (claim := claim_any(gateway.platform)) is not None:
        kinds.append(claim.kind)
        name, content = "notes.txt", claim.key
        if claim.kind == "analyse":
            mitigated: Any = claim.params["mitigated"]
            rows = [recovered(MitigatedChain.model_validate(m), threshold) for m in mitigated]
            results = RESULTS.model_copy(update={"recovery": tuple(rows)})
            name, content = "results.json", results.model_dump_json()
        path = gateway.home / hashlib.sha256(content.encode()).hexdigest()
        path.write_text(content)
        blob = gateway.platform.store.put(path, "application/json")
        manifest = Manifest(stage=claim.key, kind=claim.kind, files={name: blob})
        gateway.platform.records.finish(claim.key, claim.attempt, manifest, log_tail="")
    return kinds


def recovered(chain: MitigatedChain, threshold: float) -> Any:
    back = 0.95 if chain.knob is not None and chain.knob >= threshold else 0.2
    made = goal_row(whole=span(back - 0.01, back + 0.01))
    price = made.prices[0].model_copy(update={"task": CAPABILITY})
    return made.model_copy(update={"mitigated": chain, "task": SAFETY, "prices": (price,)})


def test_a_search_ends_with_the_smallest_share_and_trains_each_prefix_once(
    gateway: Gateway,
) -> None:
    with Client(gateway.url) as client:
        plan = client.searches.plan(spec_with(1))
        search_id = client.searches.submit(spec_with(1))
        begun = client.searches.get(search_id)
        assert (begun.state, len(begun.rounds), begun.eta_seconds) == ("running", 1, None)
        trainings = work(gateway, 0.3)
        view = client.searches.get(search_id)
        assert [one.value for one in view.rounds] == [1.0, 0.0, 0.5, 0.25, 0.375]
        assert view.answer is not None
        assert (view.state, view.answer.outcome, view.answer.value) == ("succeeded", "found", 0.375)
        assert view.bracket.model_dump() == {"failing": 0.25, "passing": 0.375}
        assert "share = 0.375 of again" in view.answer.text
        assert "at most 5 were planned" in view.answer.notes[0]
        assert view.confidence == plan.confidence == 0.99
        assert trainings == plan.trainings == 6  # two shared, a replay for each share but 0
        assert (plan.shared_trainings, plan.naive_trainings) == (2, 14)
        assert plan.values == longest_way(view.spec.knob, 10)
        for one in view.rounds:
            assert one.experiment is not None
            experiment = client.get(one.experiment)
            assert experiment.state == "succeeded"
            assert experiment.spec.steps["again"].vary == {"share": (one.value,)}
            assert experiment.spec.analysis.confidence == 0.99
            assert client._transport.http.get(one.links["results"]).status_code == 200
        assert client.searches.plan(spec_with(1)).existing > plan.existing


def test_events_tell_the_rounds_and_resume_where_one_stopped(gateway: Gateway) -> None:
    with Client(gateway.url) as client:
        search_id = client.searches.submit(spec_with(2))
        seen: list[Any] = []
        reader = threading.Thread(target=lambda: seen.extend(client.searches.events(search_id)))
        reader.start()
        work(gateway, 0.9)
        reader.join(30)
        assert [event.id for event in seen] == list(range(1, len(seen) + 1))
        kinds = [event.type.removeprefix("search.") for event in seen]
        assert kinds == ["submitted", *(["round", "judged"] * 5), "succeeded"]
        assert list(client.searches.events(search_id, after=10)) == seen[10:]
        page = client._transport.http.get(
            f"/v1/searches/{search_id}/events", params={"after": 3}, headers=AS_JSON
        ).json()
        assert [event["id"] for event in page["items"]] == list(range(4, 13))
        assert client.searches.wait(search_id).state == "succeeded"


AS_JSON = {"Accept": "application/json"}


def test_a_repeated_request_is_one_search(http: httpx.Client) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = http.post("/v1/searches", json=spec_with(3), headers=key)
    again = http.post("/v1/searches", json=spec_with(3), headers=key)
    assert (first.status_code, again.json()) == (202, first.json())
    assert first.headers["Location"] == first.json()["links"]["self"]
    other = http.post("/v1/searches", json=spec_with(4), headers=key)
    assert (other.status_code, other.json()["type"]) == (409, "/problems/idempotency-conflict")


def test_a_dry_run_leaves_no_trace(http: httpx.Client) -> None:
    before = http.get("/v1/searches", params={"limit": 1}).json()
    answer = http.post("/v1/searches", params={"dry_run": "true"}, json=spec_with(5))
    assert answer.status_code == 200
    plan = SearchPlan.model_validate(answer.json())
    assert (plan.looks, plan.existing) == (5, plan.existing)
    assert "Bonferroni" in plan.notes[0]
    assert http.get("/v1/searches", params={"limit": 1}).json() == before


def test_a_price_that_can_hardly_be_shown_is_noted_in_the_plan(gateway: Gateway) -> None:
    with Client(gateway.url) as client:
        plan = client.searches.plan(spec_with(5, goal={"of": "task", "price": 0.01}))
    assert any("A price of 0.01 on synthetic_capability" in note for note in plan.notes)


def test_cancelling_cancels_the_experiment_that_it_waits_for(gateway: Gateway) -> None:
    with Client(gateway.url) as client:
        search_id = client.searches.submit(spec_with(6))
        view = client.searches.cancel(search_id)
        assert view.state == "cancelled"
        assert view.rounds[0].experiment is not None
        assert client.get(view.rounds[0].experiment).state == "cancelled"
        with pytest.raises(Conflict):
            client.searches.cancel(search_id)
        advance_searches(gateway.platform)
        assert len(client.searches.get(search_id).rounds) == 1
        assert [e.type for e in client.searches.events(search_id)][-1] == "search.cancelled"


def test_an_experiment_that_fails_fails_the_search_with_its_reason(fresh_gateway: Gateway) -> None:
    with Client(fresh_gateway.url) as client:
        search_id = client.searches.submit(spec_with(7))
        claim = claim_any(fresh_gateway.platform)
        assert claim is not None
        fail_one(fresh_gateway.platform, claim)
        work(fresh_gateway, 0.3)
        view = client.searches.get(search_id)
        assert view.state == "failed"
        assert view.failure is not None
        assert "round 1 (share = 1) has failed" in view.failure.detail
        assert "the disk is full" in view.failure.detail


def test_an_experiment_that_is_deleted_or_cancelled_fails_the_search(
    fresh_gateway: Gateway,
) -> None:
    with Client(fresh_gateway.url) as client:
        for seed, delete in ((8, False), (9, True)):
            search_id = client.searches.submit(spec_with(seed))
            experiment = client.searches.get(search_id).rounds[0].experiment
            assert experiment is not None
            client.cancel(experiment)
            if delete:
                client.delete(experiment)
            advance_searches(fresh_gateway.platform)
            failure = client.searches.get(search_id).failure
            assert failure is not None
            assert ("was deleted" if delete else "has cancelled") in failure.detail


def test_one_search_that_cannot_go_on_does_not_stop_the_others(fresh_gateway: Gateway) -> None:
    with Client(fresh_gateway.url) as client:
        broken, whole = (client.searches.submit(spec_with(i)) for i in (10, 11))
        engine = connect(f"sqlite:///{fresh_gateway.home / 'records.sqlite'}")
        with engine.begin() as connection:
            connection.execute(update(searches).where(searches.c.id == broken).values(facts={}))
        engine.dispose()
        work(fresh_gateway, 0.3)
        failure = client.searches.get(broken).failure
        assert failure is not None
        assert failure.code == "internal"
        assert client.searches.get(whole).state == "succeeded"


def test_processes_that_come_by_at_once_do_nothing_twice(fresh_gateway: Gateway) -> None:
    platform = fresh_gateway.platform
    with Client(fresh_gateway.url) as client:
        search_id = client.searches.submit(spec_with(12))
        while client.searches.get(search_id).state == "running":
            finish_ready(fresh_gateway, 0.3)
            at_once([lambda: advance_searches(platform)] * 6)
        view = client.searches.get(search_id)
        assert [one.value for one in view.rounds] == [1.0, 0.0, 0.5, 0.25, 0.375]
        assert len(list(client.list())) == len(view.rounds)


def test_a_search_is_deleted_when_it_is_over(fresh_gateway: Gateway) -> None:
    with Client(fresh_gateway.url) as client:
        search_id = client.searches.submit(spec_with(20))
        with pytest.raises(Conflict, match="is running"):
            client.searches.delete(search_id)
        experiment = client.searches.cancel(search_id).rounds[0].experiment
        assert experiment is not None
        runner = CliRunner(env={"FORGETSCOPE_URL": fresh_gateway.url})
        result = runner.invoke(app, ["searches", "delete", search_id])
        assert (result.exit_code, result.output) == (0, "Deleted.\n")
        with pytest.raises(NotFound):
            client.searches.delete(search_id)
        assert client.get(experiment).state == "cancelled"


def test_lists_are_paged_and_selected_by_state(fresh_gateway: Gateway) -> None:
    with Client(fresh_gateway.url) as client:
        ids = [client.searches.submit(spec_with(i)) for i in range(3)]
        client.searches.cancel(ids[1])
        assert {one.id for one in client.searches.list()} == set(ids)
        assert {one.id for one in client.searches.list(state="running")} == {ids[0], ids[2]}
        page = client._transport.http.get("/v1/searches", params={"limit": 2}).json()
        assert len(page["items"]) == 2
        assert page["next_cursor"]
        with pytest.raises(NotFound):
            client.searches.get(str(uuid.uuid4()))


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"knob": SPEC["knob"] | {"high": 1.5}}, "/knob/high"),
        ({"knob": SPEC["knob"] | {"low": 2.0}}, "/knob"),
        ({"knob": SPEC["knob"] | {"step": "nothing"}}, "/knob/step"),
        ({"knob": SPEC["knob"] | {"path": "strength"}}, "/knob/low"),
        ({"goal": {"recover": 1.1}}, "/goal/recover"),
        ({"goal": {"price": -0.1}}, "/goal/price"),
        (
            {"experiment": SPEC["experiment"] | {"chains": [[CAPABILITY, SAFETY, "again"]]}}
            | {"goal": {"of": "every_group"}},
            "/goal/of",
        ),
        ({"goal": {"price_tasks": [SAFETY]}}, "/goal/price_tasks/0"),
        ({"experiment": SPEC["experiment"] | {"tasks": ["nothing"]}}, "/experiment"),
        (
            {"experiment": SPEC["experiment"] | {"tasks": [*TASKS, "nothing"]}},
            "/experiment/tasks/2/name",
        ),
        (
            {"experiment": SPEC["experiment"] | {"chains": [["again", SAFETY]]}},
            "/experiment/chains/0/0",
        ),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_fault_is_pointed_to_before_anything_is_recorded(
    gateway: Gateway, change: dict[str, Any], pointer: str, dry_run: bool
) -> None:
    with Client(gateway.url) as client:
        before = [one.id for one in client.searches.list()]
        with pytest.raises(InvalidRequest) as caught:
            (client.searches.plan if dry_run else client.searches.submit)(spec_with(0, **change))
        (item,) = caught.value.problem.errors
        assert item.pointer.startswith(pointer)
        assert [one.id for one in client.searches.list()] == before


def test_the_command_line_searches_shows_and_cancels(gateway: Gateway, tmp_path: Path) -> None:
    def run(*arguments: str, status: int = 0) -> str:
        runner = CliRunner(env={"FORGETSCOPE_URL": gateway.url, "COLUMNS": "250"})
        result = runner.invoke(app, list(arguments))
        assert result.exit_code == status, result.output
        assert "Traceback" not in result.output
        return result.output

    file = tmp_path / "search.yaml"
    file.write_text(json.dumps(spec_with(20)))
    assert "5 at most: 1, 0, 0.5, 0.75, 0.875" in run("search", str(file), "--plan")
    SearchPlan.model_validate_json(run("search", str(file), "--plan", "--json"))
    search_id = run("search", str(file)).split()[-1]  # the gateway of this process logs, too
    assert search_id in run("searches", "list", "--state", "running")
    assert "not judged yet" in run("searches", "show", search_id)
    work(gateway, 0.6)
    watched = run("searches", "watch", search_id)
    assert "Round 5 of at most 5: 0.625" in watched
    assert "The goal is reached with share = 0.625 of again" in watched
    shown = run("searches", "show", search_id)
    assert "smallest recovery" in shown
    assert "95.0 [94.0, 96.0] %" in shown
    assert json.loads(run("searches", "show", search_id, "--json"))["state"] == "succeeded"
    assert "is over" in run("searches", "cancel", search_id, status=3)
    other = run("search", str(file)).split()[-1]
    work(gateway, 0.6)
    assert json.loads(run("searches", "list", "--json"))[0]["answer"]["value"] == 0.625
    assert other != search_id
    file.write_text(json.dumps(spec_with(21)))
    stopped = run("search", str(file)).split()[-1]
    assert "cancelled" in run("searches", "cancel", stopped)
    assert "cancelled" in run("searches", "watch", stopped, status=1)
    file.write_text("[]")
    assert "a search is an object" in run("search", str(file), status=3)


def test_a_goal_that_cannot_be_met_is_said_with_its_figures(gateway: Gateway) -> None:
    with Client(gateway.url) as client:
        search_id = client.searches.submit(spec_with(22))
        work(gateway, 2.0)
        answer = client.searches.get(search_id).answer
    assert answer is not None
    assert (answer.outcome, answer.value) == ("cannot_be_met", None)
    assert "cannot be met even with share = 1 of again" in answer.text
    assert "from 0.19 to 0.21 lies below 0.9" in answer.text


def test_the_examples_are_what_they_show() -> None:
    document = json.loads(text())
    (name,) = (n for n in document["components"]["schemas"] if n.startswith("SearchSpec-Input"))
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    SearchSpec.model_validate(SEARCH_EXAMPLE)
    jsonschema.Draft202012Validator(schema).validate(SEARCH_EXAMPLE)
    SearchPlan.model_validate(SEARCH_PLAN_EXAMPLE)
