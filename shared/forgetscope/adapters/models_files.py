"""Base models that are built in, in local folders, or in folders of the object store."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from forgetscope.adapters._adapters import ADAPTER_FILES, check_adapter
from forgetscope.adapters._bytes import DigestCache, chunks, write_whole
from forgetscope.adapters._layout import (
    Folder,
    count,
    head_size,
    labels,
    model_files,
    shape,
    tensors,
)
from forgetscope.core.builtin_models import BUILTIN_MODELS, BuiltinInfo
from forgetscope.core.identity import digest_of
from forgetscope.core.registry import Registry
from forgetscope.ports.models import ModelFacts
from forgetscope.ports.store import Store
from forgetscope.schema.errors import InvalidInput, NotFound, PathNotAllowed, UnknownName
from forgetscope.schema.experiment import BuiltinModel, LocalModel, S3Model

__all__ = ["FileModels", "LocalFolder", "copy_files"]


class FileModels:
    """`roots` are the folders below which local models may lie; a relative path is looked up in
    each of them. A local model's fingerprint covers the sha256 of its files, an S3 model's their
    sizes and etags, which S3 changes with the bytes, so that nothing is downloaded to look."""

    def __init__(
        self,
        store: Store,
        roots: tuple[Path, ...],
        builtins: Registry[BuiltinInfo] = BUILTIN_MODELS,
    ) -> None:
        self._store = store
        self._roots = tuple(root.resolve() for root in roots)
        self._builtins = builtins
        self._digests = DigestCache()

    def inspect(self, ref: BuiltinModel | LocalModel | S3Model) -> ModelFacts:
        if isinstance(ref, BuiltinModel):
            info = self._builtins.get(ref.name)
            return ModelFacts(info.fingerprint, info.parameters, shape=info.shape)
        base = self._folder(ref)
        weights, others = model_files(base)
        found = tensors(base, weights)
        tags = {name: base.tag(name) for name in (*weights, *others)}
        if isinstance(ref, LocalModel) and ref.adapter is not None:
            adapter = self._local(ref.adapter)
            check_adapter(adapter, found)
            tags |= {f"adapter/{name}": adapter.tag(name) for name in ADAPTER_FILES}
        parameters = count(found)
        return ModelFacts(
            digest_of({"source": ref.source, "files": tags}),
            parameters,
            head_size=head_size(base),
            labels=labels(base),
            shape=shape(base, parameters),
        )

    def materialise(self, ref: BuiltinModel | LocalModel | S3Model, folder: Path) -> None:
        if isinstance(ref, BuiltinModel):
            raise InvalidInput(f"the built-in model {ref.name!r} is made, not copied")
        self.inspect(ref)
        base = self._folder(ref)
        weights, others = model_files(base)
        copy_files(base, (*weights, *others), folder)
        if isinstance(ref, LocalModel) and ref.adapter is not None:
            copy_files(self._local(ref.adapter), ADAPTER_FILES, folder / "adapter")

    def _folder(self, ref: LocalModel | S3Model) -> Folder:
        return self._local(ref.path) if isinstance(ref, LocalModel) else _S3(self._store, ref.uri)

    def _local(self, path: str) -> "LocalFolder":
        wanted = Path(path)
        places = [wanted] if wanted.is_absolute() else [root / wanted for root in self._roots]
        allowed = [place for place in map(Path.resolve, places) if _below(place, self._roots)]
        if not allowed:
            raise PathNotAllowed(
                "models are read only from below the model folders of the server",
                where=path,
                hint="Move it there, or name its folder in FORGETSCOPE_ALLOWED_ROOTS there.",
            )
        for place in allowed:
            if place.is_dir():
                return LocalFolder(place, path, self._roots, self._digests)
        raise UnknownName("there is no such model folder", where=path)


class LocalFolder:
    """A folder whose links may lead anywhere below `roots`, as in the hub's cache."""

    def __init__(
        self, path: Path, where: str, roots: tuple[Path, ...], digests: DigestCache
    ) -> None:
        self._path = path
        self._roots = roots
        self._digests = digests
        self.where = where

    @cached_property
    def entries(self) -> Mapping[str, int]:
        return {path.name: path.stat().st_size for path in self._path.iterdir() if path.is_file()}

    def open(self, name: str) -> BinaryIO:
        return self._file(name).open("rb")

    def tag(self, name: str) -> str:
        return self._digests.of(self._file(name))

    def _file(self, name: str) -> Path:
        path = (self._path / name).resolve()
        if not _below(path, self._roots):
            raise PathNotAllowed(f"{name} is a link out of the model folders", where=self.where)
        return path


class _S3:
    def __init__(self, store: Store, uri: str) -> None:
        self._store = store
        self.where = uri.rstrip("/")

    @cached_property
    def _objects(self) -> Mapping[str, tuple[int, str]]:
        try:
            return self._store.list_folder(self.where)
        except NotFound as error:
            raise UnknownName("there is no such bucket", where=self.where) from error

    @cached_property
    def entries(self) -> Mapping[str, int]:
        return {name: size for name, (size, _) in self._objects.items() if "/" not in name}

    def open(self, name: str) -> BinaryIO:
        return self._store.open_object(f"{self.where}/{name}")

    def tag(self, name: str) -> str:
        size, etag = self._objects[name]
        return f"{size} {etag}"


def _below(path: Path, roots: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def copy_files(source: Folder, names: tuple[str, ...], folder: Path) -> None:
    """Copies, not links: what is done to them must not reach the original."""
    for name in names:
        with source.open(name) as stream:
            write_whole(chunks(stream), folder / name)
