"""How one element of a chain becomes a stage: what it is trained on, from where, and how. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from forgetscope.core.facts import TaskFacts
from forgetscope.core.methods import METHODS
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
# For LoRA the weights' own gradients, half of the backward pass, are not taken.
PASSES_PER_TRAINED_TOKEN = {"all": 3.0, "factors": 2.0}


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
    own = step.training if step else None
    params = resolve_training(spec.training, task, position, own, f"{where}/training")
    batch_size = int(str(params["batch_size"]))
    available = uses[task].train_examples
    examples, extra = available, 0
    replayed: Chosen | None = None
    monitor: Chosen | None = None
    if isinstance(step, ReplayStep):
        examples = _share(step.share, available)
        replayed = _chosen(steps, chain, task, step.selection, f"{where}/selection")
        if step.equal_steps and examples < available and "steps" not in params:
            params["steps"] = step_count(available, batch_size, float(str(params["epochs"])))
    elif isinstance(step, TrainStep):
        if step.train_examples is not None:
            if step.train_examples > available:
                raise InvalidSpec(
                    f"{step.train_examples} examples of {task} are asked, which has {available}",
                    where=f"{where}/train_examples",
                    hint="Raise train_examples of the task.",
                )
            examples = step.train_examples
        if step.mix is not None and step.mix.share > 0:
            replayed = _mixed(steps, chain, step.mix, f"{where}/mix/selection")
            extra = _share(step.mix.share, uses[replayed.task].train_examples)
            params["replay_take"] = extra
        if step.monitor is not None:
            monitor = _monitored(steps, chain, step.monitor, facts, where)
            params["monitor"] = step.monitor.model_dump(mode="json", exclude={"task"})
    if examples < available:  # all of them is the same training, asked for in whatever way
        params["take"] = examples
    mitigating = where if own is not None and own.mitigation is not None else ""
    anchors = _anchors(spec, steps, chain, params, f"{mitigating}/training/mitigation")
    lengths = examples * facts[task].tokens_per_example
    if extra and replayed is not None:
        lengths += extra * facts[replayed.task].tokens_per_example
    rounds = float(str(params["epochs"]))
    if (asked := params.get("steps")) is not None:
        rounds = int(str(asked)) / step_count(examples + extra, batch_size, 1)
    passes = _passes(params)
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


def _passes(params: JsonObject) -> float:
    """Forward passes that a training step costs per token. A checkpointed one is run twice."""
    passes = PASSES_PER_TRAINED_TOKEN["factors" if params["method"] == "lora" else "all"]
    passes += bool(params["gradient_checkpointing"])
    name = params.get("mitigation")
    return passes * (1.0 if name is None else MITIGATIONS.get(str(name)).passes)


def _share(share: float, of: int) -> int:
    """Examples that a share means: at least one, unless it is 0."""
    return max(1, round(share * of)) if share > 0 else 0


def _name(element: str) -> str:
    return element.partition("[")[0].rpartition(":")[2].removeprefix("~")


def _source(steps: Steps, chain: Chain, task: str) -> Chain:
    """The prefix that was last trained on `task` before the last element."""
    at = max(i for i, e in enumerate(chain[:-1]) if task_of(e) == task and steps.trains(e))
    return chain[: at + 1]


def _chosen(steps: Steps, chain: Chain, task: str, choice: Choice, where: str) -> Chosen:
    selection = SELECTIONS.get(choice.name, where=where)
    params = resolve_component(
        "selection", selection.params, selection.name, dict(choice.params), where
    )
    return Chosen(task, selection, params, _source(steps, chain, task))


def _mixed(steps: Steps, chain: Chain, mix: Mix, where: str) -> Chosen:
    chosen = _chosen(steps, chain, steps.source(chain, mix.task), mix.selection, where)
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
    return Chosen(task, SELECTIONS.get("uniform"), {}, _source(steps, chain, task))


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
            where=where,
            hint="Use it from the second stage on.",
        )
    if not METHODS.get(str(params["method"])).lasting:
        raise InvalidSpec(
            f"{name} compares parameters across stages, and {params['method']} trains new ones in "
            "each",
            where=where,
            hint="Use full tuning or LoRA.",
        )
    trained = []
    for at, element in enumerate(chain[:-1], start=1):
        step = steps.step(element)
        if isinstance(step, MergeStep):
            raise InvalidSpec(f"{name} cannot stand after a merge", where=where)
        if not steps.trains(element):
            continue
        trained.append(chain[:at])
        own = step.training if step else None
        before = resolve_training(spec.training, str(task_of(element)), at, own)
        if any(before[key] != params[key] for key in ("method", "method_params")):
            raise InvalidSpec(
                f"{name} needs the same parameters to be trained in every stage; stage {at} is "
                f"tuned by {before['method']}, this one by {params['method']}",
                where=where,
                hint="Use one method with the same parameters throughout.",
            )
    return tuple(trained)
