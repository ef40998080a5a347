"""Objects of a Pulumi backend that people host themselves: a directory or a bucket, by the address Pulumi knows it by.

    file:///DIR   s3://BUCKET/PREFIX?region=…   gs://BUCKET/PREFIX   azblob://CONTAINER/PREFIX?storage_account=…

Addresses are those of the Go CDK (gocloud.dev/howto/blob), which Pulumi opens them with: pkg/backend/diy/backend.go.
Of their parameters those that say where objects are count here: `region`, `profile`, `endpoint`, `storage_account`,
`domain`, `localemu` and `prefix`. Each cloud's library is loaded when one of its addresses is opened. Whatever fails
raises RolloutError, without the address's parameters.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from rollout.errors import RolloutError

LARGEST = 65_536  # bytes of one object
MOST = 1_000  # objects of one list
LONGEST = 1_024  # characters of a name, as S3 has it
FORMS = "file:///DIR, s3://BUCKET?region=…, gs://BUCKET or azblob://CONTAINER?storage_account=…"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SECONDS = 30  # of one call


@dataclass(frozen=True)
class Object:
    """An object's name under the backend's root, its bytes, and the tag that names this content of it."""

    name: str
    data: bytes
    tag: str


class Backend(ABC):
    """The objects under one address. `url` is the address as it may be shown."""

    def __init__(self, url: str, prefix: str) -> None:
        self.url, self.prefix = url, prefix

    def list(self, under: str) -> list[str]:
        """The names that begin with `under`, in order. More than a thousand, or an odd name, is refused."""
        with self._telling("listed", under):
            found = sorted(islice((name.removeprefix(self.prefix) for name in self._list(under)), MOST + 1))
        if len(found) > MOST:
            raise RolloutError(f"There are more than {MOST} objects under {under} in {self.url}; nothing was done.")
        for name in found:
            if len(name) > LONGEST or not name.isprintable() or not name.isascii():
                raise RolloutError(f"An object in {self.url} has the odd name {name[:80]!a}; nothing was done.")
        return found

    def read(self, name: str) -> Object | None:
        """An object of at most 64 KiB; None if there is none (any more)."""
        with self._telling("read", name):
            found = self._read(name)
        if found is not None and len(found.data) > LARGEST:
            raise RolloutError(f"{name} in {self.url} has more than {LARGEST:,} bytes; it was not read.")
        return found

    def delete(self, found: Object) -> bool:
        """Deletes an object as it was read; False, and nothing is deleted, if it has changed since or is gone."""
        with self._telling("deleted", found.name):
            return self._delete(found)

    @abstractmethod
    def _list(self, under: str) -> Iterable[str]: ...

    @abstractmethod
    def _read(self, name: str) -> Object | None: ...

    @abstractmethod
    def _delete(self, found: Object) -> bool: ...

    @contextmanager
    def _telling(self, verb: str, name: str) -> Iterator[None]:
        """Makes a sentence of what a library raises: its kind or code alone, as its text can hold an address."""
        try:
            yield
        except RolloutError:
            raise
        except Exception as error:  # noqa: BLE001 - each library has its own, and is not loaded here
            status = getattr(error, "response", None)
            code = status.get("Error", {}).get("Code") if isinstance(status, dict) else None
            code = code or getattr(error, "error_code", None) or getattr(error, "code", None) or type(error).__name__
            raise RolloutError(
                f"{name} in {self.url} could not be {verb}: {code}. Are you logged in there, with the right to it?"
            ) from None


class _Files(Backend):
    """A directory. The tag is the content's own checksum: a file that changes while it is deleted is not noticed."""

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, prefix)
        self._root = Path(prefix)

    def _list(self, under: str) -> Iterable[str]:
        if not self._root.is_dir():
            raise RolloutError(f"There is no directory {self.url}: is PULUMI_BACKEND_URL right?")
        # Pulumi's library keeps each file's media type beside it, in NAME.attrs, which is no object.
        files = (path for path in self._root.joinpath(under).rglob("*") if path.is_file() and path.suffix != ".attrs")
        return (path.relative_to(self._root).as_posix() for path in files)

    def _read(self, name: str) -> Object | None:
        try:
            with self._path(name).open("rb") as file:
                data = file.read(LARGEST + 1)
        except FileNotFoundError:
            return None
        return Object(name, data, sha256(data).hexdigest())

    def _delete(self, found: Object) -> bool:
        now = self._read(found.name)
        if now is None or now.tag != found.tag:
            return False
        self._path(found.name).unlink()
        self._path(f"{found.name}.attrs").unlink(missing_ok=True)
        return True

    def _path(self, name: str) -> Path:
        path = self._root / name
        if not path.resolve().is_relative_to(self._root.resolve()):
            raise RolloutError(f"{name[:80]!a} leads out of {self.url}.")
        return path


class _S3(Backend):
    """A bucket of S3, whose deletes hold only for the ETag that was read."""

    def __init__(self, url: str, prefix: str, bucket: str, client: Any) -> None:
        super().__init__(url, prefix)
        self._bucket, self._client = bucket, client

    def _list(self, under: str) -> Iterable[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self.prefix + under)
        return (row["Key"] for page in pages for row in page.get("Contents", ()))

    def _read(self, name: str) -> Object | None:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self.prefix + name)
        except self._client.exceptions.NoSuchKey:
            return None
        with answer["Body"] as body:
            return Object(name, body.read(LARGEST + 1), answer["ETag"])

    def _delete(self, found: Object) -> bool:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - loaded with its cloud alone

        try:
            self._client.delete_object(Bucket=self._bucket, Key=self.prefix + found.name, IfMatch=found.tag)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
                return False
            raise
        return True


class _Gcs(Backend):
    """A bucket of Cloud Storage, whose deletes hold only for the generation that was read."""

    def __init__(self, url: str, prefix: str, bucket: str, client: Any) -> None:
        super().__init__(url, prefix)
        from google.cloud.storage.retry import DEFAULT_RETRY  # noqa: PLC0415 - loaded with its cloud alone

        self._client, self._bucket = client, client.bucket(bucket)
        self._patience = {"timeout": SECONDS, "retry": DEFAULT_RETRY.with_timeout(SECONDS)}

    def _list(self, under: str) -> Iterable[str]:
        found = self._client.list_blobs(
            self._bucket, prefix=self.prefix + under, max_results=MOST + 1, **self._patience
        )
        return (blob.name for blob in found)

    def _read(self, name: str) -> Object | None:
        from google.api_core.exceptions import (  # noqa: PLC0415 - loaded with its cloud alone
            NotFound,
            RequestRangeNotSatisfiable,
        )

        blob = self._bucket.blob(self.prefix + name)
        try:
            try:
                data = blob.download_as_bytes(end=LARGEST, checksum=None, **self._patience)
            except RequestRangeNotSatisfiable:  # of an object without a byte
                blob.reload(**self._patience)
                data = b""
        except NotFound:
            return None
        return Object(name, data, str(blob.generation))

    def _delete(self, found: Object) -> bool:
        from google.api_core.exceptions import NotFound, PreconditionFailed  # noqa: PLC0415 - as above

        blob = self._bucket.blob(self.prefix + found.name)
        try:
            blob.delete(if_generation_match=int(found.tag), **self._patience)
        except (NotFound, PreconditionFailed):
            return False
        return True


class _Azure(Backend):
    """A container of Azure Blob Storage, whose deletes hold only for the ETag that was read."""

    def __init__(self, url: str, prefix: str, container: Any) -> None:
        super().__init__(url, prefix)
        self._container = container

    def _list(self, under: str) -> Iterable[str]:
        return (str(name) for name in self._container.list_blob_names(name_starts_with=self.prefix + under))

    def _read(self, name: str) -> Object | None:
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - loaded with its cloud alone

        try:
            stream = self._container.download_blob(self.prefix + name)
        except ResourceNotFoundError as error:
            if getattr(error, "error_code", None) == "ContainerNotFound":
                raise
            return None
        return Object(name, stream.read(LARGEST + 1), stream.properties.etag)

    def _delete(self, found: Object) -> bool:
        from azure.core import MatchConditions  # noqa: PLC0415 - as above
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError  # noqa: PLC0415 - as above

        try:
            self._container.delete_blob(
                self.prefix + found.name, etag=found.tag, match_condition=MatchConditions.IfNotModified
            )
        except (ResourceModifiedError, ResourceNotFoundError):
            return False
        return True


def connect(url: str) -> Backend:
    """The backend at an address, with the environment's credentials. Nothing is asked of it yet."""
    try:
        parts = urlsplit(url)
        parameters = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    except ValueError:
        raise RolloutError(f"The backend's address is none. Write it as {FORMS}.") from None
    if parts.scheme not in OPENERS or parts.username or not (parts.hostname or parts.scheme == "file"):
        raise RolloutError(
            f"The backend's address begins with {parts.scheme[:20]!a}, or names no place. Write it as {FORMS}."
        )
    prefix = parameters.get("prefix", "") + parts.path.strip("/")
    prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
    shown = f"{parts.scheme}://{parts.netloc}/{prefix}"
    try:
        place = parts.netloc + (parts.path if parts.scheme == "file" else "")
        return OPENERS[parts.scheme](shown, prefix, place, parameters)
    except RolloutError:
        raise
    except ImportError as error:
        raise RolloutError(f"{shown} needs {error.name}, which is not installed: run `./install.sh deploy`.") from None
    except Exception as error:  # noqa: BLE001 - as above: credentials, profiles, names of buckets
        raise RolloutError(f"{shown} cannot be opened: {type(error).__name__}. Are you logged in there?") from None


def _files(_shown: str, _prefix: str, place: str, _parameters: dict[str, str]) -> Backend:
    # As Pulumi: relative to where one stands, `~` is one's home.
    root = Path(unquote(place)).expanduser().absolute()
    return _Files(f"file://{root}", str(root))


def _s3(shown: str, prefix: str, bucket: str, parameters: dict[str, str]) -> Backend:
    import boto3  # noqa: PLC0415 - each library is loaded with its cloud alone
    from botocore.config import Config  # noqa: PLC0415 - as above

    endpoint = parameters.get("endpoint")
    if endpoint and not _private(endpoint):
        raise RolloutError(f"The endpoint of {shown} is neither https nor on this machine.")
    session = boto3.Session(profile_name=parameters.get("profile"), region_name=parameters.get("region"))
    path_style = "path" if parameters.get("s3ForcePathStyle", parameters.get("use_path_style")) == "true" else "auto"
    options = Config(
        connect_timeout=10, read_timeout=SECONDS, retries={"total_max_attempts": 3}, s3={"addressing_style": path_style}
    )
    return _S3(shown, prefix, bucket, session.client("s3", endpoint_url=endpoint, config=options))


def _gcs(shown: str, prefix: str, bucket: str, _parameters: dict[str, str]) -> Backend:
    # For traces that nobody collects, the library would ask for the bucket's own metadata: a right of nobody here.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    from google.cloud.storage import Client  # noqa: PLC0415 - as above

    return _Gcs(shown, prefix, bucket, Client(project=os.environ.get("GOOGLE_CLOUD_PROJECT") or "none"))


def _azure(shown: str, prefix: str, container: str, parameters: dict[str, str]) -> Backend:
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - as above
    from azure.storage.blob import ContainerClient, LinearRetry  # noqa: PLC0415 - as above

    account = parameters.get("storage_account") or os.environ.get("AZURE_STORAGE_ACCOUNT", "")
    if not account.isalnum():
        raise RolloutError(f"{shown} names no storage account: end the address with ?storage_account=NAME.")
    options: dict[str, Any] = {
        "max_single_get_size": LARGEST + 1,  # bytes that are asked for at first; what is longer is refused
        "connection_timeout": 10,
        "read_timeout": SECONDS,
        "retry_policy": LinearRetry(backoff=1, retry_total=2, random_jitter_range=1),
    }
    if parameters.get("localemu") == "true":
        service = f"http://{parameters.get('domain', '127.0.0.1:10000')}/{account}"
        if not _private(service):
            raise RolloutError(f"The emulator of {shown} is not on this machine.")
        return _Azure(shown, prefix, ContainerClient(service, container, **options))
    service = f"https://{account}.{parameters.get('domain', 'blob.core.windows.net')}"
    return _Azure(shown, prefix, ContainerClient(service, container, credential=DefaultAzureCredential(), **options))


def _private(address: str) -> bool:
    """Whether what is sent there cannot be read on the way."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.netloc.rpartition(":")[0] in LOOPBACK)


OPENERS: dict[str, Callable[[str, str, str, dict[str, str]], Backend]] = {
    "file": _files,
    "s3": _s3,
    "gs": _gcs,
    "azblob": _azure,
}
