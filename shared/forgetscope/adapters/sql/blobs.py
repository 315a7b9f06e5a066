"""Which blobs the records and the library name, and which are garbage.

A digest that no manifest and no data set names is garbage until the store has deleted it, and is
remembered for a while after: an attempt that stored its files before the deletion must not name
them.
"""

from collections.abc import Collection, Iterable
from typing import Literal

from sqlalchemy import Connection, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from forgetscope.adapters.sql.journal import chunks
from forgetscope.adapters.sql.tables import (
    blob_uses,
    blobs,
    datasets,
    garbage,
    has_state,
    stages,
)
from forgetscope.schema.errors import NotFound
from forgetscope.schema.stage import BlobRef, Manifest

__all__ = [
    "add",
    "blob",
    "collected",
    "disuse",
    "is_garbage",
    "retire",
    "taken",
    "unsafe",
    "use",
    "used_by",
]

Slot = Literal["manifest", "resume"]

# Far longer than a collector takes, which stops by itself after a minute.
COLLECTOR_SECONDS = 900.0


def blob(connection: Connection, digest: str) -> BlobRef:
    row = connection.execute(select(blobs).where(blobs.c.digest == digest)).first()
    if row is None:
        raise NotFound(f"No stage names a blob {digest!r}.")
    return BlobRef(digest=row.digest, size=row.size, media_type=row.media_type)


def digests_of(manifest: Manifest) -> list[str]:
    return sorted({ref.digest for ref in manifest.files.values()})


def unsafe(connection: Connection, manifest: Manifest, since: float) -> tuple[str, ...]:
    """Digests that are to be deleted, or were since the attempt began to store its files."""
    found: list[str] = []
    for part in chunks(digests_of(manifest)):
        query = select(garbage.c.digest).where(
            garbage.c.digest.in_(part),
            or_(garbage.c.collected_at.is_(None), garbage.c.collected_at > since),
        )
        found += connection.scalars(query)
    return tuple(sorted(found))


def is_garbage(connection: Connection, digest: str) -> bool:
    """Whether a collector is to delete these bytes, or does so at this moment."""
    query = select(garbage.c.digest).where(
        garbage.c.digest == digest, garbage.c.collected_at.is_(None)
    )
    return connection.execute(query).first() is not None


def add(connection: Connection, refs: list[BlobRef]) -> None:
    """Know these blobs; those that are known stay as they are."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        dialect.insert(blobs).on_conflict_do_nothing(), [ref.model_dump() for ref in refs]
    )


def use(connection: Connection, key: str, slot: Slot, manifest: Manifest) -> None:
    """Record that a stage names these blobs."""
    refs = {ref.digest: ref for ref in manifest.files.values()}
    if not refs:
        return
    add(connection, [ref for _, ref in sorted(refs.items())])
    connection.execute(
        insert(blob_uses),
        [{"stage_key": key, "slot": slot, "digest": digest} for digest in sorted(refs)],
    )


def used_by(connection: Connection, keys: Collection[str]) -> set[str]:
    """Digests that any of these stages names."""
    found: set[str] = set()
    for part in chunks(keys):
        query = select(blob_uses.c.digest).where(blob_uses.c.stage_key.in_(part))
        found.update(connection.scalars(query))
    return found


def disuse(connection: Connection, key: str, slot: Slot) -> set[str]:
    """The stage names these blobs no more; `retire` them when all new uses are recorded."""
    table = blob_uses.c
    query = delete(blob_uses).where(table.stage_key == key, table.slot == slot)
    return set(connection.scalars(query.returning(table.digest)))


def retire(connection: Connection, digests: Iterable[str]) -> None:
    """List as garbage those of the digests that no stage and no data set names."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    for part in chunks(sorted(digests)):
        named = select(blob_uses.c.digest).where(blob_uses.c.digest.in_(part))
        named_too = select(datasets.c.digest).where(datasets.c.digest.in_(part))
        gone = sorted(set(part) - set(connection.scalars(named.union(named_too))))
        if gone:
            connection.execute(delete(blobs).where(blobs.c.digest.in_(gone)))
            connection.execute(
                dialect.insert(garbage).on_conflict_do_update(
                    index_elements=["digest"], set_={"collected_at": None, "taken_at": None}
                ),
                [{"digest": digest, "collected_at": None} for digest in gone],
            )


def taken(connection: Connection, now: float, limit: int) -> tuple[str, ...]:
    """Garbage for one collector: others leave it alone for a while, so that none deletes late
    what was stored again."""
    free = or_(garbage.c.taken_at.is_(None), garbage.c.taken_at < now - COLLECTOR_SECONDS)
    query = select(garbage.c.digest).where(garbage.c.collected_at.is_(None), free)
    digests = tuple(connection.scalars(query.order_by(garbage.c.digest).limit(limit)))
    if digests:
        connection.execute(
            update(garbage).where(garbage.c.digest.in_(digests)).values(taken_at=now)
        )
    return digests


def collected(connection: Connection, now: float, digests: Iterable[str]) -> None:
    """Remember the deletion for as long as an attempt runs that may not know of it."""
    for part in chunks(list(digests)):
        connection.execute(
            update(garbage)
            .where(garbage.c.digest.in_(part), garbage.c.collected_at.is_(None))
            .values(collected_at=now)
        )
    oldest = connection.scalar(select(func.min(stages.c.blobs_since)).where(has_state("running")))
    known_to_all = now if oldest is None else oldest
    connection.execute(delete(garbage).where(garbage.c.collected_at <= known_to_all))
