"""The stages of an experiment, collected by key, so that equal ones fall together. Pure."""

from forgetscope.core.chains import prefixes_of
from forgetscope.core.collector import Collector
from forgetscope.core.curvature_plan import CurvatureStage
from forgetscope.core.engines import EngineName
from forgetscope.core.facts import Facts
from forgetscope.core.mechanisms_plan import DriftStage
from forgetscope.core.noise_plan import NoiseStage
from forgetscope.core.steps import Chain, Steps, task_of
from forgetscope.core.training_plan import Chosen, Training, training_of
from forgetscope.schema.base import JsonObject
from forgetscope.schema.example import Split
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import StageKind, StageLabel
from forgetscope.schema.steps import MergeStep

__all__ = ["Builder"]


class Builder(Collector):
    """Collects the stages of an experiment."""

    def __init__(
        self, spec: ExperimentSpec, facts: Facts, engine: EngineName, steps: Steps
    ) -> None:
        super().__init__(facts, engine, spec.evaluation)
        self.spec = spec
        self.steps = steps
        self.uses = {t.id: t for t in spec.tasks}
        self.models: dict[tuple[Chain, int | None], str] = {}
        self._trainings: dict[Chain, Training] = {}
        self.cells: list[tuple[str, Chain, int | None, str]] = []
        self.curves: list[tuple[str, CurvatureStage]] = []
        self.drifts: list[tuple[str, DriftStage]] = []
        self.noises: list[tuple[str, NoiseStage]] = []
        self.base = self.prepared(spec.model, facts.model_fingerprint, "base model")

    def data(self, task_id: str, split: Split) -> str:
        use = self.uses[task_id]
        n = use.train_examples if split == "train" else use.evaluation_examples
        return self.examples(use, split, n)

    def model(self, chain: Chain, seed: int) -> str:
        """The stage whose model is that at the end of `chain`."""
        known = self.models.get((chain, seed))
        if known is not None:
            return known
        step = self.steps.step(chain[-1])
        if isinstance(step, MergeStep):
            key = self._merge(chain, seed, step)
        elif not self.steps.trains(chain[-1]):
            key = self.model(chain[:-1], seed)
        else:
            key = self._train(chain, seed)
        self.models[(chain, seed)] = key
        return key

    def _train(self, chain: Chain, seed: int) -> str:
        training = self.training(chain)
        inputs = {"base": self.base, "data": self.data(training.task, "train")}
        if len(chain) > 1:
            inputs["parent"] = self.model(chain[:-1], seed)
        if (chosen := training.replayed) is not None:
            inputs["data" if training.replay else "replay"] = self._examples(chosen, chain, seed)
        if (watched := training.monitor) is not None:
            inputs["watched"] = self.data(watched.task, "train")
            inputs["reference"] = self.model(watched.source, seed)
        for i, anchor in enumerate(training.anchors):
            inputs[f"anchor-{i}"] = self.model(anchor, seed)
            inputs[f"fisher-{i}"] = self._fisher(anchor, seed, training.params)
        label = StageLabel(
            title=f"train {' → '.join(chain)} · seed {seed}",
            chain=chain,
            seed=seed,
            task=training.task,
        )
        return self.add("train", training.params | {"seed": seed}, inputs, label, training.tokens)

    def _merge(self, chain: Chain, seed: int, step: MergeStep) -> str:
        if step.alpha in (0, 1):  # an end, which is there already
            return self.model(chain[: step.position] if step.alpha else chain[:-1], seed)
        inputs = {
            "base": self.base,
            "checkpoint": self.model(chain[:-1], seed),
            "other": self.model(chain[: step.position], seed),
        }
        label = StageLabel(title=f"merge {' → '.join(chain)} · seed {seed}", chain=chain, seed=seed)
        return self.add("merge", {"alpha": step.alpha}, inputs, label, 0)

    def _examples(self, chosen: Chosen, chain: Chain, seed: int) -> str:
        """The stage that holds replayed examples in the order in which they are taken."""
        data = self.data(chosen.task, "train")
        if chosen.selection.name == "uniform":
            return data
        inputs = {"data": data}
        params: JsonObject = {"selection": chosen.selection.name, "params": chosen.params}
        tokens = 0.0
        if chosen.selection.compares:
            inputs |= {"base": self.base, "checkpoint": self.model(chain[:-1], seed)}
            inputs["reference"] = self.model(chosen.source, seed)
            params["max_length"] = self.training(chain).params["max_length"]
            tokens = chosen.selection.passes * (
                self.uses[chosen.task].train_examples
                * self.facts.tasks[chosen.task].tokens_per_example
            )
        title = f"order {chosen.task} by {chosen.selection.name}"
        if chosen.selection.compares:
            title += f" for {' → '.join(chain[:-1])} · seed {seed}"
        label = StageLabel(title=title, task=chosen.task)
        return self.add("select", params, inputs, label, tokens)

    def _fisher(self, chain: Chain, seed: int, params: JsonObject) -> str:
        task = str(task_of(chain[-1]))
        given = params["mitigation_params"]
        assert isinstance(given, dict)
        examples = min(int(str(given["examples"])), self.uses[task].train_examples)
        inputs = {
            "base": self.base,
            "checkpoint": self.model(chain, seed),
            "data": self.data(task, "train"),
        }
        asked: JsonObject = {
            "examples": examples,
            **{key: params[key] for key in ("method", "method_params", "max_length", "attention")},
        }
        title = f"Fisher information {' → '.join(chain)} · seed {seed}"
        label = StageLabel(title=title, chain=chain, seed=seed, task=task)
        tokens = 3 * examples * self.facts.tasks[task].tokens_per_example
        return self.add("fisher", asked, inputs, label, tokens)

    def training(self, chain: Chain) -> Training:
        """The training that the last element of `chain` means, resolved once."""
        if chain not in self._trainings:
            self._trainings[chain] = training_of(
                self.spec, self.steps, self.uses, self.facts.tasks, chain
            )
        return self._trainings[chain]

    def trained_tokens(self, chain: Chain) -> int:
        """Tokens that the stages of a chain are trained on, by estimate."""
        trained = (p for p in prefixes_of(chain) if self.steps.trains(p[-1]))
        return round(sum(self.training(prefix).trained_tokens for prefix in trained))

    def evaluate(self, chain: Chain, seed: int | None, task: str) -> None:
        facts = self.facts.tasks[task]
        name = " → ".join(chain) if chain else "base model"
        title = f"score {name} on {task}" + ("" if seed is None else f" · seed {seed}")
        label = StageLabel(title=title, chain=chain, seed=seed, task=task)
        n = self.uses[task].evaluation_examples or facts.evaluation_examples
        key = self._score("evaluate", {}, label, n * facts.tokens_per_example)
        self.cells.append((key, chain, seed, task))

    def noise(self, stage: NoiseStage) -> None:
        key = self._score("noise_floor", stage.params, stage.label, stage.tokens)
        self.noises.append((key, stage))

    def _score(self, kind: StageKind, extra: JsonObject, label: StageLabel, tokens: float) -> str:
        """The model of `label` on the evaluation data of its task."""
        assert label.chain is not None
        assert label.task is not None
        checkpoint = None if label.seed is None else self.models[(label.chain, label.seed)]
        data = self.data(label.task, "evaluation")
        return self.score(kind, extra, label, tokens, base=self.base, data=data, model=checkpoint)

    def curve(self, stage: CurvatureStage) -> None:
        """A model around its own data, and where later training takes it."""
        before = self.models[(stage.chain[: stage.position], stage.seed)]
        inputs = {"base": self.base, "checkpoint": before, "data": self.data(stage.task, "train")}
        if stage.kind == "displacement":
            inputs["later"] = self.models[(stage.chain, stage.seed)]
        tokens = stage.passes * self.facts.tasks[stage.task].tokens_per_example
        key = self.add(stage.kind, stage.params, inputs, stage.label, tokens)
        self.curves.append((key, stage))

    def drift(self, stage: DriftStage) -> None:
        """A model's states on the evaluation data of its last task, and those of a later model."""
        inputs = {
            "base": self.base,
            "checkpoint": self.models[(stage.chain[: stage.position], stage.seed)],
            "later": self.models[(stage.chain, stage.seed)],
            "data": self.data(stage.task, "evaluation"),
        }
        key = self.add("drift", stage.params, inputs, stage.label, stage.tokens)
        self.drifts.append((key, stage))
