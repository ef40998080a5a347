"""A store in Google Cloud Storage, by google-cloud-storage."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from typing import Any

from google.api_core.exceptions import Forbidden, GoogleAPICallError, GoogleAPIError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Bucket, Client
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY
from requests import RequestException

from app.store import CONNECT_SECONDS, MAX_BYTES, PREFIX, Object, Store, StoreError, content_type, not_a_store

_ERRORS = (GoogleAPIError, GoogleAuthError, RequestException, DataCorruption, OSError)
_NAMES = "items(name,generation),nextPageToken"  # of what a listing could tell
_URI = re.compile(r"gs://(?P<bucket>[a-z0-9][a-z0-9_.-]{1,61}[a-z0-9])" + PREFIX)


def client() -> Client:
    """A client with the environment's credentials: the workload's own, by the metadata service, or a person's.

    The library reads STORAGE_EMULATOR_HOST itself. Raises StoreError.
    """
    # For traces that nobody collects, the library asks for each bucket's metadata: a right that is granted to none.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    try:
        return Client(project=os.environ.get("GOOGLE_CLOUD_PROJECT") or "none")  # objects need no project
    except (GoogleAuthError, OSError, ValueError) as error:
        raise StoreError(f"Google Cloud Storage cannot be used: {type(error).__name__}: {str(error)[:200]}") from None


class _Limited(io.BytesIO):
    """A buffer that refuses more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self._limit:
            raise _TooLargeError
        return super().write(data)


class _TooLargeError(Exception):
    pass


class GcsStore(Store):
    """The objects under one `gs://BUCKET/PREFIX/`. The tag is the generation, a number that no content gets twice;
    the library checks CRC-32C (or MD5) of what it reads, and has what it writes checked."""

    def __init__(self, uri: str, gcs: Client, seconds: float = 30.0) -> None:
        match = _URI.fullmatch(uri)
        if match is None:
            raise not_a_store(uri)
        self.root = f"gs://{match['bucket']}"
        prefix = (match["prefix"] or "").strip("/")
        self.prefix = f"{prefix}/" if prefix else ""
        self._bucket: Bucket = gcs.bucket(match["bucket"])
        self._options: dict[str, Any] = {
            "timeout": (min(seconds, CONNECT_SECONDS), seconds),
            "retry": DEFAULT_RETRY.with_timeout(seconds),
        }

    def read_if_changed(self, key: str, etag: str | None, limit: int = MAX_BYTES) -> Object | None:
        """The object, or None if its tag still is `etag`."""
        blob = self._bucket.blob(self.prefix + key)
        buffer = _Limited(limit)
        condition = {"if_generation_not_match": int(etag)} if etag else {}
        try:
            blob.download_to_file(buffer, **condition, **self._options)
        except _TooLargeError:
            raise self._too_large(key, limit) from None
        except _ERRORS as error:
            if getattr(error, "code", None) == 304:
                return None
            raise self._explained("read", key, error) from None
        return Object(buffer.getvalue(), str(blob.generation))

    def replace(self, key: str, data: bytes, etag: str | None) -> None:
        """Writes on the condition of a generation; 0 stands for none."""
        self._put(key, data, if_generation_match=int(etag or 0))

    def write(self, key: str, data: bytes) -> None:
        """Writes without a condition, whose retries are safe: the bytes are the same each time."""
        self._put(key, data)

    def list(self, prefix: str) -> Iterator[str]:
        """The keys under `prefix`, a thousand at a time."""
        try:
            for blob in self._bucket.list_blobs(prefix=self.prefix + prefix, fields=_NAMES, **self._options):
                yield blob.name[len(self.prefix) :]
        except _ERRORS as error:
            raise self._explained("listed", prefix, error) from None

    def delete(self, key: str) -> None:
        """Each generation by its number, the live one with them: only so is nothing left but what the bucket's soft
        deletion keeps."""
        wanted = self.prefix + key
        try:
            found = self._bucket.list_blobs(prefix=wanted, versions=True, fields=_NAMES, **self._options)
            generations = [blob.generation for blob in takewhile(lambda blob: blob.name == wanted, found)]
            for generation in generations:
                with suppress(NotFound):  # a lifecycle rule, or a call before this one, was first
                    self._bucket.delete_blob(wanted, generation=generation, **self._options)
        except _ERRORS as error:
            raise self._explained("deleted", key, error) from None

    def _put(self, key: str, data: bytes, **condition: int) -> None:
        try:
            self._bucket.blob(self.prefix + key).upload_from_string(
                data, content_type=content_type(key), checksum="auto", **condition, **self._options
            )
        except _ERRORS as error:
            # 412: the condition does not hold; 409: another conditional write of the object is under way.
            if getattr(error, "code", None) in (409, 412):
                raise self._conflict(key) from None
            raise self._explained("written", key, error) from None

    def _explained(self, verb: str, key: str, error: Exception) -> StoreError:
        if isinstance(error, NotFound):
            if verb == "read" and "bucket does not exist" not in error.message:
                return self._absent(key)
            return self._failed(verb, key, "NoSuchBucket", denied=False)
        if isinstance(error, GoogleAPICallError):
            return self._failed(verb, key, f"{error.code or type(error).__name__}", isinstance(error, Forbidden))
        return self._unreachable(verb, key, error)
