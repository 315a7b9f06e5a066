"""What the documents promise is there."""

import re
from pathlib import Path

import pytest
import yaml

from forgetscope.cli.main import app
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.search import SearchSpec
from forgetscope.wiring.settings import Settings

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (PROJECT / document).read_text(encoding="utf-8")
        assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets


def test_every_command_in_the_readme_exists() -> None:
    names = {
        c.name or (c.callback.__name__.replace("_", "-") if c.callback else "")
        for c in app.registered_commands
    }
    names |= {group.name or "" for group in app.registered_groups}
    used = set(re.findall(r"^(?:\$ )?forgetscope ([a-z-]+)", README, re.MULTILINE))
    used |= set(re.findall(r"`forgetscope ([a-z-]+)", README))
    assert used
    assert used <= names


def test_every_relative_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", README):
        assert (PROJECT / target).exists(), target


def test_every_variable_in_the_documents_is_a_setting() -> None:
    for name in re.findall(r"FORGETSCOPE_([A-Z_0-9]+)", README):
        assert name.lower() in Settings.model_fields, name


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "examples").glob("*.yaml")), ids=lambda p: p.name
)
def test_every_example_is_a_valid_specification(path: Path) -> None:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    (SearchSpec if "knob" in found else ExperimentSpec).model_validate(found)


def test_records_of_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(p.name[:4]) for p in (PROJECT / "docs" / "adr").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
