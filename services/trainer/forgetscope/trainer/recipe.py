"""The training recipe: from a trainable model and tokenized examples to a trained model.

AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) with a linear decay, started afresh in every
stage. The loss of a step is the cross-entropy summed over all answer tokens of the step, divided
by their number: the same number however the step is cut into micro-batches. Averaging the means
of micro-batches instead would weigh tokens of short answers more.

Weights are float32. With dtype bfloat16 the arithmetic runs under autocast, and weights, gradients
and optimiser state stay float32.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from forgetscope.core.training import step_count
from forgetscope.modeling.answers import AnswerLoss, check_head, check_packing
from forgetscope.modeling.batches import Batch, Item, collate
from forgetscope.modeling.determinism import seed_torch
from forgetscope.ports.stage import StageIO
from forgetscope.schema.errors import TrainingDiverged
from forgetscope.trainer.batches import examples_of_step, micro_batches
from forgetscope.trainer.distributed import Processes, clip_gradients
from forgetscope.trainer.mitigations import Mitigation
from forgetscope.trainer.params import TrainParams
from forgetscope.trainer.resume import Step, restore_point, save_point
from forgetscope.trainer.schedule import linear_decay, warmup_steps
from forgetscope.trainer.watching import Watch

__all__ = ["train"]

# Of torch's generator: initialising an adapter has drawn from stream (seed,) before.
DROPOUT_STREAM = 1


def train(
    model: PreTrainedModel | PeftModel,
    items: Sequence[Item],
    params: TrainParams,
    io: StageIO,
    *,
    seed: int,
    clock: Callable[[], float],
    processes: Processes,
    begin: Callable[[Mapping[str, Tensor]], Mitigation],
    begin_watch: Callable[[Mapping[str, Tensor]], Watch | None],
    settle: Callable[[], None] | None = None,
) -> list[Step]:
    """Train `model` in place and return its steps, those before an interruption included.

    `clock` gives seconds; it decides when a point to resume from is written, and no result.
    `begin` and `begin_watch` get the trained parameters by name, before any of them has moved.
    The gradient of a step, a mitigation's penalty included, is clipped as a whole. `settle` is that
    of `methods.Tuning`.
    Raises InvalidInput for a model that the recipe cannot train, TrainingDiverged.
    """
    device = io.machine.device
    model.to(device)
    check_head(model)
    if params.batching == "packed":
        check_packing(model)
    if params.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()

    loss_of = AnswerLoss(model)
    processes.shard(loss_of)
    optimiser = _adamw(loss_of, params)
    trained = {name: p for name, p in loss_of.named_parameters() if p.requires_grad}
    resumable = processes.size == 1
    mitigation, watch = begin(trained), begin_watch(trained)
    seed_torch(seed, DROPOUT_STREAM)

    steps: list[Step] = []
    point = io.resume() if resumable else None
    if point is not None:
        steps = restore_point(point, trained, optimiser)
        if watch is not None:
            watch.restore(point)

    total = params.steps or step_count(len(items), params.batch_size, params.epochs)
    warmup = warmup_steps(total, params.warmup_ratio)
    saved_at = clock()
    for step in range(len(steps), total):
        began_at = clock()
        chosen = [items[i] for i in examples_of_step(len(items), params.batch_size, step, seed)]
        lengths = [len(item.ids) for item in chosen]
        answer_tokens = sum(item.answer_tokens for item in chosen)
        parts = micro_batches(lengths, params.micro_batch_size, params.batching, params.max_length)

        batches = [
            (collate([[chosen[i] for i in row] for row in rows], device), weight)
            for rows, weight in processes.share(parts)
        ]
        loss = mitigation(
            partial(_backward, loss_of, batches, answer_tokens, processes, params.dtype)
        )
        norm = clip_gradients(trained.values(), params.max_grad_norm)
        _require_finite(step, loss, norm)

        rate = params.learning_rate * linear_decay(step, total, warmup)
        _update(optimiser, rate, settle)

        steps.append(Step(step + 1, loss, rate, answer_tokens))
        now = clock()
        if processes.rank == 0:
            speed = {"tokens_per_second": sum(lengths) / (now - began_at)} if now > began_at else {}
            io.progress(
                step + 1, total, "step", loss=loss, learning_rate=rate, **speed, **_seen(watch)
            )
        if _watched(watch, step + 1):
            break
        if resumable and step + 1 < total and now - saved_at >= io.machine.resume_seconds:
            save_point(io.scratch / "resume", trained, optimiser, steps)
            if watch is not None:
                watch.save(io.scratch / "resume")
            io.save_resume(io.scratch / "resume")
            saved_at = clock()
    return steps


def _backward(
    loss_of: AnswerLoss,
    batches: Sequence[tuple[Batch, float]],
    answer_tokens: int,
    processes: Processes,
    dtype: str,
) -> float:
    """Sum the gradient of a step into the parameters; returns the loss per answer token."""
    device = batches[0][0].input_ids.device
    loss_sum = torch.zeros((), device=device, dtype=torch.float64)
    for batch, weight in batches:
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
            summed: Tensor = loss_of(*batch) * weight
        # Several processes average their gradients; the factor makes that a sum.
        torch.autograd.backward(summed * (processes.size / answer_tokens))
        loss_sum += summed.detach()
    return processes.total(loss_sum) / answer_tokens


def _update(
    optimiser: torch.optim.Optimizer, rate: float, settle: Callable[[], None] | None
) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    if settle is not None:
        settle()


def _seen(watch: Watch | None) -> Mapping[str, float]:
    return {} if watch is None else watch.metrics


def _watched(watch: Watch | None, step: int) -> bool:
    """Whether a look after `step` steps ends the training."""
    return watch is not None and step % watch.every == 0 and watch.look(step) != "go on"


def _adamw(model: nn.Module, params: TrainParams) -> torch.optim.AdamW:
    """Weight decay is for matrices; biases and norms are left alone, as in transformers."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": params.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=params.learning_rate,
        betas=(0.9, 0.999),
        eps=1e-8,
    )


def _require_finite(step: int, loss: float, norm: float) -> None:
    for what, value in (("loss", loss), ("gradient norm", norm)):
        if not math.isfinite(value):
            raise TrainingDiverged(
                f"the {what} is {value}",
                where=f"step {step + 1}",
                hint="Lower the learning rate, or train in float32.",
            )
