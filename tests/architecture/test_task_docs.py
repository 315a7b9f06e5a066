"""What the page on custom tasks shows works, and what it lists is there."""

import re
from pathlib import Path
from typing import get_args

import yaml

from forgetscope.schema.custom import CustomTask
from forgetscope.schema.preview import FlagKind
from forgetscope.tasks.custom import custom_task
from forgetscope.tasks.template_filters import FILTERS

PAGE = (Path(__file__).parents[2] / "docs" / "custom-tasks.md").read_text(encoding="utf-8")


def test_the_task_on_the_page_is_a_task_of_a_dozen_lines() -> None:
    block = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
    assert len(block.splitlines()) <= 13
    assert custom_task(CustomTask.model_validate(yaml.safe_load(block))).chance == 0.5


def test_the_page_names_every_filter_and_every_flag() -> None:
    words = set(re.findall(r"`([a-z_]+)`", PAGE))
    assert set(FILTERS) | set(get_args(FlagKind)) <= words
