"""What a certificate states about an audit: an in-toto Statement v1 with a predicate of ours. Pure.

in-toto Attestation Framework, specification v1, statement layer. The subject is every file of the
candidate that was scored; the predicate says how it was judged, and for how long that holds.
"""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from forgetscope.core.audit_outputs.cases import heading
from forgetscope.core.identity import digest_of
from forgetscope.core.policy import outcome_of
from forgetscope.schema.audit import (
    AuditedModel,
    AuditedTask,
    AuditOutcome,
    AuditResults,
    AuditRow,
)
from forgetscope.schema.base import Digest, JsonObject, Value
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.policy import Policy

__all__ = ["PREDICATE_TYPE", "STATEMENT_TYPE", "Predicate", "Statement", "Subject", "state"]

STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Literal["urn:forgetscope:attestation:audit:v1"] = (
    "urn:forgetscope:attestation:audit:v1"
)

HYPOTHESIS = (
    "Of each row that passed, the hypothesis that the candidate has lost the margin or more "
    "against the reference was rejected: the interval of its loss lies below the margin. Intervals "
    "of the rows of a tier hold together with the confidence of the policy."
)


class Subject(Value):
    """A file of the candidate."""

    name: str
    digest: dict[Literal["sha256"], Digest] = Field(min_length=1)


class Predicate(Value):
    """What was tested, on what, with which outcome."""

    hypothesis: str
    outcome: AuditOutcome
    heading: str
    summary: tuple[str, ...]
    issued: AwareDatetime
    expires: AwareDatetime = Field(description="from then on the certificate is void")
    judged_on: str = Field(description="day (UTC) that waivers were held against")
    results_digest: Digest = Field(description="sha256 of the canonical JSON of the results")
    policy: Policy
    policy_digest: Digest = Field(description="sha256 of its canonical JSON")
    reference: AuditedModel
    candidate: AuditedModel
    data: dict[str, Digest] = Field(description="sha256 of the items of each task")
    tasks: tuple[AuditedTask, ...]
    rows: tuple[AuditRow, ...] = Field(description="sizes, intervals, power and verdicts")
    missing: tuple[str, ...]
    engine: str
    versions: JsonObject

    @model_validator(mode="after")
    def _in_order(self) -> "Predicate":
        if self.expires <= self.issued:
            raise ValueError("expires: a certificate ends after it was issued")
        return self


class Statement(Value):
    """The statement as it is signed."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    kind: Literal["https://in-toto.io/Statement/v1"] = Field(default=STATEMENT_TYPE, alias="_type")
    subject: tuple[Subject, ...] = Field(min_length=1)
    predicate_type: Literal["urn:forgetscope:attestation:audit:v1"] = Field(
        default=PREDICATE_TYPE, alias="predicateType"
    )
    predicate: Predicate


def state(results: AuditResults, *, issued: datetime, days: int, version: str) -> Statement:
    """The statement about an audit that passed; it holds for `days`.

    Raises InvalidInput when the audit did not pass, when its results contradict themselves, and
    when they name no file of the candidate: nothing could be told to be what was audited.
    """
    if results.outcome != "pass":
        raise InvalidInput(
            f"the outcome is {results.outcome}",
            where=results.name,
            hint="A certificate says that an audit passed.",
        )
    if outcome_of(results.policy, results.rows, results.missing) != "pass" or (
        digest_of(results.policy.model_dump(mode="json")) != results.policy_digest
    ):
        raise InvalidInput(
            "the outcome or the digest of the policy does not follow from the rest of the file",
            where=results.name,
            hint="Take the file as the platform wrote it.",
        )
    if not results.candidate.files:
        raise InvalidInput(
            "the results name no file of the candidate", where=results.name, hint="Audit it again."
        )
    return Statement(
        subject=tuple(
            Subject(name=name, digest={"sha256": digest})
            for name, digest in sorted(results.candidate.files.items())
        ),
        predicate=Predicate(
            hypothesis=HYPOTHESIS,
            outcome=results.outcome,
            heading=heading(results),
            summary=results.summary,
            issued=issued,
            expires=issued + timedelta(days=days),
            judged_on=results.judged_on.isoformat(),
            results_digest=digest_of(results.model_dump(mode="json")),
            policy=results.policy,
            policy_digest=results.policy_digest,
            reference=results.reference,
            candidate=results.candidate,
            data={task.id: task.examples for task in results.tasks},
            tasks=results.tasks,
            rows=results.rows,
            missing=results.missing,
            engine=results.engine,
            versions={"forgetscope": version, "provenance": results.provenance},
        ),
    )
