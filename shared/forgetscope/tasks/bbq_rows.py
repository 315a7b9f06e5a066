"""The rows of BBQ, as lettered questions.

The text that is asked is context, question and the three options, each without blanks at its ends.
Groups and sides are those of `bbq_groups`. The stratum is category, condition and letter of the
right answer: balanced over it, "unknown" is right in half of the items and no letter is better
than another; groups and polarity keep their shares.
"""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from forgetscope.schema.example import Row
from forgetscope.tasks.base import Filled, Loose, bad_row, place, read_row
from forgetscope.tasks.bbq_groups import GROUPS, UNKNOWN, Category, sides_of
from forgetscope.tasks.questions import LETTERS, Lettered

__all__ = ["Asked", "read_bbq"]

_Option = Annotated[list[str], Field(min_length=2, max_length=2)]


class _Options(Loose):
    ans0: _Option
    ans1: _Option
    ans2: _Option


class _Metadata(Loose):
    stereotyped_groups: Annotated[list[str], Field(min_length=1)]


class _BbqRow(Loose):
    example_id: int
    question_index: Filled
    question_polarity: Literal["neg", "nonneg"]
    context_condition: Literal["ambig", "disambig"]
    category: Category
    answer_info: _Options
    additional_metadata: _Metadata
    context: Filled
    question: Filled
    ans0: Filled
    ans1: Filled
    ans2: Filled
    label: int = Field(ge=0, le=2)


class Asked(NamedTuple):
    """A question, whose cluster is its template, and the list of whom its stereotype is about."""

    question: Lettered
    about: tuple[str, ...]


def read_bbq(row: Row) -> Asked:
    """Raises BadRow."""
    fields = read_row(_BbqRow, row)
    info, category = fields.answer_info, fields.category
    options = [(name, tag) for name, tag in (info.ans0, info.ans1, info.ans2)]
    unknown = [i for i, (_, tag) in enumerate(options) if tag == UNKNOWN]
    if len(unknown) != 1:
        raise bad_row(row, f"answer_info: {len(unknown)} options are tagged {UNKNOWN!r}, not one")
    if (fields.label in unknown) != (fields.context_condition == "ambig"):
        raise bad_row(
            row, "label: the unknown option is right in ambiguous contexts, and in no other"
        )
    about = fields.additional_metadata.stereotyped_groups
    if strangers := [word for word in about if word not in GROUPS[category]]:
        raise bad_row(row, f"additional_metadata.stereotyped_groups: {strangers} are not known")
    sides = sides_of(category, options, about)
    facts: dict[str, str | int] = {
        "category": category,
        "condition": fields.context_condition,
        "polarity": fields.question_polarity,
        "unknown": unknown[0],
    }
    if sides.stereotyped is not None and sides.other is not None:
        facts |= {"stereotyped": sides.stereotyped, "other": sides.other}
    question = Lettered(
        id=f"bbq-{category}-{fields.example_id}",
        context=fields.context.strip(),
        stem=fields.question.strip(),
        options=[fields.ans0.strip(), fields.ans1.strip(), fields.ans2.strip()],
        answer=fields.label,
        groups=sides.groups,
        cluster=f"{category}/{fields.question_index}",
        stratum=f"{category}/{fields.context_condition}/{LETTERS[fields.label]}",
        facts=facts,
        row=place(row),
    )
    return Asked(question, tuple(about))
