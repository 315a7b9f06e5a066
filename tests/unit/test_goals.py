"""Goals of mitigation: three answers, from intervals."""

import pytest

from forgetscope.core.goals import judge_goal
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.goal import Goal, GoalJudged
from forgetscope.schema.measured import Measured
from forgetscope.schema.recovery import (
    GroupRecovery,
    MitigatedChain,
    Price,
    RecoveryRow,
    Simultaneous,
)

NONE = Measured(reason="nothing was forgotten")
LOST = Measured(value=0.4, low=0.3, high=0.5)


def span(low: float, high: float) -> Measured:
    return Measured(value=(low + high) / 2, low=low, high=high)


def group(
    name: str,
    recovery: Measured,
    *,
    forgotten: Measured = LOST,
    remaining: Measured = LOST,
    too_small: bool = False,
) -> GroupRecovery:
    return GroupRecovery(
        group=name,
        items=40,
        clusters=8,
        too_small=too_small,
        forgotten=LOST,
        regained=LOST,
        recovery=span(0.99, 1.0),  # one at a time: no verdict may read it
        remaining=remaining,
        biased=LOST,
        simultaneous=Simultaneous(forgotten=forgotten, remaining=remaining, recovery=recovery),
    )


def row(
    *groups: GroupRecovery, price: Measured | None = None, whole: Measured = NONE
) -> RecoveryRow:
    cost = price or span(-0.01, 0.005)
    return RecoveryRow(
        mitigated=MitigatedChain(
            chain=("a", "b", "a:replay"),
            plain=("a", "b"),
            mitigation="replay",
            variant="a:replay",
            tokens=3,
            plain_tokens=2,
        ),
        task="a",
        position=1,
        items=80,
        clusters=16,
        unscored=0,
        before=LOST,
        plain=LOST,
        after=LOST,
        forgotten=LOST,
        regained=LOST,
        recovery=whole,
        remaining=LOST,
        groups=groups,
        worst_group=None,
        worst_biased=NONE,
        plain_worst_biased=NONE,
        prices=(
            Price(
                task="b",
                items=80,
                clusters=16,
                plain=LOST,
                mitigated=LOST,
                price=span(0.2, 0.3),
                simultaneous=cost,
            ),
        ),
    )


def judged(*groups: GroupRecovery, price: Measured | None = None) -> GoalJudged:
    return judge_goal(row(*groups, price=price), Goal())


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.91, 1.1, "pass"),
        (0.90, 1.1, "pass"),
        (0.89, 1.1, "underpowered"),
        (0.5, 0.90, "underpowered"),
        (0.5, 0.89, "breach"),
        (-0.5, -0.1, "breach"),
    ],
)
def test_recovery_passes_by_its_lower_end_and_breaches_by_its_upper(
    low: float, high: float, verdict: str
) -> None:
    found = judged(group("g", span(low, high)))
    assert found.verdict == verdict
    assert [part.verdict for part in found.parts] == [verdict, "pass"]


def test_one_group_that_is_not_brought_back_is_a_breach_and_one_unsure_group_is_no_pass() -> None:
    good, bad, unsure = (span(0.95, 1.0), span(0.1, 0.2), span(0.8, 1.0))
    assert judged(group("g", good), group("h", good)).verdict == "pass"
    assert judged(group("g", good), group("h", unsure)).verdict == "underpowered"
    found = judged(group("g", good), group("h", unsure), group("i", bad))
    assert found.verdict == "breach"
    assert found.reason.startswith("group i: ")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.02, 0.009, "pass"), (-0.02, 0.011, "underpowered"), (0.011, 0.03, "breach")],
)
def test_the_price_is_judged_with_its_simultaneous_interval(
    low: float, high: float, verdict: str
) -> None:
    found = judged(group("g", span(0.95, 1.0)), price=span(low, high))
    assert found.verdict == verdict


def test_a_price_of_which_no_item_changed_is_not_shown_to_be_small() -> None:
    found = judged(group("g", span(0.95, 1.0)), price=span(0, 0))
    assert found.verdict == "underpowered"
    assert "no item changed" in found.reason


@pytest.mark.parametrize(
    ("forgotten", "remaining", "verdict"),
    [
        (span(-0.03, 0.04), span(-0.03, 0.04), "pass"),
        (span(-0.03, 0.04), span(0.06, 0.10), "breach"),
        (span(-0.03, 0.04), span(-0.03, 0.06), "underpowered"),
        (span(-0.03, 0.06), span(-0.03, 0.04), "underpowered"),
        (Measured(value=0.0, interval_reason="one cluster"), span(0, 0.01), "underpowered"),
    ],
)
def test_where_no_loss_is_shown_it_must_be_small_and_stay_so(
    forgotten: Measured, remaining: Measured, verdict: str
) -> None:
    found = judged(group("g", NONE, forgotten=forgotten, remaining=remaining))
    assert found.verdict == verdict
    assert found.parts[0].measure == "remaining"


def test_a_ratio_without_an_interval_is_underpowered() -> None:
    found = judged(group("g", Measured(value=1.0, interval_reason="few clusters")))
    assert found.verdict == "underpowered"
    assert "few clusters" in found.reason


def test_groups_that_are_too_small_are_told_and_not_judged() -> None:
    good, small = group("g", span(0.95, 1.0)), group("h", span(0.1, 0.2), too_small=True)
    found = judged(good, small)
    assert found.verdict == "pass"
    assert list(found.not_judged) == ["h"]
    assert judged(small).verdict == "underpowered"
    assert "large enough" in judged(small).reason
    assert judged().reason == "the task has no groups"


def test_a_goal_for_the_task_does_not_look_at_groups() -> None:
    study = row(group("g", span(0.1, 0.2)), whole=span(0.95, 1.0))
    found = judge_goal(study, Goal(of="task"))
    assert (found.verdict, [part.kind for part in found.parts]) == ("pass", ["task", "price"])


def test_a_price_below_the_noise_floor_cannot_be_judged() -> None:
    found = judge_goal(row(group("g", span(0.95, 1.0))), Goal(), {"b": 0.02})
    assert found.verdict == "underpowered"
    assert "noise floor" in found.reason


def test_prices_on_other_tasks_than_the_named_ones_are_not_judged() -> None:
    study = row(group("g", span(0.95, 1.0)), price=span(0.2, 0.3))
    assert judge_goal(study, Goal()).verdict == "breach"
    assert judge_goal(study, Goal(price_tasks=())).verdict == "pass"


def test_a_price_on_a_task_that_was_not_trained_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no price on 'c'"):
        judge_goal(row(group("g", span(0.95, 1.0))), Goal(price_tasks=("c",)))
