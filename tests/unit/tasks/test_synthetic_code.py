"""Generated functions: told truly, split by what they compute, and judged by running."""

from collections import Counter
from functools import cache
from itertools import product

import pytest
from pydantic import ValidationError

from forgetscope.core.predictions import judge_text
from forgetscope.core.subsample import refuse_overlap, refuse_twins
from forgetscope.schema.example import Example, Functional, Split
from forgetscope.tasks.synthetic_code import SYNTHETIC_CODE, CodeParams

EVERY_KIND = [
    CodeParams(),
    CodeParams(told="examples"),
    CodeParams(steps=3, largest=4),
    CodeParams(steps=3, largest=4, told="examples"),
]


def made(split: Split, params: CodeParams) -> list[Example]:
    return list(SYNTHETIC_CODE.examples(params, (), split))


@cache
def named(id: str) -> Example:
    every = made("train", CodeParams()) + made("evaluation", CodeParams())
    return next(e for e in every if e.id == id)


def test_the_same_parameters_give_the_same_examples() -> None:
    assert made("train", CodeParams()) == made("train", CodeParams())
    first, second = (
        {e.cluster for e in made("evaluation", CodeParams(seed=seed))} for seed in (0, 1)
    )
    assert first != second


@pytest.mark.parametrize("params", EVERY_KIND, ids=str)
def test_every_reference_is_right(params: CodeParams) -> None:
    for split in ("train", "evaluation"):
        for example in made(split, params):
            assert judge_text(example.target, example).correct is True


@pytest.mark.parametrize("params", EVERY_KIND, ids=str)
def test_no_function_and_no_prompt_is_in_both_splits_or_twice(params: CodeParams) -> None:
    train, evaluation = made("train", params), made("evaluation", params)
    refuse_overlap(train, evaluation)
    every = refuse_twins(train + evaluation)
    assert len({e.prompt for e in every}) == len(every)
    assert 0.1 < len(evaluation) / len(every) < 0.3


@pytest.mark.parametrize("params", EVERY_KIND, ids=str)
def test_the_cluster_is_what_the_function_computes(params: CodeParams) -> None:
    outputs: dict[str, tuple[object, ...]] = {}
    for example in made("train", params) + made("evaluation", params):
        assert isinstance(example.score, Functional)
        found = tuple(case.output for case in example.score.cases)
        assert outputs.setdefault(example.cluster, found) == found
    assert len(set(outputs.values())) == len(outputs)


def test_every_step_occurs_at_every_place_in_training() -> None:
    told = {e.prompt.split("\n")[0].removeprefix("# ") for e in made("train", CodeParams())}
    words = [f"{w} {n}" for w, n in product(("add", "subtract", "multiply by"), range(2, 10))]
    for place in (0, 1):
        assert {steps.split(", then ")[place] for steps in told} == set(words)


def test_prompts_tell_the_steps_or_examples_and_give_the_signature() -> None:
    words = named("x+3*2")
    assert words.prompt == "# add 3, then multiply by 2\ndef f(x):\n    return"
    assert words.target == " (x + 3) * 2"
    assert named("n*2-3").target == " n * 2 - 3"
    told = CodeParams(told="examples")
    every = made("train", told) + made("evaluation", told)
    shown = next(e for e in every if e.cluster == words.cluster)
    assert shown.prompt.startswith("# f(1) = 8, f(2) = 10, f(5) = 16, f(10) = 26\ndef f(")


def test_the_inputs_that_count_are_not_shown() -> None:
    score = named("x+3*2").score
    assert isinstance(score, Functional)
    assert not {case.inputs["x"] for case in score.cases} & {1, 2, 5, 10}


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        (" (x + 3) * 2", True),
        (" 2 * (3 + x)", True),
        (" x * 2 + 6", True),
        (" x + x + 6\n\nprint(f(1))", True),
        (" x * 2.0 + 6", True),
        (" sum([x, 3, x, 3])", True),
        (" x + 3 * 2", False),
        (" 8 if x == 1 else 10 if x == 2 else 16", False),
        (" x", False),
        (" n * 2 + 6", None),
        (" add 3, then multiply by 2", None),
    ],
)
def test_any_expression_of_the_same_function_is_right(text: str, correct: bool | None) -> None:
    assert judge_text(text, named("x+3*2")).correct is correct


def test_names_and_last_steps_are_about_balanced() -> None:
    train = made("train", CodeParams())
    assert len({*Counter(e.id[0] for e in train).values()}) == 1
    counts = Counter(e.stratum for e in train)
    assert max(counts.values()) < 1.2 * min(counts.values())


@pytest.mark.parametrize("fault", [{"steps": 1}, {"steps": 9}, {"largest": 12}, {"told": "song"}])
def test_parameters_out_of_range_are_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CodeParams.model_validate(fault)
