"""Prompt and answer as token ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgetscope.core.encoding import encode_parts, fit

BOS = 1


class WordPieces:
    """Cuts before each blank, as byte-pair tokenizers do; longest known piece first."""

    def __init__(self, pieces: list[str], bos: int | None = None) -> None:
        self.pieces = sorted(pieces, key=len, reverse=True)
        self.ids = {piece: i + 10 for i, piece in enumerate(pieces)}
        self.bos = bos

    def __call__(self, text: str) -> list[int]:
        ids = [] if self.bos is None else [self.bos]
        while text:
            piece = next(p for p in self.pieces if text.startswith(p))
            ids.append(self.ids[piece])
            text = text[len(piece) :]
        return ids


ENCODE = WordPieces(["Q", ":", " yes", " ", "y", "e", "s", "A"], bos=BOS)


def test_the_answer_is_what_follows_the_prompt_and_bos_stands_once() -> None:
    prompt, answer = encode_parts(ENCODE, "Q:", " yes")
    assert prompt == [BOS, *(ENCODE.ids[p] for p in "Q:")]
    assert answer == [ENCODE.ids[" yes"]]


def test_a_blank_at_the_end_of_the_prompt_belongs_to_the_answer() -> None:
    assert encode_parts(ENCODE, "Q: ", "yes") == encode_parts(ENCODE, "Q:", " yes")


def test_a_tokenizer_without_bos_gets_none() -> None:
    prompt, _ = encode_parts(WordPieces(["Q", " A"]), "Q", " A")
    assert prompt == [10]


def test_a_long_prompt_loses_its_beginning_but_not_bos() -> None:
    fitted = fit([BOS, 5, 6, 7, 8], [9, 9], 5, bos=BOS)
    assert fitted == ([BOS, 7, 8], [9, 9], 2, None)


def test_without_bos_the_first_token_goes_first() -> None:
    assert fit([5, 6, 7, 8], [9], 3) == ([7, 8], [9], 2, None)


def test_what_fits_is_left_alone() -> None:
    assert fit([BOS, 5], [9], 3, bos=BOS) == ([BOS, 5], [9], 0, None)


@pytest.mark.parametrize(
    ("prompt", "answer", "limit", "reason"),
    [
        ([BOS, 5], [9, 9, 9], 3, "the answer alone has 3 tokens"),
        ([BOS, 5], [], 8, "no token of its own"),
        ([], [9], 8, "no prompt token"),
    ],
)
def test_what_cannot_be_predicted_is_refused_with_a_reason(
    prompt: list[int], answer: list[int], limit: int, reason: str
) -> None:
    fitted = fit(prompt, answer, limit, bos=BOS)
    assert reason in str(fitted.misfit)
    assert fitted.prompt_ids == fitted.continuation_ids == []


@given(
    tail=st.lists(st.integers(2, 9), max_size=20),
    answer=st.lists(st.integers(2, 9), min_size=1, max_size=8),
    limit=st.integers(1, 30),
    with_bos=st.booleans(),
)
def test_a_fit_keeps_the_answer_the_end_of_the_prompt_and_the_limit(
    tail: list[int], answer: list[int], limit: int, with_bos: bool
) -> None:
    prompt = [BOS, *tail] if with_bos else tail
    fitted = fit(prompt, answer, limit, bos=BOS if with_bos else None)
    if fitted.misfit is not None:
        assert not prompt or len(answer) + 1 > limit
        return
    assert fitted.continuation_ids == answer
    assert len(fitted.prompt_ids) + len(answer) == min(limit, len(prompt) + len(answer))
    kept = fitted.prompt_ids[1:] if with_bos else fitted.prompt_ids
    assert kept == tail[len(tail) - len(kept) :]
    assert not with_bos or fitted.prompt_ids[0] == BOS
    assert fitted.cut == len(prompt) - len(fitted.prompt_ids)
