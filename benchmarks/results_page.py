"""docs/results.md: the results of the small variants of the seed's experiments, as tables.

Figures are read from the results documents; the words around them are chosen by them. Texts of
items never get here.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from results_tables import (
    curvature_part,
    guess_of,
    near_guessing,
    points_of,
    recovery_part,
    row_of,
    table,
)

from forgetscope.app.pages import (
    chain_text,
    p_value,
    percent,
    points,
    verdict_mark,
)
from forgetscope.schema.measured import Measured
from forgetscope.schema.results import ChainForgetting, Results
from forgetscope.schema.verdicts import Judged

__all__ = ["Study", "page"]

HEAD = """\
# Results of the small variants

**What this page is.** The machinery at toy scale, written by `make results`: every experiment of
the seed, from its spec file over HTTP to its results, on real data files. The model has half a
million weights and begins untrained, the samples are a few hundred examples, and there is one
seed, so that intervals are about the choice of items and not about training again. Rates were
tuned so that the second task wipes out much of the first and there is something to bring back.
Nothing here is a result of the paper, supports one or speaks against one; for that the 7B specs
stand beside the small ones in `examples/seed/`.

**How to read it.** Accuracies are in percent, differences in percentage points; F is forgetting,
positive = forgot. Brackets hold {confidence} intervals of a paired bootstrap over items or their
clusters. A verdict is about a margin of {margin} points; it is *pass*, *breach* or
*underpowered*, and the last one means that no answer is possible at this size. Verdicts of groups
are corrected for their number, those of rows are not: among many rows a few intervals leave out 0
by chance. † marks an accuracy whose interval holds the accuracy of guessing, or lies below it:
such a task was not shown to be learned, so that there is nothing to forget, and a verdict or a
price there says nothing. Noise floors are not measured here. Each experiment draws its own
bootstrap: intervals of equal numbers differ a little.
"""


class Study(NamedTuple):
    """An experiment that was run. `naive`: trainings if no prefix were shared; `every_group`: show
    all groups, not the worst alone."""

    title: str
    spec: str
    asks: str
    every_group: bool
    trainings: int
    naive: int
    results: Results


def page(studies: Iterable[Study]) -> str:
    """The whole page in Markdown."""
    studies = list(studies)
    settings = studies[0].results.settings
    head = HEAD.format(
        confidence=f"{100 * settings.confidence:g} %", margin=f"{100 * settings.biased_margin:g}"
    )
    return "\n".join([head, *(line for study in studies for line in _section(study))])


def _section(study: Study) -> Iterator[str]:
    found = study.results
    seeds = f"{len(found.seeds)} seed{'s' if len(found.seeds) > 1 else ''}"
    yield f"## {study.title}\n"
    yield (
        f"{study.asks} Spec: [`{study.spec}`](../{study.spec}); {seeds}; {study.trainings} "
        f"trainings, {study.naive} if equal beginnings of chains were not shared.\n"
    )
    plain = _plain(found)
    if plain:
        yield from _forgetting(found, plain)
    yield from _order(found)
    yield from (_every_group(plain) if study.every_group else _worst_groups(plain))
    yield from _agreement(found)
    if found.recovery:
        yield from recovery_part(found)
    if found.curvature:
        yield from curvature_part(found)


def _plain(found: Results) -> list[ChainForgetting]:
    """The rows of chains without a mitigation; the others are told by what they bring back."""
    mitigated = {row.mitigated.chain for row in found.recovery}
    return [row for row in found.forgetting if row.chain not in mitigated]


def _forgetting(found: Results, plain: list[ChainForgetting]) -> Iterator[str]:
    chances = {task.id: task.chance for task in found.tasks}
    rows, dull, words = [], 0, {"pass": 0, "breach": 0, "underpowered": 0}
    for row in plain:
        near = near_guessing(row.before, chances[row.task])
        dull += near
        words[row.verdict.verdict] += 1
        rows.append(
            row_of(
                chain_text(row.chain),
                f"{row.task} (stage {row.position})",
                guess_of(chances[row.task]),
                percent(row.before.value) + (" †" if near else ""),
                percent(row.after.value),
                points_of(row.forgetting),
                verdict_mark(row.verdict),
                _unscored(row),
            )
        )
    told = ", ".join(f"{count} {word}" for word, count in words.items())
    noun = "row" if len(rows) == 1 else "rows"
    yield f"Of {len(rows)} {noun}: {told}; in {dull} the task was not shown to be learned (†).\n"
    yield from table(
        (
            "chain",
            "forgotten task",
            "guess",
            "after its stage",
            "at the end",
            "F",
            "verdict",
            "items",
        ),
        rows,
    )


def _unscored(row: ChainForgetting) -> str:
    return f"{row.items}" + (f" ({row.unscored} unscored)" if row.unscored else "")


def _order(found: Results) -> Iterator[str]:
    if not found.order_effects:
        return
    yield "Order effect, F(safety first) − F(capability first):\n"
    yield from table(
        ("pair", "safety first", "capability first", "difference", "p"),
        [
            row_of(
                f"{row.safety}, {row.capability}",
                points(row.safety_first.value),
                points(row.capability_first.value),
                points_of(row.effect),
                p_value(row.p),
            )
            for row in found.order_effects
        ],
    )


def _every_group(plain: list[ChainForgetting]) -> Iterator[str]:
    for row in plain:
        judged = [g for g in row.groups if not g.too_small]
        if not judged:
            continue
        yield f"Groups of {row.task} over {chain_text(row.chain)}, BF in simultaneous intervals:\n"
        if all(g.after.value == judged[0].after.value for g in judged):
            yield (
                "Every group ends at the same accuracy: most likely the model gives one answer to "
                "all, and what a group loses is just what it had learned.\n"
            )
        ranked = sorted(judged, key=lambda g: -(g.biased.value or 0.0))
        yield from table(
            ("group", "items", "after its stage", "at the end", "F", "BF", "verdict"),
            [
                row_of(
                    g.group,
                    f"{g.items}",
                    percent(g.before.value),
                    percent(g.after.value),
                    points_of(g.forgetting),
                    points_of(g.simultaneous),
                    verdict_mark(g.verdict),
                )
                for g in ranked
            ],
        )


def _worst_groups(plain: list[ChainForgetting]) -> Iterator[str]:
    """The worst group of each row, and how many groups got which verdict."""
    rows = []
    for row in plain:
        judged = [g for g in row.groups if not g.too_small and g.simultaneous.value is not None]
        if not judged:
            continue
        worst = max(judged, key=lambda g: g.simultaneous.value or 0.0)
        rows.append(
            row_of(
                chain_text(row.chain),
                f"{row.task} (stage {row.position})",
                worst.group,
                f"{worst.items}",
                points_of(worst.simultaneous),
                verdict_mark(worst.verdict),
                _counts([g.verdict for g in judged]),
            )
        )
    if not rows:
        return
    yield "Biased forgetting (BF): the judged group that lost most against its task.\n"
    yield from table(
        ("chain", "task", "worst group", "items", "BF", "its verdict", "verdicts of all groups"),
        rows,
    )


def _counts(verdicts: list[Judged]) -> str:
    words = [judged.verdict for judged in verdicts]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(sorted(words)))


def _agreement(found: Results) -> Iterator[str]:
    for row in found.consistency:
        if len(row.pairs) < 2 or row.kendall_w.value is None:
            continue
        tasks = ", ".join(dict.fromkeys(pair[0] for pair in row.pairs))
        yield (
            f"Do {len(row.groups)} groups rank alike over {len(row.pairs)} pairs ({tasks} first)? "
            f"Kendall's W is {row.kendall_w.value:.2f} (1 is full agreement). Permutation p: "
            f"{_p(row.by_pair.p)} with each pair shuffled by itself, as if pairs of one "
            f"first stage were independent, which they are not; {_p(row.by_first_stage.p)} with "
            "those shuffled together.\n"
        )


def _p(p: Measured) -> str:
    return p_value(p) if p.value is not None else f"none ({p.reason})"
