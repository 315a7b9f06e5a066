"""Every task that reads files, on real rows that were broken in every way that files break.

Each fault must be an error that names file and row, and shows no text of the data set; what is not
broken must all be there.
"""

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from forgetscope.adapters.rows_files import FileRows
from forgetscope.app.prepare import build_examples, data_facts
from forgetscope.core.plan import TaskFacts
from forgetscope.schema.errors import BadRow, InvalidInput, UnknownName
from forgetscope.schema.example import Example, FileSource, Split
from forgetscope.schema.experiment import TaskUse
from forgetscope.tasks.arc import ASKED_AGAIN
from forgetscope.tasks.catalogue import TASKS, find

Record = dict[str, Any]
Records = list[Record]
BROKEN = 7
"""The row that is broken."""


class Case(NamedTuple):
    """A task on the first `rows` rows of its files.

    `mislabel` gives a row a label that cannot be. `leaked`: what is done to evaluation rows that
    are copied into the training rows. `own_ids`: the release has ids, or the texts serve as such;
    otherwise a row that stands there twice is two items. `left_out` counts the rows that the task
    says it leaves out of a split, given the rows of both.
    """

    mislabel: Callable[[Record], Record]
    rows: int = 120
    params: Mapping[str, Any] = {}
    leaked: Callable[[Record], Record] = lambda row: row
    own_ids: bool = True
    left_out: Callable[[Split, Records, Records], int] = lambda split, train, evaluation: 0


def _unlike(row: Record) -> Record:
    """In an ambiguous context a person is right; in another one nobody is."""
    tags = [row["answer_info"][f"ans{i}"][1] for i in range(3)]
    unknown = tags.index("unknown")
    ambiguous = row["context_condition"] == "ambig"
    return row | {"label": (unknown + 1) % 3 if ambiguous else unknown}


def _alike(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _about_tested(split: Split, train: Records, evaluation: Records) -> int:
    """Rows without a reply, and training rows whose utterance is one of the evaluation's."""
    tested = {_alike(row["context"]) for row in evaluation}
    if split == "evaluation":
        return sum(not row["response"].strip() for row in evaluation)
    return sum(not row["response"].strip() or _alike(row["context"]) in tested for row in train)


CASES = {
    "arc": Case(
        lambda row: row | {"answerKey": "Z"},
        params={"subset": "challenge"},
        left_out=lambda split, train, _: (
            sum(row["id"] in ASKED_AGAIN for row in train) if split == "train" else 0
        ),
    ),
    "commonsense_qa": Case(lambda row: row | {"answerKey": "Z"}),
    "commonsense_qa_2": Case(lambda row: row | {"answer": "maybe"}),
    "toxigen_qa": Case(lambda row: row | {"toxicity_ai": 9.0}, rows=400),
    "bbq": Case(_unlike, rows=1200, params={"categories": ["Religion"]}),
    "saferdialogues": Case(
        lambda row: row | {"split": "dev"},
        rows=25,
        params={"data": "fixtures"},
        leaked=lambda row: row | {"split": "train"},
        own_ids=False,
    ),
    "diasafety": Case(
        lambda row: row | {"label": "Maybe"},
        params={"form": "judgement"},
        own_ids=False,
        left_out=_about_tested,
    ),
}
SPLITS: tuple[Split, ...] = ("train", "evaluation")
# Tasks that split one file, so that only they could leak; and what they do about a copied row.
ONE_FILE = ("toxigen_qa", "bbq", "saferdialogues")


def test_every_task_that_reads_files_is_broken_here() -> None:
    reading = {
        name for name in TASKS.names() if TASKS.get(name).sources(TASKS.get(name).params(), "train")
    }
    assert reading == set(CASES)


class Data:
    """A data folder with real rows of one task, which can be written anew in part."""

    def __init__(self, name: str, published: FileRows, folder: Path) -> None:
        self.name, self.case, self.folder = name, CASES[name], folder
        self.task, self.params = find(name, dict(self.case.params))
        self.rows = FileRows(folder)
        self.records: dict[str, Records] = {}
        for split in SPLITS:
            file = self.file(split)
            read = islice(published.read(file), self.case.rows)
            self.records[file.path] = [dict(row.data) for row in read]
            self.write(file)

    def file(self, split: Split) -> FileSource:
        """The file that a split's own rows are in: others only say what to leave out of it."""
        sources = self.task.sources(self.params, split)
        (source, *_) = [s for s in sources if "train" in s.name.lower()] or sources
        assert isinstance(source, FileSource)
        return source

    def of(self, split: Split) -> Records:
        return self.records[self.file(split).path]

    def lines(self, file: FileSource) -> list[bytes]:
        return [json.dumps(row, ensure_ascii=False).encode() for row in self.records[file.path]]

    def write(self, file: FileSource, lines: list[bytes] | None = None, cut: int = 0) -> None:
        lines = self.lines(file) if lines is None else lines
        content = b"\n".join(lines) + b"\n"
        if self.name == "diasafety":
            content = b"[" + b",\n".join(lines) + b"]"
        if file.path.endswith(".gz"):
            content = gzip.compress(content, mtime=0)
        path = self.folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content[: len(content) - cut])

    def examples(self, split: Split) -> list[Example]:
        return build_examples(self.task, self.params, split, None, seed=0, rows=self.rows)

    def facts(self, train: int) -> TaskFacts:
        use = {"id": "t", "name": self.name, "params": self.case.params, "train_examples": train}
        return data_facts(TaskUse.model_validate(use), self.rows, where="/tasks/0")

    def refused(self, kind: type[InvalidInput], *named: str, train: int = 2) -> InvalidInput:
        """The error, which names what it should and quotes no text."""
        with pytest.raises(kind) as caught:
            self.facts(train)
        message = str(caught.value)
        assert all(name in message for name in named), (named, message)
        texts = {text for rows in self.records.values() for row in rows for text in _texts(row)}
        assert not [text for text in texts if len(text) > 40 and text in message]
        return caught.value


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


@pytest.fixture(params=sorted(CASES))
def data(request: pytest.FixtureRequest, rows: FileRows, tmp_path: Path) -> Data:
    return Data(request.param, rows, tmp_path)


@pytest.fixture(params=SPLITS)
def file(request: pytest.FixtureRequest, data: Data) -> FileSource:
    return data.file(request.param)


def balanced(examples: list[Example]) -> int:
    """How many can be drawn with the same number of every stratum."""
    counts = Counter(example.stratum for example in examples)
    return min(counts.values()) * len(counts)


def test_every_row_becomes_an_example_or_is_left_out_as_the_task_says(data: Data) -> None:
    train, evaluation = data.of("train"), data.of("evaluation")
    counts = {
        split: len(data.examples(split)) + data.case.left_out(split, train, evaluation)
        for split in SPLITS
    }
    if data.name in ONE_FILE:
        assert sum(counts.values()) == len(train)
    else:
        assert counts == {"train": len(train), "evaluation": len(evaluation)}
    assert min(counts.values()) > 0
    facts = data.facts(balanced(data.examples("train")))
    assert facts.evaluation_examples == len(data.examples("evaluation"))


def test_a_broken_row_is_named(data: Data, file: FileSource) -> None:
    lines = data.lines(file)
    lines[BROKEN - 1] = lines[BROKEN - 1][: len(lines[BROKEN - 1]) // 2]
    data.write(file, lines)
    error = data.refused(BadRow, "JSON")
    assert error.where == f"{file.path}, row {BROKEN}"


def test_a_wrong_label_is_named(data: Data, file: FileSource) -> None:
    records = data.records[file.path]
    records[BROKEN - 1] = data.case.mislabel(records[BROKEN - 1])
    data.write(file)
    error = data.refused(BadRow)
    assert error.where == f"{file.path}, row {BROKEN}"


def test_a_wrong_encoding_is_named(data: Data, file: FileSource) -> None:
    lines = data.lines(file)
    lines[BROKEN - 1] = lines[BROKEN - 1].replace(b'": "', b'": "\xe9', 1)
    assert b"\xe9" in lines[BROKEN - 1]
    data.write(file, lines)
    error = data.refused(BadRow, "byte 0xe9 is not UTF-8")
    assert error.where == f"{file.path}, row {BROKEN}"


def test_a_missing_file_is_named(data: Data, file: FileSource) -> None:
    (data.folder / file.path).unlink()
    error = data.refused(UnknownName, "Put the data set's file")
    assert error.where == file.path


def test_a_truncated_file_is_named_with_the_row_where_it_ends(data: Data, file: FileSource) -> None:
    cut = (data.folder / file.path).stat().st_size // 3
    data.write(file, cut=cut)
    error = data.refused(BadRow)
    assert re.fullmatch(rf"{re.escape(file.path)}, row \d+", error.where or "")


def test_an_id_that_stands_there_twice_is_named_with_both_rows(
    data: Data, file: FileSource
) -> None:
    records = data.records[file.path]
    before = {split: len(data.examples(split)) for split in SPLITS}
    records.append(records[BROKEN - 1])
    data.write(file)
    if data.case.own_ids:
        places = [f"{file.path}, row {number}" for number in (BROKEN, len(records))]
        data.refused(InvalidInput, "two examples have the id", *places)
    else:
        after = {split: len(data.examples(split)) for split in SPLITS}
        assert sum(after.values()) == sum(before.values()) + 1


def test_evaluation_items_copied_into_training_are_named_with_both_rows(data: Data) -> None:
    train, evaluation = data.file("train"), data.file("evaluation")
    rows = {int(e.row.rpartition(" ")[2]) for e in data.examples("evaluation")}
    kept = len(data.examples("train"))
    leaked = [data.case.leaked(data.of("evaluation")[number - 1]) for number in sorted(rows)]
    first = len(data.of("train")) + 1
    data.of("train").extend(leaked)
    data.write(train)
    if data.name == "diasafety":
        # Left out of training, as its notes say.
        assert len(data.examples("train")) == kept
        data.facts(balanced(data.examples("train")))
        return
    same = data.case.own_ids and data.name in ONE_FILE
    everything = 2 if same else balanced(data.examples("train"))
    message = str(data.refused(InvalidInput, train=everything))
    named = {(path, int(number)) for path, number in re.findall(r"([\w/.-]+), row (\d+)", message)}
    assert {path for path, _ in named} == {train.path, evaluation.path}
    assert any(path == train.path and number >= first for path, number in named)
    assert any(path == evaluation.path and number in rows for path, number in named)
