"""`forgetscope`: the command line."""

from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from forgetscope.cli import experiments, services
from forgetscope.cli.audit import AuditCommand, audit
from forgetscope.cli.baseline import baseline
from forgetscope.cli.certificate import certificate
from forgetscope.cli.compare import compare
from forgetscope.cli.datasets import datasets
from forgetscope.cli.demo import demo
from forgetscope.cli.models import models
from forgetscope.cli.policy import policy
from forgetscope.cli.power import power
from forgetscope.cli.search import search, searches
from forgetscope.cli.tasks import tasks
from forgetscope.cli.webhook import webhook

__all__ = ["app"]

HELP = """Measures what fine-tuning makes a language model forget, and about whom.

[bold]First steps[/]

  forgetscope demo                          everything once, on built-in tasks

  forgetscope up                            a server on this machine

  forgetscope submit examples/demo.yaml -w  an experiment, followed to its end

  forgetscope results ID                    what was forgotten

[bold]Exit codes[/]

  0 ok, 1 the experiment or command failed, 2 wrong usage, 3 refused input, 4 no server;
  `forgetscope audit` has its own
"""

app = typer.Typer(
    name="forgetscope",
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"forgetscope {installed_version('forgetscope')}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


app.command("demo", rich_help_panel="First steps")(demo)
experiments.register(app)
app.command("compare", rich_help_panel="Experiments")(compare)
app.command("power", rich_help_panel="Experiments")(power)
app.command("search", rich_help_panel="Experiments")(search)
app.add_typer(searches, name="searches", rich_help_panel="Experiments")
app.command("audit", cls=AuditCommand, rich_help_panel="Audits")(audit)
app.add_typer(baseline, name="baseline", rich_help_panel="Audits")
app.add_typer(policy, name="policy", rich_help_panel="Audits")
app.add_typer(certificate, name="certificate", rich_help_panel="Audits")
app.add_typer(webhook, name="webhook", rich_help_panel="Audits")
services.register(app)
app.add_typer(tasks, name="tasks", rich_help_panel="Experiments")
app.add_typer(datasets, name="datasets", rich_help_panel="Experiments")
app.add_typer(models, name="models", rich_help_panel="Files on this machine")

if __name__ == "__main__":
    app()
