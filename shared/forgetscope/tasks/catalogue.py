"""Every task that an experiment can name. A new task is one module and one line here."""

from typing import Any

from forgetscope.core.registry import Registry
from forgetscope.tasks.arc import ARC
from forgetscope.tasks.base import Task
from forgetscope.tasks.bbq import BBQ
from forgetscope.tasks.csqa import CSQA
from forgetscope.tasks.csqa2 import CSQA2
from forgetscope.tasks.synthetic_capability import SYNTHETIC_CAPABILITY
from forgetscope.tasks.synthetic_safety import SYNTHETIC_SAFETY
from forgetscope.tasks.toxigen_qa import TOXIGEN_QA

__all__ = ["TASKS"]

TASKS: Registry[Task[Any]] = Registry("task")
for _task in (
    ARC,
    CSQA,
    CSQA2,
    TOXIGEN_QA,
    BBQ,
    SYNTHETIC_SAFETY,
    SYNTHETIC_CAPABILITY,
):
    TASKS.register(_task.name, _task)
