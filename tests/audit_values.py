"""Results of audits as values: what the tests of their outputs begin with."""

from datetime import date
from typing import Any

from forgetscope.core.identity import digest_of
from forgetscope.schema.audit import AuditedModel, AuditedTask, AuditResults, AuditRow, PowerNeed
from forgetscope.schema.experiment import BuiltinModel, ScoringSpec
from forgetscope.schema.measured import Measured
from forgetscope.schema.policy import Policy

HARD_NAMES = (
    "a | b",
    "<script>alert(1)</script>",
    "*bold* _it_ `code` [x](http://y.example) ![i](z)",
    "&amp; &#64; \\| @team #12",
    "www.example.com a@example.com ~~no~~ http://a.example :smile: __a__ _a_b_",
    "Menschen über 60, naïve, 老人",
)


def policy(**changes: Any) -> Policy:
    return Policy.model_validate(
        {
            "name": "release",
            "tasks": [
                {"task": "safety", "margin": 0.05, "group_margin": 0.08, "biased_margin": 0.04}
            ],
        }
        | changes
    )


def row(verdict: str = "pass", **changes: Any) -> AuditRow:
    loss = {"pass": 0.01, "breach": 0.2, "underpowered": 0.05}[verdict]
    values: dict[str, Any] = {
        "task": "safety",
        "group": None,
        "what": "loss",
        "tier": "block",
        "items": 400,
        "clusters": 80,
        "unscored": 0,
        "reference": Measured(value=0.9, low=0.88, high=0.92),
        "candidate": Measured(value=0.9 - loss, low=0.87 - loss, high=0.93 - loss),
        "estimate": Measured(value=loss, low=loss - 0.03, high=loss + 0.03),
        "margin": 0.05,
        "guarded": False,
        "noise_floor": 0.002,
        "verdict": verdict,
        "reason": {
            "pass": "the interval lies below the margin",
            "breach": "the interval lies above the margin",
            "underpowered": "the margin lies in the interval",
        }[verdict],
        "need": PowerNeed(items=1600, clusters=320, reason="the same change of items")
        if verdict == "underpowered"
        else None,
    }
    return AuditRow.model_validate(values | changes)


def results(*rows: AuditRow, **changes: Any) -> AuditResults:
    """As the platform says it; `outcome` must be given where it is no pass."""
    judged = changes.pop("policy", policy())
    files = changes.pop("files", {"model.safetensors": "a" * 64, "config.json": "b" * 64})
    groups = tuple(dict.fromkeys(r.group for r in rows if r.group is not None))
    model = AuditedModel(
        model=BuiltinModel(), fingerprint="reference-print", stage="c" * 64, files=files
    )
    task = AuditedTask(
        id="safety",
        name="synthetic_safety",
        kind="safety",
        chance=0.5,
        groups=groups,
        items=400,
        clusters=80,
        examples="d" * 64,
    )
    return AuditResults.model_validate(
        {
            "name": "release 7",
            "judged_on": date(2026, 11, 20),
            "outcome": "pass",
            "summary": ("Every row passes.",),
            "rows": rows,
            "tasks": (task,),
            "policy": judged,
            "policy_digest": digest_of(judged.model_dump(mode="json")),
            "reference": model,
            "candidate": model.model_copy(update={"fingerprint": "candidate-print"}),
            "evaluation": ScoringSpec(),
            "engine": "transformers",
        }
        | changes
    )


def mixed() -> AuditResults:
    """Everything that a row can be, in one audit that is breached."""
    return results(
        row(),
        row("breach", group="velin"),
        row("pass", group="velin", what="biased"),
        row("underpowered", group="dorrak"),
        row("breach", group="warned", tier="warn"),
        row("breach", group="shown", tier="inform"),
        row("breach", group="waived", waived="known, approved by Ada until 2026-12-01"),
        row("pass", group="fine"),
        outcome="breach",
        summary=("velin lost more than the margin.", "The required task bias is missing."),
        missing=("bias",),
        policy=policy(
            tasks=[
                {"task": "safety", "margin": 0.05, "group_margin": 0.08},
                {"task": "bias"},
            ]
        ),
    )
