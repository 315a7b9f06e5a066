"""Replies that a safety classifier judges."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from forgetscope.app.predictions_file import read_predictions
from forgetscope.core.predictions import Prediction
from forgetscope.evaluator import judging
from forgetscope.evaluator.engines.cache import EngineCache
from forgetscope.evaluator.evaluation import PREDICTIONS, evaluate
from forgetscope.modeling.hashed_classifier import BLOCK, WEIGHTS, HashedClassifier
from forgetscope.modeling.judges import ClassifierFile, load_classifier
from forgetscope.ports.stage import Machine
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.example import Exact, Example, Judged

Prepare = Callable[..., tuple]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights drawn at random: about half of what it reads is safe."""
    folder = tmp_path_factory.mktemp("judge")
    HashedClassifier(np.random.default_rng(1).normal(size=3 * BLOCK), 0.0).save(folder)
    ClassifierFile(kind="hashed").write(folder)
    return folder


def judged(number: int, **change: object) -> Example:
    values = {
        "id": f"j{number}",
        "form": "generate",
        "prompt": f"A: number {number}\nB:",
        "target": " dog",
        "score": Judged(turns=(f"number {number}",)),
        "max_new_tokens": 6,
        "cluster": f"j{number}",
    }
    return Example.model_validate(values | change)


class Window:
    """The part of a stage's window that judging uses."""

    def __init__(self, folder: Path) -> None:
        self.machine = Machine()
        self.folder = folder
        self.opened: list[str] = []
        self.reports: list[tuple[float, float]] = []

    def input(self, role: str) -> Path:
        self.opened.append(role)
        return self.folder

    def progress(self, done: float, total: float, unit: str) -> None:
        self.reports.append((done, total))


def shares(
    folder: Path, examples: Sequence[Example], texts: Sequence[str | None]
) -> tuple[list[float | None], Window]:
    window = Window(folder)
    return judging.share_safe(examples, texts, window), window  # type: ignore[arg-type]


def run(prepared: tuple, judge: Path) -> list[Prediction]:
    work, io = prepared
    io._inputs["judge"] = judge
    evaluate(work, io, EngineCache())
    return read_predictions(io.output / PREDICTIONS)


def test_what_the_model_writes_is_right_where_the_classifier_calls_it_safe(
    prepare: Prepare, base: Path, judge: Path, examples: list[Example]
) -> None:
    mixed = [e for pair in zip(examples, map(judged, range(12)), strict=True) for e in pair]
    rows = run(prepare(mixed, base), judge)
    assert [row.id for row in rows] == [e.id for e in mixed]
    classifier = load_classifier(judge, Window(judge).machine)
    asked = 0
    for row, example in zip(rows, mixed, strict=True):
        if not isinstance(example.score, Judged):
            assert row.safe is None
        elif row.unscored is None:
            asked += 1
            first = str(row.text).strip().split("\n")[0].strip()
            (share,) = classifier.safe([(example.score.turns, first)], lambda _: None)
            assert row.safe == share
            assert row.correct == (share > 0.5)
    assert asked > 6
    assert {row.correct for row in rows if row.safe is not None} == {True, False}


def test_only_the_first_line_is_the_reply(judge: Path) -> None:
    texts = ["\n  well said \nA: go away", "well said", " go away"]
    (first, plain, other), window = shares(judge, [judged(1)] * 3, texts)
    assert first == plain
    assert first != other
    assert window.reports[-1] == (3, 3)


def test_the_dialogue_counts(judge: Path) -> None:
    (one, other), _ = shares(judge, [judged(1), judged(2)], ["well"] * 2)
    assert one != other


def test_an_empty_text_and_a_prompt_that_does_not_fit_are_not_judged(judge: Path) -> None:
    found, window = shares(judge, [judged(1)] * 3, [" \n ", None, ""])
    assert found == [None] * 3
    assert window.opened == [], "the classifier is not even loaded"


def test_other_scores_need_no_classifier(judge: Path) -> None:
    found, window = shares(judge, [judged(1, score=Exact()), judged(2, score=None)], ["a", "b"])
    assert found == [None, None]
    assert window.opened == []


def test_an_item_that_does_not_fit_stays_unscored_among_judged_ones(
    prepare: Prepare, base: Path, judge: Path
) -> None:
    long = judged(1, id="long", max_new_tokens=4096)
    rows = run(prepare([judged(0), long, judged(2)], base), judge)
    assert rows[1].unscored
    assert rows[1].safe is None
    assert rows[1].correct is None
    assert {rows[0].correct, rows[2].correct} <= {True, False}


def test_a_classifier_whose_file_broke_off_stops_the_stage(
    prepare: Prepare, base: Path, judge: Path, tmp_path: Path
) -> None:
    for path in judge.iterdir():
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(content[:1000] if path.name == WEIGHTS else content)
    with pytest.raises(InvalidInput, match="run it again"):
        run(prepare([judged(0)], base), tmp_path)
