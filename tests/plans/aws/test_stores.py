"""Buckets, keys, logs and images on AWS, in every plan."""

import fnmatch
import json

import pytest

from tests.plans.plans import ENVIRONMENTS, Plan, allowed, plan_of

pytestmark = pytest.mark.slow


THIS_KEY = "in a key's policy * is the key itself, whose ARN is not known before it exists"


@pytest.mark.parametrize("purpose", ["data", "models", "logs", "audit"])
class TestEveryBucket:
    def test_it_keeps_old_versions(self, plan: Plan, purpose: str) -> None:
        versioning = plan.named("s3:BucketVersioning", purpose)
        assert versioning.inputs["versioningConfiguration"] == {"status": "Enabled"}

    def test_it_encrypts_with_a_key_of_this_environment(self, plan: Plan, purpose: str) -> None:
        (rule,) = plan.named("s3:BucketServerSideEncryptionConfiguration", purpose).inputs["rules"]
        assert rule["bucketKeyEnabled"] is True
        default = rule["applyServerSideEncryptionByDefault"]
        key = plan.named("kms:Key", "data" if purpose in ("data", "models") else "logs")
        assert default == {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key.outputs["arn"]}

    def test_it_refuses_plain_transport_to_everyone(self, plan: Plan, purpose: str) -> None:
        bucket = plan.named("s3:Bucket", purpose).outputs["arn"]
        (denial,) = [
            statement
            for statement in plan.named("s3:BucketPolicy", purpose).document()
            if statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        ]
        assert (denial["Effect"], denial["Principal"], denial["Action"]) == ("Deny", "*", "s3:*")
        assert set(denial["Resource"]) == {bucket, f"{bucket}/*"}

    def test_it_refuses_any_other_encryption(self, plan: Plan, purpose: str) -> None:
        (denial,) = [
            statement
            for statement in plan.named("s3:BucketPolicy", purpose).document()
            if statement.get("Sid") == "DenyOtherEncryption"
        ]
        (rule,) = plan.named("s3:BucketServerSideEncryptionConfiguration", purpose).inputs["rules"]
        key = rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"]
        assert (denial["Effect"], denial["Principal"], denial["Action"]) == ("Deny", "*", ["s3:PutObject"])
        assert denial["Condition"] == {
            "Null": {"s3:x-amz-server-side-encryption": "false"},
            "StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key},
        }

    def test_it_is_closed_to_the_public_in_all_four_ways(self, plan: Plan, purpose: str) -> None:
        inputs = dict(plan.named("s3:BucketPublicAccessBlock", purpose).inputs)
        inputs.pop("bucket")
        assert inputs == dict.fromkeys(
            ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True
        )

    def test_its_objects_belong_to_its_owner(self, plan: Plan, purpose: str) -> None:
        ownership = plan.named("s3:BucketOwnershipControls", purpose)
        assert ownership.inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}

    def test_its_objects_grow_cold_and_its_leftovers_go(self, plan: Plan, purpose: str) -> None:
        rule, *_ = plan.named("s3:BucketLifecycleConfiguration", purpose).inputs["rules"]
        assert rule["status"] == "Enabled"
        assert rule["transitions"]
        assert rule["noncurrentVersionExpiration"]["noncurrentDays"] >= 30
        assert rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"] <= 7

    def test_each_of_its_rules_is_about_itself(self, plan: Plan, purpose: str) -> None:
        name = plan.named("s3:Bucket", purpose).inputs["bucket"]
        about = [row for row in plan.resources if row.type.startswith("aws:s3/") and row.name == purpose]
        assert len(about) >= 7
        assert {row.inputs["bucket"] for row in about} == {name}

    def test_it_is_emptied_and_unprotected_only_where_all_is_disposable(self, plan: Plan, purpose: str) -> None:
        bucket = plan.named("s3:Bucket", purpose)
        disposable = plan.environment == "local"
        assert bucket.inputs["forceDestroy"] is disposable
        assert bucket.options.get("protect", False) is not disposable


def test_who_came_for_an_object_is_written_down_in_the_logs(plan: Plan) -> None:
    logs = plan.named("s3:Bucket", "logs").inputs["bucket"]
    logging = {row.name: row.inputs["targetBucket"] for row in plan.of_type("s3:BucketLogging")}
    assert logging == {"data": logs, "models": logs, "audit": logs}


def test_the_audit_and_its_copy_are_locked_for_a_year_and_nothing_else_is(plan: Plan) -> None:
    audits = {"audit", "audit-replica"} if plan.environment == "prod" else {"audit"}
    mode = "GOVERNANCE" if plan.environment == "local" else "COMPLIANCE"
    locks = plan.of_type("s3:BucketObjectLockConfiguration")
    assert {lock.name for lock in locks} == audits
    for lock in locks:
        assert lock.inputs["bucket"] == plan.named("s3:Bucket", lock.name).inputs["bucket"]
        assert lock.inputs["rule"] == {"defaultRetention": {"mode": mode, "days": 365}}
    assert {row.name for row in plan.of_type("s3:Bucket") if row.inputs.get("objectLockEnabled")} == audits


def test_the_audit_outlives_its_lock(plan: Plan) -> None:
    (rule,) = plan.named("s3:BucketLifecycleConfiguration", "audit").inputs["rules"]
    assert rule["expiration"]["days"] > 365


def test_data_and_models_never_expire_but_for_what_people_left_in_the_lake(plan: Plan) -> None:
    (rule,) = plan.named("s3:BucketLifecycleConfiguration", "models").inputs["rules"]
    assert "expiration" not in rule
    rule, *kept = plan.named("s3:BucketLifecycleConfiguration", "data").inputs["rules"]
    assert "expiration" not in rule
    ending = {each["filter"]["prefix"]: each for each in kept if "days" in each["expiration"]}
    assert {each["filter"]["prefix"] for each in kept} == set(ending) == {"lake/", "people/labels/"}
    for each in ending.values():
        assert each["expiration"] == {"days": 90}
        assert each["noncurrentVersionExpiration"] == {"noncurrentDays": 1}


def test_the_copy_keeps_the_lake_no_longer() -> None:
    plan = plan_of("prod")
    of = {
        name: plan.named("s3:BucketLifecycleConfiguration", name).inputs["rules"] for name in ("data", "data-replica")
    }
    assert of["data"] == of["data-replica"]


# Copies in a second region


def test_prod_alone_keeps_copies_of_data_models_and_audit_in_a_second_region() -> None:
    for environment in ENVIRONMENTS:
        copied = {row.name for row in plan_of(environment).any_of_type("s3:BucketReplicationConfig")}
        assert copied == ({"data", "models", "audit"} if environment == "prod" else set())


@pytest.mark.parametrize("purpose", ["data", "models", "audit"])
class TestEveryCopy:
    def test_it_takes_everything_under_a_key_of_its_own_region(self, purpose: str) -> None:
        plan = plan_of("prod")
        (rule,) = plan.named("s3:BucketReplicationConfig", purpose).inputs["rules"]
        there = plan.named("s3:Bucket", f"{purpose}-replica")
        assert (rule["status"], rule["filter"]) == ("Enabled", {"prefix": ""})
        assert rule["sourceSelectionCriteria"] == {"sseKmsEncryptedObjects": {"status": "Enabled"}}
        assert rule["destination"]["bucket"] == there.outputs["arn"]
        key = plan.named("kms:Key", f"{purpose}-replica")
        assert rule["destination"]["encryptionConfiguration"] == {"replicaKmsKeyId": key.outputs["arn"]}
        assert key.outputs["arn"].startswith("arn:aws:kms:eu-central-1:")

    def test_it_is_closed_versioned_and_encrypted_as_the_first(self, purpose: str) -> None:
        plan, copy = plan_of("prod"), f"{purpose}-replica"
        for kind in ("BucketPublicAccessBlock", "BucketOwnershipControls", "BucketVersioning"):
            first, second = dict(plan.named(f"s3:{kind}", purpose).inputs), dict(plan.named(f"s3:{kind}", copy).inputs)
            assert first.pop("bucket") != second.pop("bucket")
            assert first == second
        sids = {statement["Sid"] for statement in plan.named("s3:BucketPolicy", copy).document()}
        assert sids == {"DenyPlainTransport", "DenyOtherEncryption"}
        assert plan.named("s3:Bucket", copy).options["protect"] is True

    def test_its_copier_reads_here_writes_there_and_removes_nothing(self, purpose: str) -> None:
        plan = plan_of("prod")
        here = plan.named("s3:Bucket", purpose).outputs["arn"]
        there = plan.named("s3:Bucket", f"{purpose}-replica").outputs["arn"]
        on: dict[str, set[str]] = {}
        for action, resource in allowed(plan.granted(f"{purpose}-copier")):
            on.setdefault(resource, set()).add(action)
        locks = {"s3:GetObjectLegalHold", "s3:GetObjectRetention"} if purpose == "audit" else set()
        reads = {"s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging"}
        keys = {arn: actions for arn, actions in on.items() if ":kms:" in arn}
        assert {arn: actions for arn, actions in on.items() if arn not in keys} == {
            here: {"s3:GetReplicationConfiguration", "s3:ListBucket"},
            f"{here}/*": reads | locks,
            f"{there}/*": {"s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"},
        }
        assert {arn.split(":")[3]: actions for arn, actions in keys.items()} == {
            "eu-west-1": {"kms:Decrypt"},
            "eu-central-1": {"kms:Encrypt", "kms:GenerateDataKey"},
        }


# Keys, logs and images


def test_every_key_is_rotated_and_deleted_by_accident_only_where_all_is_disposable(plan: Plan) -> None:
    disposable = plan.environment == "local"
    for key in plan.of_type("kms:Key"):
        assert key.inputs["enableKeyRotation"] is True
        assert key.inputs["deletionWindowInDays"] == (7 if disposable else 30)
        assert key.options.get("protect", False) is not disposable


def test_every_log_group_is_encrypted_and_kept_a_year(plan: Plan) -> None:
    key = plan.named("kms:Key", "logs").outputs["arn"]
    for group in plan.of_type("cloudwatch:LogGroup"):
        assert group.inputs["kmsKeyId"] == key
        assert group.inputs["retentionInDays"] == 365


def test_the_key_of_the_logs_is_open_to_every_log_group_of_the_environment_and_to_no_other(plan: Plan) -> None:
    patterns = [
        statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
        for statement in plan.named("kms:Key", "logs").document()
        if statement["Sid"].startswith("CloudWatchLogs")
    ]
    for group in plan.of_type("cloudwatch:LogGroup"):
        assert any(fnmatch.fnmatchcase(group.outputs["arn"], pattern) for pattern in patterns)
    assert all(f"groundwork/{plan.environment}/" in one or f"groundwork-{plan.environment}-" in one for one in patterns)


def test_tags_of_images_never_move_and_each_push_is_scanned(plan: Plan) -> None:
    repository = plan.only("ecr:Repository")
    assert repository.inputs["imageTagMutability"] == "IMMUTABLE"
    assert repository.inputs["imageScanningConfiguration"] == {"scanOnPush": True}
    key = plan.named("kms:Key", "data").outputs["arn"]
    assert repository.inputs["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": key}]


def test_old_and_untagged_images_go(plan: Plan) -> None:
    rules = json.loads(plan.only("ecr:LifecyclePolicy").inputs["policy"])["rules"]
    assert {rule["selection"]["tagStatus"] for rule in rules} == {"untagged", "any"}
    assert all(rule["action"] == {"type": "expire"} for rule in rules)
