"""Models behind vLLM's own server, audited: as the same models are when their files are at hand."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from e2e.conftest import Embedded
from e2e.processes import wait_for
from services.evaluator.conftest import make_model
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from forgetscope.adapters.endpoint import HttpEndpoints
from forgetscope.app.endpoints import look_at
from forgetscope.app.predictions_file import read_predictions
from forgetscope.core.endpoints import Echo, Refused, difference
from forgetscope.core.predictions import Prediction
from forgetscope.ports.endpoint import Patience
from forgetscope.schema.audit import AuditResults
from forgetscope.schema.endpoint import EndpointModel
from forgetscope.schema.errors import UnknownName

pytestmark = pytest.mark.timeout(900)

LIMIT = 256
TASKS = [
    {"id": "safety", "name": "synthetic_safety", "evaluation_examples": 48},
    {"id": "letters", "name": "synthetic_capability", "params": {"form": "lettered"}},
    {"id": "written", "name": "synthetic_code", "evaluation_examples": 16},
]
SPEC: dict[str, object] = {
    "name": "served",
    "tasks": [{"evaluation_examples": 32, **task} for task in TASKS],
    "policy": {"name": "p", "tasks": [{"task": task["id"], "margin": 0.5} for task in TASKS]},
    "evaluation": {"noise_floor": {"items": 6}},
}


@pytest.fixture(scope="module")
def folder(embedded: Embedded) -> Path:
    """A model whose tokenizer begins every text with a token of its own."""
    made = make_model(embedded.models / "served", max_position_embeddings=LIMIT)
    tokenizer = AutoTokenizer.from_pretrained(made)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", tokenizer.bos_token_id)]
    )
    tokenizer.save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def url(embedded: Embedded, folder: Path) -> Iterator[str]:
    """vLLM's server, with the model under two names."""
    host, port = embedded.endpoint.removeprefix("http://").split(":")
    command = ["--model", str(folder), "--served-model-name", "first", "second"]
    command += ["--host", host, "--port", port, "--dtype", "float32", "--enforce-eager"]
    command += ["--max-model-len", str(LIMIT), "--kv-cache-memory-bytes", str(64 << 20)]
    command += ["--block-size", "32", "--generation-config", "vllm"]
    quiet = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    log = embedded.home / "vllm.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *command],
            env=os.environ | quiet,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )

    def answers() -> bool:
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        try:
            return httpx.get(f"{embedded.endpoint}/v1/models").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for("vLLM serves the model", answers, seconds=600)
        yield embedded.endpoint
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its engine is a process of its own
        process.wait()


def audit(embedded: Embedded, **changes: object) -> tuple[str, AuditResults]:
    audit_id = embedded.client.audits.submit(SPEC | changes)
    view = embedded.client.audits.wait(audit_id)
    assert view.state == "succeeded", view.failures
    return audit_id, embedded.client.audits.results(audit_id)


def predictions(embedded: Embedded, audit_id: str, folder: Path) -> dict[str, list[Prediction]]:
    """What the candidate said, by task."""
    found = {}
    for artifact in embedded.client.audits.artifacts(audit_id):
        if artifact.path == "predictions.parquet" and artifact.label.task:
            target = folder / f"{audit_id}-{artifact.label.task}.parquet"
            embedded.client.download(artifact, target)
            found[artifact.label.task] = read_predictions(target)
    return found


def test_a_served_model_gets_the_scores_that_its_files_get(
    embedded: Embedded, folder: Path, url: str, tmp_path: Path
) -> None:
    first, second = (
        {"source": "endpoint", "url": url, "model": name} for name in ("first", "second")
    )
    served, results = audit(embedded, reference=first, candidate=second)
    assert results.engine == "endpoint"
    assert set(results.candidate.files) == {"endpoint.json"}
    assert results.candidate.fingerprint.startswith("probed/")
    floors = {one.task: one.measured for one in results.noise}
    # What this model writes is no expression, and no item of that task is scored.
    assert {task: floor.floor for task, floor in floors.items()} == {
        row.task: row.noise_floor for row in results.rows
    }
    assert (floors["written"].left_out, floors["written"].floor) == (6, None)
    for floor in (floors["safety"], floors["letters"]):
        assert (floor.items, floor.floor) == (6, 0)
        assert all(pair.largest is not None and pair.largest < 1e-3 for pair in floor.pairs)
    local = {"source": "local", "path": str(folder)}
    engine = {"engine": "transformers", "max_length": LIMIT, "noise_floor": None}
    here, _ = audit(embedded, reference=local, candidate=local, evaluation=engine)
    ours, theirs = (predictions(embedded, one, tmp_path) for one in (served, here))
    assert set(ours) == set(theirs) == {task["id"] for task in TASKS}
    for task, rows in ours.items():
        for row, other in zip(rows, theirs[task], strict=True):
            assert row._replace(scores=None, text=None) == other._replace(scores=None, text=None)
            if row.scores is not None and other.scores is not None:
                np.testing.assert_allclose(row.scores, other.scores, atol=1e-3)
    assert all(row.scores for row in (*ours["safety"], *ours["letters"]))
    # A server does not send the beginning of a letter whose end was never written.
    said = [[str(row.text).rstrip("\ufffd") for row in rows["written"]] for rows in (ours, theirs)]
    assert said[0] == said[1]


def test_what_vllm_does_not_take_or_have_is_said(url: str) -> None:
    endpoints = HttpEndpoints([url], {}, Patience(60, 3))
    model = EndpointModel(source="endpoint", url=url, model="first")
    texts = ["Question: what?", "long " * LIMIT, "Question: who?"]
    short, long, other = endpoints.echo(model, texts, LIMIT)
    assert isinstance(short, Echo) and isinstance(other, Echo) and isinstance(long, Refused)
    assert short.tokens[0] == "<|begin|>" and short.logprobs[0] is None
    assert "does not take" in long.reason
    with pytest.raises(UnknownName, match="'third'"):
        endpoints.served(EndpointModel(source="endpoint", url=url, model="third"))


def test_the_same_server_gives_the_same_answers_to_the_probes(url: str) -> None:
    endpoints = HttpEndpoints([url], {}, Patience(60, 3))
    model = EndpointModel(source="endpoint", url=url, model="first")
    one, two = look_at(endpoints, model), look_at(endpoints, model)
    assert difference(one, two) is None
    assert one.tolerance < 0.01
