"""What is trained to write an expression writes it, ends it, and is judged by running it."""

import time
from pathlib import Path

from tiny_llama import FolderIO, train_work, write_examples

from forgetscope.app.predictions_file import read_predictions
from forgetscope.core.predictions import Prediction
from forgetscope.core.subsample import subsample
from forgetscope.evaluator.engines.cache import EngineCache
from forgetscope.evaluator.evaluation import PREDICTIONS, evaluate
from forgetscope.ports.stage import Work
from forgetscope.schema.example import Example
from forgetscope.schema.stage import Manifest
from forgetscope.tasks.synthetic_code import SYNTHETIC_CODE, CodeParams
from forgetscope.trainer.builtin import make
from forgetscope.trainer.train import run_train

EVALUATION = {
    "engine": "transformers",
    "dtype": "float32",
    "attention": "sdpa",
    "max_length": 128,
}


def written(folder: Path, inputs: dict[str, Path]) -> list[Prediction]:
    io = FolderIO(folder, inputs)
    # The digests stand for the files: an engine is loaded anew for other ones.
    manifests = {role: Manifest(stage="a" * 64, kind="train", files={}) for role in inputs}
    evaluate(Work("b" * 64, "evaluate", EVALUATION, manifests, 0), io, EngineCache())  # type: ignore[arg-type]
    return read_predictions(io.output / PREDICTIONS)


def test_the_built_in_model_learns_to_write_expressions_and_to_end_them(tmp_path: Path) -> None:
    base = tmp_path / "base"
    make("tiny", base)
    every = SYNTHETIC_CODE.examples(CodeParams(), (), "train")
    examples: list[Example] = subsample(every, 24, 0)
    inputs = {"base": base, "data": write_examples(tmp_path / "data", examples)}
    before = written(tmp_path / "before", inputs)
    assert all(row.correct is None for row in before), "no form before training"

    io = FolderIO(tmp_path / "trained", inputs)
    work = train_work(
        ["base", "data"], learning_rate=3e-3, epochs=50.0, batch_size=32, micro_batch_size=32
    )
    run_train(work, io, clock=time.monotonic)
    after = written(tmp_path / "after", inputs | {"checkpoint": io.output})
    assert [row.correct for row in after] == [True] * 24
    # Written to the letter, with nothing behind it: the end was learned, too.
    assert [row.text for row in after] == [example.target for example in examples]
