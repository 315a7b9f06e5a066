"""Audits in the records: run like experiments, found apart from them."""

import pytest
from records_world import World, plan_of, planned

from forgetscope.ports.records import Bell
from forgetscope.schema.audit import AuditSpec
from forgetscope.schema.errors import Conflict, IdempotencyConflict, NotFound

SPEC = AuditSpec.model_validate(
    {
        "name": "candidate",
        "reference": {"source": "builtin"},
        "candidate": {"source": "builtin"},
        "tasks": ["a"],
        "policy": {"name": "p", "tasks": [{"task": "a"}]},
    }
)
STAGES = (planned("model"), planned("audit", {"reference": "model"}, kind="audit", queue="analyse"))


def submit(world: World, name: str, key: str | None = None) -> tuple[str, bool, tuple[Bell, ...]]:
    world.clock.now += 1
    return world.records.add_experiment(
        name, SPEC, plan_of(*STAGES), idempotency_key=key, request_digest="d"
    )


def audits(world: World) -> list[str]:
    page = world.records.audits(state=None, name=None, cursor=None, limit=50)
    return [row.id for row in page.items]


def test_an_audit_is_found_as_an_audit_and_not_as_an_experiment(world: World) -> None:
    submit(world, "au")
    world.submit("ex", planned("model"))
    assert world.records.audit("au").spec == SPEC
    assert (audits(world), [row.id for row in world.list().items]) == (["au"], ["ex"])
    for look, name in ((world.records.experiment, "au"), (world.records.audit, "ex")):
        with pytest.raises(NotFound):
            look(name)
    assert world.records.state("au", kind="audit") == "queued"
    for name, kind in (("au", "experiment"), ("ex", "audit")):
        with pytest.raises(NotFound, match=kind):
            world.records.state(name, kind=kind)  # type: ignore[arg-type]


def test_audits_are_listed_by_name_state_and_page(world: World) -> None:
    for name in ("one", "two", "three"):
        submit(world, name)
    first = world.records.audits(state=None, name="cand", cursor=None, limit=2)
    assert [row.id for row in first.items] == ["three", "two"]
    second = world.records.audits(state=None, name=None, cursor=first.next_cursor, limit=2)
    assert [row.id for row in second.items] == ["one"]
    assert not world.records.audits(state="failed", name=None, cursor=None, limit=2).items


def test_an_audit_shares_stages_with_an_experiment_and_ends_like_one(world: World) -> None:
    world.submit("ex", planned("model"))
    submit(world, "au")
    world.finish(world.claim("model"))
    assert world.experiment_state("ex") == "succeeded"
    assert world.records.state("au") == "running"
    world.finish(world.claim("audit", queue="analyse"))
    assert world.records.audit("au").state == "succeeded"
    assert world.told("au")[-1] == "audit.succeeded"
    world.records.delete_experiment("au")
    assert audits(world) == []
    assert world.state("model") == "succeeded"


def test_an_audit_is_cancelled_and_retried_like_an_experiment(world: World) -> None:
    submit(world, "au")
    world.records.cancel_experiment("au")
    with pytest.raises(Conflict, match="Audit 'au' is over"):
        world.records.cancel_experiment("au")
    assert world.records.retry_experiment("au")
    assert world.records.state("au") == "queued"


def test_a_key_of_an_experiment_is_not_one_of_an_audit(world: World) -> None:
    assert submit(world, "au", key="k")[1]
    assert submit(world, "again", key="k")[:2] == ("au", False)
    with pytest.raises(IdempotencyConflict):
        world.records.add_experiment(
            "other", SPEC, plan_of(*STAGES), idempotency_key="k", request_digest="e"
        )
