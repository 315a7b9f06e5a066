"""Our scores against those of lm-evaluation-harness, item by item, on a pre-trained model.

The harness' scores are stored; `benchmarks/lm_eval_agreement/run.sh` makes them anew. Prompts are
ours on both sides: what is compared is how text becomes tokens, and tokens log-likelihoods.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stories260k import convert_stories, data_dir, stories_files

from forgetscope.adapters.rows_files import FileRows
from forgetscope.app.prepare import build_examples
from forgetscope.core.predictions import predict
from forgetscope.evaluator.encoding import encode_choice
from forgetscope.evaluator.engines.base import ChoiceItem
from forgetscope.evaluator.engines.transformers import TransformersEngine
from forgetscope.modeling.loading import TokenizerEncoder, load_tokenizer
from forgetscope.tasks.base import parse_params
from forgetscope.tasks.catalogue import TASKS

STORED = json.loads(
    (Path(__file__).parents[2] / "data" / "lm_eval_agreement.json").read_text(encoding="utf-8")
)
TOLERANCE = 1e-4  # nats, float32 on both sides


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert_stories(tmp_path_factory.mktemp("stories") / "model")


def test_the_stored_scores_are_those_of_this_checkpoint() -> None:
    checkpoint = stories_files()[0].read_bytes()
    assert hashlib.sha256(checkpoint).hexdigest() == STORED["model_sha256"]
    assert STORED["versions"]["lm_eval"] == "0.4.13"


@pytest.mark.parametrize("stored", STORED["tasks"], ids=lambda stored: stored["task"])
def test_every_option_has_the_log_likelihood_that_lm_evaluation_harness_gives(
    folder: Path, stored: dict[str, Any]
) -> None:
    task = TASKS.get(stored["task"])
    params = parse_params(task, stored["params"])
    rows = FileRows(data_dir())
    known = {e.id: e for e in build_examples(task, params, "evaluation", None, seed=0, rows=rows)}
    examples = [known[name] for name in stored["log_likelihoods"]]
    assert len(examples) == 200

    encode = TokenizerEncoder(load_tokenizer(folder))
    items = [encode_choice(encode, example, 512) for example in examples]
    asked = [item for item in items if isinstance(item, ChoiceItem)]
    assert len(asked) == len(items)
    engine = TransformersEngine(
        folder, dtype="float32", attention="sdpa", device="cpu", batch_tokens=8192
    )
    scores = engine.score_options(asked, lambda share: None)

    for example, ours, theirs in zip(
        examples, scores, stored["log_likelihoods"].values(), strict=True
    ):
        assert np.abs(np.subtract(ours, theirs)).max() < TOLERANCE, example.id
        assert predict(example, scores=ours).choice == int(np.argmax(theirs)), example.id
