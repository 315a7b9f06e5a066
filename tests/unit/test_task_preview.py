"""What a preview shows of a task, and what it finds doubtful."""

from collections.abc import Iterator
from typing import Any

import pytest

from forgetscope.app.task_preview import preview_task
from forgetscope.schema.errors import BadRow
from forgetscope.schema.example import FileSource, Row
from forgetscope.schema.experiment import TaskUse
from forgetscope.schema.preview import Flag, TaskPreview

DEFINITION: dict[str, Any] = {
    "name": "mine",
    "kind": "safety",
    "train": "train.jsonl",
    "evaluation": "test.jsonl",
    "prompt": "Text: {{ text }}",
    "options": ["yes", "no"],
    "answer": {"column": "label"},
}


class Tables:
    """Rows by file."""

    def __init__(self, **files: list[dict[str, Any]]) -> None:
        self._files = {f"{name}.jsonl": rows for name, rows in files.items()}

    def fingerprint(self, sources: tuple[FileSource, ...]) -> str:
        return "f" * 64

    def read(self, source: FileSource) -> Iterator[Row]:
        for number, data in enumerate(self._files[source.path], start=1):
            if data is BROKEN:
                raise BadRow("broken JSON.", where=f"{source.path}, row {number}")
            yield Row(file=source.path, number=number, data=data)


BROKEN: dict[str, Any] = {}


def row(text: str, label: str = "yes", **more: object) -> dict[str, Any]:
    return {"text": text, "label": label, **more}


def both(split: str) -> list[dict[str, Any]]:
    return [row(f"{split} a"), row(f"{split} b", "no")]


def preview(
    train: list[dict[str, Any]] | None = None,
    test: list[dict[str, Any]] | None = None,
    examples: int = 0,
    **change: object,
) -> TaskPreview:
    rows = Tables(
        train=both("train") if train is None else train, test=both("test") if test is None else test
    )
    use = TaskUse(id="c", name="custom", params=DEFINITION | change)
    return preview_task(use, rows, examples=examples, max_length=50)  # type: ignore[arg-type]


def flags(**given: Any) -> list[Flag]:
    return list(preview(**given).flags)


def test_a_task_without_faults_is_shown_without_flags() -> None:
    shown = preview(examples=1)
    assert shown.flags == ()
    train, evaluation = shown.splits
    assert (train.split, train.examples, train.clusters) == ("train", 2, 2)
    assert evaluation.classes == {"yes": 1, "no": 1}
    (first,) = evaluation.first
    assert first.prompt == "Text: test a\nAnswer:"
    assert (first.options, first.target, first.row) == (
        (" yes", " no"),
        " yes",
        "test.jsonl, row 1",
    )


def test_rows_that_make_no_example_are_listed_by_reason_and_not_by_text() -> None:
    bad = [row("secret", "maybe"), row("secret", "perhaps"), {"text": "secret"}, row("secret", "")]
    found = flags(train=both("train") + bad)
    assert [(f.kind, f.severity, f.count) for f in found] == [
        ("bad_row", "error", 3),
        ("empty", "error", 1),
    ]
    assert found[0].rows == ("train.jsonl, row 3", "train.jsonl, row 4", "train.jsonl, row 5")
    assert "(and 1 other reasons in other rows)" in found[0].detail
    assert "secret" not in str(found)


def test_a_faulty_row_of_a_file_for_both_splits_counts_once() -> None:
    one = {**DEFINITION, "source": "all.jsonl", "split": {"hold_out": 0.5}}
    del one["train"], one["evaluation"]
    many = [row(f"text {n}", "yes" if n % 2 else "no") for n in range(40)]
    use = TaskUse(id="c", name="custom", params=one)
    (flag,) = preview_task(use, Tables(all=[*many, {"text": "?"}]), examples=0).flags  # type: ignore[arg-type]
    assert (flag.kind, flag.split, flag.count) == ("bad_row", None, 1)


def test_a_split_without_items_is_an_error() -> None:
    found = flags(test=[])
    assert [(f.kind, f.split, f.severity) for f in found] == [("empty", "evaluation", "error")]


def test_duplicates_within_a_split_are_found_though_they_differ_in_case_and_blanks() -> None:
    (flag,) = flags(train=[*both("train"), row("TRAIN  a"), row("train b.", "yes")])
    assert (flag.kind, flag.severity, flag.count) == ("duplicate", "warning", 2)
    assert "1 of them with another answer" in flag.detail
    assert flag.rows == ("train.jsonl, row 3", "train.jsonl, row 4")


def test_an_evaluation_item_that_is_trained_on_is_an_error() -> None:
    (same_text,) = flags(test=[*both("test"), row("Train A")])
    assert (same_text.kind, same_text.severity, same_text.rows) == (
        "leaking",
        "error",
        ("test.jsonl, row 3",),
    )
    marked = [row(f"{n}", label, about="x") for n, label in (("1", "yes"), ("2", "no"))]
    others = [row(f"{n}", label, about="x") for n, label in (("3", "yes"), ("4", "no"))]
    (same_cluster,) = flags(train=marked, test=others, cluster="about")
    assert (same_cluster.kind, same_cluster.count) == ("leaking", 2)
    apart = [row("1", about="y"), row("5", "no", about="y")]
    (copied,) = flags(train=marked, test=apart, cluster="about")
    assert "read like one that is trained on" in copied.detail
    assert copied.count == 1


def test_one_class_only_is_an_error_for_options_and_a_warning_for_free_answers() -> None:
    (flag,) = flags(test=[row("1"), row("2")])
    assert (flag.kind, flag.severity, flag.split) == ("single_class", "error", "evaluation")
    free: dict[str, Any] = {"options": None, "answer": "{{ label }}"}
    (flag,) = flags(test=[row("1"), row("2")], **free)
    assert (flag.kind, flag.severity) == ("single_class", "warning")


def test_an_overlong_item_is_estimated_and_said_to_be() -> None:
    (flag,) = flags(train=[*both("train"), row("word " * 50)])
    assert (flag.kind, flag.severity, flag.rows) == (
        "over_long",
        "warning",
        ("train.jsonl, row 3",),
    )
    assert "estimate" in flag.detail


def test_groups_are_counted_with_those_too_small_and_those_unknown() -> None:
    many = [row(f"t{n}", "yes" if n % 2 else "no", who="x") for n in range(40)]
    few = [row("few 1", who=["y"]), row("few 2", who=None)]
    shown = preview(
        test=many + few, train=[row("a", who="x"), row("b", "no", who="x")], groups=["who"]
    )
    evaluation = shown.splits[1]
    assert {name: (g.items, g.clusters) for name, g in evaluation.groups.items()} == {
        "x": (40, 40),
        "y": (1, 1),
    }
    assert evaluation.without_group == 1
    assert [(f.kind, f.severity, f.count) for f in shown.flags] == [
        ("small_group", "warning", 1),
        ("unknown_group", "note", 1),
    ]
    assert "y (1 items, 1 clusters)" in shown.flags[0].detail


def test_options_that_coincide_and_a_chance_level_that_is_not_known_are_flagged() -> None:
    change: dict[str, Any] = {
        "options": "all",
        "answer": {"column": "label", "holds": "index"},
        "show_options": "none",
    }

    def options(split: str) -> list[dict[str, Any]]:
        return [row(f"{split} {n}", str(n), all=["x", "y"]) for n in range(2)]

    found = flags(train=[*options("a"), row("c", "0", all=["x", "x"])], test=options("b"), **change)
    assert [(f.kind, f.severity) for f in found] == [
        ("same_options", "error"),
        ("no_chance", "note"),
    ]


def test_a_file_that_cannot_be_read_is_an_error_with_its_row() -> None:
    with pytest.raises(BadRow, match="broken JSON") as caught:
        preview(train=[row("a"), BROKEN])
    assert caught.value.where == "train.jsonl, row 2"


def test_a_built_in_task_is_previewed_with_its_parameters() -> None:
    use = TaskUse(id="s", name="synthetic_safety", params={"world": {"words": 8}})
    shown = preview_task(use, Tables(), examples=2)  # type: ignore[arg-type]
    assert shown.name == "synthetic_safety"
    assert [len(split.first) for split in shown.splits] == [2, 2]
    assert not [flag for flag in shown.flags if flag.severity == "error"]
