"""The base of every value in the vocabulary."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints

__all__ = ["Digest", "JsonObject", "Slug", "StageKey", "Text", "Value"]

JsonObject = dict[str, JsonValue]

# PostgreSQL text cannot hold NUL, so it is refused at the door for every string.
_NO_NUL = r"^[^\x00]*$"
Text = Annotated[str, StringConstraints(pattern=_NO_NUL, max_length=4096)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
StageKey = Digest


class Value(BaseModel):
    """A frozen value. Unknown keys are refused, so that a typo never silently means the default.

    Non-finite floats are refused on the way in: JSON has none, and "undefined" is a value with a
    reason in this project, never NaN.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants"
    )
