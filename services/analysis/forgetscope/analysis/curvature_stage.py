"""The stage `curvature`: the spectrum of the Hessian at a checkpoint, on its task's own examples.

Before a number is believed, the product that it rests on is checked. The run is a row of parts
(check, each end of the spectrum, trace, density; for every set of examples); a killed run goes on
within the part where it was, and ends with the same bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import torch

from forgetscope.analysis.curvature_model import (
    Data,
    Decision,
    Subset,
    Target,
    batches_of,
    checked,
    decide,
    generator,
    load,
    make_operator,
    require_finite,
)
from forgetscope.analysis.curvature_resume import Point
from forgetscope.core.curvature_plan import (
    CHECK_PRODUCTS,
    DENSITY_PRODUCTS,
    expected_products,
    kept_vectors,
)
from forgetscope.modeling.batches import Batch
from forgetscope.modeling.curvature.density import Quadrature, estimate_density
from forgetscope.modeling.curvature.krylov import Krylov
from forgetscope.modeling.curvature.objective import prepared
from forgetscope.modeling.curvature.operators import Operator, norm
from forgetscope.modeling.curvature.products import loss_and_gradient
from forgetscope.modeling.curvature.solvers import End, find_eigenvalues
from forgetscope.modeling.curvature.trace import Sketch, estimate_trace
from forgetscope.modeling.determinism import deterministic
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject
from forgetscope.schema.curvature import (
    CurvatureFile,
    CurvatureSpec,
    DensityCurve,
    Iterated,
    SelfCheckFigures,
    SpectrumResult,
)

__all__ = ["CURVATURE", "run_curvature"]

CURVATURE = "curvature.json"
NOT_ASKED = "not asked for"


class CurvatureParams(CurvatureSpec):
    """`Work.params` of a curvature stage: the specification, with its parameters resolved."""

    parameters: Literal["trained"] = "trained"
    subset: Subset
    max_length: int


def run_curvature(work: Work, io: StageIO, *, clock: Callable[[], float]) -> JsonObject:
    """Inputs: base, checkpoint, and data, its task's training examples. Output: `curvature.json`.

    Raises what loading raises, and InvalidInput when a product cannot be believed.
    """
    params = CurvatureParams.model_validate(work.params)
    machine = io.machine
    with deterministic(machine.device, threads=machine.threads, seed=work.seed):
        point = Point(io, clock)
        target = load(
            io.input("base"),
            io.input("checkpoint"),
            params.subset,
            dtype=params.dtype,
            device=machine.device,
        )
        sets = [
            Data.read(
                io.input("base"),
                io.input("data"),
                first=i * params.examples,
                count=params.examples,
                max_length=params.max_length,
            )
            for i in range(params.subsets)
        ]
        kept = kept_vectors(params, target.subset.parameters)
        decision = decide(
            target, sets[0], params.product, batch_tokens=machine.batch_tokens, kept=kept
        )
        runs = [
            _Run(i, params, target, data, decision, point, io, work.seed)
            for i, data in enumerate(sets)
        ]
        attention = None if decision.product == "finite_differences" else "eager"
        with prepared(target.model, target.parameters, attention):
            spectra = tuple(run.spectrum() for run in runs)
    found = CurvatureFile(parameters=target.subset, memory=decision.memory, spectra=spectra)
    (io.output / CURVATURE).write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return {
        "memory": decision.memory,
        "parameters": target.subset.parameters,
        "radius": [s.radius.value for s in spectra],
        "converged": all(s.radius.verdict == "converged" for s in spectra),
    }


@dataclass(frozen=True)
class _Run:
    """One set of examples: its parts in order, with what they share."""

    number: int
    params: CurvatureParams
    target: Target
    data: Data
    decision: Decision
    point: Point
    io: StageIO
    seed: int

    @cached_property
    def batches(self) -> list[Batch]:
        return batches_of(self.data.items, self.io.machine.batch_tokens, self.io.machine.device)

    @cached_property
    def products(self) -> int:
        return expected_products(self.params, self.target.subset.parameters)

    @property
    def store(self) -> str | None:
        """Where there is a GPU, its memory is for the product: the space stays on the host."""
        return None if self.io.machine.device == "cpu" else "cpu"

    def spectrum(self) -> SpectrumResult:
        """Every number of this set."""
        params, draw = self.params, partial(generator, self.seed, self.number)
        product = self.decision.product
        begun = f"{self.number}/check" in self.point.parts
        if not begun:
            self._tell(0, None)
        check = self._part(
            "check",
            lambda: checked(self.target, self.batches, product, params.dtype, draw(0)),
        )
        if not begun:  # a resumed run first reports where it is: its speed is told from there
            self._tell(CHECK_PRODUCTS, None)
        operator, objective = make_operator(self.target, self.batches, product, draw(0))

        def first_order() -> JsonObject:
            loss, gradient = loss_and_gradient(objective)
            return {"loss": require_finite(loss), "gradient_norm": norm(gradient)}

        first = self._part("first order", first_order)
        ends: dict[End, int] = {"largest": params.top, "magnitude": 1}
        if params.lowest:
            ends["smallest"] = 1
        found = self._ends(operator, ends, draw(1))
        done = CHECK_PRODUCTS + self._eigen_products()
        trace = Iterated(reason=NOT_ASKED)
        if params.trace:
            trace = _trace(self._part("trace", lambda: self._trace(operator, draw(2), done)))
            done += params.trace_products
        density = None
        if params.density:
            density = _density(
                self._part("density", lambda: self._density(operator, draw(3), done))
            )
        lowest = Iterated(reason=NOT_ASKED)
        if params.lowest:
            lowest = _eigenvalues(found["smallest"])[0]
        return SpectrumResult(
            examples=len(self.data.examples),
            digest=self.data.digest,
            tokens=objective.tokens,
            **first,
            radius=_eigenvalues(found["magnitude"])[0],
            largest=_eigenvalues(found["largest"]),
            lowest=lowest,
            gap=found["magnitude"]["gap"],
            trace=trace,
            density=density,
            method=operator.method,
            dtype=operator.dtype,
            check=SelfCheckFigures.model_validate(check),
        )

    def _ends(
        self, operator: Operator, ends: dict[End, int], draw: torch.Generator
    ) -> dict[str, Any]:
        """Eigenvalues by end. One space serves them all, so their order matters."""
        found: dict[str, Any] = {}
        space: Krylov | None = None
        for end, count in ends.items():

            def compute(end: End = end, count: int = count) -> JsonObject:
                nonlocal space
                if space is None:
                    saved = self.point.take(f"{self.number}/space")
                    space = (
                        Krylov.restored(saved, operator.like, self.store)
                        if saved
                        else Krylov(operator.like, draw, self.store)
                    )
                return find_eigenvalues(
                    operator,
                    space,
                    end,
                    count=count,
                    tolerance=self.params.tolerance,
                    max_iterations=self.params.max_iterations,
                    progress=self._progress("space", space, CHECK_PRODUCTS, self._eigen_products()),
                )._asdict()

            found[end] = self._part(end, compute)
        return found

    def _trace(self, operator: Operator, draw: torch.Generator, done: int) -> JsonObject:
        saved = self.point.take(f"{self.number}/sketch")
        sketch = (
            Sketch.restored(saved, operator.like, self.store)
            if saved
            else Sketch(operator.like, draw, self.store)
        )
        products = self.params.trace_products
        told = self._progress("sketch", sketch, done, products)
        third = products // 3
        return estimate_trace(
            operator,
            sketch,
            rank=min(third, operator.parameters),
            probes=products - 2 * third,
            progress=told,
        )._asdict()

    def _density(self, operator: Operator, draw: torch.Generator, done: int) -> JsonObject:
        saved = self.point.take(f"{self.number}/quadrature")
        rule = (
            Quadrature.restored(saved, operator.like) if saved else Quadrature(operator.like, draw)
        )
        told = self._progress("quadrature", rule, done, DENSITY_PRODUCTS)
        return estimate_density(operator, rule, progress=told)._asdict()

    def _eigen_products(self) -> int:
        asked = self.params
        rest = asked.trace_products * asked.trace + DENSITY_PRODUCTS * asked.density
        return self.products - CHECK_PRODUCTS - rest

    def _part(self, name: str, compute: Callable[[], Any]) -> Any:
        return self.point.part(f"{self.number}/{name}", compute)

    def _progress(
        self, name: str, state: Any, before: int, expected: int
    ) -> Callable[[int, float | None], None]:
        def told(products: int, estimate: float | None) -> None:
            self._tell(before + min(products, expected), estimate)
            self.point.maybe_save(lambda: (f"{self.number}/{name}", state.tensors()))

        return told

    def _tell(self, done: int, estimate: float | None) -> None:
        said = {} if estimate is None else {"eigenvalue": estimate}
        if self.decision.bytes is not None:
            said["memory_gib"] = self.decision.bytes / 2**30
        total = self.products * self.params.subsets
        self.io.progress(self.number * self.products + done, total, "products", **said)


def _eigenvalues(found: dict[str, Any]) -> tuple[Iterated, ...]:
    return tuple(
        Iterated(
            value=value,
            residual=residual,
            iterations=found["iterations"],
            tolerance=found["tolerance"],
            verdict=found["verdict"],
        )
        for value, residual in zip(found["values"], found["residuals"], strict=True)
    )


def _trace(found: dict[str, Any]) -> Iterated:
    return Iterated(**{name: found[name] for name in Iterated.model_fields if name in found})


def _density(found: dict[str, Any]) -> DensityCurve:
    trace = _trace({**found, "value": found["trace"]})
    names = DensityCurve.model_fields.keys() - {"trace"}
    return DensityCurve(trace=trace, **{name: found[name] for name in names})
