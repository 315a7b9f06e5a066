"""Run the servers in the foreground: `python -m deploy.dev.servers up`."""

import argparse
import signal
import threading
from contextlib import ExitStack
from pathlib import Path

from . import CephGateway, MissingProgramsError, Postgres, RabbitMQ, ServerError

_BUCKET = "forgetscope"
_EXAMPLE = """\
In one terminal:   python -m deploy.dev.servers up
In the others:     set -a; . .servers/env; set +a
                   forgetscope migrate
                   forgetscope serve
                   forgetscope worker train

Ctrl-C stops the servers; the folder keeps their data, secrets and ports for the next time.
Delete the folder to begin anew. If programs are missing: deploy/dev/install-servers.sh
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.dev.servers",
        description="PostgreSQL, RabbitMQ and an S3 server for the distributed wiring, "
        "without containers, on loopback only.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start all three, print their settings, run until stopped")
    up.add_argument(
        "--folder",
        type=Path,
        default=Path(".servers"),
        help="where data, logs and secrets are kept (default: %(default)s)",
    )
    folder = parser.parse_args().folder.resolve()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        _run_until(stopped, folder)
    except (MissingProgramsError, ServerError) as error:
        parser.exit(1, f"{error}\n")
    return 0


def _run_until(stopped: threading.Event, folder: Path) -> None:
    postgres = Postgres(folder / "postgres")
    rabbitmq = RabbitMQ(folder / "rabbitmq")
    s3 = CephGateway(folder / "s3")
    with ExitStack() as running:
        print("starting PostgreSQL, RabbitMQ and S3 ...", flush=True)
        running.callback(rabbitmq.stop)
        # The slowest starts while the others do.
        rabbitmq.launch()
        running.enter_context(postgres)
        running.enter_context(s3)
        s3.ensure_bucket(_BUCKET)
        rabbitmq.wait()
        print(_write_environment(folder / "env", postgres, rabbitmq, s3))
        print(f"# also in {folder / 'env'}; Ctrl-C stops the servers", flush=True)
        stopped.wait()
        print("stopping ...", flush=True)


def _write_environment(path: Path, postgres: Postgres, rabbitmq: RabbitMQ, s3: CephGateway) -> str:
    settings = {
        "WIRING": "distributed",
        "DATABASE_URL": postgres.url,
        "BROKER_URL": rabbitmq.url,
        "S3_ENDPOINT": s3.url,
        "S3_ACCESS_KEY": s3.access_key,
        "S3_SECRET_KEY": s3.secret_key,
        "S3_BUCKET": _BUCKET,
    }
    text = "".join(f"FORGETSCOPE_{name}={value}\n" for name, value in settings.items())
    path.touch(mode=0o600)
    path.write_text(text)
    return text


if __name__ == "__main__":
    raise SystemExit(main())
