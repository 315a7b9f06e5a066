"""First half of `run.sh`: the converted model and the questions, for the other environment.

The peer is the scoring of lm-evaluation-harness, not its prompts: it gets the texts of our tasks.
Only questions that fit into the model are asked. Longer ones are cut by both, but not alike: ours
keep BOS, the harness does not.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from forgetscope.adapters.rows_files import FileRows
from forgetscope.app.prepare import build_examples
from forgetscope.core.encoding import encode_parts
from forgetscope.modeling.loading import TokenizerEncoder, load_tokenizer
from forgetscope.schema.base import JsonObject
from forgetscope.schema.example import Example
from forgetscope.tasks.base import parse_params
from forgetscope.tasks.catalogue import TASKS
from forgetscope.trainer.llama2c import convert

ITEMS = 200
POSITIONS = 512


class Asked(NamedTuple):
    task: str
    params: JsonObject


ASKED = (
    Asked("arc", {"subset": "easy"}),
    Asked("commonsense_qa", {}),
    Asked("commonsense_qa_2", {}),
)


def questions(asked: Asked, rows: FileRows, encode: TokenizerEncoder) -> JsonObject:
    """The first examples of the evaluation split, in the order of subsampling, that fit."""
    task = TASKS.get(asked.task)
    params = parse_params(task, asked.params)
    examples = build_examples(task, params, "evaluation", None, seed=0, rows=rows)
    fitting = [e for e in examples if _length(encode, e) <= POSITIONS][:ITEMS]
    assert len(fitting) == ITEMS
    return {
        "task": asked.task,
        "params": asked.params,
        "items": [{"id": e.id, "prompt": e.prompt, "options": list(e.options)} for e in fitting],
    }


def _length(encode: TokenizerEncoder, example: Example) -> int:
    return max(
        sum(map(len, encode_parts(encode, example.prompt, option))) for option in example.options
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the data folder")
    parser.add_argument("work", type=Path, help="an empty folder for model and questions")
    given = parser.parse_args()
    stories = given.data / "stories260K"
    convert(stories / "stories260K.bin", stories / "tok512.bin", given.work / "model")
    encode = TokenizerEncoder(load_tokenizer(given.work / "model"))
    rows = FileRows(given.data)
    content = {
        "model_sha256": hashlib.sha256((stories / "stories260K.bin").read_bytes()).hexdigest(),
        "tasks": [questions(asked, rows, encode) for asked in ASKED],
    }
    (given.work / "questions.json").write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main()
