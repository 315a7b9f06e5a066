"""What cannot be right is answered at submit, in words, and leaves no trace."""

import gzip
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import Embedded
from e2e.processes import SPEC

from forgetscope.client import ClientError, InvalidRequest
from forgetscope.trainer.builtin import make

pytestmark = pytest.mark.timeout(600)

S = "synthetic_safety"
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown task": ({"tasks": ["synthetic_safty"], "chains": [["synthetic_safty"]]}, S),
    "unknown model": ({"model": {"source": "builtin", "name": "tinny"}}, "tiny"),
    "unknown method": ({"training": {"method": "lorra"}}, "lora"),
    "unknown engine": ({"evaluation": {"engine": "vlm"}}, "vllm"),
    "engine that is not there": ({"evaluation": {"engine": "vllm"}}, "vllm"),
    "unknown key": ({"sedes": [1]}, "sedes"),
    "unknown parameter of a task": (
        {"tasks": [{"name": S, "params": {"grups": 3}}], "chains": [[S]]},
        "grups",
    ),
    "empty chain": ({"chains": [[]]}, "chains"),
    "duplicate chain": ({"chains": [[S], [S]]}, "more than once"),
    "foreign task in a chain": ({"chains": [["arc"]]}, "arc"),
    "path outside the roots": (
        {"model": {"source": "local", "path": "/etc"}},
        "FORGETSCOPE_ALLOWED_ROOTS",
    ),
    "path that climbs out": (
        {"model": {"source": "local", "path": "../../.."}},
        "FORGETSCOPE_ALLOWED_ROOTS",
    ),
    "branch instead of a commit": (
        {"model": {"source": "hub", "id": "a/b", "revision": "main"}},
        "revision",
    ),
    "explosion": (
        {"seeds": list(range(100)), "chains": [[S] * n for n in range(1, 16)]},
        "limit is 2000",
    ),
    "more examples than exist": (
        {"tasks": [{"name": "arc", "train_examples": 100_000}], "chains": [["arc"]]},
        "train_examples",
    ),
    "not a number": ({"training": {"learning_rate": "fast"}}, "learning_rate"),
    "learning rate of zero": ({"training": {"learning_rate": 0}}, "learning_rate"),
}


def refused(platform: Embedded, change: dict[str, Any]) -> str:
    before = [e.id for e in platform.client.list()]
    with pytest.raises(ClientError) as error:
        platform.client.submit(SPEC | change)
    assert isinstance(error.value, InvalidRequest), error.value
    assert [e.id for e in platform.client.list()] == before
    return str(error.value)


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_answered_at_submit_and_leaves_no_trace(embedded: Embedded, case: str) -> None:
    change, words = BAD[case]
    assert words in refused(embedded, change)


def local(path: Path, adapter: Path | None = None) -> dict[str, Any]:
    model = {"source": "local", "path": str(path)}
    return {"model": model if adapter is None else model | {"adapter": str(adapter)}}


def test_pickled_weights_are_refused(embedded: Embedded) -> None:
    folder = embedded.models / "pickled"
    make("tiny", folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "pickled" in refused(embedded, local(folder))


def test_a_model_with_code_of_its_own_is_refused(embedded: Embedded) -> None:
    folder = embedded.models / "code"
    make("tiny", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "x.Y"}}))
    assert "auto_map" in refused(embedded, local(folder))


def test_an_adapter_for_another_base_is_refused(embedded: Embedded) -> None:
    base, adapter = embedded.models / "base", embedded.models / "adapter"
    make("tiny", base)
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]})
    )
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    shapes = {f"{name}.lora_A.weight": [2, 7], f"{name}.lora_B.weight": [7, 2]}
    header, at = {}, 0
    for key, shape in shapes.items():
        size = 4 * shape[0] * shape[1]
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    (adapter / "adapter_model.safetensors").write_bytes(
        struct.pack("<Q", len(text)) + text + bytes(at)
    )
    assert "q_proj" in refused(embedded, local(base, adapter))


@pytest.fixture(scope="module")
def broken_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    data = tmp_path_factory.mktemp("data")
    (data / "arc").mkdir()
    choices = [{"text": t, "label": label} for t, label in (("a", "A"), ("b", "B"), ("c", "C"))]
    rows = [
        {"id": str(i), "question": {"stem": f"q{i}", "choices": choices}, "answerKey": "A"}
        for i in range(5)
    ]
    rows[2]["answerKey"] = "Z"
    for name in ("Train", "Test", "Dev"):
        with gzip.open(data / "arc" / f"ARC-Easy-{name}.jsonl.gz", "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    platform = Embedded(tmp_path_factory, FORGETSCOPE_DATA_DIR=str(data))
    yield platform
    platform.stop()


def test_a_row_that_breaks_its_schema_is_named(broken_data: Embedded) -> None:
    task = {"name": "arc", "params": {"subset": "easy"}, "train_examples": 3}
    message = refused(broken_data, {"tasks": [task], "chains": [["arc"]]})
    assert "ARC-Easy-Train.jsonl.gz" in message
    assert "3" in message


def test_a_data_set_that_is_not_there_is_named(broken_data: Embedded) -> None:
    assert "toxigen" in refused(broken_data, {"tasks": ["toxigen_qa"], "chains": [["toxigen_qa"]]})
