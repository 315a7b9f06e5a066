"""Examples as token ids that fit into the model, or the reason why they do not."""

from collections.abc import Sequence
from functools import lru_cache

from forgetscope.core.encoding import Encoder, encode_parts, fit
from forgetscope.evaluator.engines.base import Tokens
from forgetscope.modeling.options import encode_choice
from forgetscope.schema.example import Exact, Example, Extract

__all__ = [
    "Remembering",
    "budgets",
    "encode_choice",
    "encode_prompt",
    "longest_answer",
    "possible_answers",
]


class Remembering:
    """An encoder that remembers its last texts: all options of an example share a prompt, and a
    small model reads an example faster than the tokenizer does."""

    def __init__(self, encode: Encoder) -> None:
        self.bos = encode.bos
        self._encode = lru_cache(maxsize=8)(encode)

    def __call__(self, text: str) -> list[int]:
        return list(self._encode(text))


def encode_prompt(
    encode: Encoder, example: Example, max_length: int, new_tokens: int
) -> Tokens | str:
    """The prompt with room for `new_tokens` behind it, or why it stays unscored."""
    prompt_ids, _ = encode_parts(encode, example.prompt, example.target)
    room = fit(prompt_ids, [0] * new_tokens, max_length, bos=encode.bos)
    return tuple(room.prompt_ids) if room.misfit is None else room.misfit


def budgets(encode: Encoder, examples: Sequence[Example]) -> list[int]:
    """How many tokens the model may write for each of the examples.

    One that does not say so may be as long as the longest of the targets and closed answers among
    all such examples, and its end: a budget of its own would tell how long the right answer is.
    """
    shared = longest_answer(encode, [e for e in examples if e.max_new_tokens is None])
    return [e.max_new_tokens or shared for e in examples]


def longest_answer(encode: Encoder, examples: Sequence[Example]) -> int:
    """The tokens of the longest target or closed answer, and of its end."""
    lengths = (
        len(encode_parts(encode, example.prompt, answer)[1])
        for example in examples
        for answer in possible_answers(example)
    )
    return max(lengths, default=0) + 1


def possible_answers(example: Example) -> tuple[str, ...]:
    """The target, and the closed answers where there are such."""
    closed = example.score.answers if isinstance(example.score, Exact | Extract) else ()
    return (example.target, *closed)
