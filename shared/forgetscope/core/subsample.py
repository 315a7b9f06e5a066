"""Which examples are used when fewer are asked than there are, and which may stand together."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import zip_longest

from forgetscope.schema.errors import InvalidInput, NotEnoughExamples
from forgetscope.schema.example import Example

__all__ = ["folded", "groups_of", "item_key", "rank", "refuse_overlap", "refuse_twins", "subsample"]

# Blanks and punctuation, as characters of a regular expression; what stands between them are words
# in any script. The signs make a sum, a comparison or a number another one, so they are kept.
_PUNCTUATION = r"""\s!"#$'(),.:;?@\[\\\]_`{}\u00a1\u00a7\u00ab\u00ad\u00b6\u00b7\u00bb\u00bf"""
_PUNCTUATION += r"\u2000-\u206f\u3000-\u303f"
_SIGNS = r"+*/%<>=&|~^"
_TOKEN = re.compile(rf"[{_SIGNS}]|(?<!\w)-(?=\s*\d)|[^{_PUNCTUATION}{_SIGNS}-]+")


def rank(*parts: str | int) -> int:
    """A place in a pseudo-random order that depends on the parts alone (256 bits of sha256)."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def folded(text: str) -> str:
    """What two texts have in common that read alike: case, blanks and punctuation are folded."""
    return " ".join(_TOKEN.findall(text.casefold()))


def groups_of(example: Example) -> str:
    """What an item counts as where groups take turns: items of the same several groups are a group
    of their own, and so are items of none."""
    return " + ".join(sorted(example.groups)) or "no group"


def subsample(
    examples: Iterable[Example], n: int | None, seed: int, *, by_groups: bool = False
) -> list[Example]:
    """`n` examples, balanced over `stratum`; all of them when `n` is None.

    `by_groups`: within each stratum over the groups as well, see `groups_of`.

    Strata take turns in a fixed order, each giving its examples in the order of
    `rank(seed, id)`. Hence the counts of two strata differ by at most one, the choice does not
    depend on the order of the input, and the result for n is the beginning of that for n + 1.

    Raises NotEnoughExamples when a stratum runs out before `n` is reached (naming the largest n
    that is possible: a benchmark never shrinks silently), InvalidInput for repeated ids.
    """
    strata: dict[str, list[Example]] = defaultdict(list)
    for example in refuse_twins(examples):
        groups = f"{groups_of(example)}: " if by_groups else ""
        strata[groups + example.stratum].append(example)
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
        if (first := by_id.setdefault(example.id, example)) is not example:
            rows = " and ".join(one.row for one in (first, example) if one.row)
            raise InvalidInput(
                f"two examples have the id {example.id!r}{f' ({rows})' if rows else ''}.",
                hint="Every item needs an id of its own.",
            )
    return list(by_id.values())


def refuse_overlap(train: Iterable[Example], evaluation: Iterable[Example]) -> None:
    """Raises InvalidInput when the splits share a cluster, or an item: its prompt (and, for a
    choice, the set of its options) reads alike in both, see `folded`. Accuracy on the one would
    then say little about the other. The error names an item of each split with file and row.
    """
    train, evaluation = list(train), list(evaluation)
    clusters = {example.cluster: example for example in train}
    if shared := [(clusters[e.cluster], e) for e in evaluation if e.cluster in clusters]:
        trained, asked = min(shared, key=lambda pair: pair[1].cluster)
        count = len({example.cluster for _, example in shared})
        raise InvalidInput(
            f"{count} clusters stand in the training and the evaluation split, "
            f"for example {asked.cluster!r}: {_pair(trained, asked)}.",
            hint="Split the data by cluster.",
        )
    items = {item_key(example): example for example in train}
    if leaks := [(items[key], e) for e in evaluation if (key := item_key(e)) in items]:
        trained, asked = leaks[0]
        raise InvalidInput(
            f"{len(leaks)} items of the evaluation split stand in the training split as well, "
            f"for example {_pair(trained, asked)}.",
            hint="Leave them out of one split, or give those that read alike the same cluster.",
        )


def item_key(example: Example) -> tuple[str, ...]:
    """Equal for items that read alike."""
    return folded(example.prompt), *sorted(map(folded, example.options))


def _pair(trained: Example, asked: Example) -> str:
    return f"{_place(trained)} for training and {_place(asked)} for evaluation"


def _place(example: Example) -> str:
    return f"{example.id!r} ({example.row})" if example.row else repr(example.id)
