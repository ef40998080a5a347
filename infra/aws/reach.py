"""How far the deployment of one environment reaches: what bears its name, and what bears its tags. Pure.

A deployment makes, changes and destroys whatever the program declares, so it has all actions of a service (`s3:*`),
but on its environment alone. The roles that it makes reach no further than the boundary that it must give them.
"""

from dataclasses import dataclass

import pulumi

from infra.aws.names import ROLE, Account, log_groups
from infra.aws.policy import Statement, allow
from infra.context import Context, joined

# What has its environment's name in its ARN, behind the service and these words.
NAMED = {
    "autoscaling": ("autoScalingGroup:*:autoScalingGroupName/",),
    "budgets": ("budget/",),
    "cloudtrail": ("trail/",),
    "cloudwatch": ("alarm:", "dashboard/"),
    "dynamodb": ("table/",),
    "ecr": ("repository/",),
    "ecs": ("cluster/", "service/", "task/", "task-definition/"),
    "eks": ("addon/", "cluster/", "nodegroup/", "podidentityassociation/"),
    "elasticloadbalancing": ("loadbalancer/app/", "listener/app/", "targetgroup/"),
    "events": ("rule/",),
    "lambda": ("function:",),
    "scheduler": ("schedule-group/", "schedule/"),
    "sns": ("",),
    "states": ("stateMachine:",),
    "wafv2": ("regional/webacl/",),
}
WITHOUT_REGION = ("budget/", "dashboard/")
# What has a number for a name: known by its tags.
TAGGED = ("acm", "apigateway", "ec2", "elasticfilesystem", "kms")
# What is neither named nor tagged when it is made, or belongs to all alike; there is no narrower form.
PLAIN = (
    "application-autoscaling:DeleteScalingPolicy",
    "application-autoscaling:DeregisterScalableTarget",
    "application-autoscaling:Describe*",
    "application-autoscaling:ListTagsForResource",
    "application-autoscaling:PutScalingPolicy",
    "application-autoscaling:RegisterScalableTarget",
    "application-autoscaling:TagResource",
    "application-autoscaling:UntagResource",
    "cloudwatch:PutMetricData",
    "ec2:Describe*",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
    "elasticfilesystem:Describe*",
    "kms:ListAliases",
    "logs:*LogDelivery",
    "logs:*ResourcePolic*",
    "logs:Describe*",
    "states:ValidateStateMachineDefinition",  # asked of all machines alike before one is made or changed
)
# What AWS's own roles for looking leave out of what a plan reads that also refreshes; what has a number for a name is
# read whosever it is.
LEFT_OUT = {
    "scalable-target/*": ("application-autoscaling:ListTagsForResource",),
    "function:{name}": ("lambda:GetFunction",),
    "schedule-group/{name}": ("scheduler:GetScheduleGroup", "scheduler:ListTagsForResource"),
    "schedule/{name}": ("scheduler:GetSchedule",),
    "budget/{name}": ("budgets:ListTagsForResource", "budgets:ViewBudget"),
}
# The interfaces of functions and clusters in the network, which their services make without our tags.
INTERFACES = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:AttachNetworkInterface",
    "ec2:CreateNetworkInterface",
    "ec2:CreateTags",
    "ec2:DeleteNetworkInterface",
    "ec2:DetachNetworkInterface",
    "ec2:ModifyNetworkInterfaceAttribute",
    "ec2:UnassignPrivateIpAddresses",
]
INTERFACES_ON = ("instance", "network-interface", "security-group", "subnet")
# What lies under a gateway has no tags of its own, and the gateway's name is a number.
UNDER_GATEWAYS = ("authorizers", "deployments", "integrations", "routes")
ROLES = [
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
]
ROLES_KEPT = [
    "iam:AddRoleToInstanceProfile",
    "iam:CreateInstanceProfile",
    "iam:DeleteInstanceProfile",
    "iam:DeleteRole",
    "iam:PassRole",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:TagInstanceProfile",
    "iam:TagRole",
    "iam:UntagInstanceProfile",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
    "iam:UpdateRoleDescription",
]


def looks(account: Account, project: str) -> list[Statement]:
    """What a plan reads besides, of every environment of the project; nothing of it changes anything."""
    name = joined((project,), ROLE) + "-*"
    return [
        *(
            allow(actions, [_where(account, actions[0].partition(":")[0], kind.format(name=name))])
            for kind, actions in LEFT_OUT.items()
        ),
        allow(["apigateway:GET"], [f"arn:aws:apigateway:{account.region}::/apis/*"]),
        allow(["states:ValidateStateMachineDefinition"], [account.arn("states", "stateMachine:*")]),
    ]


def _where(account: Account, service: str, resource: str) -> pulumi.Output[str]:
    """An ARN, without the region where the service has none in it."""
    if resource.startswith(WITHOUT_REGION):
        return pulumi.Output.format("arn:aws:{0}::{1}:{2}", service, account.id, resource)
    return account.arn(service, resource)


@dataclass(frozen=True)
class Reach:
    """What is one environment's: by the same rules that its own program names and tags things by.

    `ctx` is the environment's, not that of the account; `shared` is the one thing tagged as the account's that it uses.
    """

    ctx: Context
    account: Account
    shared: pulumi.Input[str]

    def named(self) -> list[Statement]:
        """All that bears the environment's name."""
        name = self._name(self.ctx.project, self.ctx.environment)
        arns = [_where(self.account, service, kind + name) for service, kinds in NAMED.items() for kind in kinds]
        buckets = self._name(self.ctx.organisation, self.ctx.project, self.ctx.environment)
        arns += [
            pulumi.Output.from_input(f"arn:aws:s3:::{buckets}"),
            self.account.arn("logs", f"log-group:{log_groups(self.ctx)}"),
            self.account.arn("logs", f"log-group:/aws/eks/{name}"),
            self.account.arn("kms", f"alias/{name}"),
            self.account.arn("ec2", f"key-pair/{name}"),
            # The one rule by which Step Functions watches tasks; it is the same for all.
            self.account.arn("events", "rule/StepFunctionsGetEventsForECSTaskRule"),
        ]
        actions = [f"{service}:*" for service in sorted([*NAMED, "ec2", "kms", "logs", "s3"])]
        return [allow(actions, arns, sid="NamedAsTheEnvironment")]

    def tagged(self) -> list[Statement]:
        """All that bears the environment's tags, or is made with them; what bears another's cannot be made its own."""
        actions = [f"{service}:*" for service in TAGGED]
        interfaces = [self.account.arn("ec2", f"{kind}/*") for kind in INTERFACES_ON]
        gateways = f"arn:aws:apigateway:{self.account.region}::/apis/*"
        parts = [f"{gateways}/{part}{end}" for part in UNDER_GATEWAYS for end in ("", "/*")]
        return [
            allow(actions, ["*"], when={"StringEquals": self._tags("aws:ResourceTag")}, sid="TaggedAsTheEnvironment"),
            allow(actions, ["*"], when={"StringEquals": self._tags("aws:RequestTag")}, sid="MadeWithItsTags"),
            allow(list(PLAIN), ["*"], sid="NothingNarrower"),
            allow(INTERFACES, interfaces, sid="InterfacesOfServices"),
            allow(["apigateway:*"], parts, sid="WhatLiesUnderGateways"),
            *(self._not_others(key, own) for key, own in self._tags("aws:ResourceTag").items()),
        ]

    def _not_others(self, key: str, own: str) -> Statement:
        """No action on what bears another value of a tag: not even giving it ours."""
        return {
            "Sid": "NotWhatIsOfAnother" + key.rpartition("/")[2].title(),
            "Effect": "Deny",
            "Action": [f"{service}:*" for service in TAGGED],
            "NotResource": [self.shared],
            "Condition": {"StringNotEquals": {key: own}, "Null": {key: "false"}},
        }

    def roles(self, boundary: pulumi.Input[str]) -> list[Statement]:
        """Its roles, each within the boundary, which it can neither take off nor change."""
        roles = [self._role("role"), self._role("instance-profile")]
        return [
            allow(ROLES, roles, when={"StringEquals": {"iam:PermissionsBoundary": boundary}}, sid="RolesInTheBoundary"),
            allow(ROLES_KEPT, roles, sid="RolesThatThereAre"),
            allow(["iam:CreateServiceLinkedRole"], [self._global("iam", "role/aws-service-role/*")], sid="AwsOwnRoles"),
        ]

    def handed_on(self) -> list[Statement]:
        """What a role may hand to a service: the environment's own roles."""
        return [allow(["iam:PassRole"], [self._role("role")], sid="RolesOfTheEnvironment")]

    def names(self) -> list[Statement]:
        """Names of its domain. Which zone that lies in is the environment's own setting, unknown to the account."""
        kinds = {"route53:ChangeResourceRecordSetsRecordTypes": ["A", "CNAME"]}
        changes, looks = (
            ["route53:ChangeResourceRecordSets"],
            ["route53:GetHostedZone", "route53:ListResourceRecordSets"],
        )
        zones, change = "arn:aws:route53:::hostedzone/*", "arn:aws:route53:::change/*"
        return [
            allow(changes, [zones], when={"ForAllValues:StringEquals": kinds}, sid="NamesOfItsDomain"),
            allow([*looks, "route53:GetChange"], [zones, change], sid="NamesThatThereAre"),
        ]

    def _tags(self, key: str) -> dict[str, str]:
        return {f"{key}/project": self.ctx.project, f"{key}/environment": self.ctx.environment}

    def _role(self, kind: str) -> pulumi.Output[str]:
        return self._global("iam", f"{kind}/" + self._name(self.ctx.project, self.ctx.environment))

    def _name(self, *parts: str) -> str:
        return joined(parts, ROLE) + "-*"

    def _global(self, service: str, resource: str) -> pulumi.Output[str]:
        return pulumi.Output.format("arn:aws:{0}::{1}:{2}", service, self.account.id, resource)
