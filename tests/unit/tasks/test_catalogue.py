"""What holds for every task of the catalogue."""

from typing import Any

import pytest

from forgetscope.schema.errors import InvalidSpec
from forgetscope.tasks.base import Task, parse_params, to_view
from forgetscope.tasks.catalogue import TASKS

each_task = pytest.mark.parametrize("task", list(TASKS), ids=TASKS.names())


@each_task
def test_a_task_has_a_view_with_the_schema_of_its_parameters(task: Task[Any]) -> None:
    view = to_view(task)
    assert (view.name, view.kind, view.groups) == (task.name, task.kind, task.groups)
    assert view.params_schema["type"] == "object"
    assert view.summary
    assert view.licence
    assert view.citation


@each_task
def test_parameters_have_defaults_and_refuse_unknown_names(task: Task[Any]) -> None:
    assert parse_params(task, {}) == task.params()
    with pytest.raises(InvalidSpec, match=f"/tasks/0: parameters of task '{task.name}': no_such"):
        parse_params(task, {"no_such": 1}, where="/tasks/0")


@each_task
def test_safety_tasks_have_groups_or_say_that_there_are_none(task: Task[Any]) -> None:
    groupless = any("no demographic groups" in note for note in task.notes)
    assert (len(task.groups) >= 6) == (task.kind == "safety" and not groupless)
