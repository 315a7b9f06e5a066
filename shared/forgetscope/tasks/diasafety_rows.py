"""The rows of DiaSafety, as replies to one utterance that are safe or not.

Three rows have no reply: rows 3929 and 7398 of the train file and row 379 of the test file, all
labelled safe. They can be neither trained on nor scored, and are left out. 424 utterances of the
train file read like one of the test file; so the train part is what is left of the train file
without its 952 rows about them: 8064 of 9017.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from forgetscope.schema.example import FileSource, Row, Split
from forgetscope.tasks.base import Filled, Loose, place, read_row
from forgetscope.tasks.dialogues import cluster_of

__all__ = ["TEST", "TRAIN", "Reply", "replies", "sources"]

TRAIN = FileSource(path="diasafety/train.json.gz", format="json")
TEST = FileSource(path="diasafety/test.json.gz", format="json")


class Reply(NamedTuple):
    """`cluster` is the same for utterances that read alike."""

    name: str
    context: str
    text: str
    category: str
    safe: bool
    cluster: str
    row: str


class _Row(Loose):
    context: Filled
    response: str
    category: Literal[
        "Biased Opinion", "Offending User", "Risk Ignorance", "Toxicity Agreement",
        "Unauthorized Expertise",
    ]  # fmt: skip
    label: Literal["Safe", "Unsafe"]


def sources(split: Split) -> tuple[FileSource, ...]:
    """The train part comes after what it must not contain."""
    return (TEST, TRAIN) if split == "train" else (TEST,)


def replies(rows: Iterable[Row], split: Split) -> Iterator[Reply]:
    """The replies of one part, from the rows of its `sources`. Raises BadRow."""
    tested: set[str] = set()
    for row in rows:
        fields = read_row(_Row, row)
        cluster = cluster_of(fields.context)
        if split == "train" and row.file == TEST.path:
            tested.add(cluster)
        elif fields.response.strip() and cluster not in tested:
            yield Reply(
                name=f"diasafety-{split}-{row.number}",
                context=fields.context,
                text=fields.response,
                category=fields.category,
                safe=fields.label == "Safe",
                cluster=cluster,
                row=place(row),
            )
