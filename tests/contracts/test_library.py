"""What the library promises, on SQLite and on PostgreSQL alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from records_world import World, at_once, digest, plan_of, planned
from sqlalchemy import Connection, Engine, insert, select, text

from forgetscope.adapters import sql
from forgetscope.adapters.sql import SqlLibrary, SqlRecords, connect, migrate
from forgetscope.adapters.sql.engine import touch
from forgetscope.adapters.sql.tables import dataset_uses, experiments
from forgetscope.ports.library import DatasetRow, Library
from forgetscope.schema.errors import Conflict, InvalidInput, NotFound, Unavailable, UnknownName
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import PlannedStage
from forgetscope.schema.stage import BlobRef

COLUMNS = {"question": "string", "answer": "integer or null"}
SPEC = ExperimentSpec.model_validate({"name": "e", "tasks": ["a"], "chains": [["a"]]})


def upload(world: World, content: str, name: str = "set") -> DatasetRow:
    world.clock.now += 1
    blob = BlobRef(digest=digest(content), size=len(content), media_type="application/x-ndjson")
    row, _ = world.library.add_dataset(blob, name=name, format="jsonl", rows=3, columns=COLUMNS)
    return row


def reading(name: str, *contents: str) -> PlannedStage:
    """A stage that prepares data from uploads, as the sources in its parameters say."""
    sources = [{"kind": "upload", "digest": digest(content)} for content in contents]
    return planned(name, kind="prepare_data", params={"params": {"sources": {"train": sources}}})


def test_the_adapter_is_a_library_port(world: World) -> None:
    library: Library = world.library
    assert library.tasks() == ()


def test_an_upload_is_found_by_its_digest(world: World) -> None:
    row = upload(world, "abc", "fragen ✓")
    assert row == DatasetRow(digest("abc"), "fragen ✓", "jsonl", 3, 3, COLUMNS, 1001.0)
    assert world.library.dataset(digest("abc")) == row
    with pytest.raises(NotFound):
        world.library.dataset(digest("other"))


def test_the_same_bytes_again_are_the_first_record(world: World) -> None:
    first = upload(world, "abc", "first")
    again, created = world.library.add_dataset(
        BlobRef(digest=digest("abc"), size=3), name="second", format="jsonl", rows=3, columns={}
    )
    assert (again, created) == (first, False)


def test_of_many_uploads_of_the_same_bytes_at_once_one_creates(world: World) -> None:
    blob = BlobRef(digest=digest("abc"), size=3)

    def add() -> tuple[DatasetRow, bool]:
        return world.library.add_dataset(blob, name="n", format="jsonl", rows=1, columns={})

    answers = at_once([add] * 6)
    assert sorted(created for _, created in answers) == [False] * 5 + [True]
    assert len({row.digest for row, _ in answers}) == 1


def test_lists_are_paged_newest_first(world: World) -> None:
    for content in "abcde":
        upload(world, content)
    seen, cursor = [], None
    while True:
        page = world.library.datasets(cursor=cursor, limit=2)
        seen += [row.digest for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [digest(content) for content in "edcba"]


def test_the_cursor_of_another_list_is_refused(world: World) -> None:
    for i in range(3):
        world.submit(f"x{i}", planned(f"s{i}"))
    foreign = world.list(limit=1).next_cursor
    for cursor in (foreign, "nonsense", "é"):
        with pytest.raises(InvalidInput, match="cursor"):
            world.library.datasets(cursor=cursor, limit=2)


# Bytes and garbage ----------------------------------------------------------------------------


def test_bytes_of_a_data_set_are_never_garbage_while_it_is_recorded(world: World) -> None:
    upload(world, "abc")
    world.submit("x", planned("a"))
    world.finish(world.claim(), "abc", "other")
    world.records.delete_experiment("x")
    assert world.records.garbage(10) == (digest("other"),)
    assert world.records.blob(digest("abc")).size == 3


def test_a_deleted_data_set_leaves_its_bytes_as_garbage(world: World) -> None:
    upload(world, "abc")
    world.library.delete_dataset(digest("abc"))
    assert world.records.garbage(10) == (digest("abc"),)
    for ask in (world.library.dataset, world.library.delete_dataset, world.records.blob):
        with pytest.raises(NotFound):
            ask(digest("abc"))


def test_bytes_that_a_manifest_names_outlive_their_data_set(world: World) -> None:
    upload(world, "abc")
    world.submit("x", planned("a"))
    world.finish(world.claim(), "abc")
    world.library.delete_dataset(digest("abc"))
    assert world.records.garbage(10) == ()
    world.records.delete_experiment("x")
    assert world.records.garbage(10) == (digest("abc"),)


def test_an_upload_of_bytes_that_are_being_deleted_waits_for_the_deletion(world: World) -> None:
    upload(world, "abc")
    world.library.delete_dataset(digest("abc"))
    with pytest.raises(Conflict, match="being deleted"):
        upload(world, "abc")
    assert world.records.garbage(10) == (digest("abc"),)
    with pytest.raises(Conflict):
        upload(world, "abc")
    world.records.collected([digest("abc")])
    upload(world, "abc")
    assert world.records.garbage(10) == ()


# What reads a data set ------------------------------------------------------------------------


def test_a_data_set_that_a_recorded_stage_reads_stays(world: World) -> None:
    upload(world, "abc")
    upload(world, "def")
    world.submit("x", reading("data", "abc", "def"))
    world.submit("y", reading("data", "abc", "def"), planned("more", {"data": "data"}))
    for content in ("abc", "def"):
        with pytest.raises(Conflict, match=r"Experiment '[xy]' reads"):
            world.library.delete_dataset(digest(content))
    world.finish(world.claim())
    world.records.cancel_experiment("y")
    world.records.delete_experiment("y")
    with pytest.raises(Conflict):
        world.library.delete_dataset(digest("abc"))
    world.records.delete_experiment("x")
    world.library.delete_dataset(digest("abc"))
    assert digest("abc") in world.records.garbage(10)


def test_an_experiment_on_a_data_set_that_is_gone_is_refused_whole(world: World) -> None:
    upload(world, "abc")
    world.library.delete_dataset(digest("abc"))
    with pytest.raises(UnknownName, match="no uploaded data set") as caught:
        world.submit("x", planned("a"), reading("data", "abc"))
    assert caught.value.hint is not None
    assert world.list().items == ()
    with pytest.raises(NotFound):
        world.records.stage(digest("data"))


def test_an_experiment_and_the_deletion_of_its_data_never_both_win(world: World) -> None:
    for turn in range(8):
        content = f"abc{turn}"
        upload(world, content)

        def submit(turn: int = turn, content: str = content) -> str:
            try:
                world.records.add_experiment(
                    f"x{turn}",
                    SPEC,
                    plan_of(reading(f"data{turn}", content)),
                    request_digest="d",
                )
            except UnknownName:
                return "refused"
            return "submitted"

        def remove(content: str = content) -> str:
            try:
                world.library.delete_dataset(digest(content))
            except Conflict:
                return "kept"
            return "deleted"

        assert at_once([submit, remove]) in (["submitted", "kept"], ["refused", "deleted"])


def test_a_data_set_that_a_task_reads_stays_until_the_task_is_deleted(world: World) -> None:
    upload(world, "abc")
    world.library.add_task("mine", {"form": "choice"}, datasets=frozenset({digest("abc")}))
    with pytest.raises(Conflict, match="'mine'"):
        world.library.delete_dataset(digest("abc"))
    world.library.delete_task("mine")
    world.library.delete_dataset(digest("abc"))


# Tasks ----------------------------------------------------------------------------------------


def test_a_task_is_its_definition_under_its_name(world: World) -> None:
    definition = {"prompt": "{{ q }}\u0000", "options": [1, 2.5, None, True], "é": {}}
    row, created = world.library.add_task("b", definition, datasets=frozenset())
    assert created and row.definition == definition and row.created_at == world.clock.now
    world.library.add_task("a", {}, datasets=frozenset())
    assert world.library.task("b") == row
    assert [task.name for task in world.library.tasks()] == ["a", "b"]
    world.library.delete_task("a")
    assert [task.name for task in world.library.tasks()] == ["b"]


def test_a_name_stands_for_one_definition(world: World) -> None:
    first = world.library.add_task("a", {"x": 1, "y": 2}, datasets=frozenset())
    assert world.library.add_task("a", {"y": 2, "x": 1}, datasets=frozenset()) == (first[0], False)
    for other in ({"x": 1}, {"x": True, "y": 2}):
        with pytest.raises(Conflict, match="another definition"):
            world.library.add_task("a", other, datasets=frozenset())


def test_a_task_of_an_unknown_upload_or_name_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="data set"):
        world.library.add_task("a", {}, datasets=frozenset({digest("gone")}))
    for ask in (world.library.task, world.library.delete_task):
        with pytest.raises(NotFound, match="task"):
            ask("a")


# The schema -----------------------------------------------------------------------------------


@pytest.fixture
def old(empty_url: str) -> Iterator[Engine]:
    """A database of the first schema."""
    engine = connect(empty_url)

    def first(connection: Connection) -> None:
        config = Config()
        folder = Path(sql.__file__).parent / "migrations"
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")

    touch(engine, first)
    yield engine
    engine.dispose()


def test_records_of_the_first_schema_are_kept_and_get_a_library(
    empty_url: str, old: Engine
) -> None:
    records, library = SqlRecords(old), SqlLibrary(old)
    with pytest.raises(Unavailable, match="Run the migrations"):
        library.tasks()
    row = {
        "id": "x",
        "name": "before",
        "state": "queued",
        "spec": SPEC.model_dump(mode="json"),
        "engine": "transformers",
        "engine_reason": "small",
        "notes": [],
        "created_at": 1.0,
        "request_digest": "d",
        "counts": {},
        "event_seq": 0,
    }
    touch(old, lambda connection: connection.execute(insert(experiments).values(row)))
    migrate(empty_url)
    kept = records.experiment("x")
    assert (kept.name, kept.spec, kept.created_at) == ("before", SPEC, 1.0)
    with pytest.raises(NotFound):
        records.audit("x")
    blob = BlobRef(digest=digest("abc"), size=3)
    library.add_dataset(blob, name="n", format="jsonl", rows=1, columns={})
    records.add_experiment("y", SPEC, plan_of(reading("data", "abc")), request_digest="d")
    with old.connect() as connection:
        assert connection.scalars(select(dataset_uses.c.digest)).all() == [digest("abc")]
        at = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    versions = Path(sql.__file__).parent / "migrations" / "versions"
    assert at == max(path.name.partition("_")[0] for path in versions.glob("*_*.py"))
