"""Policies: margins, guards, tiers, waivers, and the outcome that follows."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from forgetscope.core.policy import Margin, asked_rows, missing_tasks, outcome_of, waiver_of
from forgetscope.core.policy_words import summary_of
from forgetscope.schema.audit import AuditRow, PowerNeed
from forgetscope.schema.measured import Measured
from forgetscope.schema.policy import Policy, TaskRule

DAY = date(2026, 3, 1)


def policy(**changes: Any) -> Policy:
    return Policy.model_validate({"name": "release", "tasks": [{"task": "qa"}], **changes})


def row(verdict: str = "pass", **changes: Any) -> AuditRow:
    values: dict[str, Any] = {
        "task": "qa",
        "group": None,
        "what": "loss",
        "tier": "block",
        "items": 100,
        "clusters": 100,
        "unscored": 0,
        "reference": Measured(value=0.9),
        "candidate": Measured(value=0.8),
        "estimate": Measured(value=0.1, low=0.06, high=0.14),
        "margin": 0.05,
        "guarded": False,
        "noise_floor": None,
        "verdict": verdict,
        "reason": "because",
    }
    return AuditRow.model_validate(values | changes)


@pytest.mark.parametrize(
    ("relative", "accuracy", "chance", "expected"),
    [
        (None, 0.3, 0.25, Margin(0.05, guarded=False)),
        (0.2, 0.9, 0.25, Margin(0.05, guarded=False)),
        (0.2, 0.35, 0.25, Margin(pytest.approx(0.02), guarded=True)),
        (0.2, 0.1, None, Margin(pytest.approx(0.02), guarded=True)),
        (0.2, 0.25, 0.25, Margin(None, guarded=True)),
        (0.2, 0.2, 0.25, Margin(None, guarded=True)),
        (0.2, None, 0.25, Margin(0.05, guarded=False)),
    ],
)
def test_the_relative_guard_takes_a_share_of_what_is_above_chance(
    relative: float | None, accuracy: float | None, chance: float | None, expected: Margin
) -> None:
    assert Margin.of(0.05, relative, accuracy, chance) == expected


def test_groups_are_judged_where_the_policy_gives_them_a_margin() -> None:
    rule = TaskRule.model_validate(
        {
            "task": "qa",
            "margin": 0.1,
            "biased_margin": 0.2,
            "tier": "warn",
            "groups": {"b": {"margin": 0.01, "tier": "block"}, "only here": {"biased_margin": 0.3}},
        }
    )
    asked = [(a.group, a.what, a.tier, a.margin) for a in asked_rows(rule, ["a", "b"])]
    assert asked == [
        (None, "loss", "warn", 0.1),
        ("a", "biased", "warn", 0.2),
        ("b", "loss", "block", 0.01),
        ("b", "biased", "block", 0.2),
        ("only here", "biased", "warn", 0.3),
    ]


def test_only_required_tasks_can_be_missing() -> None:
    tasks = [{"task": "a"}, {"task": "b"}, {"task": "c", "required": False}]
    assert missing_tasks(policy(tasks=tasks), ["b"]) == ("a",)


def test_the_latest_waiver_counts_and_one_of_another_group_does_not() -> None:
    given = {"task": "qa", "reason": "r", "approved_by": "p"}
    waivers = [
        {**given, "expires": "2026-02-01"},
        {**given, "expires": "2026-03-01"},
        {**given, "group": "b", "expires": "2026-02-28"},
    ]
    rules = policy(waivers=waivers)
    holds, expired = waiver_of(rules, "qa", None, DAY)
    assert holds is not None and holds.expires == DAY and expired is None
    holds, expired = waiver_of(rules, "qa", "b", DAY)
    assert holds is None and expired is not None
    assert waiver_of(rules, "qa", "c", DAY) == (None, None)


@pytest.mark.parametrize(
    ("rows", "missing", "changes", "expected"),
    [
        ([row()], (), {}, "pass"),
        ([row(), row("breach")], (), {}, "breach"),
        ([row("breach", waived="w")], (), {}, "pass"),
        ([row("breach", tier="warn")], (), {}, "pass"),
        ([row()], ("other",), {}, "breach"),
        ([row(), row("underpowered")], (), {}, "underpowered"),
        ([row("underpowered")], (), {"underpowered": "warn"}, "pass"),
        ([row("underpowered", tier="inform")], (), {}, "pass"),
        ([row("underpowered"), row("breach")], (), {}, "breach"),
        ([], (), {}, "pass"),
    ],
)
def test_the_outcome_follows_from_the_rows_of_tier_block(
    rows: list[AuditRow], missing: tuple[str, ...], changes: dict[str, Any], expected: str
) -> None:
    assert outcome_of(policy(**changes), rows, missing) == expected


def test_the_summary_says_what_breached_what_is_open_and_what_it_needs() -> None:
    need = PowerNeed(items=900, clusters=90, reason="if items change as in this audit")
    rows = [
        row("breach", group="b", what="biased"),
        row("underpowered", group="c", need=need),
        row("underpowered", group="d", tier="inform"),
        row("breach", group="e", tier="warn"),
    ]
    said = summary_of(policy(), "breach", rows, ("other",), judged_on=DAY)
    assert said == (
        "Breach of the policy release: 1 of 2 numbers of tier block breached, 1 required tasks "
        "missing.",
        "The required task other is missing.",
        "qa, group b, beyond the task: 10.0 points lost (6.0 to 14.0), margin 5.0.",
        "qa, group e: 10.0 points lost (6.0 to 14.0), margin 5.0; tier warn, which does not fail "
        "the audit.",
        "qa, group c could not be judged: because; about 900 items in 90 clusters would decide it, "
        "if items change as in this audit.",
    )


@pytest.mark.parametrize(
    "broken",
    [
        {"tasks": [{"task": "qa"}, {"task": "qa"}]},
        {"waivers": [{"task": "no", "reason": "r", "approved_by": "p", "expires": "2026-01-01"}]},
        {"waivers": [{"task": "qa", "reason": "", "approved_by": "p", "expires": "2026-01-01"}]},
        {"tasks": [{"task": "qa", "margin": 0}]},
        {"tasks": [{"task": "qa", "margni": 0.1}]},
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        policy(**broken)
