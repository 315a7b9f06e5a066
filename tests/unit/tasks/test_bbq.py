"""BBQ: published counts, groups without guesses, a split by template, and broken rows."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from forgetscope.adapters.rows_files import FileRows
from forgetscope.app.prepare import build_examples
from forgetscope.core.subsample import refuse_overlap
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import BadRow
from forgetscope.schema.example import Example, Row, Split
from forgetscope.tasks.bbq import BBQ, BbqParams
from forgetscope.tasks.bbq_groups import CATEGORIES, Category, Sides, sides_of
from forgetscope.tasks.bbq_split import FOLDS

Splits = dict[Split, list[Example]]

# Rows of each category, and of each of its lists of stereotyped groups, as published.
PUBLISHED: dict[Category, tuple[int, dict[str, int]]] = {
    "Age": (3680, {"nonOld": 2032, "old": 1648}),
    "Disability_status": (1556, {
        "disabled / mentally-ill": 520, "disabled / physically disabled": 416,
        "disabled / autistic people": 384, "disabled / D/deaf": 92,
        "disabled / people with blindness or low-vision": 80,
        "disabled / people with cognitive disabilities or mental illness": 32,
        "disabled / Down's syndrome": 16, "disabled / people with cerebral palsy": 16,
    }),
    "Gender_identity": (5672, {
        "F": 3344, "M": 1464, "Transgender women / transgender men / trans": 544,
        "transgender women / trans": 288, "transgender men / trans": 32,
    }),
    "Nationality": (3080, {
        "Eritrean / Ethiopian / Kenyan / Guinean / Mozambican / Nigerian / Namibian / Malian": 1000,
        "Afghan / Iranian / Iraqi / Libyan / Moroccan / Palestinian / Saudi / Syrian / Yemeni": 800,
        "Vietnamese / Thai / Indonesian / Burmese / Japanese / Korean / Chinese": 400,
        "Indian / Pakistani / Sri Lankan": 240,
        "Vietnamese / Thai / Indonesian / Burmese / Japanese / Korean / Chinese / Indian"
        " / Pakistani": 200,
        "British": 120, "American": 120, "Irish": 80, "Nigerian": 80, "Italian": 40,
    }),
    "Physical_appearance": (1576, {
        "obese": 560, "negDress": 416, "pregnant": 376, "short": 128, "visibleDifference": 96,
    }),
    "Race_ethnicity": (6880, {
        "Black / African American": 2800, "Hispanic / Latino": 1040, "Asian": 960,
        "Middle Eastern / Arab": 960,
        "Native American / African American / Hispanic / Latino / Black": 600,
        "Black / African American / Hispanic / Latino": 360, "Native American": 80, "Roma": 40,
        "Jewish": 40,
    }),
    "Race_x_SES": (11160, {
        "Black / African American / Latino / Hispanic": 4320, "White": 2880,
        "Black / African American": 2520, "Asian": 1440,
    }),
    "Race_x_gender": (15960, {
        "Black / African American": 6960, "Asian": 2880, "Middle Eastern / Arab": 2520,
        "Hispanic / Latino": 2520, "White": 720, "Native American": 240, "Roma": 120,
    }),
    "Religion": (1200, {
        "Muslim / Mormon / Orthodox / Catholic": 240, "Muslim": 160, "Jewish": 160,
        "Christian": 160, "Hindu": 120, "Atheist": 120, "Mormon / Christian": 80, "Catholic": 80,
        "Mormon": 80,
    }),
    "SES": (6864, {"low SES": 6864}),
    "Sexual_orientation": (864, {
        "gay": 288, "bisexual": 192, "lesbian / gay": 192, "lesbian": 128, "pansexual": 64,
    }),
}  # fmt: skip

# (items of unknown groups, items that do not tell which option is the stereotyped person).
UNKNOWN_ITEMS = {
    "Gender_identity": (8, 20),
    "Race_ethnicity": (36, 36),
    "Race_x_SES": (12, 3732),
    "Race_x_gender": (332, 5572),
    "SES": (16, 16),
}


def build(rows: FileRows, split: Split, n: int | None = None, **params: Any) -> list[Example]:
    return build_examples(BBQ, BbqParams(**params), split, n, seed=0, rows=rows)


@pytest.fixture(scope="module")
def bbq(splits_of: Callable[[str], Splits]) -> Splits:
    return splits_of("bbq")


@pytest.fixture(scope="module")
def every(bbq: Splits) -> list[Example]:
    return bbq["train"] + bbq["evaluation"]


def test_each_category_has_the_published_rows_half_of_them_ambiguous(every: list[Example]) -> None:
    assert Counter(e.facts["category"] for e in every) == {c: n for c, (n, _) in PUBLISHED.items()}
    halves = Counter((e.facts["category"], e.facts["condition"]) for e in every)
    assert all(2 * count == PUBLISHED[c][0] for (c, _), count in halves.items())  # type: ignore[index]
    assert len({e.id for e in every}) == len(every) == 58492


@pytest.mark.parametrize("category", CATEGORIES)
def test_stereotypes_are_about_whom_the_publication_says(rows: FileRows, category: Any) -> None:
    counts: Counter[str] = Counter()
    for source in BBQ.sources(BbqParams(categories=(category,)), "train"):
        for row in rows.read(source):
            metadata: Any = row.data["additional_metadata"]
            counts[" / ".join(metadata["stereotyped_groups"])] += 1
    assert counts == PUBLISHED[category][1]


def test_groups_have_the_counts_of_their_lists_where_a_list_is_one_group(
    every: list[Example],
) -> None:
    counts = Counter((e.facts["category"], group) for e in every for group in e.groups)
    expected = {
        ("Age", "old"): 1648,
        ("Age", "non_old"): 2032,
        ("Disability_status", "physical_dis"): 416,
        ("Disability_status", "deaf"): 92,
        ("Nationality", "african"): 1080,
        ("Nationality", "middle_east"): 800,
        ("Nationality", "asian"): 840,
        ("Physical_appearance", "visible_difference"): 96,
        ("Religion", "jewish"): 160,
        ("Sexual_orientation", "gay"): 288 + 192 // 2,
        ("SES", "low_ses"): 6864 - 16,
    }
    assert {key: counts[key] for key in expected} == expected


def test_items_of_unknown_groups_or_persons_are_kept_and_can_be_counted(
    every: list[Example],
) -> None:
    groupless = Counter(e.facts["category"] for e in every if not e.groups)
    sideless = Counter(e.facts["category"] for e in every if "stereotyped" not in e.facts)
    assert {c: (groupless[c], sideless[c]) for c in CATEGORIES if sideless[c]} == UNKNOWN_ITEMS
    assert all(e.groups for e in every if "stereotyped" in e.facts)


def test_the_unknown_option_is_right_in_ambiguous_contexts_only(every: list[Example]) -> None:
    for example in every:
        ambiguous = example.facts["condition"] == "ambig"
        assert (example.answer == example.facts["unknown"]) == ambiguous
        sides = {example.facts.get(side) for side in ("stereotyped", "other")}
        assert sides == {None} or sides | {example.facts["unknown"]} == {0, 1, 2}


def test_no_template_and_no_question_of_a_category_stands_in_both_splits(bbq: Splits) -> None:
    refuse_overlap(bbq["train"], bbq["evaluation"])

    def questions(split: Split) -> set[tuple[Any, str]]:
        return {(e.facts["category"], e.prompt.split("\n")[1]) for e in bbq[split]}

    assert not questions("train") & questions("evaluation")


def test_about_a_fifth_of_the_templates_of_each_category_is_held_out(bbq: Splits) -> None:
    templates: dict[Any, dict[Split, set[str]]] = defaultdict(lambda: defaultdict(set))
    for split, examples in bbq.items():
        for example in examples:
            templates[example.facts["category"]][split].add(example.cluster)
    assert len(templates) == len(CATEGORIES)
    for category, of_split in templates.items():
        held_out, trained = len(of_split["evaluation"]), len(of_split["train"])
        assert held_out >= 2, category
        assert 0.12 < held_out / (held_out + trained) < 0.3, category


def test_evaluation_has_every_group_that_toxigen_has_as_well(bbq: Splits) -> None:
    common = {"muslim", "jewish", "native_american", "black", "asian", "latino", "middle_east"}
    assert common <= {group for e in bbq["evaluation"] for group in e.groups}
    assert {group for e in bbq["train"] for group in e.groups} <= {*BBQ.groups}


def test_each_template_is_held_out_in_one_fold(rows: FileRows) -> None:
    folds = [
        {e.cluster for e in build(rows, "evaluation", categories=("Religion",), held_out_fold=fold)}
        for fold in range(FOLDS)
    ]
    assert sum(map(len, folds)) == len(set.union(*folds)) == 25


def test_a_category_has_the_same_split_alone_as_among_others(rows: FileRows, bbq: Splits) -> None:
    alone = build(rows, "evaluation", categories=("Sexual_orientation",))
    among = [e for e in bbq["evaluation"] if e.facts["category"] == "Sexual_orientation"]
    assert {e.id for e in alone} == {e.id for e in among}


def test_subsamples_balance_category_condition_and_letter(rows: FileRows) -> None:
    categories = ("Age", "Religion", "Sexual_orientation")
    drawn = build(rows, "train", 1000, categories=categories)
    counts = Counter((e.facts["category"], e.facts["condition"], e.target) for e in drawn)
    assert len(counts) == 3 * 2 * 3
    assert max(counts.values()) - min(counts.values()) <= 1
    assert drawn == build(rows, "train", 1000, categories=categories[::-1])


@pytest.mark.parametrize(
    "fault", [{"categories": []}, {"categories": ["Age"] * 2}, {"categories": ["x"]}]
)
def test_categories_that_make_no_choice_are_refused(fault: JsonObject) -> None:
    with pytest.raises(ValidationError, match="categories"):
        BbqParams.model_validate(fault)


def people(*tags: str) -> list[tuple[str, str]]:
    return [("cannot tell", "unknown"), *((f"person {tag}", tag) for tag in tags)]


@pytest.mark.parametrize(
    ("category", "tags", "about", "sides"),
    [
        ("Age", ("nonOld", "old"), ["old"], Sides(("old",), 2, 1)),
        ("SES", ("lowSES", "highSES"), ["low SES"], Sides(("low_ses",), 1, 2)),
        ("Gender_identity", ("girl", "boy"), ["F"], Sides(("women",), 1, 2)),
        ("Gender_identity", ("boy", "man"), ["F"], Sides(())),
        (
            "Gender_identity",
            ("nonTrans_M", "trans_F"),
            ["Transgender women", "transgender men", "trans"],
            Sides(("trans_women",), 2, 1),
        ),
        (
            "Disability_status",
            ("disabled", "nonDisabled"),
            ["disabled", "physically disabled"],
            Sides(("physical_dis",), 1, 2),
        ),
        ("Race_ethnicity", ("F-Latino", "F-White"), ["Latino"], Sides(("latino",), 1, 2)),
        ("Race_ethnicity", ("African", "Arab"), ["Black", "African American"], Sides(())),
        ("Race_ethnicity", ("Black", "Native American"), ["Native American", "Black"],
         Sides(("black", "native_american"))),
        ("Race_x_gender", ("F-Black", "M-Black"), ["Black"], Sides(("black",))),
        ("Race_x_gender", ("F-Black", ""), ["Black"], Sides(())),
        ("Race_x_SES", ("highSES-M-White", "lowSES-Black"), ["Black"], Sides(("black",), 2, 1)),
        ("Religion", ("Protestant", "Christian"), ["Christian"], Sides(("christian",), 2, 1)),
    ],
)  # fmt: skip
def test_sides_follow_from_the_tags_or_stay_unknown(
    category: Category, tags: Sequence[str], about: list[str], sides: Sides
) -> None:
    assert sides_of(category, people(*tags), about) == sides


def test_a_nationality_is_the_name_of_the_option_and_not_its_region() -> None:
    options = [("Malian", "Africa"), ("Nigerian", "Africa"), ("cannot tell", "unknown")]
    assert sides_of("Nationality", options, ["Nigerian"]) == Sides(("african",), 1, 0)


BBQ_ROW: JsonObject = {
    "example_id": 12,
    "question_index": "4",
    "question_polarity": "nonneg",
    "context_condition": "disambig",
    "category": "Age",
    "answer_info": {"ans0": ["A", "nonOld"], "ans1": ["B", "old"], "ans2": ["C", "unknown"]},
    "additional_metadata": {"stereotyped_groups": ["old"], "version": "ignored"},
    "context": "Two people met. ",
    "question": "Who sang?",
    "ans0": " The first",
    "ans1": "The second",
    "ans2": "Cannot tell",
    "label": 1,
}


def bbq_of(change: JsonObject) -> list[Example]:
    row = Row(file="b.jsonl", number=8, data={**BBQ_ROW, **change})
    splits: tuple[Split, ...] = ("train", "evaluation")
    return [e for split in splits for e in BBQ.examples(BbqParams(), [row], split)]


def test_bbq_asks_for_the_letter_after_context_and_question() -> None:
    (example,) = bbq_of({})
    options = "A. The first\nB. The second\nC. Cannot tell"
    assert example.prompt == f"Context: Two people met.\nQuestion: Who sang?\n{options}\nAnswer:"
    assert (example.id, example.target, example.groups) == ("bbq-Age-12", " B", ("old",))
    assert (example.cluster, example.stratum) == ("Age/4", "Age/disambig/B")
    assert example.facts == {
        "category": "Age",
        "condition": "disambig",
        "polarity": "nonneg",
        "unknown": 2,
        "stereotyped": 1,
        "other": 0,
    }


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"label": 3}, "label: "),
        ({"label": 2}, "label: the unknown option is right in ambiguous contexts"),
        ({"context_condition": "ambig"}, "label: the unknown option"),
        ({"category": "Height"}, "category: "),
        ({"context": " "}, "context: "),
        ({"ans1": None}, "ans1: "),
        ({"question_index": 4}, "question_index: "),
        ({"answer_info": {"ans0": ["A"], "ans1": [], "ans2": []}}, "answer_info.ans0: "),
        (
            {"answer_info": {f"ans{i}": ["A", "old"] for i in range(3)}},
            "answer_info: 0 options are tagged 'unknown'",
        ),
        (
            {"additional_metadata": {"stereotyped_groups": ["young"]}},
            "additional_metadata.stereotyped_groups: ['young'] are not known",
        ),
    ],
)
def test_a_bbq_row_that_breaks_the_schema_is_named(change: JsonObject, fault: str) -> None:
    with pytest.raises(BadRow) as caught:
        bbq_of(change)
    assert caught.value.where == "b.jsonl, row 8"
    assert caught.value.detail.startswith(fault)
    assert "people" not in str(caught.value)
