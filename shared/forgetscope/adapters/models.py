"""Base models from everywhere: each kind of reference goes to the adapter that knows it."""

from pathlib import Path

from forgetscope.adapters.models_endpoint import EndpointModels
from forgetscope.adapters.models_files import FileModels
from forgetscope.adapters.models_hub import HubModels
from forgetscope.ports.models import ModelFacts
from forgetscope.schema.audit import AuditedRef
from forgetscope.schema.endpoint import EndpointModel
from forgetscope.schema.experiment import HubModel, ModelRef

__all__ = ["ModelSources"]


class ModelSources:
    def __init__(self, files: FileModels, hub: HubModels, endpoints: EndpointModels) -> None:
        self._files = files
        self._hub = hub
        self._endpoints = endpoints

    def inspect(self, ref: AuditedRef) -> ModelFacts:
        if isinstance(ref, EndpointModel):
            return self._endpoints.inspect(ref)
        return self._hub.inspect(ref) if isinstance(ref, HubModel) else self._files.inspect(ref)

    def published(self, ref: ModelRef) -> ModelFacts | None:
        return self._hub.published(ref) if isinstance(ref, HubModel) else None

    def materialise(self, ref: ModelRef, folder: Path) -> None:
        if isinstance(ref, HubModel):
            self._hub.materialise(ref, folder)
        else:
            self._files.materialise(ref, folder)
