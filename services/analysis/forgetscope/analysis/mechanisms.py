"""Drift, shares of the groups in the training data and curvature beside biased forgetting; the
similarity of two tasks beside forgetting. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import fmean

import numpy as np

from forgetscope.analysis.curvature_results import Place
from forgetscope.analysis.outcomes import plain_pair, unmitigated
from forgetscope.core.curvature import Pair, rank_correlation
from forgetscope.core.inference.association import Associated, associate
from forgetscope.core.task_similarity import profiles_of, similarity
from forgetscope.schema.example import Example
from forgetscope.schema.measured import Measured
from forgetscope.schema.mechanisms import (
    Association,
    Drift,
    DriftFile,
    DriftRow,
    GroupMechanisms,
    Mechanisms,
    PairSimilarity,
)
from forgetscope.schema.results import ChainForgetting, GroupForgetting, Results

__all__ = ["CANDIDATES", "SIDES", "add_mechanisms"]

Chain = tuple[str, ...]
Train = Mapping[str, Sequence[Example]]

CANDIDATES = {
    "displacement": "displacement of states",
    "cka": "CKA of states",
    "share_own": "share of own training data",
    "share_later": "share of later training data",
    "slope": "gradient term gᵀd",
    "curvature": "curvature along d",
}
SIDES = ("domain", "format", "output")
_CAUTION = (
    "A correlation over a few groups or pairs is no cause. Drift and forgetting come from the same "
    "items and models, groups differ in more than is measured here, and p is not corrected for the "
    "number of candidates ({count} correlations were tried). Over pairs, p takes pairs for "
    "independent, although some share a first model."
)


def add_mechanisms(
    results: Results,
    drifts: Mapping[Place, DriftFile],
    train: Train,
    rng: np.random.Generator,
) -> Results:
    """The results with candidates for why groups and pairs differ.

    Args:
        results: with curvature, where it was asked for.
        drifts: by the place where the task's own stage ended.
        train: training examples of each task of a chain.
        rng: draws bootstrap samples and permutations.
    """
    groups = tuple(
        _group(results, drifts, train, row, group)
        for row in results.forgetting
        for group in row.groups
    )
    pairs = tuple(_pairs(results, train))
    associations = (
        *_within(results, groups, rng),
        *_pooled(results, groups, rng),
        *_over_pairs(results, pairs, rng),
    )
    found = Mechanisms(
        drift=tuple(
            DriftRow(**dict(file), **place._asdict(), task=place.task)
            for place, file in drifts.items()
        ),
        groups=groups,
        associations=associations,
        pairs=pairs,
        caution=_CAUTION.format(count=len(associations)),
    )
    return results.model_copy(update={"mechanisms": found})


def _group(
    results: Results,
    drifts: Mapping[Place, DriftFile],
    train: Train,
    row: ChainForgetting,
    group: GroupForgetting,
) -> GroupMechanisms:
    places = [Place(row.chain, row.position, seed) for seed in results.seeds]
    drift = [drifts[p].layers[-1].groups.get(group.group) for p in places]
    ways = [
        way.result
        for way in results.displacement
        if (way.chain, way.position, way.group) == (row.chain, row.position, group.group)
    ]
    none = "curvature was not asked for"
    if results.displacement:
        none = "none of the training examples looked at is of the group"
    later = row.chain[row.position :]
    return GroupMechanisms(
        chain=row.chain,
        task=row.task,
        position=row.position,
        group=group.group,
        too_small=group.too_small,
        forgetting=group.forgetting,
        biased=group.biased,
        displacement=_drift(drift, lambda d: d.displacement),
        cka=_drift(drift, lambda d: d.cka),
        share_own=_share(group.group, train[row.task]),
        share_later=_share(group.group, [e for task in later for e in train[task]])
        if all(task in train for task in later)
        else Measured(
            reason="a later stage has a step: not all of its task's examples count alike"
        ),
        curvature=_mean([way.curvature for way in ways], none),
        slope=_mean([Measured(value=way.slope) for way in ways], none),
    )


def _drift(found: Sequence[Drift | None], pick: Callable[[Drift], Measured]) -> Measured:
    known = [pick(drift) for drift in found if drift is not None]
    return _mean(known, "the group is not among the items looked at")


def _mean(found: Sequence[Measured], none: str) -> Measured:
    """The mean over seeds, all of which must be defined."""
    undefined = [m for m in found if m.value is None]
    if not found or undefined:
        return Measured(reason=undefined[0].reason if undefined else none)
    values = [m.value for m in found if m.value is not None]
    told = "one number" if len(values) == 1 else f"mean over {len(values)} seeds"
    return Measured(value=fmean(values), interval_reason=told)


def _share(group: str, examples: Sequence[Example]) -> Measured:
    counts = Counter(name for example in examples for name in example.groups)
    if not counts:
        return Measured(reason="these training examples have no groups")
    return Measured(
        value=counts[group] / len(examples),
        interval_reason=f"{counts[group]} of {len(examples)} examples",
    )


def _within(
    results: Results, groups: Sequence[GroupMechanisms], rng: np.random.Generator
) -> Iterator[Association]:
    """Over the groups of one row."""
    for row in results.forgetting:
        own = [g for g in groups if (g.chain, g.position) == (row.chain, row.position)]
        if own:
            for field, name in CANDIDATES.items():
                found, points = _associated(results, [own], field, rng)
                yield Association(
                    candidate=name,
                    against="biased forgetting",
                    task=row.task,
                    chain=row.chain,
                    position=row.position,
                    points=points,
                    rows=1,
                    **found._asdict(),
                )


def _pooled(
    results: Results, groups: Sequence[GroupMechanisms], rng: np.random.Generator
) -> Iterator[Association]:
    """Over the groups of all rows of a task, where it has several; chains that mitigate are the
    same pairs once more, and left out."""
    used = {(row.chain, row.position) for row in unmitigated(results)}
    for task in dict.fromkeys(g.task for g in groups):
        rows: dict[tuple[Chain, int], list[GroupMechanisms]] = {}
        for g in groups:
            if g.task == task and (g.chain, g.position) in used:
                rows.setdefault((g.chain, g.position), []).append(g)
        if len(rows) > 1:
            for field, name in CANDIDATES.items():
                found, points = _associated(results, list(rows.values()), field, rng)
                yield Association(
                    candidate=name,
                    against="biased forgetting",
                    task=task,
                    points=points,
                    rows=len(rows),
                    **found._asdict(),
                )


def _associated(
    results: Results,
    rows: Sequence[Sequence[GroupMechanisms]],
    field: str,
    rng: np.random.Generator,
) -> tuple[Associated, int]:
    """The correlation, and the number of groups that are known in every row."""
    known = [
        {
            g.group: (x.value, g.biased.value)
            for g in row
            if (x := getattr(g, field)).value is not None
            and g.biased.value is not None
            and not g.too_small
        }
        for row in rows
    ]
    names = sorted(set[str]().union(*known).intersection(*known))
    if not names:
        reason = _reason(rows, field)
        return Associated(Measured(reason=reason), Measured(reason=reason)), 0
    values = np.array([[row[name] for name in names] for row in known], dtype=np.float64)
    return _associate(results, values[..., 0], values[..., 1], rng, "groups"), len(names)


def _reason(rows: Sequence[Sequence[GroupMechanisms]], field: str) -> str:
    """Why nothing is left to compare."""
    found: Iterable[GroupMechanisms] = [g for row in rows for g in row]
    reasons = dict.fromkeys(str(getattr(g, field).reason) for g in found)
    if all(getattr(g, field).value is None for g in found) and len(reasons) == 1:
        return next(iter(reasons))
    return "no group is large enough and known in every row"


def _associate(
    results: Results,
    x: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    y: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    rng: np.random.Generator,
    unit: str,
) -> Associated:
    settings = results.settings
    return associate(
        x,
        y,
        rng,
        replicates=settings.bootstrap_replicates,
        confidence=settings.confidence,
        unit=unit,
    )


def _pairs(results: Results, train: Train) -> Iterator[PairSimilarity]:
    profiles = profiles_of(train)
    for row in results.forgetting:
        if plain_pair(row.chain):
            one, other = (profiles[task] for task in row.chain)
            yield PairSimilarity(
                chain=row.chain, **similarity(one, other)._asdict(), forgetting=row.forgetting
            )


def _over_pairs(
    results: Results, pairs: Sequence[PairSimilarity], rng: np.random.Generator
) -> Iterator[Association]:
    """The interval draws first models, which pairs share."""
    settings = results.settings
    for side in SIDES if pairs else ():
        known = [
            Pair(pair.chain[0], x.value, pair.forgetting.value)
            for pair in pairs
            if (x := getattr(pair, side)).value is not None and pair.forgetting.value is not None
        ]
        x, y = np.array([[[p.x, p.y] for p in known]]).reshape(1, -1, 2).transpose(2, 0, 1)
        yield Association(
            candidate=f"similarity in {side}",
            against="forgetting",
            task=None,
            points=len(known),
            rows=1,
            spearman=rank_correlation(
                known,
                rng,
                replicates=settings.bootstrap_replicates,
                confidence=settings.confidence,
            ),
            p=_associate(results, x, y, rng, "pairs").p,
        )
