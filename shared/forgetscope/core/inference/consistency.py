"""Do groups rank alike across task pairs? Kendall's W, Friedman, permutation, Spearman."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from forgetscope.core.inference.permutations import PermutationTest, permute_rows
from forgetscope.schema.results import Measured

__all__ = ["Consistency", "consistency"]

Floats = npt.NDArray[np.float64]

_DECIMALS = 12
"""Values are rounded before they are ranked, so that a rounding error does not break a tie."""


class Consistency(NamedTuple):
    """How far `pairs` task pairs agree about the order of `groups`."""

    groups: tuple[str, ...]
    """the groups that are defined in every pair; the others are in `left_out`"""
    left_out: dict[str, str]
    """group → why it does not take part"""
    pairs: int
    kendall_w: Measured
    """0 = no agreement, 1 = the same order in every pair"""
    friedman: Measured
    friedman_degrees: int
    friedman_p: Measured
    """from the χ² distribution; rough for few pairs and few groups"""
    spearman: Measured
    """mean over all couples of pairs"""
    permutation: PermutationTest
    """every pair permuted by itself: right if the pairs were independent"""
    block_permutation: PermutationTest
    """pairs that share a first stage permuted together"""


def consistency(
    values: Floats,
    groups: Sequence[str],
    blocks: Sequence[Hashable],
    rng: np.random.Generator,
    *,
    draws: int,
) -> Consistency:
    """Agreement of m pairs about the ranks of k groups.

    With R_g the sum over the pairs of the ranks of group g (ties: mean ranks) and t the sizes of
    the ties of a pair, `W = 12·Σ_g (R_g − mean R)² / (m²(k³ − k) − m·Σ(t³ − t))` and
    `χ² = m(k − 1)W` with k − 1 degrees of freedom (Kendall & Babington Smith 1939, Annals of
    Mathematical Statistics 10, 275-287; ties: Siegel & Castellan 1988; Friedman 1937,
    JASA 32, 675-701). Without ties the mean Spearman correlation is (mW − 1)/(m − 1).

    The permutation tests ask how often W is at least as large when the names of the groups are
    shuffled, by pair or by block (`permutations.permute_rows`). Pairs of a block share the model
    after the first stage, hence its errors; the test by pair then gives a p that is too small.

    Args:
        values: [m, k], e.g. biased forgetting; NaN = undefined.
        groups: names of the k groups.
        blocks: for each pair, what names its first stage (model, task, seed).
        rng: draws the permutations when there are too many to try all.
        draws: how many permutations are then drawn.

    Everything is undefined, with the reason, for fewer than 2 pairs, fewer than 3 complete groups,
    or when the groups tie in every pair; Spearman also when they tie in one pair.

    Raises:
        ValueError: lengths that do not belong together.
    """
    if values.shape != (len(blocks), len(groups)):
        raise ValueError(f"values {values.shape}, {len(blocks)} blocks, {len(groups)} groups")
    missing = np.isnan(values).sum(axis=0)
    left_out = {
        name: f"undefined in {gaps} of {len(blocks)} pairs"
        for name, gaps in zip(groups, missing, strict=True)
        if gaps
    }
    kept = tuple(name for name in groups if name not in left_out)
    reason = _why_not(len(blocks), len(kept))
    if reason is not None:
        return _undefined(kept, left_out, len(blocks), reason)

    ranks = stats.rankdata(np.round(values[:, missing == 0], _DECIMALS), axis=1)  # [m, k]
    m, k = ranks.shape
    ties = [np.unique(row, return_counts=True)[1] for row in ranks]
    largest = m**2 * (k**3 - k) - m * sum(int((t**3 - t).sum()) for t in ties)
    if largest == 0:
        return _undefined(kept, left_out, m, "the groups tie in every pair")
    centred = ranks - (k + 1) / 2
    w = float(12 * (centred.sum(axis=0) ** 2).sum() / largest)
    chi2 = m * (k - 1) * w
    block_of = {name: i for i, name in enumerate(dict.fromkeys(blocks))}
    by_block = np.zeros((len(block_of), k))
    np.add.at(by_block, [block_of[name] for name in blocks], centred)
    return Consistency(
        groups=kept,
        left_out=left_out,
        pairs=m,
        kendall_w=Measured(value=w),
        friedman=Measured(value=chi2),
        friedman_degrees=k - 1,
        friedman_p=Measured(value=float(stats.chi2.sf(chi2, k - 1))),
        spearman=_mean_spearman(centred),
        permutation=permute_rows(centred, rng, draws=draws, unit="pair"),
        block_permutation=permute_rows(by_block, rng, draws=draws, unit="first stage"),
    )


def _why_not(pairs: int, groups: int) -> str | None:
    if pairs < 2:
        return "agreement needs at least 2 pairs"
    if groups < 3:
        return f"{groups} groups are defined in every pair; an order worth comparing needs 3"
    return None


def _undefined(
    groups: tuple[str, ...], left_out: dict[str, str], pairs: int, reason: str
) -> Consistency:
    none = Measured(reason=reason)
    no_test = PermutationTest(none, exact=True, permutations=0)
    degrees = max(len(groups) - 1, 0)
    return Consistency(groups, left_out, pairs, none, none, degrees, none, none, no_test, no_test)


def _mean_spearman(centred: Floats) -> Measured:
    """Mean over couples of rows of the correlation of their ranks ([m, k], centred)."""
    norms = np.sqrt((centred**2).sum(axis=1))
    if (norms == 0).any():
        return Measured(reason="the groups tie in at least one pair")
    unit = centred / norms[:, None]
    m = unit.shape[0]
    together = float((unit.sum(axis=0) ** 2).sum())
    return Measured(value=(together - m) / (m * (m - 1)))
