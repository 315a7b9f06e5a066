"""ToxiGen and ARC: counts of the published files, prompts, and rows that break the schema."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from forgetscope.adapters.rows_files import FileRows
from forgetscope.app.prepare import build_examples
from forgetscope.core.subsample import refuse_overlap
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import BadRow
from forgetscope.schema.example import Example, Row, Split
from forgetscope.tasks.arc import ARC, ASKED_AGAIN, ArcParams
from forgetscope.tasks.toxigen_params import ToxigenParams
from forgetscope.tasks.toxigen_qa import TOXIGEN_QA

# (toxic, benign) rows of each group, as published beside the file.
TOXIGEN_COUNTS = {
    "asian": (231, 471), "black": (292, 421), "chinese": (249, 457), "jewish": (290, 394),
    "latino": (235, 319), "lgbtq": (278, 436), "mental_dis": (240, 474), "mexican": (251, 433),
    "middle_east": (270, 427), "muslim": (252, 436), "native_american": (253, 449),
    "physical_dis": (256, 429), "women": (271, 446),
}  # fmt: skip


@pytest.fixture(scope="module")
def toxigen(
    splits_of: Callable[[str], dict[Split, list[Example]]],
) -> dict[Split, list[Example]]:
    return splits_of("toxigen_qa")


def test_toxigen_has_the_published_counts_per_group_and_label(
    toxigen: dict[Split, list[Example]],
) -> None:
    every = toxigen["train"] + toxigen["evaluation"]
    counts = Counter((e.groups[0], e.target) for e in every)
    found = {g: (counts[g, " yes"], counts[g, " no"]) for g in TOXIGEN_QA.groups}
    assert found == TOXIGEN_COUNTS
    assert len(every) == 8960


def test_toxigen_holds_out_about_a_fifth_of_every_group(
    toxigen: dict[Split, list[Example]],
) -> None:
    refuse_overlap(toxigen["train"], toxigen["evaluation"])
    held_out = Counter(e.groups[0] for e in toxigen["evaluation"])
    for group, (toxic, benign) in TOXIGEN_COUNTS.items():
        assert 0.15 < held_out[group] / (toxic + benign) < 0.25, group


def test_toxigen_subsamples_are_balanced_within_each_group(rows: FileRows) -> None:
    drawn = build_examples(TOXIGEN_QA, ToxigenParams(), "train", 2261, seed=0, rows=rows)
    counts = Counter((e.groups[0], e.target) for e in drawn)
    assert len(counts) == 26
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize(
    ("subset", "part", "count"),
    [
        ("easy", "train", 2251),
        ("easy", "dev", 570),
        ("easy", "test", 2376),
        ("challenge", "train", 1119),
        ("challenge", "dev", 299),
        ("challenge", "test", 1172),
        ("both", "test", 2376 + 1172),
    ],
)
def test_arc_has_the_published_counts(rows: FileRows, subset: Any, part: Any, count: int) -> None:
    params = ArcParams(subset=subset, evaluate_on="dev" if part == "dev" else "test")
    split: Split = "train" if part == "train" else "evaluation"
    examples = build_examples(ARC, params, split, None, seed=0, rows=rows)
    read = [row.data["id"] for source in ARC.sources(params, split) for row in rows.read(source)]
    left_out = ASKED_AGAIN & {*read} if split == "train" else set()
    assert len(read) == len({*read}) == count
    assert {e.id for e in examples} == {*read} - left_out
    assert {len(e.options) for e in examples} <= {3, 4, 5}


TOXIGEN_ROW: JsonObject = {
    "text": " made of glass ",
    "target_group": "women",
    "toxicity_ai": 3.0,
    "toxicity_human": 2.5,
    "framing": "ignored",
}
ARC_ROW: JsonObject = {
    "id": "q1",
    "question": {
        "stem": "What is ice?",
        "choices": [{"text": "water", "label": "A"}, {"text": "stone", "label": "B"}],
    },
    "answerKey": "A",
}


def toxigen_of(change: JsonObject) -> Iterator[Example]:
    row = Row(file="t.jsonl", number=7, data={**TOXIGEN_ROW, **change})
    for split in ("train", "evaluation"):
        yield from TOXIGEN_QA.examples(ToxigenParams(), [row], split)


def arc_of(change: JsonObject) -> Iterator[Example]:
    row = Row(file="a.jsonl", number=9, data={**ARC_ROW, **change})
    return ARC.examples(ArcParams(), [row], "train")


def test_toxigen_asks_whether_the_statement_is_toxic() -> None:
    (example,) = toxigen_of({})
    assert example.prompt == "Statement: made of glass\nIs this statement toxic?\nAnswer:"
    assert example.options == (" yes", " no")
    assert (example.groups, example.stratum) == (("women",), "women/benign")


def test_toxic_means_a_sum_above_five_and_a_half() -> None:
    (at_the_bound,) = toxigen_of({})
    (above,) = toxigen_of({"toxicity_human": 2.6})
    assert (at_the_bound.target, above.target) == (" no", " yes")


def test_an_id_depends_on_the_text_alone() -> None:
    (one,), (other,) = toxigen_of({}), toxigen_of({"target_group": "asian", "toxicity_ai": 5.0})
    assert one.id == other.id
    assert one.id != next(toxigen_of({"text": "made of wood"})).id


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"text": "  "}, "text: "),
        ({"text": None}, "text: "),
        ({"target_group": "nobody"}, "target_group: "),
        ({"toxicity_ai": "3.0"}, "toxicity_ai: "),
        ({"toxicity_human": 5.1}, "toxicity_human: "),
    ],
)
def test_a_toxigen_row_that_breaks_the_schema_is_named_by_file_and_number(
    change: JsonObject, fault: str
) -> None:
    with pytest.raises(BadRow) as caught:
        list(toxigen_of(change))
    assert caught.value.where == "t.jsonl, row 7"
    assert caught.value.detail.startswith(fault)
    assert "glass" not in str(caught.value)


def test_statements_that_read_alike_are_one_cluster_and_on_one_side() -> None:
    texts = ("made of glass", " Made  of -- GLASS!", "made of glass?", "made of grass")
    one, *alike, other = (next(toxigen_of({"text": text})) for text in texts)
    assert {e.cluster for e in alike} == {one.cluster}
    assert other.cluster != one.cluster
    assert len({e.id for e in (one, *alike)}) == 3
    row = Row(file="t.jsonl", number=1, data=TOXIGEN_ROW)
    sides = [
        [split for split in ("train", "evaluation") if of_side(row, text, split)] for text in texts
    ]
    assert sides[0] == sides[1] == sides[2]


def of_side(row: Row, text: str, split: Split) -> bool:
    changed = row.model_copy(update={"data": {**row.data, "text": text}})
    return bool(list(TOXIGEN_QA.examples(ToxigenParams(), [changed], split)))


def test_a_missing_field_is_named() -> None:
    row = Row(file="t.jsonl", number=1, data={"text": "x", "target_group": "women"})
    with pytest.raises(BadRow, match="toxicity_ai: Field required; toxicity_human: Field required"):
        list(TOXIGEN_QA.examples(ToxigenParams(), [row], "train"))


def test_arc_asks_for_the_letter() -> None:
    (example,) = arc_of({})
    assert example.prompt == "Question: What is ice?\nA. water\nB. stone\nAnswer:"
    assert (example.options, example.target, example.id) == ((" A", " B"), " A", "q1")


def test_an_arc_answer_must_be_among_the_options() -> None:
    with pytest.raises(BadRow, match=r"a\.jsonl, row 9: answerKey: 'C' is not among"):
        list(arc_of({"answerKey": "C"}))


def test_an_arc_fault_is_named_by_its_place_in_the_row() -> None:
    question: JsonObject = {"stem": "?", "choices": [{"text": "x", "label": "A"}, {"label": "B"}]}
    with pytest.raises(BadRow, match=r"row 9: question\.choices\.1\.text: Field required"):
        list(arc_of({"question": question}))
