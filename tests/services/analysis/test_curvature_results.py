"""What the analysis makes of the files of the curvature stages: bounds, tables, report, words."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from services.analysis.fabricate import analyse_work, manifest, report_work
from services.analysis.test_report import Page

from forgetscope.analysis.curvature_words import significant
from forgetscope.analysis.stage import stages
from forgetscope.cli.tables_curvature import curvature_tables
from forgetscope.schema.results import Results

CHAINS = (("safety", "capability"), ("capability", "safety"))
CHECK = {"repeat": 0.0, "symmetry": 1e-9, "difference": 1e-4, "step": 3e-4, "iterations": 3}
SUBSET = {"name": "all weights", "parameters": 1000}
DIGEST = "d" * 64
NOT_ASKED = {"reason": "not asked for"}


def number(value: float, verdict: str = "converged", **more: Any) -> dict[str, Any]:
    found = {"value": value, "residual": 0.01, "iterations": 9, "tolerance": 0.01}
    return found | {"verdict": verdict} | more


def spectrum(value: float, **changes: Any) -> dict[str, Any]:
    nodes = [-0.5, 0.0, 0.5, abs(value)]
    density = {
        "nodes": nodes,
        "weights": [0.1, 0.7, 0.1, 0.1],
        "grid": [i / 10 for i in range(-10, 40)],
        "heights": [max(0.0, 1 - abs(i) / 12) for i in range(-10, 40)],
        "width": 0.1,
        "near_zero": 0.7,
        "steps": 2,
        "probes": 2,
        "trace": number(4.0),
    }
    return {
        "examples": 24,
        "digest": DIGEST,
        "tokens": 48,
        "loss": 0.2,
        "gradient_norm": 0.1,
        "radius": number(value),
        "largest": [number(abs(value))],
        "lowest": NOT_ASKED,
        "gap": 0.09,
        "trace": NOT_ASKED,
        "density": density,
        "method": "exact",
        "dtype": "float32",
        "check": CHECK,
    } | changes


def along(change: float, curvature: float = 0.5) -> dict[str, Any]:
    """‖d‖ = 2, gᵀd = 0.1; so ½dᵀHd = 2·curvature."""
    return {
        "examples": 24,
        "tokens": 48,
        "loss": 0.2,
        "loss_after": 0.2 + change,
        "change": change,
        "gradient_norm": 0.1,
        "length": 2.0,
        "slope": 0.1,
        "quadratic": 2 * curvature,
        "curvature": {"value": curvature, "interval_reason": "one number"},
        "prediction": number(0.1 + 2 * curvature, "not converged"),
        "path": NOT_ASKED,
    }


def curves_of(folder: Path, **changes: Any) -> tuple[Any, Any]:
    """Analyse work of both orders and three seeds, with files of curvature beside it."""
    work, window = analyse_work(folder, chains=CHAINS)
    curves = []
    for chain in CHAINS:
        for seed in (0, 1, 2):
            radius = 3.0 if chain[0] == "safety" else -5.0
            files: dict[str, dict[str, Any]] = {
                "curvature": {
                    "parameters": SUBSET,
                    "memory": "About 0.1 GiB by estimate.",
                    "spectra": [spectrum(radius, **changes.get("spectrum", {}))],
                },
                "displacement": {
                    "parameters": SUBSET | changes.get("subset", {}),
                    "memory": "About 0.1 GiB by estimate.",
                    "outside": 0.0,
                    "digest": DIGEST,
                    "method": "exact",
                    "dtype": "float32",
                    "check": CHECK,
                    "whole": along(7.0 if chain[0] == "safety" else 1.0),
                    "groups": {"nobody": along(0.4)},
                },
            }
            for kind, content in files.items():
                role = f"{kind}-{len(curves)}"
                window.inputs[role] = folder / role
                window.inputs[role].mkdir()
                (window.inputs[role] / f"{kind}.json").write_text(json.dumps(content))
                work.inputs[role] = manifest(role, kind)  # type: ignore[arg-type]
                place = chain if kind == "displacement" else chain[:1]
                curves.append({"role": role, "chain": list(place), "position": 1, "seed": seed})
    work.params["curves"] = curves
    return work, window


def analysed(folder: Path, **changes: Any) -> Results:
    work, window = curves_of(folder, **changes)
    stages()["analyse"](work, window)
    return Results.model_validate_json((folder / "analysed/results.json").read_text("utf-8"))


def test_the_local_bound_stands_beside_the_truth_and_may_be_violated(tmp_path: Path) -> None:
    results = analysed(tmp_path)
    whole = {(w.chain, w.seed): w for w in results.displacement if w.group is None}
    assert len(whole) == 6
    first = whole[CHAINS[0], 0]
    # gᵀd + ½λ‖d‖² with λ = 3 and ‖d‖ = 2; the change of 7.0 is above it.
    assert first.local_bound.value == pytest.approx(0.1 + 0.5 * 3 * 4)
    assert first.exceeded is True
    assert whole[CHAINS[1], 0].exceeded is False
    assert whole[CHAINS[1], 0].local_bound.value == pytest.approx(0.1 + 0.5 * 5 * 4)
    assert first.forgetting == results.forgetting[0].forgetting
    assert any("above the local bound in 3 of 6 cases" in note for note in results.notes)


def test_groups_have_no_bound_and_their_own_forgetting(tmp_path: Path) -> None:
    results = analysed(tmp_path)
    group = next(w for w in results.displacement if w.group is not None)
    assert "not for a group" in str(group.local_bound.reason)
    assert group.exceeded is None
    assert "no evaluation item" in str(group.biased.reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"subset": {"name": "LoRA factors"}}, "other parameters"),
        ({"spectrum": {"digest": "e" * 64}}, "other examples"),
        ({"spectrum": {"largest": [number(3.0, "not converged")]}}, "not converged"),
    ],
)
def test_a_bound_needs_the_same_parameters_and_examples_and_an_eigenvalue(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    found = analysed(tmp_path, **changes).displacement[0]
    assert found.local_bound.value is None
    assert reason in str(found.local_bound.reason)
    assert found.exceeded is None


def test_radii_that_did_not_converge_are_shown_but_not_compared(tmp_path: Path) -> None:
    results = analysed(tmp_path, spectrum={"radius": number(3.0, "not converged")})
    assert results.curvature_summary is not None
    assert results.curvature_summary.comparison is None
    assert results.curvature_summary.correlations[0].pairs == 0
    assert any("6 of 6 spectral radii have not converged" in n for n in results.notes)


def test_report_table_and_terminal_say_why_a_radius_has_not_converged(tmp_path: Path) -> None:
    open_ = number(3.0, "not converged", residual=0.5)
    results = analysed(tmp_path, spectrum={"radius": open_, "gap": 0.3})
    why = str(results.curvature[0].spectra[0].radius.why)
    assert why.endswith("after 9 products: raise curvature.max_iterations to 18 or more")
    work, window = report_work(tmp_path)
    stages()["report"](work, window)
    page = Page((tmp_path / "reported/report.html").read_text("utf-8"))
    text = " ".join(page.text.split())
    assert "Not converged: why, and what to do" in text
    assert why[1:] in text
    assert "radius λ of safety, seed 0" in text
    with (tmp_path / "analysed/curvature.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["radius_why"] == why
    out = io.StringIO()
    for table in curvature_tables(results):
        Console(file=out, width=300).print(table)
    assert why in out.getvalue()


def test_safety_and_capability_are_compared_by_magnitude(tmp_path: Path) -> None:
    summary = analysed(tmp_path).curvature_summary
    assert summary is not None
    assert summary.comparison is not None
    assert summary.comparison.capability.radius == (5.0, 5.0, 5.0)
    assert summary.comparison.ratio.value == pytest.approx(0.6)
    reasons = [c.spearman.reason for c in summary.correlations]
    assert reasons[0] == "too few pairs: 2, at least 4 are needed"


def test_curvature_moves_no_other_number(tmp_path: Path) -> None:
    with_it = analysed(tmp_path / "with")
    work, window = analyse_work(tmp_path / "without", chains=CHAINS)
    stages()["analyse"](work, window)
    text = (tmp_path / "without/analysed/results.json").read_text("utf-8")
    without = Results.model_validate_json(text)
    assert with_it.forgetting == without.forgetting
    assert without.curvature == without.displacement == ()
    assert not (tmp_path / "without/analysed/curvature.csv").exists()


def test_the_tables_have_a_line_for_every_number(tmp_path: Path) -> None:
    results = analysed(tmp_path)
    folder = tmp_path / "analysed"
    with (folder / "curvature.csv").open(newline="") as file:
        curvature = list(csv.DictReader(file))
    with (folder / "displacement.csv").open(newline="") as file:
        displacement = list(csv.DictReader(file))
    assert len(curvature) == len(results.curvature) == 6
    assert len(displacement) == len(results.displacement) == 12
    assert [row["radius"] for row in curvature].count("-5.0") == 3
    assert curvature[0]["radius_verdict"] == "converged"
    assert curvature[0]["lowest"] == curvature[0]["lowest_verdict"] == ""
    assert displacement[0]["exceeded"] == "true"
    assert displacement[1]["local_bound"] == ""


def test_the_report_shows_and_explains_curvature(tmp_path: Path) -> None:
    analysed(tmp_path)
    work, window = report_work(tmp_path)
    stages()["report"](work, window)
    page = Page((tmp_path / "reported/report.html").read_text("utf-8"))
    assert "curvature" in page.values("id")
    text = " ".join(page.text.split())
    assert "Here it was violated in 3 of 6 cases" in text
    assert "says nothing about accuracy" in text
    assert "unequal losses" in text
    labels = page.values("aria-label")
    assert any(label.startswith("Spectral densities") for label in labels)
    assert any(label.startswith("Predicted and measured loss changes") for label in labels)
    assert "mathdefault" not in text
    ids = page.values("id")
    assert len(ids) == len(set(ids))


def test_the_terminal_shows_radii_and_loss_changes(tmp_path: Path) -> None:
    results = analysed(tmp_path)
    out = io.StringIO()
    for table in curvature_tables(results):
        Console(file=out, width=120).print(table)
    text = out.getvalue()
    assert "-5" in text
    assert text.count("violated") == 1 + 3
    nothing = results.model_copy(update={"curvature": (), "displacement": ()})
    assert list(curvature_tables(nothing)) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.02324, "0.0232"),
        (-12.34, "−12.3"),
        (1.156e-7, "1.16×10⁻⁷"),
        (12345.6, "12300"),
        (None, "–"),
    ],
)
def test_numbers_of_any_size_can_be_read(value: float | None, text: str) -> None:
    assert significant(value) == text
