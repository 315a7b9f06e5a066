"""Files of the curvature stages → their part of the results document. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

from forgetscope.analysis.outcomes import unmitigated
from forgetscope.core.convergence import explained_spectrum, explained_way
from forgetscope.core.curvature import Pair, compare_kinds, local_bound, rank_correlation
from forgetscope.core.steps import task_of
from forgetscope.schema.curvature import (
    Correlation,
    CurvatureComparison,
    CurvatureFile,
    CurvatureRow,
    CurvatureSummary,
    DisplacementFile,
    DisplacementResult,
    DisplacementRow,
)
from forgetscope.schema.measured import Measured
from forgetscope.schema.results import ChainForgetting, Results

__all__ = ["Place", "add_curvature"]

Chain = tuple[str, ...]


class Place(NamedTuple):
    """The model after `position` stages of `chain`, in one seed."""

    chain: Chain
    position: int
    seed: int

    @property
    def task(self) -> str:
        return str(task_of(self.chain[self.position - 1]))


def add_curvature(
    results: Results,
    spectra: Mapping[Place, CurvatureFile],
    ways: Mapping[Place, DisplacementFile],
    rng: np.random.Generator,
) -> Results:
    """The results with what was measured of curvature, its summary and its cautions."""
    if not spectra:
        return results
    explained = {place: _explained(file) for place, file in spectra.items()}
    curvature = tuple(
        CurvatureRow(**dict(file), chain=place.chain, seed=place.seed, task=place.task)
        for place, file in explained.items()
    )
    displacement = tuple(
        row
        for place, file in ways.items()
        for row in _displacement(results, place, file, explained)
    )
    summary = CurvatureSummary(
        correlations=tuple(_correlations(results, curvature, displacement, rng)),
        comparison=_comparison(results, curvature),
    )
    return results.model_copy(
        update={
            "curvature": curvature,
            "displacement": displacement,
            "curvature_summary": summary,
            "notes": (*results.notes, *_cautions(curvature, displacement)),
        }
    )


def _explained(file: CurvatureFile) -> CurvatureFile:
    parameters = file.parameters.parameters
    spectra = tuple(explained_spectrum(s, parameters) for s in file.spectra)
    return file.model_copy(update={"spectra": spectra})


def _displacement(
    results: Results,
    place: Place,
    file: DisplacementFile,
    spectra: Mapping[Place, CurvatureFile],
) -> Iterator[DisplacementRow]:
    row = _forgetting(results, place.chain, place.position)
    groups = {} if row is None else {g.group: g for g in row.groups}
    unknown = Measured(reason="the group has no evaluation item")
    prefix = Place(place.chain[: place.position], place.position, place.seed)
    parts: list[tuple[str | None, DisplacementResult]] = [(None, file.whole)]
    for group, found in [*parts, *file.groups.items()]:
        bound = _bound(group, found, file, spectra.get(prefix))
        measured = groups.get(group) if group is not None else None
        whole = row.forgetting if row is not None else unknown
        yield DisplacementRow(
            chain=place.chain,
            position=place.position,
            seed=place.seed,
            task=place.task,
            group=group,
            parameters=file.parameters,
            outside=file.outside,
            method=file.method,
            dtype=file.dtype,
            result=explained_way(found),
            local_bound=bound,
            exceeded=None if bound.value is None else found.change > bound.value,
            forgetting=whole if group is None else measured.forgetting if measured else unknown,
            biased=measured.biased
            if measured
            else Measured(reason="biased forgetting is a number of groups")
            if group is None
            else unknown,
        )


def _bound(
    group: str | None,
    found: DisplacementResult,
    file: DisplacementFile,
    spectrum: CurvatureFile | None,
) -> Measured:
    if group is not None:
        return Measured(reason="λ_max is known for all examples together, not for a group")
    if spectrum is None:
        return Measured(reason="λ_max was not computed")
    own = next((s for s in spectrum.spectra if s.digest == file.digest), None)
    if own is None or spectrum.parameters != file.parameters:
        other = "other parameters" if own is not None else "other examples"
        return Measured(reason=f"λ_max is that of {other} ({spectrum.parameters.name})")
    largest = own.largest[0]
    if largest.value is None or largest.verdict != "converged":
        return Measured(reason="λ_max has not converged")
    return Measured(
        value=local_bound(found.slope, largest.value, found.length),
        interval_reason="one number of this set of examples",
    )


def _forgetting(results: Results, chain: Chain, position: int) -> ChainForgetting | None:
    rows = (r for r in results.forgetting if (r.chain, r.position) == (chain, position))
    return next(rows, None)


def _correlations(
    results: Results,
    curvature: Sequence[CurvatureRow],
    displacement: Sequence[DisplacementRow],
    rng: np.random.Generator,
) -> Iterator[Correlation]:
    """Each pair of tasks is one point: the median over seeds and sets of examples. A chain that
    mitigates is none: it is the same pair once more, held back from forgetting."""
    settings = results.settings

    def correlation(of: str, against: str, pairs: Sequence[Pair]) -> Correlation:
        return Correlation(
            of=of,
            against=against,
            pairs=len(pairs),
            blocks=len({p.block for p in pairs}),
            spearman=rank_correlation(
                pairs,
                rng,
                replicates=settings.bootstrap_replicates,
                confidence=settings.confidence,
            ),
        )

    radii: dict[Chain, list[float]] = {}
    for row in curvature:
        for s in row.spectra:
            if s.radius.value is not None and s.radius.verdict == "converged":
                radii.setdefault(row.chain, []).append(abs(s.radius.value))
    known = [
        (row.chain[: row.position], row, row.forgetting.value)
        for row in unmitigated(results)
        if row.forgetting.value is not None
    ]
    used = {row.chain for _, row, _ in known}
    yield correlation(
        "spectral radius |λ|",
        "forgetting",
        [Pair(prefix, median(radii[prefix]), f) for prefix, _, f in known if prefix in radii],
    )
    along: dict[tuple[Chain, int, str | None], list[DisplacementRow]] = {}
    for way in displacement:
        along.setdefault((way.chain, way.position, way.group), []).append(way)
    whole = {
        place[:2]: median(values)
        for place, found in along.items()
        if place[2] is None and (values := _curvatures(found))
    }
    yield correlation(
        "curvature along d",
        "forgetting",
        [
            Pair(prefix, whole[row.chain, row.position], f)
            for prefix, row, f in known
            if (row.chain, row.position) in whole
        ],
    )
    yield correlation(
        "measured loss change",
        "forgetting",
        [
            Pair(prefix, median(w.result.change for w in along[row.chain, row.position, None]), f)
            for prefix, row, f in known
            if (row.chain, row.position, None) in along
        ],
    )
    grouped = [
        Pair(chain[:position], median(values) - whole[chain, position], biased)
        for (chain, position, group), found in along.items()
        if group is not None
        and chain in used
        and (biased := found[0].biased.value) is not None
        and (chain, position) in whole
        and (values := _curvatures(found))
    ]
    if grouped:
        yield correlation("curvature along d of a group − of all", "biased forgetting", grouped)


def _curvatures(rows: Sequence[DisplacementRow]) -> list[float]:
    return [r.result.curvature.value for r in rows if r.result.curvature.value is not None]


def _comparison(results: Results, curvature: Sequence[CurvatureRow]) -> CurvatureComparison | None:
    """Plain first stages only: later ones start from models that were trained before."""
    kinds = {task.id: task.kind for task in results.tasks}
    found: dict[str, list[tuple[float, float]]] = {"safety": [], "capability": []}
    for row in curvature:
        values = [
            (abs(s.radius.value), s.loss)
            for s in row.spectra
            if s.radius.value is not None and s.radius.verdict == "converged"
        ]
        if values and row.chain == (row.task,):
            found[kinds[row.task]].append(
                (median(r for r, _ in values), median(loss for _, loss in values))
            )
    return compare_kinds(found["safety"], found["capability"])


def _cautions(
    curvature: Sequence[CurvatureRow], displacement: Sequence[DisplacementRow]
) -> Iterator[str]:
    spectra = [s for row in curvature for s in row.spectra]
    open_ = sum(s.radius.verdict != "converged" for s in spectra)
    if open_:
        yield (
            f"{open_} of {len(spectra)} spectral radii have not converged: they are given, and "
            "left out of comparisons and bounds. The table of curvature says why and what to do."
        )
    yield from dict.fromkeys(row.parameters.note for row in curvature if row.parameters.note)
    if any(s.dtype != "float32" for s in spectra):
        yield "Curvature in bfloat16 is for screening: λ was off by 3 to 22 % on small models."
    if all(len(row.spectra) == 1 for row in curvature):
        yield (
            "Curvature rests on one set of examples for each model: near zero loss, single "
            "examples dominate λ. Ask for several subsets to see how much it varies."
        )
    bounded = [row for row in displacement if row.exceeded is not None]
    above = sum(row.exceeded is True for row in bounded)
    if bounded:
        yield (
            f"The measured loss change is above the local bound in {above} of {len(bounded)} "
            "cases. The bound holds for the second-order prediction at θ_A alone, and for the "
            "loss, not for accuracy."
        )
    beside = [row.outside for row in displacement if row.outside > 0]
    if beside:
        yield (
            f"Up to {max(beside):.0%} of the displacement lies outside the parameters looked at: "
            "the loss changes are those along the rest."
        )
