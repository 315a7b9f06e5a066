"""Same input, same bytes: threads, seeds and deterministic kernels, put back afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["deterministic", "seed_torch"]


def seed_torch(*parts: int) -> None:
    """Seed torch's generators (all devices) from whole numbers; other parts, other stream."""
    torch.manual_seed(int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1))


@contextmanager
def deterministic(device: str, *, threads: int, seed: int) -> Iterator[None]:
    """Run a block with fixed threads, a fixed seed and, on the CPU, deterministic kernels only.

    The number of threads decides how sums are split, so results are equal byte for byte only for
    equal `threads`. On CUDA the seed is fixed but the kernels are not forced: several have no
    deterministic form. State of torch that this changes is restored at the end.
    """
    old_threads = torch.get_num_threads()
    old_strict = torch.are_deterministic_algorithms_enabled()
    old_state = torch.get_rng_state()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(device == "cpu")
    seed_torch(seed)
    try:
        yield
    finally:
        torch.set_num_threads(old_threads)
        torch.use_deterministic_algorithms(old_strict)
        torch.set_rng_state(old_state)
