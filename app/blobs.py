"""A store in Azure Blob Storage, by azure-storage-blob and azure-identity."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient, ContainerClient, ContentSettings, LinearRetry

from app.store import (
    ATTEMPTS,
    CONNECT_SECONDS,
    MAX_BYTES,
    PREFIX,
    Object,
    Store,
    StoreError,
    content_type,
    not_a_store,
)

_ERRORS = (AzureError, OSError)
_URI = re.compile(
    r"(?P<endpoint>https://[a-z0-9]{3,24}\.blob\.core\.windows\.net)"
    r"/(?P<container>[a-z0-9](?:-?[a-z0-9]){2,62})" + PREFIX
)


def client(uri: str, seconds: float = 30.0) -> BlobServiceClient:
    """A client of the account in `uri` with the environment's credentials: the managed identity that
    AZURE_CLIENT_ID names, or a person's. Raises StoreError."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise not_a_store(uri)
    return BlobServiceClient(match["endpoint"], credential=DefaultAzureCredential(), **options(seconds))


def options(seconds: float) -> dict[str, Any]:
    """What a client is made with, so that a call gives up after about `seconds`; tests make theirs so too."""
    return {
        "connection_timeout": min(seconds, CONNECT_SECONDS),
        "read_timeout": seconds,
        "retry_policy": LinearRetry(backoff=1, retry_total=ATTEMPTS - 1, random_jitter_range=1),
    }


class BlobStore(Store):
    """The objects under one `https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX/`. The tag is the ETag; the
    library checks MD5 both ways."""

    def __init__(self, uri: str, azure: BlobServiceClient) -> None:
        match = _URI.fullmatch(uri)
        if match is None:
            raise not_a_store(uri)
        self.root = f"{match['endpoint']}/{match['container']}"
        prefix = (match["prefix"] or "").strip("/")
        self.prefix = f"{prefix}/" if prefix else ""
        self._container: ContainerClient = azure.get_container_client(match["container"])

    def read_if_changed(self, key: str, etag: str | None, limit: int = MAX_BYTES) -> Object | None:
        """The object, or None if its tag still is `etag`."""
        condition: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfModified} if etag else {}
        try:
            stream = self._container.get_blob_client(self.prefix + key).download_blob(
                validate_content=True, **condition
            )
            data = stream.readall() if stream.size <= limit else None
        except _ERRORS as error:
            if getattr(error, "status_code", None) == 304:
                return None
            raise self._explained("read", key, error) from None
        if data is None:
            raise self._too_large(key, limit)
        return Object(data, str(stream.properties.etag))

    def replace(self, key: str, data: bytes, etag: str | None) -> None:
        """Writes on the condition If-Match, or If-None-Match."""
        if etag is None:
            self._put(key, data, overwrite=False)
        else:
            self._put(key, data, overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)

    def write(self, key: str, data: bytes) -> None:
        """Writes without a condition."""
        self._put(key, data, overwrite=True)

    def list(self, prefix: str) -> Iterator[str]:
        """The keys under `prefix`, five thousand at a time."""
        try:
            for name in self._container.list_blob_names(name_starts_with=self.prefix + prefix):
                yield name[len(self.prefix) :]
        except _ERRORS as error:
            raise self._explained("listed", prefix, error) from None

    def delete(self, key: str) -> None:
        """The blob with its snapshots, then each version by its id: a deletion makes one of what was there. What the
        account's soft deletion keeps, goes in its time."""
        wanted = self.prefix + key
        try:
            blob = self._container.get_blob_client(wanted)
            with suppress(ResourceNotFoundError):
                blob.delete_blob(delete_snapshots="include")
            kept = self._container.list_blobs(name_starts_with=wanted, include=["versions"])
            for each in [each for each in takewhile(lambda each: each.name == wanted, kept) if each.version_id]:
                with suppress(ResourceNotFoundError):  # a lifecycle rule, or a call before this one, was first
                    blob.delete_blob(version_id=each.version_id)
        except _ERRORS as error:
            raise self._explained("deleted", key, error) from None

    def _put(self, key: str, data: bytes, **condition: Any) -> None:
        kind = ContentSettings(content_type=content_type(key))
        try:
            self._container.get_blob_client(self.prefix + key).upload_blob(
                data, content_settings=kind, validate_content=True, **condition
            )
        except _ERRORS as error:
            # 409 and 412: there is one already, or the condition does not hold.
            code, status = getattr(error, "error_code", None), getattr(error, "status_code", None)
            if status == 412 or code == "BlobAlreadyExists" or (status == 404 and "etag" in condition):
                raise self._conflict(key) from None
            raise self._explained("written", key, error) from None

    def _explained(self, verb: str, key: str, error: Exception) -> StoreError:
        if isinstance(error, HttpResponseError) and error.status_code:
            code = str(getattr(error, "error_code", None) or error.status_code)
            if code in ("BlobNotFound", "404"):
                return self._absent(key)
            return self._failed(verb, key, code, denied=error.status_code == 403)
        return self._unreachable(verb, key, error)
