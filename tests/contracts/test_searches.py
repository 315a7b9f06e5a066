"""What the searches promise, on SQLite and on PostgreSQL alike."""

from typing import Any

import pytest
from records_world import World, at_once, digest, plan_of, planned
from unit.test_plan import facts

from forgetscope.core.model_shape import ModelShape
from forgetscope.ports.searches import Begun, Searches
from forgetscope.schema.errors import Conflict, IdempotencyConflict, InvalidInput, NotFound
from forgetscope.schema.goal import GoalJudged
from forgetscope.schema.search import SearchAnswer, SearchSpec
from forgetscope.schema.stage import Failure

SPEC = SearchSpec.model_validate(
    {
        "name": "smallest ✓",
        "experiment": {
            "tasks": ["a", "b"],
            "steps": {"again": {"kind": "replay"}},
            "chains": [["a", "b", "again"]],
        },
        "knob": {"step": "again", "low": 0.0, "high": 1.0, "tolerance": 0.1},
    }
)
SHAPE = ModelShape(parameters=9, layers=1, hidden=2, intermediate=3, heads=1, vocabulary=5)
FACTS = facts(model_shape=SHAPE)
PASS = GoalJudged(verdict="pass", reason="all hold", parts=())
ANSWER = SearchAnswer(outcome="found", value=0.5, text="0.5 does", notes=("corrected",))
FAILURE = Failure(code="stage-failed", detail="it broke")


def add(world: World, search_id: str = "s", **changes: Any) -> tuple[str, bool]:
    world.clock.now += 1
    return world.searches.add_search(search_id, SPEC, FACTS, **{"request_digest": "d", **changes})


def begin(
    world: World, round_: int, experiment_id: str, *stages: str, search_id: str = "s"
) -> Begun:
    return world.searches.begin_round(
        search_id,
        round_,
        round_ / 4,
        experiment_id=experiment_id,
        spec=SPEC.experiment,
        plan=plan_of(*(planned(name) for name in stages or (experiment_id,))),
        request_digest=f"round {round_}",
    )


def test_the_adapter_is_a_searches_port(world: World) -> None:
    searches: Searches = world.searches
    assert searches.running_searches() == ()


def test_a_search_is_found_as_it_was_submitted(world: World) -> None:
    assert add(world) == ("s", True)
    row = world.searches.search("s")
    assert (row.name, row.state, row.created_at, row.rounds) == (
        "smallest ✓",
        "running",
        1001.0,
        (),
    )
    assert row.spec == SPEC
    assert world.searches.facts("s") == FACTS
    assert world.searches.running_searches() == ("s",)
    with pytest.raises(NotFound):
        world.searches.search("other")


def test_a_repeated_request_is_the_first_search_and_another_one_a_conflict(world: World) -> None:
    assert add(world, idempotency_key="k") == ("s", True)
    assert add(world, "t", idempotency_key="k") == ("s", False)
    with pytest.raises(IdempotencyConflict):
        add(world, "t", idempotency_key="k", request_digest="other")
    assert world.searches.running_searches() == ("s",)


def test_lists_are_paged_newest_first_and_by_state(world: World) -> None:
    for name in ("one", "two", "three"):
        add(world, name)
    world.searches.cancel_search("two")
    listed = world.searches.searches
    page = listed(state=None, cursor=None, limit=2)
    assert [row.id for row in page.items] == ["three", "two"]
    rest = listed(state=None, cursor=page.next_cursor, limit=2)
    assert ([row.id for row in rest.items], rest.next_cursor) == (["one"], None)
    running = listed(state="running", cursor=None, limit=5)
    assert [row.id for row in running.items] == ["three", "one"]
    assert world.searches.running_searches() == ("one", "three")
    with pytest.raises(InvalidInput):
        listed(state=None, cursor="abc", limit=2)


def test_a_round_and_its_experiment_are_recorded_together(world: World) -> None:
    add(world)
    begun = begin(world, 1, "e1")
    assert begun.accepted
    assert [bell.key for bell in begun.bells] == [digest("e1")]
    assert world.experiment_state("e1") == "queued"
    (one,) = world.searches.search("s").rounds
    assert (one.round, one.value, one.experiment_id, one.judged) == (1, 0.25, "e1", None)


def test_a_round_begins_once_and_only_after_the_one_before_was_judged(world: World) -> None:
    add(world)
    assert not begin(world, 2, "e2").accepted
    assert begin(world, 1, "e1").accepted
    assert not begin(world, 1, "e1 again").accepted
    assert not begin(world, 2, "e2").accepted
    assert world.searches.judge_round("s", 1, PASS)
    assert not begin(world, 1, "e1 again").accepted
    assert begin(world, 2, "e2").accepted
    assert {row.id for row in world.list().items} == {"e1", "e2"}


def test_of_many_that_begin_a_round_at_once_one_does(world: World) -> None:
    add(world)
    done = at_once([lambda i=i: begin(world, 1, f"e{i}", "shared") for i in range(6)])  # type: ignore[misc]
    assert sum(one.accepted for one in done) == 1
    assert len(world.list().items) == 1


def test_a_verdict_is_recorded_once(world: World) -> None:
    add(world)
    assert not world.searches.judge_round("s", 1, PASS)
    begin(world, 1, "e1")
    world.clock.now += 1
    assert world.searches.judge_round("s", 1, PASS)
    assert not world.searches.judge_round("s", 1, PASS.model_copy(update={"verdict": "breach"}))
    (one,) = world.searches.search("s").rounds
    assert (one.judged, one.judged_at) == (PASS, world.clock.now)


def test_an_end_is_fenced_by_the_rounds_and_comes_once(world: World) -> None:
    add(world)
    begin(world, 1, "e1")
    world.searches.judge_round("s", 1, PASS)
    assert not world.searches.end_search("s", after=0, ending=ANSWER)
    assert world.searches.end_search("s", after=1, ending=ANSWER)
    assert not world.searches.end_search("s", after=1, ending=FAILURE)
    row = world.searches.search("s")
    assert (row.state, row.answer, row.failure) == ("succeeded", ANSWER, None)
    assert row.finished_at == world.clock.now
    assert not begin(world, 2, "e2").accepted
    assert world.searches.running_searches() == ()


def test_a_failure_ends_a_search_however_many_rounds_it_has(world: World) -> None:
    add(world)
    begin(world, 1, "e1")
    assert world.searches.end_search("s", after=None, ending=FAILURE)
    row = world.searches.search("s")
    assert (row.state, row.answer, row.failure) == ("failed", None, FAILURE)
    with pytest.raises(NotFound):
        world.searches.end_search("other", after=None, ending=FAILURE)


def test_a_search_that_is_over_is_deleted_and_its_experiments_stay(world: World) -> None:
    add(world)
    begin(world, 1, "e1")
    with pytest.raises(Conflict, match="running"):
        world.searches.delete_search("s")
    world.searches.cancel_search("s")
    world.searches.delete_search("s")
    with pytest.raises(NotFound):
        world.searches.search("s")
    with pytest.raises(NotFound):
        world.searches.delete_search("s")
    assert world.experiment_state("e1") == "cancelled"
    assert add(world) == ("s", True)
    assert world.searches.search("s").rounds == ()


def test_cancelling_ends_the_search_and_the_experiment_of_its_round(world: World) -> None:
    add(world)
    begin(world, 1, "e1")
    claim = world.claim("e1")
    world.finish(claim)
    world.searches.judge_round("s", 1, PASS)
    begin(world, 2, "e2")
    world.searches.cancel_search("s")
    assert world.searches.search("s").state == "cancelled"
    assert (world.experiment_state("e1"), world.experiment_state("e2")) == (
        "succeeded",
        "cancelled",
    )
    assert not world.searches.judge_round("s", 2, PASS)
    with pytest.raises(Conflict, match="cancelled"):
        world.searches.cancel_search("s")
    with pytest.raises(NotFound):
        world.searches.cancel_search("other")


def test_a_running_stage_of_a_cancelled_search_is_to_stop(world: World) -> None:
    add(world)
    begin(world, 1, "e1")
    claim = world.claim("e1")
    world.searches.cancel_search("s")
    told = world.records.heartbeat(claim.key, claim.attempt, lease_seconds=9, progress=None)
    assert told.cancel


def test_an_experiment_that_was_deleted_leaves_its_round_behind(world: World) -> None:
    add(world)
    begin(world, 1, "e1")
    world.searches.cancel_search("s")
    world.records.delete_experiment("e1")
    (one,) = world.searches.search("s").rounds
    assert (one.value, one.experiment_id) == (0.25, None)
