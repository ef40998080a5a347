"""The deployers on AWS: what a plan may look at, and how far the deployment of one environment reaches."""

import functools
import json
import re
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from localcloud import iam
from localcloud import plan as plans
from tests.infra.aws.planning import plan_of as parts_plan
from tests.localcloud.planning import planned
from tests.plans.plans import Plan, Resource, Statement

ENVIRONMENTS = ("dev", "staging", "prod")
ACCOUNT = "123456789012"
PROGRAM = """
import pulumi
from infra.aws.args import AwsArgs
from infra.aws.cloud import Aws
from infra.context import Context
from infra.github import Repository
from infra.shape import DeployerArgs, StoreArgs

ctx = Context("groundwork", "bootstrap-aws", "acme", "ml-platform", "research", "internal")
parts = Aws(ctx, AwsArgs("eu-west-1", ("a", "b"))).parts(pulumi.ComponentResource("test:index:Root", "root"))
key = parts.key("state")
state = parts.store("state", StoreArgs(key))
repository = Repository("acme", 1234567, "groundwork", 7654321, True)
branches = {"dev": "dev", "staging": "staging", "prod": "main"}
deployer = parts.deployer(DeployerArgs(repository, branches, state, key))
pulumi.export("plan", deployer.plan)
pulumi.export("apply", dict(deployer.apply))
"""


@functools.cache
def bootstrap() -> Plan:
    with tempfile.TemporaryDirectory() as directory:
        document = plans.graph(planned(Path(directory), PROGRAM))
    fields = Resource.__dataclass_fields__
    rows = ({key: value for key, value in row.items() if key in fields} for row in document["resources"])
    return Plan("bootstrap-aws", tuple(Resource(**row) for row in rows), document["outputs"])


@pytest.fixture(scope="module")
def plan() -> Plan:
    return bootstrap()


def size(document: str) -> int:
    """Characters as IAM counts them: without white space."""
    return len(re.sub(r"\s", "", document))


def by_sid(statements: list[Statement]) -> dict[str, Statement]:
    return {row["Sid"]: row for row in statements if "Sid" in row}


def actions(statements: list[Statement]) -> set[str]:
    return {action for row in statements for action in row["Action"]}


def test_a_plan_may_read_the_state_and_use_its_key_and_change_nothing(plan: Plan) -> None:
    stateful = [row for row in plan.granted("plan") if re.match("(s3|kms):", row["Action"][0])]
    assert actions(stateful) == {"kms:Decrypt", "s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"}
    buckets = {plan.only("s3:Bucket").outputs["arn"], plan.only("kms:Key").outputs["arn"]}
    for statement in stateful:
        assert {arn.removesuffix("/*") for arn in statement["Resource"]} <= buckets
    assert all(
        re.fullmatch(r"[\w-]+:(Get|GET|List|View|Validate)\w*", action)
        for row in plan.granted("plan")
        if row not in stateful
        for action in row["Action"]
    )


def test_roles_that_look_do_so_by_what_aws_keeps_for_it(plan: Plan) -> None:
    for role in ("plan", *(f"apply-{environment}" for environment in ENVIRONMENTS)):
        name = plan.named("iam:Role", role).inputs["name"]
        attached = [row.inputs for row in plan.of_type("iam:RolePolicyAttachment") if row.inputs["role"] == name]
        assert {row["policyArn"] for row in attached} == {
            "arn:aws:iam::aws:policy/SecurityAudit",
            "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess",
        }


def test_tokens_are_taken_from_github_for_aws_alone_and_last_an_hour(plan: Plan) -> None:
    issuer = plan.only("iam:OpenIdConnectProvider").inputs
    assert (issuer["url"], issuer["clientIdLists"]) == (
        "https://token.actions.githubusercontent.com",
        ["sts.amazonaws.com"],
    )
    for role in plan.of_type("iam:Role"):
        assert role.inputs["maxSessionDuration"] == 3600


def test_conditions_on_tokens_are_equalities_without_a_star(plan: Plan) -> None:
    for role in plan.of_type("iam:Role"):
        (trust,) = role.document("assumeRolePolicy")
        assert trust["Action"] == ["sts:AssumeRoleWithWebIdentity"]
        assert list(trust["Condition"]) == ["StringEquals"]
        assert "*" not in json.dumps(trust)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_apply_identity_writes_the_state_of_its_environment_alone(plan: Plan, environment: str) -> None:
    (own, _, _) = [
        row for row in plan.granted(f"apply-{environment}") if {"s3:GetObject", "s3:ListBucket"} & set(row["Action"])
    ]
    bucket = plan.only("s3:Bucket").outputs["arn"]
    stack = f"groundwork/{environment}"
    assert {arn.removeprefix(f"{bucket}/.pulumi/") for arn in own["Resource"]} == {
        f"stacks/{stack}.json",
        f"stacks/{stack}.json.bak",
        f"stacks/{stack}.pulumi-tags",
        f"history/{stack}/*",
        f"backups/{stack}/*",
        f"journal/{stack}/*",
        f"locks/organization/{stack}/*",
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_an_apply_identity_changes_bears_the_environment_s_name_or_tags(plan: Plan, environment: str) -> None:
    rows = by_sid(plan.granted(f"apply-{environment}"))
    other = next(name for name in ENVIRONMENTS if name != environment)
    for arn in rows["NamedAsTheEnvironment"]["Resource"]:
        assert f"groundwork-{environment}-" in arn or f"/groundwork/{environment}/" in arn or "StepFunctions" in arn
        assert other not in arn
    assert rows["TaggedAsTheEnvironment"]["Condition"] == {
        "StringEquals": {"aws:ResourceTag/project": "groundwork", "aws:ResourceTag/environment": environment}
    }
    assert rows["MadeWithItsTags"]["Condition"] == {
        "StringEquals": {"aws:RequestTag/project": "groundwork", "aws:RequestTag/environment": environment}
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_role_that_is_made_must_stay_within_the_boundary(plan: Plan, environment: str) -> None:
    rows = by_sid(plan.granted(f"apply-{environment}"))
    boundary = plan.named("iam:Policy", f"{environment}-boundary").outputs["arn"]
    assert rows["RolesInTheBoundary"]["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    bound = {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"}
    assert bound <= set(rows["RolesInTheBoundary"]["Action"])
    granted = actions(plan.granted(f"apply-{environment}"))
    assert not bound & set(rows["RolesThatThereAre"]["Action"])
    assert not [action for action in granted if fnmatchcase("iam:DeleteRolePermissionsBoundary", action)]
    assert not [action for action in granted if fnmatchcase("iam:CreatePolicyVersion", action)]
    assert not [action for action in granted if action.startswith(("iam:*", "sts:"))]
    for arn in rows["RolesInTheBoundary"]["Resource"]:
        assert arn.startswith(f"arn:aws:iam::{ACCOUNT}:")
        assert f"/groundwork-{environment}-" in arn


EC2, KMS, S3 = (
    "arn:aws:ec2:eu-west-1:123456789012",
    "arn:aws:kms:eu-west-1:123456789012",
    "arn:aws:s3:::acme-groundwork",
)
IAM = "arn:aws:iam::123456789012"


def tags(environment: str, key: str = "aws:ResourceTag", project: str = "groundwork") -> dict[str, list[str]]:
    """What a request says of tags: those of its resource, or those that it sets."""
    return {f"{key}/environment": [environment], f"{key}/project": [project]}


REQUESTS: dict[str, tuple[str, str, dict[str, list[str]], bool]] = {
    "a bucket of its own": ("s3:DeleteBucket", f"{S3}-dev-data", {}, True),
    "objects of its own": ("s3:PutObject", f"{S3}-dev-data/people/x", {}, True),
    "a bucket of prod": ("s3:DeleteBucket", f"{S3}-prod-data", {}, False),
    "the state's bucket": ("s3:DeleteBucket", f"{S3}-bootstrap-aws-state", {}, False),
    "a network made with its tags": ("ec2:CreateVpc", f"{EC2}:vpc/new", tags("dev", "aws:RequestTag"), True),
    "a network made with prod's tags": ("ec2:CreateVpc", f"{EC2}:vpc/new", tags("prod", "aws:RequestTag"), False),
    "a network made without tags": ("ec2:CreateVpc", f"{EC2}:vpc/new", {}, False),
    "a network of its own": ("ec2:DeleteVpc", f"{EC2}:vpc/1", tags("dev"), True),
    "a network of prod": ("ec2:DeleteVpc", f"{EC2}:vpc/1", tags("prod"), False),
    "a network of another project": ("ec2:DeleteVpc", f"{EC2}:vpc/1", tags("dev", project="other"), False),
    "prod's network made its own by tags": (
        "ec2:CreateTags",
        f"{EC2}:vpc/1",
        {**tags("prod"), **tags("dev", "aws:RequestTag")},
        False,
    ),
    "a key of its own": ("kms:PutKeyPolicy", f"{KMS}:key/1", tags("dev"), True),
    "a key of prod": ("kms:Decrypt", f"{KMS}:key/1", tags("prod"), False),
    "the state's key, to change it": ("kms:PutKeyPolicy", f"{KMS}:key/state", tags("bootstrap-aws"), False),
    "the state's key, to use it": ("kms:Decrypt", f"{KMS}:key/state", tags("bootstrap-aws"), True),
    "a role in the boundary": (
        "iam:CreateRole",
        f"{IAM}:role/groundwork-dev-server",
        {"iam:PermissionsBoundary": [f"{IAM}:policy/groundwork-dev-boundary"]},
        True,
    ),
    "a role without a boundary": ("iam:CreateRole", f"{IAM}:role/groundwork-dev-server", {}, False),
    "a role in another boundary": (
        "iam:CreateRole",
        f"{IAM}:role/groundwork-dev-server",
        {"iam:PermissionsBoundary": [f"{IAM}:policy/groundwork-prod-boundary"]},
        False,
    ),
    "more for its own role": ("iam:PutRolePolicy", f"{IAM}:role/groundwork-bootstrap-aws-apply-dev", {}, False),
    "a boundary taken off": ("iam:DeleteRolePermissionsBoundary", f"{IAM}:role/groundwork-dev-server", {}, False),
    "a boundary changed": ("iam:CreatePolicyVersion", f"{IAM}:policy/groundwork-dev-boundary", {}, False),
    "a user": ("iam:CreateUser", f"{IAM}:user/groundwork-dev-x", {}, False),
    "another role taken on": ("sts:AssumeRole", f"{IAM}:role/groundwork-prod-server", {}, False),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_the_deployer_of_dev_reaches_dev_and_nothing_else(
    plan: Plan, request_: tuple[str, str, dict[str, list[str]], bool]
) -> None:
    action, resource, context, allowed = request_
    who = iam.Principal(f"{IAM}:role/groundwork-bootstrap-aws-apply-dev", ACCOUNT)
    document = {"Version": "2012-10-17", "Statement": plan.granted("apply-dev")}
    key = plan.only("kms:Key").outputs["arn"]
    request = iam.Request(who, action, resource.replace(f"{KMS}:key/state", key), context, ACCOUNT)
    assert iam.decide(request, [iam.policy("apply-dev", document)]).allowed is allowed


def test_no_apply_identity_reaches_the_roles_of_deployment_itself(plan: Plan) -> None:
    deployers = [role.outputs["arn"] for role in plan.of_type("iam:Role")]
    for environment in ENVIRONMENTS:
        for row in plan.granted(f"apply-{environment}"):
            if any(action.startswith("iam:") for action in row["Action"]):
                assert not [arn for arn in deployers for pattern in row["Resource"] if fnmatchcase(arn, pattern)]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_boundary_lets_no_role_make_or_take_on_another(plan: Plan, environment: str) -> None:
    document = plan.named("iam:Policy", f"{environment}-boundary").document()
    identity = {action for action in actions(document) if action.startswith(("iam:", "sts:", "organizations:"))}
    assert identity == {"iam:PassRole"}
    (handed,) = [row for row in document if "iam:PassRole" in row["Action"]]
    assert handed["Resource"] == [f"arn:aws:iam::{ACCOUNT}:role/groundwork-{environment}-*"]


def test_every_role_of_an_environment_wears_the_boundary_that_is_made_for_it() -> None:
    boundary = bootstrap().named("iam:Policy", "dev-boundary").outputs["arn"]
    assert {row.inputs.get("permissionsBoundary") for row in parts_plan().of_type("iam:Role")} == {boundary}
    assert {row.inputs.get("permissionsBoundary") for row in parts_plan("local").of_type("iam:Role")} == {None}


def _arns(plan: Plan) -> dict[str, str]:
    """Of what has a name in the parts' plan: URN → ARN, for services whose ARNs bear names."""
    found = {row.urn: row.outputs.get("arn") for row in plan.resources if row.type.startswith("aws:")}
    numbered = (
        ":ec2:",
        ":kms:",
        ":acm:",
        ":apigateway:",
        ":elasticfilesystem:",
        ":iam:",
        ":scalable-target/",
        ":scalingPolicy:",
    )
    return {urn: arn for urn, arn in found.items() if arn and not any(part in arn for part in numbered)}


def test_what_the_program_makes_by_name_is_within_the_reach_of_its_deployer() -> None:
    rows = by_sid(bootstrap().granted("apply-dev"))["NamedAsTheEnvironment"]
    outside = {
        arn
        for arn in _arns(parts_plan()).values()
        if not any(fnmatchcase(arn, pattern) for pattern in rows["Resource"])
        or not any(action.split(":")[0] == arn.split(":")[2] for action in rows["Action"])
    }
    assert outside == set()


def test_what_the_program_makes_without_a_name_bears_the_tags_that_its_deployer_asks_for() -> None:
    asked = {"project": "groundwork", "environment": "dev"}
    for row in parts_plan().resources:
        if row.type.startswith(("aws:ec2/", "aws:kms/key", "aws:acm/", "aws:efs/")) and "tags" in row.inputs:
            assert asked.items() <= row.inputs["tags"].items(), row.urn


def test_the_documents_are_within_the_sizes_that_iam_takes(plan: Plan) -> None:
    for row in plan.of_type("iam:Policy"):
        assert size(row.inputs["policy"]) <= 6144, row.name
    for role in plan.of_type("iam:Role"):
        inline = [row for row in plan.of_type("iam:RolePolicy") if row.inputs["role"] == role.inputs["name"]]
        assert sum(size(row.inputs["policy"]) for row in inline) <= 10240, role.name
        assert size(role.inputs["assumeRolePolicy"]) <= 2048


def test_workflows_are_told_the_roles(plan: Plan) -> None:
    outputs: dict[str, Any] = plan.outputs
    assert outputs["plan"] == plan.named("iam:Role", "plan").outputs["arn"]
    for environment in ENVIRONMENTS:
        assert outputs["apply"][environment] == plan.named("iam:Role", f"apply-{environment}").outputs["arn"]
