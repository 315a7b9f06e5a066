"""The analyse stage on files: what was planted is found, what was not is not."""

import csv
import json
import re
from pathlib import Path
from statistics import fmean

import pytest
from services.analysis.fabricate import (
    GROUPS,
    FolderIO,
    analyse_work,
    evenly,
    planted,
    predictions,
)

from forgetscope.analysis.stage import stages
from forgetscope.analysis.verdict_words import group_verdict
from forgetscope.app.predictions_file import write_predictions
from forgetscope.schema.errors import DataChanged
from forgetscope.schema.results import ChainForgetting, Results


def analysed(folder: Path, **kind: object) -> Results:
    work, io = analyse_work(folder, **kind)  # type: ignore[arg-type]
    stages()["analyse"](work, io)
    return Results.model_validate_json((folder / "analysed/results.json").read_text("utf-8"))


def row(results: Results, *chain: str, position: int = 1) -> ChainForgetting:
    return next(r for r in results.forgetting if (r.chain, r.position) == (chain, position))


def test_biased_forgetting_planted_in_one_group_is_found_there(tmp_path: Path) -> None:
    results = analysed(tmp_path, probability=planted("coral"))
    found = row(results, "safety", "capability")
    groups = {g.group: g for g in found.groups}
    assert set(groups) == set(GROUPS)
    assert groups["coral"].biased.low is not None
    assert groups["coral"].biased.low > 0.1
    assert [g for g in GROUPS if group_verdict(groups[g]).tone == "breach"] == ["coral"]
    assert found.forgetting.low is not None
    assert found.forgetting.low > 0.15
    assert found.per_seed.keys() == {"0", "1", "2"}


def test_no_biased_forgetting_is_found_where_none_was_planted(tmp_path: Path) -> None:
    settings = {"bootstrap_replicates": 500, "confidence": 0.999}
    results = analysed(tmp_path, probability=evenly, settings=settings)
    found = row(results, "safety", "capability")
    assert {group_verdict(g).tone for g in found.groups} <= {"open", "pass"}
    assert found.forgetting.low is not None
    assert found.forgetting.low > 0  # of 25 points: at 99.9 %, three runs leave much open


def test_the_order_effect_is_the_difference_of_both_first_tasks(tmp_path: Path) -> None:
    results = analysed(tmp_path)
    (effect,) = results.order_effects
    safety = row(results, "safety", "capability").forgetting
    capability = row(results, "capability", "safety").forgetting
    assert (effect.safety, effect.capability) == ("safety", "capability")
    assert (effect.safety_first, effect.capability_first) == (safety, capability)
    assert effect.effect.value == pytest.approx((safety.value or 0) - (capability.value or 0))
    assert effect.effect.low is not None
    assert effect.effect.low > 0


def test_the_matrix_has_every_model_on_every_task_with_its_counts(tmp_path: Path) -> None:
    results = analysed(tmp_path, seeds=(0, 1), unscored=0.1)
    assert len(results.matrix) == 2 * (1 + 2 * 4)
    for cell in results.matrix:
        assert cell.overall.scored + cell.overall.unscored == 360
        assert cell.overall.unscored > 0
        assert cell.overall.value == cell.overall.correct / cell.overall.scored
        assert sum(g.scored for g in cell.groups.values()) in {0, cell.overall.scored}
    found = row(results, "safety", "capability")
    assert found.items + found.unscored == 360
    assert any("left out because an item was unscored" in note for note in results.notes)


def test_a_task_that_comes_back_has_a_row_for_each_training_that_something_follows(
    tmp_path: Path,
) -> None:
    results = analysed(
        tmp_path, chains=[("safety", "capability", "safety"), ("safety",)], seeds=(0,)
    )
    assert [(r.task, r.position) for r in results.forgetting] == [("safety", 1), ("capability", 2)]
    recovered = row(results, "safety", "capability", "safety")
    assert recovered.forgetting.value == pytest.approx(0, abs=0.05)
    assert results.order_effects == ()


def test_each_row_compares_the_model_after_its_own_stage_with_the_end_of_the_chain(
    tmp_path: Path,
) -> None:
    chain = ("safety", "capability", "safety", "capability")
    results = analysed(tmp_path, chains=[chain], seeds=(0, 1))

    def accuracy(model: tuple[str, ...], task: str) -> float:
        return fmean(
            c.overall.value or 0.0 for c in results.matrix if (c.chain, c.task) == (model, task)
        )

    assert len(results.forgetting) == 3
    for found in results.forgetting:
        last = accuracy(chain, found.task)
        earlier = [accuracy(chain[:stage], found.task) for stage in (1, 2, 3)]
        assert found.before.value == pytest.approx(earlier[found.position - 1])
        assert found.after.value == pytest.approx(last)
        assert found.forgetting.value == pytest.approx(earlier[found.position - 1] - last)
        assert found.best_minus_last.value == pytest.approx(max(earlier) - last)


def test_chains_of_one_stage_give_a_matrix_alone(tmp_path: Path) -> None:
    results = analysed(tmp_path, chains=[("safety",), ("capability",)], seeds=(0,))
    assert results.matrix
    assert results.forgetting == ()


def test_a_group_with_few_clusters_is_too_small_and_keeps_its_numbers(tmp_path: Path) -> None:
    results = analysed(tmp_path, cluster_size=20)
    for group in row(results, "safety", "capability").groups:
        assert (group.items, group.clusters, group.too_small) == (60, 3, True)
        assert group.forgetting.value is not None
        assert group.biased_macro.value is None
        assert group.biased_macro.reason == (
            "fewer than two groups are large enough for a mean over groups"
        )
        assert group_verdict(group).words == "too small to judge"


def test_a_single_cluster_gives_a_number_without_interval(tmp_path: Path) -> None:
    results = analysed(tmp_path, cluster_size=60, groups=("amber",))
    found = row(results, "safety", "capability").forgetting
    assert found.value is not None
    assert (found.low, found.interval_reason) == (None, "all items are from a single cluster")


def test_a_model_that_gave_no_answer_at_all_is_undefined_with_a_reason(tmp_path: Path) -> None:
    results = analysed(tmp_path, unscored=1.0)
    found = row(results, "safety", "capability")
    assert found.forgetting.value is None
    assert found.forgetting.reason == ("no item was scored under both models in at least one seed")
    assert set(found.per_seed.values()) == {None}
    assert {c.overall.value for c in results.matrix} == {None}


def test_a_task_never_above_chance_has_no_chance_corrected_forgetting(tmp_path: Path) -> None:
    results = analysed(tmp_path, probability=lambda chain, task, group: 0.1)
    found = row(results, "safety", "capability")
    assert found.forgetting.value is not None
    assert found.chance_corrected.value is None
    assert found.chance_corrected.reason == "not above chance after its own stage"


@pytest.mark.parametrize("change", ["order", "number", "cluster"])
def test_models_scored_on_other_items_are_refused(tmp_path: Path, change: str) -> None:
    work, io = analyse_work(tmp_path)
    rows = predictions("safety", ("safety",), 0, planted())
    other = {
        "order": rows[::-1],
        "number": rows[:-1],
        "cluster": [*rows[:-1], rows[-1]._replace(cluster="elsewhere")],
    }[change]
    write_predictions(tmp_path / "cell-2" / "predictions.parquet", other)
    with pytest.raises(DataChanged, match=re.escape("model after safety, seed 0")) as error:
        stages()["analyse"](work, io)
    assert error.value.permanent


def test_equal_work_gives_equal_bytes(tmp_path: Path) -> None:
    analysed(tmp_path / "one")
    analysed(tmp_path / "two")
    for name in ("results.json", "accuracy.csv", "forgetting.csv", "groups.csv"):
        first, second = (tmp_path / side / "analysed" / name for side in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()


def test_results_are_plain_json_with_provenance(tmp_path: Path) -> None:
    work, io = analyse_work(tmp_path)
    meta = stages()["analyse"](work, io)
    text = (tmp_path / "analysed/results.json").read_text("utf-8")
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert list(document) == sorted(document)
    assert document["provenance"]["inputs"]["cell-0"] == work.inputs["cell-0"].stage
    assert document["provenance"]["packages"].keys() == {"forgetscope", "numpy", "scipy", "pyarrow"}
    assert meta == {"forgetting": 2, "order_effects": 1}


def test_progress_rises_to_the_whole(tmp_path: Path) -> None:
    work, io = analyse_work(tmp_path)
    stages()["analyse"](work, io)
    assert isinstance(io, FolderIO)
    assert io.steps == sorted(io.steps)
    assert io.steps[-1] == (len(work.inputs) + 2, len(work.inputs) + 2)


def test_tables_hold_the_numbers_of_the_document(tmp_path: Path) -> None:
    results = analysed(tmp_path, groups=("=SUM(A1)", "birch"))
    with (tmp_path / "analysed/groups.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert {r["group"] for r in table} == {"'=SUM(A1)", "birch"}
    (wanted,) = [r for r in table if r["group"] == "birch" and r["task"] == "safety"]
    group = next(g for g in row(results, "safety", "capability").groups if g.group == "birch")
    assert float(wanted["biased"]) == group.biased.value
    assert float(wanted["biased_low"]) == group.biased.low
    assert wanted["chain"] == "safety > capability"
    with (tmp_path / "analysed/accuracy.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(1 + len(c.groups) for c in results.matrix)
    assert rows[0]["seed"] == ""
