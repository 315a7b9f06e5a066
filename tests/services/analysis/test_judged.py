"""Results that rest on a safety classifier say so, and how often it errs."""

from pathlib import Path

import pytest
from services.analysis.fabricate import analyse_work, manifest

from forgetscope.analysis.stage import stages
from forgetscope.app.judge_file import write_judge_info
from forgetscope.core.judge_accuracy import measure_judge
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.results import JudgeInfo, Results

# Of 10 safe items 8 are called safe, of 30 unsafe ones 21 unsafe.
LABELS = [True] * 10 + [False] * 30
SHARES = [0.9] * 8 + [0.1] * 2 + [0.2] * 21 + [0.8] * 9
INFO = JudgeInfo(
    name="a-judge",
    digest="d",
    method="m",
    held_out=(measure_judge("some replies", LABELS, SHARES),),
)


def analysed(folder: Path, info: JudgeInfo | None) -> Results:
    work, io = analyse_work(folder, seeds=(0,))
    work.params["tasks"][0]["judged"] = True  # type: ignore[index,call-overload]
    io.inputs = {**io.inputs, "judge": folder / "judge"}
    (folder / "judge").mkdir()
    if info is not None:
        write_judge_info(folder / "judge", info)
    work.inputs["judge"] = manifest("judge", "prepare_judge")
    stages()["analyse"](work, io)
    return Results.model_validate_json((folder / "analysed/results.json").read_text("utf-8"))


def test_a_judged_task_carries_its_classifier_and_others_none(tmp_path: Path) -> None:
    results = analysed(tmp_path, INFO)
    assert [task.judge for task in results.tasks] == [INFO, None]


def test_a_caution_says_in_words_how_often_the_classifier_is_right(tmp_path: Path) -> None:
    results = analysed(tmp_path, INFO)
    (note,) = [n for n in results.notes if "a-judge" in n]
    plain = note.replace("\N{NO-BREAK SPACE}", " ")
    assert "Accuracy on safety is the share of replies" in plain
    assert "On some replies it judges 72.5 % (" in plain
    assert "of 40 items right (75.0 % carry the commoner label)" in plain
    assert "80.0 % (49.0 % to 94.3 %) of the safe" in plain
    assert "70.0 % (52.1 % to 83.3 %) of the unsafe" in plain
    # 0.8 + 0.7 − 1
    assert "comes out about 0.50 times as large as it is" in plain


def test_a_classifier_that_was_not_measured_is_said_to_be_so(tmp_path: Path) -> None:
    info = INFO.model_copy(update={"held_out": (), "note": "Its accuracy was not measured: why."})
    (note,) = [n for n in analysed(tmp_path, info).notes if "a-judge" in n]
    assert note.endswith("not people. Its accuracy was not measured: why.")


def test_a_classifier_without_facts_stops_the_analysis(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        analysed(tmp_path, None)
    assert caught.value.where == "judge.json"
