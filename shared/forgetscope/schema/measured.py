"""A number with its interval, or the reason why there is none."""

from pydantic import Field, model_validator

from forgetscope.schema.base import Value

__all__ = ["Measured"]


class Measured(Value):
    """A number with its interval, or the reason why there is none.

    `interval_reason` says why a number has no interval (e.g. a single cluster). `left_out` counts
    the bootstrap replicates in which the number was undefined (no item of the group drawn, a
    denominator of 0); the interval is that of the others.
    """

    value: float | None = None
    reason: str | None = None
    low: float | None = None
    high: float | None = None
    interval_reason: str | None = None
    left_out: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _value_or_reason(self) -> "Measured":
        if (self.value is None) == (self.reason is None):
            raise ValueError("either a value or a reason")
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has two ends")
        return self
