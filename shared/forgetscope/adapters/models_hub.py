"""Base models of the Hugging Face hub, or of a server that speaks its protocol."""

from pathlib import Path

from forgetscope.adapters._bytes import DigestCache
from forgetscope.adapters._hub import LOOK_SECONDS, hub_errors
from forgetscope.adapters._layout import (
    FILES,
    count,
    head_size,
    labels,
    model_files,
    require_safe,
    tensors,
)
from forgetscope.adapters.models_files import LocalFolder, copy_files
from forgetscope.ports.models import ModelFacts
from forgetscope.schema.errors import InvalidInput, UnknownName, UnsafeWeights
from forgetscope.schema.experiment import HubModel

__all__ = ["HubModels"]

_WANTED = ["*.safetensors", *FILES]


class HubModels:
    """`cache` is a folder in the layout of the hub's cache. `offline`: only what is there is
    known, and nothing is asked. A commit never changes, so its hash is the fingerprint."""

    def __init__(
        self,
        cache: Path,
        *,
        offline: bool,
        endpoint: str | None = None,
        token: str | None = None,
    ) -> None:
        self._cache = cache.resolve()
        self._offline = offline
        self._endpoint = endpoint
        self._token = token
        self._digests = DigestCache()

    def inspect(self, ref: HubModel) -> ModelFacts:
        cached = self._cached(ref)
        if cached is None:
            return self._ask(ref)
        weights, _ = model_files(cached)
        parameters = count(tensors(cached, weights))
        return ModelFacts(
            _fingerprint(ref), parameters, head_size=head_size(cached), labels=labels(cached)
        )

    def materialise(self, ref: HubModel, folder: Path) -> None:
        snapshot = self._cached(ref)
        if snapshot is None:
            # A download retries for long what this finds out at once.
            self._ask(ref)
            snapshot = self._snapshot(ref, offline=False)
        weights, others = model_files(snapshot)
        copy_files(snapshot, (*weights, *others), folder)

    def _cached(self, ref: HubModel) -> LocalFolder | None:
        """None when it is not all there and the hub may be asked."""
        try:
            snapshot = self._snapshot(ref, offline=True)
            model_files(snapshot)
        except UnsafeWeights:
            raise
        except InvalidInput:
            if self._offline:
                raise
            return None
        return snapshot

    def _ask(self, ref: HubModel) -> ModelFacts:
        from huggingface_hub import HfApi  # noqa: PLC0415 - takes half a second

        with hub_errors("model", _where(ref), offline=False):
            info = HfApi(endpoint=self._endpoint, token=self._token or False).model_info(
                ref.id, revision=ref.revision, timeout=LOOK_SECONDS
            )
        names = [file.rfilename for file in info.siblings or ()]
        if not any(name.endswith(".safetensors") for name in names):
            require_safe(names, _where(ref), "safetensors")
            raise UnknownName("the repository holds no safetensors weights.", where=_where(ref))
        parameters = info.safetensors.total if info.safetensors else None
        return ModelFacts(
            _fingerprint(ref),
            parameters,
            "The files are checked once they are downloaded"
            + ("." if parameters else "; the hub does not say how many parameters there are."),
        )

    def _snapshot(self, ref: HubModel, *, offline: bool) -> LocalFolder:
        from huggingface_hub import snapshot_download  # noqa: PLC0415 - takes half a second

        with hub_errors("model", _where(ref), offline=offline):
            path = snapshot_download(
                ref.id,
                revision=ref.revision,
                cache_dir=self._cache,
                allow_patterns=_WANTED,
                local_files_only=offline,
                endpoint=self._endpoint,
                token=self._token or False,
            )
        return LocalFolder(Path(path), _where(ref), (self._cache,), self._digests)


def _fingerprint(ref: HubModel) -> str:
    return f"hub/{ref.id}@{ref.revision}"


def _where(ref: HubModel) -> str:
    return f"{ref.id}@{ref.revision}"
