"""Trace and spectral density of known matrices, resumed runs, and the estimate of memory."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from curvature_models import counted, generator, matrix_operator, matrix_with, one_thread
from safetensors.torch import load, save
from tiny_llama import tiny_model
from transformers import GPT2Config, LlamaConfig

from forgetscope.core.memory import Method, estimate_memory
from forgetscope.core.model_shape import ModelShape, parameter_count, shape_of
from forgetscope.modeling.curvature.density import Quadrature, estimate_density, smoothed
from forgetscope.modeling.curvature.trace import Sketch, estimate_trace
from forgetscope.schema.errors import InvalidInput, StageCancelled

LLAMA_7B = ModelShape(6_738_415_616, 32, 4096, 11008, 32, 32000)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.mark.parametrize(
    ("eigenvalues", "trace"),
    [
        ([10.0, 9.9, 5.0, *np.linspace(1, 0.01, 46), -3.0], 45.13),
        ([-5.0, 3.0, *np.linspace(1, -0.5, 48)], 10.0),
        ([4.0, -4.0, *np.linspace(1, -0.5, 48)], 12.0),
        ([5.0] + [-1.0] * 49, -44.0),
        ([0.0] * 50, 0.0),
    ],
)
def test_a_sketch_of_full_rank_gives_the_exact_trace(
    eigenvalues: Sequence[float], trace: float
) -> None:
    operator = matrix_operator(matrix_with(eigenvalues))
    found = estimate_trace(operator, Sketch(operator.like, generator()), rank=50)
    assert found.value == pytest.approx(trace, abs=1e-8)
    assert found.verdict == "converged"


def test_the_trace_of_a_flat_spectrum_is_found_with_its_sign() -> None:
    operator, calls = counted(matrix_operator(matrix_with([5.0] + [-1.0] * 49)))
    found = estimate_trace(operator, Sketch(operator.like, generator()), rank=10, probes=10)
    assert found.value == pytest.approx(-44.0, rel=0.02)
    assert (found.rank, found.probes, found.iterations, calls()) == (10, 10, 30, 30)


def test_a_sketch_beats_random_signs_alone_where_few_eigenvalues_dominate() -> None:
    values = 1000 / np.arange(1, 301) ** 2
    matrix = matrix_with(values)
    operator = matrix_operator(matrix)
    rng = np.random.default_rng(0)
    sketched, plain = [], []
    for seed in range(20):
        found = estimate_trace(operator, Sketch(operator.like, generator(seed)), rank=20, probes=20)
        sketched.append(found.value / values.sum() - 1)
        probes = rng.choice([-1.0, 1.0], (60, 300))
        plain.append(np.einsum("pi,ij,pj->p", probes, matrix, probes).mean() / values.sum() - 1)
    assert np.std(sketched) < 0.5 * np.std(plain)
    assert abs(np.mean(sketched)) < 0.01


def test_the_standard_error_of_the_trace_is_the_spread_over_seeds() -> None:
    operator = matrix_operator(matrix_with(np.linspace(-1, 2, 60)))
    found = [
        estimate_trace(operator, Sketch(operator.like, generator(s)), rank=5, probes=20)
        for s in range(60)
    ]
    spread = np.std([f.value for f in found], ddof=1)
    errors = [f.residual for f in found if f.residual is not None]
    assert np.mean(errors) == pytest.approx(spread, rel=0.3)
    assert np.mean([f.value for f in found]) == pytest.approx(30.0, abs=4 * spread / 60**0.5)


def test_a_single_probe_has_no_standard_error_and_no_verdict_of_success() -> None:
    operator = matrix_operator(matrix_with(np.linspace(-1, 2, 60)))
    found = estimate_trace(operator, Sketch(operator.like, generator()), rank=5, probes=1)
    assert (found.residual, found.verdict) == (None, "not converged")
    rule = estimate_density(operator, Quadrature(operator.like, generator()), probes=1)
    assert (rule.residual, rule.verdict) == (None, "not converged")


@pytest.mark.parametrize("at", [1, 7, 14, 18])
def test_cancelled_estimates_go_on_from_their_files_with_the_same_bits(at: int) -> None:
    operator = matrix_operator(matrix_with(np.geomspace(10, 0.1, 40)), "float32")

    def stop(products: int, _: float | None) -> None:
        if products == at:
            raise StageCancelled("stopped")

    whole = estimate_trace(operator, Sketch(operator.like, generator(3)), rank=7, probes=6)
    sketch = Sketch(operator.like, generator(3))
    with pytest.raises(StageCancelled):
        estimate_trace(operator, sketch, rank=7, probes=6, progress=stop)
    resumed = Sketch.restored(load(save(sketch.tensors())), operator.like)
    assert resumed.products == at
    assert estimate_trace(operator, resumed, rank=7, probes=6) == whole

    density = estimate_density(operator, Quadrature(operator.like, generator(3)), steps=7)
    half = Quadrature(operator.like, generator(3))
    with pytest.raises(StageCancelled):
        estimate_density(operator, half, steps=7, progress=stop)
    again = Quadrature.restored(load(save(half.tensors())), operator.like)
    assert again.products == at
    assert estimate_density(operator, again, steps=7) == density


def test_the_density_has_the_mass_of_the_spectrum_at_the_right_places() -> None:
    values = [100.0] * 5 + [50.0] * 15 + [0.0] * 70 + [-20.0] * 10
    operator = matrix_operator(matrix_with(values))
    found = estimate_density(
        operator, Quadrature(operator.like, generator()), steps=10, probes=60, tolerance=0.1
    )
    nodes, weights = np.array(found.nodes), np.array(found.weights)
    for value in (100.0, 50.0, 0.0, -20.0):
        share = float(weights[np.abs(nodes - value) < 1e-6].sum())
        assert share == pytest.approx(values.count(value) / 100, abs=0.03)
    assert found.near_zero == pytest.approx(0.7, abs=0.03)
    assert found.residual is not None
    assert abs(found.trace - sum(values)) < 4 * found.residual
    assert found.verdict == "converged"
    assert found.iterations == 60 * 4
    assert np.trapezoid(found.heights, found.grid) == pytest.approx(1.0, abs=1e-3)


def test_the_density_of_a_zero_hessian_is_a_single_peak_at_zero() -> None:
    operator = matrix_operator(np.zeros((9, 9)))
    found = estimate_density(operator, Quadrature(operator.like, generator()))
    assert set(found.nodes) == {0.0}
    assert (found.near_zero, found.trace, found.verdict) == (pytest.approx(1.0), 0.0, "converged")
    assert np.isfinite(found.heights).all()


def test_the_smoothed_grid_covers_the_outer_nodes() -> None:
    grid, heights, width = smoothed(np.array([-1.0, 3.0]), np.array([0.25, 0.75]), 500)
    assert width == pytest.approx(0.04)
    assert heights[grid > 1].sum() / heights.sum() == pytest.approx(0.75, abs=1e-3)


def test_impossible_settings_are_refused() -> None:
    operator = matrix_operator(np.eye(3))
    for rank, probes in ((4, 2), (0, 2), (2, 0)):
        with pytest.raises(InvalidInput):
            estimate_trace(operator, Sketch(operator.like, generator()), rank=rank, probes=probes)
    with pytest.raises(InvalidInput):
        estimate_density(operator, Quadrature(operator.like, generator()), steps=0)


@pytest.mark.parametrize(
    ("method", "selected", "dtype", "sequence", "gibibytes"),
    [
        ("exact", 4_194_304, "float32", 256, 31),
        ("exact", 4_194_304, "bfloat16", 256, 16),
        ("exact", 4_194_304, "float32", 1024, 58),
        ("exact", 4_194_304, "bfloat16", 1024, 38),
        ("layered", 4_194_304, "float32", 256, 27),
        ("layered", 4_194_304, "float32", 1024, 29),
        ("layered", 4_194_304, "bfloat16", 1024, 15),
        ("exact", 6_738_415_616, "float32", 256, 151),
        ("exact", 6_738_415_616, "float32", 1024, 160),
        ("layered", 6_738_415_616, "float32", 256, 76),
    ],
)
def test_the_memory_of_a_seven_billion_model_is_near_what_was_accounted(
    method: Method, selected: int, dtype: str, sequence: int, gibibytes: float
) -> None:
    found = estimate_memory(
        LLAMA_7B,
        method,
        selected=selected,
        dtype=dtype,
        rows=1,
        sequence=sequence,
        answer_tokens=32,
    )
    assert found.total / 2**30 == pytest.approx(gibibytes, rel=0.15)
    assert "estimate, not" in found.statement


def test_kept_vectors_of_a_krylov_space_are_counted_in_float32() -> None:
    def total(vectors: int) -> int:
        return estimate_memory(
            LLAMA_7B,
            "differences",
            selected=1000,
            dtype="bfloat16",
            rows=1,
            sequence=64,
            answer_tokens=4,
            kept_vectors=vectors,
        ).total

    assert total(20) - total(0) == 20 * 1000 * 4


def test_the_shape_comes_from_the_configuration() -> None:
    model = tiny_model()
    count = sum(p.numel() for p in model.parameters())
    assert shape_of(model.config.to_dict(), count) == ModelShape(count, 2, 32, 48, 2, 43, 1, 16)
    assert parameter_count(shape_of(model.config.to_dict(), count)) == count
    default = shape_of(LlamaConfig().to_dict(), None)
    assert default[:6] == LLAMA_7B[:6]
    with pytest.raises(InvalidInput, match="gpt2"):
        shape_of(GPT2Config().to_dict(), 1)
