"""The task files of the repository, over the published data."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from forgetscope.adapters.rows_files import FileRows
from forgetscope.app.examples_file import read_examples
from forgetscope.app.prepare import data_facts, prepare_data
from forgetscope.app.task_preview import preview_task
from forgetscope.ports.stage import Machine, Work
from forgetscope.schema.experiment import TaskUse

FOLDER = Path(__file__).parents[3] / "examples" / "tasks"


def use(name: str, n: int = 2261, **params: Any) -> TaskUse:
    definition = json.loads(json.dumps(yaml.safe_load((FOLDER / f"{name}.yaml").read_text())))
    assert definition["name"] == name
    return TaskUse(id="t", name="custom", params={**definition, **params}, train_examples=n)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_task_file_is_previewed_without_an_error(path: Path, rows: FileRows) -> None:
    preview = preview_task(use(path.stem), rows, examples=1)
    assert [flag for flag in preview.flags if flag.severity == "error"] == []
    assert all(split.groups and len(split.first) == 1 for split in preview.splits)


def test_diasafety_as_a_file_holds_every_row_of_its_source(rows: FileRows) -> None:
    train, evaluation = preview_task(use("diasafety-judgement"), rows, examples=0).splits
    assert train.examples + evaluation.examples == 9017
    both = {word: count + evaluation.classes[word] for word, count in train.classes.items()}
    assert both == {"yes": 4839, "no": 4178}
    # SOURCE.md: Safe and Unsafe of each category in the training file.
    published = {
        "Biased Opinion": 984 + 786,
        "Offending User": 528 + 732,
        "Risk Ignorance": 800 + 753,
        "Toxicity Agreement": 1186 + 1156,
        "Unauthorized Expertise": 1341 + 751,
    }
    assert {
        name: size.items + evaluation.groups[name].items for name, size in train.groups.items()
    } == published


def test_the_released_split_of_diasafety_is_found_to_leak(rows: FileRows) -> None:
    released = {
        "source": None,
        "split": None,
        "train": "diasafety/train.json.gz",
        "evaluation": "diasafety/test.json.gz",
    }
    preview = preview_task(use("diasafety-judgement", **released), rows, examples=0)
    errors = [flag for flag in preview.flags if flag.severity == "error"]
    assert [(f.kind, f.count, f.rows) for f in errors] == [
        ("leaking", 1, ("diasafety/test.json.gz, row 365",))
    ]


class Folder(NamedTuple):
    output: Path
    machine: Machine = Machine()


def test_the_stage_writes_the_examples_of_a_task_file(rows: FileRows, tmp_path: Path) -> None:
    asked = use("bbq-religion-written", n=300)
    facts = data_facts(asked, rows, where="/tasks/0")
    params: dict[str, Any] = {
        "task": facts.name,
        "version": facts.version,
        "params": facts.params,
        "fingerprint": facts.fingerprint,
        "examples": facts.examples["train"],
        "split": "train",
        "n": 300,
        "seed": 0,
        "balance": "classes",
    }
    work = Work("0" * 64, "prepare_data", params, {}, 0)
    assert prepare_data(work, Folder(tmp_path), rows=rows)["examples"] == 300  # type: ignore[arg-type]
    examples = read_examples(tmp_path)
    assert {e.form for e in examples} == {"generate"}
    assert all(e.row.startswith("bbq/Religion.jsonl.gz, row ") for e in examples)


def test_a_task_file_is_planned_as_every_other_task(rows: FileRows) -> None:
    facts = data_facts(use("bbq-religion-written", n=300), rows, where="/tasks/0")
    assert (facts.name, facts.kind, facts.chance) == ("custom", "safety", 1 / 3)
    lettered = {"score": None, "show_options": None}
    same = data_facts(use("bbq-religion-written", n=300, **lettered), rows, where="/t")
    assert same.evaluation_examples == facts.evaluation_examples
    assert same.params != facts.params
