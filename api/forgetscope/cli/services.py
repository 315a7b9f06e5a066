"""Commands that run the platform itself. Each imports the wiring only when it is called."""
# ruff: noqa: PLC0415 - a client's machine may have none of what the wiring imports

from typing import Annotated

import typer

from forgetscope.cli.talk import EXIT_FAILED, complain, err, reported
from forgetscope.schema.plan import Queue

__all__ = ["register"]

QueueArg = Annotated[Queue, typer.Argument(help="Whose stages to run.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    panel = "Services (settings come from FORGETSCOPE_… in the environment)"
    for command in (up, serve, worker, worker_health, migrate):
        app.command(rich_help_panel=panel)(command)


def up() -> None:
    """Run gateway and workers on this machine until Ctrl-C. Needs no other server.

    Everything is kept below FORGETSCOPE_HOME_DIR.
    """
    with reported():
        from forgetscope.wiring.settings import Settings
        from forgetscope.wiring.supervisor import up as run

        settings = Settings()
        err.print(
            f"ForgetScope serves http://{settings.host}:{settings.port} (dashboard; API: /docs)\n"
            f"Data and logs: {settings.home_dir.resolve()}\nCtrl-C stops it.",
            soft_wrap=True,
        )
        run(settings)


def serve() -> None:
    """Run the gateway alone."""
    with reported():
        from forgetscope.wiring.serve import serve as run
        from forgetscope.wiring.settings import Settings

        run(Settings())


def worker(queue: QueueArg) -> None:
    """Run a worker of one service: train, evaluate or analyse.

    Example: forgetscope worker train
    """
    with reported():
        from forgetscope.wiring.settings import Settings
        from forgetscope.wiring.worker import run_worker

        run_worker(queue, Settings())


def worker_health(queue: QueueArg) -> None:
    """Leave with 0 when the worker of this host is alive, else with 1. For container checks."""
    with reported():
        from forgetscope.wiring.settings import Settings
        from forgetscope.wiring.worker import worker_is_alive

        if not worker_is_alive(queue, Settings()):
            complain(f"the {queue} worker of this host has not been heard of lately")
            raise typer.Exit(EXIT_FAILED)


def migrate() -> None:
    """Bring the database to this version's schema."""
    with reported():
        from forgetscope.wiring.settings import Settings
        from forgetscope.wiring.wires import migrate_records

        migrate_records(Settings())
        err.print("The database is up to date.")
