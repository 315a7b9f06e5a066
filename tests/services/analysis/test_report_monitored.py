"""Watched stages in results, tables and report: what was called, and what came of it."""

import csv
import json
import re
from pathlib import Path
from typing import Any

from services.analysis.fabricate import analyse_work, report_work
from services.analysis.test_report import Page

from forgetscope.analysis.stage import stages
from forgetscope.cli.tables_monitored import monitor_tables
from forgetscope.ports.stage import Work
from forgetscope.schema.results import Results
from forgetscope.schema.stage import Manifest

GROUPS = ("amber", "<b>coral")
CHAIN = ("safety", "capability")


def lines(looks: int, called_at: int | None) -> list[dict[str, Any]]:
    """The record that the trainer writes; the second group is the one that is called."""
    return [
        {
            "look": look,
            "step": 4 * look,
            "rounds": 8,
            "group": group,
            "estimate": 0.02 * look * g,
            "mean": 0.01 * look * g,
            "lower": 0.01 * look * g - 0.2,
            "upper": 0.01 * look * g + 0.2,
            "log_e_value": 1.0,
            "verdict": "breach" if g and called_at and 4 * look >= called_at else "no call",
        }
        for look in range(1, looks + 1)
        for g, group in enumerate(GROUPS)
    ]


def watched(folder: Path, *, looks: int = 5, action: str = "warn", **facts: Any) -> Results:
    work, io = analyse_work(folder, chains=[CHAIN], seeds=[0])
    record = folder / "monitor-0"
    record.mkdir()
    called_at = next(iter(facts.get("calls", {}).values()), None)
    text = "".join(json.dumps(line) + "\n" for line in lines(looks, called_at))
    (record / "monitor.jsonl").write_text(text, encoding="utf-8")
    use = {
        "role": "monitor-0",
        "chain": list(CHAIN),
        "seed": 0,
        "watched": "safety",
        "settings": {"margin": 0.03, "every": 4, "action": action},
    }
    digests = {
        "model": "d" * 64,
        "data": [
            {"task": "safety", "split": "train", "n": 9, "examples": "e" * 64, "fingerprint": "f"}
        ],
    }
    meta = {"steps": 30, "monitor": {"looks": looks, "calls": {}} | facts}
    manifest = Manifest.model_validate(
        {"stage": "9" * 64, "kind": "train", "files": {}, "meta": meta}
    )
    io.inputs = {**io.inputs, "monitor-0": record}
    params = work.params | {"monitors": [use], "digests": digests}
    stages()["analyse"](
        Work(work.key, work.kind, params, work.inputs | {"monitor-0": manifest}, work.seed), io
    )
    stages()["report"](*report_work(folder))
    text = (folder / "analysed/results.json").read_text("utf-8")
    return Results.model_validate_json(text)


def page(folder: Path) -> str:
    return (folder / "reported/report.html").read_text("utf-8")


def said(folder: Path) -> str:
    return " ".join(Page(page(folder)).text.replace("\N{NO-BREAK SPACE}", " ").split())


def test_a_call_and_what_came_of_it_are_in_results_table_and_page(tmp_path: Path) -> None:
    facts = {"calls": {GROUPS[1]: 16}, "stopped_at": 16, "weights_of_step": 12}
    results = watched(tmp_path, looks=4, action="rollback", **facts)
    (stage,) = results.monitored
    assert (stage.looks, stage.stopped_at, stage.weights_of_step) == (4, 16, 12)
    calm, called = stage.groups
    assert calm.call is None
    assert called.call is not None
    assert (called.call.step, called.call.look, called.call.mean) == (16, 4, 0.04)
    assert [look.step for look in called.looks] == [4, 8, 12, 16]
    text = said(tmp_path)
    assert "▲ <b>coral at step 16mean +4.0, lower bound −16.0" in text
    assert "stopped at step 16, with the weights of step 12" in text
    rows = list(
        csv.DictReader((tmp_path / "analysed/monitored.csv").read_text("utf-8").splitlines())
    )
    assert [r["step"] for r in rows if r["called"] == "true"] == ["16"]
    assert len(rows) == 8
    (table,) = monitor_tables(results)
    assert table.row_count == 1


def test_the_figure_of_a_watched_stage_names_every_group_and_is_a_file(tmp_path: Path) -> None:
    watched(tmp_path, calls={GROUPS[1]: 8})
    labels = [v for t, n, v in Page(page(tmp_path)).attributes if (t, n) == ("svg", "aria-label")]
    (label,) = (one for one in labels if "while the last stage" in one)
    assert "amber: 0.0 (−20.0 to +20.0); <b>coral: +5.0 (−15.0 to +25.0), called at step 8" in label
    assert (tmp_path / "reported/figures/monitor1.svg").exists()
    assert "ran to its end, 30 steps" in said(tmp_path)


def test_a_stage_that_ended_before_the_first_look_says_so_without_a_figure(tmp_path: Path) -> None:
    results = watched(tmp_path, looks=0)
    assert results.monitored[0].groups == ()
    assert "while the last stage" not in page(tmp_path)
    assert re.search(r"warn ?0 ?none ?ran to its end, 30 steps", said(tmp_path))


def test_digests_of_model_and_data_are_in_results_and_page(tmp_path: Path) -> None:
    digests: Any = watched(tmp_path).provenance["digests"]
    assert digests["model"] == "d" * 64
    text = said(tmp_path)
    assert "d" * 64 in text
    assert f"safetytrain9{'e' * 64}f" in text
