"""Objects in S3 under one prefix: versions that are never overwritten, and pointers that move.

    PREFIX/versions/VERSION/…     each object created once (If-None-Match), its manifest.json last
    PREFIX/candidate.json         the version trained last
    PREFIX/current.json           the version that is served, with the ones before it

Nothing is ever listed, so a reader needs `s3:GetObject` alone, and a writer `s3:PutObject` besides.
"""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

MAX_BYTES = 64 * 1024 * 1024
_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/(?P<prefix>[A-Za-z0-9!_.*'()/=-]*))?")


class StoreError(Exception):
    """Storage did not do what was asked; the message is a sentence with the object's URI and the reason."""


class AbsentError(StoreError):
    """There is no such object."""


class DeniedError(AbsentError):
    """The object may not be read or does not exist: S3 tells which only to who may list the bucket."""


class ConflictError(StoreError):
    """Somebody else wrote the object first."""


class Object(NamedTuple):
    """An object's bytes, and the entity tag that names this content of it."""

    data: bytes
    etag: str


def client(seconds: float = 10.0) -> Any:
    """An S3 client for the environment's region, endpoint and credentials; a call gives up after `seconds`.

    boto3 reads AWS_ENDPOINT_URL, AWS_CA_BUNDLE and the container's credentials itself, but of the region only
    AWS_DEFAULT_REGION, while ECS sets AWS_REGION. Emulators have no DNS name for each bucket: path style.
    Raises StoreError.
    """
    custom = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config = Config(
        connect_timeout=min(seconds, 3.0),
        read_timeout=seconds,
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": "path" if custom else "auto"},
    )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None
    try:
        return boto3.client("s3", region_name=region, config=config)
    except (BotoCoreError, OSError, ValueError) as error:
        raise StoreError(f"S3 cannot be used: {type(error).__name__}: {str(error)[:200]}") from None


class Store:
    """The objects under one `s3://BUCKET/PREFIX/`. Safe to use from several threads."""

    def __init__(self, uri: str, s3: Any) -> None:
        match = _URI.fullmatch(uri)
        if match is None:
            raise StoreError(f"{uri[:100]!r} is not a store; write it as s3://BUCKET/PREFIX/.")
        self.bucket: str = match["bucket"]
        prefix = (match["prefix"] or "").strip("/")
        self.prefix: str = f"{prefix}/" if prefix else ""
        self._s3 = s3

    def uri(self, key: str = "") -> str:
        """The URI of the object `key`, for messages and manifests."""
        return f"s3://{self.bucket}/{self.prefix}{key}"

    def read(self, key: str, limit: int = MAX_BYTES) -> Object:
        """The object `key`, of at most `limit` bytes. Raises AbsentError, DeniedError or StoreError."""
        found = self.read_if_changed(key, None, limit)
        assert found is not None  # noqa: S101 - without a tag to compare, there is no "unchanged"
        return found

    def read_if_changed(self, key: str, etag: str | None, limit: int = MAX_BYTES) -> Object | None:
        """The object `key`, or None if its tag still is `etag`. Raises AbsentError, DeniedError or StoreError."""
        condition = {"IfNoneMatch": etag} if etag else {}
        try:
            answer = self._s3.get_object(Bucket=self.bucket, Key=self.prefix + key, **condition)
            with answer["Body"] as body:
                data: bytes = body.read(limit + 1)
        except ClientError as error:
            if _status(error) == 304:
                return None
            raise self._explained("read", key, error) from None
        except (BotoCoreError, OSError) as error:
            raise self._explained("read", key, error) from None
        if len(data) > limit:
            raise StoreError(f"{self.uri(key)} is larger than {limit} bytes; it was not read.")
        return Object(data, str(answer["ETag"]))

    def create(self, key: str, data: bytes) -> bool:
        """Writes the object if there is none: True if so, False if there was one. Raises StoreError."""
        try:
            self._put(key, data, IfNoneMatch="*")
        except ConflictError:
            return False
        return True

    def replace(self, key: str, data: bytes, etag: str | None) -> None:
        """Writes over the content that had the tag `etag`, or none. Raises ConflictError if that has changed."""
        self._put(key, data, **({"IfMatch": etag} if etag else {"IfNoneMatch": "*"}))

    def write(self, key: str, data: bytes) -> None:
        """Writes the object, whatever was there. Raises StoreError."""
        self._put(key, data)

    def _put(self, key: str, data: bytes, **condition: str) -> None:
        kind = "text/csv" if key.endswith(".csv") else "application/json"
        try:
            self._s3.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=data, ContentType=kind, **condition)
        except ClientError as error:
            # 412: the condition does not hold; 409: another conditional write of the key is under way.
            if _status(error) in (409, 412) or (_status(error) == 404 and "IfMatch" in condition):
                raise ConflictError(f"{self.uri(key)} was written by somebody else; try again.") from None
            raise self._explained("written", key, error) from None
        except (BotoCoreError, OSError) as error:
            raise self._explained("written", key, error) from None

    def _explained(self, verb: str, key: str, error: Exception) -> StoreError:
        where = self.uri(key)
        if not isinstance(error, ClientError):
            return StoreError(f"{where} could not be {verb}: {type(error).__name__}: {str(error)[:200]}")
        code = str(error.response.get("Error", {}).get("Code", "")) or str(_status(error))
        if code in ("NoSuchKey", "404"):
            return AbsentError(f"{where} does not exist.")
        if code in ("AccessDenied", "403") and verb == "read":
            return DeniedError(f"{where} does not exist, or may not be read: AccessDenied.")
        return StoreError(f"{where} could not be {verb}: {code}.")


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
