"""`make validate` in small: the page has its parts, and its figures can be."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "benchmarks"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("validation") / "page.md"
    subprocess.run(
        [
            *(sys.executable, "-W", "error", str(PROJECT / "benchmarks/validate.py")),
            *("--quick", "--output", str(target)),
        ],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return target.read_text(encoding="utf-8")


def table(page: str, heading: str) -> list[list[str]]:
    """The cells of each row below a heading."""
    part = page.partition(f"## {heading}")[2].partition("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def share(cell: str) -> float:
    """A share with its error, in percent."""
    value, error = map(float, cell.strip("*").split(" ± "))
    assert 0 <= value <= 100
    assert 0 < error < 18
    return value


def test_every_setting_has_its_row_and_every_share_its_error(page: str) -> None:
    coverage = table(page, "Coverage of intervals")
    assert len(coverage) == 32
    sizes = {row[1] for row in coverage}
    assert {"30 items", "2000 items", "100 templates of 20", "4 templates of 40 in all"} <= sizes
    means = [sum(share(row[column]) for row in coverage) / 32 for column in (3, 4, 5)]
    assert all(80 < mean <= 100 for mean in means)
    assert means[1] >= means[0]  # expanded intervals are wider
    assert all(float(row[6]) >= 1 for row in coverage)


def test_false_alarms_and_planted_effects_are_where_they_belong(page: str) -> None:
    for row in table(page, "False alarms over groups"):
        assert all(cell == "–" or share(cell) <= 25 for cell in row[1:])
    planted = table(page, "Planted biased forgetting")
    assert [row[2] == "–" for row in planted] == [False, False, True, True, True]
    assert share(planted[0][2]) >= 75
    assert all(share(row[4]) <= 12.5 for row in planted)


def test_the_difference_in_power_is_that_of_its_two_columns(page: str) -> None:
    rows = table(page, "Power as planned and as simulated")
    assert {row[1].split()[0] for row in rows} == {"pass", "breach"}
    for row in rows:
        apart = float(row[3]) - share(row[4])
        assert float(row[5].strip("*")) == pytest.approx(apart, abs=0.11)
        assert abs(apart) < 50


def test_the_summary_says_how_many_settings_are_within_what_is_asked(page: str) -> None:
    inside = [93 <= share(row[4]) <= 97 for row in table(page, "Coverage of intervals")]
    bold = [row[4].startswith("**") for row in table(page, "Coverage of intervals")]
    assert bold == [not one for one in inside]
    said = re.search(r"in \d+ of 32 settings for percentile, (\d+) for expanded", page)
    assert said is not None
    assert int(said.group(1)) == sum(inside)


def test_the_page_in_the_repository_is_that_of_the_settings(page: str) -> None:
    kept = (PROJECT / "docs/validation.md").read_text(encoding="utf-8")
    for heading in re.findall(r"^## (.*)$", page, re.MULTILINE):
        settings = [row[:2] if heading.startswith("Coverage") else row[:1] for row in
                    table(page, heading)]  # fmt: skip
        assert [row[: len(settings[0])] for row in table(kept, heading)] == settings
    planned = "Power as planned and as simulated"
    assert [row[3] for row in table(kept, planned)] == [row[3] for row in table(page, planned)]
    assert "Written by `make validate`: 1500 simulated studies a setting, 4000 for power" in kept


def test_the_planner_is_within_three_points_in_every_setting_of_the_page() -> None:
    kept = (PROJECT / "docs/validation.md").read_text(encoding="utf-8")
    rows = table(kept, "Power as planned and as simulated")
    assert len(rows) == 12
    for row in rows:
        assert abs(float(row[5].strip("*"))) <= 3
        assert float(row[4].split(" ± ")[1]) < 1


def test_no_family_of_the_page_errs_more_often_than_promised() -> None:
    kept = (PROJECT / "docs/validation.md").read_text(encoding="utf-8")
    for row in table(kept, "False alarms over groups"):
        assert all(cell == "–" or share(cell) <= 5 for cell in row[1:])


def test_a_study_has_the_shares_and_correlations_of_its_design() -> None:
    import numpy as np
    from validation_studies import Design, Part, studies

    from forgetscope.core.inference.power_model import Expected, Plan, Runs, Sample, error_of

    design = Design((Part("a", (5,) * 30, Expected(0.3, 0.1)),), icc=0.2)
    drawn = [
        study.point.forgetting[0, 0]
        for study in studies(design, np.random.default_rng(0), number=2000, replicates=2)
    ]
    error = error_of(
        Plan("a", Sample((5,) * 30), Expected(0.3, 0.1)), Runs(1, 0.2, 1.0, 0.0)
    ).standard_error
    assert np.mean(drawn) == pytest.approx(design.truth(None), abs=4 * error / np.sqrt(2000))
    assert np.std(drawn) == pytest.approx(error, rel=0.07)


def test_a_study_of_several_seeds_has_the_variances_that_are_planned_with() -> None:
    import numpy as np
    from validation_studies import Design, Part, studies

    from forgetscope.core.inference.power_model import Expected, Plan, Runs, Sample, error_of

    sizes, expected = (5,) * 30, Expected(0.3, 0.1)
    design = Design((Part("a", sizes, expected),), icc=0.2, seeds=3, seed_sd=0.02)
    per_seed = np.array(
        [
            study.point.per_seed[:, 0]
            for study in studies(design, np.random.default_rng(0), number=2000, replicates=2)
        ]
    )
    planned = error_of(Plan("a", Sample(sizes), expected), Runs(3, 0.2, design.same, 0.02))
    assert planned.runs is not None
    assert per_seed.mean(axis=1).std() == pytest.approx(planned.standard_error, rel=0.07)
    between = per_seed.var(axis=1, ddof=1).mean() / 3
    assert between == pytest.approx(planned.runs.between, rel=0.07)


def test_the_monitor_is_tried_at_the_margin_and_beyond(page: str) -> None:
    rows = table(page, "Monitor of a training stage")
    null, effects = rows[:6], rows[8:]
    assert [row[0] for row in null if "at the margin" in row[0]]
    assert all(cells[1].startswith("0.0 ") for cells in null)
    assert any(not cells[2].startswith("0.0 ") for cells in null), "a z test fails where it stands"
    assert [row[0] for row in effects][-2] == "70 points above all"
    assert effects[-2][1].startswith("100.0 ")
