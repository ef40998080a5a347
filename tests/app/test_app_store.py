from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from app import s3 as s3_module
from app.s3 import S3Store
from app.store import AbsentError, ConflictError, DeniedError, StoreError


@pytest.mark.parametrize(
    ("uri", "bucket", "prefix"),
    [
        ("s3://my-bucket/height-weight/", "my-bucket", "height-weight/"),
        ("s3://my-bucket/a/b", "my-bucket", "a/b/"),
        ("s3://my-bucket", "my-bucket", ""),
        ("s3://my-bucket/", "my-bucket", ""),
    ],
)
def test_an_address_names_bucket_and_prefix(uri: str, bucket: str, prefix: str) -> None:
    found = S3Store(uri, None)
    assert (found.bucket, found.prefix) == (bucket, prefix)


@pytest.mark.parametrize(
    "uri", ["", "bucket", "/tmp/models", "file:///tmp", "s3://", "s3:///x", "s3://A_B/x", "s3://b"]
)
def test_an_address_that_is_none_is_refused_with_the_form_it_needs(uri: str) -> None:
    with pytest.raises(StoreError, match="write it as s3://BUCKET/PREFIX/"):
        S3Store(uri, None)


def test_what_is_created_once_is_never_overwritten(s3: Any) -> None:
    models = S3Store("s3://models/x/", s3)
    assert models.create("versions/1/model.json", b"first")
    assert not models.create("versions/1/model.json", b"second")
    assert models.read("versions/1/model.json").data == b"first"


def test_a_pointer_moves_only_from_the_content_that_was_read(s3: Any) -> None:
    models = S3Store("s3://models/x/", s3)
    models.replace("current.json", b"1", None)
    with pytest.raises(ConflictError, match="written by somebody else"):
        models.replace("current.json", b"other", None)
    etag = models.read("current.json").etag
    models.replace("current.json", b"2", etag)
    with pytest.raises(ConflictError, match="written by somebody else"):
        models.replace("current.json", b"3", etag)
    s3.delete_object(Bucket="models", Key="x/current.json")
    with pytest.raises(ConflictError):
        models.replace("current.json", b"4", etag)


def test_an_unchanged_object_is_not_read_again(s3: Any) -> None:
    models = S3Store("s3://models/x/", s3)
    models.write("current.json", b"1")
    first = models.read_if_changed("current.json", None)
    assert first is not None
    assert models.read_if_changed("current.json", first.etag) is None
    models.write("current.json", b"2")
    assert models.read("current.json").data == b"2"


def test_a_missing_object_and_a_missing_bucket_are_told_by_their_uri(s3: Any) -> None:
    with pytest.raises(AbsentError, match=r"s3://models/x/none\.json does not exist"):
        S3Store("s3://models/x/", s3).read("none.json")
    with pytest.raises(StoreError, match=r"s3://nowhere-here/x/none\.json could not be read: NoSuchBucket"):
        S3Store("s3://nowhere-here/x/", s3).read("none.json")
    with pytest.raises(StoreError, match=r"could not be written: NoSuchBucket"):
        S3Store("s3://nowhere-here/x/", s3).create("none.json", b"")


def test_an_object_larger_than_expected_is_not_read_whole(s3: Any) -> None:
    models = S3Store("s3://models/x/", s3)
    models.write("model.json", b"x" * 100)
    assert len(models.read("model.json", 100).data) == 100
    with pytest.raises(StoreError, match="larger than 99 bytes"):
        models.read("model.json", 99)


class Refusing:
    """An S3 client whose calls fail with one error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_object(self, **_: Any) -> None:
        raise self.error

    put_object = get_object


def denied() -> ClientError:
    answer: Any = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    return ClientError(answer, "GetObject")


def test_a_denied_read_may_be_an_absence_and_a_denied_write_is_an_error() -> None:
    models = S3Store("s3://models/x/", Refusing(denied()))
    with pytest.raises(DeniedError, match="does not exist, or may not be read: AccessDenied"):
        models.read("current.json")
    with pytest.raises(StoreError, match="could not be written: AccessDenied") as caught:
        models.write("current.json", b"")
    assert not isinstance(caught.value, AbsentError)


def test_a_store_that_cannot_be_reached_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    models = S3Store("s3://models/x/", s3_module.client(1.0))
    with pytest.raises(StoreError, match=r"s3://models/x/current\.json could not be read: EndpointConnectionError"):
        models.read("current.json")


def test_the_client_takes_the_region_that_ecs_sets_and_addresses_emulators_by_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert s3_module.client().meta.region_name == "eu-north-1"
    assert s3_module.client().meta.config.s3["addressing_style"] == "auto"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://localhost:1234")
    assert s3_module.client().meta.config.s3["addressing_style"] == "path"


def test_an_endpoint_that_is_no_address_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(StoreError, match="S3 cannot be used: ValueError"):
        s3_module.client()
