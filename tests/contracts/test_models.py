"""Base models are looked at without loading, from every place they may come from."""

import hashlib
import io
import json
import os
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from forgetscope.adapters.endpoint import HttpEndpoints
from forgetscope.adapters.models import ModelSources
from forgetscope.adapters.models_endpoint import EndpointModels
from forgetscope.adapters.models_files import FileModels
from forgetscope.adapters.models_hub import HubModels
from forgetscope.adapters.store_files import FileStore
from forgetscope.adapters.store_s3 import S3Store, connect
from forgetscope.core.builtin_models import BUILTIN_MODELS
from forgetscope.core.model_shape import ModelShape
from forgetscope.ports.endpoint import Patience
from forgetscope.schema.errors import (
    AdapterMismatch,
    InvalidInput,
    PathNotAllowed,
    Unavailable,
    UnknownName,
    UnsafeWeights,
)
from forgetscope.schema.experiment import BuiltinModel, HubModel, LocalModel, S3Model

pytest_plugins = ["servers_fixtures"]

BASE = {"embed.weight": (10, 4), "layers.0.q_proj.weight": (6, 4), "norm.weight": (4,)}
PARAMETERS = 10 * 4 + 6 * 4 + 4
REVISION = "0123456789abcdef0123456789abcdef01234567"
HUB = HubModel(source="hub", id="team/model", revision=REVISION)
SIZES = {
    "num_hidden_layers": 3,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 100,
    "tie_word_embeddings": True,
}
NAMES = {"config.json", "tokenizer.json", "model.safetensors"}


def save(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    save_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, path)


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    (folder / "optimizer.pt").write_bytes(b"pickle")
    save(folder / "model.safetensors", BASE)
    return folder


def make_adapter(folder: Path, shapes: dict[str, tuple[int, ...]], **config: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **config}))
    save(folder / "adapter_model.safetensors", shapes)
    return folder


def lora(module: str, a: tuple[int, int], b: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    prefix = f"base_model.model.{module}"
    return {f"{prefix}.lora_A.weight": a, f"{prefix}.lora_B.weight": b}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def model(root: Path) -> Path:
    return make_model(root / "m")


@pytest.fixture
def models(root: Path, tmp_path: Path) -> ModelSources:
    root.mkdir(exist_ok=True)
    return ModelSources(
        FileModels(FileStore(tmp_path / "store"), (root,)),
        HubModels(tmp_path / "hub", offline=True),
        EndpointModels(HttpEndpoints((), {}, Patience(1, 1))),
    )


def local(path: Path | str, adapter: Path | None = None) -> LocalModel:
    return LocalModel(source="local", path=str(path), adapter=adapter and str(adapter))


# Built in


def test_a_builtin_model_is_known_by_its_version(models: ModelSources, tmp_path: Path) -> None:
    name = BUILTIN_MODELS.names()[0]
    facts = models.inspect(BuiltinModel(name=name))
    assert facts.fingerprint == BUILTIN_MODELS.get(name).fingerprint
    with pytest.raises(UnknownName, match=name):
        models.inspect(BuiltinModel(name="tinny"))
    with pytest.raises(InvalidInput):
        models.materialise(BuiltinModel(name=name), tmp_path / "out")


# Local folders


def test_a_local_model_is_counted_and_copied_without_code_and_pickles(
    models: ModelSources, model: Path, tmp_path: Path
) -> None:
    assert models.inspect(local(model)).parameters == PARAMETERS
    models.materialise(local("m"), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == NAMES
    copied = tmp_path / "out/model.safetensors"
    assert copied.read_bytes() == (model / "model.safetensors").read_bytes()


def test_the_shape_is_read_from_the_configuration(models: ModelSources, model: Path) -> None:
    assert models.inspect(local(model)).shape is None, "its configuration tells nothing"
    (model / "config.json").write_text(json.dumps(SIZES))
    shape = models.inspect(local(model)).shape
    assert shape == ModelShape(PARAMETERS, 3, 64, 160, 4, 100, 2, 16, tied=True)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_fingerprint_follows_weights_tokenizer_and_configuration(
    models: ModelSources, model: Path, name: str
) -> None:
    first = models.inspect(local(model)).fingerprint
    (model / "modeling_evil.py").write_text("other")
    assert models.inspect(local("m")).fingerprint == first
    path = model / name
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:-1] + b"\x01" if name.endswith("safetensors") else b'{"a": 1}')
    os.utime(path, ns=(1, 1))
    assert models.inspect(local(model)).fingerprint != first


def test_only_the_shards_of_the_index_are_the_model(
    models: ModelSources, model: Path, tmp_path: Path
) -> None:
    (model / "model.safetensors").rename(model / "consolidated.safetensors")
    index = {}
    for number, (name, shape) in enumerate(BASE.items()):
        shard = f"model-{number}.safetensors"
        save(model / shard, {name: shape})
        index[name] = shard
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert models.inspect(local(model)).parameters == PARAMETERS
    models.materialise(local(model), tmp_path / "out")
    assert not (tmp_path / "out/consolidated.safetensors").exists()
    (model / "model-1.safetensors").unlink()
    with pytest.raises(InvalidInput, match=r"model-1\.safetensors"):
        models.inspect(local(model))


CLASSIFIER = ["BertForSequenceClassification"]


@pytest.mark.parametrize(
    ("config", "labels"),
    [
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, None),
        ({"model_type": "bert"}, None),
        ({"architectures": CLASSIFIER}, ("LABEL_0", "LABEL_1")),
        ({"architectures": CLASSIFIER, "id2label": {"0": "bad", "1": "ok"}}, ("bad", "ok")),
    ],
)
def test_a_text_classification_model_tells_its_labels(
    models: ModelSources, model: Path, config: dict[str, Any], labels: tuple[str, ...] | None
) -> None:
    (model / "config.json").write_text(json.dumps(config))
    assert models.inspect(local(model)).labels == labels


@pytest.mark.parametrize("place", ["absolute", "relative", "link", "file"])
def test_no_model_is_read_from_outside_the_roots(
    models: ModelSources, model: Path, tmp_path: Path, place: str
) -> None:
    outside = make_model(tmp_path / "outside")
    (model.parent / "link").symlink_to(outside)
    paths: dict[str, Path | str] = {
        "absolute": outside,
        "relative": "../outside",
        "link": "link",
        "file": model,
    }
    if place == "file":
        (model / "config.json").unlink()
        (model / "config.json").symlink_to(outside / "config.json")
    for act in (models.inspect, lambda ref: models.materialise(ref, tmp_path / "out")):
        with pytest.raises(PathNotAllowed):
            act(local(paths[place]))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("missing", "message"),
    [("config.json", "config"), ("tokenizer.json", "tokenizer"), ("", "no such model folder")],
)
def test_a_folder_that_is_no_model_is_unknown(
    models: ModelSources, model: Path, missing: str, message: str
) -> None:
    if missing:
        (model / missing).unlink()
    with pytest.raises(UnknownName, match=message):
        models.inspect(local(model if missing else model / "none"))


def test_no_weights_at_all_are_unknown_and_pickled_ones_unsafe(
    models: ModelSources, model: Path
) -> None:
    (model / "model.safetensors").unlink()
    with pytest.raises(UnsafeWeights, match=r"optimizer\.pt"):
        models.inspect(local(model))
    (model / "optimizer.pt").unlink()
    with pytest.raises(UnknownName, match="no weights"):
        models.inspect(local(model))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_model_that_brings_code_is_unsafe(models: ModelSources, model: Path, name: str) -> None:
    (model / name).write_text('{"auto_map": {"AutoModel": "modeling_evil.Evil"}}')
    with pytest.raises(UnsafeWeights, match=name):
        models.inspect(local(model))


@pytest.mark.parametrize("content", ["[]", "{", "\x00"])
def test_a_broken_configuration_is_refused(models: ModelSources, model: Path, content: str) -> None:
    (model / "config.json").write_text(content)
    with pytest.raises(InvalidInput, match="not a JSON object"):
        models.inspect(local(model))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: whole[:-1],
        lambda whole: whole + b"x",
        lambda whole: whole[:5],
        lambda whole: b"",
        lambda whole: b"\xff" * 8 + whole[8:],
        lambda whole: whole[:8] + b"[" + whole[9:],
        lambda whole: (2).to_bytes(8, "little") + b"[]",
        lambda whole: (15).to_bytes(8, "little") + b'{"a":{"b":"c"}}',
    ],
)
def test_a_file_that_is_not_whole_safetensors_is_refused(
    models: ModelSources, model: Path, spoil: Callable[[bytes], bytes]
) -> None:
    path = model / "model.safetensors"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InvalidInput, match=r"model\.safetensors is not a whole safetensors file"):
        models.inspect(local(model))


# Adapters


def test_an_adapter_that_fits_comes_along_in_its_own_folder(
    models: ModelSources, model: Path, root: Path, tmp_path: Path
) -> None:
    adapter = make_adapter(root / "a", lora("layers.0.q_proj", (2, 4), (6, 2)))
    (adapter / "training_args.bin").write_bytes(b"pickle")
    with_adapter = models.inspect(local(model, adapter))
    assert with_adapter.fingerprint != models.inspect(local(model)).fingerprint
    models.materialise(local(model, adapter), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out/adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (lora("layers.0.q_proj", (2, 5), (6, 2)), ["layers.0.q_proj", "2×5", "6×2", "6×4"]),
        (lora("layers.0.q_proj", (2, 4), (7, 2)), ["layers.0.q_proj", "7×2", "6×4"]),
        (lora("layers.0.q_proj", (2, 4), (6, 3)), ["layers.0.q_proj", "2×4", "6×3"]),
        (lora("layers.9.q_proj", (2, 4), (6, 2)), ["no module", "layers.9.q_proj"]),
        ({"base_model.model.layers.0.q_proj.lora_A.weight": (2, 4)}, ["lora_B missing"]),
        ({"other.weight": (2, 4)}, ["no LoRA matrices"]),
    ],
)
def test_an_adapter_for_another_base_is_named_with_module_and_shapes(
    models: ModelSources, model: Path, root: Path, shapes: dict[str, Any], words: list[str]
) -> None:
    adapter = make_adapter(root / "a", shapes)
    with pytest.raises(AdapterMismatch) as caught:
        models.inspect(local(model, adapter))
    assert all(word in caught.value.detail for word in words)


def test_transposed_weights_and_a_missing_prefix_are_understood(
    models: ModelSources, model: Path, root: Path
) -> None:
    shapes = lora("transformer.layers.0.q_proj", (2, 6), (4, 2))
    adapter = make_adapter(root / "a", shapes, fan_in_fan_out=True)
    models.inspect(local(model, adapter))
    with pytest.raises(AdapterMismatch):
        models.inspect(local(model, make_adapter(root / "b", shapes)))


def test_a_pickled_adapter_is_unsafe_and_an_empty_folder_none(
    models: ModelSources, model: Path, root: Path
) -> None:
    adapter = make_adapter(root / "a", {"x": (1,)})
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(UnsafeWeights, match="adapter_model"):
        models.inspect(local(model, adapter))
    (root / "empty").mkdir()
    with pytest.raises(UnknownName):
        models.inspect(local(model, root / "empty"))


def test_an_adapter_outside_the_roots_or_of_another_kind_is_refused(
    models: ModelSources, model: Path, root: Path, tmp_path: Path
) -> None:
    shapes = lora("layers.0.q_proj", (2, 4), (6, 2))
    with pytest.raises(PathNotAllowed):
        models.inspect(local(model, make_adapter(tmp_path / "a", shapes)))
    with pytest.raises(AdapterMismatch, match="IA3"):
        models.inspect(local(model, make_adapter(root / "a", shapes, peft_type="IA3")))


def test_what_transformers_and_peft_save_is_understood(models: ModelSources, root: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from tiny_llama import tiny_model, tiny_tokenizer

    base = tiny_model()
    parameters = sum(weight.numel() for weight in base.parameters())
    base.save_pretrained(root / "m")
    tiny_tokenizer().save_pretrained(root / "m")
    adapted = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "down_proj"]))
    adapted.save_pretrained(root / "a")
    assert models.inspect(local("m", Path("a"))).parameters == parameters
    wider = tiny_model(hidden_size=64)
    get_peft_model(wider, LoraConfig(r=4, target_modules=["q_proj"])).save_pretrained(root / "b")
    with pytest.raises(AdapterMismatch, match="q_proj"):
        models.inspect(local("m", Path("b")))


# Object store


def test_a_model_in_the_object_store_is_looked_at_and_fetched(
    s3: Any, model: Path, tmp_path: Path
) -> None:
    client = connect(s3.url, s3.access_key, s3.secret_key)
    bucket = f"models-{uuid.uuid4().hex}"
    client.make_bucket(bucket)
    for path in model.iterdir():
        client.fput_object(bucket, f"team/m/{path.name}", str(path))
    models = FileModels(S3Store(client, "blobs", frozenset({bucket, "never-made"})), ())
    ref = S3Model(source="s3", uri=f"s3://{bucket}/team/m")
    facts = models.inspect(ref)
    assert facts.parameters == PARAMETERS
    models.materialise(ref, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == NAMES
    assert (tmp_path / "out/model.safetensors").read_bytes() == (
        model / "model.safetensors"
    ).read_bytes()
    config = json.dumps(SIZES).encode()
    client.put_object(bucket, "team/m/config.json", io.BytesIO(config), len(config))
    changed = models.inspect(ref)
    assert changed.fingerprint != facts.fingerprint
    assert changed.shape is not None
    assert (facts.shape, changed.shape.layers) == (None, 3)
    for uri in (f"s3://{bucket}/team", "s3://never-made/m"):
        with pytest.raises(UnknownName):
            models.inspect(S3Model(source="s3", uri=uri))
    with pytest.raises(PathNotAllowed):
        models.inspect(S3Model(source="s3", uri="s3://elsewhere/m"))
    client.remove_object(bucket, "team/m/model.safetensors")
    with pytest.raises(UnsafeWeights):
        models.inspect(ref)


def test_s3_models_need_an_s3_store(models: ModelSources) -> None:
    with pytest.raises(InvalidInput):
        models.inspect(S3Model(source="s3", uri="s3://bucket/m"))


# Hub


def test_a_model_in_the_hub_cache_is_known_offline(
    models: ModelSources, model: Path, tmp_path: Path
) -> None:
    repository = tmp_path / "hub/models--team--model"
    snapshot = repository / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for path in model.iterdir():
        blob = repository / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
        blob.write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(os.path.relpath(blob, snapshot))
    facts = models.inspect(HUB)
    assert facts[:3] == (f"hub/team/model@{REVISION}", PARAMETERS, None)
    models.materialise(HUB, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == NAMES
    assert not any(path.is_symlink() for path in (tmp_path / "out").iterdir())


def test_a_model_that_is_not_cached_is_unknown_offline(
    models: ModelSources, tmp_path: Path
) -> None:
    for act in (models.inspect, lambda ref: models.materialise(ref, tmp_path / "out")):
        with pytest.raises(UnknownName, match="offline"):
            act(HUB)


class Hub:
    """The hub's answers for one repository: its facts, its tree, its files."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.failing = False
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                hub.asked.append(self.path)
                status, headers, content = hub.answer(self.path.partition("?")[0])
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if self.failing:
            return 500, {}, b"{}"
        if "team/model" not in path:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        if REVISION not in path:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        if path.startswith("/api/models/team/model/revision/"):
            siblings = [{"rfilename": name} for name in self.files]
            facts = {"id": "team/model", "sha": REVISION, "siblings": siblings}
            return 200, {}, json.dumps(facts).encode()
        if path.startswith("/api/models/team/model/tree/"):
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                for name, content in self.files.items()
            ]
            return 200, {}, json.dumps(tree).encode()
        content = self.files[path.rpartition("/")[2]]
        etag = hashlib.sha256(content).hexdigest()
        return 200, {"X-Repo-Commit": REVISION, "ETag": f'"{etag}"'}, content


@pytest.fixture
def hub(model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    hub = Hub()
    hub.files = {path.name: path.read_bytes() for path in model.iterdir()}
    thread = Thread(target=hub.server.serve_forever, args=(0.05,))
    thread.start()
    yield hub
    hub.server.shutdown()
    thread.join()
    hub.server.server_close()


def test_a_hub_model_is_asked_about_then_fetched_then_known(hub: Hub, tmp_path: Path) -> None:
    models = HubModels(tmp_path / "hub", offline=False, endpoint=hub.url)
    before = models.inspect(HUB)
    assert (before.fingerprint, before.parameters) == (f"hub/team/model@{REVISION}", None)
    assert before.note
    models.materialise(HUB, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == NAMES
    assert not any(".py" in path or ".pt" in path for path in hub.asked)
    asked = len(hub.asked)
    assert models.inspect(HUB)[:3] == (before.fingerprint, PARAMETERS, None)
    assert len(hub.asked) == asked


def test_the_shape_of_a_hub_model_is_known_without_its_weights(hub: Hub, tmp_path: Path) -> None:
    hub.files["config.json"] = json.dumps(SIZES).encode()
    models = HubModels(tmp_path / "hub", offline=False, endpoint=hub.url)
    facts = models.inspect(HUB)
    assert facts.shape is not None
    assert (facts.shape.hidden, facts.shape.key_value_heads, facts.head_size) == (64, 2, 16)
    assert not any("safetensors" in path for path in hub.asked)
    assert not (tmp_path / "hub").exists(), "a cache with half a model would pass for a whole one"


def test_a_hub_model_without_a_configuration_has_no_shape(hub: Hub, tmp_path: Path) -> None:
    del hub.files["config.json"]
    models = HubModels(tmp_path / "hub", offline=False, endpoint=hub.url)
    assert models.inspect(HUB).shape is None


def test_what_is_published_of_a_model_is_for_planning_only(
    models: ModelSources, tmp_path: Path
) -> None:
    ref = HubModel(source="hub", id="meta-llama/Llama-2-7b-hf", revision=REVISION)
    with pytest.raises(UnknownName, match="offline"):
        models.inspect(ref)
    facts = models.published(ref)
    assert facts is not None
    assert facts.parameters == 6_738_415_616
    assert facts.fingerprint == f"hub/{ref.id}@{REVISION}"
    assert "plan only" in str(facts.note)
    assert "2307.09288" in str(facts.note)
    assert models.published(HUB) is models.published(local("m")) is None


def test_the_labels_of_a_hub_model_are_known_once_it_is_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.files["config.json"] = json.dumps({"architectures": CLASSIFIER}).encode()
    models = HubModels(tmp_path / "hub", offline=False, endpoint=hub.url)
    assert models.inspect(HUB).labels is None
    models.materialise(HUB, tmp_path / "out")
    assert models.inspect(HUB).labels == ("LABEL_0", "LABEL_1")


def test_what_the_hub_does_not_have_is_unknown(hub: Hub, tmp_path: Path) -> None:
    models = HubModels(tmp_path / "hub", offline=False, endpoint=hub.url)
    for change in ({"id": "team/other"}, {"revision": "f" * 40}):
        ref = HUB.model_copy(update=change)
        for act in (models.inspect, lambda ref: models.materialise(ref, tmp_path / "out")):
            with pytest.raises(UnknownName, match="no such model and revision"):
                act(ref)


def test_a_hub_model_with_pickled_weights_only_is_unsafe(hub: Hub, tmp_path: Path) -> None:
    models = HubModels(tmp_path / "hub", offline=False, endpoint=hub.url)
    del hub.files["model.safetensors"]
    with pytest.raises(UnsafeWeights):
        models.inspect(HUB)


def test_a_hub_model_with_code_is_refused_after_download(hub: Hub, tmp_path: Path) -> None:
    models = HubModels(tmp_path / "hub", offline=False, endpoint=hub.url)
    hub.files["config.json"] = b'{"auto_map": {"AutoModel": "x.Y"}}'
    with pytest.raises(UnsafeWeights):
        models.materialise(HUB, tmp_path / "out")
    with pytest.raises(UnsafeWeights):
        models.inspect(HUB)


@pytest.mark.parametrize("how", ["refused", "failing"])
def test_a_hub_that_does_not_answer_is_unavailable(hub: Hub, tmp_path: Path, how: str) -> None:
    hub.failing = True
    url = hub.url if how == "failing" else "http://127.0.0.1:1"
    models = HubModels(tmp_path / "hub", offline=False, endpoint=url)
    for act in (models.inspect, lambda ref: models.materialise(ref, tmp_path / "out")):
        with pytest.raises(Unavailable, match="team/model"):
            act(HUB)
