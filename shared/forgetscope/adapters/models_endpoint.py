"""Models behind a server, as an audit looks at them: what they say, because nobody sees them."""

from forgetscope.app.endpoints import look_at
from forgetscope.ports.endpoint import Endpoints
from forgetscope.ports.models import ModelFacts
from forgetscope.schema.endpoint import EndpointModel

__all__ = ["EndpointModels"]


class EndpointModels:
    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def inspect(self, ref: EndpointModel) -> ModelFacts:
        info = look_at(self._endpoints, ref)
        note = (
            f"The weights behind {ref.url} are not seen: the model is recognised by its answers to "
            "fixed probes. Its number of parameters and its dtype are not known, and it reads what "
            "its server takes (max_length is not applied)."
        )
        return ModelFacts(info.fingerprint, None, note, endpoint=info)
