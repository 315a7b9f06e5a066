"""The measured noise floor in results and report."""

from pathlib import Path

import pytest
from services.analysis.fabricate import analyse_work, manifest, report_work

from forgetscope.analysis.noise import noise_line
from forgetscope.analysis.stage import stages
from forgetscope.app.noise_file import write_noise
from forgetscope.core.inference.noise import noise_floor
from forgetscope.core.predictions import Prediction
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.noise import NoiseCondition, NoiseFloor
from forgetscope.schema.results import Results


def measured(changed: int, items: int) -> NoiseFloor:
    """Of the items, the first `changed` have another choice one at a time."""

    def answers(moved: int) -> list[Prediction]:
        return [
            Prediction(
                id=f"i{i}",
                cluster=f"i{i}",
                groups=(),
                form="choice",
                answer=0,
                choice=int(i < moved),
                correct=i >= moved,
                unscored=None,
                scores=(-2.0, -1.5) if i < moved else (-1.0, -1.5),
                text=None,
            )
            for i in range(items)
        ]

    def condition(name: str) -> NoiseCondition:
        return NoiseCondition.model_validate(
            {
                "name": name,
                "engine": "transformers",
                "engine_version": "5.0",
                "tokens_per_call": None,
                "batch_tokens": 8192,
                "shuffled": False,
            }
        )

    said = [(condition("usual"), answers(0)), (condition("single"), answers(changed))]
    return noise_floor(said, dtype="bfloat16", device="cpu")


def analysed(
    folder: Path, floor: NoiseFloor | None, settings: JsonObject | None = None
) -> tuple[Results, str]:
    """Results and report of an experiment with this floor on its safety task."""
    work, io = analyse_work(folder, settings={"bootstrap_replicates": 200} | (settings or {}))
    if floor is not None:
        place = folder / "noise-0"
        place.mkdir()
        write_noise(place, floor)
        io.inputs = {**io.inputs, "noise-0": place}
        work.inputs["noise-0"] = manifest("noise-0", "noise_floor")
        work.params["noise"] = [{"role": "noise-0", "task": "safety", "chain": [], "seed": None}]
    stages()["analyse"](work, io)
    stages()["report"](*report_work(folder))
    text = (folder / "analysed/results.json").read_text("utf-8")
    return Results.model_validate_json(text), (folder / "reported/report.html").read_text("utf-8")


def notes_about_noise(results: Results) -> list[str]:
    return [note for note in results.notes if "noise floor" in note]


def test_a_margin_below_the_floor_is_not_judged_on_that_task_alone(tmp_path: Path) -> None:
    results, _ = analysed(tmp_path, measured(20, 100))
    rows = {row.task: row for row in results.forgetting}
    safety, capability = rows["safety"], rows["capability"]
    assert safety.forgetting.low is not None
    assert safety.forgetting.low > safety.verdict.margin, "a breach, but for the noise"
    for verdict in (safety.verdict, *(group.verdict for group in safety.groups)):
        assert verdict.verdict == "underpowered"
        assert "below the noise floor 0.2" in verdict.reason
    assert "below the noise floor" not in capability.verdict.reason


def test_a_margin_above_the_floor_is_judged(tmp_path: Path) -> None:
    results, _ = analysed(tmp_path, measured(1, 400))
    (safety,) = [row for row in results.forgetting if row.task == "safety"]
    assert safety.verdict.verdict == "breach"
    assert "not measured" not in safety.verdict.reason
    assert notes_about_noise(results) == []


def test_results_and_report_show_the_floor_of_each_task_and_its_model(tmp_path: Path) -> None:
    floor = measured(1, 400)
    results, page = analysed(tmp_path, floor)
    (one,) = results.noise
    assert (one.task, one.chain, one.seed, one.measured) == ("safety", (), None, floor)
    assert page.count("noise floor 0.2") == 1, "beside the task"
    assert "Noise floor of safety" in page
    assert "1 of 400 items changed under 2 conditions" in page
    assert "transformers 5.0, bfloat16, cpu), on the base model" in page


def test_forgetting_smaller_than_the_floor_gets_a_caution(tmp_path: Path) -> None:
    results, page = analysed(tmp_path, measured(60, 100))
    (note,) = notes_about_noise(results)
    assert "1 of 1 changes of accuracy are smaller than the noise floor of 60.0" in note
    assert note in page


def test_too_few_items_for_the_margin_are_said(tmp_path: Path) -> None:
    results, _ = analysed(tmp_path, measured(0, 20))
    (note,) = notes_about_noise(results)
    assert "measured on 20 items: too few" in note
    assert next(r for r in results.forgetting if r.task == "safety").verdict.verdict == "breach"


def test_a_floor_that_could_not_be_measured_is_said_and_judges_nothing(tmp_path: Path) -> None:
    nothing = measured(0, 1).model_copy(
        update={"items": 0, "left_out": 1, "floor": None, "bound": None, "reason": "no item"}
    )
    results, page = analysed(tmp_path, nothing)
    assert notes_about_noise(results) == ["The noise floor of safety is not known: no item."]
    assert "not known: no item" in page
    (safety,) = [row for row in results.forgetting if row.task == "safety"]
    assert safety.verdict.reason.endswith("the noise floor was not measured")


def test_without_measurement_the_report_has_no_noise_floor(tmp_path: Path) -> None:
    results, page = analysed(tmp_path, None)
    assert results.noise == ()
    assert "Noise floor" not in page


def test_a_line_about_texts_says_how_many_changed() -> None:
    floor = measured(0, 10)
    texts = floor.pairs[0].model_copy(update={"texts": 8, "changed_texts": 2})
    assert "up to 25.0" in noise_line(floor.model_copy(update={"pairs": (texts,)}))


def test_a_missing_noise_file_names_itself(tmp_path: Path) -> None:
    work, io = analyse_work(tmp_path)
    io.inputs = {**io.inputs, "noise-0": tmp_path}
    work.params["noise"] = [{"role": "noise-0", "task": "safety", "chain": [], "seed": None}]
    with pytest.raises(InvalidInput, match="noise floor"):
        stages()["analyse"](work, io)
