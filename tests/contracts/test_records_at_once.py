"""What the records promise when many ask at the same moment: threads, and separate processes."""

import subprocess
import sys
import threading
from collections import Counter
from functools import partial
from random import Random

from records_world import World, at_once, digest, failure, manifest_of, plan_of, planned
from sqlalchemy import func, select

from forgetscope.adapters.sql import work
from forgetscope.adapters.sql.tables import experiment_stages, experiments, stages
from forgetscope.core import lifecycle
from forgetscope.ports.records import Claim
from forgetscope.schema.errors import Conflict, NotFound
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.stage import Progress

SPEC = ExperimentSpec.model_validate({"tasks": ["a"], "chains": [["a"]]})

_CLAIMER = """
import sys
from forgetscope.adapters.sql import SqlRecords, connect
records = SqlRecords(connect(sys.argv[1]))
print("up", flush=True)
sys.stdin.readline()
while claim := records.claim("train", "w", lease_seconds=60):
    print(claim.key, flush=True)
"""


def test_one_idempotency_key_used_by_many_at_once_makes_one_experiment(world: World) -> None:
    answers = at_once(
        [
            lambda i=i: world.records.add_experiment(
                f"x{i}", SPEC, plan_of(planned("a")), idempotency_key="k", request_digest="d"
            )
            for i in range(6)
        ]
    )
    assert len({id_ for id_, _, _ in answers}) == 1
    assert [created for _, created, _ in answers].count(True) == 1
    assert len(world.list().items) == 1


def test_every_ready_stage_goes_to_exactly_one_of_many_claimers(world: World) -> None:
    world.submit("x", *[planned(f"s{i}") for i in range(40)])

    def take() -> list[str]:
        taken = []
        while claim := world.records.claim("train", "w", lease_seconds=60):
            taken.append(claim.key)
        return taken

    taken = [key for keys in at_once([take] * 6) for key in keys]
    assert sorted(taken) == sorted(digest(f"s{i}") for i in range(40))


def test_every_ready_stage_goes_to_exactly_one_of_many_processes(world: World) -> None:
    world.submit("x", *[planned(f"s{i}") for i in range(40)])
    command = [sys.executable, "-c", _CLAIMER, world.url]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "up\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    taken = [key for worker in workers for key in worker.communicate(timeout=60)[0].split()]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert sorted(taken) == sorted(digest(f"s{i}") for i in range(40))
    assert world.experiment_state("x") == "running"


def test_inputs_that_finish_at_the_same_moment_do_not_both_overlook_their_dependant(
    world: World,
) -> None:
    pairs = range(8)
    halves = [planned(f"{side}{i}") for i in pairs for side in "lr"]
    wholes = [planned(f"w{i}", {"l": f"l{i}", "r": f"r{i}"}, queue="evaluate") for i in pairs]
    world.submit("x", *halves, *wholes)
    claims = {claim.key: claim for claim in (world.claim() for _ in halves)}
    for i in pairs:
        ends = at_once([lambda n=n: world.finish(claims[digest(n)]) for n in (f"l{i}", f"r{i}")])
        assert [bell.key for end in ends for bell in end.bells] == [digest(f"w{i}")]


def test_an_attempt_that_is_finished_by_two_at_once_ends_once(world: World) -> None:
    world.submit("x", planned("a"))
    claim = world.claim()
    ends = at_once([lambda: world.finish(claim)] * 4)
    assert [end.accepted for end in ends].count(True) == 1
    assert world.told("x").count("stage.succeeded") == 1


def test_an_experiment_submitted_while_its_stage_is_being_claimed_counts_it_as_running(
    world: World,
) -> None:
    world.submit("x", planned("a"))
    with world.engine.connect().execution_options(write=True) as connection:
        claim = work.claim(connection, 1.0, "train", "w", lease_seconds=60, prefer_base=None)
        assert claim is not None
        submission = threading.Thread(target=world.submit, args=("y", planned("a")))
        submission.start()
        submission.join(0.5)
        assert submission.is_alive()  # it waits for the claim
        connection.commit()
    submission.join(30)
    assert world.records.experiment("y").stages == {"running": 1}
    assert world.finish(claim).accepted
    assert world.records.experiment("y").stages == {"succeeded": 1}


class Crowd:
    """Threads that do everything at random until they are told to stop."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stop = threading.Event()

    def work(self, seed: int) -> None:
        random = Random(seed)
        records = self.world.records
        while not self.stop.is_set():
            claim = records.claim("train", "w", lease_seconds=60)
            if claim is None:
                records.sweep(max_attempts=3, ring_after_seconds=0)
                continue
            progress = Progress(done=1, total=2, unit="steps")
            records.heartbeat(claim.key, claim.attempt, lease_seconds=60, progress=progress)
            self.end(claim, random.random(), random)

    def end(self, claim: Claim, chance: float, random: Random) -> None:
        records, own = self.world.records, (claim.key, claim.attempt)
        if chance < 0.5:
            blobs = [f"b{random.randrange(6)}" for _ in range(2)]
            records.finish(*own, manifest_of(claim.key, *blobs), log_tail="")
        elif chance < 0.7:
            records.fail(*own, failure(chance < 0.6), log_tail="", max_attempts=2)
        elif chance < 0.8:
            records.release(*own)
        elif chance < 0.9:
            records.cancelled(*own, log_tail="")
        else:
            records.save_resume(*own, manifest_of(claim.key, f"b{random.randrange(6)}"))
            records.heartbeat(*own, lease_seconds=-1, progress=None)

    def collect(self) -> None:
        while not self.stop.is_set():
            self.world.records.collected(self.world.records.garbage(2))

    def submit(self, seed: int, rounds: int) -> None:
        random = Random(seed)
        records = self.world.records
        for i in range(rounds):
            names = [f"s{n}" for n in sorted(random.sample(range(12), 5))]
            chain = [planned(f"{random.randrange(2)}{name}") for name in names[:2]]
            for name in names[2:]:
                needs = {"base": chain[-1], "data": chain[0]}
                key = digest(name + "".join(s.key for s in needs.values()))
                inputs = {role: stage.key for role, stage in needs.items()}
                chain.append(planned(name).model_copy(update={"key": key, "inputs": inputs}))
            mine = f"x{seed}-{i}"
            records.add_experiment(mine, SPEC, plan_of(*chain), request_digest="d")
            for _ in range(2):
                other = f"x{random.randrange(2)}-{random.randrange(i + 1)}"
                acts = (
                    records.cancel_experiment,
                    records.retry_experiment,
                    records.delete_experiment,
                )
                try:
                    random.choice(acts)(other)
                except (Conflict, NotFound):
                    continue


def test_the_books_balance_after_a_crowd_has_done_everything_at_once(world: World) -> None:
    crowd = Crowd(world)
    failures: list[BaseException] = []

    def guarded(action, *args) -> None:  # type: ignore[no-untyped-def]
        try:
            action(*args)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    workers = [threading.Thread(target=guarded, args=(crowd.work, i)) for i in range(3)]
    workers.append(threading.Thread(target=guarded, args=(crowd.collect,)))
    owners = [threading.Thread(target=guarded, args=(crowd.submit, i, 15)) for i in range(2)]
    for thread in (*workers, *owners):
        thread.start()
    for thread in owners:
        thread.join()
    crowd.stop.set()
    for thread in workers:
        thread.join()
    assert failures == []
    check_books(world)


def check_books(world: World) -> None:
    with world.engine.connect() as connection:
        rows = connection.execute(select(experiments)).all()
        members = experiment_stages.c
        listed = connection.execute(
            select(members.experiment_id, stages.c.state, func.count())
            .join(stages, stages.c.key == members.stage_key)
            .group_by(members.experiment_id, stages.c.state)
        ).all()
        members_of = connection.execute(select(members.stage_key, members.experiment_id)).all()
        open_keys = set(
            connection.scalars(select(stages.c.key).where(stages.c.state.in_(lifecycle.OPEN)))
        )
    assert len(rows) > 3
    counted: dict[str, Counter[str]] = {}
    for experiment_id, state, number in listed:
        counted.setdefault(experiment_id, Counter())[state] = number
    for row in rows:
        assert row.counts == counted[row.id], row.id
        ids = [event.id for event in world.records.events(row.id, after=0, limit=10_000)]
        assert ids == list(range(1, row.event_seq + 1))
        if row.state in lifecycle.LIVE:
            assert any(row.counts.get(state) for state in lifecycle.OPEN)
        assert (row.finished_at is None) == (row.state not in lifecycle.OVER)
    alive = {row.id for row in rows if row.state not in lifecycle.OVER}
    wanted = {key for key, experiment_id in members_of if experiment_id in alive}
    assert open_keys <= wanted
    # Whatever is left can be worked off: nothing waits for ever.
    while True:
        world.clock.now += 61
        world.sweep(max_attempts=1)
        claim = world.records.claim("train", "w", lease_seconds=60)
        if claim is None:
            break
        for _ in range(10):
            end = world.finish(claim, claim.key)
            if end.accepted:
                break
            world.records.collected(end.put_again)
    assert {row.state for row in world.list(limit=1000).items} <= set(lifecycle.OVER)


def test_a_heartbeat_and_a_sweep_at_once_agree_about_who_holds_the_stage(
    world: World,
) -> None:
    def beats(claim: Claim) -> int:
        key, attempt = claim.key, claim.attempt
        beat = world.records.heartbeat(key, attempt, lease_seconds=60, progress=None)
        return int(beat.held)

    world.submit("x", planned("a"))
    for _ in range(5):
        claim = world.claim()
        world.clock.now += 61
        beat, lost = at_once([partial(beats, claim), lambda: world.sweep(max_attempts=99).lost])
        assert beat + lost == 1
        world.records.release(claim.key, claim.attempt)
