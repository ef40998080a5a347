"""Buckets: what a purpose brings, what a grant allows and what it does not."""

from pathlib import Path
from typing import Any

import pytest

from tests.infra.gcp.planned import Planned, named, of_type, only, planned

OBJECTS = 'resource.name.startsWith("projects/_/buckets/acme-groundwork-dev-data/objects/{}")'
WHOSE = "serviceAccount:groundwork-dev-server@acme-ml-dev.iam.gserviceaccount.com"


def bucket(tmp_path: Path, purpose: str = "data", args: str = "", **facts: Any) -> Planned:
    program = f'parts.store("{purpose}", StoreArgs(parts.key("data"){args}))'
    return only(planned(tmp_path, program, **facts), "Bucket")


def granted(tmp_path: Path, verb: str, prefix: str, args: str = "") -> dict[str, dict[str, Any]]:
    """The inputs of what a grant on the bucket `data` binds, by role."""
    program = f"""
        data = parts.store("data", StoreArgs(parts.key("data"){args}))
        data.{verb}(parts.identity("server", "container"), "{prefix}")
    """
    return {grant.inputs["role"]: grant.inputs for grant in of_type(planned(tmp_path, program), "BucketIAMMember")}


@pytest.mark.parametrize("purpose", ["data", "models", "logs", "audit", "state"])
def test_a_bucket_is_private_encrypted_with_our_key_and_recoverable(tmp_path: Path, purpose: str) -> None:
    made = bucket(tmp_path, purpose)
    assert made.inputs["name"] == f"acme-groundwork-dev-{purpose}"
    assert made.inputs["uniformBucketLevelAccess"] is True
    assert made.inputs["publicAccessPrevention"] == "enforced"
    assert made.inputs["encryption"]["defaultKmsKeyName"].endswith("/cryptoKeys/groundwork-dev-data")
    assert made.inputs["versioning"] == {"enabled": True}
    assert made.inputs["softDeletePolicy"] == {"retentionDurationSeconds": 604800}
    assert made.inputs["location"] == "europe-west1"
    assert made.inputs["labels"]["data-class"] == "internal"


def test_the_service_may_use_the_key_before_the_bucket_is_made(tmp_path: Path) -> None:
    resources = planned(tmp_path, 'parts.store("data", StoreArgs(parts.key("data")))')
    kinds = [resource.kind for resource in resources]
    assert kinds.index("CryptoKeyIAMMember") < kinds.index("Bucket")


def test_objects_grow_cold_and_old_versions_go(tmp_path: Path) -> None:
    rules = {
        (rule["action"]["type"], rule["action"].get("storageClass")): rule["condition"]
        for rule in bucket(tmp_path, "logs").inputs["lifecycleRules"]
    }
    assert rules["SetStorageClass", "NEARLINE"]["age"] == 30
    assert rules["SetStorageClass", "COLDLINE"]["age"] == 90
    assert rules["AbortIncompleteMultipartUpload", None]["age"] == 7
    deletions = [rule["condition"] for rule in bucket(tmp_path, "logs").inputs["lifecycleRules"][2:4]]
    assert deletions == [
        {"daysSinceNoncurrentTime": 30, "withState": "ARCHIVED"},
        {"age": 400, "withState": "LIVE"},
    ]


def test_data_and_models_are_never_deleted_by_age(tmp_path: Path) -> None:
    for purpose in ("data", "models", "state"):
        rules = bucket(tmp_path / purpose, purpose).inputs["lifecycleRules"]
        deleted = [rule["condition"] for rule in rules if rule["action"]["type"] == "Delete"]
        assert [condition["withState"] for condition in deleted] == ["ARCHIVED"]


def test_what_is_kept_for_days_goes_with_its_versions_and_is_gone_for_good(tmp_path: Path) -> None:
    made = bucket(tmp_path, "data", ', kept_days={"lake/": 90}')
    rules = [rule for rule in made.inputs["lifecycleRules"] if rule["condition"].get("matchesPrefixes")]
    kept = {"age": 90, "matchesPrefixes": ["lake/"], "withState": "ANY"}
    assert rules == [{"action": {"type": "Delete"}, "condition": kept}]
    assert made.inputs["softDeletePolicy"] == {"retentionDurationSeconds": 0}
    assert made.inputs["versioning"] == {"enabled": True}


def test_a_grant_to_erase_lists_and_removes_under_the_prefix_alone(tmp_path: Path) -> None:
    grants = granted(tmp_path, "grant_erase", "lake/")
    assert set(grants) == {"projects/acme-ml-dev/roles/groundworkdevdataerase"}
    (grant,) = grants.values()
    listing = 'api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("lake/")'
    assert grant["condition"]["expression"] == f"{OBJECTS.format('lake/')} || {listing}"


def test_to_erase_takes_two_permissions_and_no_more(tmp_path: Path) -> None:
    program = """
        data, eraser = parts.store("data", StoreArgs(parts.key("data"))), parts.identity("eraser", "container")
        data.grant_erase(eraser, "lake/")
        data.grant_erase(eraser, "people/")
    """
    resources = planned(tmp_path, program)
    made = only(resources, "IAMCustomRole")  # one for both
    assert made.inputs["permissions"] == ["storage.objects.delete", "storage.objects.list"]


@pytest.mark.parametrize("disposable", [False, True])
def test_a_lock_is_final_unless_the_environment_is_disposable(tmp_path: Path, disposable: bool) -> None:
    locked = bucket(tmp_path, "audit", ", locked_days=365", disposable=disposable)
    assert locked.inputs["retentionPolicy"] == {"retentionPeriod": "31536000", "isLocked": not disposable}
    assert locked.inputs["versioning"] == {"enabled": False}
    assert {rule["condition"].get("withState") for rule in locked.inputs["lifecycleRules"]} == {"ANY", "LIVE", None}


@pytest.mark.parametrize("disposable", [False, True])
def test_only_a_disposable_bucket_is_emptied_and_may_be_destroyed(tmp_path: Path, disposable: bool) -> None:
    made = bucket(tmp_path, disposable=disposable)
    assert made.inputs["forceDestroy"] is disposable
    assert made.options.get("protect", False) is not disposable


def test_access_logs_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"gcp: the bucket of the access logs is not to be locked"):
        bucket(tmp_path, "logs", ", locked_days=1")


def test_access_logs_come_in_by_the_delivery_service_alone_before_anybody_sends_some(tmp_path: Path) -> None:
    program = """
        logs = parts.store("logs", StoreArgs(parts.key("logs")))
        parts.store("data", StoreArgs(parts.key("data"), logs))
    """
    resources = planned(tmp_path, program)
    delivery = only(resources, "BucketIAMMember")
    assert delivery.inputs["role"] == "roles/storage.objectCreator"
    assert delivery.inputs["member"] == "group:cloud-storage-analytics@google.com"
    assert "objects/access/" in delivery.inputs["condition"]["expression"]
    data = named(resources, "Bucket")["data"]
    assert data.inputs["logging"] == {"logBucket": "acme-groundwork-dev-logs", "logObjectPrefix": "access/data"}
    assert resources.index(delivery) < resources.index(data)


def test_a_replicated_bucket_lies_in_two_regions_with_a_key_of_both(tmp_path: Path) -> None:
    made = bucket(tmp_path, "data", ", replicated=True", replica="europe-west4")
    assert made.inputs["location"] == "EU"
    assert made.inputs["customPlacementConfig"] == {"dataLocations": ["EUROPE-WEST1", "EUROPE-WEST4"]}
    assert made.inputs["rpo"] == "ASYNC_TURBO"
    assert "/locations/europe/" in made.inputs["encryption"]["defaultKmsKeyName"]


@pytest.mark.parametrize(
    ("replica", "sentence"),
    [(None, "needs a second region"), ("europe-west1", "needs a second region"), ("us-east1", "choose two regions")],
)
def test_a_replica_that_cannot_be_is_refused_in_a_sentence(tmp_path: Path, replica: str | None, sentence: str) -> None:
    with pytest.raises(Exception, match=rf"gcp: .*{sentence}"):
        bucket(tmp_path, "data", ", replicated=True", replica=replica)


def test_a_grant_to_read_lists_and_reads_under_the_prefix_alone(tmp_path: Path) -> None:
    grants = granted(tmp_path, "grant_read", "people/")
    assert set(grants) == {"roles/storage.objectViewer"}
    grant = grants["roles/storage.objectViewer"]
    assert grant["member"] == WHOSE
    listing = 'api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("people/")'
    assert grant["condition"]["expression"] == f"{OBJECTS.format('people/')} || {listing}"


def test_a_grant_to_write_neither_reads_nor_lists(tmp_path: Path) -> None:
    grants = granted(tmp_path, "grant_write", "lake/")
    replace = "projects/acme-ml-dev/roles/groundworkdevdatareplace"
    assert set(grants) == {"roles/storage.objectCreator", replace}
    assert {grant["condition"]["expression"] for grant in grants.values()} == {OBJECTS.format("lake/")}


def test_to_write_over_an_object_takes_one_permission_and_no_more(tmp_path: Path) -> None:
    program = """
        data, server = parts.store("data", StoreArgs(parts.key("data"))), parts.identity("server", "container")
        data.grant_write(server, "lake/")
        data.grant_write(server, "people/")
    """
    made = only(planned(tmp_path, program), "IAMCustomRole")
    assert made.inputs["permissions"] == ["storage.objects.delete"]


def test_nothing_in_a_locked_bucket_can_be_replaced(tmp_path: Path) -> None:
    assert set(granted(tmp_path, "grant_write", "", ", locked_days=1")) == {"roles/storage.objectCreator"}


def test_a_grant_without_a_prefix_is_to_the_whole_bucket(tmp_path: Path) -> None:
    (grant,) = granted(tmp_path, "grant_read", "").values()
    assert "condition" not in grant


def test_one_identity_takes_many_grants_in_any_order(tmp_path: Path) -> None:
    program = """
        data, server = parts.store("data", StoreArgs(parts.key("data"))), parts.identity("server", "container")
        for prefix in ("lake/", "people/", ""):
            data.grant_write(server, prefix)
            data.grant_read(server, prefix)
    """
    assert len(named(planned(tmp_path, program), "BucketIAMMember")) == 9


def test_a_bucket_tells_its_address_as_apps_write_it(tmp_path: Path) -> None:
    program = """
        lake = parts.store("data", StoreArgs(parts.key("data"))).uri("lake/")
        lake.apply(lambda uri: parts.identity(uri.replace("/", "-").replace(":", ""), "container"))
    """
    assert only(planned(tmp_path, program), "Account").name == "gs--acme-groundwork-dev-data-lake-"
