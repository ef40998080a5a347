"""Each way into an AWS account that must be stopped, written as people write it; `# unsound: TOPIC` marks the line."""

import json

import pulumi
import pulumi_aws as aws

vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16")

aws.ec2.SecurityGroup(  # unsound: ssh inline
    "inline",
    vpc_id=vpc.id,
    ingress=[{"protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_blocks": ["0.0.0.0/0"]}],
)
group = aws.ec2.SecurityGroup("group", vpc_id=vpc.id, description="rules of its own")
aws.ec2.SecurityGroupRule(  # unsound: ssh in a range over IPv6
    "range",
    type="ingress",
    security_group_id=group.id,
    protocol="tcp",
    from_port=20,
    to_port=1024,
    ipv6_cidr_blocks=["::/0"],
)
aws.vpc.SecurityGroupIngressRule(  # unsound: ssh by all protocols
    "everything", security_group_id=group.id, ip_protocol="-1", cidr_ipv4="0.0.0.0/0"
)

aws.s3.Bucket("public", acl="public-read")  # unsound: public bucket
site = aws.s3.Bucket("site")
aws.s3.BucketPolicy(  # unsound: public bucket by policy
    "site",
    bucket=site.id,
    policy=site.arn.apply(
        lambda arn: json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{arn}/*"},
            }
        )
    ),
)

trust = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
role = aws.iam.Role("role", assume_role_policy=trust)
STAR = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]}
aws.iam.RolePolicy("star", role=role.id, policy=json.dumps(STAR))  # unsound: star role
aws.iam.Policy("star-managed", policy=STAR)  # unsound: star policy
aws.iam.RolePolicyAttachment(  # unsound: administrator
    "administrator", role=role.name, policy_arn="arn:aws:iam::aws:policy/AdministratorAccess"
)

aws.ecs.TaskDefinition(  # unsound: privileged container
    "privileged",
    family="privileged",
    container_definitions=json.dumps(
        [
            {
                "name": "app",
                "image": "registry.example.com/app@sha256:" + "a" * 64,
                "memory": 512,
                "privileged": True,
            }
        ]
    ),
)
repository = aws.ecr.Repository("app", image_tag_mutability="MUTABLE")  # unsound: mutable tags
aws.ecs.TaskDefinition(  # unsound: latest image
    "latest",
    family="latest",
    container_definitions=pulumi.Output.json_dumps(
        [{"name": "app", "image": pulumi.Output.concat(repository.repository_url, ":latest"), "memory": 512}]
    ),
)

provider = aws.iam.OpenIdConnectProvider(
    "github", url="https://token.actions.githubusercontent.com", client_id_lists=["sts.amazonaws.com"]
)
aws.iam.Role(  # unsound: OIDC trust without a subject
    "deployer",
    assume_role_policy=provider.arn.apply(
        lambda arn: json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Federated": arn},
                        "Action": "sts:AssumeRoleWithWebIdentity",
                        "Condition": {"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}},
                    }
                ],
            }
        )
    ),
)
