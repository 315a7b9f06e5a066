"""Which stages of curvature an experiment means, and how much work they are. Pure."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from forgetscope.core.steps import Steps, task_of
from forgetscope.core.training import resolve_training
from forgetscope.schema.base import JsonObject
from forgetscope.schema.curvature import CurvatureSpec
from forgetscope.schema.errors import InvalidSpec
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import StageLabel
from forgetscope.schema.steps import MergeStep

__all__ = [
    "CurvatureStage",
    "curvature_stages",
    "expected_products",
    "forgetting_places",
    "kept_vectors",
    "lanczos_steps",
]

Chain = tuple[str, ...]

# Forward passes that one Hessian-vector product costs: three times a gradient for all weights,
# twice for LoRA factors, whose gradient costs about two (FLOPs counted on a small Llama).
PASSES_PER_PRODUCT = {"all": 9.0, "factors": 4.2}
PASSES_PER_GRADIENT = {"all": 3.0, "factors": 2.0}
CHECK_PRODUCTS, CHECK_GRADIENTS = 3, 6
DENSITY_PRODUCTS = 60
# λ_min lies close to others, often near zero: 67 products were needed on a small Llama.
LOWEST_PRODUCTS = 70


class CurvatureStage(NamedTuple):
    """A stage to plan: the model after `position` stages of `chain`, on that stage's own data; a
    displacement goes from there to the end of the chain."""

    kind: Literal["curvature", "displacement"]
    chain: Chain
    position: int
    seed: int
    params: JsonObject
    label: StageLabel
    passes: float

    @property
    def task(self) -> str:
        return str(task_of(self.chain[self.position - 1]))


def forgetting_places(chains: Sequence[Chain]) -> Iterator[tuple[Chain, int]]:
    """(chain, position from 1) of every training that another stage follows."""
    for chain in chains:
        for position in range(1, len(chain)):
            if task_of(chain[position - 1]) is not None:
                yield chain, position


def curvature_stages(
    spec: ExperimentSpec, steps: Steps, chains: Sequence[Chain], parameters: int | None
) -> Iterator[CurvatureStage]:
    """Curvature once for each model that another stage follows, or that is a chain by itself;
    displacement for each place.

    `parameters` of the model decide how many products are expected. Raises InvalidSpec.
    """
    asked = spec.curvature
    if asked is None:
        return
    _check(spec, asked, chains)
    for seed in spec.seeds:
        for prefix in _measured(chains):
            training = _training(spec, steps, prefix, len(prefix))
            subset = _subset(asked, [training])
            products = asked.subsets * expected_products(asked, parameters)
            unused = {"parameters", "displacement", "path_nodes"}
            unused |= set() if asked.trace else {"trace_products"}
            yield CurvatureStage(
                "curvature",
                prefix,
                len(prefix),
                seed,
                asked.model_dump(mode="json", exclude=unused)
                | {"subset": subset, "max_length": training["max_length"]},
                _label("curvature", prefix, str(task_of(prefix[-1])), seed),
                asked.examples * _passes(subset, products, CHECK_GRADIENTS * asked.subsets),
            )
        if asked.displacement:
            for chain, at in forgetting_places(chains):
                later = [_training(spec, steps, chain, i) for i in range(at + 1, len(chain) + 1)]
                own = _training(spec, steps, chain, at)
                subset = _subset(asked, [own, *later])
                # The whole and its groups: each example twice, were every one in one group.
                products = 2 * (1 + asked.path_nodes) + CHECK_PRODUCTS
                gradients = 2 * (1 + bool(asked.path_nodes)) + CHECK_GRADIENTS
                yield CurvatureStage(
                    "displacement",
                    chain,
                    at,
                    seed,
                    {
                        "examples": asked.examples,
                        "product": asked.product,
                        "path_nodes": asked.path_nodes,
                        "subset": subset,
                        "max_length": own["max_length"],
                    },
                    _label("displacement", chain, str(task_of(chain[at - 1])), seed, at),
                    asked.examples * _passes(subset, products, gradients),
                )


def lanczos_steps(parameters: int | None, gap: float = 0.1, risk: float = 1e-3) -> int:
    """Products after which the outermost eigenvalue is missed by more than the share `gap` with
    probability at most `risk` (Kuczyński & Woźniakowski 1992): the solver's own rule. 10^10
    parameters where their number is not known."""
    n = parameters or 10**10
    return min(n, math.ceil((math.log(1.648 * math.sqrt(n) / risk) / math.sqrt(gap) + 1) / 2))


def expected_products(asked: CurvatureSpec, parameters: int | None) -> int:
    """Products on one set of examples; more where eigenvalues lie close together."""
    steps = lanczos_steps(parameters)
    if asked.lowest:
        steps = min(max(steps, LOWEST_PRODUCTS), parameters or LOWEST_PRODUCTS)
    residuals = asked.top + 1 + asked.lowest
    extra = asked.trace_products * asked.trace + DENSITY_PRODUCTS * asked.density
    return CHECK_PRODUCTS + min(steps, asked.max_iterations) + residuals + extra


def kept_vectors(asked: CurvatureSpec, parameters: int | None) -> int:
    """Vectors that are kept at once: those of the Krylov space, or later those of the trace's
    sketch, a third of its products, with an orthonormal basis of them."""
    steps = min(lanczos_steps(parameters), asked.max_iterations)
    return max(steps, 2 * (asked.trace_products // 3) * asked.trace)


def _measured(chains: Sequence[Chain]) -> list[Chain]:
    alone = (chain for chain in chains if len(chain) == 1 and task_of(chain[0]) is not None)
    return list(dict.fromkeys([*(c[:at] for c, at in forgetting_places(chains)), *alone]))


def _check(spec: ExperimentSpec, asked: CurvatureSpec, chains: Sequence[Chain]) -> None:
    uses = {task.id: task for task in spec.tasks}
    wanted = asked.examples * asked.subsets
    for prefix in _measured(chains):
        use = uses[str(task_of(prefix[-1]))]
        if wanted > use.train_examples:
            raise InvalidSpec(
                f"curvature asks for {asked.subsets} × {asked.examples} examples of {use.id}, "
                f"which trains on {use.train_examples}",
                where="/curvature/examples",
                hint="Ask for fewer examples or subsets, or train on more.",
            )


def _training(spec: ExperimentSpec, steps: Steps, chain: Chain, position: int) -> JsonObject:
    """A merge leaves whole weights, as full tuning does."""
    element = chain[position - 1]
    step = steps.step(element)
    if isinstance(step, MergeStep):
        return {"method": "full", "method_params": {}}
    return resolve_training(
        spec.training, str(task_of(element)), position, step.training if step else None
    )


def _subset(asked: CurvatureSpec, trainings: Sequence[JsonObject]) -> JsonObject:
    """What `parameters` means for stages trained in this way. Raises InvalidSpec."""
    if not isinstance(asked.parameters, str):
        return {"kind": "prefixes", "names": list(asked.parameters)}
    adapted = [t for t in trainings if t["method"] == "lora"]
    if asked.parameters == "targets" and not adapted:
        raise InvalidSpec(
            "only LoRA has target modules, and these stages are tuned in full",
            where="/curvature/parameters",
            hint="Use trained, or name prefixes of parameters.",
        )
    if asked.parameters == "trained" and len(adapted) < len(trainings):
        return {"kind": "all"}
    names: set[str] = set()
    for training in adapted:
        params = training["method_params"]
        wanted = params["target_modules"] if isinstance(params, dict) else None
        names |= set(map(str, wanted)) if isinstance(wanted, list) else {"all-linear"}
    targets: JsonObject = {"names": [*sorted(names)]}
    return {"kind": "factors" if asked.parameters == "trained" else "targets"} | targets


def _passes(subset: JsonObject, products: int, gradients: int) -> float:
    kind = "factors" if subset["kind"] == "factors" else "all"
    return products * PASSES_PER_PRODUCT[kind] + gradients * PASSES_PER_GRADIENT[kind]


def _label(what: str, chain: Chain, task: str, seed: int, at: int | None = None) -> StageLabel:
    place = "" if at is None or len(chain) == 2 else f" from stage {at}"
    title = f"{what} {' → '.join(chain)}{place} · seed {seed}"
    return StageLabel(title=title, chain=chain, seed=seed, task=task)
