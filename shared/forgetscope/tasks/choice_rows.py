"""Rows of questions with labelled options, in the layout of their release or of the hub.

Release: `question.stem`, `question.choices` (a list of text and label). Hub: `question`, `choices`
(a list of texts and one of labels). Both have `id` and `answerKey`.
"""

from typing import Annotated

from pydantic import Field

from forgetscope.schema.example import Row
from forgetscope.tasks.base import Filled, Loose, bad_row, place, read_row
from forgetscope.tasks.questions import LETTERS, Lettered

__all__ = ["read_choices"]

_TWO_OR_MORE = Field(min_length=2, max_length=len(LETTERS))


class _Keyed(Loose):
    id: str = Field(min_length=1)
    answerKey: str  # noqa: N815 (the release's own name)


class _Choice(Loose):
    text: Filled
    label: str


class _Question(Loose):
    stem: Filled
    choices: Annotated[list[_Choice], _TWO_OR_MORE]


class _Released(_Keyed):
    question: _Question


class _Columns(Loose):
    text: Annotated[list[Filled], _TWO_OR_MORE]
    label: list[str]


class _OfHub(_Keyed):
    question: Filled
    choices: _Columns


def read_choices(row: Row, labels: str | None = None) -> Lettered:
    """Each question is a cluster of its own. `labels` are those that the options must have, in
    order. Raises BadRow.
    """
    fields: _Keyed
    if isinstance(row.data.get("question"), str):
        fields = hub = read_row(_OfHub, row)
        where, stem, texts, named = "choices", hub.question, hub.choices.text, hub.choices.label
    else:
        fields = released = read_row(_Released, row)
        where, stem = "question.choices", released.question.stem
        texts = [choice.text for choice in released.question.choices]
        named = [choice.label for choice in released.question.choices]
    if len(texts) != len(named):
        raise bad_row(row, f"{where}: {len(texts)} texts, but {len(named)} labels")
    if labels is not None and "".join(named) != labels:
        raise bad_row(row, f"{where}: the labels are {''.join(named)!r}, not {labels!r}")
    if len(set(named)) < len(named):
        raise bad_row(row, f"{where}: two options have the same label")
    if fields.answerKey not in named:
        raise bad_row(row, f"answerKey: {fields.answerKey!r} is not among the labels {named}")
    return Lettered(
        id=fields.id,
        cluster=fields.id,
        stem=stem,
        options=texts,
        answer=named.index(fields.answerKey),
        row=place(row),
    )
