"""Chains written out: names of steps become elements, and steps that vary become several.

An element of a written-out chain is `task`, `task:step` or `~step` (a merge, which trains on no
task), each with the varied values in brackets: `safety:replay[share=0.05]`. Elements are names:
equal elements at equal places of equal chains are the same model.
"""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import JsonValue, TypeAdapter, ValidationError

from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidSpec, PlanTooLarge
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.steps import MergeStep, ReplayStep, Step, TrainStep

__all__ = ["Chain", "Steps", "check_count", "task_of"]

Chain = tuple[str, ...]

MAX_CHAINS = 10_000
"""Chains that one experiment may be written out to; counted before any is made."""

_STEP: TypeAdapter[Step] = TypeAdapter(Step)


def task_of(element: str) -> str | None:
    """The task that an element of a written-out chain trains on; None for a merge."""
    return None if element.startswith("~") else element.partition(":")[0]


class _Variant(NamedTuple):
    suffix: str
    step: Step


class Steps:
    """The steps of a specification, by the elements of its written-out chains."""

    def __init__(self, spec: ExperimentSpec) -> None:
        """Raises InvalidSpec: a step shares its name with a task, names an unknown one, or varies
        to something that is no step."""
        self._tasks = [use.id for use in spec.tasks]
        self._named = spec.steps
        self._variants = {name: _variants(name, step) for name, step in spec.steps.items()}
        self._of: dict[str, Step] = {}
        for name, variants in self._variants.items():
            if name in self._tasks:
                raise InvalidSpec(
                    f"{name!r} is a task and a step",
                    where=f"/steps/{name}",
                    hint="Give the step a name of its own.",
                )
            for variant in variants:
                for task in _tasks_named(variant.step):
                    if task not in self._tasks:
                        raise InvalidSpec(
                            f"{task!r} is not among the tasks {self._tasks}", where=f"/steps/{name}"
                        )

    def written_out(self, chain: Sequence[str], where: str) -> Iterator[Chain]:
        """The chains that a chain of a specification stands for.

        Raises InvalidSpec: an unknown name, a step without a task, a replay or a merge of what was
        not trained before.
        """
        elements = [
            self._elements(written, chain, f"{where}/{i}") for i, written in enumerate(chain)
        ]
        for found in itertools.product(*elements):
            for i, element in enumerate(found):
                self._check(found[:i], element, f"{where}/{i}")
            yield found

    def count(self, chain: Sequence[str]) -> int:
        """How many chains a chain of a specification stands for, without making them."""
        names = [written.rpartition(":")[2].removeprefix("~") for written in chain]
        return math.prod(len(self._variants.get(name, ("",))) for name in names)

    def step(self, element: str) -> Step | None:
        """The step of an element; None for plain training on a task."""
        return self._of.get(element)

    def trains(self, element: str) -> bool:
        """Whether an element means any training: a merge does not, nor does a replay of nothing."""
        step = self.step(element)
        nothing = isinstance(step, ReplayStep) and step.share == 0
        return not (nothing or isinstance(step, MergeStep))

    def source(self, chain: Chain, wanted: str | None) -> str:
        """The earlier task that the last element of `chain` replays or watches."""
        return wanted or str(next(filter(None, map(task_of, chain))))

    def plain(self, chain: Chain) -> Chain | None:
        """The chain without what mitigates forgetting: no replay, merge, mix, monitor, mitigation.

        None when that is the chain itself, or nothing is left of it.
        """
        plain: list[str] = []
        for element in chain:
            step = self.step(element)
            if isinstance(step, ReplayStep | MergeStep):
                continue
            plain.append(self._without_mitigation(element, step) if step else element)
        return None if not plain or tuple(plain) == chain else tuple(plain)

    def _without_mitigation(self, element: str, step: TrainStep) -> str:
        if step.mix is None and step.monitor is None and step.training.mitigation is None:
            return element
        training = step.training.model_copy(update={"mitigation": None})
        bare = step.model_copy(update={"mix": None, "monitor": None, "training": training})
        task = str(task_of(element))
        if bare == TrainStep(kind="train", task=step.task):
            return task
        same = (e for e, s in self._of.items() if s == bare and task_of(e) == task)
        if (found := next(same, None)) is None:
            start = element.partition("[")[0]
            numbers = (f"{start}[plain{n or ''}]" for n in itertools.count())
            found = next(name for name in numbers if name not in self._of)
            self._of[found] = bare
        return found

    def _elements(self, written: str, chain: Sequence[str], where: str) -> list[str]:
        if written in self._tasks:
            return [written]
        task, colon, name = written.rpartition(":")
        merges = name.startswith("~")
        name = name.removeprefix("~")
        step = self._named.get(name)
        odd = merges and not isinstance(step, MergeStep)
        if step is None or odd or (colon and task not in self._tasks):
            known = ", ".join([*self._tasks, *self._named])
            raise InvalidSpec(
                f"{written!r} is neither among the tasks nor among the steps: {known}", where=where
            )
        if isinstance(step, MergeStep):
            if colon:
                raise InvalidSpec(f"the merge {name!r} trains on no task", where=where)
            start = "~"
        else:
            own = step.task
            if own is None and isinstance(step, ReplayStep) and chain[0] != written:
                first = next(iter(self._elements(chain[0], chain, where)))
                own = task_of(first)
            chosen = task or own
            if chosen is None and isinstance(step, ReplayStep):
                raise InvalidSpec(
                    f"{written!r} replays a task, but none was trained before it", where=where
                )
            if chosen is None:
                raise InvalidSpec(
                    f"the step {name!r} needs a task",
                    where=where,
                    hint=f"Write {self._tasks[0]}:{name}, or give the step a task.",
                )
            if step.task not in (None, chosen):
                raise InvalidSpec(
                    f"the step {name!r} belongs to the task {step.task!r}, not {chosen!r}",
                    where=where,
                )
            start = f"{chosen}:"
        found = []
        for variant in self._variants[name]:
            element = f"{start}{name}{variant.suffix}"
            self._of[element] = variant.step
            found.append(element)
        return found

    def _check(self, before: Chain, element: str, where: str) -> None:
        step = self.step(element)
        trained = [task for task in map(task_of, before) if task is not None]
        if isinstance(step, ReplayStep) and task_of(element) not in trained:
            raise InvalidSpec(
                f"{element!r} replays a task that was not trained before it",
                where=where,
                hint=f"Trained before it: {', '.join(trained) or 'nothing'}.",
            )
        if isinstance(step, MergeStep) and step.position >= len(before):
            stand = (
                "only 1 stage stands" if len(before) == 1 else f"only {len(before)} stages stand"
            )
            raise InvalidSpec(
                f"{element!r} merges with the model after stage {step.position}, but {stand} "
                "before it, the last of which is its other end",
                where=where,
                hint="`position` counts from 1 and lies before the last stage.",
            )
        if isinstance(step, TrainStep):
            for what, asked in (("mixes in", step.mix), ("monitors", step.monitor)):
                if asked is not None and (asked.task or next(iter(trained), None)) not in trained:
                    raise InvalidSpec(
                        f"{element!r} {what} a task that was not trained before it",
                        where=where,
                        hint=f"Trained before it: {', '.join(trained) or 'nothing'}.",
                    )


def check_count(steps: Steps, chains: Sequence[Sequence[str]]) -> None:
    """Count the chains before they are written out. Raises PlanTooLarge."""
    count = sum(map(steps.count, chains))
    if count > MAX_CHAINS:
        raise PlanTooLarge(
            f"the chains, with the values that their steps take, are {count}; the limit is "
            f"{MAX_CHAINS}",
            where="/chains",
            hint="Let fewer steps vary, or fewer values each.",
        )


def _tasks_named(step: Step) -> Iterator[str]:
    parts: list[Any] = [step] if not isinstance(step, MergeStep) else []
    if isinstance(step, TrainStep):
        parts += [step.mix, step.monitor]
    for part in parts:
        if part is not None and part.task is not None:
            yield part.task


def _variants(name: str, step: Step) -> list[_Variant]:
    if not step.vary:
        return [_Variant("", step)]
    count = math.prod(map(len, step.vary.values()))
    if count > MAX_CHAINS:
        raise PlanTooLarge(
            f"the step {name!r} takes {count} combinations of values; the limit is {MAX_CHAINS}",
            where=f"/steps/{name}/vary",
        )
    plain = step.model_dump(mode="json", exclude={"vary"}, exclude_unset=True) | {"kind": step.kind}
    found: dict[str, _Variant] = {}
    for values in itertools.product(*step.vary.values()):
        chosen = dict(zip(step.vary, values, strict=True))
        suffix = ",".join(f"{path.rpartition('.')[2]}={_word(v)}" for path, v in chosen.items())
        made = json.loads(json.dumps(plain))
        for path, value in chosen.items():
            _put(made, path, value, name)
        try:
            variant = _Variant(f"[{suffix}]", _STEP.validate_python(made))
        except ValidationError as error:
            first = error.errors()[0]
            at = ".".join(str(part) for part in first["loc"][1:])
            raise InvalidSpec(
                f"the step {name!r} cannot vary to {suffix}: {at}: {first['msg']}",
                where=f"/steps/{name}/vary",
            ) from error
        if variant.suffix in found:
            raise InvalidSpec(f"{suffix} stands there twice", where=f"/steps/{name}/vary")
        found[variant.suffix] = variant
    return list(found.values())


def _put(step: dict[str, Any], path: str, value: JsonValue, name: str) -> None:
    *folders, last = path.split(".")
    place = step
    for folder in folders:
        if place.get(folder) is None:
            place[folder] = {}
        inner = place[folder]
        if not isinstance(inner, dict):
            inner = place[folder] = {"name": inner}  # a component by its name alone
        place = inner
    if not folders and last in ("kind", "vary"):
        raise InvalidSpec(f"{last!r} cannot vary", where=f"/steps/{name}/vary")
    place[last] = value


def _word(value: JsonValue) -> str:
    """A value as it stands in the name of an element."""
    if isinstance(value, Mapping):
        params: JsonObject = value.get("params") or {}  # type: ignore[assignment]
        inner = "+".join(f"{key}={_word(v)}" for key, v in params.items())
        return f"{value.get('name', 'none')}{f'({inner})' if inner else ''}"
    if isinstance(value, str):
        return value[:64]
    return json.dumps(value, separators=(",", ":"))[:64]
