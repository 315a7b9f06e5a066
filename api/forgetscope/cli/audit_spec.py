"""The specification of an audit from a file and options, and where its models lie."""

import re
from pathlib import Path

import typer

from forgetscope.cli.files import read_object, with_task_files
from forgetscope.cli.policy import read_policy
from forgetscope.cli.talk import EXIT_INVALID, complain

__all__ = ["audit_spec", "is_baseline", "model_ref", "model_roots"]

HUB = re.compile(r"hub:(?P<id>[^@]+)@(?P<revision>[0-9a-f]{40})")


def audit_spec(
    file: str | None,
    *,
    reference: str | None,
    baseline: str | None,
    candidate: str | None,
    tasks: list[str],
    policy: str | None,
) -> dict[str, object]:
    """What the server takes. Options replace what the file says. Leaves with a message when a part
    is missing or the policy is not valid; everything else is checked by the server."""
    what = "an audit is an object with the fields reference, candidate, tasks and policy"
    spec = {} if file is None else with_task_files(read_object(file, what), file)
    if reference is not None and baseline is not None:
        complain("--reference and --baseline both name the reference", hint="Use one of them.")
        raise typer.Exit(EXIT_INVALID)
    if reference is not None:
        spec["reference"] = model_ref(reference)
    if baseline is not None:
        spec["reference"] = {"source": "baseline", "name": baseline}
    if candidate is not None:
        spec["candidate"] = model_ref(candidate)
    if tasks:
        spec["tasks"] = list(tasks)
    if policy is not None:
        spec["policy"] = read_policy(policy).model_dump(mode="json")
    for part in ("reference", "candidate", "tasks", "policy"):
        if part not in spec:
            options = {"tasks": "--task", "reference": "--reference or --baseline"}
            option = options.get(part, f"--{part}")
            complain(f"the audit has no {part}", hint=f"Say it in the file or with {option}.")
            raise typer.Exit(EXIT_INVALID)
    return spec


def is_baseline(reference: object) -> bool:
    """Whether the reference of a specification is one."""
    return isinstance(reference, dict) and reference.get("source") == "baseline"


def model_ref(text: str) -> dict[str, object]:
    """`builtin:tiny`, `hub:ID@COMMIT`, `s3://…`, `endpoint:URL#NAME`, or a folder."""
    if text.startswith("s3://"):
        return {"source": "s3", "uri": text}
    if text.startswith("builtin:"):
        return {"source": "builtin", "name": text.removeprefix("builtin:")}
    if found := HUB.fullmatch(text):
        return {"source": "hub", **found.groupdict()}
    if text.startswith("hub:"):
        complain(
            f"{text!r} names no commit",
            hint="For example: hub:org/model@ and 40 hexadecimal digits",
        )
        raise typer.Exit(EXIT_INVALID)
    if text.startswith("endpoint:"):
        url, _, name = text.removeprefix("endpoint:").partition("#")
        if name:
            return {"source": "endpoint", "url": url, "model": name}
        complain(
            f"{text!r} does not say which of the server's models",
            hint="For example: endpoint:http://127.0.0.1:8000#my-model",
        )
        raise typer.Exit(EXIT_INVALID)
    return {"source": "local", "path": text}


def model_roots(spec: dict[str, object], file: str | None) -> tuple[Path, ...]:
    """Folders that a platform on this machine may read models from: this one, that of the file,
    and those that the specification names by their whole path."""
    roots = [Path.cwd()]
    if file is not None and file != "-":
        roots.append(Path(file).resolve().parent)
    for part in ("reference", "candidate"):
        model = spec[part]
        if isinstance(model, dict) and model.get("source") == "local":
            named = [model.get("path"), model.get("adapter")]
            roots += [Path(p) for p in named if isinstance(p, str) and Path(p).is_absolute()]
    return tuple(dict.fromkeys(roots))
