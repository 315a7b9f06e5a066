"""LoRA chains on the platform, scored by both engines."""

from collections.abc import Iterator

import pytest
from e2e.conftest import Embedded
from e2e.processes import SPEC, finish

from forgetscope.schema.base import JsonObject

pytestmark = pytest.mark.timeout(600)

LORA: JsonObject = SPEC | {
    "name": "adapters",
    "tasks": [
        {"name": "synthetic_safety", "train_examples": 256, "evaluation_examples": 120},
        {"name": "synthetic_capability", "train_examples": 256, "evaluation_examples": 120},
    ],
    "chains": [["synthetic_safety", "synthetic_capability"]],
    "training": {
        "method": {"name": "lora", "params": {"rank": 8, "alpha": 32}},
        "learning_rate": 1e-2,
        "epochs": 2,
        "batch_size": 16,
    },
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    platform = Embedded(tmp_path_factory, FORGETSCOPE_ENGINES="transformers,vllm")
    yield platform
    platform.stop()


def test_both_engines_give_the_same_accuracies_for_the_same_adapters(platform: Embedded) -> None:
    matrices = {}
    for engine in ("transformers", "vllm"):
        experiment_id = platform.client.submit(LORA | {"evaluation": {"engine": engine}})
        finish(platform.client, experiment_id)
        assert platform.client.get(experiment_id).engine == engine
        matrices[engine] = platform.client.results(experiment_id).matrix
        trained = list(platform.client.stages(experiment_id, kind="train"))
        for stage in trained:
            manifest = platform.client.stage(experiment_id, stage.key).manifest
            assert manifest is not None
            assert manifest.meta["form"] == "adapter"
    assert matrices["vllm"] == matrices["transformers"]
    scores = {
        a.label.chain: a.digest
        for a in platform.client.artifacts(experiment_id)
        if a.path == "predictions.parquet" and a.label.task == "synthetic_safety"
    }
    assert len(set(scores.values())) == 3, "each adapter really changes the scores"


def test_auto_takes_transformers_for_a_small_model_on_a_cpu_and_says_why(
    platform: Embedded,
) -> None:
    plan = platform.client.plan(LORA | {"evaluation": {"engine": "auto"}})
    assert plan.engine == "transformers"
    assert "small" in plan.engine_reason
