"""What can be known of a base model without loading it."""

from pathlib import Path
from typing import NamedTuple, Protocol

from forgetscope.core.model_shape import ModelShape
from forgetscope.schema.audit import AuditedRef
from forgetscope.schema.endpoint import EndpointInfo
from forgetscope.schema.experiment import ModelRef

__all__ = ["ModelFacts", "Models"]


class ModelFacts(NamedTuple):
    """`fingerprint` changes whenever the weights, the tokenizer or the configuration do.

    `parameters` and `head_size` (of attention) are None where they cannot be known before
    download, with the reason in `note`. `labels` are those of a text classification model, None
    for any other and where they cannot be known before download. `shape` is None for a model whose
    configuration does not tell it. `endpoint` is what is known of a model behind a server, None
    for any other.
    """

    fingerprint: str
    parameters: int | None
    note: str | None = None
    head_size: int | None = None
    labels: tuple[str, ...] | None = None
    shape: ModelShape | None = None
    endpoint: EndpointInfo | None = None


class Models(Protocol):
    """Base models by reference. Weights are safetensors only; remote code never runs."""

    def inspect(self, ref: AuditedRef) -> ModelFacts:
        """Look without loading.

        Raises UnknownName, PathNotAllowed, UnsafeWeights, AdapterMismatch; for a model behind an
        endpoint as `ports.endpoint.Endpoints` does.
        """

    def published(self, ref: ModelRef) -> ModelFacts | None:
        """What is published of a model whose files are not at hand: for planning, not for running.
        None where nothing is."""

    def materialise(self, ref: ModelRef, folder: Path) -> None:
        """Put the files of a hub, local or S3 model into `folder` (an adapter into its
        subfolder `adapter`).

        Raises as `inspect` does, and Unavailable.
        """
