"""Every error the platform raises on purpose.

    ForgetScopeError
    ├── InvalidInput            what was asked cannot be right; asking again changes nothing
    │   ├── InvalidSpec         a field contradicts another one, or the plan
    │   ├── UnknownName         model, task, engine or method that is not in the catalogue
    │   ├── NotEnoughExamples   more examples asked than the data set holds
    │   ├── BadRow              a row of a data set breaks its schema
    │   ├── DataChanged         a source no longer is what was planned
    │   ├── PathNotAllowed      a path outside the allowed roots
    │   ├── EndpointNotAllowed  a server that audits may not call
    │   ├── TargetNotAllowed    an address that webhooks may not be sent to
    │   ├── UnsafeWeights       pickled weights or remote code
    │   ├── AdapterMismatch     an adapter that was made for another base
    │   ├── PlanTooLarge        a spec that expands past the limit
    │   └── TooLarge            a body past the limit
    ├── NotFound                no such experiment, stage, artefact
    ├── Conflict                not possible in the present state
    │   └── IdempotencyConflict same key, other request
    ├── Unavailable             database, broker or store does not answer; try again
    ├── CorruptBlob             stored bytes do not match their digest
    └── StageFailed             a stage ended badly in its worker
        ├── StageCancelled      ended because it was asked to
        ├── TrainingDiverged    the loss or the gradient is no longer a number
        └── WorkerDied          the process ended without a word (killed, out of memory)

No class knows an HTTP status: `forgetscope.api.errors` holds the only table. `code` is stable and
part of the public contract; `permanent` says that a retry of the same work cannot succeed.
"""

from typing import ClassVar

__all__ = [
    "AdapterMismatch",
    "BadRow",
    "Conflict",
    "CorruptBlob",
    "DataChanged",
    "EndpointNotAllowed",
    "ForgetScopeError",
    "IdempotencyConflict",
    "InvalidInput",
    "InvalidSpec",
    "NotEnoughExamples",
    "NotFound",
    "PathNotAllowed",
    "PlanTooLarge",
    "StageCancelled",
    "StageFailed",
    "TargetNotAllowed",
    "TooLarge",
    "TrainingDiverged",
    "Unavailable",
    "UnknownName",
    "UnsafeWeights",
    "WorkerDied",
]


class ForgetScopeError(Exception):
    """Base class. `detail` says what, `where` points into the input, `hint` says what to do."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"
    permanent: ClassVar[bool] = False

    def __init__(self, detail: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.where = where
        self.hint = hint

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (_rebuild, (type(self), self.detail, self.where, self.hint))

    def __str__(self) -> str:
        parts = [self.detail if self.where is None else f"{self.where}: {self.detail}"]
        if self.hint:
            parts.append(self.hint)
        return " ".join(parts)


def _rebuild(
    kind: type[ForgetScopeError], detail: str, where: str | None, hint: str | None
) -> ForgetScopeError:
    return kind(detail, where=where, hint=hint)


class InvalidInput(ForgetScopeError):
    code = "invalid-input"
    title = "The input is not valid"
    permanent = True


class InvalidSpec(InvalidInput):
    code = "invalid-spec"
    title = "The specification is not valid"


class UnknownName(InvalidInput):
    code = "unknown-name"
    title = "Nothing is known by this name"


class NotEnoughExamples(InvalidInput):
    code = "not-enough-examples"
    title = "The data set holds fewer examples than asked"


class BadRow(InvalidInput):
    code = "bad-row"
    title = "A row of the data set breaks its schema"


class DataChanged(InvalidInput):
    code = "data-changed"
    title = "A source changed since it was planned"


class PathNotAllowed(InvalidInput):
    code = "path-not-allowed"
    title = "The path lies outside the allowed roots"


class EndpointNotAllowed(InvalidInput):
    code = "endpoint-not-allowed"
    title = "Audits may not call this server"


class TargetNotAllowed(InvalidInput):
    code = "target-not-allowed"
    title = "Webhooks may not be sent to this address"


class UnsafeWeights(InvalidInput):
    code = "unsafe-weights"
    title = "Only safetensors weights are read"


class AdapterMismatch(InvalidInput):
    code = "adapter-mismatch"
    title = "The adapter does not fit this base model"


class PlanTooLarge(InvalidInput):
    code = "plan-too-large"
    title = "The specification expands past the limit"


class TooLarge(InvalidInput):
    code = "too-large"
    title = "The request body is too large"


class NotFound(ForgetScopeError):
    code = "not-found"
    title = "There is no such thing"
    permanent = True


class Conflict(ForgetScopeError):
    code = "conflict"
    title = "Not possible in the present state"
    permanent = True


class IdempotencyConflict(Conflict):
    code = "idempotency-conflict"
    title = "This Idempotency-Key was used for another request"


class Unavailable(ForgetScopeError):
    code = "unavailable"
    title = "A component does not answer"


class CorruptBlob(ForgetScopeError):
    code = "corrupt-blob"
    title = "Stored bytes do not match their digest"


class StageFailed(ForgetScopeError):
    code = "stage-failed"
    title = "The stage failed"


class StageCancelled(StageFailed):
    code = "stage-cancelled"
    title = "The stage was cancelled"


class TrainingDiverged(StageFailed):
    code = "training-diverged"
    title = "The training diverged"
    permanent = True


class WorkerDied(StageFailed):
    code = "worker-died"
    title = "The worker process ended unexpectedly"
