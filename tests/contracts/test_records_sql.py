"""What the SQL adapter promises beyond the port: migrations, query plans, errors."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from records_world import World, digest, manifest_of, plan_of, planned
from sqlalchemy import Connection, Engine, event, text

from forgetscope.adapters.sql import SqlRecords, connect, journal, migrate
from forgetscope.adapters.sql.tables import metadata
from forgetscope.schema.errors import InvalidInput, Unavailable
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.stage import Progress

SPEC = ExperimentSpec.model_validate({"tasks": ["a"], "chains": [["a"]]})
STAGES = 100_000
BIG = f"{7:064d}"


@pytest.fixture
def empty(empty_url: str) -> Iterator[Engine]:
    engine = connect(empty_url)
    yield engine
    engine.dispose()


def test_the_migrated_schema_is_that_of_the_tables(empty_url: str, empty: Engine) -> None:
    migrate(empty_url)
    with empty.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        found = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(found, metadata) == []


def test_several_processes_may_migrate_at_once_and_again(empty_url: str, empty: Engine) -> None:
    code = "import sys; from forgetscope.adapters.sql import migrate; migrate(sys.argv[1])"
    command = [sys.executable, "-W", "error", "-c", code, empty_url]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    migrate(empty_url)
    assert SqlRecords(empty).claim("train", "w", lease_seconds=1) is None


def test_a_database_without_tables_is_unavailable_until_migrated(empty: Engine) -> None:
    with pytest.raises(Unavailable, match="Run the migrations"):
        SqlRecords(empty).experiment("x")


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://u:p@127.0.0.1:1/none", "sqlite:////nowhere/at/all.db"]
)
def test_a_database_that_does_not_answer_is_unavailable(url: str) -> None:
    records = SqlRecords(connect(url))
    for ask in (records.ping, lambda: migrate(url), lambda: records.release("a", 1)):
        with pytest.raises(Unavailable) as caught:
            ask()
        assert ":p@" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "no url", "mysql://u@h/d"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="sqlite:///"):
        connect(url)


def test_a_connection_cut_by_the_server_is_made_anew(migrated_postgres: str) -> None:
    engine = connect(migrated_postgres)
    records = SqlRecords(engine)
    records.ping()
    other = connect(migrated_postgres)
    with other.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    records.ping()
    engine.dispose()
    other.dispose()


def test_a_file_database_waits_for_the_disk_and_for_its_one_writer(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
    engine.dispose()
    assert found == ["wal", 2, 1, 30_000]


# Query plans ----------------------------------------------------------------------------------


def grown(world: World) -> World:
    """One experiment of 100,000 stages, 1000 of them ready, and 2000 other experiments."""
    world.submit("small", planned("a"), planned("b", {"base": "a"}))
    finished = world.claim()
    world.finish(finished, "weights")
    with world.engine.begin() as connection:
        for table in ("experiments", "stages", "experiment_stages", "edges", "events"):
            connection.execute(text(_copies(connection, table)), {"n": STAGES})
    with world.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    return world


def _copies(connection: Connection, table: str) -> str:
    """An INSERT that multiplies the rows of the small experiment."""
    postgres = connection.dialect.name == "postgresql"
    big = "lpad(CAST(i AS text), 64, '0')" if postgres else "printf('%064d', i)"
    numbers = (
        "SELECT generate_series(1, :n) AS i"
        if postgres
        else "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < :n) "
        "SELECT i FROM c"
    )
    key, experiment = digest("b"), "'small'"
    changed, source = {
        "experiments": (
            {"id": "'big' || i", "event_seq": str(STAGES)},
            f"id = {experiment} AND i <= 2000",
        ),
        "stages": (
            {"key": big, "state": "CASE WHEN i <= 1000 THEN 'ready' ELSE 'succeeded' END"},
            f"key = '{key}'",
        ),
        "experiment_stages": (
            {"stage_key": big, "position": "i", "experiment_id": "'big1'"},
            "position = 0",
        ),
        "events": (
            {"id": "i", "experiment_id": "'big1'"},
            f"experiment_id = {experiment} AND id = 1",
        ),
        "edges": ({"stage_key": big}, f"stage_key = '{key}'"),
    }[table]
    columns = [column.name for column in metadata.tables[table].columns]
    picked = ", ".join(changed.get(name, f"t.{name}") for name in columns)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {picked} "
        f"FROM {table} AS t CROSS JOIN ({numbers}) AS numbers WHERE {source}"
    )


@contextmanager
def explained(engine: Engine) -> Iterator[list[tuple[str, str]]]:
    """Collects (statement, plan) of everything that is run meanwhile."""
    plans: list[tuple[str, str]] = []
    prefix = "EXPLAIN " if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "

    def explain(connection: Any, cursor: Any, statement: str, values: Any, *rest: Any) -> None:
        verb = statement.split(None, 1)[0]
        if verb in ("SELECT", "UPDATE", "DELETE", "WITH") and rest[-1] is False:
            cursor.execute(prefix + statement, values)
            plans.append((statement, "\n".join(str(row) for row in cursor.fetchall())))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def scans(engine: Engine, plan: str) -> list[str]:
    """Lines of a plan that read a whole large table."""
    large = ("stages", "experiment_stages", "edges", "experiments", "events")
    scan = "Seq Scan on" if engine.dialect.name == "postgresql" else "SCAN"
    return [
        line
        for line in plan.splitlines()
        if any(f"{scan} {table} " in f"{line} ".replace("'", " ") for table in large)
        and "INDEX" not in line
    ]


def test_nothing_that_is_asked_often_reads_a_whole_table_of_100000_stages(world: World) -> None:
    grown(world)
    records = world.records
    progress = Progress(done=1, total=2, unit="steps")
    page = world.page("big1", limit=50)
    listed = world.list(limit=50)
    assert len(page.items) == len(listed.items) == 50
    first = f"{1:064d}"
    asked: list[Callable[[], object]] = [
        lambda: world.page("big1", limit=50),
        lambda: world.page("big1", limit=50, cursor=page.next_cursor),
        lambda: world.list(limit=50),
        lambda: world.list(limit=50, state="running"),
        lambda: world.list(limit=50, cursor=listed.next_cursor),
        lambda: records.experiment("big1"),
        lambda: records.stage_view("big1", BIG),
        lambda: records.stage(BIG),
        lambda: records.attempts(BIG),
        lambda: records.rates_of_base(digest("a")),
        lambda: records.finished([BIG]),
        lambda: records.events("big1", after=3, limit=10),
        lambda: records.claim("train", "w", lease_seconds=60, prefer_base=digest("a")),
        lambda: records.claim("train", "w", lease_seconds=60),
        lambda: records.heartbeat(first, 1, lease_seconds=60, progress=progress),
        lambda: records.finish(first, 1, manifest_of(first, "x"), log_tail=""),
        lambda: records.blob(digest("weights")),
        lambda: records.garbage(10),
    ]
    seen = 0
    for ask in asked:
        with explained(world.engine) as plans:
            ask()
        for statement, plan in plans:
            assert scans(world.engine, plan) == [], f"{statement}\n{plan}"
            if "state = 'ready'" in statement:
                assert "ix_stages_ready" in plan, f"{statement}\n{plan}"
        seen += len(plans)
    assert seen > len(asked)
    assert records.stage(first).state == "succeeded"


def test_an_experiment_of_more_stages_than_one_statement_takes_is_handled_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_CHUNK", 7)
    world.submit("x", *[planned(f"s{i}") for i in range(40)])
    assert world.records.experiment("x").stages == {"ready": 40}
    world.records.cancel_experiment("x")
    assert world.records.experiment("x").stages == {"cancelled": 40}
    assert len(world.records.retry_experiment("x")) == 40
    world.records.cancel_experiment("x")
    world.records.delete_experiment("x")
    assert world.list().items == ()


def test_the_same_stage_twice_in_a_plan_leaves_nothing_behind(world: World) -> None:
    with pytest.raises(Exception, match="refused"):
        world.records.add_experiment(
            "x", SPEC, plan_of(planned("a"), planned("a")), request_digest="d"
        )
    assert world.list().items == ()
