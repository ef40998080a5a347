"""Inputs that steer a deletion: what goes with it, and what stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.aws.provider import Provider, ProviderError
from tests.localcloud.aws.bench import Bench
from tests.localcloud.aws.samples.kms import kms


def fill(provider: Provider, bucket: str, **put: Any) -> None:
    """Two versions of an object, and a delete marker over them."""
    s3 = provider.account.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="data.csv", Body=body, **put)
    s3.delete_object(Bucket=bucket, Key="data.csv")


def delete(bench: Bench, name: str, made: str, **changes: Any) -> None:
    bench.provider.delete(bench.samples[name].token, made, bench.inputs(name, **changes))


def test_a_bucket_that_holds_objects_is_not_deleted_without_force_destroy(bench: Bench) -> None:
    made = bench.make("bucket", forceDestroy=False)
    fill(bench.provider, made)
    with pytest.raises(ProviderError, match=r"still holds objects.*forceDestroy"):
        delete(bench, "bucket", made, forceDestroy=False)
    assert bench.provider.read(bench.samples["bucket"].token, made, {}) is not None


def test_force_destroy_deletes_all_versions_and_delete_markers(bench: Bench) -> None:
    made = bench.make("bucket", forceDestroy=True)
    fill(bench.provider, made)
    delete(bench, "bucket", made, forceDestroy=True)
    assert bench.provider.inventory() == []


def test_force_destroy_deletes_more_versions_than_one_page_holds(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")  # 1,000 on S3
    made = bench.make("bucket", forceDestroy=True)
    for _ in range(3):
        fill(bench.provider, made)
    for number in range(25):
        bench.provider.account.client("s3").put_object(Bucket=made, Key=str(number), Body=b"")
    delete(bench, "bucket", made, forceDestroy=True)
    assert bench.provider.inventory() == []


def locked(mode: str) -> dict[str, Any]:
    return {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": "2090-01-01T00:00:00Z"}


def test_force_destroy_deletes_what_is_under_a_governance_lock(bench: Bench) -> None:
    made = bench.make("locked-bucket", forceDestroy=True)
    fill(bench.provider, made, **locked("GOVERNANCE"))
    delete(bench, "locked-bucket", made, forceDestroy=True)
    assert bench.provider.inventory() == []


def test_force_destroy_cannot_delete_what_is_under_a_compliance_lock_and_says_so(bench: Bench) -> None:
    made = bench.make("locked-bucket", forceDestroy=True)
    fill(bench.provider, made, **locked("COMPLIANCE"))
    with pytest.raises(ProviderError, match=r"2 object versions of the bucket org-audit cannot be deleted.*data\.csv"):
        delete(bench, "locked-bucket", made, forceDestroy=True)


def test_a_deleted_key_waits_as_long_as_its_window_and_is_in_no_inventory(bench: Bench) -> None:
    made = bench.make("key", deletionWindowInDays=9)
    delete(bench, "key", made, deletionWindowInDays=9)
    about = kms(bench.provider.account).describe_key(KeyId=made)["KeyMetadata"]
    assert about["KeyState"] == "PendingDeletion"
    assert (about["DeletionDate"] - about["CreationDate"]).days == 9
    assert bench.provider.inventory() == []


def push_image(provider: Provider, repository: str) -> None:
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": []}
    provider.account.client("ecr").put_image(
        repositoryName=repository,
        imageTag="1",
        imageManifest=json.dumps({**manifest, "config": {"digest": "sha256:0"}}),
    )


def test_a_repository_that_holds_images_is_deleted_only_with_force_delete(bench: Bench) -> None:
    made = bench.make("repository", forceDelete=False)
    push_image(bench.provider, made)
    with pytest.raises(ProviderError, match=r"still holds images.*forceDelete"):
        delete(bench, "repository", made, forceDelete=False)
    delete(bench, "repository", made, forceDelete=True)
    assert bench.provider.read(bench.samples["repository"].token, made, {}) is None


def test_a_role_to_which_others_gave_policies_is_deleted_only_with_force_detach_policies(bench: Bench) -> None:
    bench.make("attachment")
    bench.make("role-policy")
    with pytest.raises(ProviderError, match="DeleteConflict"):
        delete(bench, "role", "server")
    delete(bench, "role", "server", forceDetachPolicies=True)
    assert bench.provider.read(bench.samples["role"].token, "server", {}) is None


@pytest.mark.parametrize("name", ["log-group", "access-block"])
def test_what_has_skip_destroy_stays(bench: Bench, name: str) -> None:
    made = bench.make(name, skipDestroy=True)
    delete(bench, name, made, skipDestroy=True)
    assert bench.provider.read(bench.samples[name].token, made, {}) is not None


def test_the_validation_of_a_certificate_wants_the_records_of_all_its_domains(bench: Bench) -> None:
    with pytest.raises(ProviderError, match=r"validationRecordFqdns lacks _.*predict\.example\."):
        bench.make("validation", validationRecordFqdns=["_else.example"])
    records = bench.made["certificate"]["domainValidationOptions"]
    assert bench.make("validation", validationRecordFqdns=[record["resourceRecordName"] for record in records])
