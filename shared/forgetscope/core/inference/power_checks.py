"""Refuses numbers that are no design, before the planner computes with them."""

from collections.abc import Sequence

from forgetscope.core.inference.power_model import Expected, Plan, Runs, Sample
from forgetscope.core.inference.power_needs import Question
from forgetscope.core.inference.verdicts import check_margin
from forgetscope.schema.errors import InvalidInput

__all__ = ["check"]


def check(plans: Sequence[Plan], question: Question, runs: Runs) -> None:
    """Raises InvalidInput for anything outside its range; `where` names the field."""
    check_margin(question.margin, test=question.test, noise_floor=question.noise_floor)
    for name, value in (("alpha", question.alpha), ("target_power", question.target_power)):
        if not 0 < value < 1:
            raise InvalidInput(f"{value} is no probability between 0 and 1", where=name)
    if question.target_power <= question.alpha:
        raise InvalidInput(
            f"a power of {question.target_power} is not above alpha, {question.alpha}",
            where="target_power",
            hint="0.8 is usual.",
        )
    if len({plan.name for plan in plans}) < len(plans):
        raise InvalidInput("a group comes twice", where="groups")
    for plan in plans:
        _sample(plan.sample, f"groups.{plan.name}.cluster_sizes")
        _expected(plan.expected, f"groups.{plan.name}.expected")
        if plan.rest is not None:
            _sample(plan.rest[0], f"groups.{plan.name}.rest.cluster_sizes")
            _expected(plan.rest[1], f"groups.{plan.name}.rest.expected")
    if runs.seeds < 1:
        raise InvalidInput(f"{runs.seeds} seeds", where="seeds", hint="At least one is needed.")
    for name, value in (("icc", runs.icc), ("seed_correlation", runs.seed_correlation)):
        if not 0 <= value <= 1:
            raise InvalidInput(f"{value} is no correlation from 0 to 1", where=name)
    if not 0 <= runs.seed_sd <= 1:
        raise InvalidInput(f"{runs.seed_sd} is no fraction", where="seed_sd")


def _sample(sample: Sample, where: str) -> None:
    if not sample.cluster_sizes or min(sample.cluster_sizes) < 1:
        raise InvalidInput("every cluster holds at least one item", where=where)


def _expected(expected: Expected, where: str) -> None:
    if min(expected) < 0 or not sum(expected) <= 1:
        raise InvalidInput(
            f"lost {expected.lost} and gained {expected.gained} are no shares of the same items",
            where=where,
            hint="Both are at least 0 and together at most 1.",
        )
