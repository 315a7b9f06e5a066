"""How one element of a chain becomes a stage: what it is trained on, from where, and how. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from forgetscope.core.facts import TaskFacts
from forgetscope.core.mitigations import MITIGATIONS, SELECTIONS, Selection, resolve_component
from forgetscope.core.steps import Chain, Steps, task_of
from forgetscope.core.training import resolve_training, step_count
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidSpec
from forgetscope.schema.experiment import ExperimentSpec, TaskUse
from forgetscope.schema.steps import MergeStep, Mix, MonitorSpec, ReplayStep, TrainStep
from forgetscope.schema.training import Choice

__all__ = ["Training", "training_of"]

# A backward pass costs about two forward passes (Kaplan et al. 2020, arXiv 2001.08361, table 1).
PASSES_PER_TRAINED_TOKEN = 3


class Chosen(NamedTuple):
    """Examples of an earlier task in an order; `source` is the model that was just trained on it.

    Of chains, `source` is a prefix of the stage's own; the order may depend on what the model
    before the stage lost since.
    """

    task: str
    selection: Selection
    params: JsonObject
    source: Chain


class Training(NamedTuple):
    """One training stage of a chain. `replayed` are examples that are added to those of `task`, or,
    in a replay, those of `task` themselves; `trained_tokens` is an estimate of examples × tokens,
    `tokens` of the work."""

    task: str
    params: JsonObject
    replay: bool
    replayed: Chosen | None
    monitor: Chosen | None
    anchors: tuple[Chain, ...]
    trained_tokens: float
    tokens: float


def training_of(
    spec: ExperimentSpec,
    steps: Steps,
    uses: Mapping[str, TaskUse],
    facts: Mapping[str, TaskFacts],
    chain: Chain,
) -> Training:
    """The training that the last element of `chain` means. Raises InvalidSpec, UnknownName."""
    task = str(task_of(chain[-1]))
    step = steps.step(chain[-1])
    assert not isinstance(step, MergeStep)
    position = len(chain)
    where = f"/steps/{_name(chain[-1])}" if step else "/training"
    params = resolve_training(spec.training, task, position, step.training if step else None)
    available = uses[task].train_examples
    examples, extra = available, 0
    replayed: Chosen | None = None
    monitor: Chosen | None = None
    if isinstance(step, ReplayStep):
        examples = _share(step.share, available)
        params["take"] = examples
        replayed = _chosen(chain, task, step.selection, f"{where}/selection")
        if step.equal_steps:
            size, epochs = int(str(params["batch_size"])), float(str(params["epochs"]))
            params["steps"] = step_count(available, size, epochs)
    elif isinstance(step, TrainStep):
        if step.train_examples is not None:
            if step.train_examples > available:
                raise InvalidSpec(
                    f"{step.train_examples} examples of {task} are asked, which has {available}",
                    where=f"{where}/train_examples",
                    hint="Raise train_examples of the task.",
                )
            examples = params["take"] = step.train_examples
        if step.mix is not None and step.mix.share > 0:
            replayed = _mixed(steps, chain, step.mix, f"{where}/mix/selection")
            extra = _share(step.mix.share, uses[replayed.task].train_examples)
            params["replay_take"] = extra
        if step.monitor is not None:
            monitor = _monitored(steps, chain, step.monitor, facts, where)
            params["monitor"] = step.monitor.model_dump(mode="json", exclude={"task"})
    anchors = _anchors(spec, steps, chain, params, where)
    lengths = examples * facts[task].tokens_per_example
    if extra and replayed is not None:
        lengths += extra * facts[replayed.task].tokens_per_example
    rounds = float(str(params["epochs"]))
    if (asked := params.get("steps")) is not None:
        rounds = int(str(asked)) * int(str(params["batch_size"])) / (examples + extra)
    passes = PASSES_PER_TRAINED_TOKEN
    if (name := params.get("mitigation")) is not None:
        passes = round(passes * MITIGATIONS.get(str(name)).passes)
    return Training(
        task=task,
        params=params,
        replay=isinstance(step, ReplayStep),
        replayed=replayed,
        monitor=monitor,
        anchors=anchors,
        trained_tokens=lengths * rounds,
        tokens=lengths * rounds * passes,
    )


def _share(share: float, of: int) -> int:
    """Examples that a share means: at least one, unless it is 0."""
    return max(1, round(share * of)) if share > 0 else 0


def _name(element: str) -> str:
    return element.rpartition(":")[2].partition("[")[0].removeprefix("~")


def _source(chain: Chain, task: str) -> Chain:
    """The prefix that was last trained on `task` before the last element."""
    at = max(i for i, element in enumerate(chain[:-1]) if task_of(element) == task)
    return chain[: at + 1]


def _chosen(chain: Chain, task: str, choice: Choice, where: str) -> Chosen:
    selection = SELECTIONS.get(choice.name, where=where)
    params = resolve_component(
        "selection", selection.params, selection.name, dict(choice.params), where
    )
    return Chosen(task, selection, params, _source(chain, task))


def _mixed(steps: Steps, chain: Chain, mix: Mix, where: str) -> Chosen:
    chosen = _chosen(chain, steps.source(chain, mix.task), mix.selection, where)
    if chosen.selection.compares:
        raise InvalidSpec(
            f"{chosen.selection.name} looks at what was forgotten, and nothing is before the stage",
            where=where,
            hint="Use it in a replay step, or choose uniform or group_balanced here.",
        )
    return chosen


def _monitored(
    steps: Steps, chain: Chain, monitor: MonitorSpec, facts: Mapping[str, TaskFacts], where: str
) -> Chosen:
    task = steps.source(chain, monitor.task)
    if facts[task].judged:
        raise InvalidSpec(
            f"{task} has generated answers, which a monitor cannot score",
            where=f"{where}/monitor",
            hint="Monitor a task with options.",
        )
    return Chosen(task, SELECTIONS.get("uniform"), {}, _source(chain, task))


def _anchors(
    spec: ExperimentSpec, steps: Steps, chain: Chain, params: JsonObject, where: str
) -> tuple[Chain, ...]:
    """The earlier trainings that an anchored mitigation holds on to."""
    name = params.get("mitigation")
    if name is None or not MITIGATIONS.get(str(name)).anchored:
        return ()
    if len(chain) == 1:
        raise InvalidSpec(
            f"{name} protects earlier tasks, and this is the first stage",
            where=f"{where}/training/mitigation",
            hint="Use it from the second stage on.",
        )
    for at in range(1, len(chain)):
        task, step = task_of(chain[at - 1]), steps.step(chain[at - 1])
        if task is None or isinstance(step, MergeStep):
            raise InvalidSpec(
                f"{name} cannot stand after a merge", where=f"{where}/training/mitigation"
            )
        before = resolve_training(spec.training, task, at, step.training if step else None)
        if any(before[key] != params[key] for key in ("method", "method_params")):
            raise InvalidSpec(
                f"{name} needs the same parameters to be trained in every stage; stage {at} is "
                f"tuned by {before['method']}, this one by {params['method']}",
                where=f"{where}/training/mitigation",
                hint="Use one method with the same parameters throughout.",
            )
    return tuple(chain[:at] for at in range(1, len(chain)))
