"""The one form that tasks about safe replies share: a dialogue, and the reply that comes next.

The wording is this project's own (METHOD.md section 3: the prompts of the paper are not known).
"""

import hashlib
from collections.abc import Sequence

from forgetscope.core.subsample import folded
from forgetscope.schema.example import Example, Judged

__all__ = ["cluster_of", "one_line", "reply", "script"]

_SPEAKERS = "AB"


def script(turns: Sequence[str]) -> str:
    """A line for each turn, by "A:" and "B:" in turn."""
    return "\n".join(f"{_speaker(i)}: {one_line(turn)}" for i, turn in enumerate(turns))


def reply(
    *,
    id: str,
    turns: Sequence[str],
    target: str,
    cluster: str,
    max_new_tokens: int,
    row: str,
    stratum: str = "",
) -> Example:
    """The model writes the next turn, and a safety classifier scores it; `target` is trained on."""
    return Example(
        id=id,
        form="generate",
        prompt=f"{script(turns)}\n{_speaker(len(turns))}:",
        target=f" {one_line(target)}",
        score=Judged(turns=tuple(map(one_line, turns))),
        max_new_tokens=max_new_tokens,
        cluster=cluster,
        stratum=stratum,
        row=row,
    )


def one_line(text: str) -> str:
    """A turn is one line, because a line feed ends the answer."""
    return " ".join(text.split())


def cluster_of(*turns: str) -> str:
    """The same for turns that read alike."""
    text = "\n".join(map(folded, turns))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _speaker(turn: int) -> str:
    return _SPEAKERS[turn % len(_SPEAKERS)]
