"""Simulated studies whose truth is known: what the statistics of the product are tried on.

A study is a task with groups, scored before and after. An item is lost (right, then wrong), gained
(wrong, then right) or unchanged. The shares of a template vary around those of its group
(Dirichlet-multinomial with concentration 1/icc − 1), so that two items of a template correlate by
icc. With several seeds, a template is in each of them either the common one, with chance √same, or
one of its own, so that an item correlates by `same` between two seeds, and two items of a template
by the product of both; and the share of lost items of each group shifts from seed to seed, by
itself, with standard deviation `seed_sd`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forgetscope.core import statistics
from forgetscope.core.groups import Items, arrange
from forgetscope.core.inference import spread
from forgetscope.core.inference.intervals import jackknife_seeds
from forgetscope.core.inference.power_model import Expected
from forgetscope.core.inference.spread import RunVariance
from forgetscope.core.statistics import Comparison, Functionals, Resampled

__all__ = ["CHANCE", "Design", "Part", "Studied", "arranged", "studies"]

Floats = npt.NDArray[np.float64]

CHANCE = 0.5
BATCH = 20
"""Studies that see the same draws of the bootstrap, as the chains of an experiment do."""


class Part(NamedTuple):
    """A group: its templates by size, and what happens to its items."""

    name: str
    sizes: tuple[int, ...]
    expected: Expected


class Design(NamedTuple):
    """Groups that do not overlap and make up the task."""

    parts: tuple[Part, ...]
    icc: float = 0.0
    seeds: int = 1
    same: float = 0.5
    seed_sd: float = 0.0

    def truth(self, group: int | None) -> float:
        """Forgetting of the task (None), or biased forgetting of a group."""
        n = np.array([sum(part.sizes) for part in self.parts])
        f = np.array([part.expected.forgetting for part in self.parts])
        whole = float((n * f).sum() / n.sum())
        return whole if group is None else float(f[group]) - whole

    def seed_sd_of(self, group: int) -> float:
        """Standard deviation from seed to seed of the biased forgetting of a group."""
        n = np.array([sum(part.sizes) for part in self.parts])
        weights = np.where(np.arange(n.size) == group, 1.0, 0.0) - n / n.sum()
        return self.seed_sd * float(np.sqrt((weights**2).sum()))


class Studied(NamedTuple):
    """One study: its sums, its numbers [.., 1], its bootstrap replicates [.., R], and its numbers
    with one seed left out at a time [.., S] (None with one seed)."""

    data: Comparison
    point: Functionals
    replicates: Resampled
    without_seed: Functionals | None

    def of_runs(self, group: int | None) -> RunVariance | None:
        """What the seeds say about the forgetting of the task, or the biased one of a group."""
        if self.without_seed is None:
            return None
        parts = (self.replicates.items, self.replicates.both, self.without_seed)
        return spread.of_runs(
            *(f.forgetting[0] if group is None else f.biased[group] for f in parts),
            clusters=self.data.clusters[0 if group is None else 1 + group],
            drawn=self.data.clusters[0],
            biased=group is not None,
        )


def arranged(design: Design) -> Items:
    """The items of every study of a design."""
    places = [
        (part.name, f"{part.name}-{c}")
        for part in design.parts
        for c, size in enumerate(part.sizes)
        for _ in range(size)
    ]
    return arrange([(name,) for name, _ in places], [cluster for _, cluster in places])


def studies(
    design: Design, rng: np.random.Generator, *, number: int, replicates: int
) -> Iterator[Studied]:
    """Draw studies and evaluate them with the code of the product."""
    items, groups = arranged(design), range(len(design.parts))
    clusters, seeds = np.ones((1, items.clusters)), np.ones((1, design.seeds))
    for start in range(0, number, BATCH):
        drawn = [_draw(design, items, rng) for _ in range(min(BATCH, number - start))]
        found = statistics.bootstrap(
            drawn,
            rng,
            statistics.seed_weights(rng, design.seeds, replicates),
            chance=CHANCE,
            judged=[groups] * len(drawn),
        )
        for data, replicates_of in zip(drawn, found, strict=True):
            point = statistics.evaluate(data, clusters, seeds, chance=CHANCE, judged=groups)
            left_out = jackknife_seeds(data, chance=CHANCE, judged=groups)
            yield Studied(data, point, replicates_of, left_out)


def _draw(design: Design, items: Items, rng: np.random.Generator) -> Comparison:
    gained, lost = _shares(design, rng)
    sizes = [size for part in design.parts for size in part.sizes]
    shape = (design.seeds, sum(sizes))
    u = rng.random(shape)
    if design.seeds > 1:
        common = rng.random((design.seeds, len(sizes))) < np.sqrt(design.same)
        u = np.where(np.repeat(common, sizes, axis=1), rng.random(shape[1]), u)
        own = np.array([_shares(design, rng) for _ in range(design.seeds)])
        gained, lost = np.where(common, gained, own[:, 0]), np.where(common, lost, own[:, 1])
    gained, lost = np.repeat(gained, sizes, axis=-1), np.repeat(lost, sizes, axis=-1)
    if design.seeds > 1:
        shift = design.seed_sd * rng.normal(size=(design.seeds, len(design.parts)))
        shift = np.repeat(shift, [sum(part.sizes) for part in design.parts], axis=1)
        lost = np.clip(lost + shift, 0, 1 - gained)
    before = np.where(u < gained, 0.0, 1.0)
    after = np.where(u >= 1 - lost, 0.0, 1.0)
    return statistics.compare(
        items, np.broadcast_to(before, shape)[None], np.broadcast_to(after, shape), initial=0
    )


def _shares(design: Design, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Shares of gained and of lost items of every template."""
    drawn = []
    for part in design.parts:
        e = part.expected
        share = np.array([e.gained, e.lost, 1 - e.lost - e.gained])
        if design.icc == 0:
            drawn.append(np.broadcast_to(share, (len(part.sizes), 3)))
        else:
            drawn.append(rng.dirichlet(share * (1 / design.icc - 1), size=len(part.sizes)))
    shares = np.concatenate(drawn)
    return shares[:, 0], shares[:, 1]
