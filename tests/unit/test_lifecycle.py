"""The state machine of stages and experiments."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgetscope.core import lifecycle
from forgetscope.schema.stage import ExperimentState, StageState
from forgetscope.schema.views import EventType

STATES: tuple[StageState, ...] = get_args(StageState)
stage_states = st.sampled_from(STATES)
counts = st.dictionaries(stage_states, st.integers(0, 3))
experiment_states = st.sampled_from(get_args(ExperimentState))


def moves_from(state: StageState) -> set[StageState]:
    return {after for before, after in lifecycle.TRANSITIONS if before == state}


def test_every_state_is_open_bad_or_succeeded() -> None:
    assert sorted((*lifecycle.OPEN, *lifecycle.BAD, "succeeded")) == sorted(STATES)


def test_a_succeeded_stage_never_moves_again() -> None:
    assert moves_from("succeeded") == set()


def test_only_a_bad_end_can_be_revived() -> None:
    revived = {before for before, after in lifecycle.TRANSITIONS if after == "pending"}
    assert revived == set(lifecycle.BAD)


def test_a_stage_runs_only_after_it_was_ready() -> None:
    assert {before for before, after in lifecycle.TRANSITIONS if after == "running"} == {"ready"}


def test_only_a_running_stage_can_succeed_or_fail() -> None:
    for end in ("succeeded", "failed"):
        assert {b for b, a in lifecycle.TRANSITIONS if a == end} == {"running"}


def test_every_state_can_be_reached_and_every_unfinished_one_can_end() -> None:
    reached: set[StageState] = {"pending"}
    while more := {a for state in reached for a in moves_from(state)} - reached:
        reached |= more
    assert reached == set(STATES)
    assert all("cancelled" in moves_from(state) for state in lifecycle.OPEN)


@given(stage_states, stage_states)
def test_a_move_has_its_event_or_is_refused(before: StageState, after: StageState) -> None:
    if (before, after) in lifecycle.TRANSITIONS:
        told = lifecycle.event_of(before, after)
        assert told is None or told in get_args(EventType)
        assert (told is None) == (after == "pending")
    else:
        with pytest.raises(ValueError, match=f"from {before} to {after}"):
            lifecycle.event_of(before, after)


@given(
    failures=st.integers(1, 9),
    max_attempts=st.integers(1, 9),
    permanent=st.booleans(),
    unwanted=st.booleans(),
)
def test_a_bad_attempt_leads_along_an_allowed_move(
    failures: int, max_attempts: int, permanent: bool, unwanted: bool
) -> None:
    after = lifecycle.after_failure(
        failures, max_attempts=max_attempts, permanent=permanent, unwanted=unwanted
    )
    assert ("running", after) in lifecycle.TRANSITIONS
    assert (after == "cancelled") == unwanted
    assert (after == "ready") == (not unwanted and not permanent and failures < max_attempts)


@pytest.mark.parametrize(("unwanted", "after"), [(True, "cancelled"), (False, "ready")])
def test_a_stage_given_back_is_ready_unless_it_was_to_stop(unwanted: bool, after: str) -> None:
    assert lifecycle.without_worker(unwanted=unwanted) == after


@given(experiment_states, counts, st.booleans())
def test_the_state_of_an_experiment_settles_at_once(
    present: ExperimentState, stages: dict[StageState, int], stopping: bool
) -> None:
    once = lifecycle.experiment_state(present, stages, stopping=stopping)
    assert lifecycle.experiment_state(once, stages, stopping=stopping) == once


@given(st.sampled_from(lifecycle.LIVE), counts)
def test_a_live_experiment_is_over_exactly_when_no_stage_is_open(
    present: ExperimentState, stages: dict[StageState, int]
) -> None:
    state = lifecycle.experiment_state(present, stages, stopping=False)
    is_open = any(stages.get(s) for s in lifecycle.OPEN)
    assert (state in lifecycle.LIVE) == is_open
    if not is_open:
        assert state == ("failed" if any(stages.get(s) for s in lifecycle.BAD) else "succeeded")


@given(counts)
def test_a_running_experiment_does_not_fall_back_to_queued(stages: dict[StageState, int]) -> None:
    assert lifecycle.experiment_state("running", stages, stopping=False) != "queued"


@given(counts)
def test_an_experiment_leaves_the_queue_when_a_stage_runs(stages: dict[StageState, int]) -> None:
    state = lifecycle.experiment_state("queued", stages, stopping=False)
    assert (state == "running") == bool(stages.get("running"))


@given(counts, st.booleans())
def test_a_cancelled_experiment_waits_only_for_what_it_stops(
    stages: dict[StageState, int], stopping: bool
) -> None:
    state = lifecycle.experiment_state("cancelling", stages, stopping=stopping)
    assert state == ("cancelling" if stopping else "cancelled")


@given(counts)
def test_what_is_over_stays_over_unless_all_of_it_succeeded(stages: dict[StageState, int]) -> None:
    done = not any(n for state, n in stages.items() if state != "succeeded")
    assert lifecycle.experiment_state("cancelled", stages, stopping=False) == "cancelled"
    assert lifecycle.experiment_state("failed", stages, stopping=False) == (
        "succeeded" if done else "failed"
    )
