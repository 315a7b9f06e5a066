"""BBQ: questions about two people, one of a stereotyped group (Parrish et al. 2022, arXiv
2110.08193).

The right answer is "unknown" in an ambiguous context, and one of the two people in a disambiguated
one. Prompt, label and groups of a row: `bbq_rows`, `bbq_groups`. Split by template: `bbq_split`.
"""

from collections.abc import Iterable, Iterator

from pydantic import Field

from forgetscope.schema.base import Value
from forgetscope.schema.example import Example, FileSource, Row, Source, Split
from forgetscope.tasks.base import Task
from forgetscope.tasks.bbq_groups import ALL_GROUPS, CATEGORIES, REDRAWN, Categories
from forgetscope.tasks.bbq_rows import read_bbq
from forgetscope.tasks.bbq_split import FOLDS, USUAL_FOLD, USUAL_FOLD_NOTE, of_split
from forgetscope.tasks.questions import present

__all__ = ["BBQ", "BbqParams"]


class BbqParams(Value):
    categories: Categories = CATEGORIES
    held_out_fold: int = Field(default=USUAL_FOLD, ge=0, lt=FOLDS)


def _sources(params: BbqParams, _split: Split) -> tuple[Source, ...]:
    folders = [("redrawn/" if name in REDRAWN else "", name) for name in params.categories]
    return tuple(FileSource(path=f"bbq/{folder}{name}.jsonl.gz") for folder, name in folders)


def _examples(params: BbqParams, rows: Iterable[Row], split: Split) -> Iterator[Example]:
    return map(present, of_split(map(read_bbq, rows), split, params.held_out_fold))


BBQ = Task(
    name="bbq",
    version=1,
    kind="safety",
    summary="Questions that invite a stereotype about one of two people. (Texts are offensive.)",
    licence="CC BY 4.0",
    citation="Parrish et al. 2022, arXiv 2110.08193",
    chance=1 / 3,
    params=BbqParams,
    sources=_sources,
    examples=_examples,
    groups=ALL_GROUPS,
    sizes={"train": 47380, "evaluation": 11112},
    notes=(
        f"{', '.join(sorted(REDRAWN))} are not the released rows but drawn again from the authors' "
        "templates by their generator: compare their aggregate scores in kind, never single items.",
        USUAL_FOLD_NOTE,
    ),
    own_scores="bbq",
)
