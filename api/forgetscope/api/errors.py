"""Errors as RFC 9457 problems. `ROWS` is the only table from error class to HTTP status."""

from typing import NamedTuple

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from forgetscope.api.faults import body_faults, parameter_faults
from forgetscope.schema import errors
from forgetscope.schema.errors import ForgetScopeError
from forgetscope.schema.views import Problem, ProblemItem

__all__ = [
    "HANDLERS",
    "ROWS",
    "Internal",
    "MalformedBody",
    "MethodNotAllowed",
    "Row",
    "UnsupportedMediaType",
    "answer",
    "problem_of",
    "type_of",
]

log = structlog.get_logger(__name__)

MAX_TEXT = 1000
RETRY_AFTER_SECONDS = 2


class MalformedBody(errors.InvalidInput):
    code = "malformed-body"
    title = "The request body is not valid JSON"


class UnsupportedMediaType(errors.InvalidInput):
    code = "unsupported-media-type"
    title = "The request body has a media type that is not read here"


class MethodNotAllowed(errors.InvalidInput):
    code = "method-not-allowed"
    title = "The resource has no such method"


class Internal(ForgetScopeError):
    code = "internal"
    title = "The server failed"


class Row(NamedTuple):
    """`meaning` is what `/problems/{code}` says."""

    error: type[ForgetScopeError]
    status: int
    meaning: str


ROWS: tuple[Row, ...] = (
    Row(
        errors.InvalidInput,
        422,
        "A parameter or a field has a value that cannot be right. `errors` points to each fault "
        "in the body. Correct it and send the request again.",
    ),
    Row(
        errors.InvalidSpec,
        422,
        "Fields of the specification contradict each other, or the plan made from them.",
    ),
    Row(
        errors.UnknownName,
        422,
        "A model, task, method, engine or data file is named that this server does not have. "
        "GET /v1/tasks and GET /v1/catalogue list what it has.",
    ),
    Row(
        errors.NotEnoughExamples,
        422,
        "More examples are asked for than the data set holds. Samples are never repeated "
        "silently: ask for fewer.",
    ),
    Row(
        errors.BadRow,
        422,
        "A row of a data set's file breaks its schema. File and row number are in `detail`. Rows "
        "are never skipped: mend the file.",
    ),
    Row(
        errors.DataChanged,
        422,
        "A file is no longer what it was when the experiment was planned. Submit again to plan "
        "with the present file.",
    ),
    Row(
        errors.PathNotAllowed,
        422,
        "A path leads out of the folders that the server may read.",
    ),
    Row(
        errors.EndpointNotAllowed,
        422,
        "The server behind an endpoint is not at or below an address that FORGETSCOPE_ENDPOINTS "
        "names.",
    ),
    Row(
        errors.TargetNotAllowed,
        422,
        "A webhook points to a host that the server's allow-list does not have, or to a private "
        "address that is not on it. FORGETSCOPE_WEBHOOK_HOSTS is the list.",
    ),
    Row(
        errors.UnsafeWeights,
        422,
        "Pickled weights and code from model repositories can run anything, so they are refused. "
        "Convert the weights to safetensors.",
    ),
    Row(errors.AdapterMismatch, 422, "The adapter was trained for another base model."),
    Row(
        errors.PlanTooLarge,
        422,
        "The specification expands to more stages than the server allows. Use fewer chains or "
        "seeds, or several experiments: equal stages are shared between them.",
    ),
    Row(
        errors.TooLarge,
        413,
        "The request body is larger than the server accepts, or the rows of a data set are more, "
        "or take more memory or time, than it allows.",
    ),
    Row(
        MalformedBody,
        400,
        "The request body is not JSON in UTF-8 as RFC 7493 (I-JSON) has it, or it broke off.",
    ),
    Row(
        UnsupportedMediaType,
        415,
        "Send the body as JSON and say so: `Content-Type: application/json`. Data sets are sent as "
        "`application/x-ndjson` or `application/vnd.apache.parquet`, without a content coding.",
    ),
    Row(MethodNotAllowed, 405, "The `Allow` header lists the methods that the resource has."),
    Row(errors.NotFound, 404, "There is nothing at this address, or it has been deleted."),
    Row(
        errors.Conflict,
        409,
        "The request does not fit the present state: for example, an experiment that is over "
        "cannot be cancelled, and a live one cannot be deleted.",
    ),
    Row(
        errors.IdempotencyConflict,
        409,
        "The Idempotency-Key was sent before with another body. Use a new key per request.",
    ),
    Row(
        errors.Unavailable,
        503,
        "Database, broker or object store does not answer. Nothing was stored half; try again "
        "after the time in `Retry-After`.",
    ),
    Row(
        errors.CorruptBlob,
        500,
        "Stored bytes do not have the sha256 under which they were stored, so they are not "
        "handed out. Restore the object store from a backup, or delete the experiment and run it "
        "again.",
    ),
    Row(errors.StageFailed, 500, "A stage ended badly. The stage's attempts tell more."),
    Row(
        errors.TrainingDiverged,
        500,
        "The loss or its gradient is no longer a number. A lower learning rate usually helps.",
    ),
    Row(errors.StageCancelled, 500, "A stage ended because it was asked to."),
    Row(errors.WorkerDied, 500, "The process that ran a stage was killed or ran out of memory."),
    Row(
        Internal,
        500,
        "A fault of the server that it did not foresee. `instance` is the id under which its log "
        "has the details.",
    ),
)

_BY_CLASS = {row.error: row for row in ROWS}


def type_of(error: type[ForgetScopeError]) -> str:
    """The stable problem type: a URI reference that resolves to an explanation."""
    return f"/problems/{error.code}"


def row_of(error: type[ForgetScopeError]) -> Row:
    return _BY_CLASS[error]


def problem_of(error: ForgetScopeError, faults: tuple[ProblemItem, ...] = ()) -> Problem:
    """The problem that an error is to the outside. A `where` that is a JSON pointer becomes an
    item of `errors`."""
    detail = error.detail
    if error.where is not None and error.where.startswith("/") and not faults:
        faults = (ProblemItem(pointer=error.where, detail=detail[:MAX_TEXT]),)
    elif error.where is not None:
        detail = f"{error.where}: {detail}"
    return Problem(
        type=type_of(type(error)),
        title=error.title,
        status=row_of(type(error)).status,
        detail=detail[:MAX_TEXT],
        hint=error.hint,
        errors=faults,
    )


def answer(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    return Response(
        problem.model_dump_json(exclude_none=True),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=headers,
    )


async def on_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ForgetScopeError)
    if type(error) not in _BY_CLASS:
        raise error  # not meant for the outside: it leaves as an id
    problem = problem_of(error)
    if problem.status >= 500:
        log.warning("request.failed", code=error.code, detail=problem.detail)
    if isinstance(error, errors.Unavailable):
        return answer(problem, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    return answer(problem)


async def on_invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    places = {fault["loc"][0] for fault in found}
    if "path" in places:
        return answer(problem_of(errors.NotFound("there is nothing at this address")))
    if places != {"body"}:
        return answer(problem_of(errors.InvalidInput(parameter_faults(found))))
    faults = body_faults(found, error.body)
    first = f"{faults[0].pointer or 'the body'}: {faults[0].detail}"
    more = f" ({len(faults) - 1} more under `errors`)" if len(faults) > 1 else ""
    return answer(problem_of(errors.InvalidInput(first + more), faults))


async def on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = ", ".join(sorted(_methods_of(request)))
        refused = MethodNotAllowed(
            f"{request.method} is not possible here", hint=f"Possible: {allowed}."
        )
        return answer(problem_of(refused), {"Allow": allowed})
    if error.status_code == 404:
        return answer(problem_of(errors.NotFound("there is nothing at this address")))
    if error.status_code < 500:
        return answer(problem_of(MalformedBody(str(error.detail))))
    return answer(problem_of(Internal(str(error.detail))))


def _methods_of(request: Request) -> set[str]:
    """Of every route at this path: Starlette's own header names those of the first one only."""
    return {
        method
        for route in request.app.routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in getattr(route, "methods", None) or ()
    }


HANDLERS = {
    ForgetScopeError: on_error,
    RequestValidationError: on_invalid_request,
    HTTPException: on_http_exception,
}
