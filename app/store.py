"""Objects in a bucket under one prefix: versions that are never overwritten, and pointers that move.

    PREFIX/versions/VERSION/…     each object created once, on the condition that there is none; manifest.json last
    PREFIX/candidate.json         the version trained last
    PREFIX/current.json           the version that is served, with the ones before it

Of these nothing is ever listed, so a reader needs the right to read objects alone, and a writer that to write them
besides. Who reads the lake (app/lake.py) lists it, and who forgets a person (app/forget.py) lists and deletes.
Each cloud's storage has a file: `s3.py`, `gcs.py`, `blobs.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

MAX_BYTES = 64 * 1024 * 1024
FORMS = "s3://BUCKET/PREFIX/, gs://BUCKET/PREFIX/ or https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX/"
PREFIX = r"(/(?P<prefix>[A-Za-z0-9!_.*'()/=-]*))?"  # of a pattern: what S3 calls safe, which the others take too
ATTEMPTS = 3  # of a call, before its failure is told
CONNECT_SECONDS = 3.0  # at most, to reach the storage at all


class StoreError(Exception):
    """Storage did not do what was asked; the message is a sentence with the object's URI and the reason."""


class AbsentError(StoreError):
    """There is no such object."""


class DeniedError(AbsentError):
    """The object may not be read or does not exist: storage tells which only to who may list the bucket."""


class TooLargeError(StoreError):
    """The object is larger than its reader allows."""


class ConflictError(StoreError):
    """Somebody else wrote the object first."""


class Object(NamedTuple):
    """An object's bytes, and the tag that names this content of it: an ETag or a generation."""

    data: bytes
    etag: str


class Store(ABC):
    """The objects under one prefix. Safe to use from several threads."""

    root: str  # the URI up to the prefix, without a slash at its end
    prefix: str  # empty, or with a slash at its end

    def uri(self, key: str = "") -> str:
        """The URI of the object `key`, for messages and manifests."""
        return f"{self.root}/{self.prefix}{key}"

    def read(self, key: str, limit: int = MAX_BYTES) -> Object:
        """The object `key`, of at most `limit` bytes. Raises AbsentError, DeniedError or StoreError."""
        found = self.read_if_changed(key, None, limit)
        assert found is not None  # noqa: S101 - without a tag to compare, there is no "unchanged"
        return found

    def read_if_there(self, key: str, limit: int = MAX_BYTES) -> bytes | None:
        """The object `key`, or None if there is none: for who may list, to whom "denied" is not the same. Raises
        DeniedError, TooLargeError or StoreError."""
        try:
            return self.read(key, limit).data
        except DeniedError:
            if self.has(key):
                raise
            return None
        except AbsentError:
            return None

    def has(self, key: str) -> bool:
        """Whether there is an object `key`. Raises DeniedError or StoreError."""
        try:
            self.read(key)
        except DeniedError:
            raise
        except AbsentError:
            return False
        return True

    @abstractmethod
    def read_if_changed(self, key: str, etag: str | None, limit: int = MAX_BYTES) -> Object | None:
        """The object `key`, or None if its tag still is `etag`. Raises AbsentError, DeniedError or StoreError."""

    def create(self, key: str, data: bytes) -> bool:
        """Writes the object if there is none: True if so, False if there was one. Raises StoreError."""
        try:
            self.replace(key, data, None)
        except ConflictError:
            return False
        return True

    @abstractmethod
    def replace(self, key: str, data: bytes, etag: str | None) -> None:
        """Writes over the content that had the tag `etag`, or none. Raises ConflictError if that has changed."""

    @abstractmethod
    def write(self, key: str, data: bytes) -> None:
        """Writes the object, whatever was there. Raises StoreError."""

    def _conflict(self, key: str) -> ConflictError:
        return ConflictError(f"{self.uri(key)} was written by somebody else; try again.")

    @abstractmethod
    def list(self, prefix: str) -> Iterator[str]:
        """The keys that start with `prefix`, by name, as they are asked for; it takes the right to list. Raises
        StoreError, also between two keys."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Removes the object with all its versions, if there is one. Raises StoreError; what was removed until then
        stays so, and a second call goes on."""

    def _too_large(self, key: str, limit: int) -> TooLargeError:
        return TooLargeError(f"{self.uri(key)} is larger than {limit} bytes; it was not read.")

    def _absent(self, key: str) -> AbsentError:
        return AbsentError(f"{self.uri(key)} does not exist.")

    def _failed(self, verb: str, key: str, code: str, denied: bool) -> StoreError:
        """What storage answered with the error `code`; `denied` if that means a right is missing."""
        if denied and verb == "read":
            return DeniedError(f"{self.uri(key)} does not exist, or may not be read: {code}.")
        return StoreError(f"{self.uri(key)} could not be {verb}: {code}.")

    def _unreachable(self, verb: str, key: str, error: Exception) -> StoreError:
        return StoreError(f"{self.uri(key)} could not be {verb}: {type(error).__name__}: {str(error)[:200]}")


def content_type(key: str) -> str:
    """The media type that an object is stored with."""
    return "text/csv" if key.endswith(".csv") else "application/json"


def open_store(uri: str, seconds: float = 30.0) -> Store:
    """The store at `uri`, with the environment's credentials; a call gives up after about `seconds`.

    A cloud's library is imported when one of its addresses is named, not before. Raises StoreError.
    """
    try:
        match uri.partition("://")[0]:
            case "s3":
                from app import s3  # noqa: PLC0415 - the libraries take their time, and two are on the image alone

                return s3.S3Store(uri, s3.client(seconds))
            case "gs":
                from app import gcs  # noqa: PLC0415 - as above

                return gcs.GcsStore(uri, gcs.client(), seconds)
            case "https":
                from app import blobs  # noqa: PLC0415 - as above

                return blobs.BlobStore(uri, blobs.client(uri, seconds))
    except ImportError as error:
        raise StoreError(
            f"{uri[:100]} needs a library that is not installed ({error}): the image has it, or "
            "`pip install -r requirements/image.txt`."
        ) from None
    raise not_a_store(uri)


def not_a_store(uri: str) -> StoreError:
    """What is said of an address that is none."""
    return StoreError(f"{uri[:100]!r} is not a store; write it as {FORMS}.")
