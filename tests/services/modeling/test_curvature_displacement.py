"""Displacement: the path identity, groups, the local bound, and what is undefined."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from curvature_models import (
    batches,
    flat,
    generator,
    items,
    llama,
    one_thread,
    train,
    true_float64,
)

from forgetscope.modeling.curvature.displacement import (
    difference_of,
    measure_displacement,
    measure_path,
)
from forgetscope.modeling.curvature.krylov import Krylov
from forgetscope.modeling.curvature.objective import Objective, answer_objective, prepared
from forgetscope.modeling.curvature.products import difference_product, exact_operator
from forgetscope.modeling.curvature.selection import select_parameters
from forgetscope.modeling.curvature.solvers import find_eigenvalues
from forgetscope.schema.errors import InvalidInput

NAMES = ("whole", "a", "b")


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[dict[str, Objective], list[torch.Tensor]]]:
    """A model trained on its data, and d, where further training on other data leads."""
    first, second = items(6, seed=1), items(4, seed=2)
    data = {"whole": batches(first + second, 3), "a": batches(first), "b": batches(second)}
    with one_thread(), true_float64():
        model = llama()
        train(model, data["whole"], 40)
        after = llama()
        after.load_state_dict(model.state_dict())
        train(after, batches(items(8, seed=3)), 4, rate=5e-3)
        parameters = select_parameters(model)
        d = difference_of(select_parameters(after), parameters)
        with prepared(model, parameters):
            yield {n: answer_objective(model, data[n], parameters) for n in NAMES}, d


def test_the_path_form_gives_the_measured_change(world: Any) -> None:
    objectives, d = world
    for name in NAMES:
        short = [0.3 * x for x in d]
        found = measure_path(objectives[name], short, nodes=8)
        assert abs(found.value - found.change) <= 0.01 * abs(found.change)
        assert found.verdict == "converged"
        assert found.iterations == len(found.nodes) == 8
    local = measure_displacement(objectives, short)
    assert local["b"].change == pytest.approx(found.change, abs=1e-15)


def test_a_long_path_needs_more_nodes_and_says_so(world: Any) -> None:
    objectives, d = world
    far = [4.0 * x for x in d]
    few = measure_path(objectives["whole"], far, nodes=1)
    assert few.verdict == "not converged"
    told: list[tuple[int, int]] = []
    many = measure_path(
        objectives["whole"], far, nodes=24, progress=lambda *done: told.append(done)
    )
    assert many.verdict == "converged"
    assert told == [(i, 24) for i in range(1, 25)]
    assert many.residual < few.residual


def test_the_second_order_prediction_holds_on_a_short_way_only(world: Any) -> None:
    objectives, d = world
    short = measure_displacement(objectives, [1e-3 * x for x in d])
    for name in NAMES:
        assert short[name].prediction == pytest.approx(short[name].change, rel=1e-2)
        assert short[name].verdict == "converged"
    longer = measure_displacement(objectives, [4.0 * x for x in d])["whole"]
    assert longer.verdict == "not converged"
    assert longer.residual == pytest.approx(abs(longer.prediction - longer.change))


def test_groups_add_up_to_the_whole_by_their_tokens(world: Any) -> None:
    objectives, d = world
    found = measure_displacement(objectives, d)
    whole, a, b = (found[name] for name in NAMES)
    assert whole.tokens == a.tokens + b.tokens
    for field in ("loss", "loss_after", "change", "slope", "quadratic", "prediction"):
        pooled = sum(getattr(g, field) * g.tokens for g in (a, b)) / whole.tokens
        assert getattr(whole, field) == pytest.approx(pooled, rel=1e-9)
    assert whole.length == pytest.approx(float(np.linalg.norm(flat(d))))
    assert whole.curvature == pytest.approx(whole.quadratic / whole.length**2)


def test_the_local_bound_lies_above_the_prediction_and_needs_an_eigenvalue(world: Any) -> None:
    objectives, d = world
    operator = exact_operator(objectives["whole"])
    top = find_eigenvalues(operator, Krylov(operator.like, generator()), "largest").values[0]
    found = measure_displacement(objectives, d, largest={"whole": top})
    whole = found["whole"]
    assert found["a"].local_bound is None
    assert whole.local_bound == pytest.approx(whole.slope + top / 2 * whole.length**2)
    assert whole.local_bound >= whole.prediction
    assert whole.curvature is not None
    assert whole.curvature < top


def test_products_by_differences_serve_as_well(world: Any) -> None:
    objectives, d = world
    exact = measure_displacement(objectives, d)["a"]
    other = measure_displacement(objectives, d, product=difference_product)["a"]
    assert other.quadratic == pytest.approx(exact.quadratic, rel=1e-4)


def test_no_displacement_has_no_curvature(world: Any) -> None:
    objectives, d = world
    nowhere = [torch.zeros_like(x) for x in d]
    found = measure_displacement(objectives, nowhere)["whole"]
    assert (found.curvature, found.change, found.verdict) == (None, 0.0, "converged")
    path = measure_path(objectives["whole"], nowhere, nodes=2)
    assert (path.curvatures, path.value) == ((None, None), 0.0)


def test_weights_are_untouched_afterwards(world: Any) -> None:
    objectives, d = world
    parameters = list(objectives["whole"].parameters.values())
    before = [p.detach().clone() for p in parameters]
    measure_path(objectives["whole"], d, nodes=3)
    measure_displacement(objectives, d)
    assert all(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))


def test_checkpoints_of_different_shape_are_refused(world: Any) -> None:
    other = select_parameters(llama(hidden_size=16))
    with pytest.raises(InvalidInput, match="different parameters"):
        difference_of(other, world[0]["whole"].parameters)
    with pytest.raises(InvalidInput, match="0 nodes"):
        measure_path(world[0]["whole"], world[1], nodes=0)
