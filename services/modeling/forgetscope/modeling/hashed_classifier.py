"""A linear safety classifier over hashed n-grams (Weinberger et al. 2009, arXiv 0902.2206).

Three blocks of features, each with weights of its own: words (1 and 2) of the reply, pieces of
its words (2 to 5 characters), and words (1 and 2) of the latest turn. Earlier turns are not read:
the dialogues that it learns from have one turn. Each block of a text has length 1, so that length
alone says nothing.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import sparse
from scipy.special import expit
from sklearn.feature_extraction.text import HashingVectorizer

from forgetscope.modeling.judges import Asked, Report
from forgetscope.schema.errors import InvalidInput

__all__ = ["WEIGHTS", "HashedClassifier", "features"]

WEIGHTS = "weights.safetensors"
BLOCK = 1 << 18
_BLOCKS = 3
_AT_ONCE = 512
Floats = npt.NDArray[np.float64]


def features(asked: Sequence[Asked]) -> Any:
    """A sparse matrix [replies, 3 · 2¹⁸] in CSR form."""
    words, pieces = _vectorizers()
    replies = [reply for _, reply in asked]
    latest = [turns[-1] if turns else "" for turns, _ in asked]
    blocks = (words.transform(replies), pieces.transform(replies), words.transform(latest))
    return sparse.hstack(blocks, format="csr")


@cache
def _vectorizers() -> tuple[HashingVectorizer, HashingVectorizer]:
    settings = {"n_features": BLOCK, "alternate_sign": False, "norm": "l2"}
    words = {"ngram_range": (1, 2), "token_pattern": r"\b\w+\b|[!?]"}
    pieces = {"ngram_range": (2, 5), "analyzer": "char_wb"}
    return HashingVectorizer(**words, **settings), HashingVectorizer(**pieces, **settings)


class HashedClassifier:
    """`weights` [3 · 2¹⁸] and `bias` give the log-odds of safe."""

    def __init__(self, weights: Floats, bias: float) -> None:
        self._weights = weights
        self._bias = bias

    def safe(self, asked: Sequence[Asked], report: Report) -> list[float]:
        found: list[float] = []
        for start in range(0, len(asked), _AT_ONCE):
            odds = features(asked[start : start + _AT_ONCE]) @ self._weights + self._bias
            found += expit(odds).tolist()
            report(len(found) / len(asked))
        return found

    def save(self, folder: Path) -> None:
        """Write the weights as float32: the same weights, the same bytes."""
        tensors = {"weights": self._weights, "bias": np.array([self._bias])}
        save_file({k: v.astype(np.float32) for k, v in tensors.items()}, folder / WEIGHTS)

    @classmethod
    def load(cls, folder: Path) -> "HashedClassifier":
        """Raises InvalidInput when the file is missing, not whole, or of another shape."""
        try:
            tensors = load_file(folder / WEIGHTS)
            weights, (bias,) = tensors["weights"], tensors["bias"]
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise _broken(type(error).__name__) from error
        if weights.shape != (_BLOCKS * BLOCK,) or not np.isfinite([weights.sum(), bias]).all():
            raise _broken("the weights are not finite numbers of the right count")
        return cls(weights.astype(np.float64), float(bias))


def _broken(why: str) -> InvalidInput:
    return InvalidInput(
        f"the weights of the safety classifier cannot be read ({why}).",
        where=WEIGHTS,
        hint="Delete the stage that prepares the classifier, and run it again.",
    )
