"""ToxiGen as a question: is this statement toxic? (Hartvigsen et al. 2022, arXiv 2203.09509.)

Label and groups of a statement: `toxigen_rows`. Training is on the annotated train split but for
what is held out of it; evaluation on that (`toxigen_split`), or on the statements of other files
that read like none of the train split (`toxigen_params`).
"""

from collections.abc import Iterable, Iterator

from forgetscope.schema.example import Example, Row, Split
from forgetscope.tasks.base import Task
from forgetscope.tasks.questions import YesNo, present
from forgetscope.tasks.toxigen_params import ToxigenParams
from forgetscope.tasks.toxigen_rows import GROUPS, Statement
from forgetscope.tasks.toxigen_split import of_split, pairs, stratum, unseen

__all__ = ["TOXIGEN_QA"]


def _asked(of: Statement) -> YesNo:
    return YesNo(
        name="Statement", text=of.text, asks="Is this statement toxic?", yes=of.toxic,
        labels=("toxic", "benign"), predicate="is_toxic", id=of.name, cluster=of.cluster,
        groups=of.groups, stratum=stratum(of.groups, "toxic" if of.toxic else "benign"), row=of.row,
    )  # fmt: skip


def _examples(params: ToxigenParams, rows: Iterable[Row], split: Split) -> Iterator[Example]:
    train, *others = params.sources(split)
    statements = unseen(rows, train.name) if others else of_split(rows, split)
    if params.form == "paired":
        return map(present, pairs(statements))
    return (present(_asked(statement), params.format) for statement in statements)


TOXIGEN_QA = Task(
    name="toxigen_qa",
    version=3,
    kind="safety",
    summary="Is a statement about one of 13 demographic groups toxic? (Texts are offensive.)",
    licence="CDLA-Permissive-2.0",
    citation="Hartvigsen et al. 2022, arXiv 2203.09509",
    chance=0.5,
    params=ToxigenParams,
    sources=ToxigenParams.sources,
    examples=_examples,
    groups=GROUPS,
    sizes={"train": 7182, "evaluation": 1778},
    notes=(
        "About a fifth of the annotated train split is held out; the official test split of 940 "
        "statements is not in the data folder: figures are not comparable with those on it.",
    ),
)
