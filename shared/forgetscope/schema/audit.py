"""An audit: two models on the same items, judged by a policy. No training."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from forgetscope.schema.base import Digest, JsonObject, Slug, StageKey, Text, Value
from forgetscope.schema.endpoint import EndpointModel
from forgetscope.schema.experiment import (
    BuiltinModel,
    HubModel,
    LocalModel,
    S3Model,
    ScoredTaskEntry,
    ScoringSpec,
)
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
    "AuditedRef",
    "AuditedTask",
    "BaselineRef",
    "BaselineSide",
    "PowerNeed",
    "UsedBaseline",
]

AuditOutcome = Literal["pass", "breach", "underpowered"]
BaselineSide = Literal["candidate", "reference"]

AuditedRef = Annotated[
    BuiltinModel | HubModel | LocalModel | S3Model | EndpointModel, Field(discriminator="source")
]


class BaselineRef(Value):
    """A model as an earlier audit scored it, under the name that it was given. Nothing of it is
    scored again, and the model itself need not be there any more."""

    source: Literal["baseline"]
    name: Slug


class AuditSpec(Value):
    """What to audit: a candidate against a reference, tasks, and the policy that judges.

    With a baseline as reference the engine and the settings of `evaluation` are those that it was
    scored with, and each task has exactly its items.
    """

    name: Annotated[Text, Field(min_length=1, max_length=200)] = "audit"
    reference: Annotated[AuditedRef | BaselineRef, Field(discriminator="source")]
    candidate: AuditedRef
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


class UsedBaseline(Value):
    """The baseline that a reference was, as it stood when the audit was submitted."""

    name: Slug
    audit: str = Field(description="id of the audit that scored the model")
    side: BaselineSide = Field(description="which of that audit's models it was")
    created_at: float = Field(
        description="seconds since 1970, UTC: when the name got this audit and side"
    )


class AuditedModel(Value):
    """A model as it was audited."""

    model: AuditedRef
    fingerprint: str = Field(
        description="changes with weights, tokenizer and configuration; `probed/…`, of a model "
        "behind an endpoint: with its answers to fixed probes"
    )
    stage: StageKey = Field(description="that prepared it")
    files: dict[str, Digest] = Field(
        description="sha256 of each file that was scored; `endpoint.json` alone where the model "
        "is not at hand"
    )
    baseline: UsedBaseline | None = Field(
        default=None, description="of a reference that was not scored for this audit"
    )


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
    noise: tuple[TaskNoise, ...] = Field(
        default=(), description="of the reference, or against a baseline of the candidate"
    )
    provenance: JsonObject = {}


class AuditView(RunView):
    """One audit. `outcome` is null until it has succeeded."""

    spec: AuditSpec
    outcome: AuditOutcome | None = None
