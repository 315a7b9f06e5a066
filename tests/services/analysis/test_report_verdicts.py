"""Verdicts on the page and in the tables: words and shapes, not colour alone."""

import csv
import re
from pathlib import Path

import pytest
from services.analysis.fabricate import GROUPS, analyse_work, evenly, planted
from services.analysis.study import items, study
from services.analysis.test_report import Page, reported

from forgetscope.analysis.outcomes import Chain
from forgetscope.analysis.report_groups import group_lines, group_sections
from forgetscope.analysis.stage import stages
from forgetscope.analysis.verdict_words import agreement_line, p_value
from forgetscope.schema.results import ChainForgetting, Measured, Results


def text(page: str) -> str:
    return " ".join(Page(page).text.replace("\N{NO-BREAK SPACE}", " ").split())


def test_the_page_begins_with_the_verdicts_before_any_other_finding(tmp_path: Path) -> None:
    said = text(reported(tmp_path))
    verdicts = said.index("Biased forgetting of groups, margin 5 points: 1 breach, ")
    assert verdicts < said.index("Forgetting of tasks, margin 5 points: ")
    assert verdicts < said.index("points on safety")
    assert re.search(r"Shown to be forgotten by more: safety after safety → capability \(", said)


def test_where_nothing_breaches_the_page_says_what_is_not_shown(tmp_path: Path) -> None:
    settings = {"bootstrap_replicates": 500, "confidence": 0.999}
    said = text(reported(tmp_path, probability=evenly, settings=settings))
    assert "No group is shown to forget more than its task by more than the margin." in said
    assert "▲ breach safety after" not in said


def test_every_group_has_a_shape_and_a_word_and_the_figure_the_same_ones(tmp_path: Path) -> None:
    page = reported(tmp_path)
    (section,) = re.findall(r'<section id="groups".*?</section>', page, re.DOTALL)
    marks = re.findall(r'class="verdict (\w+)">(\S) (\w+)<', section)
    shapes = {("breach", "▲", "breach"), ("pass", "▼", "pass"), ("open", "●", "underpowered")}
    assert len(marks) == len(GROUPS)
    assert set(marks) <= shapes
    assert marks.count(("breach", "▲", "breach")) == 1
    labels = [v for t, n, v in Page(page).attributes if (t, n) == ("svg", "aria-label")]
    for _, _, word in marks:
        assert word in labels[1]


def test_the_page_explains_verdicts_and_their_error_rates(tmp_path: Path) -> None:
    said = text(reported(tmp_path))
    assert "the chance of a wrong pass is at most 2.5 %, and so is that of a wrong breach" in said
    assert "percentile interval, expanded for few clusters, of a paired bootstrap" in said
    for heading in ("Transfer", "Consistency", "Variance"):
        assert heading in said
    assert "agreement needs at least 2 pairs" in said
    assert re.search(r"−\d+ \+\d+, p (< 0\.001|0\.\d{3}) \(items\)", said)


def test_one_seed_or_one_order_is_told_as_the_reason_for_no_decomposition(tmp_path: Path) -> None:
    said = text(reported(tmp_path, seeds=(0,)))
    assert "There is no decomposition: with one seed, the variation between seeds" in said


def test_the_figure_of_a_row_draws_simultaneous_intervals() -> None:
    def coral(chain: Chain, task: str, group: str) -> float:
        return 0.9 if chain[-1:] == (task,) else 0.6 if group == "coral" else 0.88

    results = study([("s", "c")], coral)
    (section,) = group_sections(results)
    assert section.groups[0].group == "coral"
    assert section.figure is not None
    low, high = section.groups[0].simultaneous.low, section.groups[0].simultaneous.high
    assert low is not None
    assert high is not None
    line = group_lines(section.groups)[0]
    assert (line.low, line.high, line.tone) == (100 * low, 100 * high, "breach")
    assert line.note == "breach, n = 100"
    assert f"+{100 * low:.1f} to" in section.figure.alt
    small = study([("s", "c")], coral, arranged=items(10))
    (section,) = group_sections(small)
    assert section.figure is not None
    assert section.figure.alt.count("too small") >= 5


def test_tables_hold_verdicts_tests_transfer_and_variance(tmp_path: Path) -> None:
    work, io = analyse_work(tmp_path, probability=planted("coral"))
    stages()["analyse"](work, io)
    folder = tmp_path / "analysed"
    results = Results.model_validate_json((folder / "results.json").read_text("utf-8"))

    def table(name: str) -> list[dict[str, str]]:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    groups = {row["group"]: row for row in table("groups.csv") if row["task"] == "safety"}
    found: ChainForgetting = results.forgetting[0]
    for group in found.groups:
        line = groups[group.group]
        assert line["verdict"] == group.verdict.verdict
        assert float(line["simultaneous_low"]) == group.simultaneous.low
        assert float(line["p_adjusted"]) == group.p_adjusted.value
        assert int(line["changed"]) == group.changed
    assert [row["verdict"] for row in table("forgetting.csv")] == [
        row.verdict.verdict for row in results.forgetting
    ]
    assert len(table("mcnemar.csv")) == 2 * 3
    transfers = table("transfer.csv")
    assert [line["seed"] for line in transfers] == ["0", "1", "2", "all"] * 2
    assert float(transfers[3]["bwt_low"]) == results.transfer[3].bwt.low
    (effect,) = table("order_effects.csv")
    assert float(effect["p_adjusted"]) == results.order_effects[0].p_adjusted.value
    assert {row["source"] for row in table("variance.csv")} >= {"order", "seed", "item"}
    assert not (folder / "consistency.csv").exists()


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (Measured(value=0.0004), "< 0.001"),
        (Measured(value=0.0344), "0.034"),
        (Measured(value=1.0), "1.000"),
        (Measured(reason="none"), "–"),
    ],
)
def test_p_values_are_short(p: Measured, said: str) -> None:
    assert p_value(p) == said


def test_agreement_is_told_with_its_reason_when_it_is_not_known() -> None:
    none = Measured(reason="only one")
    assert agreement_line(none, none) == "Not known whether groups rank alike: only one."
    assert "no permutation test by first stage: only one" in agreement_line(
        Measured(value=0.5), none
    )
