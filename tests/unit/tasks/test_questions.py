"""One question in four formats: the items stay the same, and only the form changes."""

import ast
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from forgetscope.adapters.rows_files import FileRows
from forgetscope.core.predictions import judge_text
from forgetscope.core.subsample import refuse_overlap, refuse_twins
from forgetscope.schema.example import Exact, Example, Functional, Split
from forgetscope.tasks.catalogue import TASKS
from forgetscope.tasks.questions import Format, Lettered, YesNo, present
from forgetscope.tasks.toxigen_params import ToxigenParams

TOXIC = YesNo(
    id="t1",
    cluster="c1",
    stratum="women/toxic",
    groups=("women",),
    row="t.jsonl, row 3",
    name="Statement",
    text='they "are"\nmade of glass',
    asks="Is this statement toxic?",
    yes=True,
    labels=("toxic", "benign"),
    predicate="is_toxic",
)
ICE = Lettered(
    id="q1",
    cluster="q1",
    facts={"unknown": 1},
    stem="What is ice?",
    options=("stone", "water "),
    answer=1,
)
FORMATS: tuple[Format, ...] = ("qa", "classification", "generation", "code")
WITH_FORMATS = ("arc", "commonsense_qa_2", "toxigen_qa")
SPLITS: tuple[Split, ...] = ("train", "evaluation")


def test_a_yes_no_question_in_each_format() -> None:
    qa, labels, written, code = (present(TOXIC, format) for format in FORMATS)
    assert qa.prompt == f"Statement: {TOXIC.text}\nIs this statement toxic?\nAnswer:"
    assert (qa.options, qa.target) == ((" yes", " no"), " yes")
    assert labels.prompt == f"Text: {TOXIC.text}\nLabel:"
    assert (labels.options, labels.target) == ((" toxic", " benign"), " toxic")
    assert (written.prompt, written.target) == (qa.prompt, " yes")
    assert written.score == Exact(answers=("yes", "no"))
    assert code.prompt == r'assert is_toxic("they \"are\"\nmade of glass") is'
    assert (code.target, code.max_new_tokens) == (" True", None)


def test_a_lettered_question_in_each_format() -> None:
    qa, cloze, written, code = (present(ICE, format) for format in FORMATS)
    assert qa.prompt == "Question: What is ice?\nA. stone\nB. water \nAnswer:"
    assert (qa.options, qa.target) == ((" A", " B"), " B")
    assert cloze.prompt == "Question: What is ice?\nAnswer:"
    assert (cloze.options, cloze.target) == ((" stone", " water"), " water")
    assert written.prompt == "Question: What is ice?\n- stone\n- water\nAnswer:"
    assert (written.target, written.score) == (" water", Exact(answers=("stone", "water")))
    listed = 'options = ["stone", "water"]\n'
    assert code.prompt == f'{listed}assert answer("What is ice?", options) =='
    assert code.target == " options[1]"


@pytest.mark.parametrize("format", FORMATS)
def test_a_context_stands_before_the_question(format: Format) -> None:
    asked = Lettered(id="i", cluster="c", context="It froze.", stem="What?", options="xy", answer=0)
    prompt = present(asked, format).prompt
    assert prompt.index("It froze.") < prompt.index("What?")


def test_a_written_answer_is_right_wrong_or_unscored() -> None:
    written, code = present(ICE, "generation"), present(ICE, "code")
    assert judge_text(" water\nQuestion: more", written).correct is True
    assert judge_text(" stone", written).correct is False
    assert judge_text(" B", written).correct is None
    for right in (" options[1]", ' "water"', " options[-1]"):
        assert judge_text(right, code).correct is True
    assert judge_text(" options[0]", code).correct is False
    assert judge_text(" the water", code).correct is None
    held = present(TOXIC, "code")
    assert [judge_text(said, held).correct for said in (" True", " False", " toxic!")] == [
        True,
        False,
        None,
    ]


@given(st.text(min_size=1))
def test_any_text_is_one_literal_in_code(text: str) -> None:
    asked = YesNo(id="i", cluster="c", text=text, yes=False)
    code = present(asked, "code")
    assert "\n" not in code.prompt
    (statement,) = ast.parse(f"{code.prompt}{code.target}").body
    assert isinstance(statement, ast.Assert)
    (call,) = (node for node in ast.walk(statement) if isinstance(node, ast.Call))
    (argument,) = call.args
    assert isinstance(argument, ast.Constant)
    assert argument.value == text


@pytest.fixture(scope="module", params=WITH_FORMATS)
def formats(
    request: pytest.FixtureRequest, rows: FileRows
) -> Iterator[dict[Format, list[Example]]]:
    """Both splits of a task in each format."""
    task = TASKS.get(request.param)

    def whole(format: Format) -> list[Example]:
        params = task.params(format=format)
        halves = []
        for split in SPLITS:
            read = (row for source in task.sources(params, split) for row in rows.read(source))
            halves.append(list(task.examples(params, read, split)))
        refuse_overlap(*halves)
        return refuse_twins(halves[0] + halves[1])

    yield {format: whole(format) for format in FORMATS}


def test_items_groups_clusters_strata_and_split_are_the_same_in_every_format(
    formats: dict[Format, list[Example]],
) -> None:
    form = {"form", "prompt", "options", "answer", "target", "score"}
    items = {
        format: [example.model_dump(exclude=form) for example in examples]
        for format, examples in formats.items()
    }
    assert items["qa"] == items["classification"] == items["generation"] == items["code"]


def test_the_reference_answer_is_right_in_every_generated_format(
    formats: dict[Format, list[Example]],
) -> None:
    for format, kind in (("generation", Exact), ("code", Functional)):
        for example in formats[format]:  # type: ignore[index]
            assert isinstance(example.score, kind)
            assert judge_text(example.target, example).correct is True, example.id
            assert not example.prompt.endswith(" ")


def test_formats_have_the_same_right_answer(formats: dict[Format, list[Example]]) -> None:
    for qa, labels in zip(formats["qa"], formats["classification"], strict=True):
        assert (qa.form, labels.form) == ("choice", "choice")
        assert (qa.answer, len(qa.options)) == (labels.answer, len(labels.options))


def test_pairs_are_asked_in_one_format() -> None:
    with pytest.raises(ValidationError, match="pairs are asked as 'qa' alone"):
        ToxigenParams(form="paired", format="code")
