"""What webhooks and their outbox promise, on SQLite and on PostgreSQL alike."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from contracts.test_audit_records import SPEC as AUDIT
from pydantic import SecretStr
from records_world import World, at_once, plan_of, planned
from sqlalchemy import event as sql_event
from sqlalchemy import text

from forgetscope.adapters import sql
from forgetscope.adapters.sql import connect, migrate
from forgetscope.ports.webhooks import Answer, Sending, WebhookRow, Webhooks
from forgetscope.schema.errors import Conflict, InvalidInput, NotFound
from forgetscope.schema.stage import Breach, Progress
from forgetscope.schema.webhooks import WebhookChange, WebhookSpec

MIGRATIONS = Path(sql.__path__[0]) / "migrations"
SECRET = SecretStr("whsec_old")
GOOD = Answer(0.25, status=204)
BAD = Answer(0.5, status=500, excerpt="sorry")


def add(world: World, name: str = "w", **fields: Any) -> WebhookRow:
    world.clock.now += 1
    spec = WebhookSpec(url="https://ci.example/in", **fields)
    return world.webhooks.add_webhook(name, spec, SECRET, most=50)


def log(world: World, name: str = "w", state: Any = None) -> list[Any]:
    page = world.webhooks.deliveries(name, state=state, cursor=None, limit=200)
    return list(reversed(page.items))


def told(world: World, name: str = "w") -> list[tuple[str, int]]:
    return [(row.event.type, row.event.id) for row in log(world, name)]


def take(world: World) -> Sending:
    taken = world.webhooks.take(lease_seconds=60)
    assert taken is not None
    return taken


def fail(world: World, sending: Sending, pause: float | None = 10) -> bool:
    return world.webhooks.end_attempt(sending, BAD, error="answered by 500", pause_seconds=pause)


def succeed(world: World, sending: Sending) -> bool:
    return world.webhooks.end_attempt(sending, GOOD, error=None, pause_seconds=10)


def drain(world: World) -> list[Sending]:
    taken = []
    while (one := world.webhooks.take(lease_seconds=60)) is not None:
        taken.append(one)
        assert succeed(world, one)
    return taken


def test_the_adapter_is_a_webhooks_port(world: World) -> None:
    webhooks: Webhooks = world.webhooks
    assert webhooks.take(lease_seconds=60) is None


def test_a_webhook_is_found_as_it_was_registered_and_without_its_secret(world: World) -> None:
    row = add(world, run="audit", description="ä ✓", events=("audit.failed",))
    assert world.webhooks.webhook("w") == row
    assert (row.events, row.run, row.active, row.failures) == (("audit.failed",), "audit", True, 0)
    assert "whsec" not in repr(row)
    with pytest.raises(NotFound):
        world.webhooks.webhook("other")


def test_webhooks_are_paged_newest_first_and_bounded(world: World) -> None:
    for name in ("one", "two", "three"):
        add(world, name)
    page = world.webhooks.webhooks(cursor=None, limit=2)
    assert [row.id for row in page.items] == ["three", "two"]
    rest = world.webhooks.webhooks(cursor=page.next_cursor, limit=2)
    assert ([row.id for row in rest.items], rest.next_cursor) == (["one"], None)
    with pytest.raises(InvalidInput):
        world.webhooks.webhooks(cursor="abc", limit=2)
    with pytest.raises(Conflict, match="3 webhooks"):
        world.webhooks.add_webhook("four", WebhookSpec(url="https://a.example"), SECRET, most=3)


def test_every_event_but_progress_is_recorded_once_with_what_it_is_about(world: World) -> None:
    add(world)
    world.submit("x", planned("a"), name="both ✓")
    claim = world.claim("a")
    progress = Progress(done=1, total=2, unit="steps")
    world.records.heartbeat(claim.key, claim.attempt, lease_seconds=60, progress=progress)
    breach = Breach(group="g", step=1, look=1, margin=0.1, mean=0.2, lower=0.1, action="warn")
    world.records.breach(claim.key, claim.attempt, breach)
    world.finish(claim)
    events = world.records.events("x", after=0, limit=100)
    copies = {row.event.id: row.event for row in log(world)}
    assert set(copies) == {e.id for e in events if e.type != "stage.progress"}
    assert any(e.type == "stage.progress" for e in events)
    for known in events:
        if known.id in copies:
            copy = copies[known.id]
            assert copy.run is not None
            assert (copy.run.id, copy.run.kind, copy.run.name) == ("x", "experiment", "both ✓")
            assert (copy.type, copy.at, copy.stage, copy.data) == (
                known.type,
                known.at,
                known.stage,
                known.data,
            )


def test_types_and_kind_of_run_select_what_a_webhook_is_told(world: World) -> None:
    add(world, "ends", events=("audit.succeeded", "experiment.succeeded"))
    add(world, "audits", run="audit")
    add(world, "progress", events=("stage.progress",), run="experiment")
    world.submit("ex", planned("a"))
    world.records.add_experiment("au", AUDIT, plan_of(planned("a")), request_digest="d")
    claim = world.claim("a")
    progress = Progress(done=1, total=2, unit="steps")
    world.records.heartbeat(claim.key, claim.attempt, lease_seconds=60, progress=progress)
    world.finish(claim)
    assert {row.event.type for row in log(world, "ends")} == {
        "audit.succeeded",
        "experiment.succeeded",
    }
    assert {row.event.run.kind for row in log(world, "audits")} == {"audit"}
    assert Counter(row.event.type for row in log(world, "audits")) == {
        "audit.submitted": 1,
        "audit.running": 1,
        "audit.succeeded": 1,
        "stage.running": 1,
        "stage.succeeded": 1,
    }
    (one,) = log(world, "progress")
    assert (one.event.type, one.event.run.id) == ("stage.progress", "ex")


def test_audits_have_events_of_their_own_for_all_that_happens_to_them(world: World) -> None:
    def submit(name: str, stage: str) -> None:
        world.records.add_experiment(name, AUDIT, plan_of(planned(stage)), request_digest="d")

    submit("bad", "a")
    world.fail(world.claim("a"), permanent=True)
    world.records.retry_experiment("bad")
    world.records.cancel_experiment("bad")
    runs = [t for t in world.told("bad") if not t.startswith("stage.")]
    assert runs == [f"audit.{verb}" for verb in (
        "submitted", "running", "failed", "retried", "cancelling", "cancelled",
    )]  # fmt: skip


def test_a_transaction_that_fails_leaves_no_delivery_behind(world: World) -> None:
    add(world)
    with pytest.raises(Exception, match="refused"):
        world.submit("x", planned("a"), planned("a"))
    assert log(world) == []


def test_without_webhooks_an_event_costs_one_short_query_more(world: World) -> None:
    world.submit("x", planned("a"))
    claim = world.claim("a")
    progress = Progress(done=1, total=2, unit="steps")
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    sql_event.listen(world.engine, "before_cursor_execute", note)
    world.records.heartbeat(claim.key, claim.attempt, lease_seconds=60, progress=progress)
    sql_event.remove(world.engine, "before_cursor_execute", note)
    assert sum("webhook" in statement for statement in seen) == 1
    seen.clear()
    sql_event.listen(world.engine, "before_cursor_execute", note)
    world.records.heartbeat(claim.key, claim.attempt, lease_seconds=60, progress=None)
    sql_event.remove(world.engine, "before_cursor_execute", note)
    assert not [statement for statement in seen if "webhook" in statement]


def test_a_delivery_is_taken_sent_and_logged(world: World) -> None:
    add(world, events=("experiment.submitted",))
    world.submit("x", planned("a"))
    sending = take(world)
    assert (sending.id, sending.attempt, sending.url) == (
        "evt_x_00000001",
        1,
        "https://ci.example/in",
    )
    assert [s.get_secret_value() for s in sending.secrets] == ["whsec_old"]
    assert "whsec" not in repr(sending)
    (under_way,) = log(world)[0].attempts
    assert (under_way.status, under_way.error) == (None, None)
    assert succeed(world, sending)
    (row,) = log(world)
    assert (row.state, row.finished_at, row.next_attempt_at) == ("delivered", world.clock.now, None)
    (attempt,) = row.attempts
    assert (attempt.attempt, attempt.status, attempt.seconds) == (1, 204, 0.25)
    assert world.webhooks.webhook("w").last_delivered_at == world.clock.now
    assert world.webhooks.take(lease_seconds=60) is None
    assert not succeed(world, sending)


def test_a_failed_attempt_is_made_again_after_its_pause_and_the_last_one_is_final(
    world: World,
) -> None:
    add(world, events=("experiment.submitted",))
    world.submit("x", planned("a"))
    assert fail(world, take(world))
    row = world.webhooks.webhook("w")
    assert (row.failures, row.last_error, row.active) == (1, "answered by 500", True)
    assert world.webhooks.take(lease_seconds=60) is None
    world.clock.now += 10
    again = take(world)
    assert (again.id, again.attempt, again.tries) == ("evt_x_00000001", 2, 2)
    assert fail(world, again, None)
    (row,) = log(world, state="failed")
    assert [(a.status, a.error, a.excerpt) for a in row.attempts] == [
        (500, "answered by 500", "sorry")
    ] * 2
    world.clock.now += 10**6
    assert world.webhooks.take(lease_seconds=60) is None


def test_a_gateway_that_dies_while_it_sends_loses_nothing(world: World) -> None:
    add(world, events=("experiment.submitted",))
    world.submit("x", planned("a"))
    lost = take(world)
    world.clock.now += 59
    assert world.webhooks.take(lease_seconds=60) is None
    world.clock.now += 1
    again = take(world)
    assert (again.id, again.attempt) == (lost.id, 2)
    assert not succeed(world, lost)
    assert succeed(world, again)
    (row,) = log(world)
    assert row.attempts[0].error and row.attempts[1].status == 204


def test_a_delivery_is_asked_for_again_whatever_became_of_it(world: World) -> None:
    add(world, events=("experiment.submitted",))
    world.submit("x", planned("a"))
    succeed(world, take(world))
    for outcome in ("delivered", "failed", "pending"):
        assert log(world)[0].state == outcome
        row = world.webhooks.redeliver("w", "evt_x_00000001")
        assert (row.state, row.finished_at) == ("pending", None)
        sending = take(world)
        assert sending.tries == 1
        with pytest.raises(Conflict, match="being sent"):
            world.webhooks.redeliver("w", "evt_x_00000001")
        fail(world, sending, None if outcome == "delivered" else 1000)
    assert len(log(world)[0].attempts) == 4
    with pytest.raises(NotFound, match="delivery"):
        world.webhooks.redeliver("w", "evt_none")
    with pytest.raises(NotFound, match="webhook"):
        world.webhooks.redeliver("other", "evt_none")


def test_a_webhook_that_is_being_sent_to_does_not_hold_up_another(world: World) -> None:
    add(world, "slow")
    add(world, "quick")
    world.submit("x", planned("a"))
    first = take(world)
    seen = []
    while (one := world.webhooks.take(lease_seconds=60)) is not None:
        seen.append(one)
        succeed(world, one)
    assert {one.webhook_id for one in seen} == {"slow", "quick"} - {first.webhook_id}
    assert len(seen) == 2


def test_a_paused_webhook_is_told_nothing_and_what_waited_goes_on_later(world: World) -> None:
    add(world)
    world.submit("x", planned("a"))
    fail(world, take(world))
    world.webhooks.change_webhook("w", WebhookChange(active=False))
    world.clock.now += 100
    world.submit("y", planned("b"))
    assert {row.event.run.id for row in log(world)} == {"x"}
    assert world.webhooks.take(lease_seconds=60) is None
    changed = world.webhooks.change_webhook("w", WebhookChange(active=True))
    assert changed.active
    assert {one.event.run.id for one in drain(world) if one.event.run} == {"x"}
    assert {row.state for row in log(world)} == {"delivered"}


def test_a_change_leaves_alone_what_it_does_not_name(world: World) -> None:
    before = add(world, run="audit")
    assert world.webhooks.change_webhook("w", WebhookChange()) == before
    after = world.webhooks.change_webhook(
        "w", WebhookChange(url="https://b.example", events=("audit.failed",), run="any")
    )
    assert after == before._replace(url="https://b.example", events=("audit.failed",), run=None)
    with pytest.raises(NotFound):
        world.webhooks.change_webhook("other", WebhookChange(active=True))


def test_after_a_rotation_both_secrets_sign_for_a_while(world: World) -> None:
    add(world)
    row = world.webhooks.rotate_secret("w", SecretStr("whsec_new"), overlap_seconds=100)
    assert row.previous_secret_until == world.clock.now + 100
    for later, secrets in ((0, ["whsec_new", "whsec_old"]), (100, ["whsec_new"])):
        world.clock.now += later
        world.webhooks.add_test("w", f"evt_test_{later}")
        sending = take(world)
        assert [s.get_secret_value() for s in sending.secrets] == secrets
        assert (sending.event.type, sending.event.run) == ("webhook.test", None)
        succeed(world, sending)


def test_a_deleted_webhook_is_gone_with_its_deliveries_and_events_go_on(world: World) -> None:
    add(world)
    world.submit("x", planned("a"))
    sending = take(world)
    world.webhooks.delete_webhook("w")
    assert not succeed(world, sending)
    for look in (
        lambda: world.webhooks.delivery("w", sending.id),
        lambda: log(world),
        lambda: world.webhooks.delete_webhook("w"),
    ):
        with pytest.raises(NotFound):
            look()
    world.finish(world.claim("a"))
    assert world.experiment_state("x") == "succeeded"


def test_deliveries_outlive_the_experiment_that_they_tell_of(world: World) -> None:
    add(world, events=("experiment.succeeded",))
    world.submit("x", planned("a"))
    world.finish(world.claim("a"))
    world.records.delete_experiment("x")
    sending = take(world)
    assert sending.event.run is not None and sending.event.run.id == "x"


def test_old_ended_deliveries_are_forgotten_in_portions_and_others_kept(world: World) -> None:
    add(world)
    world.submit("x", planned("a"), planned("b"))
    ended = drain(world)
    assert len(ended) == 3
    world.clock.now += 100
    world.submit("y", planned("c"))
    prune = world.webhooks.prune
    assert prune(older_than_seconds=101, limit=10) == 0
    assert [prune(older_than_seconds=50, limit=2) for _ in range(3)] == [2, 1, 0]
    assert {row.event.run.id for row in log(world)} == {"y"}


def test_the_log_is_paged_newest_first_and_by_state(world: World) -> None:
    add(world)
    world.submit("x", *(planned(f"s{i}") for i in range(5)))
    fail(world, take(world), None)
    page = world.webhooks.deliveries("w", state=None, cursor=None, limit=4)
    rest = world.webhooks.deliveries("w", state=None, cursor=page.next_cursor, limit=4)
    numbers = [row.event.id for row in (*page.items, *rest.items)]
    assert numbers == [6, 5, 4, 3, 2, 1] and rest.next_cursor is None
    assert len(log(world, state="failed")) == 1 and len(log(world, state="pending")) == 5
    with pytest.raises(NotFound):
        world.webhooks.deliveries("other", state=None, cursor=None, limit=4)


_TAKER = """
import sys
from forgetscope.adapters.sql import SqlWebhooks, connect
from forgetscope.adapters import sql
from forgetscope.adapters.sql import connect, migrate
from forgetscope.ports.webhooks import Answer
webhooks = SqlWebhooks(connect(sys.argv[1]))
print("up", flush=True)
sys.stdin.readline()
misses = 0
while misses < 5:
    taken = webhooks.take(lease_seconds=60)
    if taken is None:
        misses += 1
        continue
    print(taken.webhook_id, taken.id, flush=True)
    webhooks.end_attempt(taken, Answer(0.1, status=200), error=None, pause_seconds=1)
"""


def test_each_delivery_goes_to_exactly_one_of_many_processes(world: World) -> None:
    for name in ("v", "w"):
        add(world, name)
    world.submit("x", *(planned(f"s{i}") for i in range(14)))
    expected = {(name, row.id) for name in ("v", "w") for row in log(world, name)}
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", _TAKER, world.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for taker in takers:
        assert taker.stdout is not None and taker.stdout.readline() == "up\n"
    heard = [taker.communicate("go\n", timeout=60)[0] for taker in takers]
    taken = [tuple(line.split()) for lines in heard for line in lines.splitlines()]
    # What a taker leaves when the others keep a webhook busy is taken here.
    world.clock.now = 10**10
    taken += [(one.webhook_id, one.id) for one in drain(world)]
    assert Counter(taken) == Counter(expected)


def test_webhooks_that_come_and_go_do_not_disturb_events(world: World) -> None:
    world.submit("x", *(planned(f"s{i}") for i in range(12)))

    def run() -> int:
        done = 0
        while (claim := world.records.claim("train", "w", lease_seconds=600)) is not None:
            world.finish(claim)
            done += 1
        return done

    def come_and_go(name: str) -> int:
        for i in range(8):
            spec = WebhookSpec(url="https://ci.example/in")
            world.webhooks.add_webhook(f"{name}{i}", spec, SECRET, most=50)
            if (one := world.webhooks.take(lease_seconds=60)) is not None:
                succeed(world, one)
            world.webhooks.delete_webhook(f"{name}{i}")
        return 0

    done = at_once([run, run, lambda: come_and_go("a"), lambda: come_and_go("b")])
    assert sum(done) == 12
    assert world.experiment_state("x") == "succeeded"


def test_events_of_audits_recorded_before_get_their_new_names(empty_url: str) -> None:
    engine = connect(empty_url)
    with engine.execution_options(write=True).begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        for name, kind in (("e", "experiment"), ("a", "audit")):
            connection.execute(
                text(
                    "INSERT INTO experiments (id, kind, name, state, spec, engine, engine_reason,"
                    " notes, created_at, request_digest, counts, event_seq) VALUES (:id, :kind,"
                    " 'n', 'queued', '{}', 'e', 'r', '[]', 1, 'd', '{}', 2)"
                ),
                {"id": name, "kind": kind},
            )
            for number, type_ in ((1, "experiment.submitted"), (2, "stage.ready")):
                connection.execute(
                    text("INSERT INTO events VALUES (:e, :n, :t, 1, NULL, '{}')"),
                    {"e": name, "n": number, "t": type_},
                )
    migrate(empty_url)
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT experiment_id, type FROM events ORDER BY experiment_id, id")
        ).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [
        ("a", "audit.submitted"),
        ("a", "stage.ready"),
        ("e", "experiment.submitted"),
        ("e", "stage.ready"),
    ]
