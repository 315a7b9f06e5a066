"""Examples as tokens, with the tokenizer of a real model."""

from pathlib import Path

import pytest

from forgetscope.core.encoding import encode_parts
from forgetscope.evaluator.encoding import (
    Remembering,
    budgets,
    encode_choice,
    encode_prompt,
    longest_answer,
)
from forgetscope.evaluator.engines.base import ChoiceItem
from forgetscope.modeling.loading import TokenizerEncoder, load_tokenizer
from forgetscope.schema.example import Exact, Example, Extract, Judged, Score


@pytest.fixture(scope="module")
def encode(base: Path) -> Remembering:
    return Remembering(TokenizerEncoder(load_tokenizer(base)))


def test_options_and_prompt_are_split_as_in_training(
    encode: Remembering, examples: list[Example]
) -> None:
    for example in (e for e in examples if e.form == "choice"):
        item = encode_choice(encode, example, 200)
        assert isinstance(item, ChoiceItem)
        for option, tokens in zip(example.options, item.options, strict=True):
            prompt_ids, option_ids = encode_parts(encode, example.prompt, option)
            assert (item.prompt, tokens) == (tuple(prompt_ids), tuple(option_ids))


def test_a_long_prompt_is_cut_alike_for_all_options(
    encode: Remembering, examples: list[Example]
) -> None:
    example = next(e for e in examples if len(e.options) == 3)
    whole = encode_choice(encode, example, 1000)
    cut = encode_choice(encode, example, 12)
    assert isinstance(whole, ChoiceItem)
    assert isinstance(cut, ChoiceItem)
    assert cut.options == whole.options
    longest = max(len(option) for option in cut.options)
    assert cut.prompt == whole.prompt[-(12 - longest) :]


def test_options_that_the_tokenizer_cannot_tell_apart_are_no_choice(
    examples: list[Example],
) -> None:
    class Blind:
        bos = None

        def __call__(self, text: str) -> list[int]:
            return [1] * len(text.split())

    same = examples[0].model_copy(update={"options": (" yes", " no")})
    assert encode_choice(Blind(), same, 100) == "two options are the same tokens to this tokenizer"


def test_a_generated_answer_has_room_for_the_longest_target_and_its_end(
    encode: Remembering, examples: list[Example]
) -> None:
    texts = [e for e in examples if e.form == "generate"]
    room = longest_answer(encode, texts)
    assert room == 1 + max(len(encode_parts(encode, e.prompt, e.target)[1]) for e in texts)
    prompt = encode_prompt(encode, texts[0], 10, room)
    assert isinstance(prompt, tuple)
    assert len(prompt) == 10 - room
    assert isinstance(encode_prompt(encode, texts[0], room, room), str)


@pytest.mark.parametrize(
    "score", [Exact(answers=(" dog", " black cat")), Extract(pattern=".", answers=(" black cat",))]
)
def test_a_closed_answer_has_room_though_another_is_right(
    encode: Remembering, examples: list[Example], score: Score
) -> None:
    texts = [e for e in examples if e.form == "generate"]
    closed = texts[0].model_copy(update={"score": score})
    long = texts[0].model_copy(update={"target": " black cat"})
    assert longest_answer(encode, [closed]) == longest_answer(encode, [long])
    assert longest_answer(encode, [closed]) > longest_answer(encode, texts)


def test_examples_have_the_room_that_they_ask_for_and_the_others_share_one(
    encode: Remembering, examples: list[Example]
) -> None:
    text = next(e for e in examples if e.form == "generate")
    long = text.model_copy(update={"target": " black cat"})
    reply = text.model_copy(
        update={"target": " and" * 60, "max_new_tokens": 7, "score": Judged(turns=("a",))}
    )
    shared = longest_answer(encode, [long])
    assert budgets(encode, [text, reply, long]) == [shared, 7, shared]
    assert budgets(encode, []) == []
