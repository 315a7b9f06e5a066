"""Which changes of an OpenAPI description break those who use the API.

A request is broken when something that was accepted is refused now; an answer when something may
be answered that could not be before, or a field is gone. ADR 25 tells why this is our own.
"""

from .operations import breaking_changes
from .schemas import Change
from .versions import may_break

__all__ = ["Change", "breaking_changes", "may_break"]
