"""Raw rows of data sets of the Hugging Face hub, or of a server that speaks its protocol."""

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from forgetscope.adapters._hub import LOOK_SECONDS, hub_errors
from forgetscope.adapters._hub_files import dataset_rows
from forgetscope.schema.errors import InvalidInput, UnknownName
from forgetscope.schema.example import HubSource, Row

__all__ = ["HubRows"]

_FORMATS = ("parquet", "csv", "tsv", "json", "jsonl", "ndjson", "arrow")
_PACKED = ("", ".gz", ".bz2", ".xz", ".zst")
_DATA = [f"*.{name}{packed}" for name in _FORMATS for packed in _PACKED]
_FACTS = ["README.md", "dataset_infos.json"]


class HubRows:
    """Data files of repositories, each at one commit; code in a repository is neither fetched nor
    run, and there is no way to ask for that.

    `cache` is a folder in the layout of the hub's cache. All data files of a repository are
    fetched together, once, if they are at most `max_bytes` as the hub lists them; a fetch that
    broke off is taken up again. `offline`: only what is there is read, and nothing is asked. A
    commit never changes, so its hash is the fingerprint, and telling it needs no network.

    `forgetscope.adapters._hub_files` says what becomes of the values.
    """

    def __init__(
        self,
        cache: Path,
        *,
        offline: bool,
        max_bytes: int,
        endpoint: str | None = None,
        token: str | None = None,
    ) -> None:
        self._cache = cache.resolve()
        self._offline = offline
        self._max_bytes = max_bytes
        self._endpoint = endpoint
        self._token = token

    def fingerprint(self, source: HubSource) -> str:
        return f"hub/{source.id}@{source.revision}/{source.config or ''}/{source.split}"

    def read(self, source: HubSource) -> Iterator[Row]:
        """Rows numbered from 1 within the split; `Row.file` is the name of the source.

        Raises UnknownName (repository, commit, configuration, split), InvalidInput (too large, no
        data files, files outside the repository, values that are not text or numbers), BadRow,
        Unavailable.
        """
        snapshot = self._cached(source)
        if snapshot is None:
            self._look(source)
            snapshot = self._snapshot(source, offline=False)
        yield from dataset_rows(snapshot, source, self._cache / "datasets")

    def _cached(self, source: HubSource) -> Path | None:
        """None when it is not all there and the hub may be asked."""
        try:
            return self._snapshot(source, offline=True)
        except UnknownName:
            if self._offline:
                raise
            return None

    def _look(self, source: HubSource) -> None:
        """Refuse what should not be downloaded: a download finds out late, or never."""
        from huggingface_hub import HfApi  # noqa: PLC0415 - takes half a second

        with hub_errors("data set", _where(source), offline=False):
            info = HfApi(endpoint=self._endpoint, token=self._token or False).dataset_info(
                source.id, revision=source.revision, timeout=LOOK_SECONDS, files_metadata=True
            )
        files = info.siblings or []
        if not any(_matches(file.rfilename, _DATA) for file in files):
            raise _no_data([file.rfilename for file in files], source)
        self._refuse_large([f for f in files if _matches(f.rfilename, _DATA + _FACTS)], source)

    def _refuse_large(self, files: list[Any], source: HubSource) -> None:
        if unknown := [file.rfilename for file in files if file.size is None]:
            raise InvalidInput(
                f"the hub does not say how large {unknown[0]!r} is.", where=_where(source)
            )
        total = sum(file.size for file in files)
        if total > self._max_bytes:
            raise InvalidInput(
                f"the data files of the repository have {total:,} bytes; this server fetches at "
                f"most {self._max_bytes:,}.",
                where=_where(source),
                hint="Raise FORGETSCOPE_HUB_MAX_DATASET_BYTES, or upload the rows that you need.",
            )

    def _snapshot(self, source: HubSource, *, offline: bool) -> Path:
        from huggingface_hub import snapshot_download  # noqa: PLC0415 - takes half a second

        with hub_errors("data set", _where(source), offline=offline):
            path = snapshot_download(
                source.id,
                repo_type="dataset",
                revision=source.revision,
                cache_dir=self._cache,
                allow_patterns=_DATA + _FACTS,
                local_files_only=offline,
                endpoint=self._endpoint,
                token=self._token or False,
            )
        return Path(path)


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _no_data(names: list[str], source: HubSource) -> InvalidInput:
    scripts = sorted(name for name in names if PurePosixPath(name).suffix == ".py")
    if scripts:
        return InvalidInput(
            f"the repository has a loading script ({scripts[0]}) and no data files; code of a "
            "repository is never run.",
            where=_where(source),
            hint="The hub converts many such data sets: name a commit of their branch "
            "refs/convert/parquet. Or upload the rows.",
        )
    return InvalidInput(
        f"the repository has no data files of a known format ({', '.join(_FORMATS)}).",
        where=_where(source),
    )


def _where(source: HubSource) -> str:
    return f"{source.id}@{source.revision}"
