"""The report's section on curvature."""

from typing import NamedTuple

from forgetscope.analysis.curvature_words import significant
from forgetscope.analysis.figures import Drawing
from forgetscope.analysis.figures_curvature import Density, Point, density_plot, scatter_plot
from forgetscope.app.pages import chain_text
from forgetscope.core.convergence import Unsettled, unsettled
from forgetscope.schema.curvature import CurvatureRow, CurvatureSummary, DisplacementRow
from forgetscope.schema.results import Results

__all__ = ["CurvaturePart", "curvature_part"]

_CURVES = 6
"""Densities that are drawn; results.json has all of them."""


class _Way(NamedTuple):
    """The displacement on all examples, and on each group."""

    whole: DisplacementRow
    groups: tuple[DisplacementRow, ...]


class CurvaturePart(NamedTuple):
    """What the section shows."""

    rows: tuple[CurvatureRow, ...]
    ways: tuple[_Way, ...]
    summary: CurvatureSummary
    density: Drawing | None
    scatter: Drawing | None
    undrawn: int
    unsettled: tuple[Unsettled, ...]

    @property
    def figures(self) -> tuple[Drawing, ...]:
        return tuple(figure for figure in (self.density, self.scatter) if figure is not None)

    @property
    def whole(self) -> tuple[DisplacementRow, ...]:
        return tuple(way.whole for way in self.ways)


def curvature_part(results: Results) -> CurvaturePart | None:
    """None where the experiment has not asked for curvature."""
    if not results.curvature:
        return None
    curves = [
        Density(f"{chain_text(row.chain)}, seed {row.seed}", spectrum.density)
        for row in results.curvature
        for spectrum in row.spectra[:1]
        if spectrum.density is not None
    ]
    ways = tuple(
        _Way(row, tuple(r for r in results.displacement if r.group is not None and _same(r, row)))
        for row in results.displacement
        if row.group is None
    )
    return CurvaturePart(
        rows=results.curvature,
        ways=ways,
        summary=results.curvature_summary or CurvatureSummary(),
        density=_density(curves[:_CURVES]),
        scatter=_scatter(ways),
        undrawn=max(0, len(curves) - _CURVES),
        unsettled=unsettled(results.curvature, results.displacement),
    )


def _same(one: DisplacementRow, other: DisplacementRow) -> bool:
    return (one.chain, one.position, one.seed) == (other.chain, other.position, other.seed)


def _density(curves: list[Density]) -> Drawing | None:
    if not curves:
        return None
    said = "; ".join(
        f"{label}: from {significant(curve.nodes[0])} to {significant(curve.nodes[-1])}, "
        f"{100 * curve.near_zero:.1f} % within 1 % of the radius around zero"
        for label, curve in curves
    )
    return density_plot(curves, alt=f"Spectral densities. {said}.", name="density")


def _scatter(ways: tuple[_Way, ...]) -> Drawing | None:
    points = []
    for way in ways:
        change = way.whole.result.change
        for kind, value in (
            ("prediction", way.whole.result.prediction.value),
            ("local bound", way.whole.local_bound.value),
            ("path form", way.whole.result.path.value),
        ):
            if value is not None:
                points.append(Point(kind, change, value))
        points += [
            Point("prediction, a group", g.result.change, g.result.prediction.value)
            for g in way.groups
            if g.result.prediction.value is not None
        ]
    if not points:
        return None
    said = "; ".join(
        f"{way.whole.task} after {chain_text(way.whole.chain)}, seed {way.whole.seed}: predicted "
        f"{significant(way.whole.result.prediction.value)}, measured "
        f"{significant(way.whole.result.change)}"
        for way in ways
    )
    return scatter_plot(points, alt=f"Predicted and measured loss changes. {said}.", name="change")
