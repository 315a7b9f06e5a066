"""What every plan does alike: stages by key, models, data, scoring. Pure."""

from collections.abc import Mapping

from forgetscope.core.engines import ENDPOINT, ScoredBy
from forgetscope.core.facts import Facts
from forgetscope.core.identity import stage_key
from forgetscope.schema.audit import AuditedRef
from forgetscope.schema.base import JsonObject
from forgetscope.schema.endpoint import EndpointInfo
from forgetscope.schema.example import Split
from forgetscope.schema.experiment import ScoredTask, ScoringSpec
from forgetscope.schema.plan import PlannedStage, Queue, StageKind, StageLabel

__all__ = ["QUEUES", "Collector"]

QUEUES: Mapping[StageKind, Queue] = {
    "prepare_model": "train",
    "prepare_data": "train",
    "prepare_judge": "train",
    "train": "train",
    "merge": "train",
    "select": "train",
    "fisher": "train",
    "evaluate": "evaluate",
    "noise_floor": "evaluate",
    "curvature": "analyse",
    "displacement": "analyse",
    "drift": "analyse",
    "analyse": "analyse",
    "report": "analyse",
    "audit": "analyse",
}


class Collector:
    """Collects stages by key, so that equal ones fall together: those of one plan, and those of
    experiments and audits that score the same model on the same items."""

    def __init__(self, facts: Facts, engine: ScoredBy, scoring: ScoringSpec) -> None:
        self.facts = facts
        self.engine = engine
        self.scoring = scoring
        self.stages: dict[str, PlannedStage] = {}

    def add(
        self,
        kind: StageKind,
        params: JsonObject,
        inputs: dict[str, str],
        label: StageLabel,
        tokens: float,
    ) -> str:
        key = stage_key(kind, params, inputs)
        if key not in self.stages:
            self.stages[key] = PlannedStage(
                key=key,
                kind=kind,
                queue=QUEUES[kind],
                params=params,
                inputs=inputs,
                label=label,
                tokens=round(tokens),
            )
        return key

    def prepared(
        self,
        model: AuditedRef,
        fingerprint: str,
        title: str,
        endpoint: EndpointInfo | None = None,
    ) -> str:
        """A model as one verified folder; of one behind an `endpoint`, what is known of it."""
        params: JsonObject = {
            "model": model.model_dump(mode="json"),
            "fingerprint": fingerprint,
        }
        if endpoint is not None:
            params["endpoint"] = endpoint.model_dump(mode="json")
        return self.add("prepare_model", params, {}, StageLabel(title=title), 0)

    def examples(self, use: ScoredTask, split: Split, n: int | None) -> str:
        """`n` examples of a split of a task; all of them when None."""
        facts = self.facts.tasks[use.id]
        return self.add(
            "prepare_data",
            {
                "task": facts.name,
                "version": facts.version,
                "params": facts.params,
                "fingerprint": facts.fingerprint,
                "examples": facts.examples.get(split),
                "split": split,
                "n": n,
                "seed": 0,
                "balance": use.balance,
            },
            {},
            StageLabel(title=f"{use.id} · {split} data", task=use.id),
            0,
        )

    def judge(self) -> str:
        """The safety classifier: one for the whole plan."""
        return self.add(
            "prepare_judge",
            {
                "judge": self.scoring.judge.model_dump(mode="json"),
                "fingerprint": self.facts.judge_fingerprint,
            },
            {},
            StageLabel(title="safety classifier"),
            0,
        )

    def score(
        self,
        kind: StageKind,
        extra: JsonObject,
        label: StageLabel,
        tokens: float,
        *,
        base: str,
        data: str,
        model: str | None = None,
    ) -> str:
        """`base`, or the checkpoint `model` on it, on the data of the task of `label`."""
        assert label.task is not None
        inputs = {"base": base, "data": data}
        if model is not None:
            inputs["checkpoint"] = model
        if self.facts.tasks[label.task].judged:
            inputs["judge"] = self.judge()
        params: JsonObject = {"engine": self.engine}
        if self.engine != ENDPOINT:  # whose server has settings of its own
            params |= {
                "dtype": self.scoring.dtype,
                "attention": "sdpa",
                "max_length": self.scoring.max_length,
            }
        return self.add(kind, params | extra, inputs, label, tokens)
