"""What is checked on simulated studies: coverage, false alarms, power, planted effects."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from validation_studies import CHANCE, Design, Studied, studies

from forgetscope.core.inference.intervals import Method, interval, jackknife_clusters
from forgetscope.core.inference.mcnemar import mcnemar
from forgetscope.core.inference.multiplicity import GroupStatistic, Simultaneous, holm, max_t
from forgetscope.core.inference.power import plan_power
from forgetscope.core.inference.power_model import Expected, Plan, Runs, Sample
from forgetscope.core.inference.power_needs import Question
from forgetscope.core.inference.verdicts import judge
from forgetscope.core.statistics import Functionals
from forgetscope.schema.results import Measured

__all__ = [
    "ALPHA",
    "METHODS",
    "Alarms",
    "Coverage",
    "Found",
    "Power",
    "Share",
    "alarms",
    "coverage",
    "planted",
    "power",
]

Floats = npt.NDArray[np.float64]

METHODS: tuple[Method, ...] = ("percentile", "expanded", "bca")
ALPHA = 0.05


class Share(NamedTuple):
    """How many of `of` studies."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        return self.hits / self.of

    @property
    def error(self) -> float:
        """Monte Carlo standard error; of none or all, that of one hit more or less."""
        p = min(max(self.value, 1 / self.of), 1 - 1 / self.of)
        return float(np.sqrt(p * (1 - p) / self.of))


class Coverage(NamedTuple):
    """How often the intervals of a method hold the truth. `width` is their mean."""

    held: Share
    none: int
    """studies without an interval; not in `held`"""
    width: float


class Alarms(NamedTuple):
    """Studies with any wrong claim among the groups, none of which has an effect."""

    max_t: Share
    """step-down p ≤ alpha"""
    simultaneous: Share
    """an interval of max-T leaves out 0"""
    holm: Share
    """Holm over the p values of each group alone"""
    mcnemar: Share | None
    """Holm over McNemar's p of each group; None where items are clustered"""


class Power(NamedTuple):
    planned: float
    simulated: Share
    claim: str
    judged: int


class Found(NamedTuple):
    """Verdict `breach` for the planted groups, and for any of the others."""

    planted: Share | None
    all_planted: Share | None
    others: Share


def coverage(
    design: Design, group: int | None, rng: np.random.Generator, *, number: int, replicates: int
) -> dict[Method, Coverage]:
    """Coverage of the forgetting of the task, or of the biased forgetting of a group."""
    truth, row = design.truth(group), 0 if group is None else 1 + group
    judged = range(len(design.parts))
    spans: dict[Method, list[tuple[float, float]]] = {method: [] for method in METHODS}

    def of(f: Functionals) -> Floats:
        return f.forgetting[0] if group is None else f.biased[group]

    for study in studies(design, rng, number=number, replicates=replicates):
        without_cluster = jackknife_clusters(study.data, chance=CHANCE, judged=judged)
        runs = study.of_runs(group)
        for method in METHODS:
            found = interval(
                of(study.point),
                of(study.replicates.items),
                method=method,
                clusters=study.data.clusters[row],
                drawn=study.data.clusters[0],
                jackknives=[of(without_cluster)],
                confidence=1 - ALPHA,
                undefined="nothing scored",
                runs=runs,
                biased=group is not None,
            )
            if found.low is not None and found.high is not None:
                spans[method].append((found.low, found.high))
    return {
        method: Coverage(
            # A difference of accuracies that equals the truth but for rounding is held.
            Share(sum(low - 1e-12 <= truth <= high + 1e-12 for low, high in given), len(given)),
            number - len(given),
            float(np.mean([high - low for low, high in given])),
        )
        for method, given in spans.items()
    }


def _family(study: Studied) -> list[GroupStatistic]:
    return [
        GroupStatistic(str(g), Measured(value=float(value)), values, clusters, study.of_runs(g))
        for g, (value, values, clusters) in enumerate(
            zip(
                study.point.biased[:, 0],
                study.replicates.items.biased,
                study.data.clusters[1:],
                strict=True,
            )
        )
    ]


def _together(family: Sequence[GroupStatistic], study: Studied) -> Simultaneous:
    return max_t(family, drawn=study.data.clusters[0], confidence=1 - ALPHA)


def alarms(design: Design, rng: np.random.Generator, *, number: int, replicates: int) -> Alarms:
    """Family-wise errors where no group differs."""
    counts = np.zeros(4, dtype=int)
    alone = design.seeds == 1 and all(max(part.sizes) == 1 for part in design.parts)
    for study in studies(design, rng, number=number, replicates=replicates):
        family = _family(study)
        groups = _together(family, study).groups.values()
        counts[0] += any(g.p_step_down <= ALPHA for g in groups)
        counts[1] += any(not g.interval.low <= 0 <= g.interval.high for g in groups)  # type: ignore[operator]
        singly = {
            s.name: Measured(value=_together([s], study).groups[s.name].p_single_step)
            for s in family
        }
        counts[2] += min(holm(singly).adjusted.values()) <= ALPHA
        if alone:
            counts[3] += min(holm(_item_level(study)).adjusted.values()) <= ALPHA
    shares = [Share(int(count), number) for count in counts]
    return Alarms(shares[0], shares[1], shares[2], shares[3] if alone else None)


def _item_level(study: Studied) -> dict[str, Measured]:
    """McNemar's p of each group of one run whose items are a cluster each."""
    _, _, rows = study.data.shape
    both, before, after = study.data.sums.toarray().reshape(3, rows, -1)
    lost, gained = (before > after).sum(axis=1), (before < after).sum(axis=1)
    n = both.sum(axis=1).astype(int)
    return {
        str(g): mcnemar(int(lost[g]), int(gained[g]), int(n[g]), clusters=int(n[g])).p
        for g in range(1, rows)
    }


def power(
    design: Design, group: int, margin: float, rng: np.random.Generator, *, number: int, reps: int
) -> Power:
    """The planner's power for the verdict on one group, beside the share of studies that give it.

    The planner is told the truth of the design; the studies are judged as the analysis does.
    """
    question = Question(margin, "non-inferiority", alpha=ALPHA)
    runs = Runs(design.seeds, design.icc, design.same, design.seed_sd_of(group))
    plan = plan_power([_plan(design, g) for g in range(len(design.parts))], question, runs)
    asked = plan.groups[group]
    verdicts = [
        _verdicts(study, margin)[group]
        for study in studies(design, rng, number=number, replicates=reps)
    ]
    if asked.power.value is None:
        raise ValueError(f"nothing is planned for {asked.name}: {asked.reason}")
    hits = sum(verdict == asked.claim for verdict in verdicts)
    return Power(asked.power.value, Share(hits, number), asked.claim, plan.judged)


def _plan(design: Design, group: int) -> Plan:
    """A group and the others of its task, which are alike."""
    part = design.parts[group]
    others = [p for g, p in enumerate(design.parts) if g != group]
    sizes = tuple(size for p in others for size in p.sizes)
    n = np.array([sum(p.sizes) for p in others])
    lost, gained = (n @ np.array([p.expected for p in others]) / n.sum()).tolist()
    return Plan(
        part.name, Sample(part.sizes), part.expected, (Sample(sizes), Expected(lost, gained))
    )


def _verdicts(study: Studied, margin: float) -> list[str]:
    """The verdict on the biased forgetting of each group; undecided where it has no interval."""
    found = _together(_family(study), study).groups
    return [
        judge(found[name].interval, margin, test="non-inferiority", noise_floor=None).verdict
        if name in found
        else "underpowered"
        for name in map(str, range(study.data.shape[2] - 1))
    ]


def planted(
    design: Design,
    groups: Sequence[int],
    margin: float,
    rng: np.random.Generator,
    *,
    number: int,
    reps: int,
) -> Found:
    """How often the groups with planted biased forgetting, and others, are found."""
    every = some = wrong = 0
    for study in studies(design, rng, number=number, replicates=reps):
        breaches = [v == "breach" for v in _verdicts(study, margin)]
        mine = [breaches[g] for g in groups]
        every, some = every + all(mine), some + sum(mine)
        wrong += any(b for g, b in enumerate(breaches) if g not in groups)
    return Found(
        Share(some, number * len(groups)) if groups else None,
        Share(every, number) if groups else None,
        Share(wrong, number),
    )
