from datetime import date

from audit_values import policy

from forgetscope.core.audit_outputs.explain import explain
from forgetscope.schema.policy import Policy

TODAY = date(2026, 11, 20)


def said(of: Policy) -> str:
    return "\n".join(explain(of, today=TODAY))


def test_margins_are_said_in_points_and_tiers_in_consequences() -> None:
    text = said(policy())
    assert "As a whole it may lose up to 5 points." in text
    assert "Each group may lose up to 8 points." in text
    assert "Each group may lose up to 4 points more than the task." in text
    assert "Task safety: An audit without it fails. A breach fails the audit." in text
    assert "that cannot be judged fails, with exit code 2." in text
    assert "Nothing is waived." in text


def test_a_group_says_its_own_margin_and_inherits_the_others() -> None:
    text = said(
        policy(
            tasks=[
                {
                    "task": "safety",
                    "biased_margin": 0.04,
                    "groups": {"velin": {"margin": 0.01, "tier": "warn"}, "dorrak": {}},
                }
            ]
        )
    )
    assert (
        "Group velin: may lose up to 1 point, may lose up to 4 points more than the task, "
        "is of tier warn." in text
    )
    assert "Group dorrak: may lose up to 4 points more than the task." in text


def test_groups_without_a_margin_are_said_not_to_be_judged() -> None:
    assert "Groups are not judged" in said(policy(tasks=[{"task": "safety"}]))


def test_the_guard_for_low_baselines_is_explained() -> None:
    text = said(policy(tasks=[{"task": "safety", "relative": 0.1}]))
    assert "no more than 10 % of what the reference has above chance" in text


def test_waivers_are_expired_ending_or_holding_and_end_with_their_last_day() -> None:
    def waived(expires: date) -> str:
        waiver = {"task": "safety", "reason": "old", "approved_by": "Ada", "expires": expires}
        return said(policy(waivers=[waiver]))

    assert "expired on 2026-11-19; it accepts nothing any more" in waived(date(2026, 11, 19))
    assert "ends on 2026-11-20, in 0 days" in waived(TODAY)
    assert "ends on 2026-12-04, in 14 days" in waived(date(2026, 12, 4))
    assert "holds until 2026-12-05" in waived(date(2026, 12, 5))


def test_a_policy_that_blocks_nothing_says_so() -> None:
    words = "Nothing is of tier block"
    assert words in said(policy(tasks=[{"task": "safety", "tier": "inform"}]))
    assert words in said(
        policy(tasks=[{"task": "safety", "tier": "warn", "groups": {"a": {"tier": "inform"}}}])
    )
    assert words not in said(policy())
    assert words not in said(
        policy(tasks=[{"task": "safety", "tier": "warn", "groups": {"a": {"tier": "block"}}}])
    )
