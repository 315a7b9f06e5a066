"""Lost and gained items: all of them as a table, the first ones in the report, texts on demand."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

from services.analysis.fabricate import analyse_work, manifest, report_work
from services.analysis.test_report import Page

from forgetscope.analysis.changes import SHOWN, changes, read
from forgetscope.analysis.stage import stages
from forgetscope.app.examples_file import write_examples
from forgetscope.core.predictions import Prediction
from forgetscope.ports.stage import Work
from forgetscope.schema.example import Example
from forgetscope.schema.results import Results

HOSTILE = "<script>alert(1)</script> & <b>bold</b>"


def run(folder: Path, **kind: object) -> Results:
    work, io = analyse_work(folder, **kind)  # type: ignore[arg-type]
    stages()["analyse"](work, io)
    return Results.model_validate_json((folder / "analysed/results.json").read_text("utf-8"))


def lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "analysed/items.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def prediction(name: str, choice: int | None, **changes: object) -> Prediction:
    return Prediction(
        id=name,
        cluster=f"cluster of {name}",
        groups=("g",),
        form="choice",
        answer=0,
        choice=choice,
        correct=None if choice is None else choice == 0,
        unscored="no text" if choice is None else None,
        scores=None,
        text=None,
    )._replace(**changes)


def test_lost_minus_gained_is_the_forgetting_of_each_seed(tmp_path: Path) -> None:
    results = run(tmp_path, unscored=0.1)
    counts = Counter((r["chain"], r["task"], r["seed"], r["change"]) for r in lines(tmp_path))
    for row in results.forgetting:
        for test in row.mcnemar:
            place = (" > ".join(row.chain), row.task, str(test.seed))
            lost, gained = counts[*place, "lost"], counts[*place, "gained"]
            assert (lost, gained) == (test.lost, test.gained)
            assert row.per_seed[str(test.seed)] is not None
            assert abs((lost - gained) / test.items - (row.per_seed[str(test.seed)] or 0)) < 1e-12


def test_an_item_unscored_by_one_model_is_neither_lost_nor_gained() -> None:
    before = [prediction(n, c) for n, c in zip("abcde", (0, 1, 0, 0, None), strict=True)]
    after = [prediction(n, c) for n, c in zip("abcde", (2, 0, 0, None, 0), strict=True)]
    cells = {(("t",), 0): before, (("t", "u"), 0): after}
    ((*place, moves),) = changes("t", cells, [("t", "u")], [0]).rows
    assert place == [("t", "u"), "t", 1]
    assert [(m.kind, m.before.id, m.before.choice, m.after.choice) for m in moves] == [
        ("lost", "a", 0, 2),
        ("gained", "b", 1, 0),
    ]


def test_the_first_ones_are_those_of_the_most_seeds_and_the_count_is_of_all(tmp_path: Path) -> None:
    run(tmp_path)
    (row, _) = read(tmp_path / "analysed")
    of_row = [
        r for r in lines(tmp_path) if (r["chain"], r["change"]) == (" > ".join(row.chain), "lost")
    ]
    seeds = Counter(r["id"] for r in of_row)
    assert row.lost_items == len(seeds) > SHOWN == len(row.lost)
    sizes = [len(item.moves) for item in row.lost]
    assert sizes == sorted(seeds.values(), reverse=True)[:SHOWN]
    assert all(seeds[item.id] == len(item.moves) for item in row.lost)


def reported(folder: Path) -> str:
    work, io = report_work(folder)
    stages()["report"](work, io)
    return (folder / "reported/report.html").read_text("utf-8")


def test_the_report_lists_items_by_id_and_says_where_their_texts_are(tmp_path: Path) -> None:
    run(tmp_path)
    text = reported(tmp_path)
    page = Page(text)
    (row, _) = read(tmp_path / "analysed")
    assert all(item.id in page.text for item in row.lost)
    assert f"{SHOWN} of {row.lost_items} items, right before, wrong after" in page.text
    assert re.search(r"A → B \([123] of 3 seeds\)", page.text)
    assert "examples.jsonl" in page.text
    assert 'class="text"' not in text
    assert page.values("open") == []


def with_texts(folder: Path) -> None:
    """An analysis whose experiment asked for texts."""
    work, io = analyse_work(folder, settings={"bootstrap_replicates": 100, "show_texts": True})
    inputs = dict(io.inputs)
    for i, task in enumerate(("safety", "capability")):
        inputs[f"data-{i}"] = folder / f"data-{i}"
        inputs[f"data-{i}"].mkdir()
        groups = range(6)
        write_examples(
            inputs[f"data-{i}"],
            [
                Example(
                    id=f"{task}-{g}-{k}",
                    prompt=f"{HOSTILE} {task} {g} {k}",
                    options=(" yes", f" {HOSTILE}"),
                    answer=0,
                    target=" yes",
                    cluster=f"{g}-{k // 3}",
                )
                for g in groups
                for k in range(60)
            ],
        )
    io.inputs = inputs
    manifests = {role: manifest(role, "evaluate") for role in inputs}
    stages()["analyse"](Work(work.key, work.kind, work.params, manifests, work.seed), io)


def test_texts_stand_behind_a_second_click_and_stay_text(tmp_path: Path) -> None:
    with_texts(tmp_path)
    text = reported(tmp_path)
    page = Page(text)
    (row, _) = read(tmp_path / "analysed")
    assert (
        page.tags.count("script") == page.tags.count("b") - Page(without(text)).tags.count("b") == 0
    )
    assert page.text.count(HOSTILE) == 2 * text.count('class="text"') > 0
    depth = deepest = 0
    for mark in re.findall(r"<details|</details>|&lt;script&gt;", text):
        depth += {"<details": 1, "</details>": -1}.get(mark, 0)
        if mark.startswith("&lt;"):
            assert depth == 2
        deepest = max(deepest, depth)
    assert deepest == 2
    assert page.values("open") == []
    assert row.lost[0].texts is not None


def without(text: str) -> str:
    return text.replace(HOSTILE, "")


def test_without_being_asked_no_text_leaves_the_analysis(tmp_path: Path) -> None:
    run(tmp_path)
    content = json.loads((tmp_path / "analysed/changes.json").read_text("utf-8"))
    items = [i for row in content for i in row["lost"] + row["gained"]]
    assert items
    assert all(i["texts"] is None for i in items)
    assert all(
        m["text_before"] is None and m["text_after"] is None for i in items for m in i["moves"]
    )


def test_equal_predictions_give_equal_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(tmp_path / name)
    for file in ("items.csv", "changes.json"):
        one, two = ((tmp_path / name / "analysed" / file).read_bytes() for name in ("one", "two"))
        assert one == two
