"""What a store promises, asked of each cloud's: S3 on Moto, the others on small stand-ins of ours (fakes.py), and
Azure Blob Storage on Azurite too where that is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.identity import CredentialUnavailableError
from azure.storage.blob import BlobServiceClient

from app import blobs, dataset, gcs, jobs, registry
from app.blobs import BlobStore
from app.gcs import GcsStore
from app.s3 import S3Store
from app.serving import Models
from app.store import AbsentError, ConflictError, DeniedError, Store, StoreError, open_store
from tests.app.fakes import Answer, Blobs, Fake, Gcs, Objects, serving

AZURITE = Path(os.environ.get("AZURITE", "")) / "node_modules/.bin/azurite-blob"
ACCOUNT = "https://account.blob.core.windows.net"
Stores = Callable[[str], Store]
Kept = Callable[[Store], list[str]]


def blob_client(url: str, credential: str | None = None) -> BlobServiceClient:
    return BlobServiceClient(f"{url}/account", credential=credential, **blobs.options(2.0))


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    fake = Gcs("models", "data")
    with serving(fake):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake.url)
        yield fake


@pytest.fixture
def azure() -> Iterator[Objects]:
    fake = Blobs("models", "data")
    with serving(fake):
        yield fake


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlobServiceClient]:
    if not shutil.which("node") or not AZURITE.exists():
        pytest.skip("needs node and the npm package: npm install --prefix DIR azurite; AZURITE=DIR")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key = "a2V5"  # of an account that lives as long as this test
    command = [str(AZURITE), "--silent", "--inMemoryPersistence", "--blobPort", str(port), "--skipApiVersionCheck"]
    own = {"PATH": os.environ["PATH"], "AZURITE_ACCOUNTS": f"account:{key}"}
    process = subprocess.Popen(command, env=own, cwd=tmp_path_factory.mktemp("azurite"))
    try:
        client = blob_client(f"http://127.0.0.1:{port}", key)
        for attempt in range(100):
            try:
                client.create_container("models")
                client.create_container("data")
                break
            except AzureError:
                assert attempt < 99, "Azurite does not answer"
                time.sleep(0.1)
        yield client
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(params=["s3", "gcs", "blobs", "azurite"])
def stores(request: pytest.FixtureRequest) -> Stores:
    """What opens a store of that kind in one of the containers `models` and `data`."""
    prefix = f"x{time.monotonic_ns()}"  # Azurite lives longer than a test
    match request.param:
        case "s3":
            s3: Any = request.getfixturevalue("s3")
            return lambda container: S3Store(f"s3://{container}/{prefix}/", s3)
        case "gcs":
            request.getfixturevalue("google")
            return lambda container: open_store(f"gs://{container}/{prefix}/", 2.0)
    azure = request.getfixturevalue("azurite") if request.param == "azurite" else None
    client = azure or blob_client(request.getfixturevalue("azure").url)
    return lambda container: BlobStore(f"{ACCOUNT}/{container}/{prefix}/", client)


@pytest.fixture
def kept(request: pytest.FixtureRequest, stores: Stores) -> Kept:
    """What lists the keys of all versions that a store still has, deleted ones with them."""

    def every(store: Store) -> list[str]:
        if isinstance(store, S3Store):
            s3 = request.getfixturevalue("s3")
            page = s3.list_object_versions(Bucket=store.bucket, Prefix=store.prefix)
            found = [row["Key"] for row in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]]
        elif isinstance(store, BlobStore) and "azurite" in request.fixturenames:
            found = [blob.name for blob in store._container.list_blobs(store.prefix, include=["versions", "snapshots"])]
        else:
            fake: Objects = request.getfixturevalue("google" if isinstance(store, GcsStore) else "azure")
            found = [*fake.containers["data"], *(key for key, _ in fake.before["data"])]
        return [key.removeprefix(store.prefix) for key in found]

    return every


def test_what_is_created_once_is_never_overwritten(stores: Stores) -> None:
    models = stores("models")
    assert models.create("versions/1/model.json", b"first")
    assert not models.create("versions/1/model.json", b"second")
    assert models.read("versions/1/model.json").data == b"first"


def test_a_pointer_moves_only_from_the_content_that_was_read(stores: Stores) -> None:
    models = stores("models")
    models.replace("current.json", b"1", None)
    with pytest.raises(ConflictError, match="written by somebody else"):
        models.replace("current.json", b"other", None)
    etag = models.read("current.json").etag
    models.replace("current.json", b"2", etag)
    with pytest.raises(ConflictError, match="written by somebody else"):
        models.replace("current.json", b"3", etag)
    assert models.read("current.json").data == b"2"


def test_a_pointer_that_is_gone_is_not_moved(stores: Stores) -> None:
    models = stores("models")
    models.write("other.json", b"1")
    with pytest.raises(ConflictError):
        models.replace("current.json", b"4", models.read("other.json").etag)


def test_an_unchanged_object_is_not_read_again_and_the_same_bytes_written_again_are_a_change_or_none(
    stores: Stores,
) -> None:
    models = stores("models")
    models.write("current.json", b"1")
    first = models.read_if_changed("current.json", None)
    assert first is not None
    assert models.read_if_changed("current.json", first.etag) is None
    models.write("current.json", b"2")
    second = models.read_if_changed("current.json", first.etag)
    assert second is not None
    assert second.data == b"2"


def test_a_missing_object_and_a_missing_container_are_told_by_their_uri(stores: Stores) -> None:
    with pytest.raises(AbsentError, match=r"/models/x\d+/none\.json does not exist"):
        stores("models").read("none.json")
    with pytest.raises(StoreError, match=r"/nowhere-here/x\d+/none\.json could not be read: "):
        stores("nowhere-here").read("none.json")
    with pytest.raises(StoreError, match="could not be written: ") as caught:
        stores("nowhere-here").create("none.json", b"x")
    assert not isinstance(caught.value, AbsentError)


def test_an_object_larger_than_expected_is_refused(stores: Stores) -> None:
    models = stores("models")
    models.write("model.json", b"x" * 100)
    assert len(models.read("model.json", 100).data) == 100
    with pytest.raises(StoreError, match="larger than 99 bytes"):
        models.read("model.json", 99)


def test_objects_of_no_bytes_and_of_five_megabytes_come_back_as_they_were(stores: Stores) -> None:
    models = stores("models")
    large = bytes(range(256)) * 20_480
    for key, data in (("empty.json", b""), ("large.csv", large)):
        models.write(key, data)
        assert models.read(key).data == data


def test_a_model_is_trained_published_served_and_rolled_back(stores: Stores) -> None:
    data, models = stores("data"), stores("models")
    served = Models(models)
    versions = []
    for seed in (1, 2):
        versions.append(jobs.train(dataset.generate(100, seed), "generated", seed, data, models)["version"])
        jobs.evaluate(data, models)
        assert registry.promote(models, versions[-1])["created"]
        served.refresh()
        assert served.served.trouble is None
        assert served.served.version is not None
        assert served.served.version.version == versions[-1]
    jobs.rollback(models)
    served.refresh()
    assert served.served.version is not None
    assert served.served.version.version == versions[0]


def test_a_listing_has_the_keys_under_a_prefix_by_name(stores: Stores) -> None:
    lake = stores("data")
    for key in ("lake/a/2", "lake/a/1", "lake/a/3 (more)/&", "lake/a/30", "lake/b/1", "lake"):
        lake.write(key, b"x")
    lake.write("lake/a/1", b"twice")
    assert list(lake.list("lake/a/")) == ["lake/a/1", "lake/a/2", "lake/a/3 (more)/&", "lake/a/30"]
    assert list(lake.list("lake/a/3")) == ["lake/a/3 (more)/&", "lake/a/30"]
    assert list(lake.list("none/")) == []
    with pytest.raises(StoreError, match=r"/nowhere-here/x\d+/lake could not be listed: "):
        list(stores("nowhere-here").list("lake"))


def test_a_deletion_leaves_no_version_and_takes_no_other_object(stores: Stores, kept: Kept) -> None:
    lake = stores("data")
    for number in range(5):
        lake.write("lake/1.jsonl", b"%d" % number)
    for other in ("lake/1.jsonl.more", "lake/1", "lake/2.jsonl"):
        lake.write(other, b"other")
    lake.delete("lake/1.jsonl")
    assert [key for key in kept(lake) if key == "lake/1.jsonl"] == []
    assert list(lake.list("lake/")) == ["lake/1", "lake/1.jsonl.more", "lake/2.jsonl"]
    lake.delete("lake/1.jsonl")  # nothing is there any more
    assert lake.create("lake/1.jsonl", b"again")


def test_what_is_not_there_is_told_from_what_is_denied_by_who_may_list(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = stores("data")
    lake.write("lake/1", b"x")
    assert lake.read_if_there("lake/1") == b"x"
    assert lake.read_if_there("lake/2") is None

    def denied(*_: Any) -> Any:
        raise DeniedError("does not exist, or may not be read")

    if isinstance(lake, S3Store):  # whose listing alone tells
        monkeypatch.setattr(lake, "read", denied)
        assert lake.read_if_there("lake/2") is None
        with pytest.raises(DeniedError):
            lake.read_if_there("lake/1")


def test_a_deletion_that_is_refused_is_an_error(stores: Stores) -> None:
    with pytest.raises(StoreError, match=r"/nowhere-here/x\d+/lake could not be deleted: "):
        stores("nowhere-here").delete("lake")


def opened(fake: Fake) -> Store:
    """The store whose stand-in this is."""
    if isinstance(fake, Gcs):
        return open_store("gs://models/x/", 2.0)
    return BlobStore(f"{ACCOUNT}/models/x/", blob_client(fake.url))


@pytest.fixture(params=["google", "azure"])
def fake(request: pytest.FixtureRequest) -> Objects:
    found: Objects = request.getfixturevalue(request.param)
    return found


def test_a_denied_read_may_be_an_absence_and_a_denied_write_is_an_error(fake: Objects) -> None:
    fake.broken = Answer(403, b"{}", {"x-ms-error-code": "AuthorizationPermissionMismatch"})
    with pytest.raises(DeniedError, match="does not exist, or may not be read: "):
        opened(fake).read("current.json")
    with pytest.raises(StoreError, match="could not be written: ") as caught:
        opened(fake).write("current.json", b"")
    assert not isinstance(caught.value, AbsentError)


def test_bytes_that_were_damaged_on_the_way_are_not_taken(fake: Objects) -> None:
    models = opened(fake)
    models.write("model.json", b"a model")
    fake.damaged = True
    with pytest.raises(StoreError, match="could not be read"):
        models.read("model.json")


def test_a_store_that_is_away_is_told_after_few_tries_and_seconds(
    fake: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = opened(fake)
    fake.broken = Answer(503)
    before, slept = len(fake.asked), [0.0]
    monkeypatch.setattr(time, "sleep", slept.append)
    with pytest.raises(StoreError, match=r"current\.json could not be read: "):
        models.read("current.json")
    assert 2 <= len(fake.asked) - before <= 5
    assert 0 < sum(slept) < 10


def test_what_is_written_says_what_it_is(fake: Objects) -> None:
    models = opened(fake)
    models.write("people.csv", b"1")
    assert b"text/csv" in fake.asked[-1].body + fake.asked[-1].headers.get("x-ms-blob-content-type", "").encode()


def test_no_right_is_needed_but_those_to_the_objects(google: Objects) -> None:
    models = opened(google)
    models.write("current.json", b"1")
    models.read("current.json")
    assert {(asked.method, asked.path.split("/")[1]) for asked in google.asked} == {
        ("POST", "upload"),
        ("GET", "download"),
    }


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "bucket",
        "/tmp/models",
        "file:///tmp",
        "gs://",
        "gs:///x",
        "gs://A_B/x",
        "https://example.com/models/x",
        "https://account.blob.core.windows.net/",
        "https://account.blob.core.windows.net.example.com/models/",
        "https://account.blob.core.windows.net/UPPER/x",
        "http://account.blob.core.windows.net/models/x",
    ],
)
def test_an_address_that_is_none_is_refused_with_the_forms_there_are(uri: str, google: Objects) -> None:
    with pytest.raises(StoreError, match=r"write it as s3://BUCKET/PREFIX/, gs://BUCKET/PREFIX/ or https://ACCOUNT"):
        open_store(uri)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("gs://my-bucket/a/b", "gs://my-bucket/a/b/k"),
        ("gs://my-bucket", "gs://my-bucket/k"),
        (f"{ACCOUNT}/my-container/a/", f"{ACCOUNT}/my-container/a/k"),
        (f"{ACCOUNT}/my-container", f"{ACCOUNT}/my-container/k"),
    ],
)
def test_an_address_names_container_and_prefix(uri: str, shown: str, google: Objects) -> None:
    assert open_store(uri).uri("k") == shown


def test_no_credentials_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nobody:
        def get_token(self, *_: Any, **__: Any) -> Any:
            raise CredentialUnavailableError("nobody is logged in")

    monkeypatch.setattr(blobs, "DefaultAzureCredential", Nobody)
    with pytest.raises(StoreError, match=r"could not be read: .*nobody is logged in"):
        open_store(f"{ACCOUNT}/models/x/").read("current.json")
    monkeypatch.setattr(gcs, "Client", lambda **_: (_ for _ in ()).throw(OSError("no credentials")))
    with pytest.raises(StoreError, match="Google Cloud Storage cannot be used: OSError: no credentials"):
        open_store("gs://models/x/")


def test_a_library_that_is_not_installed_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "app.gcs", None)
    monkeypatch.delattr("app.gcs")
    with pytest.raises(StoreError, match=r"gs://models/x/ needs a library .* requirements/image\.txt"):
        open_store("gs://models/x/")


def test_the_tag_of_gcs_is_a_generation_which_no_content_gets_twice(google: Objects) -> None:
    models = opened(google)
    assert isinstance(models, GcsStore)
    models.write("current.json", b"1")
    first = models.read("current.json").etag
    models.write("current.json", b"2")
    models.write("current.json", b"1")
    with pytest.raises(ConflictError):
        models.replace("current.json", b"3", first)
