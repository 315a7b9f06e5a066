"""The answer of the power planner, and what a reader must know before believing it."""

from collections.abc import Iterator, Sequence

from forgetscope.app.power_sizes import Counted
from forgetscope.core.inference import power as core
from forgetscope.core.inference.power_growth import growth
from forgetscope.core.inference.power_model import Plan, Runs
from forgetscope.core.inference.power_needs import Question
from forgetscope.schema.power import Assumption, GroupPower, PowerNeeds, PowerRequest
from forgetscope.schema.results import Measured

__all__ = ["absent", "answer", "cautions"]

FEW_CLUSTERS, FEW_SEEDS = 10, 10
"""Below these the power is rough, and the quantile for runs is large [own choice]."""

TOO_SMALL = "cannot be answered at this size"


def answer(
    plan: Plan, found: core.GroupPower, question: Question, runs: Runs, family: core.PowerPlan
) -> GroupPower:
    """One group; the name "" is the task as a whole."""
    enough = found.outcome == "enough"
    return GroupPower(
        group=plan.name or None,
        items=found.items,
        clusters=found.clusters,
        verdict="answerable" if enough else TOO_SMALL,
        reason=found.reason,
        needed=() if enough else _needed(plan, found, question, runs, family),
        effect=Measured(value=found.effect),
        claim=found.claim,
        power=found.power,
        minimum_detectable=found.minimum_detectable,
        largest_passing=found.largest_passing,
        standard_error=found.standard_error,
        needs=PowerNeeds(
            clusters=found.needs.clusters, items=found.needs.items, seeds=found.needs.seeds
        ),
        cautions=(*found.cautions, *_few(found)),
    )


def _few(found: core.GroupPower) -> Iterator[str]:
    if found.power.value is not None and found.clusters < FEW_CLUSTERS:
        yield f"{found.clusters} clusters: the power is rough, some points more or less"


def _needed(
    plan: Plan, found: core.GroupPower, question: Question, runs: Runs, family: core.PowerPlan
) -> tuple[str, ...]:
    """What would do. Where nothing does by itself, what would do together."""
    alone = (found.needs.clusters, found.needs.items, found.needs.seeds)
    if any(need.value is not None for need in alone):
        return found.helps
    outside = found.outcome == "cannot be answered"
    tail = question.alpha / (2 * (family.judged + outside))
    grown = growth(plan, question, runs, tail)
    if grown is None:
        return found.helps
    said = f"{grown.clusters} clusters (e.g. templates) of the same sizes instead of "
    said += f"{found.clusters}"
    if plan.rest is not None:
        said += f", and {grown.clusters / found.clusters:.3g} times the clusters of all others"
    if grown.seeds != runs.seeds:
        said += f", with {grown.seeds} seeds instead of {runs.seeds}"
    return (said,)


def absent(name: str, whole: Plan | None, reason: str) -> GroupPower:
    """A group about which nothing can be computed."""
    none = Measured(reason=reason)
    needed = "another split, or more data: no test can be about items that are not there"
    return GroupPower(
        group=name,
        items=0 if whole is None else int(whole.sample.items),
        clusters=0 if whole is None else int(whole.sample.clusters),
        verdict=TOO_SMALL,
        reason=reason,
        needed=(needed,) if whole is None else ("other items to compare with",),
        effect=none,
        claim=None,
        power=none,
        minimum_detectable=none,
        largest_passing=none,
        standard_error=none,
        needs=PowerNeeds(clusters=none, items=none, seeds=none),
        cautions=(),
    )


def cautions(
    request: PowerRequest, tasks: Sequence[Counted], assumptions: Sequence[Assumption]
) -> Iterator[str]:
    """About the plan as a whole."""
    assumed = [f"{one.name} {one.value:g}" for one in assumptions if one.assumed]
    if assumed:
        yield f"Assumed, since nothing was given: {', '.join(assumed)}. Power rests on these."
    value = {one.name: one.value for one in assumptions}
    if 1 < value["seeds"] < FEW_SEEDS and value["seed_sd"] > 0:
        yield (
            f"{value['seeds']:g} seeds say little about how much runs differ, so that intervals "
            "are wide, above all those for many groups together: more seeds help."
        )
    biased = request.quantity == "biased_forgetting"
    for task in tasks:
        if biased and not task.groups:
            yield f"{task.task} has no groups, so biased forgetting is not defined for it."
        if biased and task.overlapping:
            yield (
                f"{task.task} has items of several groups: each counts in all of its groups, and "
                "the others are those of the task that are not about the group."
            )
    if request.correction == "groups" and any(len(task.groups) > 1 for task in tasks):
        yield (
            "Corrected by Bonferroni over the groups that can be judged; max-T and Holm, which "
            "judge the results, are a little better than that."
        )
    if request.correction == "none" and any(len(task.groups) > 1 for task in tasks):
        yield (
            "Not corrected for looking at several groups: this holds for one group that was chosen "
            "before the data were seen."
        )
