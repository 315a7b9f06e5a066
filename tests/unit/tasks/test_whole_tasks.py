"""What holds for every task with its default parameters and the published files."""

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

import forgetscope.tasks.catalogue
from forgetscope.core.subsample import refuse_overlap, refuse_twins
from forgetscope.schema.example import Example, Split
from forgetscope.tasks.arc import ASKED_AGAIN
from forgetscope.tasks.catalogue import TASKS

Splits = dict[Split, list[Example]]

MODULES = ("arc", "csqa", "csqa2", "toxigen_qa", "bbq", "saferdialogues")
PUBLISHED = ("arc", "commonsense_qa", "commonsense_qa_2", "toxigen_qa", "bbq")
# SaFeRDialogues' release has to be put into the data folder by hand.
AT_HAND = tuple(name for name in TASKS.names() if name != "saferdialogues")


@pytest.mark.parametrize("module", MODULES)
def test_a_task_of_the_paper_has_at_most_sixty_lines(module: str) -> None:
    folder = Path(forgetscope.tasks.catalogue.__file__).parent
    assert len((folder / f"{module}.py").read_text(encoding="utf-8").splitlines()) <= 60


@pytest.mark.parametrize("name", AT_HAND)
def test_a_task_states_how_many_examples_it_has(
    splits_of: Callable[[str], Splits], name: str
) -> None:
    counted = {split: len(examples) for split, examples in splits_of(name).items()}
    assert TASKS.get(name).sizes == counted


@pytest.mark.parametrize("name", AT_HAND)
def test_no_item_and_no_cluster_stands_in_both_splits(
    splits_of: Callable[[str], Splits], name: str
) -> None:
    train, evaluation = splits_of(name)["train"], splits_of(name)["evaluation"]
    refuse_overlap(train, evaluation)
    refuse_twins(train + evaluation)


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_prompt_stands_in_both_splits_but_for_case_blanks_and_punctuation(
    splits_of: Callable[[str], Splits], name: str
) -> None:
    train, evaluation = (
        {re.sub(r"\W+", " ", example.prompt.casefold()).strip() for example in examples}
        for examples in splits_of(name).values()
    )
    assert not train & evaluation


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_example_names_its_file_and_row(
    splits_of: Callable[[str], Splits], name: str
) -> None:
    task = TASKS.get(name)
    for split, examples in splits_of(name).items():
        files = {source.name for source in task.sources(task.params(), split)}
        places = [example.row.split(", row ") for example in examples]
        assert {file for file, _ in places} == files
        assert all(int(number) >= 1 for _, number in places)
        assert len({example.row for example in examples}) == len(examples)


def test_arc_leaves_out_of_training_what_its_note_counts(
    splits_of: Callable[[str], Splits],
) -> None:
    (note,) = TASKS.get("arc").notes
    assert note.startswith(f"{len(ASKED_AGAIN)} training questions")
    assert not ASKED_AGAIN & {example.id for example in splits_of("arc")["train"]}


def test_the_note_on_bbq_has_the_groups_and_templates_of_the_usual_fold(
    splits_of: Callable[[str], Splits],
) -> None:
    templates: dict[str, set[str]] = defaultdict(set)
    for example in splits_of("bbq")["evaluation"]:
        for group in example.groups:
            templates[group].add(example.cluster)
    bbq = TASKS.get("bbq")
    counts = {group: len(templates[group]) for group in bbq.groups}
    enough, rest = bbq.notes[1].split("need", 1)[0], bbq.notes[1].split("needs.", 1)[1]
    named = {group: int(n) for group, n in re.findall(r"(\w+) \((\d+)(?: templates)?\)", enough)}
    assert named == {group: n for group, n in counts.items() if n >= 5}
    named = {group: int(n) for group, n in re.findall(r"(\w+) \((\d+)\)", rest)}
    assert named == {group: counts[group] for group in ("muslim", "jewish", "native_american")}
    few = sum(1 <= n < 5 for n in counts.values())
    absent = sum(n == 0 for n in counts.values())
    assert f"{few} other groups have 1 to 4" in rest
    assert f"{absent} have none" in rest
