"""Objects of backends are listed, read and deleted on each cloud, and nothing is deleted that has changed."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from moto import mock_aws

from rollout import backend
from rollout.backend import Backend, Object
from rollout.errors import RolloutError
from tests.app.fakes import Answer, Asked, Blobs, Gcs, serving

KEY = "secret-key-of-somebody"
LOCK = ".pulumi/locks/organization/groundwork/dev/1.json"


class ListedGcs(Gcs):
    """With the list, the metadata and the deletion of an object, as the JSON API documents them."""

    def answer(self, asked: Asked) -> Answer:
        parts = asked.path.split("/")
        container, key = parts[parts.index("b") + 1], unquote(parts[-1])
        if container not in self.containers:
            return super().answer(asked)
        objects = self.containers[container]
        if asked.method == "DELETE":
            found = objects.get(key)
            status = 404 if found is None else 204 if asked.query["ifGenerationMatch"] == str(found.number) else 412
            if status == 204:
                del objects[key]
            return Answer(status, b"" if status == 204 else b"{}")
        if parts[-1] == "o":
            items = [{"name": name} for name in sorted(objects) if name.startswith(asked.query["prefix"])]
            return Answer(200, json.dumps({"items": items}).encode(), {"Content-Type": "application/json"})
        if key in objects and not objects[key].data:  # has no first byte, so it is asked for what is said of it
            document = {"name": key, "generation": str(objects[key].number)}
            return Answer(416) if asked.query.get("alt") == "media" else Answer(200, json.dumps(document).encode())
        return super().answer(asked)


class ListedBlobs(Blobs):
    """With List Blobs and Delete Blob, as Microsoft documents them."""

    def answer(self, asked: Asked) -> Answer:
        if asked.query.get("comp") == "list":
            objects = self.containers.get(asked.path.rpartition("/")[2])
            if objects is None:
                return super().answer(asked._replace(path=f"{asked.path}/x"))
            rows = "".join(
                f"<Blob><Name>{name}</Name><Properties/></Blob>"
                for name in sorted(objects)
                if name.startswith(asked.query["prefix"])
            )
            return Answer(
                200,
                f"<EnumerationResults><Blobs>{rows}</Blobs><NextMarker/></EnumerationResults>".encode(),
                {"Content-Type": "application/xml"},
            )
        if asked.method == "DELETE":
            _, _, container, key = unquote(asked.path).split("/", 3)
            found = self.containers[container].get(key)
            if found is None:
                return Answer(404, b"", {"x-ms-error-code": "BlobNotFound"})
            if asked.headers["if-match"] != f'"0x{found.number:X}"':
                return Answer(412, b"", {"x-ms-error-code": "ConditionNotMet"})
            del self.containers[container][key]
            return Answer(202)
        return super().answer(asked)


class Place:
    """A backend with what puts an object into it, as somebody else would."""

    def __init__(self, where: Backend, put: Any, has: Any) -> None:
        self.where, self.put, self.has = where, put, has


@pytest.fixture(params=["file", "s3", "gs", "azblob"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A backend under `team/` of each kind of place."""
    if request.param == "file":
        root = tmp_path / "team"
        root.mkdir()

        def put(name: str, data: bytes) -> None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)

        yield Place(backend.connect(f"file://{root}"), put, lambda name: (root / name).exists())
    elif request.param == "s3":
        with aws(monkeypatch) as s3:
            yield Place(
                backend.connect("s3://state/team/?region=eu-west-1"),
                lambda name, data: s3.put_object(Bucket="state", Key=f"team/{name}", Body=data),
                lambda name: bool(s3.list_objects_v2(Bucket="state", Prefix=f"team/{name}")["KeyCount"]),
            )
    else:
        fake = ListedGcs("state") if request.param == "gs" else ListedBlobs("state")
        with serving(fake):
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake.url)
            host = fake.url.removeprefix("http://")
            url = {
                "gs": "gs://state/team",
                "azblob": f"azblob://state/team?storage_account=account&localemu=true&domain={host}",
            }[request.param]
            yield Place(
                backend.connect(url),
                lambda name, data: fake.put("state", f"team/{name}", data),
                lambda name: f"team/{name}" in fake.containers["state"],
            )


class aws:  # noqa: N801 - used as a function
    """A bucket `state` of Moto's, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in (("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", KEY), ("AWS_PROFILE", "")):
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        self._mock = mock_aws()
        # What a session reads of each service takes it most of a second; one reads it once.
        monkeypatch.setattr("boto3.Session", functools.cache(boto3.Session))

    def __enter__(self) -> Any:
        self._mock.start()
        s3 = boto3.Session(profile_name=None, region_name="eu-west-1").client("s3")
        s3.create_bucket(Bucket="state", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        return s3

    def __exit__(self, *_: object) -> None:
        self._mock.stop()


def read(where: Backend, name: str) -> Object:
    found = where.read(name)
    assert found
    return found


def test_what_lies_under_a_prefix_is_listed_and_nothing_else(place: Place) -> None:
    assert place.where.list(".pulumi/locks/") == []
    for name in (LOCK, LOCK.replace("1.json", "0.json"), ".pulumi/stacks/groundwork/dev.json"):
        place.put(name, b"{}")
    assert place.where.list(".pulumi/locks/organization/groundwork/dev/") == [LOCK.replace("1.json", "0.json"), LOCK]


def test_an_object_is_read_and_what_is_not_there_is_none(place: Place) -> None:
    assert place.where.read(LOCK) is None
    for data in (b'{"pid": 7}', b"", b"x" * backend.LARGEST):
        place.put(LOCK, data)
        assert read(place.where, LOCK).data == data


def test_an_object_that_is_too_large_is_not_read(place: Place) -> None:
    place.put(LOCK, b"x" * (backend.LARGEST + 1))
    with pytest.raises(RolloutError, match="more than 65,536 bytes"):
        place.where.read(LOCK)


def test_an_object_is_deleted_as_it_was_read(place: Place) -> None:
    place.put(LOCK, b"{}")
    assert place.where.delete(read(place.where, LOCK))
    assert not place.has(LOCK)


def test_an_object_that_has_changed_since_is_not_deleted(place: Place) -> None:
    place.put(LOCK, b"{}")
    found = read(place.where, LOCK)
    place.put(LOCK, b'{"pid": 8}')
    if isinstance(place.where, backend._S3):
        refuse(place.where, 412, "PreconditionFailed", found.tag)  # Moto does not look at the condition
    assert place.where.delete(found) is False
    assert read(place.where, LOCK).data == b'{"pid": 8}'


def refuse(where: Any, status: int, code: str, tag: str) -> None:
    """Has S3 answer a deletion so, if it asks for the content with this tag."""

    class Raw:
        def stream(self, **_: Any) -> Iterator[bytes]:
            yield f"<Error><Code>{code}</Code></Error>".encode()

    def answer(request: Any, **_: Any) -> AWSResponse | None:
        asked = request.headers.get("If-Match")
        if asked and asked.decode() == tag:
            return AWSResponse(request.url, status, {"Content-Type": "application/xml"}, Raw())
        return None

    where._client.meta.events.register_first("before-send.s3.DeleteObject", answer)


def test_an_object_that_is_gone_is_not_deleted(place: Place) -> None:
    place.put(LOCK, b"{}")
    found = read(place.where, LOCK)
    place.where.delete(found)
    if isinstance(place.where, backend._S3):
        refuse(place.where, 404, "NoSuchKey", found.tag)
    assert place.where.delete(found) is False


@pytest.mark.parametrize("name", [f"{LOCK}\x1b[31m", f"{LOCK}é", "x" * 1025, f"{LOCK}\n"])
def test_odd_names_are_refused_and_not_shown_as_they_are(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    where = backend.connect("file:///nowhere")
    monkeypatch.setattr(where, "_list", lambda _under: [name])
    with pytest.raises(RolloutError) as refused:
        where.list("")
    assert str(refused.value).isprintable()
    assert str(refused.value).isascii()
    assert len(str(refused.value)) < 300


def test_a_directory_that_is_not_there_is_no_state_without_locks(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match=r"There is no directory .*PULUMI_BACKEND_URL"):
        backend.connect(f"file://{tmp_path}/mistyped").list(".pulumi/locks/")


def test_a_list_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    where = backend.connect("file:///nowhere")
    monkeypatch.setattr(where, "_list", lambda _under: iter(lambda: "x", None))
    with pytest.raises(RolloutError, match="more than 1000 objects"):
        where.list("")


def test_a_name_does_not_lead_out_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "state").mkdir()
    with pytest.raises(RolloutError, match="leads out of"):
        backend.connect(f"file://{tmp_path}/state").read("../secret")


def test_what_pulumi_keeps_beside_a_file_is_no_object_and_goes_with_it(tmp_path: Path) -> None:
    where = backend.connect(f"file://{tmp_path}")
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.json.attrs").write_text("{}")
    assert where.list("") == ["a.json"]
    assert where.delete(read(where, "a.json"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nowhere",
        "https://api.pulumi.com",
        "postgres://somebody:" + "word@host/state",  # of parts, for the scanner of secrets
        "s3://",
        "s3://key:" + "word@bucket",
        "azblob://state",
        "azblob://state?storage_account=a/b",
        "azblob://state?storage_account=a&localemu=true&domain=example.com:80",
        "s3://bucket?region=eu-west-1&endpoint=http://example.com",
        "s3://bucket?region=eu-west-1&profile=no-such-profile",
        "s3://[",
    ],
)
def test_an_address_that_is_none_is_refused_in_a_sentence(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT", raising=False)
    with pytest.raises(RolloutError) as refused:
        backend.connect(url)
    assert "word" not in str(refused.value)
    assert str(refused.value).endswith((".", "?"))


def test_an_address_is_shown_without_its_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    with aws(monkeypatch):
        where = backend.connect(f"s3://state/team?region=eu-west-1&sig={KEY}")
    assert where.url == "s3://state/team/"


def test_a_refusal_of_a_cloud_is_a_sentence_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = r"x in s3://other/ could not be read: NoSuchBucket\. Are you logged in"
    with aws(monkeypatch), pytest.raises(RolloutError, match=sentence):
        backend.connect("s3://other?region=eu-west-1").read("x")
    for fake, scheme in ((ListedGcs(), "gs"), (ListedBlobs(), "azblob")):
        with serving(fake):
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake.url)
            host = fake.url.removeprefix("http://")
            where = backend.connect(f"{scheme}://other?storage_account=a&localemu=true&domain={host}")
            with pytest.raises(RolloutError, match=rf"\.pulumi/ in {scheme}://other/ could not be listed: "):
                where.list(".pulumi/")
