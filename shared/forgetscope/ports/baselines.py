"""The baselines: names for models as audits have scored them, and audits against them.

Every method is one transaction. Raises `Unavailable` when the database does not answer.
"""

from collections.abc import Collection
from typing import NamedTuple, Protocol

from forgetscope.ports.records import Bell
from forgetscope.schema.audit import AuditSpec, BaselineSide
from forgetscope.schema.baseline import BaselineContents
from forgetscope.schema.plan import Plan
from forgetscope.schema.views import Page

__all__ = ["BaselineRow", "Baselines"]


class BaselineRow(NamedTuple):
    """A baseline as recorded. `created_at` is when the name got this audit and side."""

    name: str
    audit_id: str
    side: BaselineSide
    contents: BaselineContents
    created_at: float


class Baselines(Protocol):
    """See the module's docstring."""

    def put_baseline(
        self,
        name: str,
        audit_id: str,
        side: BaselineSide,
        contents: BaselineContents,
        *,
        replace: bool,
    ) -> tuple[BaselineRow, bool]:
        """Give a model of an audit that has succeeded this name. Returns (row, created); the same
        audit and side again are the first record, and created=False. The audit, and with it the
        scores, cannot be deleted while a baseline names it.

        Raises NotFound for the audit; Conflict, unless `replace`, when the name stands for another
        model.
        """

    def baseline(self, name: str) -> BaselineRow:
        """Raises NotFound."""

    def baselines(self, *, cursor: str | None, limit: int) -> Page[BaselineRow]:
        """Newest first. Raises InvalidInput for a foreign cursor."""

    def delete_baseline(self, name: str) -> None:
        """Forget the name. Audits against it keep what they were planned with. Raises NotFound."""

    def submitted(self, idempotency_key: str, request_digest: str) -> str | None:
        """Id of the experiment or audit that was submitted with this key, if there is one. It stays
        the answer when the baseline has changed since.

        Raises IdempotencyConflict when that key was used with another `request_digest`.
        """

    def add_audit(
        self,
        audit_id: str,
        spec: AuditSpec,
        plan: Plan,
        *,
        pinned: Collection[str],
        idempotency_key: str | None,
        request_digest: str,
    ) -> tuple[str, bool, tuple[Bell, ...]]:
        """`Records.add_experiment`, if the stages `pinned` (keys) have all succeeded: none of them
        is to run for this audit. From then on they are the audit's own, too.

        Raises Conflict when one of them has not, or is gone; what `Records.add_experiment` raises.
        """
