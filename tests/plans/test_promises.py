"""What the parts promise, asked of the plan of every environment."""

import ipaddress
import json
from typing import Any

import pulumi_aws
import pytest

from tests.plans.plans import ENVIRONMENTS, Plan, Resource, Statement, plan_of

pytestmark = pytest.mark.slow

PURPOSES = ("data", "models", "logs", "audit")
THIS_KEY = "in a key's policy * is the key itself, whose ARN is not known before it exists"
# Statements that have a `*`: their type, Sid or first action, and what has it; with the reason why it may.
STARS = {
    ("aws:kms/key:Key", "TheAccountDecides", "Resource *"): THIS_KEY,
    ("aws:kms/key:Key", "CloudWatchLogsOfThisEnvironment", "Resource *"): THIS_KEY,
    ("aws:kms/key:Key", "AccessLogsOfBuckets", "Resource *"): THIS_KEY,
    ("aws:s3/bucketPolicy:BucketPolicy", "DenyPlainTransport", "Action s3:*"): "it denies, and whatever there is",
    ("aws:iam/rolePolicy:RolePolicy", "ecr:GetAuthorizationToken", "Resource *"): "the API knows no narrower one",
}
# Services that are let in without a word on whose behalf, with the reason why.
UNCONDITIONAL = {
    "ec2.amazonaws.com": "it names no source when it hands a role to a machine",
    "logging.s3.amazonaws.com": "for the use of a key it is documented to name none; the bucket's policy asks for it",
}
ACCOUNT = "123456789012"  # the account of every plan


@pytest.fixture(params=ENVIRONMENTS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return plan_of(request.param)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# Identity


def test_no_policy_has_a_star_but_those_with_a_reason(plan: Plan) -> None:
    starred = set()
    for row, _, statement in plan.statements():
        actions, resources = listed(statement["Action"]), listed(statement.get("Resource", []))
        stars = [f"Action {action}" for action in actions if "*" in action]
        stars += [f"Resource {resource}" for resource in resources if resource == "*"]
        starred |= {(row.type, statement.get("Sid") or actions[0], star) for star in stars}
    assert starred == set(STARS)


def test_a_service_is_let_in_on_behalf_of_this_account_alone(plan: Plan) -> None:
    unconditional = set()
    for row, _, statement in plan.statements():
        services = listed(statement.get("Principal", {}).get("Service", [])) if statement["Effect"] == "Allow" else []
        if not services:
            continue
        conditions = statement.get("Condition", {})
        if not conditions:
            unconditional.update(services)
        for key, value in (pair for test in conditions.values() for pair in test.items()):
            assert value == ACCOUNT or f":{ACCOUNT}:" in value, f"{row.urn}: {key}"
    assert unconditional == set(UNCONDITIONAL)


def test_a_resource_pattern_in_a_policy_names_its_bucket_or_log_group_in_full(plan: Plan) -> None:
    for _, _, statement in plan.statements():
        for resource in listed(statement.get("Resource", [])):
            before, star, after = resource.partition("*")
            assert not star or resource == "*" or (before.endswith(("/", ":")) and not after), resource
            assert resource == "*" or resource.split(":")[5] not in ("*", ""), resource


def test_nobody_is_allowed_anonymously(plan: Plan) -> None:
    for _, _, statement in plan.statements():
        if statement["Effect"] == "Allow":
            assert statement.get("Principal") not in ("*", {"AWS": "*"})


def allowed(statements: list[Statement]) -> set[tuple[str, str]]:
    """Each action with each resource that it is allowed on."""
    assert all(statement["Effect"] == "Allow" for statement in statements)
    return {
        (action, resource)
        for statement in statements
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def test_the_server_reads_its_model_and_writes_its_part_of_the_lake_and_nothing_else(plan: Plan) -> None:
    bucket = f"arn:aws:s3:::example-groundwork-{plan.environment}"
    key = plan.named("kms:Key", "data").outputs["arn"]
    assert allowed(plan.granted("server")) == {
        ("s3:GetObject", f"{bucket}-models/height-weight/*"),
        ("s3:GetObjectVersion", f"{bucket}-models/height-weight/*"),
        ("s3:ListBucket", f"{bucket}-models"),
        ("s3:PutObject", f"{bucket}-data/lake/*"),
        ("s3:AbortMultipartUpload", f"{bucket}-data/lake/*"),
        ("kms:Decrypt", key),
        ("kms:GenerateDataKey", key),
    }


def test_the_trainer_works_on_its_people_and_its_model_and_nothing_else(plan: Plan) -> None:
    bucket = f"arn:aws:s3:::example-groundwork-{plan.environment}"
    on_buckets = {resource for action, resource in allowed(plan.granted("trainer")) if action.startswith("s3:")}
    assert on_buckets == {
        f"{bucket}-data",
        f"{bucket}-data/people/*",
        f"{bucket}-models",
        f"{bucket}-models/height-weight/*",
    }
    assert {action for action, _ in allowed(plan.granted("trainer"))} == {
        *("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:PutObject", "s3:AbortMultipartUpload"),
        *("kms:Decrypt", "kms:GenerateDataKey"),
    }


def test_a_workload_lists_by_prefix_and_uses_keys_through_storage_alone(plan: Plan) -> None:
    for identity in ("server", "trainer"):
        for statement in plan.granted(identity):
            actions = listed(statement["Action"])
            if "s3:ListBucket" in actions:
                assert statement["Condition"]["StringLike"]["s3:prefix"] in ("height-weight/*", "people/*")
            if any(action.startswith("kms:") for action in actions):
                assert statement["Condition"]["StringEquals"]["kms:ViaService"] == "s3.eu-west-1.amazonaws.com"


def test_what_starts_a_task_pulls_and_logs_and_touches_no_data(plan: Plan) -> None:
    services = {action.partition(":")[0] for action, _ in allowed(plan.granted("predict-starter"))}
    assert services == {"ecr", "logs"}


def test_there_are_no_users_no_keys_of_users_and_no_borrowed_policies(plan: Plan) -> None:
    kinds = {row.type for row in plan.resources if row.type.startswith("aws:iam/")}
    assert kinds == {"aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"}
    for role in plan.of_type("iam:Role"):
        assert not {"managedPolicyArns", "inlinePolicies"} & role.inputs.keys()


# Stores


@pytest.mark.parametrize("purpose", PURPOSES)
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
        (rule,) = plan.named("s3:BucketLifecycleConfiguration", purpose).inputs["rules"]
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


def test_the_audit_is_locked_for_a_year_and_nothing_else_is(plan: Plan) -> None:
    lock = plan.only("s3:BucketObjectLockConfiguration")
    assert lock.inputs["bucket"] == plan.named("s3:Bucket", "audit").inputs["bucket"]
    mode = "GOVERNANCE" if plan.environment == "local" else "COMPLIANCE"
    assert lock.inputs["rule"] == {"defaultRetention": {"mode": mode, "days": 365}}
    locked = {row.name for row in plan.of_type("s3:Bucket") if row.inputs.get("objectLockEnabled")}
    assert locked == {"audit"}


def test_the_audit_outlives_its_lock(plan: Plan) -> None:
    (rule,) = plan.named("s3:BucketLifecycleConfiguration", "audit").inputs["rules"]
    assert rule["expiration"]["days"] > 365


def test_data_and_models_never_expire(plan: Plan) -> None:
    for purpose in ("data", "models"):
        (rule,) = plan.named("s3:BucketLifecycleConfiguration", purpose).inputs["rules"]
        assert "expiration" not in rule


# Keys and logs


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


def test_the_key_of_the_logs_is_open_to_every_log_group_of_the_environment(plan: Plan) -> None:
    (statement,) = [
        statement
        for statement in plan.named("kms:Key", "logs").document()
        if statement["Sid"] == "CloudWatchLogsOfThisEnvironment"
    ]
    pattern = statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    assert pattern.endswith("/*")
    for group in plan.of_type("cloudwatch:LogGroup"):
        assert group.outputs["arn"].startswith(pattern.removesuffix("*"))


# Registry


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


# Network


def test_no_port_is_open_to_the_internet_and_no_rule_spans_ports(plan: Plan) -> None:
    rules = [*plan.of_type("vpc:SecurityGroupIngressRule"), *plan.of_type("vpc:SecurityGroupEgressRule")]
    for rule in rules:
        assert rule.inputs["ipProtocol"] == "tcp"
        assert rule.inputs["fromPort"] == rule.inputs["toPort"]
        if cidr := rule.inputs.get("cidrIpv4"):
            assert ipaddress.IPv4Network(cidr).is_private
            assert rule.inputs["toPort"] == 443


def test_there_is_no_way_to_the_internet(plan: Plan) -> None:
    gateways = ("internetGateway", "natGateway", "eip", "egressOnly", "route:", "publicIp")
    assert [row.type for row in plan.resources if any(word in row.type for word in gateways)] == []
    assert plan.only("lb:LoadBalancer").inputs["internal"] is True
    assert plan.only("ecs:Service").inputs["networkConfiguration"]["assignPublicIp"] is False
    for subnet in plan.of_type("ec2:Subnet"):
        assert not subnet.inputs.get("mapPublicIpOnLaunch")


def test_the_default_group_is_closed_and_no_group_has_rules_of_its_own(plan: Plan) -> None:
    for group in [plan.only("ec2:DefaultSecurityGroup"), *plan.of_type("ec2:SecurityGroup")]:
        assert not {"ingress", "egress"} & group.inputs.keys()


def test_every_connection_is_recorded_in_an_encrypted_log(plan: Plan) -> None:
    flow = plan.only("ec2:FlowLog")
    assert flow.inputs["trafficType"] == "ALL"
    assert flow.inputs["vpcId"] == plan.only("ec2:Vpc").outputs["id"]
    assert flow.inputs["logDestination"] == plan.named("cloudwatch:LogGroup", "flow").outputs["arn"]


def test_the_networks_of_the_environments_do_not_overlap() -> None:
    ranges = [ipaddress.IPv4Network(plan_of(name).only("ec2:Vpc").inputs["cidrBlock"]) for name in ENVIRONMENTS]
    assert not any(a.overlaps(b) for a in ranges for b in ranges if a is not b)


# Service


def test_the_service_spreads_over_two_zones_at_least(plan: Plan) -> None:
    zone_of = {row.outputs["id"]: row.inputs["availabilityZone"] for row in plan.of_type("ec2:Subnet")}
    for subnets in (
        plan.only("ecs:Service").inputs["networkConfiguration"]["subnets"],
        plan.only("lb:LoadBalancer").inputs["subnets"],
    ):
        assert len({zone_of[subnet] for subnet in subnets}) >= 2


def test_the_image_is_the_release_by_its_digest(plan: Plan) -> None:
    url = plan.only("ecr:Repository").outputs["repositoryUrl"]
    variables = {item["name"]: item["value"] for item in plan.container()["environment"]}
    assert plan.container()["image"] == f"{url}@{variables['RELEASE']}"
    assert variables["RELEASE"].startswith("sha256:")


def test_the_container_is_told_where_model_and_lake_are(plan: Plan) -> None:
    bucket = f"s3://example-groundwork-{plan.environment}"
    variables = {item["name"]: item["value"] for item in plan.container()["environment"]}
    assert variables.pop("RELEASE")
    assert variables == {
        "PORT": "8080",
        "MODEL_STORE": f"{bucket}-models/height-weight/",
        "LAKE": f"{bucket}-data/lake/",
    }


def test_the_container_is_confined(plan: Plan) -> None:
    container = plan.container()
    assert container["readonlyRootFilesystem"] is True
    assert container["privileged"] is False
    assert container["user"].split(":")[0] not in ("", "0", "root")
    assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    assert "secrets" not in container


def test_the_container_is_watched_and_its_log_is_the_encrypted_one(plan: Plan) -> None:
    container = plan.container()
    assert container["healthCheck"]["command"][:3] == ["CMD", "python", "-c"]
    assert container["logConfiguration"]["logDriver"] == "awslogs"
    group = plan.named("cloudwatch:LogGroup", "predict").inputs["name"]
    assert container["logConfiguration"]["options"]["awslogs-group"] == group


def test_the_task_runs_as_the_server_and_starts_as_another(plan: Plan) -> None:
    task = plan.only("ecs:TaskDefinition").inputs
    assert task["taskRoleArn"] == plan.named("iam:Role", "server").outputs["arn"]
    assert task["executionRoleArn"] == plan.named("iam:Role", "predict-starter").outputs["arn"]
    assert task["requiresCompatibilities"] == ["FARGATE"]


def test_a_deployment_rolls_and_goes_back_by_itself(plan: Plan) -> None:
    service = plan.only("ecs:Service").inputs
    assert service["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert (service["deploymentMinimumHealthyPercent"], service["deploymentMaximumPercent"]) == (100, 200)
    assert plan.only("lb:TargetGroup").inputs["healthCheck"]["path"] == "/readyz"


def test_the_load_balancer_speaks_modern_tls_alone_and_drops_odd_headers(plan: Plan) -> None:
    listener = plan.only("lb:Listener").inputs
    assert (listener["port"], listener["protocol"]) == (443, "HTTPS")
    assert listener["sslPolicy"].startswith("ELBSecurityPolicy-TLS13-")
    assert listener["certificateArn"] == plan.only("acm:Certificate").outputs["arn"]
    balancer = plan.only("lb:LoadBalancer").inputs
    assert balancer["dropInvalidHeaderFields"] is True
    assert balancer["enableDeletionProtection"] is (plan.environment != "local")


def test_it_scales_out_at_75_and_in_under_25_within_its_bounds(plan: Plan) -> None:
    target = plan.only("appautoscaling:Target").inputs
    alarms = {row.name: row.inputs for row in plan.of_type("cloudwatch:MetricAlarm")}
    policies = {row.name: row for row in plan.of_type("appautoscaling:Policy")}
    assert alarms.keys() == policies.keys() == {"predict-out", "predict-in"}
    for name, operator, threshold, change in (
        ("predict-out", "GreaterThanOrEqualToThreshold", 75, 1),
        ("predict-in", "LessThanThreshold", 25, -1),
    ):
        alarm, policy = alarms[name], policies[name]
        assert (alarm["metricName"], alarm["statistic"]) == ("CPUUtilization", "Average")
        assert (alarm["comparisonOperator"], alarm["threshold"]) == (operator, threshold)
        assert alarm["alarmActions"] == [policy.outputs["arn"]]
        assert alarm["dimensions"] == {
            "ClusterName": plan.only("ecs:Cluster").inputs["name"],
            "ServiceName": plan.only("ecs:Service").inputs["name"],
        }
        (step,) = policy.inputs["stepScalingPolicyConfiguration"]["stepAdjustments"]
        assert step["scalingAdjustment"] == change
        assert policy.inputs["resourceId"] == target["resourceId"]
    assert plan.only("ecs:Service").inputs["desiredCount"] == target["minCapacity"] <= target["maxCapacity"]
    assert plan.only("ecs:Service").options["ignoreChanges"] == ["desiredCount"]


def test_prod_is_never_under_three_and_grows_to_ten() -> None:
    target = plan_of("prod").only("appautoscaling:Target").inputs
    assert (target["minCapacity"], target["maxCapacity"]) == (3, 10)


# Everything


def taggable(row: Resource) -> bool:
    """Whether a resource can have tags, as the SDK's own class of its type says."""
    if not row.type.startswith("aws:"):
        return False
    module, kind = row.type.removeprefix("aws:").split("/")[0], row.type.rpartition(":")[2]
    return hasattr(getattr(getattr(pulumi_aws, module), kind), "tags")


def test_everything_that_can_be_tagged_says_whose_it_is(plan: Plan) -> None:
    whose = {
        "project": "groundwork",
        "environment": plan.environment,
        "owner": "ml-platform",
        "cost-center": "research",
        "data-class": "public" if plan.environment == "local" else "confidential",
    }
    tagged = [row for row in plan.resources if taggable(row)]
    assert len({row.type for row in tagged}) >= 20
    for row in tagged:
        tags = row.inputs.get("tags", {})
        assert whose == {key: value for key, value in tags.items() if key != "Name"}, row.urn


def test_everything_is_under_the_explicit_provider_of_the_environment(plan: Plan) -> None:
    (provider,) = [row for row in plan.resources if row.type == "pulumi:providers:aws"]
    assert provider.inputs["region"] == "eu-west-1"
    strays = [row.urn for row in plan.resources if row.type.startswith("aws:") and row.provider != provider.urn]
    assert strays == []


def test_only_the_local_environment_talks_to_an_emulator() -> None:
    for environment in ENVIRONMENTS:
        (provider,) = [row for row in plan_of(environment).resources if row.type == "pulumi:providers:aws"]
        endpoints = json.loads(provider.inputs.get("endpoints", "[{}]"))[0]
        assert bool(endpoints) is (environment == "local")
        assert set(endpoints.values()) <= {"https://localhost:4566"}


def test_every_resource_belongs_to_the_environment_by_its_parents(plan: Plan) -> None:
    for row in plan.resources:
        if row.custom:
            assert "groundwork:stacks:Environment$" in row.urn, row.urn


def test_nothing_in_a_plan_is_a_secret(plan: Plan) -> None:
    def secrets(value: Any) -> bool:
        if isinstance(value, dict):
            return value == {"$secret": True} or any(map(secrets, value.values()))
        return isinstance(value, list) and any(map(secrets, value))

    assert [row.urn for row in plan.resources if secrets(row.inputs)] == []
