"""Recognise the model behind an endpoint, when an audit is submitted and around each scoring."""

from forgetscope.core.endpoints import PROBES, Echo, Refused, describe_endpoint, difference
from forgetscope.ports.endpoint import Endpoints
from forgetscope.schema.endpoint import EndpointInfo, EndpointModel
from forgetscope.schema.errors import DataChanged, InvalidInput

__all__ = ["look_at", "require_same"]


def look_at(endpoints: Endpoints, model: EndpointModel) -> EndpointInfo:
    """Ask the probes, each alone and all at once. Raises as `Endpoints` does."""
    served = endpoints.served(model)
    limit = served.max_model_len
    alone = [_taken(model, *endpoints.echo(model, [probe], limit)) for probe in PROBES]
    together = [_taken(model, echo) for echo in endpoints.echo(model, PROBES, limit)]
    return describe_endpoint(model, served, alone, together)


def require_same(planned: EndpointInfo, now: EndpointInfo) -> None:
    """Raises DataChanged when another model answers than the one that was planned with."""
    found = difference(planned, now)
    if found is not None:
        raise DataChanged(
            f"the model {planned.model.model!r} is not what was planned with: {found}.",
            where=planned.model.url,
            hint="Submit the audit again, and leave the server as it is until it has ended.",
        )


def _taken(model: EndpointModel, echo: Echo | Refused) -> Echo:
    if isinstance(echo, Refused):
        raise InvalidInput(
            f"the server does not take a text of a few words: {echo.reason}.",
            where=model.url,
            hint="It must take `echo: true` with `logprobs: 1` and `max_tokens: 0`, as `vllm "
            "serve` does.",
        )
    return echo
