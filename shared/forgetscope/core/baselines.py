"""A baseline as the reference of an audit: what it fixes, and what is refused against it. Pure.

The stages that scored the model are named by their keys and belong to the new audit, too. None of
them runs again: the model need not be there.
"""

from collections.abc import Mapping
from typing import NamedTuple

from forgetscope.core.engines import ENDPOINT
from forgetscope.core.facts import TaskFacts
from forgetscope.core.identity import stage_key
from forgetscope.schema.audit import AuditSpec, UsedBaseline
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.baseline import BaselineContents, BaselineTask
from forgetscope.schema.errors import DataChanged, InvalidSpec, UnknownName
from forgetscope.schema.experiment import ScoringSpec
from forgetscope.schema.plan import PlannedStage

__all__ = ["Pinned", "refuse_other_items", "with_settings"]

# `noise_floor` is none of them: it is measured for each audit and changes no score.
SETTINGS = ("dtype", "max_length", "judge")


class Pinned(NamedTuple):
    """A baseline with the stages that scored it, inputs before users."""

    used: UsedBaseline
    contents: BaselineContents
    stages: tuple[PlannedStage, ...]
    model: str
    """key of the stage that prepared it"""
    scores: Mapping[str, str]
    """id of a task → key of the stage that scored the model on it"""
    judge: str | None
    """key of the stage that prepared the safety classifier"""

    @property
    def tasks(self) -> dict[str, BaselineTask]:
        """By id."""
        return {task.id: task for task in self.contents.tasks}

    def note(self) -> str:
        """What the name stood for, in words."""
        used = self.used
        return f"Baseline {used.name!r} is the {used.side} of audit {used.audit}."

    def params(self) -> JsonObject:
        """What the stage `audit` is told."""
        return {
            "used": self.used.model_dump(mode="json"),
            "items": {task.id: task.examples for task in self.contents.tasks},
        }


def with_settings(spec: AuditSpec, pinned: Pinned) -> AuditSpec:
    """The specification with the engine and settings of the baseline, and the noise floor that it
    asks for itself, if it says anything of that.

    Raises UnknownName for a task that the baseline does not have; InvalidSpec when the
    specification asks for other settings, and when the scores are of an earlier version.
    """
    _refuse_other_tasks(spec, pinned)
    _refuse_old_scores(spec, pinned)
    name, contents = pinned.used.name, pinned.contents
    asked = spec.evaluation.model_fields_set if "evaluation" in spec.model_fields_set else set()
    fixed = {field: getattr(contents.evaluation, field) for field in SETTINGS}
    fixed["engine"] = contents.engine
    for field, value in fixed.items():
        own = getattr(spec.evaluation, field)
        if field in asked and own != value and (field, own) != ("engine", "auto"):
            raise InvalidSpec(
                f"baseline {name!r} was scored with {field} {_words(value)}: nothing scored with "
                f"{_words(own)} can be compared with it.",
                where=f"/evaluation/{field}",
                hint="Leave it out: it is taken from the baseline.",
            )
    noise = (spec if "noise_floor" in asked else contents).evaluation.noise_floor
    engine = "auto" if contents.engine == ENDPOINT else contents.engine
    evaluation = ScoringSpec.model_validate({**fixed, "engine": engine, "noise_floor": noise})
    return spec.model_copy(update={"evaluation": evaluation})


def refuse_other_items(spec: AuditSpec, pinned: Pinned, facts: Mapping[str, TaskFacts]) -> None:
    """Raises DataChanged for a task that no longer has the items of the baseline."""
    for i, use in enumerate(spec.tasks):
        known, now = pinned.tasks[use.id], facts[use.id]
        if now.examples["evaluation"] != known.examples:
            raise DataChanged(
                f"task {use.id!r} has other items than baseline {pinned.used.name!r}: the sha256 "
                f"of its {now.evaluation_examples} items begins with "
                f"{now.examples['evaluation'][:12]}, that of the baseline's {known.items} with "
                f"{known.examples[:12]}.",
                where=f"/tasks/{i}",
                hint="Ask for it as the audit of the baseline did. If its data have changed since, "
                "audit against a model, and replace the baseline.",
            )


def _refuse_other_tasks(spec: AuditSpec, pinned: Pinned) -> None:
    absent = [(i, use.id) for i, use in enumerate(spec.tasks) if use.id not in pinned.tasks]
    if absent:
        named = ", ".join(repr(task) for _, task in absent)
        raise UnknownName(
            f"baseline {pinned.used.name!r} was not scored on {named}.",
            where=f"/tasks/{absent[0][0]}",
            hint=f"It has: {', '.join(pinned.tasks)}.",
        )


def _refuse_old_scores(spec: AuditSpec, pinned: Pinned) -> None:
    stages = {stage.key: stage for stage in pinned.stages}
    for use in spec.tasks:
        scored = stages[pinned.scores[use.id]]
        if stage_key(scored.kind, scored.params, scored.inputs) != scored.key:
            raise InvalidSpec(
                f"baseline {pinned.used.name!r} was scored by an earlier version of ForgetScope, "
                f"which scores otherwise than this one.",
                where="/reference",
                hint="Audit its model again with this version, and replace the baseline.",
            )


def _words(value: object) -> str:
    return value.model_dump_json() if isinstance(value, Value) else repr(value)
