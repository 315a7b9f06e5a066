"""Tasks over a real gateway: registered, previewed, planned with, deleted."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from api.conftest import Gateway, spec_with

from forgetscope.app.datasets import MEDIA_TYPES
from forgetscope.schema.custom import CustomTask
from forgetscope.schema.preview import TaskPreview
from forgetscope.schema.views import Problem, TaskView

CAPABILITY = {"id": "c", "name": "synthetic_capability", "train_examples": 64}
ROWS = [{"text": f"item {n}", "label": n % 2, "who": "ab"[n % 2]} for n in range(60)]


def definition(name: str, **change: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "safety",
        "licence": "CC0-1.0",
        "source": "mine.jsonl",
        "split": {"hold_out": 0.4},
        "prompt": "Text: {{ text }}",
        "options": ["yes", "no"],
        "answer": {"column": "label", "map": {"1": "yes", "0": "no"}},
        "groups": ["who"],
        **change,
    }


@pytest.fixture(autouse=True)
def data(gateway: Gateway) -> Path:
    folder = gateway.home / "data"
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "broken.jsonl").write_text(
        '{"text": "a", "label": 3, "who": "a"}\n{"text": "b", "label": 0, "who": "a"}\n'
    )
    return folder


def problem(answer: httpx.Response, status: int) -> Problem:
    assert answer.status_code == status, answer.text
    return Problem.model_validate_json(answer.content)


def planned(http: httpx.Client, *tasks: object) -> httpx.Response:
    chain = [t["id"] if isinstance(t, dict) and "id" in t else t for t in tasks]
    return http.post("/v1/plans", json=spec_with(9, tasks=list(tasks), chains=[chain]))


def work(plan: httpx.Response) -> set[str]:
    """Keys of the stages that prepare, train and evaluate; results also hold the task's name."""
    return {s["key"] for s in plan.json()["stages"] if s["kind"] not in ("analyse", "report")}


def test_a_task_is_registered_once_listed_shown_and_deleted(http: httpx.Client) -> None:
    created = http.post("/v1/tasks", json=definition("first"))
    assert created.status_code == 201, created.text
    assert created.headers["location"] == "/v1/tasks/first"
    view = TaskView.model_validate_json(created.content)
    assert (view.registered, view.licence, view.chance) == (True, "CC0-1.0", 0.5)
    assert view.definition is not None
    assert CustomTask.model_validate(view.definition) == CustomTask.model_validate(
        definition("first")
    )
    again = http.post("/v1/tasks", json=definition("first"))
    assert (again.status_code, again.content) == (200, created.content)
    names = [task["name"] for task in http.get("/v1/tasks").json()["items"]]
    assert names[0] == "arc" and names[-1] == "first"
    assert http.get("/v1/tasks/first").content == created.content
    assert http.delete("/v1/tasks/first").status_code == 204
    assert problem(http.get("/v1/tasks/first"), 404).title == "There is no such thing"


def test_a_name_stands_for_one_definition_and_not_for_a_built_in_task(http: httpx.Client) -> None:
    assert http.post("/v1/tasks", json=definition("taken")).status_code == 201
    problem(http.post("/v1/tasks", json=definition("taken", version=2)), 409)
    for name in ("arc", "custom", "preview"):
        refused = problem(http.post("/v1/tasks", json=definition(name)), 422)
        assert refused.errors[0].pointer == "/name"
    assert "built in" in problem(http.delete("/v1/tasks/arc"), 409).detail


def test_a_faulty_definition_is_pointed_to_and_faulty_data_are_named_by_row(
    http: httpx.Client,
) -> None:
    fault = problem(http.post("/v1/tasks", json=definition("f", prompt="{{ text() }}")), 422)
    assert fault.errors[0].pointer == "/prompt"
    fault = problem(http.post("/v1/tasks", json=definition("f", options=["yes", 1])), 422)
    assert fault.errors[0].pointer == "/options/1" or "quotes" in fault.errors[0].detail
    for source, words in (("broken.jsonl", "broken.jsonl, row 1"), ("none.jsonl", "no such file")):
        for path in ("/v1/tasks", "/v1/tasks/preview"):
            answer = http.post(path, json=definition("f", source=source))
            if path.endswith("preview") and source == "broken.jsonl":
                flags = TaskPreview.model_validate_json(answer.content).flags
                assert flags[0].rows == (words,)
            else:
                assert words in problem(answer, 422).detail
    problem(http.get("/v1/tasks/f"), 404)


def test_an_experiment_names_a_registered_task_and_keeps_its_definition(
    http: httpx.Client,
) -> None:
    assert http.post("/v1/tasks", json=definition("planned")).status_code == 201
    use = {"id": "mine", "name": "planned", "train_examples": 20}
    plan = planned(http, use, CAPABILITY).json()
    (stage, _) = [
        s for s in plan["stages"] if s["kind"] == "prepare_data" and s["params"]["task"] == "custom"
    ]
    assert stage["params"]["params"]["name"] == "planned"
    inline = {**use, "name": "custom", "params": definition("planned")}
    assert work(planned(http, inline, CAPABILITY)) == work(planned(http, use, CAPABILITY))
    written = work(planned(http, {**use, "params": {"score": "exact"}}, CAPABILITY))
    assert written & work(planned(http, use, CAPABILITY)) < written


def test_too_few_examples_of_a_registered_task_are_an_error(http: httpx.Client) -> None:
    assert http.post("/v1/tasks", json=definition("small")).status_code == 201
    fault = problem(planned(http, {"id": "s", "name": "small"}), 422)
    assert fault.errors[0].pointer == "/tasks/0/train_examples"


def test_a_misspelt_name_is_answered_by_the_nearest_of_all_names(http: httpx.Client) -> None:
    assert http.post("/v1/tasks", json=definition("registered-one")).status_code == 201
    for wrong, right in (("registered-on", "registered-one"), ("toxigenqa", "toxigen_qa")):
        for answer, status in (
            (planned(http, wrong), 422),
            (http.get(f"/v1/tasks/{wrong}"), 404),
            (http.get(f"/v1/tasks/{wrong}/preview"), 404),
            (http.delete(f"/v1/tasks/{wrong}"), 404),
        ):
            assert f"Did you mean '{right}'?" in (problem(answer, status).hint or "")


def test_a_preview_shows_examples_of_a_definition_a_name_and_parameters(
    http: httpx.Client,
) -> None:
    shown = http.post("/v1/tasks/preview?examples=2", json=definition("seen"))
    preview = TaskPreview.model_validate_json(shown.content)
    assert [len(split.first) for split in preview.splits] == [2, 2]
    assert sum(split.examples for split in preview.splits) == 60
    problem(http.get("/v1/tasks/seen"), 404)
    assert http.post("/v1/tasks", json=definition("seen")).status_code == 201
    named = http.get("/v1/tasks/seen/preview", params={"examples": 2})
    assert named.content == shown.content
    exact = http.get(
        "/v1/tasks/seen/preview", params={"parameters": '{"score": "exact", "groups": []}'}
    )
    first = TaskPreview.model_validate_json(exact.content).splits[0].first[0]
    assert (first.score, first.options, first.groups) == ("exact", (), ())
    assert http.get("/v1/tasks/preview").headers["allow"] == "POST"
    for params in ("{", "[]", '{"socre": 1}'):
        problem(http.get("/v1/tasks/seen/preview", params={"parameters": params}), 422)


def test_a_task_reads_an_upload_which_then_cannot_be_deleted(http: httpx.Client) -> None:
    content = "".join(json.dumps(row) + "\n" for row in ROWS)
    sent = http.post(
        "/v1/datasets?name=mine",
        content=content,
        headers={"Content-Type": MEDIA_TYPES["jsonl"]},
    )
    digest = sent.json()["digest"]
    missing = definition("uploaded", source={"digest": "0" * 64})
    assert problem(http.post("/v1/tasks", json=missing), 422).errors[0].pointer == "/source"
    task = definition("uploaded", source={"digest": digest})
    view = http.post("/v1/tasks", json=task).json()
    assert view["definition"]["source"] == {
        "kind": "upload",
        "digest": digest,
        "format": "jsonl",
        "size": len(content),
    }
    inline = {"id": "u", "name": "custom", "params": task, "train_examples": 10}
    assert planned(http, inline).status_code == 200
    problem(http.delete(f"/v1/datasets/{digest}"), 409)
    assert http.delete("/v1/tasks/uploaded").status_code == 204
    assert http.delete(f"/v1/datasets/{digest}").status_code == 204
