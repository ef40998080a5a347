"""Two AWS providers in one program: a second region of the same account."""

from __future__ import annotations

from localcloud.aws import account
from localcloud.aws.provider import Provider
from localcloud.server import MAXIMUM_CONNECTIONS
from tests.localcloud.aws.bench import SERVICES, configuration

BUCKET, VERSIONING = "aws:s3/bucket:Bucket", "aws:s3/bucketVersioning:BucketVersioning"
REPLICATION, KEY = "aws:s3/bucketReplicationConfig:BucketReplicationConfig", "aws:kms/key:Key"
AT_ONCE = 16  # steps that the engine takes side by side
ON = {"status": "Enabled"}


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:test::regions::{token}::{name}"


def make(provider: Provider, token: str, name: str, **declared: object) -> tuple[str, dict[str, object]]:
    inputs = provider.check(token, urn(token, name), declared)
    made = provider.create(token, urn(token, name), inputs)
    found = provider.read(token, made, inputs)
    assert found is not None
    assert found[0] == inputs
    return made, found[1]


def test_a_bucket_is_copied_to_one_of_another_providers_region(provider: Provider, emulator_url: str) -> None:
    far = Provider({**configuration(emulator_url), "region": "us-east-1"})
    for where, name in ((provider, "org-data"), (far, "org-data-copy")):
        make(where, BUCKET, name, bucket=name)
        make(where, VERSIONING, name, bucket=name, versioningConfiguration=ON)
    _, key = make(far, KEY, "copy")
    destination = {
        "bucket": "arn:aws:s3:::org-data-copy",
        "encryptionConfiguration": {"replicaKmsKeyId": key["arn"]},
    }
    rule = {"id": "all", "status": "Enabled", "priority": 1, "filter": {"prefix": ""}, "destination": destination}
    role = "arn:aws:iam::123456789012:role/copier"
    make(provider, REPLICATION, "data", bucket="org-data", role=role, rules=[rule])
    assert str(key["arn"]).startswith("arn:aws:kms:us-east-1:")


def test_regions_do_not_see_each_others_keys_nor_adopt_them(provider: Provider, emulator_url: str) -> None:
    far = Provider({**configuration(emulator_url), "region": "us-east-1"})
    made, _ = make(provider, KEY, "data")
    assert far.read(KEY, made, {}) is None
    assert far.find(KEY, urn(KEY, "data"), {}, frozenset()) is None
    assert (KEY, made) in provider.inventory()
    assert (KEY, made) not in far.inventory()


def test_two_regions_leave_connections_of_the_emulator_free() -> None:
    """Who comes when all are taken waits for an idle one to be closed, and gives up before."""
    kept = 2 * len(SERVICES) * account.IDLE_CONNECTIONS
    assert kept + AT_ONCE < MAXIMUM_CONNECTIONS
