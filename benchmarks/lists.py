"""Do lists stay flat? Times the gateway's reads with few and with 100,000 recorded stages.

    make bench

Each figure is the ratio of medians, large over small, measured in one run on one machine: about 1
means flat. Records are those of the embedded wiring (SQLite); the stages come from real plans.
"""

import argparse
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path

import httpx
import uvicorn
from rich.console import Console
from rich.progress import track
from rich.table import Table

from forgetscope.api.app import create_app
from forgetscope.app.platform import Platform
from forgetscope.app.submit import submit
from forgetscope.schema.experiment import ExperimentSpec
from forgetscope.wiring.settings import Settings
from forgetscope.wiring.wires import build_platform, migrate_records

CONSOLE = Console()
TASK = "synthetic_safety"
STAGES_EACH = 64
PAGE = 50


def spec_of(number: int) -> ExperimentSpec:
    """One chain of 16 stages over two seeds of its own: 64 stages that nobody else has."""
    return ExperimentSpec.model_validate(
        {
            "name": f"experiment {number}",
            "tasks": [{"name": TASK, "train_examples": 32, "evaluation_examples": 32}],
            "chains": [[TASK] * 16],
            "seeds": [2 * number, 2 * number + 1],
        }
    )


def grow(platform: Platform, stages: int) -> tuple[str, int]:
    """Submit until so many stages are recorded. Returns the last experiment and the number."""
    experiments = -(-stages // STAGES_EACH)
    experiment_id = ""
    for number in track(range(experiments), "submitting", console=CONSOLE):
        experiment_id, _ = submit(platform, spec_of(number))
    return experiment_id, experiments * STAGES_EACH


def times(home: Path, stages: int, requests: int) -> tuple[int, dict[str, float]]:
    """Median seconds of each read."""
    settings = Settings(home_dir=home, engines="transformers", hub_offline=True)
    migrate_records(settings)
    platform = build_platform(settings)
    experiment_id, count = grow(platform, stages)
    root = f"/v1/experiments/{experiment_id}"
    key = (
        platform.records.stages(experiment_id, kind="train", state=None, cursor=None, limit=1)
        .items[0]
        .key
    )
    reads = {
        "list of experiments": f"/v1/experiments?limit={PAGE}",
        "list, by state": f"/v1/experiments?state=queued&limit={PAGE}",
        "one experiment": root,
        "its stages": f"{root}/stages?limit={PAGE}",
        "its stages, by kind": f"{root}/stages?kind=evaluate&limit={PAGE}",
        "one stage": f"{root}/stages/{key}",
    }
    app = create_app(
        platform,
        version="bench",
        wiring="embedded",
        max_body_bytes=1 << 20,
        max_dataset_bytes=1 << 20,
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    medians = {}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for name, path in reads.items():
            client.get(path).raise_for_status()
            seconds = []
            for _ in range(requests):
                began = time.perf_counter()
                client.get(path)
                seconds.append(time.perf_counter() - began)
            medians[name] = statistics.median(seconds)
    server.should_exit = True
    thread.join()
    return count, medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stages", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=100)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="forgetscope-bench-"))
    try:
        few, small = times(folder / "small", PAGE * STAGES_EACH, arguments.requests)
        many, large = times(folder / "large", arguments.stages, arguments.requests)
    finally:
        shutil.rmtree(folder)
    table = Table(title=f"Median time of a read, {many:,} stages over {few:,} stages")
    table.add_column("read")
    table.add_column("ratio", justify="right")
    for name, seconds in small.items():
        table.add_row(name, f"{large[name] / seconds:.2f}")
    CONSOLE.print(table)


if __name__ == "__main__":
    main()
