"""What the endpoints get: the platform, and their parameters by name."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, NamedTuple

from fastapi import Depends, Header, Path, Query, Request

from forgetscope.app.platform import Platform
from forgetscope.schema.stage import RunKind

__all__ = [
    "CursorQuery",
    "ExperimentId",
    "Gateway",
    "GatewayDep",
    "IfNoneMatch",
    "LimitQuery",
    "PlatformDep",
    "StageKeyPath",
    "TodayDep",
    "only",
]


class Gateway(NamedTuple):
    """The state of the application, built once by `create_app`."""

    platform: Platform
    version: str
    wiring: str


async def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


async def _platform(request: Request) -> Platform:
    return (await _gateway(request)).platform


GatewayDep = Annotated[Gateway, Depends(_gateway)]
PlatformDep = Annotated[Platform, Depends(_platform)]


async def _today() -> date:
    return datetime.now(UTC).date()


TodayDep = Annotated[date, Depends(_today)]

ExperimentId = Annotated[
    str,
    Path(
        alias="id",
        description="id of the experiment or audit",
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        examples=["0b0f5c1e-4a3e-4a55-9d55-5a3b0c6d7e8f"],
    ),
]


def only(kind: RunKind) -> Callable[[Platform, str], None]:
    """A dependency: nothing is found by the id of another kind."""

    def check(platform: PlatformDep, experiment_id: ExperimentId) -> None:
        platform.records.state(experiment_id, kind=kind)

    return check


StageKeyPath = Annotated[
    str, Path(alias="key", description="key of the stage", pattern=r"^[0-9a-f]{64}$")
]
CursorQuery = Annotated[
    str | None,
    Query(max_length=1000, description="`next_cursor` of the page before; absent: first page"),
]
LimitQuery = Annotated[int, Query(ge=1, le=200, description="items per page")]
IfNoneMatch = Annotated[
    str | None,
    Header(
        description="ETag of the copy at hand; answered by 304 while it is current",
        pattern=r"^[\x20-\x7e]*$",
    ),
]
