"""Everything the client raises.

ClientError
├── Unreachable          no answer came, however often it was tried
├── BadAnswer            something answered, but not as this API does
└── Answered             the server refused; `problem` says what, where and what to do
    ├── InvalidRequest   400, 405, 413, 415, 422
    ├── NotFound         404
    ├── Conflict         409
    └── ServerFailed     5xx
"""

import httpx
from pydantic import ValidationError

from forgetscope.schema.views import Problem

__all__ = [
    "Answered",
    "BadAnswer",
    "ClientError",
    "Conflict",
    "InvalidRequest",
    "NotFound",
    "ServerFailed",
    "Unreachable",
    "raise_for_problem",
]


class ClientError(Exception):
    """Base class."""


class Unreachable(ClientError):
    """No answer came, however often it was tried."""


class BadAnswer(ClientError):
    """Something answered, but not as this API does: another server or another version."""


class Answered(ClientError):
    """The server refused."""

    def __init__(self, problem: Problem) -> None:
        faults = [f"{item.pointer}: {item.detail}" for item in problem.errors]
        super().__init__(" ".join(filter(None, [*(faults or [problem.detail]), problem.hint])))
        self.problem = problem

    def __reduce__(self) -> tuple[type["Answered"], tuple[Problem]]:
        return type(self), (self.problem,)


class InvalidRequest(Answered):
    """What was asked cannot be right."""


class NotFound(Answered):
    """There is no such thing."""


class Conflict(Answered):
    """Not possible in the present state."""


class ServerFailed(Answered):
    """The server, or something behind it, failed."""


def raise_for_problem(response: httpx.Response) -> None:
    """Raise the exception that stands for an error answer; its body must be read."""
    if response.status_code < 400:
        return
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        raise BadAnswer(
            f"{response.request.method} {response.request.url} was answered by "
            f"{response.status_code} without a problem description: is this a ForgetScope server?"
        ) from None
    match response.status_code:
        case 404:
            raise NotFound(problem)
        case 409:
            raise Conflict(problem)
        case status if status < 500:
            raise InvalidRequest(problem)
    raise ServerFailed(problem)
