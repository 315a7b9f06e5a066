"""Biased forgetting watched while it happens: a test that may be read at every look.

At each look, probes of an earlier task are drawn afresh, and the model of that moment answers them.
The model changes between the looks, in any way, and so does what is estimated: BF_t^g, the biased
forgetting of group g at look t over the whole pool of probes.

**The draw.** The pool is cut into strata: the items of one set of groups. A round draws one item of
each stratum, uniformly, with replacement, independent of everything before. D is 1 for an item that
was right and is wrong now, −1 for the opposite, else 0. As F^g and F are means of strata means,

    X^g = Σ_s c_gs D_s,   c_gs = [s in g]·N_s/N_g − N_s/N,   |X^g| ≤ r_g = Σ_s |c_gs|

has mean BF_t^g, exactly, whatever was seen before. So nothing is assumed of the items: not that
those of a cluster are independent, not equal variances, and groups may be correlated as they
like. The price is that a call is about this pool, not about items like these; and a pool never
runs out. (Draws without replacement over the looks would estimate the mean of the items that are
left, another number than BF_t^g while the model changes.)

**The test** of "BF^g was at or below the margin m at every look so far" is a bet (Waudby-Smith &
Ramdas 2024, JRSSB 86, section 4, the capital process; one-sided, so a supermartingale):

    K_s:t(f) = Π over rounds of looks s..t of (1 + f·(X^g − m)/(m + r_g)),   0 < f < 1.

Under the null each factor has mean ≤ 1. The e-value is the mean of K over a grid of f, mixed over
the look s from which it bets with weights 1/(s(s+1)), because forgetting may begin late:

    R_t(f) = (R_{t−1}(f) + 1/(t(t+1)))·K_t:t(f),   E_t = mean of R_t(f) + 1/(t+1),   E_0 = 1.

By Ville's inequality E_t reaches G/α with probability ≤ α/G as long as the null holds; hence among
G groups, at all looks together, with probability ≤ α any group is called before its BF has passed
the margin (Bonferroni). The grid and the weights are our choice; they cost log 6 + log s(s+1).

**The interval** is for the running mean of BF^g, (BF_1^g + … + BF_t^g)/t, which a bet on a constant
does not give. It is the empirical Bernstein bound of Howard, Ramdas, McAuliffe & Sekhon (2021, Ann.
Statist. 49, theorem 4), which rests on exp(λξ − ψ(λ)ξ²) ≤ 1 + λξ for ξ ≥ −1 and 0 ≤ λ < 1, with
ψ(λ) = −log(1−λ) − λ (Fan, Grama & Liu 2015): with ξ = (X − a)/2r, a the mean of the rounds before,
and V = Σ ξ², exp(λ·Σ(X − BF)/2r − ψ(λ)·V) is a supermartingale. We take the best of a grid of L
values of λ at level α/(2GL) each, so that all intervals of all groups hold at all looks with
probability ≥ 1 − α.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "GroupLook",
    "Pool",
    "Rule",
    "State",
    "begin",
    "contrasts",
    "draw",
    "look",
    "pool_of",
]

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.intp]

_BETS = 0.95 * 0.5 ** np.arange(6)
_SLOPES = 0.95 * 0.5 ** (np.arange(11) / 2)
_ROUNDING = 1e-12
_NOTHING = -1e9
"""Logarithm of a wealth of 0; a number, so that JSON can hold it."""


class Pool(NamedTuple):
    """The items that probes are drawn from, G groups and S strata."""

    groups: tuple[str, ...]
    """those that do not hold every item (their BF is 0 at all times), in alphabetical order"""
    strata: tuple[Whole, ...]
    """indices of the items of each stratum"""
    weights: Floats
    """[G, S], c_gs of the module's docstring; each row sums to 0"""

    @property
    def reach(self) -> Floats:
        """[G], r_g: no contrast is larger."""
        reach: Floats = np.abs(self.weights).sum(axis=1)
        return reach


class Rule(NamedTuple):
    """When a group is called: its biased forgetting was above `margin`, at error `alpha` over all
    groups and looks."""

    margin: float
    alpha: float


class State(NamedTuple):
    """What a test knows after `looks` looks and `rounds` rounds; plain lists, for JSON."""

    looks: int
    rounds: int
    log_wealth: list[list[float]]
    """[G, F], log R_t(f) in nats"""
    total: list[float]
    """[G], ΣX"""
    squares: list[float]
    """[G], V"""
    called: list[int]
    """[G], the look at which a group was called; 0: not"""


class GroupLook(NamedTuple):
    """One group at one look. `lower`, `upper`: of the running mean of its biased forgetting."""

    group: str
    estimate: float
    """biased forgetting at this look alone"""
    mean: float
    """of all looks so far"""
    lower: float
    upper: float
    log_e_value: float
    """nats; the group is called when it reaches log(G/alpha)"""
    verdict: Literal["breach", "no call"]
    """breach: called at this look or before"""


def pool_of(groups: Sequence[Sequence[str]]) -> Pool:
    """The pool of items with these groups; an item may have several, or none."""
    kinds = [tuple(sorted(set(item))) for item in groups]
    sets = sorted(set(kinds))
    index = {kind: s for s, kind in enumerate(sets)}
    of = np.array([index[kind] for kind in kinds], dtype=np.intp)
    strata = tuple(np.flatnonzero(of == s) for s in range(len(sets)))
    sizes = np.array([stratum.size for stratum in strata], dtype=np.float64)
    names = [
        name
        for name in sorted({name for kind in sets for name in kind})
        if not all(name in kind for kind in sets)
    ]
    inside = np.array([[name in kind for kind in sets] for name in names], dtype=np.float64)
    own = inside.reshape(len(names), len(sets)) * sizes
    weights = own / own.sum(axis=1, keepdims=True) - sizes / sizes.sum()
    return Pool(tuple(names), strata, weights)


def draw(pool: Pool, rounds: int, rng: np.random.Generator) -> Whole:
    """Indices of the probes of one look [S, rounds]: from each stratum, with replacement."""
    sizes = np.array([[stratum.size] for stratum in pool.strata])
    at = rng.integers(sizes, size=(sizes.size, rounds))
    return np.stack([stratum[i] for stratum, i in zip(pool.strata, at, strict=True)])


def contrasts(pool: Pool, change: npt.NDArray[np.int8]) -> Floats:
    """X^g of each round [G, rounds], from D of the probes [S, rounds]."""
    return pool.weights @ change.astype(np.float64)


def begin(pool: Pool) -> State:
    """Before the first look."""
    n = len(pool.groups)
    return State(0, 0, [[_NOTHING] * _BETS.size] * n, [0.0] * n, [0.0] * n, [0] * n)


def look(
    pool: Pool, rule: Rule, state: State, found: Floats
) -> tuple[State, tuple[GroupLook, ...]]:
    """Take in the contrasts [G, rounds] of one more look, and what they say of each group.

    Raises:
        ValueError: a contrast is out of reach, so it is none of this pool.
    """
    n, rounds = found.shape
    reach = pool.reach
    if (np.abs(found) > reach[:, None] + _ROUNDING).any():
        raise ValueError("a contrast is larger than the pool allows")
    t = state.looks + 1

    gain = (found - rule.margin) / (rule.margin + reach[:, None])
    growth = np.log1p(_BETS[:, None] * gain[:, None, :]).sum(axis=2)
    entering = -math.log(t * (t + 1))
    wealth = np.logaddexp(np.array(state.log_wealth).reshape(n, -1), entering) + growth
    betting = np.logaddexp.reduce(wealth, axis=1) - math.log(_BETS.size)
    log_e = np.logaddexp(betting, -math.log(t + 1))

    before = state.rounds + np.arange(rounds)
    sums = np.array(state.total)[:, None] + np.cumsum(found, axis=1)
    predicted = (sums - found) / np.maximum(before, 1)
    squares = np.array(state.squares) + (((found - predicted) / (2 * reach[:, None])) ** 2).sum(1)
    total, count = sums[:, -1], state.rounds + rounds

    mean = total / count
    half = 2 * reach * _crossing(squares, rule.alpha / (2 * n)) / count
    enough = math.log(n / rule.alpha)
    called = [at or (t if log_e[g] >= enough else 0) for g, at in enumerate(state.called)]
    looks = tuple(
        GroupLook(
            group=name,
            estimate=float(found[g].mean()),
            mean=float(mean[g]),
            lower=float(max(mean[g] - half[g], -reach[g])),
            upper=float(min(mean[g] + half[g], reach[g])),
            log_e_value=float(log_e[g]),
            verdict="breach" if called[g] else "no call",
        )
        for g, name in enumerate(pool.groups)
    )
    after = State(t, count, wealth.tolist(), total.tolist(), squares.tolist(), called)
    return after, looks


def _crossing(squares: Floats, alpha: float) -> Floats:
    """What Σ(X − BF)/2r never passes [G], given V [G], but for a chance of `alpha`."""
    cost = -np.log1p(-_SLOPES) - _SLOPES
    lines = (math.log(_SLOPES.size / alpha) + cost * squares[:, None]) / _SLOPES
    lowest: Floats = lines.min(axis=1)
    return lowest
