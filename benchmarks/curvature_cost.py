"""What a product costs, in gradients of the same loss: ours and PyHessian's."""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from curvature_llamas import adapted, cost_items, cost_model, micro_batches
from curvature_peer import Peer
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from forgetscope.modeling.curvature.objective import answer_objective, prepared
from forgetscope.modeling.curvature.operators import gaussian, size
from forgetscope.modeling.curvature.products import exact_product, loss_and_gradient
from forgetscope.modeling.curvature.selection import select_parameters

__all__ = ["cost_part"]

BOUNDS = {"full": 3.2, "LoRA": 2.4}
"""The most that a product may cost, in gradients."""


class Cost(NamedTuple):
    """Over the gradient: FLOPs and each round's time, of our product and of PyHessian's."""

    parameters: int
    flops: tuple[float, float]
    ours: list[float]
    theirs: list[float]


def cost_part(rounds: int) -> Iterator[str]:
    yield (
        f"Cost of one product over one gradient of the same loss, same kernels, one batch of 4×128 "
        f"tokens; {rounds} rounds in turns, processor time (user and system) on one thread. Met "
        "when the median is. PyHessian's model computes logits at all positions, ours at answers' "
        "only."
    )
    yield ""
    yield "| weights | | FLOPs (counted) | time: least | median | most | target |"
    yield "|---|---|---|---|---|---|---|"
    for name, make in (("full", cost_model), ("LoRA", adapted)):
        found = _cost(make(), rounds)
        pairs = zip(("ours", "PyHessian"), found.flops, (found.ours, found.theirs), strict=True)
        for who, work, ratios in pairs:
            median = statistics.median(ratios)
            bound = BOUNDS[name]
            met = "met" if median <= bound else "**missed**"
            target = f"≤ {bound}: {met}" if who == "ours" else ""
            spread = " | ".join(f"{x:.2f}" for x in (min(ratios), median, max(ratios)))
            yield f"| {name}, {found.parameters:,} | {who} | {work:.2f} | {spread} | {target} |"
    yield ""


def _cost(model: PreTrainedModel, rounds: int) -> Cost:
    items = cost_items()
    parameters = select_parameters(model)
    with prepared(model, parameters):
        objective = answer_objective(model, micro_batches(items, len(items)), parameters)
        vector = gaussian(list(parameters.values()), torch.Generator().manual_seed(0))
        peer = Peer(model, items, len(items))
        runs: list[Callable[[], object]] = [
            lambda: loss_and_gradient(objective),
            lambda: exact_product(objective, vector),
            lambda: peer.bare_product(vector),
        ]
        work = []
        for run in runs:
            with FlopCounterMode(display=False) as counter:
                run()
            work.append(counter.get_total_flops())
        ours, theirs = [], []
        for _ in range(rounds):
            seconds = []
            for run in runs:
                began = time.process_time()
                run()
                seconds.append(time.process_time() - began)
            ours.append(seconds[1] / seconds[0])
            theirs.append(seconds[2] / seconds[0])
    return Cost(size(vector), (work[1] / work[0], work[2] / work[0]), ours, theirs)
