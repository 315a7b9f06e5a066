"""The object store on any S3 server, through the `minio` client."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, urlsplit

import certifi
import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error

from forgetscope.adapters._bytes import CHUNK_BYTES, blob_key, describe, verified, write_whole
from forgetscope.schema.errors import InvalidInput, NotFound, PathNotAllowed, Unavailable
from forgetscope.schema.stage import BlobRef

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["S3Store", "connect"]

# S3 admits 10,000 parts an object, so this admits 312 GiB; three parts are in memory at a time.
_PART_BYTES = 32 << 20
_ABSENT = {"NoSuchKey", "NoSuchBucket", "NoSuchObject", "ResourceNotFound"}
_DENIED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"}
_BUCKET_THERE = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def connect(
    endpoint: str,
    access_key: str,
    secret_key: str,
    *,
    region: str = "us-east-1",
    connect_seconds: float = 3,
    read_seconds: float = 60,
    retries: int = 2,
    ca_file: str | None = None,
) -> Minio:
    """A client for `http(s)://host[:port]` whose every request ends in bounded time.

    Raises InvalidInput for an endpoint that is no such URL.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise InvalidInput(f"{endpoint!r} is not an S3 endpoint", hint="Write http(s)://host:port.")
    return Minio(
        parts.netloc,
        access_key,
        secret_key,
        secure=parts.scheme == "https",
        region=region,
        http_client=urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=connect_seconds, read=read_seconds),
            retries=urllib3.Retry(
                total=retries, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)
            ),
            cert_reqs="CERT_REQUIRED",
            ca_certs=ca_file or certifi.where(),
        ),
    )


class S3Store:
    """Blobs as objects `blobs/ab/cdef…` of one bucket.

    `model_buckets` are the buckets whose folders may be read as s3:// models. `public` signs the
    addresses of downloads where people reach the server under another name than the services do.
    """

    def __init__(
        self,
        client: Minio,
        bucket: str,
        model_buckets: frozenset[str] = frozenset(),
        public: Minio | None = None,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._model_buckets = model_buckets
        self._public = public or client

    def ensure_bucket(self) -> None:
        """Create the bucket unless it is there; any number of processes may do so at once."""
        with _translated(f"bucket {self._bucket}"):
            if self._client.bucket_exists(self._bucket):
                return
            try:
                self._client.make_bucket(self._bucket)
            except S3Error as error:
                if error.code not in _BUCKET_THERE:
                    raise

    def put(self, path: Path, media_type: str) -> BlobRef:
        blob = describe(path, media_type)
        if self._size(blob.digest) == blob.size:
            return blob
        with path.open("rb") as stream, _translated(f"blob {blob.digest}"):
            self._client.put_object(
                self._bucket,
                blob_key(blob.digest),
                stream,
                blob.size,
                content_type=media_type,
                metadata={"sha256": blob.digest},
                part_size=_PART_BYTES,
            )
        return blob

    def fetch(self, blob: BlobRef, target: Path) -> None:
        write_whole(self.read(blob), target)

    def read(self, blob: BlobRef) -> Iterator[bytes]:
        where = f"blob {blob.digest}"
        with _translated(where):
            response = self._client.get_object(self._bucket, blob_key(blob.digest))
        try:
            yield from verified(_pieces(response, where), blob)
        finally:
            response.close()
            response.release_conn()

    def exists(self, digest: str) -> bool:
        return self._size(digest) is not None

    def delete(self, digest: str) -> None:
        with _translated(f"blob {digest}"):
            self._client.remove_object(self._bucket, blob_key(digest))

    def presign(self, blob: BlobRef, *, seconds: int, filename: str) -> str | None:
        """At most 7 days, which is what S3 signatures admit (ValueError beyond)."""
        with _translated(f"blob {blob.digest}"):
            url: str = self._public.presigned_get_object(
                self._bucket,
                blob_key(blob.digest),
                expires=timedelta(seconds=seconds),
                response_headers={
                    "response-content-type": blob.media_type,
                    # RFC 6266 section 4.3: percent-encoded UTF-8 needs no quoting rules.
                    "response-content-disposition": "attachment; filename*=UTF-8''"
                    + quote(filename, safe=""),
                },
            )
        return url

    def list_folder(self, uri: str) -> dict[str, tuple[int, str]]:
        bucket, key = self._model_object(uri)
        prefix = key.rstrip("/") + "/"
        with _translated(uri):
            return {
                entry.object_name.removeprefix(prefix): (entry.size or 0, entry.etag or "")
                for entry in self._client.list_objects(bucket, prefix, recursive=True)
                if entry.object_name and not entry.object_name.endswith("/")
            }

    def open_object(self, uri: str) -> BinaryIO:
        bucket, key = self._model_object(uri)
        with _translated(uri):
            response = self._client.get_object(bucket, key)
        return io.BufferedReader(_ObjectReader(response, uri), CHUNK_BYTES)

    def ping(self) -> None:
        with _translated(f"bucket {self._bucket}"):
            there = self._client.bucket_exists(self._bucket)
        if not there:
            raise Unavailable("the bucket is not there", where=f"bucket {self._bucket}")

    def _size(self, digest: str) -> int | None:
        try:
            with _translated(f"blob {digest}"):
                size: int = self._client.stat_object(self._bucket, blob_key(digest)).size or 0
        except NotFound:
            return None
        return size

    def _model_object(self, uri: str) -> tuple[str, str]:
        parts = urlsplit(uri)
        if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
            raise InvalidInput(f"{uri!r} is not an address of the form s3://bucket/folder")
        if parts.netloc not in self._model_buckets:
            raise PathNotAllowed(
                f"models may not be read from the bucket {parts.netloc!r}",
                where=uri,
                hint=f"Allowed: {', '.join(sorted(self._model_buckets)) or 'none'}.",
            )
        # Not parts.path: an object's name may hold '?' and '#'.
        return parts.netloc, uri.removeprefix(f"s3://{parts.netloc}/")


class _ObjectReader(io.RawIOBase):
    """A response as a raw stream that raises our errors."""

    def __init__(self, response: urllib3.BaseHTTPResponse, where: str) -> None:
        super().__init__()
        self._response = response
        self._where = where

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        with _translated(self._where):
            piece = self._response.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            self._response.close()
            self._response.release_conn()
        super().close()


def _pieces(response: urllib3.BaseHTTPResponse, where: str) -> Iterator[bytes]:
    with _translated(where):
        yield from response.stream(CHUNK_BYTES)


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Errors of the driver become ours; servers differ in how they say that nothing is there."""
    try:
        yield
    except S3Error as error:
        if error.code in _ABSENT:
            raise NotFound("the object store has no such object", where=where) from error
        hint = "Check the store's keys and clock." if error.code in _DENIED else None
        raise Unavailable(
            f"the object store answered {error.code}: {error.message}", where=where, hint=hint
        ) from error
    except InvalidResponseError as error:
        if "Response code: 404" in str(error):
            raise NotFound("the object store has no such object", where=where) from error
        raise Unavailable(
            "the object store gave an answer that is not S3's", where=where
        ) from error
    except (MinioException, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
        raise Unavailable(
            f"the object store does not answer ({type(error).__name__})", where=where
        ) from error
