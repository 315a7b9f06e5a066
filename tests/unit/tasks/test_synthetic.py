"""The synthetic suite has the structure that its parameters plant."""

from collections import Counter, defaultdict

import pytest
from pydantic import ValidationError

from forgetscope.core.subsample import refuse_overlap
from forgetscope.schema.example import Example, Split
from forgetscope.tasks.synthetic import Group, World
from forgetscope.tasks.synthetic_capability import SYNTHETIC_CAPABILITY, CapabilityParams
from forgetscope.tasks.synthetic_safety import SYNTHETIC_SAFETY, SafetyParams
from forgetscope.tasks.synthetic_words import OBJECTS


def safety(split: Split, **world: object) -> list[Example]:
    params = SafetyParams.model_validate({"world": world})
    return list(SYNTHETIC_SAFETY.examples(params, (), split))


def capability(split: Split, params: CapabilityParams) -> list[Example]:
    return list(SYNTHETIC_CAPABILITY.examples(params, (), split))


def test_the_same_parameters_give_the_same_examples() -> None:
    assert safety("train") == safety("train")
    assert safety("train") != safety("train", seed=1)


def test_every_group_has_as_many_harmful_as_harmless_statements() -> None:
    for split in ("train", "evaluation"):
        counts = Counter((e.groups[0], e.target) for e in safety(split))
        assert len(counts) == 2 * 8
        assert len(set(counts.values())) == 1


def test_evaluation_uses_other_templates_than_training() -> None:
    train, evaluation = safety("train"), safety("evaluation")
    refuse_overlap(train, evaluation)
    assert len({e.cluster for e in train}) == 12
    assert len({e.cluster for e in evaluation}) == 8


def test_evaluation_asks_for_the_facts_of_training() -> None:
    def facts(split: Split) -> set[tuple[str, str]]:
        return {(e.id.rsplit("-", 1)[0], e.target) for e in safety(split)}

    assert facts("train") == facts("evaluation")


@pytest.mark.parametrize(("difficulty", "departures"), [(0.0, 0), (0.2, 2), (0.5, 6)])
def test_difficulty_is_the_share_of_words_off_the_common_rule(
    difficulty: float, departures: int
) -> None:
    world = World(words=12, groups=(Group(name="velin", difficulty=difficulty),))
    assert len(world.harmful(world.groups[0]) ^ set(world.common())) == departures


def test_a_harder_group_departs_more_often_from_what_is_usual_in_its_examples() -> None:
    groups = [{"name": "olbet", "difficulty": 0.0}] + [
        {"name": name, "difficulty": difficulty}
        for name, difficulty in (("velin", 0.0), ("mishu", 0.34), ("dorrak", 0.5))
    ]
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for example in safety("train", groups=groups):
        answers[example.groups[0]][example.id.split("-")[1]] = example.target
    usual = answers.pop("olbet")
    departures = {
        name: sum(usual[word] != target for word, target in of_group.items())
        for name, of_group in answers.items()
    }
    assert departures == {"velin": 0, "mishu": 4, "dorrak": 6}


def test_share_thins_out_a_group_in_both_splits() -> None:
    groups = [{"name": "velin"}, {"name": "dorrak", "share": 0.5}]
    for split in ("train", "evaluation"):
        counts = Counter(e.groups[0] for e in safety(split, groups=groups))
        assert 0.35 < counts["dorrak"] / counts["velin"] < 0.65


def test_conflict_is_the_share_of_shared_words_with_the_opposite_answer() -> None:
    params = CapabilityParams(similarity=1.0, conflict={"velin": 1.0, "mishu": 0.5, "tarpo": 0.0})
    assert opposed_to_safety(params) == {"velin": (12, 12), "mishu": (6, 12), "tarpo": (0, 12)}


def test_overlap_is_the_share_of_shared_words_that_are_said_of_a_group_of_the_safety_task() -> None:
    params = CapabilityParams(
        overlap={"velin": 0.5, "mishu": 0.25, "tarpo": 0.0}, conflict={"velin": 1.0, "olbet": 0.5}
    )
    assert opposed_to_safety(params) == {"velin": (6, 6), "mishu": (0, 3), "olbet": (6, 12)}


def opposed_to_safety(params: CapabilityParams) -> dict[str, tuple[int, int]]:
    """For each group that both tasks speak of, the words on which their examples disagree, and all
    words that both say of it."""

    def answers(examples: list[Example]) -> dict[tuple[str, str], str]:
        return {(e.id.split("-")[0], e.id.split("-")[1]): e.target for e in examples}

    safe = answers(safety("train", **params.world.model_dump()))
    said = answers(capability("train", params))
    both = [key for key in said if key in safe]
    return {
        group: (
            sum(said[key] != safe[key] for key in both if key[0] == group),
            sum(key[0] == group for key in both),
        )
        for group in dict(both)
    }


@pytest.mark.parametrize(("similarity", "shared"), [(0.0, 0), (0.5, 6), (1.0, 12)])
def test_similarity_is_the_share_of_words_in_common(similarity: float, shared: int) -> None:
    params = CapabilityParams(similarity=similarity)
    assert len(params.words()) == len(set(params.words())) == 12
    assert len(set(params.words()) & set(params.world.vocabulary())) == shared


@pytest.mark.parametrize(("agreement", "alike"), [(0.0, 0), (0.5, 6), (1.0, 12)])
def test_agreement_is_the_share_of_words_on_which_the_common_rules_agree(
    agreement: float, alike: int
) -> None:
    params = CapabilityParams(objects=32, agreement=agreement)
    truths = [truths for name, truths in params.truths().items() if name in OBJECTS]
    usual = {w for w in params.words() if sum(true[w] for true in truths) > len(truths) / 2}
    assert 12 - len(usual ^ set(params.world.common())) == alike


def test_objects_share_no_name_with_groups() -> None:
    assert not {group.name for group in World().groups} & set(OBJECTS)


def test_lettered_questions_carry_the_same_truth() -> None:
    plain = capability("train", CapabilityParams())
    letters = capability("train", CapabilityParams(form="lettered"))
    assert [e.id for e in plain] == [e.id for e in letters]
    for one, other in zip(plain, letters, strict=True):
        assert f"{other.target.strip()}. {one.target.strip()}\n" in other.prompt
    assert {e.target for e in letters} == {" A", " B"}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"conflict": {"nobody": 1.0}}, "not among the groups"),
        ({"overlap": {"nobody": 1.0}}, "not among the groups"),
        ({"conflict": {"velin": 1.5}}, "less than or equal to 1"),
        ({"world": {"words": 40}, "similarity": 0.5}, "new words are left"),
        ({"world": {"groups": [{"name": "x"}, {"name": "x"}]}}, "same name"),
        ({"world": {"words": 7}}, "multiple of 2"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(
    fault: dict[str, object], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        CapabilityParams.model_validate(fault)
