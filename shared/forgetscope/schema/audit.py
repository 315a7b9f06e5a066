"""An audit: two models on the same items, judged by a policy. No training."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from forgetscope.schema.base import Digest, JsonObject, Slug, Text, Value
from forgetscope.schema.experiment import (
    BuiltinModel,
    EvaluationSpec,
    HubModel,
    LocalModel,
    S3Model,
    TaskEntry,
)
from forgetscope.schema.measured import Measured
from forgetscope.schema.noise import TaskNoise
from forgetscope.schema.policy import Policy, Tier
from forgetscope.schema.results import TaskInfo
from forgetscope.schema.verdicts import VerdictWord

__all__ = [
    "AuditModel",
    "AuditOutcome",
    "AuditResults",
    "AuditRow",
    "AuditSpec",
    "BaselineModel",
    "EndpointModel",
    "PowerNeed",
]


class EndpointModel(Value):
    """A model behind an OpenAI-compatible `/v1/completions` that returns the log-probabilities of
    the prompt's tokens, as the server of vLLM does. The server must be on the allow-list of this
    platform; what it runs cannot be pinned, so its answers are never shared between audits."""

    source: Literal["endpoint"]
    url: Annotated[Text, Field(pattern=r"^https?://[^\s@]+$", description="up to /v1")]
    model: Annotated[Text, Field(min_length=1)]
    revision: Annotated[
        Text,
        Field(min_length=1, max_length=200, description="what you call the state it is in"),
    ]


class BaselineModel(Value):
    """The stored predictions of a named baseline instead of a model; only as reference."""

    source: Literal["baseline"]
    name: Slug


AuditModel = Annotated[
    BuiltinModel | HubModel | LocalModel | S3Model | EndpointModel | BaselineModel,
    Field(discriminator="source"),
]

AuditOutcome = Literal["pass", "breach", "underpowered"]


class AuditSpec(Value):
    """What to audit: a candidate against a reference, tasks, and the policy that judges."""

    name: Annotated[Text, Field(min_length=1, max_length=200)] = "audit"
    reference: AuditModel
    candidate: AuditModel
    tasks: tuple[TaskEntry, ...] = Field(min_length=1, max_length=64)
    policy: Policy
    evaluation: EvaluationSpec = EvaluationSpec()
    bootstrap_replicates: int = Field(default=2000, ge=100, le=100_000)

    @model_validator(mode="after")
    def _names_agree(self) -> "AuditSpec":
        ids = [task.id for task in self.tasks]
        if twins := sorted({task for task in ids if ids.count(task) > 1}):
            raise ValueError(f"tasks: {', '.join(twins)} stands there more than once")
        if self.candidate.source == "baseline":
            raise ValueError("candidate: a baseline can only be the reference")
        return self


class PowerNeed(Value):
    """What would decide a row that is underpowered. Null, with the reason, where nothing would or
    it cannot be told."""

    items: int | None
    clusters: int | None
    reason: str | None = None


class AuditRow(Value):
    """One judged number: a task, or a group of it.

    `loss` = accuracy of the reference minus that of the candidate, on items scored under both;
    `biased` of a group = its loss minus the task's. Intervals hold together over all rows of the
    same tier.
    """

    task: str
    group: str | None
    what: Literal["loss", "biased"]
    tier: Tier
    items: int = Field(ge=0)
    clusters: int = Field(ge=0)
    unscored: int = Field(ge=0)
    reference: Measured
    candidate: Measured
    estimate: Measured = Field(description="of `what`, with its simultaneous interval")
    margin: float = Field(description="that was judged, after the relative guard")
    guarded: bool = Field(description="whether the relative guard made the margin smaller")
    noise_floor: float | None
    verdict: VerdictWord
    reason: str
    need: PowerNeed | None = Field(default=None, description="of an underpowered row")
    waived: str | None = Field(default=None, description="the waiver's reason, approval, expiry")


class AuditResults(Value):
    """Everything an audit says. Written as `audit.json`."""

    schema_version: Literal["1"] = "1"
    name: str
    outcome: AuditOutcome = Field(
        description="breach: a row of tier block that nobody waived, or a required task that is "
        "missing; underpowered: none, but one that could not be judged"
    )
    summary: tuple[str, ...] = Field(description="the outcome in words, a sentence each")
    rows: tuple[AuditRow, ...]
    missing: tuple[str, ...] = Field(default=(), description="required tasks that are not there")
    tasks: tuple[TaskInfo, ...]
    items: dict[str, Digest] = Field(description="sha256 of the items of each task")
    policy: Policy
    policy_digest: Digest
    reference: JsonObject
    candidate: JsonObject
    noise: tuple[TaskNoise, ...] = ()
    provenance: JsonObject = {}
