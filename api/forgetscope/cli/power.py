"""`forgetscope power`: what a design can show, before anything is trained."""

import json
from typing import Annotated, Any

import typer
import yaml

from forgetscope.cli.experiments import AsJson
from forgetscope.cli.files import read_object, with_task_files
from forgetscope.cli.power_tables import power_tables
from forgetscope.cli.talk import DEFAULT_URL, EXIT_INVALID, Url, complain, out, talk
from forgetscope.schema.power import Quantity

__all__ = ["power"]

EXIT_USAGE = 2


def power(  # noqa: PLR0917 - each is an option
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="An experiment, or what POST /v1/plans/power takes, in YAML or JSON.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Name of a task, instead of a file.", show_default=False)
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(help="Parameter of --task, e.g. categories=[Religion]; may be repeated."),
    ] = None,
    margin: Annotated[
        list[float] | None,
        typer.Option(help="As a fraction; may be repeated. Default 0.05.", show_default=False),
    ] = None,
    quantity: Annotated[
        Quantity | None, typer.Option(help="Default biased_forgetting.", show_default=False)
    ] = None,
    effect: Annotated[
        float | None, typer.Option(help="The true effect to plan for, as a fraction.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Training runs.")] = None,
    lost: Annotated[
        float | None, typer.Option(help="Share of items right before and wrong after.")
    ] = None,
    gained: Annotated[
        float | None, typer.Option(help="Share of items wrong before and right after.")
    ] = None,
    icc: Annotated[
        float | None, typer.Option(help="Correlation of items of a cluster (template).")
    ] = None,
    confidence: Annotated[float | None, typer.Option(help="Default 0.95.")] = None,
    target_power: Annotated[float | None, typer.Option(help="Default 0.8.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Plan the power of a design: which groups can be judged at all, and what it would take.

    Values that are not given are assumed, and the answer says so.
    Example: forgetscope power --task bbq --param categories=[Religion] --margin 0.05
    """
    request = _request(file, task, param or [])
    if (lost is None) != (gained is None):
        complain("--lost and --gained go together")
        raise typer.Exit(EXIT_USAGE)
    given: dict[str, object] = {
        "margins": margin or None,
        "quantity": quantity,
        "effect": effect,
        "seeds": seeds,
        "expected": None if lost is None else {"lost": lost, "gained": gained},
        "icc": icc,
        "confidence": confidence,
        "target_power": target_power,
    }
    request |= {name: value for name, value in given.items() if value is not None}
    with talk(url) as client:
        plan = client.power(request)
    if as_json:
        out.print_json(plan.model_dump_json())
        return
    for part in power_tables(plan):
        out.print(part, "")


def _request(file: str | None, task: str | None, params: list[str]) -> dict[str, object]:
    if (file is None) == (task is None):
        complain("give either a file or --task", hint="For example: forgetscope power --task bbq")
        raise typer.Exit(EXIT_USAGE)
    if task is not None:
        return {"tasks": [{"name": task, "params": dict(map(_param, params))}]}
    if params:
        complain("--param goes with --task")
        raise typer.Exit(EXIT_USAGE)
    found = with_task_files(
        read_object(str(file), "a file with tasks, or sizes, as an object"), str(file)
    )
    return _of_experiment(found) if "chains" in found else found


def _of_experiment(spec: dict[str, object]) -> dict[str, object]:
    """What an experiment says of its power: tasks, seeds, and how it will be analysed."""
    request: dict[str, object] = {"tasks": spec.get("tasks", [])}
    seeds, analysis = spec.get("seeds", [0]), spec.get("analysis", {})
    if isinstance(seeds, list):
        request["seeds"] = len(seeds)
    if isinstance(analysis, dict):
        names = ("confidence", "min_group_items", "min_group_clusters")
        request |= {name: analysis[name] for name in names if name in analysis}
    return request


def _param(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    try:
        if not (name and found):
            raise ValueError
        # As in a task file: [Religion], 3, true, or plain text.
        return name, json.loads(json.dumps(yaml.safe_load(value), allow_nan=False))
    except (yaml.YAMLError, TypeError, ValueError):
        complain(f"{text!r} is no parameter", hint="For example: --param categories=[Religion]")
        raise typer.Exit(EXIT_INVALID) from None
