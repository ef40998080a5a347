"""A store in AWS S3, by boto3."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

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

_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])" + PREFIX)


def client(seconds: float = 10.0, service: str = "s3", attempts: int = ATTEMPTS) -> Any:
    """A client for the environment's region, endpoint and credentials; a call gives up after `seconds`.

    boto3 reads AWS_ENDPOINT_URL, AWS_CA_BUNDLE and the container's credentials itself, but of the region only
    AWS_DEFAULT_REGION, while ECS sets AWS_REGION. Emulators have no DNS name for each bucket: path style.
    Raises StoreError.
    """
    custom = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config = Config(
        connect_timeout=min(seconds, CONNECT_SECONDS),
        read_timeout=seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
        s3={"addressing_style": "path" if custom else "auto"},
    )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None
    try:
        return boto3.client(service, region_name=region, config=config)
    except (BotoCoreError, OSError, ValueError) as error:
        raise StoreError(f"{service.upper()} cannot be used: {type(error).__name__}: {str(error)[:200]}") from None


class S3Store(Store):
    """The objects under one `s3://BUCKET/PREFIX/`. The tag is the ETag; boto3 sends and checks CRC-32."""

    def __init__(self, uri: str, s3: Any) -> None:
        match = _URI.fullmatch(uri)
        if match is None:
            raise not_a_store(uri)
        self.bucket: str = match["bucket"]
        self.root = f"s3://{self.bucket}"
        prefix = (match["prefix"] or "").strip("/")
        self.prefix = f"{prefix}/" if prefix else ""
        self._s3 = s3

    def has(self, key: str) -> bool:
        """By listing: S3 answers "denied" for an object that is not there to whoever may list a prefix alone."""
        wanted = self.prefix + key
        try:
            listed = self._s3.list_objects_v2(Bucket=self.bucket, Prefix=wanted, MaxKeys=1)
        except ClientError as error:
            raise self._explained("listed", key, error) from None
        except (BotoCoreError, OSError) as error:
            raise self._unreachable("listed", key, error) from None
        return any(row["Key"] == wanted for row in listed.get("Contents", []))

    def read_if_changed(self, key: str, etag: str | None, limit: int = MAX_BYTES) -> Object | None:
        """The object, or None if its tag still is `etag`."""
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
            raise self._unreachable("read", key, error) from None
        if len(data) > limit:
            raise self._too_large(key, limit)
        return Object(data, str(answer["ETag"]))

    def replace(self, key: str, data: bytes, etag: str | None) -> None:
        """Writes on the condition If-Match, or If-None-Match."""
        self._put(key, data, **({"IfMatch": etag} if etag else {"IfNoneMatch": "*"}))

    def write(self, key: str, data: bytes) -> None:
        """Writes without a condition."""
        self._put(key, data)

    def list(self, prefix: str) -> Iterator[str]:
        """The keys under `prefix`, a thousand at a time."""
        more: dict[str, str] = {}
        while True:
            try:
                page = self._s3.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix + prefix, **more)
            except ClientError as error:
                raise self._explained("listed", prefix, error) from None
            except (BotoCoreError, OSError) as error:
                raise self._unreachable("listed", prefix, error) from None
            yield from (row["Key"][len(self.prefix) :] for row in page.get("Contents", []))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, key: str) -> None:
        """Each version by its id, and each mark of a deletion: only so is nothing left. Where versions are locked, S3
        refuses."""
        wanted = self.prefix + key
        try:
            while versions := self._versions(wanted):
                answer = self._s3.delete_objects(Bucket=self.bucket, Delete={"Objects": versions, "Quiet": True})
                for error in answer.get("Errors", []):
                    code = str(error.get("Code", "unknown"))
                    raise self._failed("deleted", key, code, denied=code == "AccessDenied")
        except ClientError as error:
            raise self._explained("deleted", key, error) from None
        except (BotoCoreError, OSError) as error:
            raise self._unreachable("deleted", key, error) from None

    def _versions(self, wanted: str) -> Sequence[dict[str, str]]:
        """Up to a thousand versions of one object. Of all keys that start so, its own comes first."""
        page = self._s3.list_object_versions(Bucket=self.bucket, Prefix=wanted, MaxKeys=1_000)
        rows = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        return [{"Key": wanted, "VersionId": row["VersionId"]} for row in rows if row["Key"] == wanted]

    def _put(self, key: str, data: bytes, **condition: str) -> None:
        try:
            self._s3.put_object(
                Bucket=self.bucket, Key=self.prefix + key, Body=data, ContentType=content_type(key), **condition
            )
        except ClientError as error:
            # 412: the condition does not hold; 409: another conditional write of the key is under way.
            if _status(error) in (409, 412) or (_status(error) == 404 and "IfMatch" in condition):
                raise self._conflict(key) from None
            raise self._explained("written", key, error) from None
        except (BotoCoreError, OSError) as error:
            raise self._unreachable("written", key, error) from None

    def _explained(self, verb: str, key: str, error: ClientError) -> StoreError:
        code = str(error.response.get("Error", {}).get("Code", "")) or str(_status(error))
        if code in ("NoSuchKey", "404"):
            return self._absent(key)
        return self._failed(verb, key, code, denied=code in ("AccessDenied", "403"))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
