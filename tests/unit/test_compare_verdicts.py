"""Verdicts and curvature of two experiments side by side: what changed, what may be subtracted."""

from typing import Any

import pytest
from services.analysis.fabricate import analyse_work
from unit.test_convergence import number, spectrum

from forgetscope.analysis.stage import stages
from forgetscope.core.compare import Side, compare
from forgetscope.schema.compare import ComparedCurvature, Comparison
from forgetscope.schema.curvature import CurvatureRow, Iterated, SpectrumResult
from forgetscope.schema.results import Results

ITEMS = {"safety": "5", "capability": "6"}
SPEC: dict[str, Any] = {"tasks": [{"id": "safety"}, {"id": "capability"}]}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("analysed")
    work, io = analyse_work(folder)
    stages()["analyse"](work, io)
    return Results.model_validate_json((folder / "analysed/results.json").read_text("utf-8"))


def compared(one: Results, other: Results, items: dict[str, str] = ITEMS) -> Comparison:
    return compare(Side("1", "a", SPEC, one, ITEMS), Side("2", "b", SPEC, other, items))


def turned(results: Results, *, margin: float = 0.05) -> Results:
    """The first row and its first group get another verdict than they had."""
    first, *rest = results.forgetting
    other = "pass" if first.verdict.verdict != "pass" else "breach"
    verdict = first.verdict.model_copy(update={"verdict": other, "margin": margin})
    group, *groups = first.groups
    judged = group.verdict.model_copy(
        update={"verdict": "breach" if group.verdict.verdict != "breach" else "pass"}
    )
    group = group.model_copy(update={"verdict": judged})
    first = first.model_copy(update={"verdict": verdict, "groups": (group, *groups)})
    return results.model_copy(update={"forgetting": (first, *rest)})


def test_an_experiment_beside_itself_has_no_changed_verdict(results: Results) -> None:
    found = compared(results, results)
    assert found.changed_verdicts == ()
    groups = sum(len(row.groups) for row in found.rows)
    assert found.same_verdicts == len(found.rows) + 2 * groups + len(found.order_effects)
    assert not any("verdict" in note for note in found.notes)


def test_changed_verdicts_are_named_by_row_and_group(results: Results) -> None:
    found = compared(results, turned(results))
    whole, group = found.changed_verdicts
    assert (whole.about, whole.group) == ("forgetting", None)
    assert whole.one == results.forgetting[0].verdict.verdict != whole.other
    assert (group.about, group.group) == (
        "biased forgetting",
        results.forgetting[0].groups[0].group,
    )
    assert whole.caution is None
    assert found.same_verdicts == compared(results, results).same_verdicts - 2
    assert any("do not show that the experiments differ" in note for note in found.notes)


def test_another_margin_and_other_items_are_said_beside_a_changed_verdict(
    results: Results,
) -> None:
    limit = results.forgetting[0].verdict.margin
    margins = compared(results, turned(results, margin=limit / 2)).changed_verdicts[0]
    assert margins.caution == f"about different margins: {100 * limit:g} and {50 * limit:g} points"
    items = compared(results, turned(results), items={}).changed_verdicts[0]
    assert items.caution == "judged on different items"


def test_an_order_effect_that_is_shown_once_only_or_turns_round_is_a_change(
    results: Results,
) -> None:
    (effect,) = results.order_effects

    def other(value: float, p: float) -> Results:
        changes = {
            "effect": effect.effect.model_copy(update={"value": value}),
            "p_adjusted": effect.p_adjusted.model_copy(update={"value": p, "reason": None}),
        }
        return results.model_copy(update={"order_effects": (effect.model_copy(update=changes),)})

    (gone,) = compared(other(0.2, 0.01), other(0.2, 0.05)).changed_verdicts
    assert (gone.about, gone.one, gone.other) == (
        "order effect",
        "safety first forgets more",
        "not shown",
    )
    (round_,) = compared(other(0.2, 0.01), other(-0.2, 0.01)).changed_verdicts
    assert round_.other == "capability first forgets more"
    assert compared(other(0.2, 0.01), other(0.4, 0.001)).changed_verdicts == ()


def curved(results: Results, found: SpectrumResult, name: str = "all weights") -> Results:
    row = CurvatureRow(
        chain=("safety",),
        seed=0,
        task="safety",
        parameters={"name": name, "parameters": 1000},
        memory="little",
        spectra=(found,),
    )
    return results.model_copy(update={"curvature": (row,)})


def good(value: float, residual: float = 0.01) -> Iterated:
    return number(residual, 30, good=True).model_copy(update={"value": value})


def both(results: Results, one: SpectrumResult, other: SpectrumResult) -> ComparedCurvature:
    (row,) = compared(curved(results, one), curved(results, other)).curvature
    return row


def test_curvature_is_subtracted_where_both_converged(results: Results) -> None:
    row = both(
        results,
        spectrum(good(-3.0), trace=good(8.0, 3.0)),
        spectrum(good(-5.0), trace=good(9.0, 4.0)),
    )
    assert row.radius.difference.value == pytest.approx(-2.0)
    assert row.radius.difference.interval_reason == "residuals together 0.02"
    assert row.trace.difference.interval_reason == "standard error 5"
    assert row.lowest.difference.reason == "undefined in the first: not asked for"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"radius": number(0.5, 40)}, "not converged in the second"),
        ({"digest": "e" * 64}, "computed on different examples"),
        ({"dtype": "bfloat16"}, "computed in float32 and in bfloat16"),
    ],
)
def test_curvature_that_cannot_be_subtracted_says_why(
    results: Results, changes: dict[str, Any], reason: str
) -> None:
    other = spectrum(good(-5.0)).model_copy(update=changes)
    found = both(results, spectrum(good(-3.0)), other).radius
    assert found.difference.value is None
    assert found.difference.reason == reason
    assert found.other.value is not None


def test_curvature_of_other_parameters_is_not_subtracted(results: Results) -> None:
    one = spectrum(good(-3.0))
    (row,) = compared(curved(results, one), curved(results, one, "LoRA factors")).curvature
    assert row.largest.difference.reason == "computed for different parameters"


def test_what_has_not_converged_says_why_also_from_results_without_words(
    results: Results,
) -> None:
    row = both(results, spectrum(good(-3.0)), spectrum(number(0.5, 30)))
    assert row.radius.one.why is None
    assert "raise curvature.max_iterations" in str(row.radius.other.why)


def test_curvature_of_one_experiment_only_is_left_over_and_said(results: Results) -> None:
    found = compared(curved(results, spectrum(good(-3.0))), results)
    assert found.curvature == ()
    assert found.only_one.curvature == ("safety, seed 0, set 1",)
    assert "Only the first experiment has curvature." in found.notes
