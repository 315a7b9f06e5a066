"""Tasks from the hub: the splits that are read, and rows in the layouts of the hub."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from forgetscope.adapters.rows_files import FileRows
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import BadRow, InvalidSpec
from forgetscope.schema.example import Example, HubSource, Row, Split
from forgetscope.tasks.base import parse_params
from forgetscope.tasks.catalogue import TASKS
from forgetscope.tasks.toxigen_params import SAFENLP, ToxigenParams

REVISION = "0123456789abcdef0123456789abcdef01234567"
SPLITS: tuple[Split, ...] = ("train", "evaluation")


def hub(name: str, **more: str) -> dict[str, str]:
    return {"id": name, "revision": REVISION, **more}


def read(task: str, params: Mapping[str, Any], split: Split) -> list[tuple[str | None, str]]:
    """(config, split) of each source."""
    sources = TASKS.get(task).sources(parse_params(TASKS.get(task), params), split)
    assert all(isinstance(s, HubSource) and s.revision == REVISION for s in sources)
    return [(s.config, s.split) for s in sources if isinstance(s, HubSource)]


ARC_HUB = hub("allenai/ai2_arc")
CSQA_HUB = hub("tau/commonsense_qa")
TOXIGEN_HUB = hub("toxigen/toxigen-data")


@pytest.mark.parametrize(
    ("task", "params", "train", "evaluation"),
    [
        (
            "arc",
            {"hub": ARC_HUB},
            [("ARC-Easy", "train"), ("ARC-Challenge", "train")],
            [("ARC-Easy", "test"), ("ARC-Challenge", "test")],
        ),
        (
            "arc",
            {"hub": ARC_HUB, "subset": "easy", "evaluate_on": "dev"},
            [("ARC-Easy", "train")],
            [("ARC-Easy", "validation")],
        ),
        ("commonsense_qa", {"hub": CSQA_HUB}, [(None, "train")], [(None, "validation")]),
        (
            "commonsense_qa_2",
            {"hub": hub("somebody/csqa2", config="v2")},
            [("v2", "train")],
            [("v2", "validation")],
        ),
        ("toxigen_qa", {"hub": TOXIGEN_HUB}, [("annotated", "train")], [("annotated", "train")]),
        (
            "toxigen_qa",
            {"hub": hub("somebody/toxigen", config="all"), "evaluate_on": "test_unseen"},
            [("all", "train")],
            [("all", "train"), ("all", "test")],
        ),
    ],
)
def test_a_task_reads_the_splits_that_its_hub_repository_has(
    task: str, params: JsonObject, train: list[Any], evaluation: list[Any]
) -> None:
    assert read(task, params, "train") == train
    assert read(task, params, "evaluation") == evaluation


@pytest.mark.parametrize(
    ("task", "params", "fault"),
    [
        ("arc", {"hub": hub("allenai/ai2_arc", config="ARC-Easy")}, "hub.config: Extra inputs"),
        ("arc", {"hub": {"id": "allenai/ai2_arc", "revision": "main"}}, "hub.revision"),
        ("arc", {"hub": {"id": "allenai/ai2_arc"}}, "hub.revision: Field required"),
        ("commonsense_qa", {"hub": hub("../escape")}, "hub.id"),
        ("toxigen_qa", {"evaluate_on": "test_unseen"}, "'test_unseen' needs 'hub'"),
    ],
)
def test_a_repository_without_a_commit_or_with_two_meanings_is_refused(
    task: str, params: JsonObject, fault: str
) -> None:
    with pytest.raises(InvalidSpec, match=fault):
        parse_params(TASKS.get(task), params)


def test_the_test_split_is_at_the_hub_alone() -> None:
    with pytest.raises(ValidationError, match="needs 'hub'"):
        ToxigenParams(evaluate_on="test_unseen")


def as_hub_has_it(row: Row) -> Row:
    """The same question in the columns of `allenai/ai2_arc` and `tau/commonsense_qa`."""
    released: Any = row.data["question"]
    choices = released["choices"]
    data: JsonObject = {
        "id": row.data["id"],
        "question": released["stem"],
        "question_concept": "ignored",
        "choices": {
            "text": [choice["text"] for choice in choices],
            "label": [choice["label"] for choice in choices],
        },
        "answerKey": row.data["answerKey"],
    }
    return Row(file=row.file, number=row.number, data=data)


@pytest.mark.parametrize("name", ["arc", "commonsense_qa"])
def test_both_layouts_give_the_same_examples(rows: FileRows, name: str) -> None:
    task = TASKS.get(name)
    params = task.params()
    for split in SPLITS:
        released = [row for source in task.sources(params, split) for row in rows.read(source)]
        ours = list(task.examples(params, released, split))
        assert ours == list(task.examples(params, map(as_hub_has_it, released), split))
        assert len(ours) == task.sizes[split]


HUB_ROW: JsonObject = {
    "id": "q1",
    "question": "What is ice?",
    "choices": {"text": ["water", "stone"], "label": ["1", "2"]},
    "answerKey": "2",
}


def arc_of(change: JsonObject) -> Example:
    row = Row(file="allenai/ai2_arc@01234567/ARC-Easy/train", number=6, data={**HUB_ROW, **change})
    (example,) = TASKS.get("arc").examples(TASKS.get("arc").params(), [row], "train")
    return example


def test_an_option_that_the_hub_numbers_gets_its_letter() -> None:
    example = arc_of({})
    assert example.prompt == "Question: What is ice?\nA. water\nB. stone\nAnswer:"
    assert (example.target, example.row) == (" B", "allenai/ai2_arc@01234567/ARC-Easy/train, row 6")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"answerKey": ""}, "answerKey: '' is not among the labels"),
        ({"question": " "}, "question: "),
        ({"choices": {"text": ["water"], "label": ["1"]}}, "choices.text: "),
        ({"choices": {"text": ["water", ""], "label": ["1", "2"]}}, "choices.text.1: "),
        ({"choices": {"text": ["water", "x"], "label": ["1"]}}, "choices: 2 texts, but 1 labels"),
        (
            {"choices": {"text": ["water", "x"], "label": ["2", "2"]}},
            "choices: two options have the same label",
        ),
    ],
)
def test_a_hub_row_that_breaks_the_schema_is_named(change: JsonObject, fault: str) -> None:
    with pytest.raises(BadRow) as caught:
        arc_of(change)
    assert caught.value.where == "allenai/ai2_arc@01234567/ARC-Easy/train, row 6"
    assert caught.value.detail.startswith(fault)
    assert "water" not in str(caught.value)


def test_csqa_rows_of_the_hub_must_have_the_letters_in_order() -> None:
    choices: JsonObject = {"text": list("vwxyz"), "label": list("ABCED")}
    row = Row(file="h", number=2, data={**HUB_ROW, "choices": choices, "answerKey": "A"})
    task = TASKS.get("commonsense_qa")
    with pytest.raises(BadRow, match=r"h, row 2: choices: the labels are 'ABCED'"):
        list(task.examples(task.params(), [row], "train"))


def toxigen_row(file: str, number: int, text: str, group: str) -> Row:
    """With columns that the task does not need, one of them absent in some rows."""
    data: JsonObject = {
        "text": text,
        "target_group": group,
        "factual?": None,
        "stereotyping": "ignored",
        "intent": 2.0,
        "toxicity_ai": 4.0,
        "toxicity_human": 3.0,
    }
    return Row(file=file, number=number, data=data)


def test_the_official_test_split_is_read_with_its_own_spelling_and_without_seen_texts() -> None:
    params = ToxigenParams.model_validate({"hub": TOXIGEN_HUB, "evaluate_on": "test_unseen"})
    train, test = (source.name for source in params.sources("evaluation"))
    given = [
        toxigen_row(train, 1, "made of glass", "women"),
        toxigen_row(test, 1, "Made of glass!", "women"),
        toxigen_row(test, 2, "made of wood", "black folks / african-americans"),
        toxigen_row(test, 3, "made of tin", "native american/indigenous folks"),
    ]
    task = TASKS.get("toxigen_qa")
    found = list(task.examples(params, given, "evaluation"))
    assert [e.groups for e in found] == [("black",), ("native_american",)]
    assert [e.row for e in found] == [f"{test}, row 2", f"{test}, row 3"]


def test_unseen_statements_of_safenlp_can_be_asked_after_training_from_the_hub() -> None:
    params = ToxigenParams.model_validate({"hub": TOXIGEN_HUB, "evaluate_on": "safenlp_unseen"})
    assert params.sources("evaluation") == (*params.sources("train"), SAFENLP)
