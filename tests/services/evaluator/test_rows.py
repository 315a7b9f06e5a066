"""Sharing of tokens between options changes no score."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from forgetscope.modeling.option_rows import ChoiceItem, RowScore, Tokens, assemble, rows_of

tokens = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple)
items = st.lists(
    st.builds(ChoiceItem, tokens, st.lists(tokens, min_size=1, max_size=4).map(tuple)), max_size=6
)


def logp(context: Tokens, token: int) -> float:
    """Stands for a model: a number that depends on everything before the token."""
    return -float(zlib.crc32(repr((context, token)).encode()) % 1000)


def chain(context: Tokens, more: Tokens) -> float:
    return sum(logp(context + more[:k], token) for k, token in enumerate(more))


@given(items)
def test_every_option_gets_the_score_it_has_alone(found: list[ChoiceItem]) -> None:
    rows = rows_of(found)
    scores = [
        RowScore(chain(r.prompt, r.prefix), [logp(r.tokens, token) for token in r.lasts])
        for r in rows
    ]
    assert assemble(found, rows, scores) == [
        tuple(chain(item.prompt, option) for option in item.options) for item in found
    ]


def test_options_of_one_token_need_the_prompt_once() -> None:
    rows = rows_of([ChoiceItem((1, 2), ((3,), (4,), (5,))), ChoiceItem((1, 2), ((3,), (6,)))])
    assert [(row.tokens, row.lasts) for row in rows] == [((1, 2), (3, 4, 5, 6))]


def test_options_that_differ_in_the_last_token_are_read_once() -> None:
    rows = rows_of([ChoiceItem((1,), ((7, 8, 9), (7, 8, 5), (7, 6)))])
    assert [row.tokens for row in rows] == [(1, 7, 8), (1, 7)]
