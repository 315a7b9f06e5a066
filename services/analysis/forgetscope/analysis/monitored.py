"""What the monitors of training stages saw, read from the stages' records."""

import json
from pathlib import Path

from pydantic import TypeAdapter

from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.monitored import MonitoredGroup, MonitoredStage, MonitorLook
from forgetscope.schema.stage import Breach, Manifest
from forgetscope.schema.steps import MonitorSpec

__all__ = ["RECORD", "MonitorUse", "monitored_stage"]

RECORD = "monitor.jsonl"
"""A line for each group at each look."""


class MonitorUse(Value):
    """A watched training, as the planner tells it to the analysis."""

    role: str
    chain: tuple[str, ...]
    seed: int
    watched: str
    settings: MonitorSpec


class _Facts(Value):
    """What the stage says of its monitor in its manifest; `calls`: group → step."""

    looks: int
    calls: dict[str, int]
    stopped_at: int | None = None
    weights_of_step: int | None = None


def monitored_stage(use: MonitorUse, record: Path, manifest: Manifest) -> MonitoredStage:
    """The monitor of one stage. `record` is the file of that name in the stage's output."""
    facts = _Facts.model_validate(manifest.meta["monitor"])
    lines: dict[str, list[JsonObject]] = {}
    for text in record.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        lines.setdefault(line["group"], []).append(line)
    return MonitoredStage(
        **use.model_dump(exclude={"role", "settings"}),
        settings=use.settings,
        steps=TypeAdapter(int).validate_python(manifest.meta["steps"]),
        looks=facts.looks,
        stopped_at=facts.stopped_at,
        weights_of_step=facts.weights_of_step,
        groups=tuple(
            MonitoredGroup(
                group=group,
                looks=tuple(_look(line) for line in found),
                call=_call(use.settings, found, facts.calls.get(group)),
            )
            for group, found in lines.items()
        ),
    )


def _look(line: JsonObject) -> MonitorLook:
    ends = {"low": line["lower"], "high": line["upper"]}
    given = {key: line[key] for key in ("step", "estimate", "mean")}
    return MonitorLook.model_validate(given | ends)


def _call(settings: MonitorSpec, lines: list[JsonObject], step: int | None) -> Breach | None:
    if step is None:
        return None
    at = next(line for line in lines if line["step"] == step)
    given = {key: at[key] for key in ("group", "step", "look", "mean", "lower")}
    return Breach.model_validate(given | {"margin": settings.margin, "action": settings.action})
