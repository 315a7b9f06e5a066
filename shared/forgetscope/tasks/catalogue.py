"""Every task that an experiment can name. A new task is one module and one line here."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from forgetscope.core.registry import Registry
from forgetscope.schema.base import Value
from forgetscope.tasks.arc import ARC
from forgetscope.tasks.base import Task, parse_params
from forgetscope.tasks.bbq import BBQ
from forgetscope.tasks.csqa import CSQA
from forgetscope.tasks.csqa2 import CSQA2
from forgetscope.tasks.custom import CUSTOM, custom_task, parse_definition
from forgetscope.tasks.diasafety import DIASAFETY
from forgetscope.tasks.saferdialogues import SAFERDIALOGUES
from forgetscope.tasks.synthetic_capability import SYNTHETIC_CAPABILITY
from forgetscope.tasks.synthetic_code import SYNTHETIC_CODE
from forgetscope.tasks.synthetic_safety import SYNTHETIC_SAFETY
from forgetscope.tasks.toxigen_qa import TOXIGEN_QA

__all__ = ["TASKS", "find"]

TASKS: Registry[Task[Any]] = Registry("task")
for _task in (
    ARC,
    CSQA,
    CSQA2,
    TOXIGEN_QA,
    BBQ,
    SAFERDIALOGUES,
    DIASAFETY,
    SYNTHETIC_SAFETY,
    SYNTHETIC_CAPABILITY,
    SYNTHETIC_CODE,
):
    TASKS.register(_task.name, _task)


def find(
    name: str, params: Mapping[str, JsonValue], *, where: str | None = None
) -> tuple[Task[Any], Value]:
    """A task with its parameters, every default filled in.

    The name "custom" stands for the task that the parameters define (`schema.custom`). `where`
    points to the use of the task in the input. Raises UnknownName, InvalidSpec.
    """
    at = "" if where is None else where
    if name == CUSTOM:
        definition = parse_definition(params, where=f"{at}/params")
        return custom_task(definition, where=f"{at}/params"), definition
    task = TASKS.get(name, where=f"{at}/name")
    return task, parse_params(task, params, where=f"{at}/params")
