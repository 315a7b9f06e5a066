"""`forgetscope audit`: does a candidate keep what its reference knows? For people and for CI."""

import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperCommand

from forgetscope.cli.audit_spec import audit_spec, is_baseline, model_roots
from forgetscope.cli.audit_tables import audit_table
from forgetscope.cli.embedded import platform
from forgetscope.cli.experiments import EXIT_INTERRUPTED
from forgetscope.cli.files import write_text
from forgetscope.cli.talk import DEFAULT_URL, complain, err, out, talk
from forgetscope.cli.watch import watch as follow
from forgetscope.client import Client
from forgetscope.core.audit_outputs.cases import heading
from forgetscope.core.audit_outputs.junit import junit_xml
from forgetscope.core.audit_outputs.markdown import markdown
from forgetscope.core.audit_outputs.sarif import sarif_json
from forgetscope.schema.audit import AuditOutcome, AuditResults

__all__ = ["AuditCommand", "audit"]

USAGE, PLATFORM = 3, 4
VERDICTS: dict[AuditOutcome, int] = {"pass": 0, "breach": 1, "underpowered": 2}
# What the other commands leave with: 1 failed, 2 wrong usage. Here these two are verdicts.
OTHERS = {1: PLATFORM, 2: USAGE}

HELP = """Audit a candidate model against its reference, by a policy.

Examples:

  forgetscope audit audit.yaml --embedded --junit audit.xml

  forgetscope audit --reference hub:org/base@COMMIT --candidate ./out --task toxigen --policy p.yaml

  forgetscope audit audit.yaml --baseline production --candidate ./out

Exit codes: 0 pass, 1 breach, 2 underpowered or inconclusive, 3 usage (specification, policy,
unknown names), 4 platform (server unreachable, a stage failed), 130 interrupted.
"""


class AuditCommand(TyperCommand):
    """A command whose wrong usage leaves with 3: 2 is a verdict."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().make_context(*args, **kwargs)
        except Exception as error:
            if getattr(error, "exit_code", None) == 2:  # UsageError, wherever typer keeps it
                error.exit_code = USAGE  # type: ignore[attr-defined]
            raise


def audit(  # noqa: PLR0917 - each is an option
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="SPEC",
            help="Specification in YAML or JSON; - is standard input.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="Policy, instead of that of the file.", show_default=False)
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="builtin:NAME, hub:ID@COMMIT, s3://…, endpoint:URL#NAME, or a folder.",
            show_default=False,
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Instead of a reference model: see `forgetscope baseline`.",
            show_default=False,
        ),
    ] = None,
    candidate: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="As for the reference.", show_default=False),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="Name of a task; may be repeated.", show_default=False),
    ] = None,
    url: Annotated[
        str,
        typer.Option("--server", "--url", envvar="FORGETSCOPE_URL", help="Address of the server."),
    ] = DEFAULT_URL,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Start a platform for this audit, and end it.")
    ] = False,
    home: Annotated[
        Path | None,
        typer.Option(
            help="With --embedded: folder to keep; what is done already is not done again. "
            "Default: a temporary one.",
            show_default=False,
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write JUnit XML here.", show_default=False)
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option(help="Write SARIF 2.1.0 here.", show_default=False)
    ] = None,
    markdown_file: Annotated[
        Path | None,
        typer.Option("--markdown", help="Write Markdown here.", show_default=False),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write all results here.", show_default=False),
    ] = None,
) -> None:
    with _codes():
        spec = audit_spec(
            file,
            reference=reference,
            baseline=baseline,
            candidate=candidate,
            tasks=task or [],
            policy=policy,
        )
        if home is not None and not embedded:
            complain("--home goes with --embedded")
            raise typer.Exit(USAGE)
        if embedded and home is None and is_baseline(spec["reference"]):
            complain("a temporary platform has no baselines", hint="Name its folder with --home.")
            raise typer.Exit(USAGE)
        with ExitStack() as stack:
            if embedded:
                client = stack.enter_context(_embedded(home, model_roots(spec, file)))
            else:
                client = stack.enter_context(talk(url))
            results = _results(client, spec, kept=home is not None or not embedded)
        writers: tuple[tuple[Path | None, Callable[[], str]], ...] = (
            (junit, lambda: junit_xml(results)),
            (sarif, lambda: _sarif(results, policy or file)),
            (markdown_file, lambda: markdown(results)),
            (json_file, lambda: results.model_dump_json(indent=1) + "\n"),
        )
        for path, text in writers:
            if path is not None:
                write_text(path, text())
        _show(results)
    raise typer.Exit(VERDICTS[results.outcome])


def _results(client: Client, spec: dict[str, object], *, kept: bool) -> AuditResults:
    """Submit, follow to the end. Leaves with 4 unless it succeeds."""
    audit_id = client.audits.submit(spec)
    err.print(f"Audit: {audit_id}")
    view = follow(client.audits, audit_id, out if out.is_terminal else err)
    if view.state != "succeeded":
        hint = None if kept else "Try again with --home DIR, which keeps the logs."
        complain(f"the audit has {view.state}", hint=hint)
        for key, failure in view.failures.items():
            complain(failure.detail, where=f"stage {key[:12]}", hint=failure.hint)
            attempts = client.audits.stage(audit_id, key).attempts
            if attempts and attempts[-1].log_tail:
                err.print(attempts[-1].log_tail, markup=False)
        raise typer.Exit(PLATFORM)
    return client.audits.results(audit_id)


@contextmanager
def _embedded(home: Path | None, roots: tuple[Path, ...]) -> Iterator[Client]:
    with ExitStack() as stack:
        folder = home or Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="forgetscope-audit-", ignore_cleanup_errors=True)
            )
        )
        yield stack.enter_context(platform(folder, roots))


@contextmanager
def _codes() -> Iterator[None]:
    """No way out with 0, 1 or 2, which are verdicts."""
    try:
        yield
    except typer.Exit as error:
        raise typer.Exit(OTHERS.get(error.exit_code, error.exit_code)) from None
    except KeyboardInterrupt:
        err.print("Interrupted. On a server, the audit goes on.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except Exception:  # noqa: BLE001 - a traceback alone would leave with 1, which says breach
        err.print(traceback.format_exc(), markup=False)
        raise typer.Exit(PLATFORM) from None


def _sarif(results: AuditResults, file: str | None) -> str:
    """Points to the policy, else to the specification, relative to the folder of this command."""
    path = Path(file) if file not in (None, "-") else Path("policy.yaml")
    here = Path.cwd()
    whole = path.resolve()
    place = whole.relative_to(here) if whole.is_relative_to(here) else Path(whole.name)
    return sarif_json(results, version=version("forgetscope"), policy_file=place.as_posix())


def _show(results: AuditResults) -> None:
    if results.rows:
        out.print(audit_table(results), "")
    colour = {"pass": "green", "breach": "red", "underpowered": "yellow"}[results.outcome]
    out.print(f"[bold {colour}]{heading(results)}.[/]")
    for sentence in results.summary:
        out.print(escape(sentence), soft_wrap=True)


audit.__doc__ = HELP
