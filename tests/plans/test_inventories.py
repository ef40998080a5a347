"""What each environment consists of: how many of each type, and the few values that matter."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.plans.plans import (
    CLOUDS,
    ENVIRONMENTS,
    Plan,
    environments_on,
    evaluated,
    evaluated_once,
    inventory,
    plan_of,
)

pytestmark = pytest.mark.slow
STACKS = [(stack, cloud) for cloud in CLOUDS for stack in (*environments_on(cloud), f"bootstrap-{cloud}")]


@pytest.mark.parametrize(("stack", "cloud"), STACKS)
def test_a_stack_has_just_what_its_inventory_counts(stack: str, cloud: str) -> None:
    counts = Counter(row.type for row in plan_of(stack, cloud).resources)
    counts.pop("pulumi:pulumi:Stack", None)
    assert dict(counts) == inventory(stack)[cloud]["counts"]


@pytest.mark.parametrize(("stack", "cloud"), STACKS)
def test_the_values_that_matter_are_what_the_inventory_says(stack: str, cloud: str) -> None:
    plan, values_of = plan_of(stack, cloud), inventory(stack)[cloud]["values"]
    assert values_of
    for token, names in values_of.items():
        for name, values in names.items():
            inputs = plan.named(token, name).inputs
            assert {key: read(inputs.get(key), value) for key, value in values.items()} == values, f"{token} {name}"


def read(found: Any, expected: Any) -> Any:
    """A value as the inventory writes it: a document in JSON is written as what it says."""
    return json.loads(found) if isinstance(found, str) and isinstance(expected, dict) else found


def shape(value: Any) -> Any:
    """The keys of a value, and of those within it."""
    return {key: shape(one) for key, one in value.items()} if isinstance(value, dict) else None


@pytest.mark.parametrize("environment", ["dev", "staging", "prod", "bootstrap-{}"])
def test_each_cloud_hands_out_the_same_keys(environment: str) -> None:
    aws, gcp, azure = (shape(plan_of(environment.format(cloud), cloud).outputs[cloud]) for cloud in CLOUDS)
    assert aws == gcp == azure
    assert aws


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_on_aws_hands_out_what_others_build_on(environment: str) -> None:
    handed_out = dict(plan_of(environment).outputs["aws"])
    api = handed_out.pop("api")
    assert api["table"] == f"groundwork-{environment}-api"
    assert api["url"].startswith("https://")
    assert handed_out.pop("dashboard").endswith(f"#dashboards/dashboard/groundwork-{environment}-watch")
    assert handed_out.pop("kubernetes", None) in (None, f"groundwork-{environment}-predict")
    assert handed_out == {
        "stores": {
            purpose: f"example-groundwork-{environment}-{purpose}" for purpose in ("data", "models", "logs", "audit")
        },
        "identities": {name: f"arn:aws:iam::123456789012:role/groundwork-{environment}-{name}" for name in WORKLOADS},
        "registry": f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/groundwork-{environment}-app",
        "service": {
            "cluster": f"groundwork-{environment}-predict",
            "name": f"groundwork-{environment}-predict",
            "url": f"https://predict.{environment}.example.com",
        },
        "trainer": f"groundwork-{environment}-trainer",
        "workflow": f"groundwork-{environment}-retrain",
        "forget": f"groundwork-{environment}-forget",
    }


def on_gcp(plan: Plan) -> dict[str, Any]:
    """What an environment's outputs have to be on GCP, looked up among its resources."""
    images, main = plan.only("artifactregistry:Repository").inputs, plan.named("pulumi:providers:gcp", "gcp").inputs
    clusters = [row.inputs["name"] for row in plan.any_of_type("container:Cluster")]
    return {
        "stores": {purpose: plan.named("storage:Bucket", purpose).inputs["name"] for purpose in PURPOSES},
        "identities": {
            name: f"serviceAccount:{plan.named('serviceaccount:Account', name).outputs['email']}" for name in WORKLOADS
        },
        "registry": f"{main['region']}-docker.pkg.dev/{main['project']}/{images['repositoryId']}/app",
        "service": {
            "cluster": main["region"],
            "name": plan.named("cloudrunv2:Service", "predict").inputs["name"],
            "url": f"https://predict.{plan.environment}.example.com",
        },
        "api": {
            "table": plan.only("firestore:Database").inputs["name"],
            "url": f"https://{plan.only('apigateway:Gateway').outputs['defaultHostname']}",
        },
        "trainer": plan.named("compute:RegionInstanceGroupManager", "trainer").inputs["name"],
        "workflow": plan.only("workflows:Workflow").inputs["name"],
        "forget": plan.named("cloudrunv2:Job", "forget").inputs["name"],
        **({"kubernetes": clusters[0]} if clusters else {}),
    }


def on_azure(plan: Plan) -> dict[str, Any]:
    """The same on Azure."""
    app = plan.named("app:ContainerApp", "predict").inputs
    named = [one["name"] for one in app["configuration"]["ingress"].get("customDomains") or []]
    cluster = plan.named("app:ManagedEnvironment", "predict")
    clusters = [row.inputs["resourceName"] for row in plan.any_of_type("containerservice:ManagedCluster")]
    return {
        "stores": {
            purpose: plan.named("storage:StorageAccount", purpose).inputs["accountName"] for purpose in PURPOSES
        },
        "identities": {
            name: plan.named("managedidentity:UserAssignedIdentity", name).outputs["principalId"] for name in WORKLOADS
        },
        "registry": f"{plan.only('containerregistry:Registry').outputs['loginServer']}/app",
        "service": {
            "cluster": cluster.inputs["environmentName"],
            "name": app["containerAppName"],
            "url": f"https://{(named or [app['containerAppName'] + '.' + cluster.outputs['defaultDomain']])[0]}",
        },
        "api": {
            "table": plan.only("storage:Table").inputs["tableName"],
            "url": plan.only("apimanagement:ApiManagementService").outputs["gatewayUrl"],
        },
        "trainer": plan.named("compute:VirtualMachineScaleSet", "trainer").inputs["vmScaleSetName"],
        "workflow": plan.only("logic:Workflow").inputs["workflowName"],
        "forget": plan.named("app:Job", "forget").inputs["jobName"],
        **({"kubernetes": clusters[0]} if clusters else {}),
    }


PURPOSES, WORKLOADS = ("data", "models", "logs", "audit"), ("server", "trainer", "workflow", "function", "eraser")


@pytest.mark.parametrize("environment", ENVIRONMENTS[1:])
@pytest.mark.parametrize(("cloud", "looked_up"), [("gcp", on_gcp), ("azure", on_azure)])
def test_an_environment_elsewhere_hands_out_what_others_build_on(
    environment: str, cloud: str, looked_up: Callable[[Plan], dict[str, Any]]
) -> None:
    plan = plan_of(environment, cloud)
    handed_out = dict(plan.outputs[cloud])
    assert handed_out.pop("dashboard").startswith("https://")
    assert handed_out == looked_up(plan)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_same_program_and_settings_give_the_same_plan(cloud: str) -> None:
    assert evaluated("dev", cloud).stdout == evaluated_once("dev", cloud).stdout != ""


# What a setting switches on, by a word in its URN (and a full stop): a cluster, copies in a second region, a way in for
# SSH, machines that are never taken away. On GCP a copy in two regions has a key of its own, where it lies.
SWITCHED: dict[str, dict[str, tuple[str, ...]]] = {
    "aws": {
        "groundwork:aws:Kubernetes$": ("local", "prod"),
        "groundwork:aws:Replica$": ("prod",),
        "::aws-replica": ("prod",),
        "::trainer-ssh-from-": ("dev",),
    },
    "gcp": {
        "groundwork:gcp:Kubernetes$": ("prod",),
        "RepositoryIamMember::predict-nodes-pull-app": ("prod",),
        "CryptoKeyIAMMember::logs-container": ("prod",),
        "CryptoKeyIAMMember::data-storage": ("dev", "staging"),
        "-europe": ("prod",),
        "::trainer-floor": ("prod",),
        "::trainer-ssh": ("dev",),
    },
    "azure": {
        "groundwork:azure:Kubernetes$": ("prod",),
        "RoleAssignment::predict-nodes-pull-app": ("prod",),
        "SecurityRule::masters-from-": ("prod",),
        "SecurityRule::masters-to-": ("prod",),
        "SecurityRule::nodes-among": ("prod",),
        "SecurityRule::nodes-from-": ("prod",),
        "SecurityRule::nodes-out.": ("prod",),
        "SecurityRule::nodes-pods-": ("prod",),
        "SecurityRule::nodes-to-": ("prod",),
        "SecurityRule::pods-": ("prod",),
        "::trainer-ssh-from-": ("dev",),
    },
}
# Inputs that a setting switches on: where a copy lies; sizes of which the cheapest is taken, where there are several.
OPTIONAL = {"aws": set[str](), "gcp": {"customPlacementConfig", "rpo"}, "azure": {"skuProfile"}}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_dev_staging_and_prod_differ_in_settings_alone(cloud: str) -> None:
    dev, staging, prod = (
        {
            (
                row.type,
                row.name.replace(f"groundwork-{environment}-", ""),
                frozenset(row.inputs.keys() - OPTIONAL[cloud]),
            )
            for row in plan_of(environment, cloud).resources
            if row.custom and not any(word in f"{row.urn}." for word in SWITCHED[cloud])
        }
        for environment in ("dev", "staging", "prod")
    )
    assert dev == staging == prod


@pytest.mark.parametrize(("cloud", "word"), [(cloud, word) for cloud in CLOUDS for word in SWITCHED[cloud]])
def test_a_setting_switches_on_just_what_it_is_about(cloud: str, word: str) -> None:
    found = [
        environment
        for environment in environments_on(cloud)
        if any(word in f"{row.urn}." for row in plan_of(environment, cloud).resources if row.custom)
    ]
    assert tuple(found) == SWITCHED[cloud][word]


# The input that is a type's name, where it is not `name`. On Azure, of those whose names are the whole world's.
NAMED = {
    "aws:s3/bucket:Bucket": "bucket",
    "aws:ecs/taskDefinition:TaskDefinition": "family",
    "gcp:apigateway/api:Api": "apiId",
    "gcp:apigateway/apiConfig:ApiConfig": "apiConfigId",
    "gcp:apigateway/gateway:Gateway": "gatewayId",
    "gcp:artifactregistry/repository:Repository": "repositoryId",
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": "workloadIdentityPoolId",
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": "workloadIdentityPoolProviderId",
    "gcp:logging/projectBucketConfig:ProjectBucketConfig": "bucketId",
    "gcp:projects/iAMCustomRole:IAMCustomRole": "roleId",
    "gcp:serviceaccount/account:Account": "accountId",
    "azure-native:apimanagement:ApiManagementService": "serviceName",
    "azure-native:authorization:RoleAssignment": "roleAssignmentName",
    "azure-native:authorization:RoleDefinition": "roleDefinitionId",
    "azure-native:consumption:Budget": "budgetName",
    "azure-native:containerregistry:Registry": "registryName",
    "azure-native:keyvault:Vault": "vaultName",
    "azure-native:network:FlowLog": "flowLogName",
    "azure-native:storage:StorageAccount": "accountName",
}
INHERITED = (  # named within what they belong to
    "aws:apigatewayv2/stage:Stage",
    "aws:cloudwatch/logMetricFilter:LogMetricFilter",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:route53/record:Record",
    "gcp:dns/recordSet:RecordSet",
)
FEWEST = {"aws": 60, "gcp": 150, "azure": 120}  # so many names, or this proves nothing


def names(environment: str, cloud: str) -> set[tuple[str, str]]:
    """What an environment names itself, with its type."""
    rows = [row for row in plan_of(environment, cloud).resources if row.type not in INHERITED]
    keyed = [(row, NAMED.get(row.type, "name")) for row in rows]
    return {(row.type, row.inputs[key]) for row, key in keyed if key in row.inputs}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_no_two_environments_share_a_name(cloud: str) -> None:
    times = Counter(name for environment in environments_on(cloud) for name in names(environment, cloud))
    assert len(times) >= FEWEST[cloud]
    assert [name for name, found in times.items() if found > 1] == []


# What lies in no environment's group: records of flows lie with Azure's watcher, most others in no group at all.
GROUPLESS = {
    "authorization:RoleAssignment",
    "authorization:RoleDefinition",
    "consumption:Budget",
    "dns:RecordSet",  # in the group of the zone, which is older than any environment
    "monitor:DiagnosticSetting",
    "network:FlowLog",
    "security:Pricing",  # one for the whole subscription, which all environments set alike and none takes away
}


@pytest.mark.parametrize("environment", ENVIRONMENTS[1:])
def test_on_azure_everything_lies_in_the_group_of_its_environment(environment: str) -> None:
    rows = [row for row in plan_of(environment, "azure").resources if row.type.startswith("azure-native:")]
    group = f"groundwork-{environment}-group"
    outside = {row.type.removeprefix("azure-native:") for row in rows if row.inputs.get("resourceGroupName") != group}
    assert outside == GROUPLESS
