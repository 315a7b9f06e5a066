"""How alike two tasks are in domain, format and output space, by word counts. Pure.

A word is a run of letters, digits or underscores in lower case. The words that stand in nearly all
prompts of a task are its format; the others are its domain.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from statistics import median
from typing import NamedTuple

from forgetscope.schema.example import Example
from forgetscope.schema.measured import Measured

__all__ = ["Profile", "Similarity", "profiles_of", "similarity"]

_WORD = re.compile(r"\w+")
_NEARLY_ALL = 0.9
"""Share of a task's prompts that hold a word of its format [own choice]."""
_EXACT = "one number of the training examples"


class Profile(NamedTuple):
    """What two tasks are compared by. `weights`: tf-idf of the words of the domain."""

    weights: Mapping[str, float]
    format_words: Set[str]
    options: float
    forms: Set[str]
    outputs: Set[str]


class Similarity(NamedTuple):
    """See `schema.mechanisms.PairSimilarity`."""

    domain: Measured
    format: Measured
    output: Measured


def profiles_of(tasks: Mapping[str, Sequence[Example]]) -> dict[str, Profile]:
    """A profile of each task's training examples.

    The weight of a word is its count in the task's prompts times ln(N/n), with N prompts of all
    tasks, n of which hold the word (Spärck Jones 1972, Journal of Documentation 28, 11-21).
    """
    prompts = {
        task: [_WORD.findall(e.prompt.lower()) for e in examples]
        for task, examples in tasks.items()
    }
    holding = {
        task: Counter(word for words in found for word in set(words))
        for task, found in prompts.items()
    }
    total = sum(len(found) for found in prompts.values())
    everywhere = sum(holding.values(), Counter[str]())
    shared = {
        task: {w for w, n in holding[task].items() if n >= _NEARLY_ALL * len(found)}
        for task, found in prompts.items()
    }
    formats = frozenset().union(*shared.values())
    return {
        task: Profile(
            weights={
                word: count * math.log(total / everywhere[word])
                for word, count in Counter(w for words in prompts[task] for w in words).items()
                if word not in formats
            },
            format_words=shared[task],
            options=float(median(len(e.options) for e in examples)),
            forms={e.form for e in examples},
            outputs={e.target.strip().lower() for e in examples},
        )
        for task, examples in tasks.items()
    }


def similarity(one: Profile, other: Profile) -> Similarity:
    """From 0 (nothing in common) to 1 (alike)."""
    words = _jaccard(one.format_words, other.format_words)
    most = max(one.options, other.options)
    parts = [min(one.options, other.options) / most if most else 1.0]
    parts += [float(one.forms == other.forms), 1.0 if words is None else words]
    output = _jaccard(one.outputs, other.outputs)
    return Similarity(
        domain=_measured(_cosine(one.weights, other.weights), "a task has no word of its own"),
        format=_measured(sum(parts) / len(parts), ""),
        output=_measured(output, "there is no target"),
    )


def _jaccard(one: Set[str], other: Set[str]) -> float | None:
    union = len(one | other)
    return len(one & other) / union if union else None


def _cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float | None:
    scale = math.sqrt(sum(w * w for w in one.values()) * sum(w * w for w in other.values()))
    if scale == 0:
        return None
    return min(1.0, sum(weight * other.get(word, 0.0) for word, weight in one.items()) / scale)


def _measured(value: float | None, reason: str) -> Measured:
    if value is None:
        return Measured(reason=reason)
    return Measured(value=value, interval_reason=_EXACT)
