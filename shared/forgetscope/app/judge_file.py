"""What is known of a prepared safety classifier, as the file `judge.json` beside it."""

import json
from pathlib import Path

from pydantic import ValidationError

from forgetscope.schema.errors import InvalidInput
from forgetscope.schema.results import JudgeInfo

__all__ = ["JUDGE_INFO", "read_judge_info", "write_judge_info"]

JUDGE_INFO = "judge.json"


def write_judge_info(folder: Path, info: JudgeInfo) -> None:
    """Write `judge.json`: equal facts, equal bytes."""
    text = json.dumps(info.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False)
    (folder / JUDGE_INFO).write_text(text + "\n", encoding="utf-8")


def read_judge_info(folder: Path) -> JudgeInfo:
    """Raises InvalidInput when there is no such file, or another one."""
    try:
        return JudgeInfo.model_validate_json((folder / JUDGE_INFO).read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise InvalidInput(
            "the facts about the safety classifier cannot be read.",
            where=JUDGE_INFO,
            hint="Delete the stage that prepares the classifier, and run it again.",
        ) from error
