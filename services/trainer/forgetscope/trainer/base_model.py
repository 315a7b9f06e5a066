"""The stage `prepare_model`: the base model of an experiment as one verified folder."""

import shutil
from pathlib import Path

import torch
from pydantic import TypeAdapter
from transformers import AutoConfig, AutoModelForCausalLM

from forgetscope.app.endpoint_file import write_endpoint
from forgetscope.app.endpoints import require_same
from forgetscope.modeling.loading import apply_adapter, load_model, load_tokenizer, merge_adapter
from forgetscope.modeling.saving import save_model
from forgetscope.ports.models import Models
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.audit import AuditedRef
from forgetscope.schema.base import JsonObject
from forgetscope.schema.endpoint import EndpointInfo, EndpointModel
from forgetscope.schema.errors import DataChanged
from forgetscope.schema.experiment import BuiltinModel
from forgetscope.trainer import builtin

__all__ = ["run_prepare_model"]


def run_prepare_model(work: Work, io: StageIO, models: Models) -> JsonObject:
    """Put the model into the output folder, an adapter merged into its weights; of a model behind
    an endpoint, what is known of it.

    Raises DataChanged when the model is no longer the one that was planned, UnsafeWeights,
    AdapterMismatch, UnknownName, InvalidInput, Unavailable.
    """
    ref: AuditedRef = TypeAdapter(AuditedRef).validate_python(work.params["model"])
    if isinstance(ref, EndpointModel):
        planned = EndpointInfo.model_validate(work.params["endpoint"])
        now = models.inspect(ref).endpoint
        assert now is not None
        require_same(planned, now)
        write_endpoint(io.output, planned)
        return {"served": planned.served.model_dump(mode="json")}
    if isinstance(ref, BuiltinModel):
        builtin.make(ref.name, io.output)
    else:
        found = models.inspect(ref).fingerprint
        if found != work.params["fingerprint"]:
            raise DataChanged(
                "the model's files changed after the experiment was planned",
                where="/model",
                hint="Submit the experiment again.",
            )
        fetched = io.scratch / "model"
        fetched.mkdir()
        models.materialise(ref, fetched)
        _place(fetched, io.output)
    # What cannot be loaded must fail here; in bfloat16, because a large model is large enough.
    load_model(io.output, "bfloat16", "sdpa")
    load_tokenizer(io.output)
    return _facts(io.output)


def _place(fetched: Path, output: Path) -> None:
    adapter = fetched / "adapter"
    if adapter.is_dir():
        base = load_model(fetched, "float32", "sdpa")
        save_model(merge_adapter(apply_adapter(base, adapter)), output, like=fetched)
    else:
        shutil.copytree(fetched, output, dirs_exist_ok=True)


def _facts(folder: Path) -> JsonObject:
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": config.vocab_size,
        "architecture": type(model).__name__,
    }
