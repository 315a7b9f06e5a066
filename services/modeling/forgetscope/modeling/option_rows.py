"""Options that share tokens are scored by one pass over the shared ones.

An option's last token is only predicted, never read, so the sequence to read is the prompt and the
option without its last token. All options of one token have the same sequence, the prompt alone;
longer ones share a sequence where they differ in the last token only.
"""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["ChoiceItem", "Row", "RowScore", "Tokens", "assemble", "rows_of"]

Tokens = tuple[int, ...]


class ChoiceItem(NamedTuple):
    """A prompt, and the options that may follow it. None of them is empty."""

    prompt: Tokens
    options: tuple[Tokens, ...]


class Row(NamedTuple):
    """A sequence to read. `lasts` are the different tokens to predict after it, `owners` the
    (item, option, index into lasts) that they belong to."""

    prompt: Tokens
    prefix: Tokens
    lasts: Tokens
    owners: tuple[tuple[int, int, int], ...]

    @property
    def tokens(self) -> Tokens:
        return self.prompt + self.prefix


class RowScore(NamedTuple):
    """Log-probabilities in nats: of the prefix given the prompt (a sum; 0 without a prefix), and
    of each last token given both."""

    prefix: float
    lasts: Sequence[float]


def rows_of(items: Sequence[ChoiceItem]) -> list[Row]:
    """The rows in order of first need."""
    lasts: dict[tuple[Tokens, Tokens], list[int]] = {}
    owners: dict[tuple[Tokens, Tokens], list[tuple[int, int, int]]] = {}
    for i, item in enumerate(items):
        for o, option in enumerate(item.options):
            row = (item.prompt, option[:-1])
            tokens = lasts.setdefault(row, [])
            if option[-1] not in tokens:
                tokens.append(option[-1])
            owners.setdefault(row, []).append((i, o, tokens.index(option[-1])))
    return [Row(*row, tuple(lasts[row]), tuple(owners[row])) for row in lasts]


def assemble(
    items: Sequence[ChoiceItem], rows: Sequence[Row], scores: Sequence[RowScore]
) -> list[tuple[float, ...]]:
    """Give every option its score back."""
    found: list[list[float]] = [[0.0] * len(item.options) for item in items]
    for row, score in zip(rows, scores, strict=True):
        for item, option, last in row.owners:
            found[item][option] = score.prefix + score.lasts[last]
    return [tuple(options) for options in found]
