"""Samples of ECS."""

from __future__ import annotations

import json
from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS


def ecs(account: Account) -> Any:
    return account.client("ecs")


def tag(account: Account, made: str, _: Any) -> None:
    ecs(account).tag_resource(resourceArn=made, tags=[{"key": "added", "value": "1"}])


def tag_definition(account: Account, _: str, outputs: Any) -> None:
    tag(account, outputs["arn"], None)


def cluster(**said: Any) -> Any:
    return lambda a, i, _: ecs(a).update_cluster(cluster=i, **said)


def service(**said: Any) -> Any:
    return lambda a, i, outputs: ecs(a).update_service(cluster=outputs["cluster"], service=i, **said)


def deployment(**said: Any) -> Any:
    return service(deploymentConfiguration=said)


def other_image(account: Account, made: str, outputs: Any) -> None:
    """A new revision of the service's own family, which the service is sent to."""
    client = ecs(account)
    known = client.describe_task_definition(taskDefinition=outputs["taskDefinition"])["taskDefinition"]
    containers = [{**container, "image": "evil"} for container in known["containerDefinitions"]]
    names = ("family", "cpu", "memory", "networkMode", "requiresCompatibilities")
    revision = client.register_task_definition(containerDefinitions=containers, **{name: known[name] for name in names})
    arn = revision["taskDefinition"]["taskDefinitionArn"]
    client.update_service(cluster=outputs["cluster"], service=made, taskDefinition=arn)


def move(account: Account, made: str, outputs: Any) -> None:
    network = outputs["networkConfiguration"]
    said = {"subnets": network["subnets"][:1], "securityGroups": network["securityGroups"]}
    ecs(account).update_service(
        cluster=outputs["cluster"], service=made, networkConfiguration={"awsvpcConfiguration": said}
    )


def described(account: Account, made: str) -> Any:
    return ecs(account).describe_services(cluster=made.split("/")[-2], services=[made])["services"][0]


EXECUTE = {
    "executeCommandConfiguration": {
        "logging": "OVERRIDE",
        "logConfiguration": {"cloudWatchLogGroupName": "execute", "s3BucketEncryptionEnabled": True},
    }
}
INSIGHTS = [{"name": "containerInsights", "value": "enabled"}]
CONTAINER = {
    "name": "app",
    "image": "registry.example/app@sha256:0000",
    "essential": True,
    "portMappings": [{"containerPort": 8080, "protocol": "tcp"}],
    "environment": [{"name": "PORT", "value": "8080"}, {"name": "LAKE", "value": "s3://data/lake/"}],
    "readonlyRootFilesystem": True,
    "healthCheck": {"command": ["CMD", "true"], "interval": 30},
}
STRATEGIES = [{"capacityProvider": "FARGATE", "base": 1, "weight": 1}, {"capacityProvider": "FARGATE_SPOT"}]

SAMPLES = {
    "cluster": Sample(
        "aws:ecs/cluster:Cluster",
        {"name": "predict", "settings": INSIGHTS, "tags": TAGS},
        changes={
            "settings": [{"name": "containerInsights", "value": "enhanced"}],
            "configuration": EXECUTE,
            "serviceConnectDefaults": {"namespace": "arn:aws:servicediscovery:eu-central-1:123456789012:namespace/n"},
            "tags": OTHER_TAGS,
        },
        behind={
            "settings": cluster(settings=[{"name": "containerInsights", "value": "disabled"}]),
            "configuration": cluster(configuration={"executeCommandConfiguration": {"logging": "NONE"}}),
            "serviceConnectDefaults": cluster(serviceConnectDefaults={"namespace": "elsewhere"}),
            "tags": tag,
        },
    ),
    "cluster-without-name": Sample("aws:ecs/cluster:Cluster", {"configuration": EXECUTE}),
    "capacity-providers": Sample(
        "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
        {
            "clusterName": Ref("cluster", "name"),
            "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
            "defaultCapacityProviderStrategies": STRATEGIES,
        },
        changes={
            "capacityProviders": ["FARGATE"],
            "defaultCapacityProviderStrategies": [{"capacityProvider": "FARGATE", "weight": 2}],
        },
        behind={
            "capacityProviders": lambda a, i, _: ecs(a).put_cluster_capacity_providers(
                cluster=i,
                capacityProviders=["FARGATE_SPOT"],
                defaultCapacityProviderStrategy=STRATEGIES,
            ),
            "defaultCapacityProviderStrategies": lambda a, i, _: ecs(a).put_cluster_capacity_providers(
                cluster=i, capacityProviders=["FARGATE", "FARGATE_SPOT"], defaultCapacityProviderStrategy=STRATEGIES[:1]
            ),
        },
    ),
    "definition": Sample(
        "aws:ecs/taskDefinition:TaskDefinition",
        {
            "family": "predict",
            "cpu": "256",
            "memory": "512",
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "executionRoleArn": "arn:aws:iam::123456789012:role/execution",
            "taskRoleArn": "arn:aws:iam::123456789012:role/server",
            "containerDefinitions": json.dumps([CONTAINER]),
            "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
            "ephemeralStorage": {"sizeInGib": 30},
            "tags": TAGS,
        },
        changes={"tags": OTHER_TAGS},
        behind={"tags": tag_definition},
        lost={
            "enableFaultInjection": (
                True,
                lambda a, i: (
                    ecs(a).describe_task_definition(taskDefinition=i)["taskDefinition"].get("enableFaultInjection")
                ),
            )
        },
        steers=frozenset({"skipDestroy", "trackLatest"}),
    ),
    "ec2-definition": Sample(
        "aws:ecs/taskDefinition:TaskDefinition",
        {
            "family": "batch",
            "containerDefinitions": json.dumps(
                [{"name": "b", "image": "b", "memory": 64}, {"name": "a", "image": "a", "memory": 64}]
            ),
            "volumes": [
                {"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs-1", "transitEncryption": "ENABLED"}},
                {"name": "scratch", "hostPath": "/scratch"},
            ],
            "ipcMode": "none",
            "pidMode": "task",
            "placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.os-type == linux"}],
        },
    ),
    "service": Sample(
        "aws:ecs/service:Service",
        {
            "name": "predict",
            "cluster": Ref("cluster"),
            "taskDefinition": Ref("definition", "arn"),
            "desiredCount": 2,
            "launchType": "FARGATE",
            "networkConfiguration": {
                "subnets": [Ref("subnet"), Ref("other-subnet")],
                "securityGroups": [Ref("group")],
                "assignPublicIp": False,
            },
            "loadBalancers": [{"targetGroupArn": Ref("targets"), "containerName": "app", "containerPort": 8080}],
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
            "deploymentMinimumHealthyPercent": 100,
            "deploymentMaximumPercent": 200,
            "healthCheckGracePeriodSeconds": 60,
            "propagateTags": "SERVICE",
            "tags": TAGS,
        },
        changes={
            "taskDefinition": Ref("ec2-definition", "arn"),
            "desiredCount": 3,
            "networkConfiguration": {"subnets": [Ref("other-subnet")], "securityGroups": [Ref("other-group")]},
            "loadBalancers": None,
            "deploymentCircuitBreaker": {"enable": True, "rollback": False},
            "deploymentMinimumHealthyPercent": 50,
            "deploymentMaximumPercent": 150,
            "healthCheckGracePeriodSeconds": None,
            "propagateTags": "TASK_DEFINITION",
            "alarms": {"alarmNames": ["errors"], "enable": True, "rollback": True},
            "availabilityZoneRebalancing": "ENABLED",
            "capacityProviderStrategies": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
            "enableEcsManagedTags": True,
            "enableExecuteCommand": True,
            "orderedPlacementStrategies": [{"type": "spread", "field": "attribute:ecs.availability-zone"}],
            "placementConstraints": [{"type": "distinctInstance"}],
            "platformVersion": "1.4.0",
            "tags": OTHER_TAGS,
        },
        behind={
            "taskDefinition": other_image,
            "desiredCount": service(desiredCount=9),
            "networkConfiguration": move,
            "loadBalancers": service(loadBalancers=[]),
            "deploymentCircuitBreaker": deployment(
                deploymentCircuitBreaker={"enable": False, "rollback": False},
                maximumPercent=200,
                minimumHealthyPercent=100,
            ),
            "deploymentMinimumHealthyPercent": deployment(
                deploymentCircuitBreaker={"enable": True, "rollback": True},
                maximumPercent=200,
                minimumHealthyPercent=0,
            ),
            "deploymentMaximumPercent": deployment(
                deploymentCircuitBreaker={"enable": True, "rollback": True},
                maximumPercent=100,
                minimumHealthyPercent=100,
            ),
            "alarms": deployment(
                deploymentCircuitBreaker={"enable": True, "rollback": True},
                maximumPercent=200,
                minimumHealthyPercent=100,
                alarms={"alarmNames": ["other"], "enable": True, "rollback": True},
            ),
            "healthCheckGracePeriodSeconds": service(healthCheckGracePeriodSeconds=1),
            "propagateTags": service(propagateTags="NONE"),
            "capacityProviderStrategies": service(
                capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 9}]
            ),
            "enableEcsManagedTags": service(enableECSManagedTags=True),
            "enableExecuteCommand": service(enableExecuteCommand=True),
            "orderedPlacementStrategies": service(placementStrategy=[{"type": "random"}]),
            "placementConstraints": service(placementConstraints=[{"type": "distinctInstance"}]),
            "tags": tag,
        },
        lost={
            "serviceConnectConfiguration": (
                {"enabled": True, "namespace": "predict"},
                lambda a, i: described(a, i).get("serviceConnectConfiguration"),
            )
        },
        steers=frozenset({"forceDelete", "forceNewDeployment", "triggers", "waitForSteadyState"}),
    ),
    "daemon-service": Sample(
        "aws:ecs/service:Service",
        {
            "name": "agent",
            "cluster": Ref("cluster", "name"),
            "taskDefinition": "<<ec2-definition.family>>:1",
            "schedulingStrategy": "DAEMON",
            "deploymentController": {"type": "ECS"},
            "platformVersion": "LATEST",
            "availabilityZoneRebalancing": "DISABLED",
        },
        behind={
            "platformVersion": service(platformVersion="1.3.0"),
            "availabilityZoneRebalancing": service(availabilityZoneRebalancing="ENABLED"),
        },
    ),
}
