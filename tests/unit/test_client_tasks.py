"""The client's part on tasks: what it asks, and when it may ask again."""

import json
from collections.abc import Callable

import httpx
import pytest

from forgetscope.client import Client, Conflict, Unreachable
from forgetscope.schema.preview import TaskPreview
from forgetscope.schema.views import Problem, TaskView

VIEW = TaskView(
    name="mine",
    kind="safety",
    summary="",
    licence="CC0-1.0",
    citation="",
    chance=None,
    groups=(),
    params_schema={},
)
PREVIEW = TaskPreview(name="mine", kind="safety", chance=None, splits=(), flags=())


def client_of(*steps: httpx.Response | Exception) -> tuple[Client, list[httpx.Request]]:
    left, seen = list(steps), list[httpx.Request]()

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        step = left.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    transport = httpx.MockTransport(handle)
    return Client("http://server", transport=transport, sleep=lambda _s: None), seen


def said(value: TaskView | TaskPreview) -> httpx.Response:
    return httpx.Response(200, text=value.model_dump_json())


def test_a_definition_is_sent_as_it_was_given_and_again_after_a_lost_answer() -> None:
    client, seen = client_of(httpx.ReadError("lost"), said(VIEW), said(PREVIEW))
    definition: dict[str, object] = {"name": "mine", "options": ["yes", "no"]}
    with client:
        assert client.tasks.register(definition) == VIEW
        assert client.tasks.preview_definition(definition, examples=5) == PREVIEW
    assert [json.loads(request.content) for request in seen] == [definition] * 3
    assert seen[2].url.raw_path == b"/v1/tasks/preview?examples=5"


def test_parameters_of_a_preview_travel_as_json() -> None:
    client, seen = client_of(said(PREVIEW))
    with client:
        client.tasks.preview("arc", params={"subset": "easy"}, examples=0)
    assert dict(seen[0].url.params) == {"examples": "0", "parameters": '{"subset": "easy"}'}


@pytest.mark.parametrize("ask", ["get", "delete"])
def test_a_name_cannot_lead_elsewhere(ask: str) -> None:
    client, seen = client_of(said(VIEW))
    method: Callable[[str], object] = getattr(client.tasks, ask)
    with client:
        method("../experiments?x=1")
    assert seen[0].url.raw_path == b"/v1/tasks/..%2Fexperiments%3Fx%3D1"


def test_a_deletion_is_not_repeated_when_it_may_have_arrived() -> None:
    problem = Problem(type="/problems/conflict", title="X", status=409, detail="why")
    client, seen = client_of(
        httpx.ReadError("lost"), httpx.Response(409, text=problem.model_dump_json())
    )
    with client:
        with pytest.raises(Unreachable):
            client.tasks.delete("mine")
        with pytest.raises(Conflict):
            client.tasks.delete("arc")
    assert len(seen) == 2
