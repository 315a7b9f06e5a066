"""Runs the small variants of the seed's experiments, and writes docs/results.md.

    make results

Starts a platform of its own in a temporary folder, submits each spec over HTTP and waits. On one
kind of machine the page is the same every time: no time of a run is written down.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import yaml
from results_page import Study, page
from rich.console import Console

from forgetscope.client import Client, ClientError
from forgetscope.schema.plan import PlanView

CONSOLE = Console(stderr=True)
PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "results.md"
READY_WITHIN_SECONDS = 120.0
ASKS = {
    "a-order": "Is safety forgotten more when it is tuned first than capability is when that is?",
    "b-groups": "Who is forgotten most, and do groups rank alike after two capability tasks?",
    "c-replay": "What does a share of the safety data bring back, after stage two (`replay`), in "
    "as many steps as all of it would take (`even`), or mixed into stage two (`mixed`)?",
    "d-curvature": "Are minima of safety tasks sharper than those of capability tasks?",
    "e-replay-pairs": "Does replay of 5 % help for every pair of tasks, in both orders?",
    "f-format": "Does the format of the safety task change what is forgotten?",
    "g-learning-rate": "Which stage's learning rate makes a model forget?",
    "h-rounds": "What do further rounds do to what was learned before?",
}


@contextmanager
def platform(home: Path) -> Iterator[Client]:
    """`forgetscope up` in a folder, stopped at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = os.environ.get("FORGETSCOPE_DATA_DIR") or str(PROJECT.parent / "shared" / "data")
    settings = {
        "WIRING": "embedded",
        "HOME_DIR": str(home),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATA_DIR": data,
        "ENGINES": "transformers",
        "POLL_SECONDS": "0.2",
    }
    with (home / "up.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "forgetscope.wiring", "up"],
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("FORGETSCOPE_")},
                **{f"FORGETSCOPE_{name}": value for name, value in settings.items()},
                "OMP_NUM_THREADS": "1",  # sums in one order, whatever the number of cores
            },
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            _wait_until_ready(client, process, home)
            yield client
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_ready(client: Client, process: "subprocess.Popen[bytes]", home: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while True:
        with suppress(ClientError):
            if client.health().status == "ok":
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"The platform did not start: {(home / 'up.log').read_text()[-2000:]}")
        time.sleep(0.2)


class Submitted(NamedTuple):
    path: str
    title: str
    plan: PlanView
    experiment: str


def submit(client: Client, name: str) -> Submitted:
    path = f"examples/seed/{name}.tiny.yaml"
    spec: dict[str, object] = yaml.safe_load((PROJECT / path).read_text(encoding="utf-8"))
    title = str(spec["name"]).removesuffix(", tiny")
    return Submitted(path, title, client.plan(spec), client.submit(spec))


def finish(client: Client, name: str, submitted: Submitted) -> Study:
    """Wait for its end. Leaves with the failures unless it succeeded."""
    view = client.wait(submitted.experiment)
    CONSOLE.print(f"{submitted.path} has {view.state}")
    if view.state != "succeeded":
        raise SystemExit(f"{submitted.path}: {[f.detail for f in view.failures.values()]}")
    return Study(
        title=submitted.title,
        spec=submitted.path,
        asks=ASKS[name],
        every_group=name == "b-groups",
        trainings=submitted.plan.trainings,
        naive=submitted.plan.naive_trainings,
        results=client.results(submitted.experiment),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE)
    parser.add_argument("--home", type=Path, help="keep the platform's folder here")
    parser.add_argument("--only", nargs="*", default=list(ASKS), choices=list(ASKS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = (arguments.home or Path(temporary)).resolve()
        home.mkdir(parents=True, exist_ok=True)
        with platform(home) as client:
            submitted = {name: submit(client, name) for name in arguments.only}
            text = page(finish(client, name, one) for name, one in submitted.items())
    arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
