"""`forgetscope webhook`: who is told of events, and what became of it."""

import json
import time
from itertools import islice
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from forgetscope.cli.experiments import AsJson
from forgetscope.cli.talk import DEFAULT_URL, Url, err, out, talk
from forgetscope.schema.stage import RunKind
from forgetscope.schema.views import EventType
from forgetscope.schema.webhooks import (
    DEFAULT_EVENTS,
    DeliveryState,
    DeliveryTry,
    DeliveryView,
    WebhookChange,
    WebhookView,
)

__all__ = ["webhook"]

webhook = typer.Typer(help="Addresses that are told of events.", no_args_is_help=True)

WebhookArg = Annotated[str, typer.Argument(metavar="ID", help="Id of the webhook.")]
DeliveryArg = Annotated[
    str, typer.Argument(metavar="DELIVERY", help="Id of the delivery, as `deliveries` shows it.")
]
Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]


@webhook.command("add")
def add(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="http(s)://host/path")],
    event: Annotated[
        list[str] | None,
        typer.Option(help="Type to be told of; once for each. All but stage.progress if absent."),
    ] = None,
    run: Annotated[RunKind | None, typer.Option(help="Only of experiments, or audits.")] = None,
    description: Annotated[str, typer.Option(help="For people.")] = "",
    url: Url = DEFAULT_URL,
) -> None:
    """Register an address; prints its secret, which is not shown again, and its id.

    Example: forgetscope webhook add https://ci.example/in --event audit.succeeded
    """
    with talk(url) as client:
        made = client.webhooks.add(
            address, events=_types(event) or DEFAULT_EVENTS, run=run, description=description
        )
    err.print("Keep the secret: it is not shown again. Try it: forgetscope webhook test ID")
    print(f"{made.id} {made.secret}")  # noqa: T201 - bare, for scripts


@webhook.command("list")
def list_(limit: Limit = 20, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """List webhooks, newest first."""
    with talk(url) as client:
        found = list(islice(client.webhooks.list(), limit))
    if as_json:
        out.print_json(json.dumps([one.model_dump(mode="json") for one in found]))
        return
    if not found:
        err.print("There are no webhooks yet. Register one: forgetscope webhook add ADDRESS")
        return
    table = _table("id", "address", "events", "state")
    for one in found:
        table.add_row(one.id, escape(one.url), _events(one), _health(one))
    out.print(table)


@webhook.command("show")
def show(webhook_id: WebhookArg, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Show one webhook, and how its deliveries went of late."""
    with talk(url) as client:
        found = client.webhooks.get(webhook_id)
    if as_json:
        out.print_json(found.model_dump_json())
        return
    table = Table(show_header=False, box=None)
    last = "never" if found.last_delivered_at is None else _at(found.last_delivered_at)
    for name, value in (
        ("address", found.url),
        ("description", found.description or "–"),
        ("events", ", ".join(found.events)),
        ("of", f"{found.run}s" if found.run else "experiments and audits"),
        ("state", _health(found)),
        ("last delivered (UTC)", last),
        ("last error", found.last_error or "–"),
    ):
        table.add_row(name, escape(value))
    out.print(table)


@webhook.command("change")
def change(
    webhook_id: WebhookArg,
    address: Annotated[str | None, typer.Option(help="Another address.")] = None,
    event: Annotated[list[str] | None, typer.Option(help="Types, instead of those.")] = None,
    active: Annotated[
        bool | None, typer.Option("--active/--paused", help="Paused: events pass it by.")
    ] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Change the address, the events, or whether it is active."""
    with talk(url) as client:
        given = WebhookChange(url=address, events=_types(event), active=active)
        out.print(escape(_health(client.webhooks.change(webhook_id, given))))


@webhook.command("remove")
def remove(webhook_id: WebhookArg, url: Url = DEFAULT_URL) -> None:
    """Delete a webhook with its deliveries."""
    with talk(url) as client:
        client.webhooks.delete(webhook_id)
        out.print("Deleted.")


@webhook.command("rotate")
def rotate(webhook_id: WebhookArg, url: Url = DEFAULT_URL) -> None:
    """Replace the secret and print the new one. For a day both sign."""
    with talk(url) as client:
        print(client.webhooks.rotate(webhook_id).secret)  # noqa: T201 - bare, for scripts


@webhook.command("test")
def test(webhook_id: WebhookArg, url: Url = DEFAULT_URL) -> None:
    """Send a test message and print the id of its delivery."""
    with talk(url) as client:
        print(client.webhooks.test(webhook_id).id)  # noqa: T201 - bare, for scripts


@webhook.command("deliveries")
def deliveries(
    webhook_id: WebhookArg,
    state: Annotated[DeliveryState | None, typer.Option(help="Only those in this state.")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Show what was sent and is to be sent, newest first."""
    with talk(url) as client:
        found = list(islice(client.webhooks.deliveries(webhook_id, state=state), limit))
    if as_json:
        out.print_json(json.dumps([one.model_dump(mode="json") for one in found]))
        return
    table = _table("id", "event", "state", "attempts", "last attempt (UTC)", "next (UTC)")
    for one in found:
        table.add_row(
            *(one.id, one.type, one.state, str(len(one.attempts))),
            *(escape(_last(one.attempts)), _next(one)),
        )
    out.print(table)


@webhook.command("redeliver")
def redeliver(webhook_id: WebhookArg, delivery: DeliveryArg, url: Url = DEFAULT_URL) -> None:
    """Send a delivery once more, under the same id."""
    with talk(url) as client:
        out.print(f"The delivery is {client.webhooks.redeliver(webhook_id, delivery).state}.")


def _types(names: list[str] | None) -> tuple[EventType, ...] | None:
    """Raises ValidationError."""
    return WebhookChange.model_validate({"events": names or None}).events


def _table(*names: str) -> Table:
    table = Table(header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name in ("state", "attempts"))
    return table


def _events(found: WebhookView) -> str:
    every = "all but stage.progress" if found.events == DEFAULT_EVENTS else ", ".join(found.events)
    return every if found.run is None else f"{every}; {found.run}s only"


def _health(found: WebhookView) -> str:
    if not found.active:
        return "paused"
    return f"failing: {found.failures} in a row" if found.failures else "active"


def _at(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def _last(attempts: tuple[DeliveryTry, ...]) -> str:
    if not attempts:
        return "–"
    last = attempts[-1]
    if last.status is None and last.error is None:
        return f"{_at(last.at)} under way"
    return f"{_at(last.at)} {last.error or last.status}"


def _next(found: DeliveryView) -> str:
    if found.state != "pending":
        return "–"
    return "when active" if found.next_attempt_at is None else _at(found.next_attempt_at)
