"""Input folders on a worker's disk, fetched once and kept while there is room."""

import os
import shutil
from pathlib import Path

from forgetscope.core.identity import digest_of
from forgetscope.ports.store import Store
from forgetscope.schema.stage import Manifest

__all__ = ["InputCache"]


class InputCache:
    """Folders named by the digest of their manifest. One process uses one cache.

    A folder appears by rename when all of its files are verified, so a kill leaves no half one.
    The least recently used ones go when the sum passes `gib`.
    """

    def __init__(self, root: Path, store: Store, gib: float) -> None:
        self._root = root
        self._store = store
        self._limit = gib * 2**30
        shutil.rmtree(root / "partial", ignore_errors=True)
        (root / "partial").mkdir(parents=True)

    def folder(self, manifest: Manifest) -> Path:
        """The files of a manifest. Raises NotFound, CorruptBlob, Unavailable."""
        name = digest_of({p: b.digest for p, b in manifest.files.items()})
        target = self._root / name
        if not target.exists():
            partial = self._root / "partial" / name
            shutil.rmtree(partial, ignore_errors=True)
            self._make_room(sum(b.size for b in manifest.files.values()))
            for path, blob in manifest.files.items():
                self._store.fetch(blob, partial / path)
            partial.mkdir(parents=True, exist_ok=True)
            partial.rename(target)
        os.utime(target)
        return target

    def _make_room(self, needed: int) -> None:
        folders = [p for p in self._root.iterdir() if p.name != "partial"]
        sizes = {p: sum(f.stat().st_size for f in p.rglob("*") if f.is_file()) for p in folders}
        # The newest few may be in use by the running stage: inputs of one stage are at most four.
        for path in sorted(folders, key=lambda p: p.stat().st_mtime)[:-4]:
            if sum(sizes.values()) + needed <= self._limit:
                return
            sizes.pop(path)
            shutil.rmtree(path)
