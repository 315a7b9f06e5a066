"""Whether an audit is scored by servers: both of its models, or neither. Pure."""

from forgetscope.core.baselines import Pinned
from forgetscope.core.engines import ENDPOINT
from forgetscope.schema.audit import AuditSpec
from forgetscope.schema.endpoint import EndpointModel
from forgetscope.schema.errors import InvalidSpec

__all__ = ["ENDPOINT_REASON", "scored_by_servers"]

ENDPOINT_REASON = "endpoint, because the servers of the models score them."


def scored_by_servers(spec: AuditSpec, pinned: Pinned | None) -> bool:
    """Whether both models are behind endpoints. Raises InvalidSpec when only one is, or when an
    engine of this platform is asked for, which cannot see such models."""
    served = {
        "reference": isinstance(spec.reference, EndpointModel)
        if pinned is None
        else pinned.contents.engine == ENDPOINT,
        "candidate": isinstance(spec.candidate, EndpointModel),
    }
    if not any(served.values()):
        return False
    if not all(served.values()):
        behind, other = ("candidate", "reference") if served["candidate"] else (*served,)
        raise InvalidSpec(
            f"the {behind} is scored by its server and the {other} is not; scores of different "
            "engines are not compared.",
            where=f"/{other}",
            hint="Serve both, for example with `vllm serve FOLDER`, and name both as endpoints.",
        )
    if spec.evaluation.engine != "auto":
        raise InvalidSpec(
            f"models behind endpoints are scored by their servers, not by the engine "
            f"{spec.evaluation.engine!r}.",
            where="/evaluation/engine",
            hint="Leave it out.",
        )
    return True
