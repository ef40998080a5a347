"""What a plan that refreshes reads on AWS is what its role may read, type by type; and it changes nothing."""

import json
from functools import cache
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from localcloud import iam
from tests.infra.aws.test_deployer import ACCOUNT, IAM, bootstrap, tags
from tests.plans.plans import plan_of

# What the provider asks to read a resource, by type. Source: terraform-provider-aws, the read of each resource and
# what it asks while it plans (states:ValidateStateMachineDefinition, its issue 39472).
READS = {
    "acm/certificate": "acm:DescribeCertificate acm:ListTagsForCertificate",
    "acm/certificateValidation": "acm:DescribeCertificate",
    "apigatewayv2/api": "apigateway:GET",
    "apigatewayv2/authorizer": "apigateway:GET",
    "apigatewayv2/integration": "apigateway:GET",
    "apigatewayv2/route": "apigateway:GET",
    "apigatewayv2/stage": "apigateway:GET",
    "appautoscaling/policy": "application-autoscaling:DescribeScalingPolicies",
    "appautoscaling/target": "application-autoscaling:DescribeScalableTargets application-autoscaling:ListTagsForResource",  # noqa: E501 - a table
    "autoscaling/group": "autoscaling:DescribeAutoScalingGroups",
    "budgets/budget": "budgets:ViewBudget budgets:ListTagsForResource",
    "cloudtrail/trail": "cloudtrail:DescribeTrails cloudtrail:GetTrailStatus cloudtrail:GetEventSelectors cloudtrail:ListTags",  # noqa: E501 - a table
    "cloudwatch/dashboard": "cloudwatch:GetDashboard",
    "cloudwatch/eventRule": "events:DescribeRule events:ListTagsForResource",
    "cloudwatch/eventTarget": "events:ListTargetsByRule",
    "cloudwatch/logGroup": "logs:DescribeLogGroups logs:ListTagsForResource",
    "cloudwatch/logMetricFilter": "logs:DescribeMetricFilters",
    "cloudwatch/metricAlarm": "cloudwatch:DescribeAlarms cloudwatch:ListTagsForResource",
    "dynamodb/table": "dynamodb:DescribeTable dynamodb:DescribeContinuousBackups dynamodb:DescribeTimeToLive dynamodb:ListTagsOfResource",  # noqa: E501 - a table
    "ec2/defaultSecurityGroup": "ec2:DescribeSecurityGroups ec2:DescribeSecurityGroupRules",
    "ec2/flowLog": "ec2:DescribeFlowLogs",
    "ec2/keyPair": "ec2:DescribeKeyPairs",
    "ec2/launchTemplate": "ec2:DescribeLaunchTemplates ec2:DescribeLaunchTemplateVersions",
    "ec2/securityGroup": "ec2:DescribeSecurityGroups ec2:DescribeSecurityGroupRules",
    "ec2/subnet": "ec2:DescribeSubnets",
    "ec2/vpc": "ec2:DescribeVpcs ec2:DescribeVpcAttribute ec2:DescribeNetworkAcls ec2:DescribeRouteTables",
    "ec2/vpcEndpoint": "ec2:DescribeVpcEndpoints ec2:DescribePrefixLists",
    "ecr/lifecyclePolicy": "ecr:GetLifecyclePolicy",
    "ecr/repository": "ecr:DescribeRepositories ecr:ListTagsForResource",
    "ecr/repositoryPolicy": "ecr:GetRepositoryPolicy",
    "ecs/cluster": "ecs:DescribeClusters",
    "ecs/service": "ecs:DescribeServices ecs:DescribeServiceDeployments ecs:ListServiceDeployments",
    "ecs/taskDefinition": "ecs:DescribeTaskDefinition",
    "efs/accessPoint": "elasticfilesystem:DescribeAccessPoints",
    "efs/backupPolicy": "elasticfilesystem:DescribeBackupPolicy",
    "efs/fileSystem": "elasticfilesystem:DescribeFileSystems elasticfilesystem:DescribeLifecycleConfiguration",
    "efs/fileSystemPolicy": "elasticfilesystem:DescribeFileSystemPolicy",
    "efs/mountTarget": "elasticfilesystem:DescribeMountTargets elasticfilesystem:DescribeMountTargetSecurityGroups",
    "eks/addon": "eks:DescribeAddon",
    "eks/cluster": "eks:DescribeCluster",
    "eks/nodeGroup": "eks:DescribeNodegroup",
    "eks/podIdentityAssociation": "eks:DescribePodIdentityAssociation",
    "iam/instanceProfile": "iam:GetInstanceProfile",
    "iam/openIdConnectProvider": "iam:GetOpenIDConnectProvider",
    "iam/policy": "iam:GetPolicy iam:GetPolicyVersion iam:ListPolicyVersions",
    "iam/role": "iam:GetRole iam:ListRolePolicies iam:ListAttachedRolePolicies",
    "iam/rolePolicy": "iam:GetRolePolicy",
    "iam/rolePolicyAttachment": "iam:ListAttachedRolePolicies",
    "kms/alias": "kms:ListAliases",
    "kms/key": "kms:DescribeKey kms:GetKeyPolicy kms:GetKeyRotationStatus kms:ListResourceTags",
    "lambda/function": "lambda:GetFunction lambda:GetFunctionCodeSigningConfig lambda:ListVersionsByFunction",
    "lambda/permission": "lambda:GetPolicy",
    "lb/listener": "elasticloadbalancing:DescribeListeners elasticloadbalancing:DescribeListenerAttributes elasticloadbalancing:DescribeTags",  # noqa: E501 - a table
    "lb/loadBalancer": "elasticloadbalancing:DescribeLoadBalancers elasticloadbalancing:DescribeLoadBalancerAttributes",
    "lb/targetGroup": "elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetGroupAttributes elasticloadbalancing:DescribeTargetHealth",  # noqa: E501 - a table
    "route53/record": "route53:GetHostedZone route53:ListResourceRecordSets",
    "s3/bucket": "s3:ListBucket s3:GetBucketTagging s3:GetBucketPolicy s3:GetBucketAcl s3:GetBucketCORS s3:GetBucketWebsite s3:GetBucketRequestPayment s3:GetAccelerateConfiguration",  # noqa: E501 - a table
    "s3/bucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3/bucketLogging": "s3:GetBucketLogging",
    "s3/bucketNotification": "s3:GetBucketNotification",
    "s3/bucketObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3/bucketOwnershipControls": "s3:GetBucketOwnershipControls",
    "s3/bucketPolicy": "s3:GetBucketPolicy",
    "s3/bucketPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3/bucketReplicationConfig": "s3:GetReplicationConfiguration",
    "s3/bucketServerSideEncryptionConfiguration": "s3:GetEncryptionConfiguration",
    "s3/bucketVersioning": "s3:GetBucketVersioning",
    "scheduler/schedule": "scheduler:GetSchedule",
    "scheduler/scheduleGroup": "scheduler:GetScheduleGroup scheduler:ListTagsForResource",
    "sfn/stateMachine": "states:DescribeStateMachine states:ListStateMachineVersions states:ListTagsForResource states:ValidateStateMachineDefinition",  # noqa: E501 - a table
    "sns/topic": "sns:GetTopicAttributes sns:ListTagsForResource",
    "sns/topicPolicy": "sns:GetTopicAttributes",
    "sns/topicSubscription": "sns:GetSubscriptionAttributes",
    "vpc/securityGroupEgressRule": "ec2:DescribeSecurityGroupRules",
    "vpc/securityGroupIngressRule": "ec2:DescribeSecurityGroupRules",
    "wafv2/webAcl": "wafv2:GetWebACL wafv2:ListTagsForResource",
    "wafv2/webAclAssociation": "wafv2:GetWebACLForResource",
}  # fmt: skip # a table
ANY_MACHINE = f"arn:aws:states:eu-west-1:{ACCOUNT}:stateMachine:*"
API = "arn:aws:apigateway:eu-west-1::/apis/a1b2c3"


@cache
def policies(identity: str) -> tuple[iam.Policy, ...]:
    """All that a role may: what this program grants it, and AWS's own policies as they stood in 2026."""
    managed = json.loads(aws_managed_policies_data)
    attached = [
        row.inputs["policyArn"].rpartition("/")[2]
        for row in bootstrap().of_type("iam:RolePolicyAttachment")
        if row.inputs["role"] == bootstrap().named("iam:Role", identity).inputs["name"]
    ]
    own = {"Version": "2012-10-17", "Statement": bootstrap().granted(identity)}
    return (iam.policy(identity, own), *(iam.policy(name, managed[name]["Document"]) for name in attached))


def may(identity: str, action: str, resource: str, environment: str = "") -> bool:
    """Whether it may, on a resource that bears the tags of an environment if one is named."""
    who = iam.Principal(f"{IAM}:role/groundwork-bootstrap-aws-{identity}", ACCOUNT)
    context = tags(environment) if environment else {}
    return iam.decide(iam.Request(who, action, resource, context, ACCOUNT), list(policies(identity))).allowed


def read(row: Any) -> list[tuple[str, str]]:
    """What is asked to read a resource of a plan: actions, each with what it is asked of."""
    arn = str(row.outputs.get("arn") or f"arn:aws:any::{ACCOUNT}:{row.name}")
    kind = row.type.removeprefix("aws:").rpartition(":")[0]
    of = {"apigateway:GET": API, "states:ValidateStateMachineDefinition": ANY_MACHINE}
    return [(action, of.get(action, arn)) for action in READS[kind].split()]


@pytest.mark.sampled(3)
@pytest.mark.slow
@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_who_plans_and_who_deploys_may_read_every_resource_of_an_environment(environment: str) -> None:
    rows = [row for row in plan_of(environment).resources if row.type.startswith("aws:")]
    assert len(rows) > 100
    for identity in ("plan", f"apply-{environment}"):
        refused = {pair for row in rows for pair in read(row) if not may(identity, *pair, environment)}
        assert refused == set(), identity


IMAGES = {"push": "ecr:PutImage", "a layer": "ecr:UploadLayerPart", "the end of a layer": "ecr:CompleteLayerUpload"}


@pytest.mark.parametrize("action", IMAGES.values(), ids=IMAGES)
def test_images_are_pushed_to_the_registry_of_the_own_environment_alone(action: str) -> None:
    registry = f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/groundwork-"
    assert may("apply-dev", action, f"{registry}dev-app")
    assert may("apply-dev", "ecr:GetAuthorizationToken", "*")
    for identity, other in (("apply-dev", "prod-app"), ("apply-prod", "dev-app"), ("plan", "dev-app")):
        assert not may(identity, action, registry + other)


SMOKE = ("ecs:DescribeServices", "elasticloadbalancing:DescribeTargetHealth", "ecs:DescribeTasks")
CHANGES = (
    *("s3:PutObject", "s3:DeleteObject", "kms:Encrypt", "kms:GenerateDataKey", "iam:PutRolePolicy", "sts:AssumeRole"),
    *("ecs:UpdateService", "lambda:InvokeFunction", "lambda:UpdateFunctionCode", "scheduler:UpdateSchedule"),
    *("budgets:ModifyBudget", "apigateway:PATCH", "states:StartExecution", "ecr:PutImage", "dynamodb:PutItem"),
)


@pytest.mark.parametrize("identity", ["plan", "apply-prod"])
def test_whether_a_service_is_up_may_be_asked(identity: str) -> None:
    service = f"arn:aws:ecs:eu-west-1:{ACCOUNT}:service/groundwork-prod-predict/groundwork-prod-predict"
    assert [action for action in SMOKE if not may(identity, action, service)] == []


def test_a_plan_changes_nothing_and_reads_no_data() -> None:
    bucket = str(bootstrap().only("s3:Bucket").outputs["arn"])
    key = str(bootstrap().only("kms:Key").outputs["arn"])
    for where in (f"{bucket}/.pulumi/stacks/groundwork/prod.json", key, API, f"{IAM}:role/groundwork-prod-server"):
        assert [action for action in CHANGES if may("plan", action, where)] == []
    assert may("plan", "s3:GetObject", f"{bucket}/.pulumi/stacks/groundwork/prod.json")
    assert not may("plan", "s3:GetObject", "arn:aws:s3:::acme-groundwork-prod-data/people/x")
    assert not may("plan", "dynamodb:GetItem", f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/groundwork-prod-api")
    assert not may("plan", "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:x")


def test_who_deploys_locks_and_keeps_its_own_state_alone() -> None:
    bucket = str(bootstrap().only("s3:Bucket").outputs["arn"])
    own = ("stacks/groundwork/{}.json", "history/groundwork/{}/x.json", "backups/groundwork/{}/x.json")
    for path in (*own, "locks/organization/groundwork/{}/x.json", "journal/groundwork/{}/manifest.json"):
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
            assert may("apply-dev", action, f"{bucket}/.pulumi/{path.format('dev')}")
            assert not may("apply-dev", action, f"{bucket}/.pulumi/{path.format('prod')}")
    assert may("apply-dev", "s3:ListBucket", bucket)
