"""The stage functions of the analysis service."""

import json
import time

import numpy as np
from pydantic import TypeAdapter

from forgetscope.analysis import changes, figures, tables, tables_verdicts
from forgetscope.analysis import results as build_results
from forgetscope.analysis.audit_stage import run_audit
from forgetscope.analysis.bbq import join
from forgetscope.analysis.curvature_results import Place, add_curvature
from forgetscope.analysis.joining import AnalysedTask, join_predictions, packages
from forgetscope.analysis.mechanisms import add_mechanisms
from forgetscope.analysis.monitored import RECORD, MonitorUse, monitored_stage
from forgetscope.analysis.noise import add_noise
from forgetscope.analysis.outcomes import CellKey, Design, trainings
from forgetscope.analysis.report import ReportFacts, render
from forgetscope.analysis.tables_curvature import write_curvature
from forgetscope.analysis.tables_mechanisms import write_mechanisms
from forgetscope.analysis.tables_monitored import write_monitored
from forgetscope.analysis.tables_recovery import write_recovery
from forgetscope.app.examples_file import read_examples
from forgetscope.app.judge_file import read_judge_info
from forgetscope.app.noise_file import read_noise
from forgetscope.app.predictions_file import read_predictions
from forgetscope.core.predictions import Prediction
from forgetscope.ports.stage import StageIO, StageTable, Work
from forgetscope.schema.base import JsonObject, StageKey, Value
from forgetscope.schema.curvature import CurvatureFile, DisplacementFile
from forgetscope.schema.experiment import AnalysisSpec
from forgetscope.schema.mechanisms import DriftFile
from forgetscope.schema.noise import TaskNoise
from forgetscope.schema.recovery import MitigatedChain
from forgetscope.schema.results import Results

__all__ = ["analyse", "report", "stages"]


class _CellUse(Value):
    role: str
    chain: tuple[str, ...]
    seed: int | None
    task: str


class _CurveUse(Value):
    role: str
    chain: tuple[str, ...]
    position: int
    seed: int


class _NoiseUse(Value):
    role: str
    task: str
    chain: tuple[str, ...]
    seed: int | None


class _Analyse(Value):
    """The parameters of an analyse stage."""

    settings: AnalysisSpec
    tasks: tuple[AnalysedTask, ...]
    chains: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    cells: tuple[_CellUse, ...]
    curves: tuple[_CurveUse, ...] = ()
    noise: tuple[_NoiseUse, ...] = ()
    mechanisms: bool = False
    drifts: tuple[_CurveUse, ...] = ()
    mitigated: tuple[MitigatedChain, ...] = ()
    monitors: tuple[MonitorUse, ...] = ()
    digests: JsonObject = {}


class _Report(Value):
    """The parameters of a report stage."""

    name: str
    spec: JsonObject
    engine: str
    engine_reason: str
    stages: dict[str, StageKey]


def stages() -> StageTable:
    """What this service can run. Torch is loaded by the stages that need it, when they run."""

    def curvature(work: Work, io: StageIO) -> JsonObject:
        from forgetscope.analysis.curvature_stage import run_curvature

        return run_curvature(work, io, clock=time.monotonic)

    def displacement(work: Work, io: StageIO) -> JsonObject:
        from forgetscope.analysis.displacement_stage import run_displacement

        return run_displacement(work, io, clock=time.monotonic)

    def drift(work: Work, io: StageIO) -> JsonObject:
        from forgetscope.analysis.drift_stage import run_drift

        return run_drift(work, io)

    return {
        "analyse": analyse,
        "report": report,
        "audit": run_audit,
        "curvature": curvature,
        "displacement": displacement,
        "drift": drift,
    }


def analyse(work: Work, io: StageIO) -> JsonObject:
    """Predictions of every cell → results.json, the tables of `tables.write` and the items that
    changed.

    Raises:
        DataChanged: the cells of a task do not have the same items in the same order.
    """
    params = TypeAdapter(_Analyse).validate_python(work.params)
    total = len(params.cells) + len(params.tasks)
    judged = any(task.judged for task in params.tasks)
    judge = read_judge_info(io.input("judge")) if judged else None
    tasks = []
    moved = []
    read = 0
    for i, task in enumerate(params.tasks):
        cells: dict[CellKey, list[Prediction]] = {}
        for cell in (c for c in params.cells if c.task == task.id):
            path = io.input(cell.role) / "predictions.parquet"
            cells[cell.chain, cell.seed] = read_predictions(path)
            read += 1
            io.progress(read, total, "steps")
        outcomes = join_predictions(task, cells, judge if task.judged else None, _model)
        if task.own_scores == "bbq":
            examples = read_examples(io.input(f"data-{i}"))
            outcomes = outcomes._replace(bbq=join(task.id, examples, cells))
        tasks.append(outcomes)
        texts = read_examples(io.input(f"data-{i}")) if params.settings.show_texts else None
        moved.append(changes.changes(task.id, cells, params.chains, params.seeds, texts))
    noise = [
        TaskNoise(measured=read_noise(io.input(use.role)), **use.model_dump(exclude={"role"}))
        for use in params.noise
    ]
    floors = {n.task: n.measured.floor for n in noise if n.measured.floor is not None}
    results = build_results.build(
        Design(params.chains, params.seeds, params.settings, floors, params.mitigated),
        tasks,
        np.random.default_rng(work.seed),
        provenance={
            "inputs": {role: manifest.stage for role, manifest in sorted(work.inputs.items())},
            "packages": packages(),
            "digests": params.digests,
            "seed": str(work.seed),  # 63 bits: more than a JSON number keeps everywhere
        },
        progress=lambda done, _: io.progress(len(params.cells) + done, total, "steps"),
    )
    results = add_noise(_with_curvature(results, params, work, io), noise)
    if params.mechanisms:
        results = _with_mechanisms(results, params, work, io)
    monitored = tuple(
        monitored_stage(use, io.input_file(use.role, RECORD), work.inputs[use.role])
        for use in params.monitors
    )
    results = results.model_copy(update={"monitored": monitored})
    text = json.dumps(
        results.model_dump(mode="json"),
        indent=1,
        sort_keys=True,
        allow_nan=False,
        ensure_ascii=False,
    )
    (io.output / "results.json").write_text(text + "\n", encoding="utf-8")
    tables.write(results, io.output)
    write_curvature(results, io.output)
    write_mechanisms(results, io.output)
    write_recovery(results, io.output)
    write_monitored(results, io.output)
    tables_verdicts.write(results, io.output)
    changes.write(moved, io.output)
    return {"forgetting": len(results.forgetting), "order_effects": len(results.order_effects)}


def _model(key: CellKey) -> str:
    chain, seed = key
    return f"model after {' → '.join(chain) or 'no training'}, seed {seed}"


def _with_curvature(results: Results, params: _Analyse, work: Work, io: StageIO) -> Results:
    spectra: dict[Place, CurvatureFile] = {}
    ways: dict[Place, DisplacementFile] = {}
    for use in params.curves:
        place = Place(use.chain, use.position, use.seed)
        kind = work.inputs[use.role].kind
        text = (io.input(use.role) / f"{kind}.json").read_text(encoding="utf-8")
        if kind == "curvature":
            spectra[place] = CurvatureFile.model_validate_json(text)
        else:
            ways[place] = DisplacementFile.model_validate_json(text)
    # A stream of its own: curvature does not move the intervals of forgetting.
    return add_curvature(results, spectra, ways, np.random.default_rng((work.seed, 1)))


def _with_mechanisms(results: Results, params: _Analyse, work: Work, io: StageIO) -> Results:
    drifts = {
        Place(use.chain, use.position, use.seed): DriftFile.model_validate_json(
            (io.input(use.role) / "drift.json").read_text(encoding="utf-8")
        )
        for use in params.drifts
    }
    train = {
        task.id: read_examples(io.input(f"train-{i}"))
        for i, task in enumerate(params.tasks)
        if any(task.id in trainings(chain) for chain in params.chains)
    }
    return add_mechanisms(results, drifts, train, np.random.default_rng((work.seed, 2)))


def report(work: Work, io: StageIO) -> JsonObject:
    """results.json and changes.json → report.html, one file that needs nothing else, and each of
    its figures as SVG and PNG."""
    params = TypeAdapter(_Report).validate_python(work.params)
    found = io.input("results")
    results = Results.model_validate_json((found / "results.json").read_text(encoding="utf-8"))
    page = render(
        results,
        ReportFacts(**dict(params)),
        changes.read(found),
        tables=sorted(path.name for path in found.glob("*.csv")),
    )
    (io.output / "report.html").write_text(page.html, encoding="utf-8")
    figures.write(page.figures, io.output)
    io.progress(1, 1, "reports")
    return {"bytes": len(page.html.encode()), "figures": len(page.figures)}
