"""The searches: what each is after, and the rounds that it has taken.

Every method is one transaction. Those that move a search on are fenced by the number of its
rounds: they do nothing when another process has moved it on since. Raises `Unavailable` when the
database does not answer.
"""

from typing import NamedTuple, Protocol

from forgetscope.core.facts import Facts
from forgetscope.ports.records import Bell
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.goal import GoalJudged
from forgetscope.schema.plan import Plan
from forgetscope.schema.search import SearchAnswer, SearchSpec, SearchState
from forgetscope.schema.stage import Failure
from forgetscope.schema.views import Page

__all__ = ["Begun", "RoundRow", "SearchRow", "Searches"]


class RoundRow(NamedTuple):
    """A value that was tried. `experiment_id` is None once that experiment was deleted."""

    round: int
    value: float
    experiment_id: str | None
    started_at: float
    judged_at: float | None
    judged: GoalJudged | None


class SearchRow(NamedTuple):
    """A search as recorded."""

    id: str
    name: str
    state: SearchState
    spec: SearchSpec
    created_at: float
    finished_at: float | None
    answer: SearchAnswer | None
    failure: Failure | None
    rounds: tuple[RoundRow, ...]


class Begun(NamedTuple):
    """Answer to the begin of a round; not `accepted` when the fence refused it."""

    accepted: bool
    bells: tuple[Bell, ...] = ()


class Searches(Protocol):
    """See the module's docstring."""

    def add_search(
        self,
        search_id: str,
        spec: SearchSpec,
        facts: Facts,
        *,
        idempotency_key: str | None = None,
        request_digest: str,
    ) -> tuple[str, bool]:
        """Record a search without rounds. Returns (id, created); with a known `idempotency_key` the
        id of the earlier search and created=False.

        Raises IdempotencyConflict when that key was used with another `request_digest`.
        """

    def search(self, search_id: str) -> SearchRow:
        """Raises NotFound."""

    def facts(self, search_id: str) -> Facts:
        """The world as it was when the search was submitted: every round is planned with it, so
        that all of them share what they have in common. Raises NotFound."""

    def searches(
        self, *, state: SearchState | None, cursor: str | None, limit: int
    ) -> Page[SearchRow]:
        """Newest first. Raises InvalidInput for a foreign cursor."""

    def running_searches(self) -> tuple[str, ...]:
        """Ids of those that are not over, oldest first."""

    def begin_round(
        self,
        search_id: str,
        round_: int,
        value: float,
        *,
        experiment_id: str,
        spec: ExperimentSpec,
        plan: Plan,
        request_digest: str,
    ) -> Begun:
        """Record a round together with its experiment, if the search runs and has exactly the
        rounds before it, all of them judged. The experiment's idempotency key is
        `search/{search_id}/{round_}`.

        Raises NotFound; what `Records.add_experiment` raises.
        """

    def judge_round(self, search_id: str, round_: int, judged: GoalJudged) -> bool:
        """Record what a round has shown, once. False when the fence refused it. Raises NotFound."""

    def end_search(
        self, search_id: str, *, after: int | None, ending: SearchAnswer | Failure
    ) -> bool:
        """End a running search that has exactly `after` rounds (None: however many): well, with its
        answer, or badly. False when the fence refused it. Raises NotFound."""

    def cancel_search(self, search_id: str) -> None:
        """End a search and cancel the experiment of its last round, if that is live.
        Raises NotFound; Conflict when the search is over."""

    def delete_search(self, search_id: str) -> None:
        """Forget a search that is over, and its rounds; their experiments stay.
        Raises NotFound; Conflict when the search is running."""
