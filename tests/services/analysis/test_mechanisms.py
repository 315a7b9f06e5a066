"""What the analysis makes of drift, training data and forgetting: tables, correlations, report."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from services.analysis.fabricate import GROUPS, FolderIO, analyse_work, manifest, report_work
from services.analysis.study import GROUPS as FIVE
from services.analysis.study import study
from services.analysis.test_curvature_results import SUBSET, along
from services.analysis.test_report import Page
from tiny_llama import write_examples

from forgetscope.analysis.curvature_results import Place
from forgetscope.analysis.figures_mechanisms import Dot, Panel, panels_plot
from forgetscope.analysis.mechanisms import add_mechanisms
from forgetscope.analysis.stage import stages
from forgetscope.cli.tables import result_tables
from forgetscope.ports.stage import Work
from forgetscope.schema.curvature import DisplacementRow
from forgetscope.schema.example import Example
from forgetscope.schema.mechanisms import Association, DriftFile, Mechanisms
from forgetscope.schema.results import Results

CHAINS = (("safety", "capability"), ("capability", "safety"))
# Shares of right answers at the end, and the drift that goes with them.
KEPT = dict(zip(GROUPS, (0.95, 0.85, 0.75, 0.55, 0.35, 0.15), strict=True))
MOVED = dict(zip(GROUPS, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), strict=True))


def ordered(chain: tuple[str, ...], task: str, group: str) -> float:
    return 0.98 if chain[-1:] == (task,) or task != "safety" else KEPT[group]


def one(value: float, items: int = 60) -> dict[str, Any]:
    return {
        "items": items,
        "cka": {"value": 1 - value, "interval_reason": "one number"},
        "displacement": {"value": value, "interval_reason": "one number"},
    }


def drift(groups: dict[str, float]) -> dict[str, Any]:
    layers = [
        {"layer": n, "whole": one(0.3), "groups": {g: one(v / n) for g, v in groups.items()}}
        for n in (2, 1)
    ]
    return {
        "digest": "d" * 64,
        "unfit": 0,
        "depth": 2,
        "dtype": "float32",
        "layers": [layers[1], layers[0]],
    }


def training(task: str) -> list[Example]:
    """Group i has i + 1 of 21 safety examples; the capability task has none."""
    groups = [g for i, g in enumerate(GROUPS) for _ in range(i + 1)]
    return [
        Example(
            id=f"{task}-{i}",
            prompt=f"Statement: {'an object' if task == 'capability' else 'a person'} {i}\nTrue?",
            options=(" yes", " no"),
            answer=i % 2,
            target=(" yes", " no")[i % 2],
            groups=(group,) if task == "safety" else (),
            cluster=f"{i}",
        )
        for i, group in enumerate(groups)
    ]


def work_of(folder: Path, moved: dict[str, float] = MOVED) -> tuple[Work, FolderIO]:
    work, io = analyse_work(folder, chains=CHAINS, probability=ordered)
    inputs: dict[str, Path] = io.inputs  # type: ignore[assignment]
    uses = []
    for i, task in enumerate(("safety", "capability")):
        inputs[f"train-{i}"] = write_examples(folder / f"train-{i}", training(task))
        work.inputs[f"train-{i}"] = manifest(f"train-{i}", "prepare_data")
    for chain in CHAINS:
        for seed in (0, 1, 2):
            role = f"drift-{len(uses)}"
            inputs[role] = folder / role
            inputs[role].mkdir()
            file = drift(moved if chain[0] == "safety" else {})
            (inputs[role] / "drift.json").write_text(json.dumps(file))
            work.inputs[role] = manifest(role, "drift")
            uses.append({"role": role, "chain": list(chain), "position": 1, "seed": seed})
    work.params.update(mechanisms=True, drifts=uses)  # type: ignore[arg-type]
    return work, io


def analysed(folder: Path, **changes: Any) -> Results:
    work, io = work_of(folder, **changes)
    stages()["analyse"](work, io)
    text = (folder / "analysed/results.json").read_text("utf-8")
    assert "NaN" not in text
    return Results.model_validate_json(text)


def mechanisms(results: Results) -> Mechanisms:
    assert results.mechanisms is not None
    return results.mechanisms


def association(found: Mechanisms, candidate: str, **place: Any) -> Association:
    (one_,) = [
        a
        for a in found.associations
        if candidate in a.candidate and all(getattr(a, k) == v for k, v in place.items())
    ]
    return one_


def test_results_without_mechanisms_have_none(tmp_path: Path) -> None:
    work, io = analyse_work(tmp_path)
    stages()["analyse"](work, io)
    text = (tmp_path / "analysed/results.json").read_text("utf-8")
    assert Results.model_validate_json(text).mechanisms is None
    assert not (tmp_path / "analysed/mechanisms.csv").exists()


def test_a_candidate_that_was_planted_to_go_with_forgetting_is_found(tmp_path: Path) -> None:
    found = mechanisms(analysed(tmp_path))
    own = association(found, "displacement of states", chain=CHAINS[0])
    assert own.spearman.value == pytest.approx(1.0)
    assert (own.points, own.rows) == (6, 1)
    assert own.p.value == pytest.approx(2 / 720)  # the same order and its reverse, of 6!
    assert association(found, "CKA", chain=CHAINS[0]).spearman.value == pytest.approx(-1.0)
    share = association(found, "share of own", chain=CHAINS[0])
    assert share.spearman.value == pytest.approx(1.0)
    assert "no cause" in found.caution
    assert f"{len(found.associations)} correlations" in found.caution


def test_the_table_has_drift_of_the_last_layer_and_counted_shares(tmp_path: Path) -> None:
    results = analysed(tmp_path)
    rows = {g.group: g for g in mechanisms(results).groups if g.chain == CHAINS[0]}
    assert set(rows) == set(GROUPS)
    fjord = rows["fjord"]
    assert fjord.displacement.value == pytest.approx(0.6 / 2)
    assert "mean over 3 seeds" in str(fjord.displacement.interval_reason)
    assert fjord.share_own.value == pytest.approx(6 / 21)
    assert "have no groups" in str(fjord.share_later.reason)
    assert "not asked for" in str(fjord.curvature.reason)
    own = next(g for g in results.forgetting[0].groups if g.group == "fjord")
    assert fjord.biased == own.biased
    assert len(mechanisms(results).drift) == 6


def test_a_candidate_that_is_undefined_gives_its_reason(tmp_path: Path) -> None:
    found = mechanisms(analysed(tmp_path, moved={}))
    drifted = association(found, "displacement of states", chain=CHAINS[0])
    assert "not among the items" in str(drifted.spearman.reason)
    assert drifted.points == 0
    later = association(found, "share of later", chain=CHAINS[0])
    assert "have no groups" in str(later.p.reason)


def test_few_groups_and_few_pairs_are_outcomes(tmp_path: Path) -> None:
    found = mechanisms(analysed(tmp_path, moved={g: MOVED[g] for g in GROUPS[:3]}))
    few = association(found, "displacement of states", chain=CHAINS[0])
    assert "too few groups: 3" in str(few.spearman.reason)
    assert [pair.chain for pair in found.pairs] == list(CHAINS)
    over = association(found, "similarity in format")
    assert over.points == 2
    assert "too few pairs: 2" in str(over.spearman.reason)
    assert "too few pairs: 2" in str(over.p.reason)


def test_pairs_are_compared_by_their_training_examples(tmp_path: Path) -> None:
    one_, other = mechanisms(analysed(tmp_path)).pairs
    assert (one_.domain, one_.format, one_.output) == (other.domain, other.format, other.output)
    assert one_.output.value == 1.0
    assert one_.format.value is not None
    assert 0.5 < one_.format.value < 1.0


def test_tables_report_and_terminal_say_the_same(tmp_path: Path) -> None:
    results = analysed(tmp_path)
    folder = tmp_path / "analysed"
    with (folder / "mechanisms.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(mechanisms(results).groups)
    fjord = next(r for r in rows if (r["group"], r["chain"]) == ("fjord", "safety > capability"))
    assert float(fjord["share_own"]) == pytest.approx(6 / 21)
    assert fjord["share_later"] == ""
    for name in ("drift", "associations", "similarity"):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            assert len(list(csv.DictReader(file))) >= 2
    work, io = report_work(tmp_path)
    stages()["report"](work, io)
    html = (tmp_path / "reported/report.html").read_text("utf-8")
    page = Page(html)
    assert "Why groups differ" in page.text
    assert 'id="mechanisms"' in html
    assert 'href="#mechanisms"' in html
    assert "displacement of states" in html
    assert "is no cause" in html
    console = Console(width=200, force_terminal=False)
    with console.capture() as capture:
        for table in result_tables(results):
            console.print(table)
    assert "CKA of states" in capture.get()
    assert "How alike two tasks are" in capture.get()


def test_every_candidate_is_drawn_with_its_correlation_in_words(tmp_path: Path) -> None:
    analysed(tmp_path)
    work, io = report_work(tmp_path)
    stages()["report"](work, io)
    page = Page((tmp_path / "reported/report.html").read_text("utf-8"))
    labels = [v for t, n, v in page.attributes if (t, n) == ("svg", "aria-label")]
    (candidates,) = [label for label in labels if "against what might go with it" in label]
    assert "displacement of states: +1.00" in candidates
    assert "share of later training data: undefined" in candidates
    (pairs,) = [label for label in labels if "similarity of its tasks" in label]
    assert "similarity in format: undefined: too few pairs: 2" in pairs
    svg = (tmp_path / "reported/figures/mechanisms1.svg").read_text("utf-8")
    assert "ρ = +1.00" in svg
    assert "curvature along d" not in svg.split("</desc>")[1]
    for name in ("mechanisms1", "similarity"):
        assert (tmp_path / f"reported/figures/{name}.png").stat().st_size > 1000
    assert "similarity of tasks against forgetting" in " ".join(page.values("aria-label"))


def test_a_group_that_takes_no_part_is_drawn_hollow() -> None:
    dots = [Dot(0, 0.1, 1.0, None, None), Dot(0, 0.2, 2.0, 1.0, 3.0, hollow=True)]
    svgs = [
        panels_plot(
            [Panel("x", "no correlation", tuple(chosen))],
            ["a → b"],
            axis="y",
            alt="words",
            name="n",
            title="t",
        ).svg
        for chosen in (dots[:1], dots)
    ]
    assert [svg.count("fill: #ffffff; stroke: #0072b2") for svg in svgs] == [0, 1]


def test_curvature_and_all_chains_of_a_task_take_part_where_they_are_known() -> None:
    """Two chains forget the groups in the same order; the gradient term goes with it, the curvature
    against it, in both seeds."""
    chains = (("s", "c1"), ("s", "c2"))
    lost = {group: 0.1 * i for i, group in enumerate(FIVE)}

    def share(chain: tuple[str, ...], task: str, group: str) -> float:
        return 0.9 - lost[group] if (task, len(chain)) == ("s", 2) else 0.9

    plain = study(chains, share, seeds=(0, 1))
    ways = tuple(
        way(chain, seed, group, slope=lost[group] + seed, curvature=2.0 - lost[group])
        for chain in chains
        for seed in (0, 1)
        for group in FIVE
    )
    drifts = {
        Place(chain, 1, seed): DriftFile.model_validate(drift({}))
        for chain in chains
        for seed in (0, 1)
    }
    results = plain.model_copy(update={"displacement": ways})
    train = {task: training(task) for task in ("s", "c1", "c2")}
    again = [
        mechanisms(add_mechanisms(results, drifts, train, np.random.default_rng(0)))
        for _ in range(2)
    ]
    assert again[0] == again[1]
    found = again[0]
    pooled = association(found, "gradient term", chain=None)
    assert (pooled.task, pooled.points, pooled.rows) == ("s", 5, 2)
    assert pooled.spearman.value == pytest.approx(1.0)
    assert pooled.p.value == pytest.approx(2 / 120)
    for chain in chains:
        against = association(found, "curvature along d", chain=chain)
        assert against.spearman.value == pytest.approx(-1.0)
    ember = next(g for g in found.groups if (g.group, g.chain) == ("ember", chains[0]))
    assert ember.slope.value == pytest.approx(0.4 + 0.5)
    assert "not among the items" in str(ember.displacement.reason)


def way(
    chain: tuple[str, ...], seed: int, group: str, *, slope: float, curvature: float
) -> DisplacementRow:
    result = along(0.4, curvature) | {"slope": slope}
    return DisplacementRow.model_validate(
        {
            "chain": chain,
            "position": 1,
            "seed": seed,
            "task": chain[0],
            "group": group,
            "parameters": SUBSET,
            "outside": 0.0,
            "method": "exact",
            "dtype": "float32",
            "result": result,
            "local_bound": {"reason": "none"},
            "exceeded": None,
            "forgetting": {"reason": "none"},
            "biased": {"reason": "none"},
        }
    )
