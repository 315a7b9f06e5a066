"""Curvature against PyHessian: cost of a product, products to 1 %.

    make bench

Prints a Markdown section with ratios and counts. PyHessian runs as it is; a subclass writes down
the products that it makes. Time is processor time on one thread, in turns within one run: other
work on the machine moves it little.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from curvature_models import (
    Logits,
    adapted,
    cost_items,
    cost_model,
    loader,
    mean_loss,
    micro_batches,
    tuned_models,
)
from pyhessian import hessian
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from forgetscope.modeling.batches import Item
from forgetscope.modeling.curvature.krylov import Krylov
from forgetscope.modeling.curvature.objective import answer_objective, prepared
from forgetscope.modeling.curvature.operators import dot, gaussian, norm
from forgetscope.modeling.curvature.products import (
    exact_operator,
    exact_product,
    loss_and_gradient,
)
from forgetscope.modeling.curvature.selection import select_parameters
from forgetscope.modeling.curvature.solvers import find_eigenvalues

SHARE = 1e-2
LIMIT = 1000
BOUNDS = {"full": 3.2, "LoRA": 2.4}
"""The most that a product may cost, in gradients."""


class Reached(Exception):
    """PyHessian's iteration has what was waited for."""


class Watched(hessian):  # type: ignore[misc]
    """PyHessian that writes down λ = vᵀHv and ‖Hv − λv‖ of each product it makes."""

    def __init__(self, model: PreTrainedModel, items: Sequence[Item], size: int) -> None:
        self.values: list[float] = []
        self.residuals: list[float] = []
        self.until: Callable[[], bool] = lambda: False
        super().__init__(Logits(model), mean_loss, dataloader=loader(items, size), cuda=False)

    def dataloader_hv_product(self, v: list[Tensor]) -> tuple[float, list[Tensor]]:
        value, image = super().dataloader_hv_product(v)
        self.values.append(dot(image, v) / dot(v, v))
        rest = [h.double() - self.values[-1] * x.double() for h, x in zip(image, v, strict=True)]
        self.residuals.append(norm(rest) / norm(v))
        if self.until():
            raise Reached
        return value, image


class Cost(NamedTuple):
    """Over the gradient: FLOPs and each round's time, of our product and of PyHessian's."""

    flops: tuple[float, float]
    ours: list[float]
    theirs: list[float]


class Count(NamedTuple):
    """Products from one start. `value`: until within 1 % of the truth; `residual`: until the
    residual is at most 1 %; `whole`: ours, with the random-start bound too; `rule`: PyHessian's
    own end, and `off` its relative error there."""

    value: tuple[int, int]
    residual: tuple[int, int]
    whole: int
    rule: int
    off: float
    wrong: tuple[float, float]


def cost(model: PreTrainedModel, rounds: int) -> Cost:
    items = cost_items()
    parameters = select_parameters(model)
    with prepared(model, parameters):
        objective = answer_objective(model, micro_batches(items, len(items)), parameters)
        vector = gaussian(list(parameters.values()), torch.Generator().manual_seed(0))
        peer = Watched(model, items, len(items))
        runs: list[Callable[[], object]] = [
            lambda: loss_and_gradient(objective),
            lambda: exact_product(objective, vector),
            lambda: hessian.dataloader_hv_product(peer, vector),
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
    return Cost((work[1] / work[0], work[2] / work[0]), ours, theirs)


def counts(
    model: PreTrainedModel, items: Sequence[Item], starts: int
) -> tuple[float, float, list[Count]]:
    """The eigenvalue of largest magnitude, the next one over it, and the counts of each start."""
    parameters = select_parameters(model)
    with prepared(model, parameters):
        operator = exact_operator(
            answer_objective(model, micro_batches(items, len(items)), parameters)
        )

        def space(seed: int) -> Krylov:
            return Krylov(operator.like, torch.Generator().manual_seed(seed))

        far = space(1000)
        truth = find_eigenvalues(operator, far, "magnitude", tolerance=1e-4, max_gap=0.02)
        if truth.verdict != "converged":
            raise SystemExit("the reference eigenvalue did not converge")
        true = truth.values[0]
        others = sorted(np.abs(far.ritz()[0]))
        found = []
        for seed in range(starts):
            grown = space(seed)
            bare = find_eigenvalues(operator, grown, "magnitude", tolerance=SHARE, max_gap=1.0)
            whole = find_eigenvalues(operator, grown, "magnitude", tolerance=SHARE)
            if {bare.verdict, whole.verdict} != {"converged"}:
                raise SystemExit("our iteration did not converge")
            watched = Watched(model, items, len(items))
            torch.manual_seed(seed)
            watched.eigenvalues(maxIter=LIMIT, tol=1e-3)
            rule, off = len(watched.values), abs(watched.values[-1] / true - 1)
            watched = Watched(model, items, len(items))
            watched.until = lambda w=watched: (  # type: ignore[misc]
                _first(_near(w.values, true)) is not None
                and _first(_small(w.values, w.residuals)) is not None
            )
            torch.manual_seed(seed)
            try:
                watched.eigenvalues(maxIter=LIMIT, tol=0.0)
            except Reached:
                pass
            else:
                raise SystemExit(f"PyHessian did not get there in {LIMIT} products")
            certified = _first(_small(watched.values, watched.residuals)) or 0
            found.append(
                Count(
                    value=(
                        _first(_near(_ritz(grown), true)) or 0,
                        _first(_near(watched.values, true)) or 0,
                    ),
                    residual=(bare.products, certified),
                    whole=whole.products,
                    rule=rule,
                    off=off,
                    wrong=(
                        abs(bare.values[0] / true - 1),
                        abs(watched.values[certified - 1] / true - 1),
                    ),
                )
            )
    return true, float(others[-2] / others[-1]), found


def _ritz(space: Krylov) -> list[float]:
    """The Ritz value of largest magnitude after each product."""
    out = []
    for k in range(1, space.iterations + 1):
        side = np.array(space.beside[: k - 1])
        matrix = np.diag(np.array(space.diagonal[:k])) + np.diag(side, 1) + np.diag(side, -1)
        values = np.linalg.eigvalsh(matrix)
        out.append(float(values[np.argmax(np.abs(values))]))
    return out


def _near(values: Sequence[float], true: float) -> list[bool]:
    return [abs(v - true) <= SHARE * abs(true) for v in values]


def _small(values: Sequence[float], residuals: Sequence[float]) -> list[bool]:
    return [r <= SHARE * abs(v) for v, r in zip(values, residuals, strict=True)]


def _first(hits: Sequence[bool]) -> int | None:
    return hits.index(True) + 1 if True in hits else None


def cost_part(rounds: int) -> Iterator[str]:
    yield f"Cost of one product over one gradient of the same loss; {rounds} rounds in turns."
    yield ""
    yield "| weights | | FLOPs (counted) | time: least | median | most | target |"
    yield "|---|---|---|---|---|---|---|"
    for name, make in (("full", cost_model), ("LoRA", adapted)):
        found = cost(make(), rounds)
        pairs = zip(("ours", "PyHessian"), found.flops, (found.ours, found.theirs), strict=True)
        for who, work, ratios in pairs:
            median = statistics.median(ratios)
            bound = BOUNDS[name]
            target = f"≤ {bound}: {_word(median <= bound)}" if who == "ours" else ""
            spread = " | ".join(f"{x:.2f}" for x in (min(ratios), median, max(ratios)))
            yield f"| {name} | {who} | {work:.2f} | {spread} | {target} |"
    yield ""


def count_part(models: dict[str, tuple[PreTrainedModel, list[Item]]], starts: int) -> Iterator[str]:
    yield (
        f"Products to 1 % of the eigenvalue λ of largest magnitude, all weights; median (least to "
        f"most) of {starts} random starts. *Value*: until λ is within 1 % of the truth, which a "
        "user does not know. *Residual*: until ‖Hv − λv‖ ≤ 1 % of λ, which certifies an eigenvalue "
        "there; ours includes the product that measures it, PyHessian does not look at it. "
        "*Bound*: the residual, and a chance of at most one in a thousand that a larger eigenvalue "
        "was missed by more than 10 % of the spectrum's width (our default). *Own rule*: where "
        "PyHessian stops by itself (tol 1e-3), and its largest error there."
    )
    yield ""
    yield (
        "| fine-tuned on | λ | next over λ | value: ours | PyHessian | residual: ours | PyHessian "
        "| bound: ours | own rule: PyHessian | its error |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    everything: list[Count] = []
    for name, (model, items) in models.items():
        true, following, found = counts(model, items, starts)
        everything += found
        cells = (
            _span([c.value[0] for c in found]),
            _span([c.value[1] for c in found]),
            _span([c.residual[0] for c in found]),
            _span([c.residual[1] for c in found]),
            _span([c.whole for c in found]),
            _span([c.rule for c in found]),
            f"{100 * max(c.off for c in found):.1f} %",
        )
        yield f"| {name} | {true:.3g} | {following:.2f} | {' | '.join(cells)} |"
    yield ""
    yield "| ours over PyHessian, over all starts | least | median | most | at most half |"
    yield "|---|---|---|---|---|"
    for label, ratios in {
        "value": [c.value[0] / c.value[1] for c in everything],
        "residual": [c.residual[0] / c.residual[1] for c in everything],
        "bound, over PyHessian's residual": [c.whole / c.residual[1] for c in everything],
        "bound, over PyHessian's own rule": [c.whole / c.rule for c in everything],
    }.items():
        middle = statistics.median(ratios)
        yield (
            f"| {label} | {min(ratios):.2f} | {middle:.2f} | {max(ratios):.2f} "
            f"| {_word(middle <= 0.5)} by the median, in {sum(r <= 0.5 for r in ratios)} of "
            f"{len(ratios)} starts |"
        )
    yield ""
    rested = [sum(c.wrong[i] > SHARE for c in everything) for i in (0, 1)]
    early = sum(c.off > SHARE for c in everything)
    yield (
        f"A residual of 1 % lay at another eigenvalue in {rested[0]} of {len(everything)} starts "
        f"for us and in {rested[1]} for PyHessian; its own rule stopped outside 1 % in {early}."
    )
    yield ""


def _span(numbers: Sequence[int]) -> str:
    return f"{statistics.median(numbers):g} ({min(numbers)} to {max(numbers)})"


def _word(met: bool) -> str:
    return "met" if met else "**missed**"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--starts", type=int, default=3)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="Using backward.. with create_graph=True")
    torch.set_num_threads(1)
    print("## Curvature against PyHessian\n")
    for line in cost_part(arguments.rounds):
        print(line, flush=True)
    models = tuned_models()
    for line in count_part(models, arguments.starts):
        print(line, flush=True)


if __name__ == "__main__":
    main()
