"""Tasks from definitions: every form, every rule, every error."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from forgetscope.core.predictions import judge_text
from forgetscope.core.subsample import refuse_overlap
from forgetscope.schema.custom import CustomTask
from forgetscope.schema.errors import BadRow, InvalidInput, InvalidSpec
from forgetscope.schema.example import Example, Extract, Functional, Judged, Row, Split
from forgetscope.tasks.catalogue import find
from forgetscope.tasks.custom import custom_task

LABELS: dict[str, Any] = {
    "name": "mine",
    "kind": "safety",
    "train": "a.jsonl",
    "evaluation": "b.jsonl",
    "prompt": "Text: {{ text }}",
    "options": ["yes", "no"],
    "answer": {"column": "label", "map": {"1": "yes", "0": "no"}},
}
COLUMNS = LABELS | {
    "options": {"columns": ["a", "b", "c"]},
    "answer": {"column": "label", "holds": "index"},
}
OPEN: dict[str, Any] = {key: LABELS[key] for key in ("name", "kind", "train", "evaluation")}
OPEN |= {"prompt": "Ask: {{ text }}", "answer": "{{ label }}"}


def rows(*data: dict[str, Any]) -> Iterator[Row]:
    for number, one in enumerate(data, start=1):
        yield Row(file="a.jsonl", number=number, data=one)


def made(
    definition: dict[str, Any], *data: dict[str, Any], split: Split = "train"
) -> list[Example]:
    task, params = find("custom", definition)
    return list(task.examples(params, rows(*data), split))


def test_labels_are_scored_as_options_and_the_cue_ends_the_prompt() -> None:
    yes, no = made(LABELS, {"text": "x", "label": 1}, {"text": "y", "label": "0"})
    assert yes.prompt == "Text: x\nAnswer:"
    assert (yes.form, yes.options, yes.answer, yes.target) == ("choice", (" yes", " no"), 0, " yes")
    assert (no.target, no.stratum, no.row, no.id) == (" no", "no", "a.jsonl, row 2", "mine-train-2")


def test_columns_are_lettered_listed_or_left_out() -> None:
    row = {"text": "q", "a": "one ", "b": 2, "c": "three", "label": "2"}
    (lettered,) = made(COLUMNS, row)
    assert lettered.prompt == "Text: q\nA. one\nB. 2\nC. three\nAnswer:"
    assert (lettered.options, lettered.target, lettered.stratum) == ((" A", " B", " C"), " C", "C")
    (listed,) = made(COLUMNS | {"show_options": "list"}, row)
    assert listed.prompt == "Text: q\n- one\n- 2\n- three\nAnswer:"
    assert (listed.target, listed.stratum) == (" three", "option 3")
    (bare,) = made(COLUMNS | {"show_options": "none", "cue": ""}, row)
    assert (bare.prompt, bare.options) == ("Text: q", (" one", " 2", " three"))


def test_the_same_items_can_be_written_instead_of_chosen() -> None:
    row = {"text": "q", "a": "one", "b": "two", "c": "three", "label": 1}
    chosen, written = (
        made(COLUMNS | {"show_options": "list", "score": score}, row)[0]
        for score in ("multiple_choice", "exact")
    )
    assert (written.form, written.options, written.target) == ("generate", (), " two")
    same = ("id", "prompt", "target", "cluster", "stratum", "groups", "row")
    assert [getattr(written, name) for name in same] == [getattr(chosen, name) for name in same]
    assert judge_text("two\n", written).correct is True
    assert judge_text("three", written).correct is False
    assert judge_text("I think two", written).unscored == "the text is none of the answers"


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ({"holds": "index"}, 1),
        ({"holds": "index", "counted_from": 1}, "2"),
        ({"holds": "letter"}, "B"),
        ({"holds": "letter"}, " b"),
        ({"holds": "option"}, "two"),
        ({"map": {"x": "two"}}, "x"),
        ({"map": {"2": "two"}}, 2.0),
        ({"map": {"true": "two"}}, True),
    ],
)
def test_an_answer_is_a_number_a_letter_a_text_or_a_mapped_value(
    answer: dict[str, Any], value: object
) -> None:
    options = {"options": {"column": "all", "field": "t"}, "answer": {"column": "label", **answer}}
    row = {"text": "q", "all": [{"t": "one"}, {"t": "two"}], "label": value}
    (example,) = made(LABELS | options, row)
    assert (example.answer, example.target) == (1, " B")


def test_a_written_answer_is_a_template_with_a_score_of_its_own() -> None:
    row = {"text": "q", "label": "42", "cases": [{"inputs": {}, "output": 42}], "said": ["a", "b"]}
    (exact,) = made(OPEN, row)
    assert (exact.form, exact.prompt, exact.target) == ("generate", "Ask: q\nAnswer:", " 42")
    (pattern,) = made(OPEN | {"score": {"kind": "extract", "pattern": r"(\d+)"}}, row)
    assert isinstance(pattern.score, Extract)
    assert judge_text("it is 42, I think", pattern).correct is True
    (function,) = made(OPEN | {"score": {"kind": "functional", "cases": "cases"}}, row)
    assert isinstance(function.score, Functional)
    assert judge_text("6 * 7", function).correct is True
    judged = {"score": {"kind": "judged", "turns": ["said", "text"]}, "max_new_tokens": 9}
    (reply,) = made(OPEN | judged, row)
    assert reply.score == Judged(turns=("a", "b", "q"))
    assert reply.max_new_tokens == 9


def test_groups_are_one_or_many_mapped_and_never_guessed() -> None:
    rules = {
        "groups": [
            {"column": "who", "map": {"J": "jewish", "M": "muslim"}, "unknown": ["other"]},
            {"column": "also", "separator": ";"},
        ]
    }
    found = made(
        LABELS | rules,
        {"text": "1", "label": 1, "who": ["J", "M", "J"], "also": "a; b;"},
        {"text": "2", "label": 1, "who": "other", "also": None},
        {"text": "3", "label": 1, "who": "M", "also": []},
    )
    assert [e.groups for e in found] == [("jewish", "muslim", "a", "b"), (), ("muslim",)]
    with pytest.raises(BadRow, match="column 'who': a group is neither in the map") as caught:
        made(LABELS | rules, {"text": "1", "label": 1, "who": "martian", "also": ""})
    assert "martian" not in str(caught.value)
    assert caught.value.where == "a.jsonl, row 1"
    task = custom_task(CustomTask.model_validate(LABELS | {"groups": rules["groups"][:1]}))
    assert task.groups == ("jewish", "muslim")


def test_a_column_splits_a_file_and_names_every_row() -> None:
    split = {"split": {"column": "part", "train": ["t", "v"], "evaluation": "e", "unused": "x"}}
    one = {**LABELS, "source": "a.jsonl", **split}
    del one["train"], one["evaluation"]
    data = [{"text": name, "label": 1, "part": name} for name in "tvex"]
    assert [e.id for e in made(one, *data)] == ["mine-1", "mine-2"]
    assert [e.id for e in made(one, *data, split="evaluation")] == ["mine-3"]
    with pytest.raises(BadRow, match="split: the value of column 'part' names no split"):
        made(one, {"text": "?", "label": 1, "part": "?"})


def test_a_share_is_held_out_by_whole_clusters_and_by_nothing_else() -> None:
    one = {**LABELS, "source": "a.jsonl", "split": {"hold_out": 0.3}, "cluster": "story"}
    del one["train"], one["evaluation"]
    data = [{"text": f"{n}", "label": n % 2, "story": f"s{n // 5}"} for n in range(1000)]
    train, held_out = made(one, *data), made(one, *data, split="evaluation")
    assert len(train) + len(held_out) == 1000
    assert 0.2 < len(held_out) / 1000 < 0.4
    refuse_overlap(train, held_out)
    kept = {e.cluster for e in made(one, *data[500:])}
    assert kept == {e.cluster for e in train} & {f"s{n}" for n in range(100, 200)}


def test_prompts_that_read_alike_share_a_cluster_unless_columns_say_otherwise() -> None:
    data = [{"text": text, "label": 1} for text in ("One word.", "one  WORD", "two words")]
    clusters = [e.cluster for e in made(LABELS, *data)]
    assert clusters[0] == clusters[1] != clusters[2]
    named = made(LABELS | {"cluster": ["label", "text"], "id": "text", "stratum": "label"}, *data)
    assert [e.cluster for e in named] == ["1/One word.", "1/one  WORD", "1/two words"]
    assert named[2].id == "two words"
    assert named[2].stratum == "1"


def test_names_of_clusters_and_ids_never_hold_long_texts() -> None:
    text = "a text that nobody should find in a message: " + "word " * 20
    (example,) = made(LABELS | {"cluster": "text", "id": "text"}, {"text": text, "label": 1})
    assert len(example.cluster) == len(example.id) == 16


@pytest.mark.parametrize(
    ("change", "row", "reason"),
    [
        ({}, {"label": 1}, "prompt: column 'text' is missing"),
        ({}, {"txet": "secret", "label": 1}, "prompt: .*did you mean 'txet'?"),
        ({}, {"text": "secret"}, "column 'label' is missing"),
        ({}, {"text": "secret", "label": 2}, "answer: the value of column 'label' is not in the"),
        ({}, {"text": "secret", "label": [1]}, "column 'label' holds neither text nor a number"),
        ({}, {"text": "secret", "label": ""}, "answer: column 'label' is blank"),
        ({"prompt": "{{ text }}"}, {"text": " ", "label": 1}, "prompt: it is blank"),
        ({"answer": {"column": "label"}}, {"text": "secret", "label": "maybe"}, "none of the opt"),
        (COLUMNS, {"text": "secret", "a": "x", "b": "y", "c": "x", "label": 1}, "1 and 3 are the"),
        (COLUMNS, {"text": "secret", "a": "x", "b": "", "c": "z", "label": 1}, "number 2 is blank"),
        (COLUMNS, {"text": "secret", "a": "x", "b": "y", "c": "z", "label": 3}, "option 3 does no"),
        (COLUMNS, {"text": "secret", "a": "x", "b": "y", "c": "z", "label": "x"}, "no whole numb"),
        ({"options": "all"}, {"text": "secret", "all": ["x"], "label": 1}, "there are 1, not 2 to"),
        ({"options": "all"}, {"text": "secret", "all": "xy", "label": 1}, "'all' holds no list"),
        ({"options": "all"}, {"text": "secret", "all": ["x", {}], "label": 1}, "item 2 has no te"),
        (OPEN, {"text": "secret", "label": "a\nb"}, "own score does not accept it"),
        (OPEN, {"text": "secret", "label": ""}, "answer: it is blank"),
        (
            {**OPEN, "score": {"kind": "functional", "cases": "cases"}},
            {"text": "secret", "label": "1", "cases": [{"output": 1}, {"inputs": {}}]},
            "column 'cases', at 1.output: Field required",
        ),
        (
            {**OPEN, "score": {"kind": "judged", "turns": "said"}},
            {"text": "secret", "label": "1", "said": ["a", ""]},
            "a turn of the dialogue is blank",
        ),
    ],
)
def test_a_row_that_makes_no_example_is_named_without_its_text(
    change: dict[str, Any], row: dict[str, Any], reason: str
) -> None:
    definition = change if "name" in change else LABELS | change
    with pytest.raises(BadRow, match=reason) as caught:
        made(definition, row)
    assert caught.value.where == "a.jsonl, row 1"
    assert "secret" not in str(caught.value)


def test_two_rows_with_one_id_are_named_both() -> None:
    data = [{"text": str(n), "label": 1, "id": n // 2} for n in range(2)]
    with pytest.raises(BadRow, match="row 2: id: it is the same as in row 1"):
        made(LABELS | {"id": "id"}, *data)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"evaluation": None}, "either train and evaluation, or source and split"),
        ({"source": "c.jsonl"}, "either train and evaluation, or source and split"),
        ({"prompt": "{{ text }}\nAnswer:"}, "leave out its last 'Answer:'"),
        ({"options": None}, "without options, it is a template"),
        ({"answer": "{{ label }}"}, "with options, it is an object"),
        ({"answer": {"column": "label", "map": {"1": "maybe"}}}, "'maybe' is not among the labels"),
        ({"answer": {"column": "l", "holds": "index", "map": {"1": "no"}}}, "map belongs to"),
        ({"options": [True, False]}, "put it into quotes"),
        ({"options": ["yes", "yes"]}, "two labels are equal"),
        ({"options": {"labels": ["a", "b"], "columns": ["c", "d"]}}, "exactly one of"),
        ({"score": {"kind": "judged", "turns": ["t"]}}, "is for tasks without options"),
        ({"options": [str(n) for n in range(11)], "show_options": "letters"}, "10 options"),
        ({"propmt": "x"}, "Extra inputs"),
    ],
)
def test_a_definition_that_contradicts_itself_is_refused(
    change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        CustomTask.model_validate(LABELS | change)
    with pytest.raises(InvalidSpec) as caught:
        find("custom", LABELS | change, where="/tasks/2")
    assert caught.value.where == "/tasks/2/params"


def test_a_template_or_pattern_is_refused_where_it_stands() -> None:
    with pytest.raises(InvalidSpec) as caught:
        find("custom", LABELS | {"prompt": "{{ text() }}"}, where="/tasks/0")
    assert caught.value.where == "/tasks/0/params/prompt"
    score = {"kind": "extract", "pattern": "(?=look)"}
    with pytest.raises(InvalidInput, match="RE2") as unread:
        find("custom", OPEN | {"score": score}, where="/tasks/0")
    assert unread.value.where == "/tasks/0/params/score/pattern"


@pytest.mark.parametrize("definition", [LABELS, COLUMNS, OPEN])
def test_a_definition_survives_its_own_json_and_its_schema_admits_the_short_form(
    definition: dict[str, Any],
) -> None:
    schema = CustomTask.model_json_schema()
    jsonschema.Draft202012Validator(schema).validate(definition)
    parsed = CustomTask.model_validate(definition)
    whole = json.loads(parsed.model_dump_json())
    jsonschema.Draft202012Validator(schema).validate(whole)
    assert CustomTask.model_validate(whole) == parsed


def test_every_field_of_a_definition_is_described() -> None:
    plain = {"name", "kind", "column", "columns", "counted_from", "train", "evaluation"}
    plain |= {"summary", "licence", "citation"}
    schema = CustomTask.model_json_schema()
    assert "description" in schema
    for name, field in schema["properties"].items():
        assert name in plain or "description" in field, name


def test_the_chance_level_follows_from_the_options_where_they_are_fixed() -> None:
    def chance(definition: dict[str, Any]) -> float | None:
        return custom_task(CustomTask.model_validate(definition)).chance

    assert chance(LABELS) == 1 / 2
    assert chance(COLUMNS) == 1 / 3
    assert chance(LABELS | {"options": "all", "answer": {"column": "label"}}) is None
    assert chance(COLUMNS | {"chance": 0.2}) == 0.2
    assert chance(OPEN) is None


def test_a_path_alone_is_a_file_whose_ending_says_the_format() -> None:
    found = CustomTask.model_validate(LABELS | {"train": "x/a.json.gz", "evaluation": "b.csv"})
    assert [s.model_dump() for s in (found.train, found.evaluation) if s is not None] == [
        {"kind": "file", "path": "x/a.json.gz", "format": "json"},
        {"kind": "file", "path": "b.csv", "format": "csv"},
    ]
    upload = CustomTask.model_validate(LABELS | {"train": {"digest": "0" * 64}}).train
    assert upload is not None
    assert upload.kind == "upload"
    pinned = {"id": "someone/set", "revision": "0" * 40, "split": "test"}
    hub = CustomTask.model_validate(LABELS | {"evaluation": pinned}).evaluation
    assert hub is not None
    assert (hub.kind, hub.name) == ("hub", "someone/set@00000000/test")
