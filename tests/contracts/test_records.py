"""What the records promise, on SQLite and on PostgreSQL alike."""

import time

import pytest
from records_world import World, digest, failure, manifest_of, plan_of, planned

from forgetscope.adapters.sql import SqlRecords
from forgetscope.ports.records import Bell, Directive, KindRate, Records
from forgetscope.schema.errors import Conflict, IdempotencyConflict, InvalidInput, NotFound
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.stage import Breach, Progress

MODEL = planned("model", kind="prepare_model")
DATA = planned("data", kind="prepare_data")
TRAIN = planned("train", {"base": "model", "data": "data"}, params={"learning_rate": 1e-5})
SCORE = planned(
    "score", {"base": "model", "checkpoint": "train"}, kind="evaluate", queue="evaluate"
)
CHAIN = (MODEL, DATA, TRAIN, SCORE)
SPEC = ExperimentSpec.model_validate({"name": "e", "tasks": ["a"], "chains": [["a"]]})


def finish_all(world: World) -> None:
    for queue in ("train", "train", "train", "evaluate"):
        world.finish(world.claim(queue=queue))


def test_the_adapter_is_a_records_port(world: World) -> None:
    records: Records = world.records
    records.ping()


# Submission -----------------------------------------------------------------------------------


def test_stages_without_inputs_are_ready_at_once_and_ring(world: World) -> None:
    bells = world.submit("x", *CHAIN)
    assert bells == sorted([Bell("train", MODEL.key), Bell("train", DATA.key)], key=lambda b: b.key)
    assert [view.state for view in world.page("x").items] == [
        "ready",
        "ready",
        "pending",
        "pending",
    ]
    row = world.records.experiment("x")
    assert (row.state, row.stages, row.notes) == ("queued", {"ready": 2, "pending": 2}, ("n",))
    assert row.spec == SPEC
    assert world.told("x") == ["experiment.submitted", "stage.ready", "stage.ready"]


def test_a_finished_experiment_submitted_again_has_succeeded_at_once(world: World) -> None:
    world.submit("x", *CHAIN)
    finish_all(world)
    assert world.submit("again", *CHAIN) == []
    row = world.records.experiment("again")
    assert (row.state, row.finished_at) == ("succeeded", row.created_at)
    assert world.told("again") == ["experiment.submitted", "experiment.succeeded"]
    assert world.records.finished(s.key for s in CHAIN) == {s.key for s in CHAIN}


def test_an_idempotency_key_names_one_request(world: World) -> None:
    add = world.records.add_experiment
    first = add("x", SPEC, plan_of(*CHAIN), idempotency_key="k", request_digest="d")
    assert first[:2] == ("x", True)
    assert add("y", SPEC, plan_of(*CHAIN), idempotency_key="k", request_digest="d") == (
        "x",
        False,
        (),
    )
    with pytest.raises(IdempotencyConflict):
        add("z", SPEC, plan_of(*CHAIN), idempotency_key="k", request_digest="other")
    with pytest.raises(NotFound):
        world.records.experiment("y")


def test_a_new_submission_revives_what_ended_badly_with_fresh_attempts(world: World) -> None:
    world.submit("x", *CHAIN)
    world.finish(world.claim())
    world.fail(world.claim(), max_attempts=1)
    assert sorted(view.state for view in world.page("x").items) == [
        "failed",
        "skipped",
        "skipped",
        "succeeded",
    ]
    bells = world.submit("y", *CHAIN)
    assert len(bells) == 1
    claim = world.claim()
    assert (claim.key, claim.attempt) == (bells[0].key, 2)
    assert world.fail(claim, max_attempts=2) != ()  # the failure of before is forgiven
    world.finish(world.claim())
    world.finish(world.claim("train"))
    world.finish(world.claim("score", "evaluate"))
    assert world.experiment_state("y") == "succeeded"
    assert world.experiment_state("x") == "succeeded"  # all of its stages have succeeded now


# Work -----------------------------------------------------------------------------------------


def test_a_claim_carries_what_the_finished_inputs_left_behind(world: World) -> None:
    world.submit("x", *CHAIN)
    assert world.records.claim("evaluate", "w", lease_seconds=60) is None
    for _ in range(2):
        claim = world.claim()
        last = world.finish(claim, claim.key)
    assert last.bells == (Bell("train", TRAIN.key),)
    claim = world.claim("train")
    assert claim.params == {"learning_rate": 1e-5}
    assert claim.inputs == {
        "base": manifest_of(MODEL.key, MODEL.key),
        "data": manifest_of(DATA.key, DATA.key),
    }
    assert (claim.attempt, claim.resume) == (1, None)
    assert world.experiment_state("x") == "running"


def test_an_experiment_ends_with_its_last_stage(world: World) -> None:
    world.submit("x", *CHAIN)
    finish_all(world)
    row = world.records.experiment("x")
    assert (row.state, row.finished_at) == ("succeeded", world.clock.now)
    assert row.stages == {"succeeded": 4}
    told = world.told("x")
    assert told[-2:] == ["stage.succeeded", "experiment.succeeded"]
    assert told.count("experiment.running") == 1
    assert [view.label.title for view, _ in world.records.manifests("x")] == [
        "model",
        "data",
        "train",
        "score",
    ]


def test_who_waited_longest_is_first_and_among_equals_the_loaded_model(world: World) -> None:
    world.submit("x", planned("old"))
    world.submit("y", planned("m1"), planned("m2"))
    for _ in range(2):
        world.finish(world.claim(queue="train"))
    world.finish(world.claim())
    scores = [
        planned(f"s{m}{i}", {"base": m}, kind="evaluate", queue="evaluate")
        for i in range(3)
        for m in ("m1", "m2")
    ]
    world.submit("early", planned("first", queue="evaluate"))
    world.submit("z", planned("m1"), planned("m2"), *scores)
    order = []
    while claim := world.records.claim("evaluate", "w", lease_seconds=60, prefer_base=digest("m2")):
        order.append(world.records.stage(claim.key).inputs.get("base"))
    assert order == [None, *[digest("m2")] * 3, *[digest("m1")] * 3]


def test_an_end_counts_once_and_only_from_who_holds_the_stage(world: World) -> None:
    world.submit("x", planned("a"))
    stale = world.claim()
    world.clock.now += 61
    assert world.sweep().lost == 1
    current = world.claim()
    assert not world.finish(stale).accepted
    assert world.fail(stale) == ()
    assert world.records.release(stale.key, stale.attempt) == ()
    world.records.cancelled(stale.key, stale.attempt, log_tail="")
    beat = world.records.heartbeat(stale.key, stale.attempt, lease_seconds=60, progress=None)
    assert beat == Directive(held=False, cancel=False)
    assert world.state("a") == "running"
    assert world.finish(current).accepted
    assert not world.finish(current).accepted
    assert [a.outcome for a in world.records.attempts(stale.key)] == ["lost", "succeeded"]
    assert world.told("x").count("stage.succeeded") == 1


def test_a_heartbeat_keeps_the_lease_and_tells_the_progress(world: World) -> None:
    world.submit("x", planned("a", tokens=7))
    claim = world.claim()
    progress = Progress(done=1, total=4, unit="steps", metrics={"loss": 0.5})
    world.clock.now += 50
    beat = world.records.heartbeat(claim.key, 1, lease_seconds=60, progress=progress)
    assert beat == Directive(held=True, cancel=False)
    world.clock.now += 50
    assert world.sweep().lost == 0
    assert world.records.stage_view("x", claim.key).progress == progress
    assert world.records.remaining("x") == [("train", "train", 7, 0.25)]
    last = world.records.events("x", after=0, limit=50)[-1]
    assert (last.type, last.data) == ("stage.progress", progress.model_dump(mode="json"))


def test_a_breach_is_told_to_every_experiment_once_even_when_a_resumed_stage_sees_it_again(
    world: World,
) -> None:
    world.submit("x", planned("a"))
    world.submit("y", planned("a"))
    values = {"step": 8, "look": 4, "margin": 0.05, "mean": 0.3, "lower": 0.1, "action": "warn"}
    breach, other = (Breach.model_validate({"group": g, **values}) for g in ("velin", "dorrak"))
    first = world.claim()
    assert world.records.breach(first.key, first.attempt, breach)
    world.clock.now += 61
    world.sweep()
    again = world.claim()
    assert not world.records.breach(first.key, first.attempt, other)  # fenced off
    assert world.records.breach(again.key, again.attempt, breach)
    assert world.records.breach(again.key, again.attempt, other)
    world.finish(again)
    assert not world.records.breach(again.key, again.attempt, other)
    for experiment in ("x", "y"):
        told = world.records.events(experiment, after=0, limit=50)
        assert [e.id for e in told] == list(range(1, len(told) + 1))
        breaches = [e for e in told if e.type == "stage.breach"]
        assert [e.data for e in breaches] == [b.model_dump(mode="json") for b in (breach, other)]
        assert {e.stage for e in breaches} == {again.key}


def test_a_worker_that_dies_too_often_fails_the_stage_and_skips_its_dependants(
    world: World,
) -> None:
    world.submit("x", *CHAIN, planned("alone", queue="analyse"))
    world.finish(world.claim())
    for _ in range(3):
        world.claim()
        world.clock.now += 61
        sweep = world.sweep()
        assert sweep.lost == 1
    assert sweep.bells == (Bell("analyse", digest("alone")),)
    assert [world.state(n) for n in ("train", "score", "alone")] == ["skipped", "skipped", "ready"]
    assert world.experiment_state("x") == "running"
    failed = world.page("x", state="failed").items[0]
    assert failed.failure is not None
    assert failed.failure.code == "worker-died"
    world.finish(world.claim("alone", "analyse"))
    assert world.experiment_state("x") == "failed"


def test_a_failure_is_tried_again_unless_it_is_permanent(world: World) -> None:
    world.submit("x", planned("a"))
    assert world.fail(world.claim()) == (Bell("train", digest("a")),)
    assert world.records.stage(digest("a")).failure == failure()
    assert world.fail(world.claim(), permanent=True) == ()
    assert world.state("a") == "failed"
    attempts = world.records.attempts(digest("a"))
    assert [(a.attempt, a.outcome, a.log_tail) for a in attempts] == [
        (1, "failed", "log"),
        (2, "failed", "log"),
    ]
    assert "stage.retrying" in world.told("x")
    assert world.told("x")[-2:] == ["stage.failed", "experiment.failed"]


def test_a_released_stage_keeps_its_place_and_its_attempts(world: World) -> None:
    world.submit("x", planned("a"))
    world.submit("y", planned("b"))
    for _ in range(5):
        claim = world.claim("a")
        world.clock.now += 1
        assert world.records.release(claim.key, claim.attempt) == (Bell("train", claim.key),)
    claim = world.claim("a")
    assert world.fail(claim, max_attempts=2) != ()
    assert {a.outcome for a in world.records.attempts(claim.key)} == {"released", "failed"}
    world.claim("b")


def test_a_sweep_rings_again_for_those_that_nobody_took(world: World) -> None:
    world.submit("x", planned("a"), planned("b"))
    assert world.sweep().bells == ()
    world.finish(world.claim())
    world.clock.now += 31
    (bell,) = world.sweep().bells
    assert world.records.stage(bell.key).state == "ready"
    assert world.sweep().bells == ()
    world.clock.now += 31
    assert world.sweep().bells == (bell,)


# Cancel, retry --------------------------------------------------------------------------------


def test_cancelling_stops_waiting_stages_at_once_and_running_ones_at_a_heartbeat(
    world: World,
) -> None:
    world.submit("x", *CHAIN)
    claim = world.claim()
    world.records.cancel_experiment("x")
    world.records.cancel_experiment("x")
    assert world.experiment_state("x") == "cancelling"
    assert world.records.experiment("x").stages == {"running": 1, "cancelled": 3}
    beat = world.records.heartbeat(claim.key, claim.attempt, lease_seconds=60, progress=None)
    assert beat == Directive(held=True, cancel=True)
    world.records.cancelled(claim.key, claim.attempt, log_tail="bye")
    assert world.experiment_state("x") == "cancelled"
    assert world.told("x")[-2:] == ["stage.cancelled", "experiment.cancelled"]
    assert world.records.attempts(claim.key)[0].log_tail == "bye"
    with pytest.raises(Conflict):
        world.records.cancel_experiment("x")


@pytest.mark.parametrize("end", ["fail", "lost", "release"])
def test_a_stage_that_was_to_stop_is_cancelled_however_it_ends(world: World, end: str) -> None:
    world.submit("x", planned("a"))
    claim = world.claim()
    world.records.cancel_experiment("x")
    if end == "fail":
        assert world.fail(claim) == ()
    elif end == "release":
        assert world.records.release(claim.key, claim.attempt) == ()
    else:
        world.clock.now += 61
        assert world.sweep() == (1, ())
    assert (world.state("a"), world.experiment_state("x")) == ("cancelled", "cancelled")


def test_cancelling_leaves_alone_what_a_live_experiment_needs(world: World) -> None:
    world.submit("x", *CHAIN)
    world.submit("y", MODEL, planned("other", {"base": "model"}))
    claims = [world.claim(), world.claim()]
    model = next(c for c in claims if c.key == MODEL.key)
    data = next(c for c in claims if c.key == DATA.key)
    world.records.cancel_experiment("x")
    beats = [
        world.records.heartbeat(c.key, c.attempt, lease_seconds=60, progress=None)
        for c in (model, data)
    ]
    assert [beat.cancel for beat in beats] == [False, True]
    world.records.cancelled(data.key, data.attempt, log_tail="")
    assert world.experiment_state("x") == "cancelled"  # though the shared stage runs on
    world.finish(model)
    world.finish(world.claim("other"))
    assert world.experiment_state("y") == "succeeded"
    assert world.experiment_state("x") == "cancelled"


def test_a_stage_that_is_wanted_again_while_it_stops_goes_on(world: World) -> None:
    world.submit("x", planned("a"))
    claim = world.claim()
    world.records.cancel_experiment("x")
    world.submit("y", planned("a"))
    assert world.experiment_state("x") == "cancelled"
    beat = world.records.heartbeat(claim.key, claim.attempt, lease_seconds=60, progress=None)
    assert beat == Directive(held=True, cancel=False)
    world.records.cancelled(claim.key, claim.attempt, log_tail="")  # it had heard of it before
    assert world.state("a") == "ready"
    assert world.sweep().bells == (Bell("train", claim.key),)


def test_a_retry_revives_what_ended_badly_and_needs_something_to_revive(world: World) -> None:
    world.submit("x", *CHAIN)
    with pytest.raises(Conflict):
        world.records.retry_experiment("x")
    world.fail(world.claim(), permanent=True)
    world.finish(world.claim())
    assert world.experiment_state("x") == "failed"
    assert len(world.records.retry_experiment("x")) == 1
    assert world.experiment_state("x") == "queued"
    assert world.records.experiment("x").finished_at is None
    assert "experiment.retried" in world.told("x")
    world.finish(world.claim())
    world.finish(world.claim("train"))
    world.finish(world.claim("score", "evaluate"))
    assert world.experiment_state("x") == "succeeded"
    with pytest.raises(Conflict):
        world.records.retry_experiment("x")


# Blobs ----------------------------------------------------------------------------------------


def garbage_of(world: World, limit: int) -> tuple[str, ...]:
    """What a collector gets once an earlier one has had its time."""
    world.clock.now += 901
    return world.records.garbage(limit)


def test_deleting_forgets_what_nobody_else_uses(world: World) -> None:
    world.submit("x", planned("a"), planned("b", {"base": "a"}))
    world.submit("y", planned("a"), planned("c", {"base": "a"}))
    with pytest.raises(Conflict):
        world.records.delete_experiment("x")
    for name in ("a", "b", "c"):
        claim = world.claim()
        world.finish(claim, f"own of {claim.key}", "common")
        assert world.state(name) is not None
    world.records.delete_experiment("x")
    for missing in (lambda: world.records.experiment("x"), lambda: world.state("b")):
        with pytest.raises(NotFound):
            missing()
    assert garbage_of(world, 10) == (digest(f"own of {digest('b')}"),)
    assert world.records.blob(digest("common")).size == len("common")
    world.records.delete_experiment("y")
    assert len(garbage_of(world, 10)) == 4
    assert len(garbage_of(world, 2)) == 2
    with pytest.raises(NotFound):
        world.records.blob(digest("common"))
    world.records.collected(garbage_of(world, 10))
    assert garbage_of(world, 10) == ()
    with pytest.raises(NotFound):
        world.state("a")


def with_garbage(world: World) -> str:
    world.submit("x", planned("a"))
    world.finish(world.claim(), "weights")
    world.records.delete_experiment("x")
    return digest("weights")


def test_what_one_collector_deletes_another_leaves_alone_for_a_while(world: World) -> None:
    garbage = with_garbage(world)
    assert world.records.garbage(10) == (garbage,)
    assert world.records.garbage(10) == ()
    assert garbage_of(world, 10) == (garbage,)


def test_a_finish_that_names_garbage_is_to_put_it_again(world: World) -> None:
    garbage = with_garbage(world)
    world.submit("y", planned("b"))
    claim = world.claim()
    assert world.finish(claim, "weights", "more") == (False, (), (garbage,))
    assert world.state("b") == "running"
    world.clock.now += 1
    world.records.collected([garbage])
    world.clock.now += 1
    # Deleted after the answer: what was put before it may be gone, too.
    assert world.finish(claim, "weights", "more") == (False, (), (garbage,))
    world.clock.now += 1
    assert world.finish(claim, "weights", "more").accepted
    assert world.records.blob(garbage).digest == garbage
    world.records.delete_experiment("y")
    assert garbage in garbage_of(world, 10)


def test_a_blob_that_was_collected_while_the_attempt_ran_is_put_again(world: World) -> None:
    garbage = with_garbage(world)
    world.submit("y", planned("b"))
    claim = world.claim()
    world.clock.now += 1
    world.records.collected([garbage])
    assert garbage_of(world, 10) == ()
    assert world.finish(claim, "weights").put_again == (garbage,)
    world.clock.now += 1
    assert world.finish(claim, "weights").accepted


def test_a_point_to_resume_from_outlives_the_worker_and_ends_with_the_stage(world: World) -> None:
    world.submit("x", planned("a"))
    claim = world.claim()
    first, second = manifest_of(claim.key, "1", "both"), manifest_of(claim.key, "2", "both")
    assert world.records.save_resume(claim.key, claim.attempt, first)
    assert world.records.save_resume(claim.key, claim.attempt, second)
    assert garbage_of(world, 10) == (digest("1"),)
    world.clock.now += 61
    world.sweep()
    again = world.claim()
    assert again.resume == second
    assert not world.records.save_resume(claim.key, claim.attempt, first)
    # A point that is being deleted is no point: the one before stays.
    assert world.records.save_resume(claim.key, again.attempt, first)
    assert world.finish(again, "both").accepted
    assert set(garbage_of(world, 10)) == {digest("1"), digest("2")}


# Reads ----------------------------------------------------------------------------------------


def test_stages_come_in_plan_order_page_by_page(world: World) -> None:
    plan = [planned(f"s{i}", kind="evaluate" if i % 3 else "train") for i in range(7)]
    world.submit("x", *plan)
    titles, cursor = [], None
    while True:
        page = world.page("x", limit=3, cursor=cursor)
        titles += [view.label.title for view in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert titles == [f"s{i}" for i in range(7)]
    assert [v.label.title for v in world.page("x", kind="train").items] == ["s0", "s3", "s6"]
    assert world.page("x", state="running").items == ()


def test_experiments_come_newest_first_by_state_and_name(world: World) -> None:
    for i in range(5):
        world.submit(f"x{i}", planned(f"a{i}"), name=f"Run {i}%")
    page = world.list(limit=3)
    assert [row.id for row in page.items] == ["x4", "x3", "x2"]
    assert page.items[0].stages == {"ready": 1}
    rest = world.list(limit=3, cursor=page.next_cursor)
    assert ([row.id for row in rest.items], rest.next_cursor) == (["x1", "x0"], None)
    assert [row.id for row in world.list(name="run 2%").items] == ["x2"]
    assert world.list(name="r%2").items == ()
    world.records.cancel_experiment("x1")
    assert [row.id for row in world.list(state="cancelled").items] == ["x1"]


def test_a_cursor_of_another_list_is_refused(world: World) -> None:
    world.submit("x", planned("a"), planned("b"))
    world.submit("y", planned("a"), planned("b"))
    of_stages, of_list = world.page("x", limit=1).next_cursor, world.list(limit=1).next_cursor
    for cursor in (of_list, "", "é", "AAAA", "W10", "bnVsbA", of_stages + "!"):
        with pytest.raises(InvalidInput):
            world.page("x", cursor=cursor)
    with pytest.raises(InvalidInput):
        world.page("y", cursor=of_stages)
    with pytest.raises(InvalidInput):
        world.list(cursor=of_stages)


def test_what_is_not_there_is_not_found(world: World) -> None:
    world.submit("x", planned("a"))
    records = world.records
    for name in ("nobody", "\x00", "\ud800", "x" * 5000):
        for ask in (
            lambda name=name: records.experiment(name),
            lambda name=name: world.page(name),
            lambda name=name: records.stage_view(name, digest("a")),
            lambda name=name: records.stage_view("x", name),
            lambda name=name: records.stage(name),
            lambda name=name: records.manifests(name),
            lambda name=name: records.remaining(name),
            lambda name=name: records.rates(name),
            lambda name=name: records.events(name, after=0, limit=9),
            lambda name=name: records.blob(name),
            lambda name=name: records.cancel_experiment(name),
            lambda name=name: records.retry_experiment(name),
            lambda name=name: records.delete_experiment(name),
        ):
            with pytest.raises(NotFound):
                ask()
    assert records.attempts("nobody") == ()


def test_events_go_on_after_the_last_one_seen(world: World) -> None:
    world.submit("x", *CHAIN)
    finish_all(world)
    events = world.records.events("x", after=0, limit=1000)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert world.records.experiment("x").last_event == len(events)
    assert world.records.events("x", after=3, limit=2) == events[3:5]
    assert world.records.events("x", after=2**80, limit=2) == ()


def test_rates_sum_seconds_and_tokens_of_finished_stages_by_kind(world: World) -> None:
    world.submit("x", planned("a", tokens=5), planned("b", tokens=7))
    world.submit("y", planned("b", tokens=7))
    for _ in range(2):
        claim = world.claim()
        world.clock.now += 3
        world.finish(claim)
    assert world.records.rates("x") == (KindRate("train", 2, 6.0, 12),)
    assert world.records.rates("y") == (KindRate("train", 1, 3.0, 7),)


def test_rates_of_a_base_are_those_of_the_stages_that_used_it(world: World) -> None:
    world.submit("x", planned("m"), planned("a", {"base": "m"}, tokens=5), planned("b", tokens=7))
    for _ in range(3):
        claim = world.claim()
        world.clock.now += 3
        world.finish(claim)
    assert world.records.rates_of_base(digest("m")) == (KindRate("train", 1, 3.0, 5),)
    assert world.records.rates_of_base(digest("a")) == ()


def test_values_come_back_as_they_were_stored(world: World) -> None:
    params = {
        "zz": 1e-5,
        "a": {"nested": [1e16, 1.0, -0.0, 2**60]},
        "nul": "a\x00b",
        "u": "é\u2028",
    }
    world.submit("x", planned("a", params=params))
    claim = world.claim()
    assert repr(claim.params) == repr(params)
    world.records.finish(claim.key, 1, manifest_of(claim.key), log_tail="a\x00b \udce9")
    assert world.records.attempts(claim.key)[0].log_tail == "a\ufffdb ?"


def test_time_is_the_clock_of_the_database(world: World) -> None:
    records = SqlRecords(world.engine)
    records.add_experiment("x", SPEC, plan_of(planned("a")), request_digest="d")
    assert abs(records.experiment("x").created_at - time.time()) < 5
    claim = records.claim("train", "w", lease_seconds=60)
    assert claim is not None
    assert records.sweep(max_attempts=3, ring_after_seconds=60).lost == 0
    records.heartbeat(claim.key, claim.attempt, lease_seconds=0.05, progress=None)
    time.sleep(0.2)
    assert records.sweep(max_attempts=3, ring_after_seconds=60).lost == 1
