"""The data of a task, as the planner and the stage see it."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from forgetscope.app.prepare import FactsMemory, data_facts, prepare_data
from forgetscope.ports.stage import Machine, Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import DataChanged, NotEnoughExamples, UnknownName
from forgetscope.schema.example import Example, FileSource, Row
from forgetscope.schema.experiment import TaskUse


class ListedRows:
    """Ten ARC questions per file; `fingerprint` is what the test says."""

    def __init__(self, fingerprint: str = "f" * 64) -> None:
        self._fingerprint = fingerprint

    def fingerprint(self, sources: tuple[FileSource, ...]) -> str:
        assert len(sources) == len(set(sources)) == 2
        return self._fingerprint

    def read(self, source: FileSource) -> Iterator[Row]:
        choices = [{"text": "one", "label": "A"}, {"text": "two", "label": "B"}]
        for number in range(1, 11):
            name = f"{source.path}-{number}"
            stem = f"How many {source.path[13:15]}{number:02}?"  # as long in both files
            question = {"stem": stem, "choices": choices}
            data: JsonObject = {"id": name, "question": question, "answerKey": "B"}  # type: ignore[dict-item]
            yield Row(file=source.path, number=number, data=data)


class Folder(NamedTuple):
    output: Path
    machine: Machine = Machine()


def use(train: int = 4, **params: object) -> TaskUse:
    return TaskUse.model_validate(
        {"id": "q", "name": "arc", "params": {"subset": "easy", **params}, "train_examples": train}
    )


def work(facts_of: ListedRows, **change: object) -> Work:
    facts = data_facts(use(), facts_of, where="/tasks/0")
    params = {
        "task": "arc",
        "version": facts.version,
        "params": facts.params,
        "fingerprint": facts.fingerprint,
        "examples": facts.examples["train"],
        "split": "train",
        "n": 4,
        "seed": 0,
        "balance": "classes",
    }
    return Work("0" * 64, "prepare_data", {**params, **change}, {}, 0)  # type: ignore[dict-item]


def test_facts_hold_the_whole_parameters_and_the_size_of_evaluation() -> None:
    facts = data_facts(use(), ListedRows(), where="/tasks/0")
    assert facts.params == {"subset": "easy", "evaluate_on": "test", "format": "qa", "hub": None}
    assert facts.fingerprint == "f" * 64
    assert facts.evaluation_examples == 10
    prompt = "Question: How many Te01?\nA. one\nB. two\nAnswer:"
    assert facts.tokens_per_example == len(prompt + " B") / 4


def test_more_examples_than_there_are_is_known_before_anything_runs() -> None:
    with pytest.raises(NotEnoughExamples) as caught:
        data_facts(use(train=11), ListedRows(), where="/tasks/0")
    assert caught.value.where == "/tasks/0/train_examples"


def test_an_unknown_task_is_pointed_to() -> None:
    with pytest.raises(UnknownName) as caught:
        data_facts(TaskUse(id="q", name="arcc"), ListedRows(), where="/tasks/3")
    assert caught.value.where == "/tasks/3/name"


def test_a_generated_task_is_identified_by_what_generates_it() -> None:
    def fingerprint(**params: object) -> str:
        spec = {"id": "s", "name": "synthetic_safety", "params": params, "train_examples": 8}
        return data_facts(TaskUse.model_validate(spec), ListedRows(), where="/t").fingerprint

    assert fingerprint() == fingerprint(world={})
    assert fingerprint() != fingerprint(world={"seed": 1})


def test_the_stage_writes_the_examples_that_were_planned(tmp_path: Path) -> None:
    meta = prepare_data(work(ListedRows()), Folder(tmp_path), rows=ListedRows())  # type: ignore[arg-type]
    lines = (tmp_path / "examples.jsonl").read_text().splitlines()
    examples = [Example.model_validate_json(line) for line in lines]
    assert len({e.id for e in examples}) == 4
    assert all("Train" in e.id for e in examples)
    assert meta == {"examples": 4, "groups": {}, "clusters": 4}


def test_the_stage_refuses_data_that_changed_since(tmp_path: Path) -> None:
    with pytest.raises(DataChanged, match="'arc' is not what was planned"):
        prepare_data(work(ListedRows()), Folder(tmp_path), rows=ListedRows("e" * 64))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_the_stage_refuses_sources_that_now_give_other_examples(tmp_path: Path) -> None:
    """As when a rule of the task changed and its version did not."""
    with pytest.raises(DataChanged, match="'arc' is not what was planned"):
        prepare_data(work(ListedRows(), examples="0" * 64), Folder(tmp_path), rows=ListedRows())  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_the_stage_refuses_another_version_of_the_task(tmp_path: Path) -> None:
    with pytest.raises(DataChanged):
        prepare_data(work(ListedRows(), version=0), Folder(tmp_path), rows=ListedRows())  # type: ignore[arg-type]


class CountedRows(ListedRows):
    """Counts how often a file is read."""

    def __init__(self, fingerprint: str = "f" * 64) -> None:
        super().__init__(fingerprint)
        self.reads = 0

    def read(self, source: FileSource) -> Iterator[Row]:
        self.reads += 1
        return super().read(source)


def test_the_same_bytes_are_read_once_and_other_bytes_or_sizes_again() -> None:
    memory, rows = FactsMemory(), CountedRows()
    first = memory.facts(use(), rows, where="/tasks/0")
    reads = rows.reads
    assert memory.facts(use(), rows, where="/tasks/7") == first
    assert rows.reads == reads
    memory.facts(use(train=5), rows, where="/tasks/0")
    assert rows.reads == 2 * reads
    changed = CountedRows("e" * 64)
    assert memory.facts(use(), changed, where="/tasks/0").fingerprint == "e" * 64
    assert changed.reads == reads


def test_a_memory_forgets_what_was_not_asked_for_longest() -> None:
    memory, rows = FactsMemory(size=1), CountedRows()
    for size in (4, 5, 4):
        memory.facts(use(train=size), rows, where="/tasks/0")
    assert rows.reads == 3 * 2
