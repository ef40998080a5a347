"""Fargate behind a load balancer, over the zones of the region, with subnets cut from the network's range."""

import ipaddress
import json

import pulumi
import pulumi_aws as aws

zones = aws.get_availability_zones(state="available")
vpc = aws.ec2.Vpc("vpc", cidr_block="10.20.0.0/16")
blocks = list(ipaddress.ip_network("10.20.0.0/16").subnets(new_prefix=20))
subnets = [
    aws.ec2.Subnet(f"public-{n}", vpc_id=vpc.id, availability_zone=zones.names[n], cidr_block=str(blocks[n]))
    for n in range(3)
]
gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id)
table = aws.ec2.RouteTable("public", vpc_id=vpc.id, routes=[{"cidr_block": "0.0.0.0/0", "gateway_id": gateway.id}])
group = aws.ec2.SecurityGroup(
    "web",
    vpc_id=vpc.id,
    ingress=[{"protocol": "tcp", "from_port": 443, "to_port": 443, "cidr_blocks": ["203.0.113.0/24"]}],
)
balancer = aws.lb.LoadBalancer("web", subnets=[subnet.id for subnet in subnets], security_groups=[group.id])
target = aws.lb.TargetGroup("web", port=8080, protocol="HTTP", target_type="ip", vpc_id=vpc.id)
listener = aws.lb.Listener(
    "web",
    load_balancer_arn=balancer.arn,
    port=443,
    default_actions=[{"type": "forward", "target_group_arn": target.arn}],
)
role = aws.iam.Role(
    "execution",
    assume_role_policy={
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}
        ],
    },
)
repository = aws.ecr.Repository("app", image_tag_mutability="IMMUTABLE")
logs = aws.cloudwatch.LogGroup("app", retention_in_days=30)
cluster = aws.ecs.Cluster("main")
containers = pulumi.Output.all(image=repository.repository_url, logs=logs.name, region=aws.get_region().region).apply(
    lambda found: json.dumps(
        [
            {
                "name": "app",
                "image": f"{found['image']}@sha256:{'0' * 64}",
                "portMappings": [{"containerPort": 8080}],
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {"awslogs-group": found["logs"], "awslogs-region": found["region"]},
                },
            }
        ]
    )
)
task = aws.ecs.TaskDefinition(
    "app",
    family="app",
    cpu="256",
    memory="512",
    network_mode="awsvpc",
    requires_compatibilities=["FARGATE"],
    execution_role_arn=role.arn,
    container_definitions=containers,
)
service = aws.ecs.Service(
    "app",
    cluster=cluster.arn,
    task_definition=task.arn,
    desired_count=2,
    launch_type="FARGATE",
    network_configuration={"subnets": [subnet.id for subnet in subnets], "security_groups": [group.id]},
    load_balancers=[{"target_group_arn": target.arn, "container_name": "app", "container_port": 8080}],
    opts=pulumi.ResourceOptions(depends_on=[listener]),
)
scaling = aws.appautoscaling.Target(
    "app",
    min_capacity=2,
    max_capacity=6,
    scalable_dimension="ecs:service:DesiredCount",
    service_namespace="ecs",
    resource_id=pulumi.Output.all(cluster.name, service.name).apply(lambda found: f"service/{found[0]}/{found[1]}"),
)
aws.cloudwatch.MetricAlarm(
    "slow",
    comparison_operator="GreaterThanThreshold",
    evaluation_periods=2,
    dimensions={"LoadBalancer": balancer.arn_suffix, "TargetGroup": target.arn_suffix},
)
pulumi.export("url", balancer.dns_name.apply(lambda name: "http://" + name))
pulumi.export("cluster", service.cluster.apply(lambda arn: arn.split("/")[1]))
