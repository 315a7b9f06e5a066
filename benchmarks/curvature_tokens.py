"""Whether a product depends on how the examples are cut into micro-batches."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from curvature_llamas import Tuned, micro_batches
from curvature_peer import Peer
from torch import Tensor

from forgetscope.modeling.curvature.krylov import Krylov
from forgetscope.modeling.curvature.objective import answer_objective, prepared
from forgetscope.modeling.curvature.operators import Operator, Vector, gaussian, norm
from forgetscope.modeling.curvature.products import exact_operator
from forgetscope.modeling.curvature.selection import select_parameters
from forgetscope.modeling.curvature.solvers import Eigenvalues, find_eigenvalues

__all__ = ["tokens_part"]

SIZES = (1, 4, 8)
LIMIT = 40
ROUNDING = 1e-4
"""In float32: a random vector's product is a small remainder of the sums that make it."""


class Weighting(NamedTuple):
    """Relative differences from the one-batch product, ours and PyHessian's, and of the eigenvalue
    of PyHessian's product (None where it did not converge), for micro-batches of each size; `all`
    is PyHessian's with one batch."""

    ours: list[float]
    theirs: list[float]
    all: float
    eigenvalues: list[float | None]


def tokens_part(models: Sequence[Tuned]) -> Iterator[str]:
    yield (
        "Token weighting: the same examples in micro-batches, the same random vector. Difference "
        "of H·v from the product over all 16 examples in one batch, relative; and of the "
        "eigenvalue of largest magnitude of PyHessian's product, found with our Lanczos (residual "
        f"0.1 %, at most {LIMIT} steps), from ours in one batch. PyHessian weighs the mean of each "
        "batch by its rows, whatever the number of answer tokens."
    )
    yield ""
    yield (
        "| fine-tuned on | answer tokens | ours, most of 1, 4, 8 | PyHessian: H·v by 1 | by 4 "
        "| by 8 | all | λ by 1 | by 4 | by 8 |"
    )
    yield "|" + "---|" * 10
    ours: list[float] = []
    products: list[float] = []
    values: list[float] = []
    for tuned in models:
        lengths = [item.answer_tokens for item in tuned.items]
        found = _weighting(tuned)
        ours += found.ours
        if min(lengths) < max(lengths):
            products += found.theirs
            values += [abs(v) for v in found.eigenvalues if v is not None]
        span = f"{min(lengths)} to {max(lengths)}" if min(lengths) < max(lengths) else "1"
        cells = [_percent(x) for x in found.theirs]
        cells += [f"{found.all:.0e}"]
        cells += ["not converged" if x is None else _percent(x, "+") for x in found.eigenvalues]
        yield f"| {tuned.name} | {span} | {max(found.ours):.0e} | {' | '.join(cells)} |"
    yield ""
    yield (
        f"Ours is exact to rounding in float32 (at most {ROUNDING:g}): "
        f"{'met' if max(ours) <= ROUNDING else '**missed**'}. PyHessian, where answers differ in "
        f"length: H·v {_spread(products)} off, λ {_spread(values)} (median, least to most)."
    )


def _weighting(tuned: Tuned) -> Weighting:
    model, items = tuned.model, tuned.items
    parameters = select_parameters(model)
    with prepared(model, parameters):
        operators = {
            size: exact_operator(answer_objective(model, micro_batches(items, size), parameters))
            for size in (*SIZES, len(items))
        }
        whole = operators[len(items)]
        peers = {
            size: whole._replace(product=_product(Peer(model, items, size)), method="PyHessian")
            for size in (*SIZES, len(items))
        }
        vector = gaussian(whole.like, torch.Generator().manual_seed(0))
        exact = whole.product(vector)
        true = _largest(whole)
        if true.verdict != "converged":
            raise SystemExit(f"{tuned.name}: our eigenvalue did not converge")
        eigenvalues: list[float | None] = []
        for size in SIZES:
            found = _largest(peers[size])
            good = found.verdict == "converged"
            eigenvalues.append(found.values[0] / true.values[0] - 1 if good else None)
        return Weighting(
            [_apart(operators[size].product(vector), exact) for size in SIZES],
            [_apart(peers[size].product(vector), exact) for size in SIZES],
            _apart(peers[len(items)].product(vector), exact),
            eigenvalues,
        )


def _product(peer: Peer) -> Callable[[Sequence[Tensor]], Vector]:
    def product(vector: Sequence[Tensor]) -> Vector:
        return peer.bare_product(list(vector))[1]

    return product


def _largest(operator: Operator) -> Eigenvalues:
    space = Krylov(operator.like, torch.Generator().manual_seed(0))
    return find_eigenvalues(
        operator, space, "magnitude", tolerance=1e-3, max_gap=1.0, max_iterations=LIMIT
    )


def _apart(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    return norm([x.double() - y.double() for x, y in zip(a, b, strict=True)]) / norm(b)


def _spread(shares: Sequence[float]) -> str:
    middle = statistics.median(shares)
    return f"{_percent(middle)} ({_percent(min(shares))} to {_percent(max(shares))})"


def _percent(share: float, sign: str = "") -> str:
    return f"{round(100 * share, 1) + 0.0:{sign}.1f} %".replace("-", "−")
