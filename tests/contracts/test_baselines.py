"""What the baselines promise, on SQLite and on PostgreSQL alike."""

from typing import Any

import pytest
from contracts.test_audit_records import SPEC, STAGES, submit
from records_world import World, at_once, digest, plan_of, planned
from sqlalchemy import delete

from forgetscope.adapters.sql.engine import touch
from forgetscope.adapters.sql.tables import experiments
from forgetscope.ports.baselines import BaselineRow, Baselines
from forgetscope.schema.baseline import BaselineContents
from forgetscope.schema.errors import (
    Conflict,
    ForgetScopeError,
    IdempotencyConflict,
    InvalidInput,
    NotFound,
)

CONTENTS = BaselineContents.model_validate(
    {
        "model": {"source": "builtin"},
        "fingerprint": "f ✓",
        "engine": "transformers",
        "evaluation": {"dtype": "bfloat16"},
        "tasks": [{"id": "a", "name": "a", "items": 3, "examples": "d" * 64}],
    }
)
PINNED = [digest("model")]


def audited(world: World, audit: str = "au") -> None:
    """An audit that has succeeded; those of one world share their stages."""
    submit(world, audit)
    while world.records.state(audit) != "succeeded":
        queue = "train" if world.state("model") != "succeeded" else "analyse"
        world.finish(world.claim(queue=queue))


def put(world: World, name: str, audit: str = "au", **more: Any) -> tuple[BaselineRow, bool]:
    world.clock.now += 1
    asked: dict[str, Any] = {"side": "candidate", "replace": False} | more
    side = asked.pop("side")
    return world.baselines.put_baseline(name, audit, side, CONTENTS, **asked)


def against(world: World, name: str, key: str | None = None, request: str = "d") -> Any:
    stages = (*STAGES[:1], planned("next", {"reference": "model"}, kind="audit", queue="analyse"))
    return world.baselines.add_audit(
        name, SPEC, plan_of(*stages), pinned=PINNED, idempotency_key=key, request_digest=request
    )


def test_the_adapter_is_a_baselines_port(world: World) -> None:
    baselines: Baselines = world.baselines
    assert baselines.baselines(cursor=None, limit=5).items == ()


def test_a_baseline_is_found_by_its_name(world: World) -> None:
    audited(world)
    row, created = put(world, "production", side="reference")
    assert created
    assert row == BaselineRow("production", "au", "reference", CONTENTS, world.clock.now)
    assert world.baselines.baseline("production") == row
    for name in ("prod", "PRODUCTION"):
        with pytest.raises(NotFound, match=name):
            world.baselines.baseline(name)


def test_only_an_audit_can_be_a_baseline(world: World) -> None:
    world.submit("ex", planned("model"))
    for nothing in ("ex", "none"):
        with pytest.raises(NotFound):
            put(world, "production", nothing)
    assert world.baselines.baselines(cursor=None, limit=5).items == ()


def test_a_name_is_replaced_only_when_that_is_asked_for(world: World) -> None:
    audited(world)
    audited(world, "au2")
    first, _ = put(world, "production")
    assert put(world, "production") == (first, False), "the same again is the first record"
    for other in ({"audit": "au2"}, {"side": "reference"}):
        with pytest.raises(Conflict, match="candidate of audit 'au'"):
            put(world, "production", **other)
    assert world.baselines.baseline("production") == first
    row, created = put(world, "production", "au2", replace=True)
    assert (row.audit_id, created) == ("au2", False)
    assert row.created_at > first.created_at
    assert put(world, "staging", replace=True)[1]


def test_baselines_are_listed_newest_first_page_by_page(world: World) -> None:
    audited(world)
    for name in ("one", "two", "three"):
        put(world, name)
    first = world.baselines.baselines(cursor=None, limit=2)
    assert [row.name for row in first.items] == ["three", "two"]
    second = world.baselines.baselines(cursor=first.next_cursor, limit=2)
    assert ([row.name for row in second.items], second.next_cursor) == (["one"], None)
    with pytest.raises(InvalidInput):
        world.baselines.baselines(cursor="strange", limit=2)


def test_an_audit_cannot_be_deleted_while_a_baseline_names_it(world: World) -> None:
    audited(world)
    put(world, "production")
    put(world, "also")
    for name in ("also", "production"):
        with pytest.raises(Conflict, match=f"Baseline '{name}'") as caught:
            world.records.delete_experiment("au")
        assert caught.value.hint
        assert world.state("model") == "succeeded"
        world.baselines.delete_baseline(name)
        with pytest.raises(NotFound):
            world.baselines.delete_baseline(name)
    world.records.delete_experiment("au")
    with pytest.raises(NotFound):
        world.state("model")


def test_the_database_itself_keeps_the_audit_of_a_baseline(world: World) -> None:
    audited(world)
    put(world, "production")
    with pytest.raises(ForgetScopeError, match="refused"):
        touch(world.engine, lambda c: c.execute(delete(experiments)))
    assert world.records.state("au") == "succeeded"


@pytest.mark.parametrize("turn", range(4))
def test_of_naming_and_deleting_an_audit_at_once_one_happens(world: World, turn: int) -> None:
    audited(world)

    def name() -> str:
        try:
            put(world, "production")
        except NotFound:
            return "not named"
        return "named"

    def forget() -> str:
        try:
            world.records.delete_experiment("au")
        except Conflict:
            return "kept"
        return "deleted"

    actions = [name, forget] if turn % 2 else [forget, name]
    assert set(at_once(actions)) in ({"named", "kept"}, {"not named", "deleted"})
    found = world.baselines.baselines(cursor=None, limit=5).items
    if found:
        assert world.records.state("au") == "succeeded"


def test_of_many_who_take_a_name_at_once_one_creates(world: World) -> None:
    audited(world)
    answers = at_once([lambda: put(world, "production")] * 4)
    assert sorted(created for _, created in answers) == [False, False, False, True]


def test_an_audit_against_a_baseline_runs_none_of_its_stages_and_keeps_them(world: World) -> None:
    audited(world)
    put(world, "production")
    audit, created, bells = against(world, "next")
    assert (audit, created, [bell.key for bell in bells]) == ("next", True, [digest("next")])
    world.baselines.delete_baseline("production")
    world.records.delete_experiment("au")
    assert world.state("model") == "succeeded"
    world.finish(world.claim("next", queue="analyse"))
    assert world.records.state("next") == "succeeded"


def test_an_audit_whose_pinned_stages_are_gone_leaves_no_trace(world: World) -> None:
    audited(world)
    world.records.delete_experiment("au")
    with pytest.raises(Conflict, match="deleted"):
        against(world, "next", key="k")
    with pytest.raises(NotFound):
        world.records.audit("next")
    with pytest.raises(NotFound):
        world.state("model")
    assert world.baselines.submitted("k", "d") is None


def test_a_pinned_stage_that_has_not_succeeded_is_not_run(world: World) -> None:
    submit(world, "au")
    world.fail(world.claim("model"), permanent=True)
    with pytest.raises(Conflict):
        against(world, "next")
    assert world.state("model") == "failed"


def test_a_repeated_submission_is_found_by_its_key_when_the_baseline_is_gone(world: World) -> None:
    audited(world)
    against(world, "next", key="k")
    assert world.baselines.submitted("k", "d") == "next"
    assert against(world, "again", key="k")[:2] == ("next", False)
    with pytest.raises(IdempotencyConflict):
        world.baselines.submitted("k", "e")
    with pytest.raises(IdempotencyConflict):
        against(world, "again", key="k", request="e")
    assert world.baselines.submitted("other", "d") is None
