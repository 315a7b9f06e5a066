"""Two results side by side: what is shared, what may be subtracted, what differs."""

from pathlib import Path
from typing import Any

import pytest
from services.analysis.fabricate import analyse_work

from forgetscope.analysis.stage import stages
from forgetscope.core.compare import Side, compare
from forgetscope.schema.compare import Comparison
from forgetscope.schema.results import Results

ITEMS = {"safety": "5", "capability": "6"}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Results]:
    """Both orders on three seeds; one order on one seed."""
    found = []
    for kind in ({}, {"chains": [("safety", "capability")], "seeds": [1]}):
        folder = tmp_path_factory.mktemp("analysed")
        work, io = analyse_work(folder, **kind)  # type: ignore[arg-type]
        stages()["analyse"](work, io)
        text = (folder / "analysed/results.json").read_text("utf-8")
        found.append(Results.model_validate_json(text))
    return found[0], found[1]


def spec(**changes: Any) -> dict[str, Any]:
    tasks = [{"id": "safety", "n": 10}, {"id": "capability", "n": 20}]
    return {"name": "x", "tasks": tasks, "chains": [], "training": {"epochs": 3.0}} | changes


def side(results: Results, *, items: dict[str, str] | None = None, **changes: Any) -> Side:
    known = ITEMS if items is None else items
    return Side("id", "name", spec(**changes), results, known)


def renamed(results: Results, **names: str) -> Results:
    tasks = [t.model_copy(update={"name": names.get(t.id, t.name)}) for t in results.tasks]
    return results.model_copy(update={"tasks": tuple(tasks)})


def test_an_experiment_compared_with_itself_differs_by_nothing(two: tuple[Results, ...]) -> None:
    found = compare(side(two[0]), side(two[0]))
    assert len(found.rows) == len(two[0].forgetting) == 2
    assert len(found.order_effects) == 1
    assert {r.forgetting.difference.value for r in found.rows} == {0.0}
    assert {g.biased.difference.value for r in found.rows for g in r.groups} == {0.0}
    assert found.settings == ()
    assert found.only_one.chains == found.only_other.chains == ()


def test_only_what_both_have_is_compared_and_the_rest_is_named(two: tuple[Results, ...]) -> None:
    found = compare(side(two[0]), side(two[1]))
    assert [(r.chain, r.task) for r in found.rows] == [(("safety", "capability"), "safety")]
    assert len(found.rows[0].groups) == 6
    assert found.order_effects == ()
    assert found.only_one.chains == (("capability", "safety"),)
    assert found.only_other.chains == ()


def test_numbers_keep_their_own_intervals_and_a_difference_has_none(
    two: tuple[Results, ...],
) -> None:
    (row,) = compare(side(two[0]), side(two[1])).rows
    ours = next(r for r in two[0].forgetting if r.chain == row.chain).forgetting
    (theirs,) = (r.forgetting for r in two[1].forgetting)
    assert (row.forgetting.one, row.forgetting.other) == (ours, theirs)
    assert row.forgetting.difference.value == (theirs.value or 0) - (ours.value or 0) != 0
    assert row.forgetting.difference.low is None
    assert "both experiments' answers" in (row.forgetting.difference.interval_reason or "")


@pytest.mark.parametrize("items", [{}, {"safety": "other", "capability": "6"}])
def test_nothing_is_subtracted_unless_the_items_are_known_to_be_the_same(
    two: tuple[Results, ...], items: dict[str, str]
) -> None:
    found = compare(side(two[0]), side(two[1], items=items))
    (row,) = found.rows
    assert not row.same_items
    differences = [row.before, row.forgetting, *(g.biased for g in row.groups)]
    assert all(c.difference.value is None and c.difference.reason for c in differences)
    assert row.forgetting.other.value is not None
    assert any("safety" in note and "not subtracted" in note for note in found.notes)


def test_items_unknown_on_both_sides_are_not_the_same(two: tuple[Results, ...]) -> None:
    found = compare(side(two[0], items={}), side(two[0], items={}))
    assert not any(task.same_items for task in found.tasks)


def test_one_id_for_two_tasks_is_not_one_task(two: tuple[Results, ...]) -> None:
    found = compare(side(two[0]), side(renamed(two[0], safety="elsewhere")))
    assert [task.task for task in found.tasks] == ["capability"]
    assert found.rows == ()
    assert found.only_one.tasks == found.only_other.tasks == ("safety",)
    assert set(found.only_one.chains) == set(two[0].chains)
    assert any("another task in each" in note for note in found.notes)


def test_nothing_in_common_is_an_empty_comparison_that_says_so(two: tuple[Results, ...]) -> None:
    found = compare(side(two[0]), side(renamed(two[1], safety="a", capability="b")))
    assert (found.tasks, found.rows, found.order_effects) == ((), (), ())
    assert any("no task in common" in note for note in found.notes)


def test_settings_that_differ_are_named_by_pointer(two: tuple[Results, ...]) -> None:
    tasks = [{"id": "capability", "n": 20}, {"id": "safety", "n": 11}]
    other = side(two[0], name="y", chains=[["a"]], tasks=tasks, training={"epochs": 2.0, "a/b": 1})
    found = compare(side(two[0]), other).settings
    assert [(s.pointer, s.one, s.other) for s in found] == [
        ("/tasks/safety/n", 10, 11),
        ("/training/a~1b", None, 1),
        ("/training/epochs", 3.0, 2.0),
    ]


def test_settings_in_lists_are_told_apart_one_by_one(two: tuple[Results, ...]) -> None:
    def training(rate: float) -> dict[str, Any]:
        return {
            "overrides": [{"position": 2, "values": {"rate": rate, "dtype": None}}],
            "kept": [1],
        }

    one, other = (side(two[0], training=training(rate)) for rate in (0.1, 0.2))
    (found,) = compare(one, other).settings
    assert (found.pointer, found.one, found.other) == (
        "/training/overrides/0/values/rate",
        0.1,
        0.2,
    )


def test_a_comparison_survives_json(two: tuple[Results, ...]) -> None:
    found = compare(side(two[0]), side(two[1]))
    assert Comparison.model_validate_json(found.model_dump_json()) == found
    assert "NaN" not in found.model_dump_json()


def test_a_group_too_small_in_one_says_in_which(two: tuple[Results, ...], tmp_path: Path) -> None:
    work, io = analyse_work(tmp_path, per_group=9, chains=[("safety", "capability")])
    stages()["analyse"](work, io)
    small = Results.model_validate_json((tmp_path / "analysed/results.json").read_text("utf-8"))
    (row,) = compare(side(two[0]), side(small)).rows
    assert {group.too_small for group in row.groups} == {("other",)}
