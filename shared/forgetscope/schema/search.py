"""The search for the smallest mitigation that reaches a goal: what is asked, and what is known."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from forgetscope.schema.base import JsonObject, Slug, Text, Value
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.goal import Goal, GoalJudged
from forgetscope.schema.plan import Compute, Estimate
from forgetscope.schema.stage import Failure

__all__ = [
    "Bracket",
    "Knob",
    "SearchAnswer",
    "SearchEventType",
    "SearchEventView",
    "SearchOutcome",
    "SearchPlan",
    "SearchRound",
    "SearchSpec",
    "SearchState",
    "SearchSubmitted",
    "SearchSummary",
    "SearchView",
]

SearchState = Literal["running", "succeeded", "failed", "cancelled"]

SearchOutcome = Literal["found", "cannot_be_met", "undecided"]

SearchEventType = Literal[
    "search.submitted",
    "search.round",
    "search.judged",
    "search.succeeded",
    "search.failed",
    "search.cancelled",
]


class Knob(Value):
    """One number of one step, and the range in which more of it is expected to mitigate more."""

    step: Slug = Field(description="name of a step of the experiment")
    path: Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+){0,4}$", max_length=100)] = Field(
        default="share", description="of the number in the step, as in `vary`"
    )
    low: float
    high: float
    tolerance: float = Field(
        gt=0,
        description="the search ends when the largest value that failed and the smallest that "
        "passed are so close: their difference on the linear scale, their ratio less 1 on log",
    )
    scale: Literal["linear", "log"] = Field(
        default="linear", description="where the middle is: the arithmetic or the geometric mean"
    )
    whole: bool = Field(default=False, description="only whole numbers, e.g. for optimiser steps")

    @model_validator(mode="after")
    def _is_a_range(self) -> "Knob":
        if self.low >= self.high:
            raise ValueError("low has to lie below high")
        if self.scale == "log" and self.low <= 0:
            raise ValueError("low has to lie above 0 on the log scale")
        if self.whole and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("low and high have to be whole numbers as well")
        return self


class SearchSpec(Value):
    """Find the smallest value of a knob with which an experiment reaches a goal."""

    name: Annotated[Text, Field(min_length=1, max_length=150)] = "search"
    experiment: ExperimentSpec
    knob: Knob
    goal: Goal = Goal()
    max_rounds: int = Field(default=10, ge=1, le=40, description="experiments, at most")


class SearchRound(Value):
    """One value that was tried, as an ordinary experiment."""

    round: int = Field(ge=1)
    value: float
    experiment: str | None = Field(description="null once that experiment was deleted")
    started_at: float = Field(description="seconds since 1970, UTC")
    judged_at: float | None = None
    judged: GoalJudged | None = Field(default=None, description="null until it has ended")
    links: dict[str, str] = {}


class Bracket(Value):
    """The largest value known to fail below the smallest one known to pass."""

    failing: float | None = None
    passing: float | None = None


class SearchAnswer(Value):
    """How a search ended. `value` is the smallest one that passed, if any did."""

    outcome: SearchOutcome
    value: float | None
    text: str
    notes: tuple[str, ...] = ()


class SearchSummary(Value):
    """A search in a list."""

    id: str
    name: str
    state: SearchState
    created_at: float = Field(description="seconds since 1970, UTC")
    finished_at: float | None = None
    rounds_done: int = Field(description="rounds that have been judged")
    bracket: Bracket
    answer: SearchAnswer | None = None


class SearchView(SearchSummary):
    """One search. `eta_seconds` is for the longest way that it can still take."""

    spec: SearchSpec
    looks: int = Field(description="rounds at most, each of which counts as a look at the data")
    confidence: float = Field(
        description="of the intervals of each round: 1 − (1 − confidence of the analysis) / looks "
        "(Bonferroni)"
    )
    rounds: tuple[SearchRound, ...]
    failure: Failure | None = None
    eta_seconds: float | None = None
    eta_basis: str
    links: dict[str, str]


class SearchSubmitted(Value):
    """Answer to a submission; the same when it is repeated with the same Idempotency-Key."""

    id: str
    links: dict[str, str]


class SearchPlan(Value):
    """What a search would do on the longest way that it can take."""

    looks: int
    confidence: float
    values: tuple[float, ...] = Field(description="tried on that way, in order")
    chains: tuple[tuple[str, ...], ...] = Field(
        description="judged in each round, all of which have to pass; here with the highest value"
    )
    trainings: int = Field(description="in all rounds together, each counted once")
    shared_trainings: int = Field(description="of these, used by every round")
    naive_trainings: int = Field(description="if no round used what another one has trained")
    stages: int
    existing: int = Field(description="stages already done in earlier experiments")
    tokens: int = Field(description="estimated tokens through the model, for stages to run")
    time: Estimate
    compute: Compute
    notes: tuple[str, ...] = ()


class SearchEventView(Value):
    """Something that happened in a search; `id` counts from 1 within it, without gaps."""

    id: int
    type: SearchEventType
    at: float
    data: JsonObject = {}
