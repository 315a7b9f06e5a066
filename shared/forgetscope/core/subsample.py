"""Which examples are used when fewer are asked than there are."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from itertools import zip_longest

from forgetscope.schema.errors import InvalidInput, NotEnoughExamples
from forgetscope.schema.example import Example

__all__ = ["rank", "refuse_overlap", "refuse_twins", "subsample"]


def rank(*parts: str | int) -> int:
    """A place in a pseudo-random order that depends on the parts alone (256 bits of sha256)."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def subsample(examples: Iterable[Example], n: int | None, seed: int) -> list[Example]:
    """`n` examples, balanced over `stratum`; all of them when `n` is None.

    Strata take turns in a fixed order, each giving its examples in the order of
    `rank(seed, id)`. Hence the counts of two strata differ by at most one, the choice does not
    depend on the order of the input, and the result for n is the beginning of that for n + 1.

    Raises NotEnoughExamples when a stratum runs out before `n` is reached (naming the largest n
    that is possible: a benchmark never shrinks silently), InvalidInput for repeated ids.
    """
    strata: dict[str, list[Example]] = defaultdict(list)
    for example in refuse_twins(examples):
        strata[example.stratum].append(example)
    order = sorted(strata, key=lambda stratum: rank(seed, "stratum", stratum))
    for stratum in order:
        strata[stratum].sort(key=lambda example: rank(seed, "example", example.id))
    rounds = zip_longest(*(strata[stratum] for stratum in order))
    turns = [(order[i], example) for turn in rounds for i, example in enumerate(turn)]
    taken = turns if n is None else turns[:n]
    most = next((i for i, (_, example) in enumerate(taken) if example is None), len(taken))
    if n is not None and most < n:
        short = f" of {order[most % len(order)]!r}" if len(order) > 1 else ""
        held = len(strata[order[most % len(order)]]) if order else 0
        raise NotEnoughExamples(
            f"{n} examples asked, but there are only {held} examples{short}.",
            hint=f"At most {most} can be drawn"
            + (f", balanced over {len(order)} strata." if len(order) > 1 else "."),
        )
    return [example for _, example in taken if example is not None]


def refuse_twins(examples: Iterable[Example]) -> list[Example]:
    """The examples as a list. Raises InvalidInput when two have the same id."""
    by_id: dict[str, Example] = {}
    for example in examples:
        if by_id.setdefault(example.id, example) is not example:
            raise InvalidInput(f"two examples have the id {example.id!r}.")
    return list(by_id.values())


def refuse_overlap(train: Iterable[Example], evaluation: Iterable[Example]) -> None:
    """Raises InvalidInput when a cluster stands in both splits: its items are not independent, so
    accuracy on the one would say little about the other."""
    shared = {e.cluster for e in train} & {e.cluster for e in evaluation}
    if shared:
        raise InvalidInput(
            f"{len(shared)} clusters stand in the training and the evaluation split, "
            f"for example {min(shared)!r}.",
            hint="Split the data by cluster.",
        )
