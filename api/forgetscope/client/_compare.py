"""The part of the client that compares experiments."""

from urllib.parse import quote

from forgetscope.client._answers import parse
from forgetscope.client._transport import Transport
from forgetscope.schema.compare import Comparison

__all__ = ["compare", "compare_csv", "compare_html"]


def compare(transport: Transport, one: str, other: str) -> Comparison:
    """See `Client.compare`."""
    return parse(transport.send("GET", _path(one, other), repeatable=True), Comparison)


def compare_html(transport: Transport, one: str, other: str) -> str:
    """See `Client.compare_html`."""
    headers = {"Accept": "text/html"}
    path = f"{_path(one, other)}/report"
    return transport.send("GET", path, headers=headers, repeatable=True).text


def compare_csv(transport: Transport, one: str, other: str) -> str:
    """See `Client.compare_csv`."""
    headers = {"Accept": "text/csv"}
    return transport.send("GET", f"{_path(one, other)}/csv", headers=headers, repeatable=True).text


def _path(one: str, other: str) -> str:
    return f"/v1/experiments/{quote(one, safe='')}/compare/{quote(other, safe='')}"
