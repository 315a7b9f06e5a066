"""The stage `train`: one task of a chain, on top of the stage before."""

import json
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from forgetscope.app.examples_file import EXAMPLES
from forgetscope.modeling.batches import encode_examples
from forgetscope.modeling.determinism import deterministic
from forgetscope.modeling.loading import TokenizerEncoder, load_tokenizer
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.errors import InvalidInput, UnknownName
from forgetscope.schema.example import Example
from forgetscope.trainer.distributed import ALONE, Place, processes
from forgetscope.trainer.examples import first_examples
from forgetscope.trainer.methods import METHODS, Source
from forgetscope.trainer.mitigations import MITIGATIONS, Anchor, Mitigation, Scene, begin_plain
from forgetscope.trainer.monitor import begin_monitor
from forgetscope.trainer.params import TrainParams
from forgetscope.trainer.recipe import train
from forgetscope.trainer.watching import Watch

__all__ = ["run_train"]


def run_train(
    work: Work, io: StageIO, *, clock: Callable[[], float], place: Place = ALONE
) -> JsonObject:
    """Inputs: base, data, and parent from the second stage on; replay, whose first examples are
    added to the data; watched and reference for a monitor; anchor-N and fisher-N. Output: see
    `trainer.methods`, `losses.jsonl`, and what the monitor saw. Raises as `recipe.train`, the
    methods and the mitigations do."""
    params = TrainParams.model_validate(work.params)
    method = METHODS.get(params.method)
    if method is None:
        raise UnknownName(f"there is no tuning method {params.method!r}", where="method")
    parent = io.input("parent") if "parent" in work.inputs else None
    source = Source(io.input("base"), parent, params.attention)
    with deterministic(io.machine.device, threads=io.machine.threads, seed=work.seed):
        tokenizer = load_tokenizer(source.base)
        encode = TokenizerEncoder(tokenizer)
        items = encode_examples(
            _examples(work, params, io),
            encode,
            eos=tokenizer.eos_token_id,
            max_length=params.max_length,
        )
        tuning = method(source, params.method_params)
        if tuning.settle is not None and place.size > 1:
            raise InvalidInput(
                f"{params.method} works in one process only",
                where="/training/method",
                hint="Unset FORGETSCOPE_TRAIN_PROCESSES on this worker.",
            )
        trainable = sum(p.numel() for p in tuning.model.parameters() if p.requires_grad)
        layers = getattr(tuning.model, "_no_split_modules", None) or ()
        group = processes(place, io.machine.device, layers)
        watches: list[Watch] = []

        def begin_watch(trained: Mapping[str, Tensor]) -> Watch | None:
            if params.monitor is not None:
                watch = begin_monitor(
                    params,
                    work,
                    io,
                    source=source,
                    encode=encode,
                    model=tuning.model,
                    trained=trained,
                )
                watches.append(watch)
            return watches[0] if watches else None

        steps = train(
            tuning.model,
            items,
            params,
            io,
            seed=work.seed,
            clock=clock,
            processes=group,
            begin=lambda trained: _mitigation(params, work, io, trained),
            begin_watch=begin_watch,
            settle=tuning.settle,
        )
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
        watched = watches[0].finish(io.output) if watches else {}
    return {
        "form": tuning.form,
        "steps": len(steps),
        "epochs": params.epochs,
        "supervised_tokens": sum(step.tokens for step in steps),
        "first_loss": steps[0].loss,
        "last_loss": steps[-1].loss,
        "trainable_parameters": trainable,
        **watched,
    }


def _examples(work: Work, params: TrainParams, io: StageIO) -> list[Example]:
    examples = first_examples(io.input("data"), params.take)
    if "replay" in work.inputs:
        examples += first_examples(io.input("replay"), params.replay_take)
    if not examples:
        raise InvalidInput("there is no example to train on", where=EXAMPLES)
    return examples


def _mitigation(
    params: TrainParams, work: Work, io: StageIO, trained: Mapping[str, Tensor]
) -> Mitigation:
    """Raises InvalidInput in a sharded run, whose parameters are not in one piece."""
    if params.mitigation is None:
        return begin_plain(Scene(trained, ()), {})
    if io.machine.processes > 1:
        raise InvalidInput(
            f"{params.mitigation} works in one process only",
            where="/training/mitigation",
            hint="Unset FORGETSCOPE_TRAIN_PROCESSES on this worker.",
        )
    anchors = [
        Anchor(io.input(f"anchor-{i}"), io.input(f"fisher-{i}"))
        for i in range(sum(role.startswith("anchor-") for role in work.inputs))
    ]
    begin = MITIGATIONS.get(params.mitigation)
    if begin is None:
        raise UnknownName(f"there is no mitigation {params.mitigation!r}", where="mitigation")
    return begin(Scene(trained, anchors), params.mitigation_params)
