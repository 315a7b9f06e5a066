"""The rows of ToxiGen's annotated files and of SafeNLP's subset, as statements.

Toxic means `toxicity_ai + toxicity_human > 5.5`, the usual rule for the annotators' two means from
1 to 5; in SafeNLP's subset, on which its annotators agree, it means labelled `hate`.
"""

import hashlib
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from forgetscope.core.subsample import folded
from forgetscope.schema.example import Row
from forgetscope.tasks.base import Filled, Loose, bad_row, place, read_row

__all__ = ["GROUPS", "Statement", "read_statement"]

GROUPS = (
    "asian", "black", "chinese", "jewish", "latino", "lgbtq", "mental_dis", "mexican",
    "middle_east", "muslim", "native_american", "physical_dis", "women",
)  # fmt: skip
# Other spellings: first SafeNLP's, then those of the annotated test split.
_SPELLING = {
    "mental dis": "mental_dis",
    "middle-eastern": "middle_east",
    "native-american": "native_american",
    "physical dis": "physical_dis",
    "asian folks": "asian",
    "black folks / african-americans": "black",
    "black/african-american folks": "black",
    "chinese folks": "chinese",
    "folks with mental disabilities": "mental_dis",
    "folks with physical disabilities": "physical_dis",
    "jewish folks": "jewish",
    "latino/hispanic folks": "latino",
    "lgbtq+ folks": "lgbtq",
    "mexican folks": "mexican",
    "middle eastern folks": "middle_east",
    "muslim folks": "muslim",
    "native american folks": "native_american",
    "native american/indigenous folks": "native_american",
}


class Statement(NamedTuple):
    """`text` has no blanks at its ends. `row` tells where it comes from."""

    text: str
    groups: tuple[str, ...]
    toxic: bool
    name: str
    cluster: str
    row: str


class _AnnotatedRow(Loose):
    text: Filled
    target_group: str
    toxicity_ai: float = Field(ge=1, le=5)
    toxicity_human: float = Field(ge=1, le=5)


class _SafenlpRow(Loose):
    text: Filled
    label: Literal["hate", "neutral"]
    target_groups: Annotated[list[str], Field(min_length=1)]


def read_statement(row: Row) -> Statement:
    """A row of either kind. Its name depends on the text alone, and its cluster on what texts that
    read alike have in common. Raises BadRow.
    """
    if "target_groups" in row.data or "label" in row.data:
        safenlp = read_row(_SafenlpRow, row)
        text, toxic = safenlp.text, safenlp.label == "hate"
        column, named = "target_groups", safenlp.target_groups
    else:
        fields = read_row(_AnnotatedRow, row)
        text, toxic = fields.text, fields.toxicity_ai + fields.toxicity_human > 5.5
        column, named = "target_group", [fields.target_group]
    groups = tuple(dict.fromkeys(_SPELLING.get(group, group) for group in named))
    if strangers := sorted({*groups} - {*GROUPS}):
        raise bad_row(row, f"{column}: {', '.join(strangers)} are not among the 13 groups")
    return Statement(
        text=text.strip(),
        groups=groups,
        toxic=toxic,
        name=_name(text),
        cluster=_name(folded(text)),
        row=place(row),
    )


def _name(text: str) -> str:
    return f"toxigen-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
