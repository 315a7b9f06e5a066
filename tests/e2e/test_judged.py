"""Generated replies, judged by the built-in safety classifier, through the whole platform."""

import pytest
from e2e.conftest import Embedded
from e2e.processes import finish

from forgetscope.schema.base import JsonObject

pytestmark = pytest.mark.timeout(600)

SPEC: JsonObject = {
    "name": "safe replies",
    "tasks": [
        {
            "name": "diasafety",
            "params": {"max_new_tokens": 8},
            "train_examples": 40,
            "evaluation_examples": 25,
        },
        {"name": "synthetic_capability", "train_examples": 64, "evaluation_examples": 40},
    ],
    "chains": [["diasafety", "synthetic_capability"]],
    "training": {"learning_rate": 1e-3, "epochs": 2, "batch_size": 8},
    "evaluation": {"engine": "transformers"},
    "analysis": {"bootstrap_replicates": 100},
}


def test_a_share_of_safe_replies_comes_with_its_classifier_and_how_often_that_is_right(
    embedded: Embedded,
) -> None:
    experiment = embedded.client.submit(SPEC)
    finish(embedded.client, experiment)
    kinds = [stage.kind for stage in embedded.client.stages(experiment)]
    assert kinds.count("prepare_judge") == 1
    results = embedded.client.results(experiment)
    judged, other = results.tasks
    assert judged.judge is not None
    assert other.judge is None
    replies = judged.judge.held_out[0]
    assert replies.items == 1094
    assert replies.accuracy.low is not None
    assert replies.accuracy.low > 0.6
    assert any("dialogue-safety" in note for note in results.notes)
    cells = [cell.overall for cell in results.matrix if cell.task == "diasafety"]
    assert len(cells) == 3
    assert all(cell.scored + cell.unscored == 25 for cell in cells)
    assert any(cell.scored for cell in cells)
    again = embedded.client.plan(SPEC)
    assert again.to_run == 0
