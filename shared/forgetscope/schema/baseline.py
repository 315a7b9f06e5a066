"""Baselines: the model of an audit under a name, to be compared with later."""

from typing import Annotated

from pydantic import Field

from forgetscope.schema.audit import AuditedRef, BaselineSide
from forgetscope.schema.base import Digest, Slug, Value
from forgetscope.schema.experiment import ScoringSpec

__all__ = ["BaselineContents", "BaselineRequest", "BaselineTask", "BaselineView"]

AuditId = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        description="id of an audit that has succeeded",
        examples=["0b0f5c1e-4a3e-4a55-9d55-5a3b0c6d7e8f"],
    ),
]


class BaselineRequest(Value):
    """Which model is to be found under the name."""

    audit: AuditId
    side: BaselineSide = Field(
        default="candidate", description="of the audit: the model that was just released, usually"
    )


class BaselineTask(Value):
    """A task that the model was scored on, and with which items."""

    id: Slug
    name: Slug
    items: int = Field(ge=1)
    examples: Digest = Field(description="sha256 of the file of its items")


class BaselineContents(Value):
    """What a model was scored with, as its audit recorded it."""

    model: AuditedRef
    fingerprint: str = Field(description="changes with weights, tokenizer and configuration")
    engine: str
    evaluation: ScoringSpec
    tasks: tuple[BaselineTask, ...]


class BaselineView(BaselineContents):
    """A baseline. Its audit cannot be deleted meanwhile."""

    name: Slug
    audit: str = Field(description="id of the audit that scored it")
    side: BaselineSide
    created_at: float = Field(
        description="seconds since 1970, UTC: when the name got this audit and side"
    )
    links: dict[str, str]
