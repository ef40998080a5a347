"""Buckets: what a purpose brings, what a grant allows and what it does not."""

from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from infra.aws.identity import Identity
from infra.aws.keys import Key
from infra.aws.names import Account
from infra.aws.store import Second, Store
from infra.context import Context
from infra.shape import StoreArgs, Unsupported
from tests.infra.evaluated import CONTEXT, DISPOSABLE, evaluated, of_type, only

THROUGH_S3 = {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}


def store(account: Account, purpose: Any = "data", ctx: Context = CONTEXT, **args: Any) -> Store:
    key = Key("data", account=account, ctx=ctx)
    return Store(purpose, StoreArgs(key, **args), account=account, ctx=ctx)


def granted(grant: str, prefix: str) -> list[dict[str, Any]]:
    """The statements that a grant on the bucket `data` attaches to a role."""

    def program(account: Account) -> None:
        server = Identity("server", "container", account=account, ctx=CONTEXT)
        getattr(store(account), grant)(server, prefix)

    attached = only(evaluated(program), "RolePolicy")
    assert attached.inputs["role"] == "groundwork-dev-server"
    return attached.document()


def test_a_grant_to_read_lists_and_reads_under_the_prefix_alone() -> None:
    objects, listing, key = granted("grant_read", "people/")
    bucket = "arn:aws:s3:::acme-groundwork-dev-data"
    assert objects == {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:GetObjectVersion"],
        "Resource": [f"{bucket}/people/*"],
    }
    assert listing == {
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": [bucket],
        "Condition": {"StringLike": {"s3:prefix": "people/*"}},
    }
    assert key == {
        "Effect": "Allow",
        "Action": ["kms:Decrypt"],
        "Resource": ["arn:aws:kms:::data"],
        "Condition": THROUGH_S3,
    }


def test_a_grant_to_write_neither_reads_nor_lists_nor_deletes() -> None:
    objects, key = granted("grant_write", "lake/")
    assert objects["Action"] == ["s3:AbortMultipartUpload", "s3:PutObject"]
    assert objects["Resource"] == ["arn:aws:s3:::acme-groundwork-dev-data/lake/*"]
    assert key["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert key["Condition"] == THROUGH_S3


def test_a_grant_without_a_prefix_is_to_the_whole_bucket() -> None:
    objects, listing, _ = granted("grant_read", "")
    assert objects["Resource"] == ["arn:aws:s3:::acme-groundwork-dev-data/*"]
    assert "Condition" not in listing


def test_one_identity_takes_many_grants_in_any_order() -> None:
    def program(account: Account) -> None:
        server = Identity("server", "container", account=account, ctx=CONTEXT)
        data = store(account)
        for prefix in ("lake/", "people/", ""):
            data.grant_write(server, prefix)
            data.grant_read(server, prefix)

    names = [policy.inputs["name"] for policy in of_type(evaluated(program), "RolePolicy")]
    assert sorted(names) == [
        "read-data",
        "read-data-lake",
        "read-data-people",
        "write-data",
        "write-data-lake",
        "write-data-people",
    ]


def test_access_logs_cannot_be_locked_as_s3_would_deliver_none() -> None:
    with pytest.raises(Unsupported, match=r"^aws: the bucket of the access logs cannot be locked"):
        evaluated(lambda account: store(account, "logs", locked_days=1))


@pytest.mark.parametrize(("ctx", "mode"), [(CONTEXT, "COMPLIANCE"), (DISPOSABLE, "GOVERNANCE")])
def test_a_lock_is_final_unless_the_environment_is_disposable(ctx: Context, mode: str) -> None:
    resources = evaluated(lambda account: store(account, "audit", ctx, locked_days=365))
    lock = only(resources, "BucketObjectLockConfiguration")
    assert lock.inputs["rule"] == {"defaultRetention": {"mode": mode, "days": 365}}
    assert only(resources, "Bucket").inputs["objectLockEnabled"] is True


@pytest.mark.parametrize(("ctx", "emptied"), [(CONTEXT, False), (DISPOSABLE, True)])
def test_only_a_disposable_bucket_is_emptied_when_it_is_destroyed(ctx: Context, emptied: bool) -> None:
    bucket = only(evaluated(lambda account: store(account, ctx=ctx)), "Bucket")
    assert bucket.inputs["forceDestroy"] is emptied


def test_access_logs_come_in_by_the_delivery_service_from_this_account_alone() -> None:
    policy = only(evaluated(lambda account: store(account, "logs")), "BucketPolicy").document()
    (delivery,) = [statement for statement in policy if statement["Effect"] == "Allow"]
    assert delivery["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert delivery["Action"] == ["s3:PutObject"]
    assert delivery["Resource"] == ["arn:aws:s3:::acme-groundwork-dev-logs/s3/*"]
    assert delivery["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}


def test_a_bucket_tells_its_address_as_apps_write_it() -> None:
    told: list[str] = []

    def program(account: Account) -> pulumi.Output[None]:
        return store(account).uri("lake/").apply(told.append)

    evaluated(program)
    assert told == ["s3://acme-groundwork-dev-data/lake/"]


def replicated(account: Account, purpose: Any = "data", ctx: Context = CONTEXT, **args: Any) -> Store:
    key = Key("data", account=account, ctx=ctx)
    second = Second("eu-central-1", aws.Provider("aws-replica", region="eu-central-1"))
    return Store(purpose, StoreArgs(key, replicated=True, **args), second, account=account, ctx=ctx)


def test_what_is_kept_for_days_goes_with_its_versions_here_and_in_the_copy() -> None:
    resources = evaluated(lambda account: replicated(account, kept_days={"lake/": 90}))
    here, there = of_type(resources, "BucketLifecycleConfiguration")
    age, kept, marks = here.inputs["rules"]
    assert there.inputs["rules"] == here.inputs["rules"]
    assert (age["filter"], "expiration" in age) == ({"prefix": ""}, False)
    assert kept["filter"] == marks["filter"] == {"prefix": "lake/"}
    assert kept["expiration"] == {"days": 90}
    assert kept["noncurrentVersionExpiration"] == {"noncurrentDays": 1}
    assert marks["expiration"] == {"expiredObjectDeleteMarker": True}
    assert {rule["status"] for rule in here.inputs["rules"]} == {"Enabled"}


@pytest.mark.parametrize("prefix", ["lake/", "people/a/"])
def test_a_grant_to_erase_removes_versions_under_the_prefix_alone(prefix: str) -> None:
    objects, listing = granted("grant_erase", prefix)
    bucket = "arn:aws:s3:::acme-groundwork-dev-data"
    assert objects["Action"] == ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    assert objects["Resource"] == [f"{bucket}/{prefix}*"]
    assert listing["Action"] == ["s3:ListBucket", "s3:ListBucketVersions"]
    assert listing["Resource"] == [bucket]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": f"{prefix}*"}}


def test_a_grant_to_erase_reaches_the_copy_which_keeps_versions_of_its_own() -> None:
    told: list[str] = []

    def program(account: Account) -> Any:
        data = replicated(account)
        data.grant_erase(Identity("eraser", "container", account=account, ctx=CONTEXT), "lake/")
        copy = data.copy_uri("lake/")
        assert copy is not None
        return copy.apply(told.append)

    (policy,) = [row for row in of_type(evaluated(program), "RolePolicy") if row.inputs["name"] == "erase-data-lake"]
    _, _, objects, listing, key = policy.document()
    copy = "arn:aws:s3:::acme-groundwork-dev-data-replica"
    assert objects["Resource"] == [f"{copy}/lake/*"]
    assert set(objects["Action"]) == {"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:PutObject"}
    assert (listing["Resource"], "Condition" in listing) == ([copy], True)
    assert key["Condition"] == {"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}
    assert told == ["s3://acme-groundwork-dev-data-replica/lake/"]


def test_without_a_copy_there_is_no_address_of_one() -> None:
    evaluated(lambda account: pulumi.Output.from_input(_none(store(account).copy_uri())))


def _none(value: object) -> str:
    assert value is None
    return ""


def test_people_are_never_kept_under_a_lock() -> None:
    with pytest.raises(Unsupported, match=r"A locked store keeps everything for its time; leave out"):
        evaluated(lambda account: store(account, locked_days=1, kept_days={"lake/": 90}))


@pytest.mark.parametrize("kept", [{"lake": 90}, {"lake/": 0}, {"": 90}])
def test_what_is_kept_for_days_is_a_prefix_and_days(kept: dict[str, int]) -> None:
    with pytest.raises(Unsupported, match="is no prefix with a slash at its end and days"):
        evaluated(lambda account: store(account, kept_days=kept))


def test_a_copy_without_a_second_region_is_refused_with_what_to_set() -> None:
    with pytest.raises(Unsupported, match=r"^aws: the bucket 'data' is to be replicated.*set replicaRegion"):
        evaluated(lambda account: store(account, replicated=True))


def test_a_second_region_alone_makes_no_copy() -> None:
    def program(account: Account) -> None:
        second = Second("eu-central-1", aws.Provider("aws-replica", region="eu-central-1"))
        Store("data", StoreArgs(Key("data", account=account, ctx=CONTEXT)), second, account=account, ctx=CONTEXT)

    assert len(of_type(evaluated(program), "Bucket")) == 1


def test_deletions_are_copied_as_marks_and_objects_under_the_key_of_the_second_region() -> None:
    config = only(evaluated(replicated), "BucketReplicationConfig").inputs
    (rule,) = config["rules"]
    assert rule["deleteMarkerReplication"] == {"status": "Enabled"}
    assert rule["destination"]["bucket"] == "arn:aws:s3:::acme-groundwork-dev-data-replica"
    assert rule["destination"]["encryptionConfiguration"] == {"replicaKmsKeyId": "arn:aws:kms:::data-replica"}
    assert config["role"] == "arn:aws:iam:::groundwork-dev-data-copier"


def test_copying_starts_once_both_buckets_keep_versions_and_the_copy_is_closed() -> None:
    order = [(resource.type, resource.name) for resource in evaluated(replicated)]
    start = order.index(("aws:s3/bucketReplicationConfig:BucketReplicationConfig", "data"))
    for kind, name in (
        ("BucketVersioning", "data"),
        ("BucketVersioning", "data-replica"),
        ("BucketPolicy", "data-replica"),
    ):
        assert order.index((f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}", name)) < start


def test_the_copier_uses_either_key_through_s3_of_its_region_alone() -> None:
    (attached,) = [one for one in of_type(evaluated(replicated), "RolePolicy") if one.name == "data-copier-copy-data"]
    uses = {
        statement["Condition"]["StringEquals"]["kms:ViaService"]: (statement["Action"], statement["Resource"])
        for statement in attached.document()
        if "Condition" in statement
    }
    assert uses == {
        "s3.eu-west-1.amazonaws.com": (["kms:Decrypt"], ["arn:aws:kms:::data"]),
        "s3.eu-central-1.amazonaws.com": (["kms:Encrypt", "kms:GenerateDataKey"], ["arn:aws:kms:::data-replica"]),
    }


@pytest.mark.parametrize(("ctx", "mode"), [(CONTEXT, "COMPLIANCE"), (DISPOSABLE, "GOVERNANCE")])
def test_the_copy_of_what_is_locked_is_locked_as_long(ctx: Context, mode: str) -> None:
    resources = evaluated(lambda account: replicated(account, "audit", ctx, locked_days=30))
    locks = {
        one.name: one.inputs["rule"]["defaultRetention"] for one in of_type(resources, "BucketObjectLockConfiguration")
    }
    assert locks == {name: {"mode": mode, "days": 30} for name in ("audit", "audit-replica")}


def test_the_state_of_stacks_keeps_its_versions_and_is_never_moved_locked_or_expired() -> None:
    resources = evaluated(lambda account: store(account, "state"))
    (rule,) = only(resources, "BucketLifecycleConfiguration").inputs["rules"]
    assert only(resources, "BucketVersioning").inputs["versioningConfiguration"] == {"status": "Enabled"}
    assert not {"transitions", "expiration"} & rule.keys()
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 365}
    assert not of_type(resources, "BucketObjectLockConfiguration")


def test_the_trail_writes_to_the_audit_under_its_own_account_and_owns_nothing_there() -> None:
    policy = only(evaluated(lambda account: store(account, "audit")), "BucketPolicy").document()
    looks, writes = (statement for statement in policy if statement["Effect"] == "Allow")
    trail = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/groundwork-dev-audit"
    assert (looks["Action"], looks["Condition"]) == (["s3:GetBucketAcl"], {"StringEquals": {"aws:SourceArn": trail}})
    assert writes["Resource"] == ["arn:aws:s3:::acme-groundwork-dev-audit/AWSLogs/111122223333/*"]
    assert writes["Condition"]["StringEquals"] == {
        "aws:SourceArn": trail,
        "s3:x-amz-acl": "bucket-owner-full-control",
    }
