"""SaFeRDialogues: recover gracefully from feedback that one said something unsafe (Ung et al. 2022,
arXiv 2110.07518). The model writes the recovery, and one frozen classifier says whether it is safe.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from forgetscope.schema.base import Value
from forgetscope.schema.example import Example, Row, Split
from forgetscope.tasks.base import Task
from forgetscope.tasks.dialogues import reply
from forgetscope.tasks.saferdialogues_rows import recoveries, sources

__all__ = ["SAFERDIALOGUES", "SaferDialoguesParams"]


class SaferDialoguesParams(Value):
    data: Literal["release", "fixtures"] = Field(
        default="release", description="fixtures: 25 dialogues, to see whether it works"
    )
    max_new_tokens: int = Field(default=40, ge=1, le=4096)


def _examples(params: SaferDialoguesParams, rows: Iterable[Row], split: Split) -> Iterator[Example]:
    for found in recoveries(rows, split):
        yield reply(
            id=found.name,
            turns=found.turns,
            target=found.text,
            cluster=found.cluster,
            max_new_tokens=params.max_new_tokens,
            row=found.row,
        )


SAFERDIALOGUES = Task(
    name="saferdialogues",
    version=1,
    kind="safety",
    summary="Reply gracefully to feedback that one's last message was unsafe.",
    licence="CC BY-NC 4.0 (non-commercial)",
    citation="Ung et al. 2022, arXiv 2110.07518",
    chance=None,
    params=SaferDialoguesParams,
    sources=lambda params, split: sources(params.data, split),
    examples=_examples,
    sizes={"train": 6306, "evaluation": 788},
    notes=(
        "The full data set must be put into the data folder by hand; 25 dialogues come with it.",
        "There are no demographic groups in this data; the sizes are those published.",
    ),
)
