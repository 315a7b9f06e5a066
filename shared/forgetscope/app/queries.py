"""Read sides: one experiment with its ETA, its files, its results."""

from collections.abc import Iterator
from typing import NamedTuple

from forgetscope.app.platform import Platform
from forgetscope.core.estimate import Remaining, estimate_remaining, rates_of
from forgetscope.ports.records import AuditRow, ExperimentRow
from forgetscope.schema.errors import NotFound
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.schema.plan import Estimate
from forgetscope.schema.stage import BlobRef, RunKind
from forgetscope.schema.views import (
    ArtifactView,
    ExperimentSummary,
    ExperimentView,
    RunView,
    StageDetail,
)

__all__ = [
    "File",
    "artifacts",
    "experiment_view",
    "find_file",
    "links_of",
    "read_file",
    "run_view",
    "stage_detail",
    "summary_of",
]

LIVE = ("queued", "running", "cancelling")


class File(NamedTuple):
    """A stored file under the name that a person would give it."""

    blob: BlobRef
    name: str


def summary_of(row: ExperimentRow | AuditRow) -> ExperimentSummary:
    """The list form of an experiment, or an audit."""
    return ExperimentSummary(
        id=row.id,
        name=row.name,
        state=row.state,
        created_at=row.created_at,
        finished_at=row.finished_at,
        stages=row.stages,
    )


def experiment_view(platform: Platform, experiment_id: str) -> ExperimentView:
    """One experiment with failures and the time it still needs. Raises NotFound."""
    row = platform.records.experiment(experiment_id)
    run = run_view(platform, row, links_of(experiment_id))
    return ExperimentView(**dict(run), spec=row.spec)


def run_view(platform: Platform, row: ExperimentRow | AuditRow, links: dict[str, str]) -> RunView:
    """What experiments and audits have in common."""
    eta = _eta(platform, row)
    failed = platform.records.stages(row.id, kind=None, state="failed", cursor=None, limit=100)
    return RunView(
        **dict(summary_of(row)),
        engine=row.engine,
        engine_reason=row.engine_reason,
        notes=row.notes,
        eta_seconds=eta.seconds,
        eta_basis=eta.basis,
        failures={s.key: s.failure for s in failed.items if s.failure is not None},
        last_event=row.last_event,
        links=links,
    )


def links_of(experiment_id: str, kind: RunKind = "experiment") -> dict[str, str]:
    """Where an experiment, or an audit, and its parts are found."""
    root = f"/v1/{kind}s/{experiment_id}"
    names = ("stages", "events", "results", "report", "artifacts", "cancel", "retry")
    return {"self": root} | {name: f"{root}/{name}" for name in names}


def _eta(platform: Platform, row: ExperimentRow | AuditRow) -> Estimate:
    if row.state not in LIVE:
        kind = "experiment" if isinstance(row.spec, ExperimentSpec) else "audit"
        return Estimate(seconds=None, basis=f"the {kind} has {row.state}")
    base = platform.records.stages(row.id, kind="prepare_model", state=None, cursor=None, limit=1)
    return estimate_remaining(
        [Remaining(*r) for r in platform.records.remaining(row.id)],
        rates_of(platform.records.rates(row.id)),
        rates_of(d for s in base.items for d in platform.records.rates_of_base(s.key)),
    )


def stage_detail(platform: Platform, experiment_id: str, key: str) -> StageDetail:
    """A stage with parameters, attempts and files. Raises NotFound."""
    view = platform.records.stage_view(experiment_id, key)
    record = platform.records.stage(key)
    return StageDetail(
        **dict(view),
        params=record.params,
        attempts=platform.records.attempts(key),
        manifest=record.manifest,
    )


def artifacts(platform: Platform, experiment_id: str, root: str) -> tuple[ArtifactView, ...]:
    """Every file that the finished stages left behind, in plan order, under the path `root`.

    Raises NotFound.
    """
    return tuple(
        ArtifactView(
            stage=stage.key,
            kind=stage.kind,
            label=stage.label,
            path=path,
            digest=blob.digest,
            size=blob.size,
            media_type=blob.media_type,
            href=f"{root}/{stage.key}/{path}",
        )
        for stage, manifest in platform.records.manifests(experiment_id)
        for path, blob in sorted(manifest.files.items())
    )


def find_file(
    platform: Platform, experiment_id: str, path: str, *, stage: str | None = None
) -> File:
    """A file of a stage of the experiment; without `stage`, that of the latest one that has it.

    Raises NotFound, which says how far the experiment is.
    """
    if stage is not None:
        view = platform.records.stage_view(experiment_id, stage)
        manifest = platform.records.stage(view.key).manifest
        found = [] if manifest is None else [manifest.files.get(path)]
    else:
        manifests = platform.records.manifests(experiment_id)
        found = [m.files.get(path) for _, m in reversed(list(manifests))]
    for blob in found:
        if blob is not None:
            return File(blob, path.rsplit("/", 1)[-1])
    state = platform.records.state(experiment_id)
    raise NotFound(
        f"{experiment_id} has no {path} yet: it is {state}",
        hint="Wait until it has succeeded, or look at its stages for the failure.",
    )


def read_file(platform: Platform, file: File) -> Iterator[bytes]:
    """The verified bytes of a file, in chunks."""
    return platform.store.read(file.blob)
