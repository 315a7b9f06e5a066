"""The part of the client that asks the power planner."""

from forgetscope.client._answers import parse, send_spec
from forgetscope.client._transport import Transport
from forgetscope.schema.power import PowerPlan, PowerRequest

__all__ = ["plan_power"]

# The server reads every row of the tasks before it answers.
READ_SECONDS = 600.0


def plan_power(transport: Transport, request: PowerRequest | dict[str, object]) -> PowerPlan:
    """See `Client.power`."""
    response = send_spec(transport, "/v1/plans/power", request, answer_seconds=READ_SECONDS)
    return parse(response, PowerPlan)
