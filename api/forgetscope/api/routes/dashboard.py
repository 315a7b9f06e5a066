"""The dashboard at `/`: files that lie beside the code, read once. It speaks to /v1 only."""

import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from fastapi import APIRouter, Response

from forgetscope.api.gateway import IfNoneMatch
from forgetscope.api.strict import StrictRoute
from forgetscope.schema.errors import NotFound

__all__ = ["router"]

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PAGE = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Scripts, styles and data from this server alone; no inline script, no HTML made from strings.
POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


class _Asset(NamedTuple):
    content: bytes
    media_type: str
    tag: str


@router.get("/")
def get_page(if_none_match: IfNoneMatch = None) -> Response:
    """The page; which view it shows stands behind the # of its address."""
    return _answer(_assets()[PAGE], if_none_match)


@router.get("/static/{path:path}")
def get_asset(path: str, if_none_match: IfNoneMatch = None) -> Response:
    """A script, a style sheet or the icon. Raises NotFound for any other path."""
    asset = _assets().get(path)
    if asset is None:
        raise NotFound("the dashboard has no such file")
    return _answer(asset, if_none_match)


def _answer(asset: _Asset, if_none_match: str | None) -> Response:
    # no-cache: kept, but asked about each time, so that no page mixes two versions.
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY,
        "ETag": asset.tag,
    }
    if if_none_match is not None and asset.tag in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)


@cache
def _assets() -> dict[str, _Asset]:
    """Every file of the dashboard by its path below the folder."""
    return dict(_walk(files("forgetscope.api") / "dashboard", ""))


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, _Asset]]:
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        path = prefix + entry.name
        if entry.is_dir():
            found += _walk(entry, f"{path}/")
        elif (suffix := "." + entry.name.rpartition(".")[2]) in MEDIA_TYPES:
            content = entry.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()}"'
            found.append((path, _Asset(content, MEDIA_TYPES[suffix], tag)))
    return found
