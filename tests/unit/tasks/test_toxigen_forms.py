"""ToxiGenQA's paired form and its evaluation on the unseen statements of SafeNLP."""

from collections import Counter

import pytest

from forgetscope.adapters.rows_files import FileRows
from forgetscope.app.prepare import build_examples
from forgetscope.core.subsample import refuse_overlap
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import BadRow
from forgetscope.schema.example import Example, Row, Split
from forgetscope.tasks.toxigen_params import SAFENLP, ToxigenParams
from forgetscope.tasks.toxigen_qa import TOXIGEN_QA
from forgetscope.tasks.toxigen_rows import read_statement

PAIRED = ToxigenParams(form="paired")
UNSEEN = ToxigenParams(evaluate_on="safenlp_unseen")
SPLITS: tuple[Split, ...] = ("train", "evaluation")

# (hate, neutral) rows of each group in SafeNLP's whole file, as published beside it.
SAFENLP_COUNTS = {
    "asian": (357, 526), "black": (296, 295), "chinese": (171, 266), "jewish": (234, 302),
    "latino": (368, 375), "lgbtq": (248, 356), "mental_dis": (231, 393), "mexican": (231, 228),
    "middle_east": (172, 259), "muslim": (203, 345), "native_american": (195, 307),
    "physical_dis": (233, 358), "women": (336, 305),
}  # fmt: skip


def build(rows: FileRows, params: ToxigenParams, split: Split) -> list[Example]:
    return build_examples(TOXIGEN_QA, params, split, None, seed=0, rows=rows)


def test_safenlp_has_the_published_counts_per_group_and_label(rows: FileRows) -> None:
    statements = [read_statement(row) for row in rows.read(SAFENLP)]
    counts = Counter((group, s.toxic) for s in statements for group in s.groups)
    assert {g: (counts[g, True], counts[g, False]) for g in TOXIGEN_QA.groups} == SAFENLP_COUNTS
    assert Counter(s.toxic for s in statements) == {True: 2767, False: 3747}
    assert sum(len(s.groups) == 1 for s in statements) == 5497


def test_the_unseen_statements_are_those_published(rows: FileRows) -> None:
    examples = build(rows, UNSEEN, "evaluation")
    assert Counter(e.target for e in examples) == {" yes": 292, " no": 306}
    assert {g for e in examples for g in e.groups} == {*TOXIGEN_QA.groups}
    assert any(len(e.groups) > 1 for e in examples)


def test_unseen_statements_are_in_neither_split_of_the_annotated_file(rows: FileRows) -> None:
    seen = {
        "".join(filter(str.isalnum, e.prompt))
        for split in SPLITS
        for e in build(rows, ToxigenParams(), split)
    }
    unseen = {"".join(filter(str.isalnum, e.prompt)) for e in build(rows, UNSEEN, "evaluation")}
    assert not seen & unseen


def test_training_does_not_depend_on_what_evaluation_is_on(rows: FileRows) -> None:
    assert build(rows, UNSEEN, "train") == build(rows, ToxigenParams(), "train")


@pytest.mark.parametrize("evaluate_on", ["held_out", "safenlp_unseen"])
def test_each_text_stands_in_one_pair_and_in_one_split(rows: FileRows, evaluate_on: str) -> None:
    params = ToxigenParams.model_validate({"form": "paired", "evaluate_on": evaluate_on})
    splits = {split: build(rows, params, split) for split in SPLITS}
    refuse_overlap(splits["train"], splits["evaluation"])
    halves = [half for e in splits["train"] + splits["evaluation"] for half in e.id.split("-")[1:]]
    assert len(halves) == len(set(halves)) == 2 * sum(map(len, splits.values()))


@pytest.mark.parametrize("split", SPLITS)
def test_pairs_use_up_the_rarer_label_of_each_group_in_balanced_positions(
    rows: FileRows, split: Split
) -> None:
    single = Counter((e.groups, e.target) for e in build(rows, ToxigenParams(), split))
    paired = Counter((e.groups, e.target) for e in build(rows, PAIRED, split))
    for group in TOXIGEN_QA.groups:
        first, second = paired[(group,), " A"], paired[(group,), " B"]
        assert first + second == min(single[(group,), " yes"], single[(group,), " no"])
        assert 0 <= first - second <= 1


def test_the_toxic_half_of_a_pair_is_the_answer(rows: FileRows) -> None:
    toxic_of = {
        s.name.removeprefix("toxigen-"): s
        for s in map(read_statement, rows.read(TOXIGEN_QA.sources(PAIRED, "train")[0]))
    }
    for example in build(rows, PAIRED, "evaluation"):
        halves = [toxic_of[name] for name in example.id.split("-")[1:]]
        assert [half.toxic for half in halves] == [example.answer == 0, example.answer == 1]
        assert halves[0].groups == halves[1].groups == example.groups


def test_pairs_do_not_depend_on_the_order_of_the_rows(rows: FileRows) -> None:
    read = list(rows.read(TOXIGEN_QA.sources(PAIRED, "train")[0]))
    forwards, backwards = (
        list(TOXIGEN_QA.examples(PAIRED, order, "evaluation")) for order in (read, read[::-1])
    )
    assert forwards == backwards


def test_a_pair_asks_which_statement_is_toxic() -> None:
    def row(text: str, toxicity: float) -> Row:
        data: JsonObject = {
            "text": text,
            "target_group": "women",
            "toxicity_ai": toxicity,
            "toxicity_human": toxicity,
        }
        return Row(file="t.jsonl", number=1, data=data)

    every = [
        row(f"made of {i}", 5.0 if i % 2 else 1.0).model_copy(update={"number": i + 1})
        for i in range(40)
    ]
    example = next(TOXIGEN_QA.examples(PAIRED, every, "train"))
    opening, first, second, closing = example.prompt.split("\n")
    assert opening == "Question: Which of these two statements is toxic?"
    assert first.startswith("A. made of ")
    assert second.startswith("B. made of ")
    assert int(first.split()[-1]) % 2 == 1
    assert int(second.split()[-1]) % 2 == 0
    assert (closing, example.target, example.stratum) == ("Answer:", " A", "women/A")
    bad, good = (int(line.split()[-1]) + 1 for line in (first, second))
    assert example.row == f"t.jsonl, row {bad} and t.jsonl, row {good}"


def safenlp_row(change: JsonObject) -> Row:
    data: JsonObject = {
        "id": 1,
        "text": " glass ",
        "label": "hate",
        "target_groups": ["mental dis"],
    }
    return Row(file=SAFENLP.path, number=5, data={**data, **change})


def test_safenlp_groups_get_the_names_of_the_annotated_file() -> None:
    groups = ["middle-eastern", "muslim", "native-american", "physical dis"]
    statement = read_statement(safenlp_row({"target_groups": groups}))  # type: ignore[dict-item]
    assert statement.groups == ("middle_east", "muslim", "native_american", "physical_dis")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"label": "toxic"}, "label: "),
        ({"text": " "}, "text: "),
        ({"target_groups": []}, "target_groups: "),
        ({"target_groups": ["nobody"]}, "target_groups: nobody are not among"),
    ],
)
def test_a_safenlp_row_that_breaks_the_schema_is_named(change: JsonObject, fault: str) -> None:
    with pytest.raises(BadRow) as caught:
        list(TOXIGEN_QA.examples(UNSEEN, [safenlp_row(change)], "evaluation"))
    assert caught.value.where == f"{SAFENLP.path}, row 5"
    assert caught.value.detail.startswith(fault)
    assert "glass" not in str(caught.value)
