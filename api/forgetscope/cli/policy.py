"""`forgetscope policy`: what a policy says, in words and as a schema."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from forgetscope.cli.files import read_object
from forgetscope.cli.talk import out, reported
from forgetscope.core.audit_outputs.explain import explain
from forgetscope.schema.policy import Policy

__all__ = ["policy", "read_policy"]

policy = typer.Typer(help="Policies of audits; nothing here needs a server.", no_args_is_help=True)


@policy.command("check")
def check(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Policy in YAML or JSON; - is standard input.")
    ],
) -> None:
    """Check a policy and say in words what it blocks, by which margins, and what is waived.

    Leaves with 3 when it is not valid. Example: forgetscope policy check policy.yaml
    """
    for sentence in explain(read_policy(file), today=datetime.now(UTC).date()):
        out.print(sentence, markup=False, soft_wrap=True)


@policy.command("schema")
def schema() -> None:
    """Print the JSON Schema of policies, for editors."""
    print(json.dumps(Policy.model_json_schema(), indent=1))  # noqa: T201 - exact, for files


def read_policy(file: str) -> Policy:
    """The policy of a file. Leaves with a message when it is not valid."""
    with reported():
        return Policy.model_validate(
            read_object(file, "a policy is an object with the fields name and tasks")
        )
