"""Curvature and displacement as CSV tables. An undefined number is an empty field."""

from pathlib import Path

from forgetscope.analysis.tables import chain_field, text_field, write_table
from forgetscope.schema.curvature import Iterated
from forgetscope.schema.results import Results

__all__ = ["write_curvature"]

_PLAIN = (
    *("examples", "tokens", "loss", "loss_after", "change", "gradient_norm", "length"),
    *("slope", "quadratic"),
)
_ITERATED = ("value", "residual", "iterations", "tolerance", "verdict", "why")


def write_curvature(results: Results, folder: Path) -> None:
    """Write curvature.csv and displacement.csv; nothing where curvature was not asked for."""
    if not results.curvature:
        return
    ends = ("radius", "largest", "lowest", "trace")
    write_table(
        folder / "curvature.csv",
        [
            *("chain", "seed", "task", "set", "examples", "tokens", "digest", "loss"),
            *("gradient_norm", *(c for end in ends for c in _columns(end)), "gap"),
            *("parameters", "parameter_count", "method", "dtype"),
            *("check_repeat", "check_symmetry", "check_difference"),
        ],
        (
            [
                *(chain_field(row.chain), row.seed, row.task, i, s.examples, s.tokens, s.digest),
                *(s.loss, s.gradient_norm, *_numbers(s.radius), *_numbers(s.largest[0])),
                *(*_numbers(s.lowest), *_numbers(s.trace), s.gap),
                *(row.parameters.name, row.parameters.parameters, s.method, s.dtype),
                *(s.check.repeat, s.check.symmetry, s.check.difference),
            ]
            for row in results.curvature
            for i, s in enumerate(row.spectra)
        ),
    )
    write_table(
        folder / "displacement.csv",
        [
            *("chain", "task", "position", "seed", "group", *_PLAIN, "curvature"),
            *(*_columns("prediction"), *_columns("path"), "local_bound", "exceeded"),
            *("forgetting", "biased", "outside", "parameters", "parameter_count", "method"),
            "dtype",
        ],
        (
            [
                *(chain_field(row.chain), row.task, row.position, row.seed),
                *(text_field(row.group or ""), *(getattr(row.result, name) for name in _PLAIN)),
                *(row.result.curvature.value, *_numbers(row.result.prediction)),
                *(*_numbers(row.result.path), row.local_bound.value),
                "" if row.exceeded is None else str(row.exceeded).lower(),
                *(row.forgetting.value, row.biased.value, row.outside),
                *(row.parameters.name, row.parameters.parameters, row.method, row.dtype),
            ]
            for row in results.displacement
        ),
    )


def _columns(name: str) -> list[str]:
    return [name, *(f"{name}_{part}" for part in _ITERATED[1:])]


def _numbers(found: Iterated) -> list[str | int | float | None]:
    if found.value is None:
        return [None] * len(_ITERATED)
    return [getattr(found, part) for part in _ITERATED]
