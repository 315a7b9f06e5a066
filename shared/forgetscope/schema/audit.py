"""An audit: two models on the same items, judged by a policy. No training."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from forgetscope.schema.base import Digest, JsonObject, StageKey, Text, Value
from forgetscope.schema.experiment import ModelRef, ScoredTaskEntry, ScoringSpec
from forgetscope.schema.measured import Measured
from forgetscope.schema.noise import TaskNoise
from forgetscope.schema.policy import Policy, Tier
from forgetscope.schema.results import TaskInfo
from forgetscope.schema.verdicts import McNemarTest, VerdictWord
from forgetscope.schema.views import RunView

__all__ = [
    "AuditOutcome",
    "AuditResults",
    "AuditRow",
    "AuditSpec",
    "AuditView",
    "AuditedModel",
    "AuditedTask",
    "PowerNeed",
]

AuditOutcome = Literal["pass", "breach", "underpowered"]


class AuditSpec(Value):
    """What to audit: a candidate against a reference, tasks, and the policy that judges."""

    name: Annotated[Text, Field(min_length=1, max_length=200)] = "audit"
    reference: ModelRef
    candidate: ModelRef
    tasks: tuple[ScoredTaskEntry, ...] = Field(min_length=1, max_length=64)
    policy: Policy
    evaluation: ScoringSpec = ScoringSpec()
    bootstrap_replicates: int = Field(default=2000, ge=100, le=100_000)

    @model_validator(mode="after")
    def _names_agree(self) -> "AuditSpec":
        ids = [task.id for task in self.tasks]
        if twins := sorted({task for task in ids if ids.count(task) > 1}):
            raise ValueError(f"tasks: {', '.join(twins)} stands there more than once")
        ruled = [rule.task for rule in self.policy.tasks]
        for task in ids:
            if task not in ruled:
                raise ValueError(f"tasks: the policy has no rule about {task!r}, only {ruled}")
        return self


class PowerNeed(Value):
    """The size that would decide an underpowered row with the policy's power: so many clusters, of
    the present sizes, with so many items in all. Both null where no size would or it cannot be
    told."""

    items: int | None
    clusters: int | None
    reason: str = Field(description="what the numbers assume, or why there are none")

    @model_validator(mode="after")
    def _both_or_none(self) -> "PowerNeed":
        if (self.items is None) != (self.clusters is None):
            raise ValueError("both numbers or none")
        return self


class AuditRow(Value):
    """One judged number: of a task, or of a group of it.

    `loss` = accuracy of the reference minus that of the candidate, on items scored under both;
    `biased` of a group = its loss minus the task's. A group that the policy names and the data do
    not have is a row without items.
    """

    task: str
    group: str | None
    what: Literal["loss", "biased"]
    tier: Tier
    items: int = Field(ge=0, description="scored under both models")
    clusters: int = Field(ge=0, description="that these come from")
    unscored: int = Field(ge=0, description="under at least one of the models")
    reference: Measured = Field(description="accuracy, with an interval for this number alone")
    candidate: Measured = Field(description="accuracy, with an interval for this number alone")
    estimate: Measured = Field(
        description="of `what`; its interval holds together with those of all judged rows of the "
        "same tier"
    )
    mcnemar: McNemarTest | None = Field(default=None, description="of a loss")
    margin: float | None = Field(
        description="that was judged, after the relative guard; null where that leaves none"
    )
    guarded: bool = Field(description="whether the relative guard made the margin smaller")
    noise_floor: float | None
    verdict: VerdictWord
    reason: str
    need: PowerNeed | None = Field(default=None, description="of an underpowered row")
    waived: str | None = Field(
        default=None, description="of a breach: why it is accepted, by whom, and until when"
    )


class AuditedModel(Value):
    """A model as it was audited."""

    model: ModelRef
    fingerprint: str = Field(description="changes with weights, tokenizer and configuration")
    stage: StageKey = Field(description="that prepared it")
    files: dict[str, Digest] = Field(description="sha256 of each file that was scored")


class AuditedTask(TaskInfo):
    """A task as it was audited."""

    examples: Digest = Field(description="sha256 of the file of its items, the same for both")


class AuditResults(Value):
    """Everything an audit says. Written as `audit.json`."""

    schema_version: Literal["1"] = "1"
    name: str
    judged_on: date = Field(description="day (UTC) of submission: waivers are held against it")
    outcome: AuditOutcome = Field(
        description="breach: a row of tier block that nobody waived, or a required task that is "
        "missing; underpowered: none, but a row of tier block that could not be judged, where the "
        "policy fails it"
    )
    summary: tuple[str, ...] = Field(description="the outcome in words, a sentence each")
    rows: tuple[AuditRow, ...]
    missing: tuple[str, ...] = Field(default=(), description="required tasks that are not there")
    tasks: tuple[AuditedTask, ...]
    policy: Policy
    policy_digest: Digest = Field(description="sha256 of its canonical JSON")
    reference: AuditedModel
    candidate: AuditedModel
    evaluation: ScoringSpec
    engine: str
    noise: tuple[TaskNoise, ...] = Field(default=(), description="of the reference")
    provenance: JsonObject = {}


class AuditView(RunView):
    """One audit. `outcome` is null until it has succeeded."""

    spec: AuditSpec
    outcome: AuditOutcome | None = None
