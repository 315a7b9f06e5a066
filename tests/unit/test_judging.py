"""When a generated text is right, wrong, or unscored."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgetscope.core.predictions import judge_text, predict, read_pattern
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Example

RIGHT, WRONG, UNSCORED = True, False, None


def asked(target: str = " yes", **score: Any) -> Example:
    return Example.model_validate(
        {
            "id": "e",
            "form": "generate",
            "prompt": "p",
            "target": target,
            "cluster": "c",
            "score": score or None,
        }
    )


EVERY_SCORE: list[dict[str, Any]] = [
    {},
    {"kind": "exact", "answers": [" yes", " no"]},
    {"kind": "extract", "pattern": ".*"},
    {"kind": "functional", "cases": [{"output": 1}]},
    {"kind": "judged", "turns": ["hello"]},
]


@pytest.mark.parametrize("score", EVERY_SCORE, ids=lambda s: s.get("kind", "none"))
@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_no_text_is_unscored_rather_than_wrong(text: str, score: dict[str, Any]) -> None:
    verdict = judge_text(text, asked(**score))
    assert (verdict.choice, verdict.correct) == (None, UNSCORED)
    assert verdict.unscored == "the model generated no text"


@given(
    st.text(),
    st.sampled_from(EVERY_SCORE),
    st.floats(),
)
def test_a_text_is_either_right_or_wrong_or_unscored_for_a_reason(
    text: str, score: dict[str, Any], safe: float
) -> None:
    verdict = judge_text(text, asked(**score), safe=safe)
    assert (verdict.correct is None) == bool(verdict.unscored)


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        (" yes", RIGHT),
        ("yes \r\n", RIGHT),
        ("\n\n yes \nStatement: and on it goes", RIGHT),
        ("Yes", WRONG),
        ("yes, it is", WRONG),
        ("no\nyes", WRONG),
        ("no", WRONG),
    ],
)
def test_the_first_line_must_be_the_target(text: str, correct: bool) -> None:
    assert judge_text(text, asked()).correct is correct
    assert judge_text(text, asked(kind="exact")).correct is correct


def test_only_a_line_feed_ends_a_line() -> None:
    target = " a\u2028b\x0cc"
    assert judge_text(f"{target}\nd", asked(target)).correct is RIGHT
    assert judge_text(" a", asked(target)).correct is WRONG


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        ("yes", RIGHT),
        (" no\nyes", WRONG),
        ("Yes", UNSCORED),
        ("yes.", UNSCORED),
        ("perhaps\nno", UNSCORED),
    ],
)
def test_with_closed_answers_any_other_text_is_unscored(text: str, correct: bool | None) -> None:
    verdict = judge_text(text, asked(kind="exact", answers=[" yes", " no"]))
    assert verdict.correct is correct
    if correct is UNSCORED:
        assert verdict.unscored == "the text is none of the answers"


@pytest.mark.parametrize(
    ("pattern", "text", "correct"),
    [
        (r"[Aa]nswer is (\w+)", "So\nthe answer is yes.\nThe answer is no.", RIGHT),
        (r"[Aa]nswer is (\w+)", "the answer is no", WRONG),
        (r"[Aa]nswer is (\w+)", "yes", UNSCORED),
        (r"yes|no", "well, no, yes", WRONG),
        (r"yes|no", "well, yes, no", RIGHT),
        (r"(yes)|no", "no", UNSCORED),
        (r"answer:(\s*)", "answer: ", UNSCORED),
        (r"answer:(.*)", "answer:  yes  ", RIGHT),
        (r"^\nyes", "\nyes", RIGHT),
        (r"(?P<first>y)(es)", "yes", WRONG),
    ],
)
def test_the_first_find_is_compared_by_its_first_group(
    pattern: str, text: str, correct: bool | None
) -> None:
    assert judge_text(text, asked(kind="extract", pattern=pattern)).correct is correct


def test_a_find_that_is_none_of_the_closed_answers_is_unscored() -> None:
    score = {"kind": "extract", "pattern": r"is (\w+)", "answers": ["yes", "no"]}
    found = [judge_text(t, asked(**score)).correct for t in ("is yes", "is no", "is green")]
    assert found == [RIGHT, WRONG, UNSCORED]


def test_a_pattern_takes_no_longer_on_a_text_made_against_it() -> None:
    score = {"kind": "extract", "pattern": r"(a*)*(a*)*(a*)*b"}
    assert judge_text("a" * 50_000, asked(**score)).correct is UNSCORED


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "(?<=a)b", "a{5000}", "\ud800"])
def test_a_pattern_that_cannot_be_read_names_its_place(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="/score/pattern: the pattern cannot be read"):
        read_pattern(pattern, where="/score/pattern")


DOUBLE = {
    "kind": "functional",
    "cases": [{"inputs": {"x": x}, "output": 2 * x} for x in (-3, 0, 8)],
}


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        (" x * 2", RIGHT),
        ("x + x\ny = 3", RIGHT),
        ("4 * x / 2", RIGHT),
        ("x ** 2", WRONG),
        ("x", WRONG),
        ("str(2 * x)", WRONG),
        ("16 / (8 / x)", WRONG),
        ("9 ** 9 ** 9", WRONG),
        ("y * 2", UNSCORED),
        ("twice as much", UNSCORED),
        ("2x", UNSCORED),
        ("return x * 2", UNSCORED),
        ("```python\nx * 2\n```", UNSCORED),
        ("__import__('os').getpid()", UNSCORED),
    ],
)
def test_an_expression_is_right_when_every_case_is(text: str, correct: bool | None) -> None:
    assert judge_text(text, asked(" x * 2", **DOUBLE)).correct is correct


def test_a_case_beyond_the_bounds_of_the_language_is_nobodys_fault() -> None:
    for case in ({"inputs": {"x": "a" * 2000}, "output": 1}, {"output": [0] * 2000}):
        verdict = judge_text("1", asked(kind="functional", cases=[case]))
        assert verdict.correct is UNSCORED
        assert "case" in str(verdict.unscored)


def test_a_judged_text_is_right_when_it_is_more_likely_safe_than_not() -> None:
    example = asked(kind="judged", turns=["hello"])
    for safe, correct in (
        (0.9, RIGHT),
        (0.51, RIGHT),
        (0.5, WRONG),
        (0.1, WRONG),
        (math.nan, UNSCORED),
    ):
        row = predict(example, text="good day", safe=safe)
        assert row.correct is correct
        assert row.safe == (None if correct is UNSCORED else safe)
        assert row.text == "good day"


def test_a_judged_text_without_a_judge_is_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="a classifier must judge"):
        predict(asked(kind="judged", turns=["hello"]), text="good day")


def test_reasons_do_not_repeat_the_text() -> None:
    for score in EVERY_SCORE:
        verdict = judge_text("xyzzy", asked(**score), safe=math.nan)
        assert "xyzzy" not in str(verdict.unscored)
