"""Which templates of BBQ are for evaluation: there is no official split.

Templates of a category that share a question are held out together, about a fifth of them: they
are put in order by whom they are about, by hash among those about the same, and dealt in turn to
five folds, one of which is for evaluation. The usual one is the fold with most templates about the
seven groups that ToxiGen has as well, all of them among it: some groups have too few templates to
be in every fold. Categories are split apart from each other, so that choosing among them changes
no split; two questions of Race_ethnicity thereby stand in Race_x_gender's other split.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from forgetscope.core.subsample import rank
from forgetscope.schema.example import Split
from forgetscope.tasks.bbq_rows import Asked
from forgetscope.tasks.questions import Lettered

__all__ = ["FOLDS", "USUAL_FOLD", "USUAL_FOLD_NOTE", "of_split"]

FOLDS = 5
USUAL_FOLD = 3
USUAL_FOLD_NOTE = (
    "In evaluation by default only asian (5 templates), black (11), latino (7), low_ses (5), "
    "middle_east (5) and women (6) have the 5 templates that a verdict on a group needs. 26 other "
    "groups have 1 to 4, among them muslim (2), jewish (1) and native_american (1); 14 have none. "
    "The other folds of held_out_fold hold out other templates."
)


def of_split(items: Iterable[Asked], split: Split, fold: int) -> Iterator[Lettered]:
    """The questions of a split, in their order; items of a category stand together."""
    for _, of_category in groupby(items, key=lambda item: item.question.facts["category"]):
        asked = list(of_category)
        questions: dict[tuple[str, str], tuple[str, ...]] = {}
        for question, about in asked:
            questions.setdefault((question.cluster, question.stem), about)
        held_out = _held_out(questions, fold)
        for question, _about in asked:
            if (question.cluster in held_out) == (split == "evaluation"):
                yield question


def _held_out(questions: Mapping[tuple[str, str], tuple[str, ...]], fold: int) -> frozenset[str]:
    """The templates of one category that are for evaluation.

    `questions` maps each (template, question) to whom it is about.
    """
    bundle_of: dict[str, frozenset[str]] = {}
    about: dict[str, tuple[str, ...]] = {}
    first_asker: dict[str, str] = {}
    for (template, question), groups in questions.items():
        about.setdefault(template, groups)
        asker = first_asker.setdefault(question, template)
        joined = bundle_of.get(template, frozenset({template})) | bundle_of.get(asker, frozenset())
        bundle_of.update(dict.fromkeys(joined, joined))
    firsts = {min(bundle) for bundle in bundle_of.values()}
    order = sorted(firsts, key=lambda first: (about[first], rank("bbq held out", first)))
    return frozenset().union(*(bundle_of[first] for first in order[fold::FOLDS]))
