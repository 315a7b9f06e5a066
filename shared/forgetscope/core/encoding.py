"""A question and its answer as token ids: one definition for training and for scoring.

The split follows lm-evaluation-harness (`_encode_pair` in `lm_eval/api/model.py`): prompt and
continuation are encoded together, and the continuation is what follows the prompt's own tokens.
Encoding the two apart would cut words where the tokenizer never cuts them.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = ["Encoder", "Fit", "encode_parts", "fit"]


class Encoder(Protocol):
    """Text to token ids, with `bos` in front where the tokenizer adds one, and nothing behind."""

    @property
    def bos(self) -> int | None:
        """Id of the token that begins every text; None where the tokenizer adds none."""

    def __call__(self, text: str) -> list[int]: ...


class Fit(NamedTuple):
    """Ids that fit into the model, or the reason why they cannot.

    `cut` counts the prompt tokens left out. `misfit` is None when the ids may be used; otherwise
    it says why not, and both id lists are empty.
    """

    prompt_ids: list[int]
    continuation_ids: list[int]
    cut: int
    misfit: str | None


def encode_parts(encode: Encoder, prompt: str, continuation: str) -> tuple[list[int], list[int]]:
    """Return (prompt ids, continuation ids).

    Blanks at the end of the prompt are moved to the continuation: byte-pair tokenizers attach a
    blank to the word behind it. BOS, where there is one, stands once, first in the prompt's ids.
    """
    stem = prompt.rstrip()
    continuation = prompt[len(stem) :] + continuation
    prompt_ids = encode(stem)
    return prompt_ids, encode(stem + continuation)[len(prompt_ids) :]


def fit(
    prompt_ids: Sequence[int],
    continuation_ids: Sequence[int],
    max_length: int,
    *,
    bos: int | None = None,
) -> Fit:
    """Cut the prompt from the left so that both parts together have at most `max_length` tokens.

    The end of a prompt holds the question, so its beginning goes; a leading `bos` stays. The
    continuation is never cut: part of an answer is another answer. One prompt token must remain,
    because the first token of the continuation is predicted from it.
    """
    prompt, continuation = list(prompt_ids), list(continuation_ids)
    head = prompt[:1] if bos is not None and prompt[:1] == [bos] else []
    room = max_length - len(continuation)
    misfit = None
    if not continuation:
        misfit = "the answer has no token of its own after the prompt"
    elif not prompt:
        misfit = "there is no prompt token before the answer"
    elif room < 1:
        misfit = (
            f"the answer alone has {len(continuation)} tokens; with one token of the prompt "
            f"it does not fit into {max_length}"
        )
    if misfit is not None:
        return Fit([], [], 0, misfit)
    tail = prompt[len(head) :]
    kept = tail[max(0, len(tail) - (room - len(head))) :]
    return Fit(head + kept, continuation, len(tail) - len(kept), None)
