"""Judging, and the file that keeps what was judged."""

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgetscope.app.predictions_file import read_predictions, write_predictions
from forgetscope.core.predictions import Prediction, judge_choice, predict
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Example, Judged

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, min_size=2, max_size=6), st.integers(0, 5))
def test_the_first_of_the_best_options_is_the_choice(scores: list[float], answer: int) -> None:
    verdict = judge_choice(scores, answer)
    assert verdict.choice == scores.index(max(scores))
    assert verdict.correct == (verdict.choice == answer)
    assert verdict.unscored is None


@given(st.lists(finite, max_size=3), st.lists(finite, max_size=3))
def test_one_score_that_is_not_finite_leaves_the_item_unscored(
    before: list[float], after: list[float]
) -> None:
    for broken in (math.nan, math.inf, -math.inf):
        verdict = judge_choice([*before, broken, *after], 0)
        assert (verdict.choice, verdict.correct) == (None, None)
        assert verdict.unscored


def rows() -> list[Prediction]:
    choice = Example(
        id="a",
        prompt="p",
        options=(" x", " y"),
        answer=1,
        target=" y",
        groups=("g", "h"),
        cluster="c",
    )
    text = Example(id="b", form="generate", prompt="p", target=" z", cluster="d")
    reply = text.model_copy(update={"score": Judged(turns=("hello",))})
    return [
        predict(reply, text="good day", safe=0.25),
        predict(choice, scores=(-1.5, -0.25)),
        predict(choice, unscored="too long"),
        predict(choice, scores=(math.nan, 0.0)),
        predict(text, text=" z\u00e9"),
        predict(text, text=""),
    ]


def test_predictions_come_back_as_they_were_written(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p", rows())
    assert read_predictions(tmp_path / "p") == rows()


def test_equal_predictions_are_equal_bytes(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p", rows())
    write_predictions(tmp_path / "q", rows())
    assert (tmp_path / "p").read_bytes() == (tmp_path / "q").read_bytes()


def test_a_file_without_rows_is_still_a_file_of_predictions(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p", [])
    assert read_predictions(tmp_path / "p") == []


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no parquet")
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "table")
    for name in ("text", "table"):
        with pytest.raises(InvalidInput):
            read_predictions(tmp_path / name)
