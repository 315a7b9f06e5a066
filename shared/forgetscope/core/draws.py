"""How often clusters and seeds are drawn in each replicate of a bootstrap. Pure."""

import numpy as np
import numpy.typing as npt

__all__ = ["cluster_weights", "seed_weights"]

Floats = npt.NDArray[np.float64]


def seed_weights(rng: np.random.Generator, seeds: int, replicates: int) -> Floats:
    """[R, S]: how often each seed is drawn. A single seed cannot be resampled: weight 1."""
    if seeds < 2:
        return np.ones((replicates, seeds))
    return cluster_weights(rng, seeds, replicates)


def cluster_weights(rng: np.random.Generator, clusters: int, replicates: int) -> Floats:
    """[R, C]: how often each of C clusters is drawn in C draws with replacement.

    Multinomial with equal probabilities, drawn as C uniform picks and counted.
    """
    picks = rng.integers(0, clusters, size=(replicates, clusters))
    picks += np.arange(replicates)[:, None] * clusters
    counts = np.bincount(picks.reshape(-1), minlength=replicates * clusters)
    return counts.reshape(replicates, clusters).astype(np.float64)
