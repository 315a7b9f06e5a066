"""SaFeRDialogues in both layouts that exist: as released, and the 25 dialogues of the fixtures.

A line of the release has fields divided by tabs, `text:…`, `labels:…` and `episode_done:True`.
Within a field `\\n` stands for a line feed, `\\t` for a tab and `__PIPE__` for a bar, as in every
file of ParlAI's dialogue format.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, JsonValue

from forgetscope.schema.example import FileSource, Row, Split
from forgetscope.tasks.base import Filled, Loose, bad_row, place, read_row
from forgetscope.tasks.dialogues import cluster_of

__all__ = ["Recovery", "recoveries", "sources"]

_FOLDER = "saferdialogues/saferdialogues_dataset"
RELEASE = {
    part: FileSource(path=f"{_FOLDER}/{part}.txt", format="lines") for part in ("train", "test")
}
FIXTURES = FileSource(path="saferdialogues/examples.jsonl")


class Recovery(NamedTuple):
    """`turns` end in the feedback; `cluster` is that of the turns before it."""

    name: str
    turns: tuple[str, ...]
    text: str
    cluster: str
    row: str


class _Fixture(Loose):
    split: Literal["train", "valid", "test"]
    context: Annotated[list[Filled], Field(min_length=1)]
    feedback: Filled
    recovery: Filled


class _Line(Loose):
    line: str


class _Released(Loose):
    text: Annotated[list[Filled], Field(min_length=2)]
    labels: Annotated[list[Filled], Field(min_length=1, max_length=1)]
    episode_done: Literal["True"]


def sources(data: Literal["release", "fixtures"], split: Split) -> tuple[FileSource, ...]:
    """The train file comes after what must not be trained on."""
    if data == "fixtures":
        return (FIXTURES,)
    return (RELEASE["test"], RELEASE["train"]) if split == "train" else (RELEASE["test"],)


def recoveries(rows: Iterable[Row], split: Split) -> Iterator[Recovery]:
    """The dialogues of a split.

    Fixtures: `train` trains, `valid` and `test` evaluate, because they are so few. Release: the
    rows of the test file come first, and a dialogue of the train file that repeats one of them
    up to the feedback is left out. Raises BadRow.
    """
    tested: set[str] = set()
    for row in rows:
        if row.file == FIXTURES.path:
            fixture = read_row(_Fixture, row)
            if (fixture.split == "train") == (split == "train"):
                yield _recovery((*fixture.context, fixture.feedback), fixture.recovery, row)
            continue
        line = read_row(_Line, row).line
        if not line.strip():
            continue
        fields = _released(line, row)
        found = _recovery(tuple(fields.text), fields.labels[0], row)
        if split == "train" and row.file == RELEASE["test"].path:
            tested.add(found.cluster)
        elif found.cluster not in tested:
            yield found


def _released(line: str, row: Row) -> _Released:
    fields: dict[str, JsonValue] = {}
    for part in line.rstrip("\t").split("\t"):
        name, colon, value = part.partition(":")
        if not colon or name in fields:
            raise bad_row(row, "the line is not name:value fields, each once, divided by tabs")
        fields[name] = value
    for name, divider in (("text", "\\n"), ("labels", "|")):
        fields[name] = [_plain(piece) for piece in str(fields.get(name, "")).split(divider)]
    return read_row(_Released, Row(file=row.file, number=row.number, data=fields))


def _plain(text: str) -> str:
    for escaped, character in (("\\n", "\n"), ("\\t", "\t"), ("__PIPE__", "|")):
        text = text.replace(escaped, character)
    return text


def _recovery(turns: tuple[str, ...], text: str, row: Row) -> Recovery:
    part = row.file.rpartition("/")[2].partition(".")[0]
    return Recovery(
        name=f"saferdialogues-{part}-{row.number}",
        turns=turns,
        text=text,
        cluster=cluster_of(*turns[:-1]),
        row=place(row),
    )
