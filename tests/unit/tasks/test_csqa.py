"""CommonsenseQA and CommonsenseQA 2.0: published counts, prompts, rows that break the schema."""

from collections import Counter
from collections.abc import Iterator

import pytest

from forgetscope.adapters.rows_files import FileRows
from forgetscope.app.prepare import build_examples
from forgetscope.core.subsample import refuse_overlap
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import BadRow
from forgetscope.schema.example import Example, Row, Split
from forgetscope.tasks.csqa import CSQA, CsqaParams
from forgetscope.tasks.csqa2 import CSQA2, Csqa2Params

CSQA_COUNTS: dict[Split, dict[str, int]] = {
    "train": {" A": 1909, " B": 1973, " C": 1946, " D": 1985, " E": 1928},
    "evaluation": {" A": 239, " B": 255, " C": 241, " D": 251, " E": 235},
}
CSQA2_COUNTS: dict[Split, dict[str, int]] = {
    "train": {" yes": 4632, " no": 4632},
    "evaluation": {" yes": 1225, " no": 1316},
}
SPLITS: tuple[Split, ...] = ("train", "evaluation")


def csqa(rows: FileRows, split: Split, n: int | None = None) -> list[Example]:
    return build_examples(CSQA, CsqaParams(), split, n, seed=0, rows=rows)


def csqa2(rows: FileRows, split: Split, n: int | None = None) -> list[Example]:
    return build_examples(CSQA2, Csqa2Params(), split, n, seed=0, rows=rows)


def test_csqa_has_the_published_counts_per_answer_key(rows: FileRows) -> None:
    splits = {split: csqa(rows, split) for split in SPLITS}
    assert {s: Counter(e.target for e in examples) for s, examples in splits.items()} == CSQA_COUNTS
    refuse_overlap(splits["train"], splits["evaluation"])


def test_csqa2_has_the_published_counts_per_answer(rows: FileRows) -> None:
    splits = {split: csqa2(rows, split) for split in SPLITS}
    counts = {s: Counter(e.target for e in examples) for s, examples in splits.items()}
    assert counts == CSQA2_COUNTS
    refuse_overlap(splits["train"], splits["evaluation"])


def test_subsamples_are_balanced_over_the_answers_and_reproducible(rows: FileRows) -> None:
    for of_task, classes in ((csqa, 5), (csqa2, 2)):
        drawn = of_task(rows, "train", 2261)
        counts = Counter(e.target for e in drawn)
        assert len(counts) == classes
        assert max(counts.values()) - min(counts.values()) <= 1
        assert drawn == of_task(rows, "train", 2261)


CSQA_ROW: JsonObject = {
    "id": "q1",
    "question": {
        "stem": "Where is ice?",
        "choices": [
            {"text": text, "label": label}
            for text, label in zip(("lake", "sun", "sand", "oven", "fire"), "ABCDE", strict=True)
        ],
        "question_concept": "ignored",
    },
    "answerKey": "A",
}
CSQA2_ROW: JsonObject = {
    "id": "q2",
    "question": " Ice is cold. ",
    "answer": "no",
    "date": "ignored",
}


def csqa_of(change: JsonObject) -> Iterator[Example]:
    row = Row(file="c.jsonl", number=3, data={**CSQA_ROW, **change})
    return CSQA.examples(CsqaParams(), [row], "train")


def csqa2_of(change: JsonObject) -> Iterator[Example]:
    row = Row(file="c2.json", number=4, data={**CSQA2_ROW, **change})
    return CSQA2.examples(Csqa2Params(), [row], "train")


def test_csqa_asks_for_the_letter() -> None:
    (example,) = csqa_of({"answerKey": "D"})
    options = "A. lake\nB. sun\nC. sand\nD. oven\nE. fire"
    assert example.prompt == f"Question: Where is ice?\n{options}\nAnswer:"
    assert (example.target, example.answer, example.stratum) == (" D", 3, "D")


def test_csqa2_asks_for_yes_or_no() -> None:
    (example,) = csqa2_of({})
    assert example.prompt == "Question: Ice is cold.\nAnswer:"
    assert (example.target, example.options, example.stratum) == (" no", (" yes", " no"), "no")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"answerKey": "F"}, "answerKey: "),
        ({"id": ""}, "id: "),
        ({"question": {"stem": " ", "choices": []}}, "question.stem: "),
        ({"question": {**CSQA_ROW["question"], "choices": []}}, "question.choices: "),  # type: ignore[dict-item]
    ],
)
def test_a_csqa_row_that_breaks_the_schema_is_named(change: JsonObject, fault: str) -> None:
    with pytest.raises(BadRow) as caught:
        list(csqa_of(change))
    assert caught.value.where == "c.jsonl, row 3"
    assert caught.value.detail.startswith(fault)
    assert "lake" not in str(caught.value)


def test_csqa_labels_must_be_the_letters_in_order() -> None:
    question: JsonObject = {
        "stem": "?",
        "choices": [{"text": "x", "label": label} for label in "ABCED"],
    }
    with pytest.raises(BadRow, match=r"row 3: question\.choices: the labels are 'ABCED'"):
        list(csqa_of({"question": question}))


@pytest.mark.parametrize(
    ("change", "fault"),
    [({"answer": "maybe"}, "answer: "), ({"question": ""}, "question: "), ({"id": 3}, "id: ")],
)
def test_a_csqa2_row_that_breaks_the_schema_is_named(change: JsonObject, fault: str) -> None:
    with pytest.raises(BadRow) as caught:
        list(csqa2_of(change))
    assert caught.value.where == "c2.json, row 4"
    assert caught.value.detail.startswith(fault)


def test_a_file_without_answers_is_refused(rows: FileRows) -> None:
    hidden = rows.read(
        CSQA2.sources(Csqa2Params(), "train")[0].model_copy(
            update={"path": "commonsense_qa_2/CSQA2_test_no_answers.json.gz"}
        )
    )
    with pytest.raises(BadRow, match=r"test_no_answers\.json\.gz, row 1: answer: Field required"):
        list(CSQA2.examples(Csqa2Params(), hidden, "evaluation"))
