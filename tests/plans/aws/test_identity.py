"""Who may do what on AWS: asked of every statement of every policy document of every plan."""

import pytest

from tests.plans.plans import Plan, allowed, listed

pytestmark = pytest.mark.slow


# Services that are let in without a word on whose behalf, with the reason why.
UNCONDITIONAL = {
    "ec2.amazonaws.com": "it names no source when it hands a role to a machine",
    "eks.amazonaws.com": "it is documented to name none for the role of a cluster",
    "lambda.amazonaws.com": "it is documented to name none for the role of a function",
    "logging.s3.amazonaws.com": "for the use of a key it is documented to name none; the bucket's policy asks for it",
    "s3.amazonaws.com": "it is documented to name none when it copies to a second region",
}
# Conditions that say how something is written, next to others that say on whose behalf.
MANNERS = {"s3:x-amz-acl": "bucket-owner-full-control"}
ACCOUNT = "123456789012"  # the account of every plan


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
            whose = value == ACCOUNT or f":{ACCOUNT}:" in value
            assert whose or MANNERS.get(key) == value, f"{row.urn}: {key}"
    assert unconditional - set(UNCONDITIONAL) == set()


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
        f"{bucket}-data/lake/*",
        f"{bucket}-models",
        f"{bucket}-models/height-weight/*",
    }
    on_lake = {action for action, resource in allowed(plan.granted("trainer")) if resource.endswith("/lake/*")}
    assert on_lake == {"s3:GetObject", "s3:GetObjectVersion"}
    assert {action for action, _ in allowed(plan.granted("trainer"))} == {
        *("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:PutObject", "s3:AbortMultipartUpload"),
        *("kms:Decrypt", "kms:GenerateDataKey"),
        *("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
        "ecr:GetAuthorizationToken",
        *("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"),
        *("logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents"),
        "autoscaling:TerminateInstanceInAutoScalingGroup",
    }


def test_one_identity_alone_removes_people_and_no_model_and_no_audit(plan: Plan) -> None:
    removes = {"s3:DeleteObject", "s3:DeleteObjectVersion"}
    held = {
        row.inputs["role"]
        for row, _, statement in plan.statements()
        if removes & set(listed(statement["Action"]))
        and statement["Effect"] == "Allow"
        and row.type == "aws:iam/rolePolicy:RolePolicy"
    }
    assert held == {f"groundwork-{plan.environment}-eraser"}
    data = f"arn:aws:s3:::example-groundwork-{plan.environment}-data"
    where = {resource for action, resource in allowed(plan.granted("eraser")) if action in removes}
    copies = {f"{data}-replica/people/labels/*", f"{data}-replica/lake/*"} if plan.environment == "prod" else set()
    assert where == {f"{data}/people/labels/*", f"{data}/lake/*", *copies}


def test_a_workload_lists_by_prefix_and_uses_keys_through_storage_alone(plan: Plan) -> None:
    for identity in ("server", "trainer", "workflow"):
        for statement in plan.granted(identity):
            actions = listed(statement["Action"])
            if "s3:ListBucket" in actions:
                assert statement["Condition"]["StringLike"]["s3:prefix"] in ("height-weight/*", "people/*", "lake/*")
            if any(action.startswith("kms:") for action in actions):
                assert statement["Condition"]["StringEquals"]["kms:ViaService"] == "s3.eu-west-1.amazonaws.com"


def test_what_starts_a_task_pulls_and_logs_and_touches_no_data(plan: Plan) -> None:
    services = {action.partition(":")[0] for action, _ in allowed(plan.granted("predict-starter"))}
    assert services == {"ecr", "logs"}


def test_there_are_no_users_no_keys_of_users_and_no_policies_within_roles(plan: Plan) -> None:
    kinds = {row.type.rpartition(":")[2] for row in plan.resources if row.type.startswith("aws:iam/")}
    assert kinds <= {"InstanceProfile", "OpenIdConnectProvider", "Role", "RolePolicy", "RolePolicyAttachment"}
    for role in plan.of_type("iam:Role"):
        assert not {"managedPolicyArns", "inlinePolicies"} & role.inputs.keys()
