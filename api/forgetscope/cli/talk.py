"""What every command does: reach the server, print errors so that they can be acted on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from forgetscope.client import Answered, Client, ClientError, InvalidRequest, Unreachable
from forgetscope.schema.errors import ForgetScopeError
from forgetscope.schema.views import Problem

__all__ = [
    "DEFAULT_URL",
    "EXIT_FAILED",
    "EXIT_INVALID",
    "EXIT_UNREACHABLE",
    "ExperimentArg",
    "Url",
    "complain",
    "err",
    "out",
    "reported",
    "talk",
]

DEFAULT_URL = "http://127.0.0.1:8321"
EXIT_FAILED, EXIT_INVALID, EXIT_UNREACHABLE = 1, 3, 4

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Url = Annotated[str, typer.Option("--url", envvar="FORGETSCOPE_URL", help="Address of the server.")]
ExperimentArg = Annotated[str, typer.Argument(metavar="ID", help="Id of the experiment.")]


@contextmanager
def talk(url: str) -> Iterator[Client]:
    """A client whose errors end the command with a message and an exit code."""
    with reported(), Client(url) as client:
        yield client


@contextmanager
def reported() -> Iterator[None]:
    """Print expected errors without a traceback and leave with the exit code for them."""
    try:
        yield
    except Unreachable as error:
        complain(
            str(error),
            hint="Start a server with `forgetscope up`, or name one with --url or FORGETSCOPE_URL.",
        )
        raise typer.Exit(EXIT_UNREACHABLE) from None
    except Answered as error:
        complain_of(error.problem)
        refused = isinstance(error, InvalidRequest) or error.problem.status < 500
        raise typer.Exit(EXIT_INVALID if refused else EXIT_UNREACHABLE) from None
    except ClientError as error:
        complain(str(error), hint="Check --url.")
        raise typer.Exit(EXIT_UNREACHABLE) from None
    except ForgetScopeError as error:
        complain(error.detail, where=error.where, hint=error.hint)
        raise typer.Exit(EXIT_FAILED) from None
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False):
            complain(fault["msg"], where=".".join(map(str, fault["loc"])) or error.title)
        raise typer.Exit(EXIT_INVALID) from None


def complain(what: str, *, where: str | None = None, hint: str | None = None) -> None:
    """What is wrong, where, and what to do."""
    place = f"[bold]{escape(where)}[/]: " if where else ""
    err.print(f"[bold red]Error:[/] {place}{escape(what)}", soft_wrap=True)
    if hint:
        err.print(f"  {escape(hint)}", soft_wrap=True)


def complain_of(problem: Problem) -> None:
    """A problem with every fault that it lists."""
    listed = problem.errors
    complain(f"{problem.title}." if listed else f"{problem.title}: {problem.detail}")
    for item in listed:
        err.print(f"  [bold]{escape(item.pointer or '/')}[/]: {escape(item.detail)}")
    if problem.hint:
        err.print(f"  {escape(problem.hint)}", soft_wrap=True)
    if problem.instance:
        err.print(f"  Look for {escape(problem.instance)} in the server's log.")
