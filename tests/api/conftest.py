"""A real gateway on a free port over real records, store and rows; workers are played by hand."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn

from forgetscope.api.app import create_app
from forgetscope.app.platform import Platform
from forgetscope.ports.records import Claim
from forgetscope.schema.experiment import AnalysisSpec
from forgetscope.schema.results import Accuracy, Cell, ChainForgetting, Measured, Results, TaskInfo
from forgetscope.schema.stage import Failure, Manifest, Progress
from forgetscope.schema.verdicts import Judged
from forgetscope.wiring.settings import Settings
from forgetscope.wiring.wires import build_platform, migrate_records

MAX_BODY_BYTES = 20_000
MAX_DATASET_BYTES = 200_000
MAX_DATASET_ROWS = 1000
REPORT = "<!doctype html><html lang=en><title>Report</title><p>Nothing was forgotten.</p></html>"
SPEC: dict[str, Any] = {
    "name": "both orders",
    "tasks": [
        {"id": "safety", "name": "synthetic_safety", "train_examples": 64},
        {"id": "capability", "name": "synthetic_capability", "train_examples": 64},
    ],
    "chains": {"generate": "safety_capability_pairs"},
    "training": {"epochs": 1},
}


class Gateway(NamedTuple):
    url: str
    platform: Platform
    home: Path


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def fresh_gateway(tmp_path: Path) -> Iterator[Gateway]:
    with running_gateway(tmp_path) as running:
        yield running


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=20) as client:
        yield client


@contextmanager
def running_gateway(
    home: Path, port: int = 0, max_body_bytes: int = MAX_BODY_BYTES
) -> Iterator[Gateway]:
    (home / "data").mkdir(exist_ok=True)
    settings = Settings(
        home_dir=home,
        data_dir=home / "data",
        engines="transformers",
        hub_offline=True,  # tests reach this machine only
        webhook_hosts="127.0.0.1",
        max_dataset_bytes=MAX_DATASET_BYTES,
        max_dataset_rows=MAX_DATASET_ROWS,
    )
    migrate_records(settings)
    platform = build_platform(settings)
    app = create_app(
        platform,
        version="0.0.0",
        wiring="embedded",
        max_body_bytes=max_body_bytes,
        max_dataset_bytes=settings.max_dataset_bytes,
    )
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, log_level="critical", ws="none", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline
            time.sleep(0.01)
        yield Gateway(
            f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", platform, home
        )
    finally:
        server.should_exit = True
        thread.join()


def spec_with(seed: int, **changes: Any) -> dict[str, Any]:
    """A specification that shares no training with those of other tests."""
    return SPEC | {"seeds": [seed]} | changes


def claim_any(platform: Platform) -> Claim | None:
    for queue in ("train", "evaluate", "analyse"):
        claim = platform.records.claim(queue, "by hand", lease_seconds=600)
        if claim is not None:
            return claim
    return None


def finish_all(platform: Platform, folder: Path) -> None:
    """Play every worker until nothing is ready."""
    while (claim := claim_any(platform)) is not None:
        progress = Progress(done=1, total=2, unit="steps", metrics={"loss": 1.5})
        platform.records.heartbeat(claim.key, claim.attempt, lease_seconds=600, progress=progress)
        content = {
            "analyse": ("results.json", RESULTS.model_dump_json(), "application/json"),
            "report": ("report.html", REPORT, "text/html"),
        }.get(claim.kind, ("tables/notes é.txt", claim.key, "text/plain"))
        name, text, media_type = content
        path = folder / hashlib.sha256(text.encode()).hexdigest()
        path.write_text(text)
        blob = platform.store.put(path, media_type)
        manifest = Manifest(stage=claim.key, kind=claim.kind, files={name: blob})
        assert platform.records.finish(
            claim.key, claim.attempt, manifest, log_tail="all well"
        ).accepted


def fail_one(platform: Platform, claim: Claim) -> None:
    failure = Failure(code="stage-failed", detail="the disk is full", permanent=True)
    platform.records.fail(claim.key, claim.attempt, failure, log_tail="x", max_attempts=1)


def _measured(value: float) -> Measured:
    return Measured(value=value, low=value - 0.05, high=value + 0.05)


RESULTS = Results(
    tasks=(
        TaskInfo(
            id="safety",
            name="synthetic_safety",
            kind="safety",
            chance=0.5,
            groups=("a",),
            items=100,
            clusters=10,
        ),
    ),
    chains=(("safety", "capability"),),
    seeds=(0,),
    settings=AnalysisSpec(),
    matrix=(
        Cell(
            chain=(),
            seed=None,
            task="safety",
            overall=Accuracy(value=0.5, scored=100, correct=50, unscored=0),
        ),
        Cell(
            chain=("safety",),
            seed=0,
            task="safety",
            overall=Accuracy(value=0.9, scored=100, correct=90, unscored=0),
        ),
    ),
    forgetting=(
        ChainForgetting(
            chain=("safety", "capability"),
            task="safety",
            position=1,
            items=100,
            clusters=10,
            unscored=0,
            before=_measured(0.9),
            after=_measured(0.7),
            forgetting=_measured(0.2),
            best_minus_last=_measured(0.2),
            relative=_measured(0.22),
            chance_corrected=Measured(reason="accuracy at chance"),
            per_seed={"0": 0.2},
            mcnemar=(),
            verdict=Judged(
                test="non-inferiority",
                verdict="breach",
                reason="the interval lies above the margin",
                margin=0.05,
                differs_from_zero=True,
            ),
            groups=(),
        ),
    ),
    order_effects=(),
)
