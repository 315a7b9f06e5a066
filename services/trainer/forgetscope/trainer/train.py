"""The stage `train`: one task of a chain, on top of the stage before."""

import json
from collections.abc import Callable
from pathlib import Path

import torch

from forgetscope.app.examples_file import EXAMPLES, read_examples
from forgetscope.modeling.batches import encode_examples
from forgetscope.modeling.determinism import deterministic
from forgetscope.modeling.loading import TokenizerEncoder, load_tokenizer
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidInput, UnknownName
from forgetscope.schema.example import Example
from forgetscope.trainer.distributed import ALONE, Place, processes
from forgetscope.trainer.methods import METHODS, Source
from forgetscope.trainer.params import TrainParams
from forgetscope.trainer.recipe import train

__all__ = ["run_train"]


def run_train(
    work: Work, io: StageIO, *, clock: Callable[[], float], place: Place = ALONE
) -> JsonObject:
    """Inputs: base, data, and parent from the second stage on. Output: see `trainer.methods`, and
    `losses.jsonl`. Raises as `recipe.train` and the methods do."""
    params = TrainParams.model_validate(work.params)
    method = METHODS.get(params.method)
    if method is None:
        raise UnknownName(f"there is no tuning method {params.method!r}", where="method")
    parent = io.input("parent") if "parent" in work.inputs else None
    source = Source(io.input("base"), parent, params.attention)
    with deterministic(io.machine.device, threads=io.machine.threads, seed=work.seed):
        tokenizer = load_tokenizer(source.base)
        items = encode_examples(
            _examples(io.input("data")),
            TokenizerEncoder(tokenizer),
            eos=tokenizer.eos_token_id,
            max_length=params.max_length,
        )
        tuning = method(source, params.method_params)
        trainable = sum(p.numel() for p in tuning.model.parameters() if p.requires_grad)
        layers = getattr(tuning.model, "_no_split_modules", None) or ()
        group = processes(place, io.machine.device, layers)
        steps = train(tuning.model, items, params, io, seed=work.seed, clock=clock, processes=group)
        gathered = group.gather(tuning.model)
        group.close()
        if group.rank == 0:
            if gathered:  # a sharded model cannot be saved: begin again, and fill in
                tuning = method(source, params.method_params)
                with torch.no_grad():
                    for name, value in gathered.items():
                        tuning.model.get_parameter(name).copy_(value)
            tuning.save(io.output)
            lines = [json.dumps(step._asdict()) + "\n" for step in steps]
            (io.output / "losses.jsonl").write_text("".join(lines), encoding="utf-8")
    return {
        "form": tuning.form,
        "steps": len(steps),
        "epochs": params.epochs,
        "supervised_tokens": sum(step.tokens for step in steps),
        "first_loss": steps[0].loss,
        "last_loss": steps[-1].loss,
        "trainable_parameters": trainable,
    }


def _examples(folder: Path) -> list[Example]:
    examples = read_examples(folder)
    if not examples:
        raise InvalidInput("there is no example to train on", where=EXAMPLES)
    return examples
