"""Base models of the Hugging Face hub, or of a server that speaks its protocol."""

from pathlib import Path
from tempfile import TemporaryDirectory

from forgetscope.adapters._bytes import DigestCache
from forgetscope.adapters._hub import LOOK_SECONDS, hub_errors
from forgetscope.adapters._layout import (
    FILES,
    count,
    head_size,
    labels,
    model_files,
    require_safe,
    shape,
    tensors,
)
from forgetscope.adapters.models_files import LocalFolder, copy_files
from forgetscope.core.model_shape import PUBLISHED
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
            _fingerprint(ref),
            parameters,
            head_size=head_size(cached),
            labels=labels(cached),
            shape=shape(cached, parameters),
        )

    def published(self, ref: HubModel) -> ModelFacts | None:
        known = PUBLISHED.get(ref.id)
        if known is None:
            return None
        note = (
            f"The files of {ref.id} are not here, and this is a plan only: to submit it they must "
            f"be. Its sizes are those of {known.source}."
        )
        return ModelFacts(_fingerprint(ref), known.shape.parameters, note, shape=known.shape)

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
        note = "The files are checked once they are downloaded"
        if not parameters:
            note += "; the hub does not say how many parameters there are"
        if "config.json" not in names:
            return ModelFacts(_fingerprint(ref), parameters, f"{note}.")
        with TemporaryDirectory() as place:
            folder = self._configuration(ref, Path(place).resolve())
            return ModelFacts(
                _fingerprint(ref),
                parameters,
                f"{note}.",
                head_size=head_size(folder),
                shape=shape(folder, parameters),
            )

    def _configuration(self, ref: HubModel, place: Path) -> LocalFolder:
        """The `config.json` alone, outside of the cache: there it would pass for the model."""
        from huggingface_hub import hf_hub_download  # noqa: PLC0415 - takes half a second

        with hub_errors("model", _where(ref), offline=False):
            hf_hub_download(
                ref.id,
                "config.json",
                revision=ref.revision,
                local_dir=place,
                endpoint=self._endpoint,
                token=self._token or False,
            )
        return LocalFolder(place, _where(ref), (place,), self._digests)

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
