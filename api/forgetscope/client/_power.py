"""The part of the client that asks the power planner."""

from pydantic import TypeAdapter

from forgetscope.client._answers import parse
from forgetscope.client._transport import Transport
from forgetscope.schema.power import PowerPlan, PowerRequest

__all__ = ["plan_power"]

# The server reads every row of the tasks before it answers.
READ_SECONDS = 600.0


def plan_power(transport: Transport, request: PowerRequest | dict[str, object]) -> PowerPlan:
    """See `Client.power`."""
    content = (
        request.model_dump_json()
        if isinstance(request, PowerRequest)
        else TypeAdapter(dict[str, object]).dump_json(request).decode()
    )
    response = transport.send(
        "POST",
        "/v1/plans/power",
        content=content,
        headers={"Content-Type": "application/json"},
        answer_seconds=READ_SECONDS,
        repeatable=True,
    )
    return parse(response, PowerPlan)
