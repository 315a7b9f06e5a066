"""The stage `displacement`: what the way from θ_A to θ_AB does to the loss on A's own examples,
predicted at θ_A and measured, for all examples and for each group.

Always in float32: the difference of two checkpoints is smaller than what bfloat16 can hold.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor

from forgetscope.analysis.curvature_model import (
    Data,
    Subset,
    Target,
    batches_of,
    checked,
    decide,
    generator,
    load,
    make_operator,
    plain,
    require_finite,
)
from forgetscope.analysis.curvature_resume import Point
from forgetscope.modeling.curvature.displacement import (
    difference_of,
    measure_displacement,
    measure_path,
)
from forgetscope.modeling.curvature.objective import Objective, prepared
from forgetscope.modeling.curvature.operators import Operator, norm
from forgetscope.modeling.determinism import deterministic
from forgetscope.modeling.loading import is_adapter
from forgetscope.ports.stage import StageIO, Work
from forgetscope.schema.base import JsonObject, Value
from forgetscope.schema.curvature import (
    DisplacementFile,
    DisplacementResult,
    Iterated,
    SelfCheckFigures,
)
from forgetscope.schema.measured import Measured

__all__ = ["DISPLACEMENT", "run_displacement"]

DISPLACEMENT = "displacement.json"


class DisplacementParams(Value):
    """`Work.params` of a displacement stage."""

    examples: int
    product: Literal["auto", "exact", "layered", "finite_differences"]
    path_nodes: int
    subset: Subset
    max_length: int


class _Way(NamedTuple):
    """The displacement within the subset; `outside` is the share of ‖d‖ that lies elsewhere."""

    direction: list[Tensor]
    outside: float


def run_displacement(work: Work, io: StageIO, *, clock: Callable[[], float]) -> JsonObject:
    """Inputs: base, checkpoint θ_A, later θ_AB, data of A. Output: `displacement.json`.

    Raises what loading raises, and InvalidInput when a product cannot be believed.
    """
    params = DisplacementParams.model_validate(work.params)
    machine = io.machine
    base, before, after = io.input("base"), io.input("checkpoint"), io.input("later")
    with deterministic(machine.device, threads=machine.threads, seed=work.seed):
        point = Point(io, clock)
        subset = params.subset
        if subset.kind == "factors" and not (is_adapter(before) and is_adapter(after)):
            subset = Subset(kind="targets", names=subset.names)
        target = load(base, before, subset, dtype="float32", device=machine.device)
        way = _way(target, base, after, subset)
        data = Data.read(
            base, io.input("data"), first=0, count=params.examples, max_length=params.max_length
        )
        decision = decide(target, data, params.product, batch_tokens=machine.batch_tokens, kept=2)
        named = {None: data.items} | {group: data.of_group(group) for group in data.groups}
        parts = len(named) * (1 + params.path_nodes)
        told = {} if decision.bytes is None else {"memory_gib": decision.bytes / 2**30}
        io.progress(0, parts, "products", **told)
        attention = None if decision.product == "finite_differences" else "eager"
        with prepared(target.model, target.parameters, attention):
            rows = {
                name: batches_of(items, machine.batch_tokens, machine.device)
                for name, items in named.items()
            }
            check = point.part(
                "check",
                lambda: checked(
                    target, rows[None], decision.product, "float32", generator(work.seed, 0)
                ),
            )
            operator, _ = make_operator(
                target, rows[None], decision.product, generator(work.seed, 0)
            )
            found = {}
            for done, (name, batches) in enumerate(rows.items()):
                first = done * (1 + params.path_nodes)

                def compute(
                    batches: Any = batches, count: int = len(named[name]), first: int = first
                ) -> JsonObject:
                    ours, objective = make_operator(
                        target, batches, decision.product, generator(work.seed, 0)
                    )
                    return _measure(
                        ours,
                        objective,
                        way.direction,
                        examples=count,
                        path_nodes=params.path_nodes,
                        told=lambda nodes: io.progress(
                            first + 1 + nodes, parts, "products", **told
                        ),
                    ).model_dump(mode="json")

                found[name] = point.part(f"group {name}" if name else "whole", compute)
                io.progress(first + 1 + params.path_nodes, parts, "products", **told)
                point.maybe_save(lambda: ("", {}))
    whole = found.pop(None)
    result = DisplacementFile.model_validate(
        {
            "parameters": target.subset,
            "memory": decision.memory,
            "outside": way.outside,
            "digest": data.digest,
            "method": operator.method,
            "dtype": operator.dtype,
            "check": SelfCheckFigures.model_validate(check),
            "whole": whole,
            "groups": found,
        }
    )
    (io.output / DISPLACEMENT).write_text(result.model_dump_json(indent=1) + "\n", "utf-8")
    return {
        "memory": decision.memory,
        "parameters": target.subset.parameters,
        "change": result.whole.change,
        "prediction": result.whole.prediction.value,
        "groups": len(result.groups),
    }


def _way(target: Target, base: Path, after: Path, subset: Subset) -> _Way:
    """d = θ_AB − θ_A in the subset. The later checkpoint stays on the host."""
    if subset.kind == "factors":
        later = load(base, after, subset, dtype="float32", device="cpu").parameters
        return _Way(difference_of(later, target.parameters), 0.0)
    model = plain(base, after, "float32")
    there: Mapping[str, Tensor] = dict(model.named_parameters(remove_duplicate=False))
    direction = difference_of({name: there[name] for name in target.parameters}, target.parameters)
    chosen = {id(p) for p in target.parameters.values()}
    rest = {n: p for n, p in target.model.named_parameters() if id(p) not in chosen}
    beside = norm(difference_of({n: there[n] for n in rest}, rest)) if rest else 0.0
    whole = (norm(direction) ** 2 + beside**2) ** 0.5
    return _Way(direction, beside / whole if beside else 0.0)


def _measure(
    operator: Operator,
    objective: Objective,
    d: Sequence[Tensor],
    *,
    examples: int,
    path_nodes: int,
    told: Callable[[int], None],
) -> DisplacementResult:
    """One set of examples. The operator computes at whatever the weights are, also on the way."""

    def product(_: Objective, v: Sequence[Tensor]) -> list[Tensor]:
        return operator.product(v)

    found = measure_displacement({"set": objective}, d, product=product)["set"]
    require_finite(found.loss)
    require_finite(found.loss_after)
    told(0)
    path = Iterated(reason="not asked for")
    if path_nodes:
        way = measure_path(
            objective, d, nodes=path_nodes, product=product, progress=lambda done, _: told(done)
        )
        path = Iterated(
            value=require_finite(way.value),
            residual=way.residual,
            iterations=way.iterations,
            tolerance=way.tolerance,
            verdict=way.verdict,
        )
    curvature = Measured(reason="the two checkpoints do not differ in these parameters")
    if found.curvature is not None:
        curvature = Measured(value=found.curvature, interval_reason=_EXACT)
    return DisplacementResult(
        examples=examples,
        tokens=found.tokens,
        loss=found.loss,
        loss_after=found.loss_after,
        change=found.change,
        gradient_norm=found.gradient_norm,
        length=found.length,
        slope=found.slope,
        quadratic=0.5 * found.quadratic,
        curvature=curvature,
        prediction=Iterated(
            value=found.prediction,
            residual=found.residual,
            iterations=found.iterations,
            tolerance=found.tolerance,
            verdict=found.verdict,
        ),
        path=path,
    )


_EXACT = "one number of this set of examples"
