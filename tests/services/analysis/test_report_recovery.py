"""Recovery on the page, in the figures, in the tables and in the terminal."""

import csv
import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from services.analysis.fabricate import GROUPS, analyse_work, report_work
from services.analysis.test_report import Page

from forgetscope.analysis.report_recovery import recovery_sections
from forgetscope.analysis.stage import stages
from forgetscope.cli.tables_recovery import recovery_tables
from forgetscope.schema.results import Results

PLAIN = ("safety", "capability")
SHARES = (0.05, 0.25)


def chain(share: float, step: str = "replay") -> tuple[str, ...]:
    return (*PLAIN, f"safety:{step}[share={share:g}]")


CHAINS = (PLAIN, *(chain(share) for share in SHARES), chain(0.05, "equal"))


def probability(done: tuple[str, ...], task: str, group: str) -> float:
    """More replay brings more back, least of coral, and costs capability."""
    if task == "capability":
        return {0: 0.3, 1: 0.3, 2: 0.95}.get(len(done), 0.85)
    if len(done) == 3:
        kept = 0.9 if "0.25" in done[2] else 0.8
        return kept - (0.3 if group == "coral" else 0)
    return 0.97 if done == ("safety",) else 0.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("recovery")
    work, window = analyse_work(made, chains=CHAINS, seeds=(0,), probability=probability)
    work.params["mitigated"] = [
        {
            "chain": list(found),
            "plain": list(PLAIN),
            "mitigation": "replay",
            "variant": found[-1],
            "selection": "uniform",
            "equal_steps": "equal" in found[-1],
            "knob": float(found[-1].split("=")[1][:-1]),
            "tokens": 1000 + 10 * i,
            "plain_tokens": 1000,
        }
        for i, found in enumerate(CHAINS[1:], start=1)
    ]
    stages()["analyse"](work, window)
    stages()["report"](*report_work(made))
    return made


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    return Results.model_validate_json((folder / "analysed" / "results.json").read_text("utf-8"))


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "analysed" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_tables_have_every_chain_group_and_price(folder: Path, results: Results) -> None:
    recovery = rows(folder, "recovery.csv")
    assert len(recovery) == 3 * (1 + len(GROUPS))
    whole = [row for row in recovery if not row["group"]]
    values = [row.recovery.value for row in results.recovery]
    assert [float(row["recovery"]) for row in whole] == pytest.approx(values)
    assert [row["knob"] for row in whole] == ["0.05", "0.25", "0.05"]
    assert {row["price_task"] for row in rows(folder, "prices.csv")} == {"capability"}
    fronts = [row["front"] for row in rows(folder, "pareto.csv")]
    assert fronts == [row.front for row in results.recovery]


def test_the_page_tells_recovery_price_front_goal_and_chance(folder: Path) -> None:
    page = (folder / "reported" / "report.html").read_text("utf-8")
    (section,) = re.findall(r'<section id="recovery".*?</section>', page, re.DOTALL)
    said = " ".join(Page(section).text.replace("\N{NO-BREAK SPACE}", " ").split())
    assert "(guessing: 50.0 %)" in said
    assert "points forgotten, 95 % interval" in said
    assert "▲ breach" in said
    assert "at least 90.0 % of the loss of every group" in said
    assert "replay in a stage of its own, equal steps" in said
    assert "Only the values are compared" in said
    assert "nan" not in re.findall(r"\w+", said.lower())


def test_each_figure_is_on_the_page_and_a_file_and_says_in_words_what_it_shows(
    folder: Path, results: Results
) -> None:
    (section,) = recovery_sections(results)
    names = {figure.name for figure in section.figures}
    assert {"recovery1knob1", "recovery1pareto"} < names
    for name in names:
        assert (folder / "reported" / "figures" / f"{name}.svg").exists()
        assert (folder / "reported" / "figures" / f"{name}.png").exists()
    (curve,) = section.curves
    assert curve.alt.count("; replay in a stage of its own, equal steps: at 0.05 ") == 1
    assert section.pareto is not None
    assert "on the front" in section.pareto.alt


def test_the_terminal_has_a_line_for_each_mitigated_chain(results: Results) -> None:
    (table,) = recovery_tables(results)
    screen = io.StringIO()
    Console(file=screen, width=200).print(table)
    said = screen.getvalue()
    assert table.row_count == 3
    assert "safety:replay[share=0.25]" in said
    assert "coral" in said


def test_without_mitigated_chains_there_is_neither_section_nor_table(tmp_path: Path) -> None:
    work, window = analyse_work(tmp_path, chains=[PLAIN], seeds=(0,))
    stages()["analyse"](work, window)
    stages()["report"](*report_work(tmp_path))
    assert not (tmp_path / "analysed" / "recovery.csv").exists()
    assert 'id="recovery"' not in (tmp_path / "reported" / "report.html").read_text("utf-8")
