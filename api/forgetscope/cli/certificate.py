"""`forgetscope certificate`: signed statements about audits that passed."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from forgetscope.cli.card import model_card
from forgetscope.cli.envelope import opened, seal
from forgetscope.cli.files import write_text
from forgetscope.cli.keys import make_keys, private_key, public_key
from forgetscope.cli.talk import EXIT_FAILED, EXIT_INVALID, complain, err, out, reported
from forgetscope.core.audit_outputs.statement import Statement, state
from forgetscope.schema.audit import AuditResults
from forgetscope.schema.errors import InvalidInput

__all__ = ["certificate", "verified"]

certificate = typer.Typer(
    help="Signed statements about audits that passed; checked without a server.",
    no_args_is_help=True,
)

CertificateFile = Annotated[Path, typer.Argument(metavar="FILE", help="The certificate.")]
PublicKey = Annotated[Path, typer.Option("--key", help="Public key of the issuer, in PEM.")]
At = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"],
        help="Was it valid then? A day is its first moment, UTC. Default: now.",
        show_default=False,
    ),
]
Passphrase = Annotated[
    str | None,
    typer.Option(
        envvar="FORGETSCOPE_KEY_PASSPHRASE",
        help="Of the private key; better in the variable than on the command line.",
        show_default=False,
    ),
]


@certificate.command("keygen")
def keygen(
    private: Annotated[Path, typer.Option(help="Where the private key goes.")] = Path(
        "forgetscope.key.pem"
    ),
    public: Annotated[Path, typer.Option(help="Where the public key goes.")] = Path(
        "forgetscope.pub.pem"
    ),
    passphrase: Passphrase = None,
) -> None:
    """Make a pair of Ed25519 keys. The private one belongs into the secrets of the CI."""
    make_keys(private, public, passphrase)
    out.print(f"{private}\n{public}", markup=False, soft_wrap=True)


@certificate.command("create")
def create(
    results: Annotated[
        Path, typer.Argument(metavar="AUDIT", help="Results of an audit: forgetscope audit --json")
    ],
    key: Annotated[Path, typer.Option(help="Private key, in PEM.")],
    days: Annotated[int, typer.Option(min=1, max=3660, help="How long it holds.")] = 90,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where the certificate goes.")
    ] = Path("certificate.json"),
    passphrase: Passphrase = None,
) -> None:
    """Sign the results of an audit that passed.

    Example: forgetscope certificate create audit.json --key forgetscope.key.pem --days 90
    """
    with reported():
        read = AuditResults.model_validate_json(_read(results))
        statement = state(read, issued=datetime.now(UTC), days=days, version=version("forgetscope"))
    signed = seal(statement.model_dump_json().encode(), private_key(key, passphrase))
    write_text(output, signed.decode())
    out.print(f"{output}", markup=False, soft_wrap=True)


@certificate.command("verify")
def verify(file: CertificateFile, key: PublicKey, at: At = None) -> None:
    """Check a certificate offline. Leaves with 1 on any changed byte, another key, or past its end.

    Example: forgetscope certificate verify certificate.json --key forgetscope.pub.pem
    """
    statement = _checked(file, key, at)
    told = statement.predicate
    out.print(f"[bold green]Valid[/] until {told.expires:%Y-%m-%d %H:%M} UTC: {told.heading}.")
    for subject in statement.subject:
        text = f"{subject.digest['sha256']}  {subject.name}"
        out.print(text, markup=False, soft_wrap=True)


@certificate.command("card")
def card(
    file: CertificateFile,
    key: PublicKey,
    name: Annotated[str, typer.Option(help="Name of the model in its card.")],
    at: At = None,
) -> None:
    """Print a model card of a certificate: `model-index` metadata of Hugging Face, and Markdown.

    Example: forgetscope certificate card certificate.json --key forgetscope.pub.pem --name my-model
    """
    print(model_card(_checked(file, key, at), name))  # noqa: T201 - exact, for files


def verified(envelope: bytes, key: Ed25519PublicKey, *, now: datetime) -> Statement:
    """The statement of a certificate that holds `now`. Raises InvalidInput where it does not."""
    payload = opened(envelope, key)
    try:
        statement = Statement.model_validate_json(payload)
    except ValidationError:
        raise InvalidInput(
            "the signature fits, but this is no certificate of an audit that is known here",
            hint="A newer version of ForgetScope may know it.",
        ) from None
    told = statement.predicate
    if now >= told.expires:
        raise InvalidInput(f"it has expired on {told.expires:%Y-%m-%d %H:%M} UTC")
    if now < told.issued:
        raise InvalidInput(f"it was issued later, on {told.issued:%Y-%m-%d %H:%M} UTC")
    return statement


def _checked(file: Path, key: Path, at: datetime | None) -> Statement:
    now = datetime.now(UTC) if at is None else at
    if now.tzinfo is None:
        now = now.replace(tzinfo=UTC)
    issuer = public_key(key)
    content = _read(file)
    try:
        return verified(content, issuer, now=now)
    except InvalidInput as error:
        err.print("[bold red]Not valid.[/]")
        complain(error.detail, where=str(file), hint=error.hint)
        raise typer.Exit(EXIT_FAILED) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        complain(f"cannot be read: {error.strerror}", where=str(path))
        raise typer.Exit(EXIT_INVALID) from None
