"""BBQ's own scores for every model, and what a chain does to them.

The values of a model are those of `forgetscope.core.bbq_scores`; intervals are of a bootstrap over
templates. A change compares two models on the items that both of them scored, under the same draws,
as `forgetscope.core.statistics` does for forgetting: scores are taken per seed, then averaged.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from forgetscope.analysis import bbq_bootstrap as bootstrap
from forgetscope.analysis.bbq_bootstrap import Draws, Facts, Sums
from forgetscope.analysis.outcomes import BbqOutcomes, CellKey, Chain, Floats
from forgetscope.core import bbq_scores as definition
from forgetscope.core import forgetting as forms
from forgetscope.core.groups import Items
from forgetscope.core.inference import intervals, spread
from forgetscope.core.predictions import Prediction
from forgetscope.schema.errors import DataChanged
from forgetscope.schema.example import Example
from forgetscope.schema.experiment import AnalysisSpec
from forgetscope.schema.results import (
    Accuracy,
    BbqAccuracy,
    BbqBias,
    BbqBiasChange,
    BbqChange,
    BbqModel,
    BbqResults,
    BbqScores,
    Measured,
)

__all__ = ["bbq_results", "join"]


def join(
    task: str, examples: Sequence[Example], cells: Mapping[CellKey, Sequence[Prediction]]
) -> BbqOutcomes:
    """Examples in the order of the predictions, which is the same for all models.

    Raises DataChanged when the predictions are of other items than the examples.
    """
    order = [prediction.id for prediction in next(iter(cells.values()))]
    by_id = {example.id: example for example in examples}
    if len(by_id) != len(order) or by_id.keys() != set(order):
        raise DataChanged(
            f"{len(order)} predictions and {len(by_id)} examples are not of the same items",
            where=f"examples of {task}",
        )
    choices = {key: [p.choice for p in predictions] for key, predictions in cells.items()}
    return BbqOutcomes([by_id[name] for name in order], choices)


class _Setting(NamedTuple):
    """What all numbers of one task share."""

    items: Items
    outcomes: BbqOutcomes
    facts: Facts
    settings: AnalysisSpec
    draws: Draws

    def measured(
        self,
        value: float | None,
        reason: str,
        drawn: Floats,
        clusters: int,
        *,
        bounds: tuple[float, float] | None = None,
        seeds: tuple[Floats, Floats] | None = None,
    ) -> Measured:
        """`seeds`: replicates with seeds drawn, and the number with one left out at a time."""
        needed = max(2, self.settings.min_group_clusters)
        few = f"{clusters} template{'' if clusters == 1 else 's'}, and an interval needs {needed}"
        # The scores have no leave-one-out values, which BCa would need.
        plain = self.settings.interval == "percentile"
        return intervals.interval(
            np.array(np.nan if value is None else value),
            drawn,
            method="percentile" if plain else "expanded",
            clusters=clusters,
            drawn=self.items.clusters,
            jackknives=(),
            confidence=self.settings.confidence,
            undefined=reason,
            no_interval=few if clusters < needed else None,
            runs=None
            if seeds is None or clusters < 2
            else spread.of_runs(drawn, *seeds, clusters=clusters, drawn=self.items.clusters),
            bounds=bounds,
        )


def bbq_results(
    task: str,
    items: Items,
    outcomes: BbqOutcomes,
    *,
    chains: Sequence[Chain],
    seeds: Sequence[int],
    settings: AnalysisSpec,
    rng: np.random.Generator,
    seed_weights: Floats,
) -> BbqResults:
    """Every BBQ number of one task.

    Args:
        items: groups and templates of the examples, in their order.
        rng: the only source of randomness.
        seed_weights: [R, S], shared with the other numbers (`statistics.seed_weights`).
    """
    facts = Facts.of(outcomes.examples)
    draws = Draws(int(rng.integers(2**63)), seed_weights)
    setting = _Setting(items, outcomes, facts, settings, draws)
    places = [
        (chain, position)
        for chain in chains
        for name, position in forms.forgetting_rows(chain)
        if name == task
    ]
    return BbqResults(
        task=task,
        items=len(outcomes.examples),
        clusters=items.clusters,
        unknown_groups=sum(not example.groups for example in outcomes.examples),
        unknown_persons=int(np.sum(~facts.persons)),
        models=tuple(_model(setting, key) for key in outcomes.choices),
        changes=tuple(
            change
            for chain, position in places
            for change in _changes(setting, chain, position, seeds)
        ),
    )


def _model(setting: _Setting, key: CellKey) -> BbqModel:
    items, choices = setting.items, setting.outcomes.choices[key]
    marked = bootstrap.marks(setting.facts, bootstrap.numbers(choices))
    chunks = [bootstrap.scores(c) for c, _ in Sums(items, marked).replicates(setting.draws)]
    accuracy, bias = (np.concatenate(parts, axis=-1) for parts in zip(*chunks, strict=True))
    answers = list(map(definition.answer_of, setting.outcomes.examples, choices))
    by_group = definition.bbq_scores_by_group(answers)

    def right(found: Accuracy, context: int, k: int) -> BbqAccuracy:
        clusters = items.clusters_of(k, marked[context, bootstrap.SCORED])
        drawn = accuracy[context, k]
        return BbqAccuracy(
            accuracy=setting.measured(
                found.value, found.reason or "", drawn, clusters, bounds=(0, 1)
            ),
            scored=found.scored,
            correct=found.correct,
            unscored=found.unscored,
            clusters=clusters,
        )

    def biased(found: definition.BiasScore, context: int, k: int) -> BbqBias:
        clusters = items.clusters_of(k, marked[context, bootstrap.KNOWN])
        score, drawn = found.score, bias[context, k]
        return BbqBias(
            score=setting.measured(
                score.value, score.reason or "", drawn, clusters, bounds=(-1, 1)
            ),
            biased=found.biased,
            named=found.named,
            items=found.items,
            left_out=found.left_out,
            clusters=clusters,
        )

    def scores(found: definition.BbqScores, k: int) -> BbqScores:
        return BbqScores(
            accuracy_ambiguous=right(found.accuracy_ambiguous, 0, k),
            accuracy_disambiguated=right(found.accuracy_disambiguated, 1, k),
            bias_ambiguous=biased(found.bias_ambiguous, 0, k),
            bias_disambiguated=biased(found.bias_disambiguated, 1, k),
        )

    return BbqModel(
        chain=key[0],
        seed=key[1],
        overall=scores(definition.bbq_scores(answers), 0),
        groups={g: scores(by_group[g], k) for k, g in enumerate(items.groups, start=1)},
    )


def _changes(
    setting: _Setting, chain: Chain, position: int, seeds: Sequence[int]
) -> Iterator[BbqChange]:
    """For all items, then for each group."""
    items, choices = setting.items, setting.outcomes.choices
    sides = np.stack(
        [
            np.stack([bootstrap.numbers(choices[model, seed]) for seed in seeds])
            for model in (chain[:position], chain)
        ]
    )  # [2, S, N]
    both = (sides >= 0).all(axis=0)
    sides = np.where(both, sides, -1)
    marked = np.stack(
        [np.stack([bootstrap.marks(setting.facts, choice) for choice in side]) for side in sides]
    )  # [2, S, 2, 6, N]
    sums = Sums(items, marked)
    chunks = [(bootstrap.scores(c)[1], w) for c, w in sums.replicates(setting.draws)]
    drawn, with_seeds = (
        np.concatenate([_mean(bias, w) for bias, w in parts], axis=-1)  # [2, 2, K, R]
        for parts in ([(bias, np.ones_like(w)) for bias, w in chunks], chunks)
    )
    whole = sums.whole()
    bias = bootstrap.scores(whole)[1]
    point = _mean(bias, np.ones((1, len(seeds))))
    others = np.ones((len(seeds), len(seeds))) - (np.eye(len(seeds)) if len(seeds) > 1 else 0)
    without_seed = _mean(np.repeat(bias, len(seeds), axis=-1), others)  # [2, 2, K, S]
    paired = both.all(axis=0)

    def change(context: int, k: int) -> BbqBiasChange:
        inside = items.members[k] & (setting.facts.ambiguous == (context == 0))
        counted = inside & paired & setting.facts.persons
        clusters = items.clusters_of(k, counted)
        counts = whole[:, :, context, :, k, 0]
        if (counts[..., bootstrap.KNOWN] == 0).any():
            reason = "a seed has no item that both models scored and that tells the persons"
        else:
            reason = "in a seed, no answer of one of the models names a person"
        before, after = point[:, context, k, 0]

        def measured(value: float, side: Callable[[Floats], Floats]) -> Measured:
            known = None if np.isnan(value) else float(value)
            runs = (side(with_seeds), side(without_seed)) if len(seeds) > 1 else None
            return setting.measured(known, reason, side(drawn), clusters, seeds=runs)

        return BbqBiasChange(
            before=measured(before, lambda of: of[0, context, k]),
            after=measured(after, lambda of: of[1, context, k]),
            change=measured(after - before, lambda of: of[1, context, k] - of[0, context, k]),
            items=int(counted.sum()),
            clusters=clusters,
            unscored=int((inside & ~paired).sum()),
            left_out=int((inside & paired & ~setting.facts.persons).sum()),
        )

    for k, group in enumerate((None, *items.groups)):
        yield BbqChange(
            chain=chain,
            position=position,
            group=group,
            ambiguous=change(0, k),
            disambiguated=change(1, k),
        )


def _mean(bias: Floats, weights: Floats) -> Floats:
    """[2, S, 2, K, R] under weights of the seeds [R, S] → [2, 2, K, R]. A seed of weight 0 does not
    count, even where its score is undefined."""
    w = weights.T[None, :, None, None, :]
    mean: Floats = np.where(w > 0, w * bias, 0.0).sum(axis=1) / weights.sum(axis=1)
    return mean
