"""What holds on every cloud: owners, budgets, and passwords that are written out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.graph import STACK, Graph, Resource
from policies.rule import Rule, Verdict, fail
from policies.rules.reading import UNKNOWN, every, given, made_up, read
from policies.rules.workloads import CAMEL, POINTER, SECRET_NAME, SECRET_VALUE

AZ = "azure-native"
# Inputs that hold a password, and nothing else.
PASSWORDS = {
    "aws:rds/instance:Instance": ("password",),
    "aws:rds/cluster:Cluster": ("masterPassword",),
    "aws:docdb/cluster:Cluster": ("masterPassword",),
    "aws:redshift/cluster:Cluster": ("masterPassword",),
    "aws:elasticache/replicationGroup:ReplicationGroup": ("authToken",),
    "aws:secretsmanager/secretVersion:SecretVersion": ("secretString",),
    "gcp:sql/user:User": ("password",),
    "gcp:sql/databaseInstance:DatabaseInstance": ("rootPassword",),
    "gcp:secretmanager/secretVersion:SecretVersion": ("secretData",),
    f"{AZ}:sql:Server": ("administratorLoginPassword",),
    f"{AZ}:dbforpostgresql:Server": ("administratorLoginPassword",),
    f"{AZ}:dbforpostgresql:SingleServer": ("properties.administratorLoginPassword",),
    f"{AZ}:dbformysql:Server": ("administratorLoginPassword",),
    f"{AZ}:compute:VirtualMachine": ("osProfile.adminPassword",),
    f"{AZ}:compute:VirtualMachineScaleSet": ("virtualMachineProfile.osProfile.adminPassword",),
    f"{AZ}:keyvault:Secret": ("properties.value",),
    f"{AZ}:app:ContainerApp": ("configuration.secrets.*.value",),
    f"{AZ}:app:Job": ("configuration.secrets.*.value",),
    f"{AZ}:containerinstance:ContainerGroup": ("imageRegistryCredentials.*.password",),
    f"{AZ}:containerservice:ManagedCluster": ("servicePrincipalProfile.secret", "windowsProfile.adminPassword"),
    "kubernetes:core/v1:Secret": ("stringData.*", "data.*"),
}
PROVIDERS = {
    "pulumi:providers:aws": ("accessKey", "secretKey", "token"),
    "pulumi:providers:azure-native": ("clientSecret", "clientCertificatePassword"),
    "pulumi:providers:gcp": ("credentials", "accessToken"),
}
# What can have tags, by the input that holds them.
TAGS = {
    "aws:s3/bucket:Bucket": "tags",
    "aws:ec2/instance:Instance": "tags",
    "aws:rds/instance:Instance": "tags",
    "aws:dynamodb/table:Table": "tags",
    "aws:ecs/service:Service": "tags",
    "aws:eks/cluster:Cluster": "tags",
    "aws:lambda/function:Function": "tags",
    "aws:kms/key:Key": "tags",
    "aws:efs/fileSystem:FileSystem": "tags",
    "gcp:storage/bucket:Bucket": "labels",
    "gcp:compute/instance:Instance": "labels",
    "gcp:cloudrunv2/service:Service": "labels",
    "gcp:sql/databaseInstance:DatabaseInstance": "settings.userLabels",
    "gcp:container/cluster:Cluster": "resourceLabels",
    "gcp:kms/cryptoKey:CryptoKey": "labels",
    "gcp:filestore/instance:Instance": "labels",
    f"{AZ}:resources:ResourceGroup": "tags",
    f"{AZ}:storage:StorageAccount": "tags",
    f"{AZ}:compute:VirtualMachine": "tags",
    f"{AZ}:compute:VirtualMachineScaleSet": "tags",
    f"{AZ}:app:ContainerApp": "tags",
    f"{AZ}:sql:Server": "tags",
    f"{AZ}:cosmosdb:DatabaseAccount": "tags",
    f"{AZ}:containerservice:ManagedCluster": "tags",
    f"{AZ}:keyvault:Vault": "tags",
}
OWNER = re.compile(r"^(owner|owners|owned-?by|team|contact|maintainer|cost-?cent(er|re)|costs?-?code)$", re.IGNORECASE)
DEFAULTS = ("defaultTags", "defaultLabels")
BUDGETS = {
    "aws": (
        ("aws:budgets/budget:Budget",),
        (
            "ec2/instance:",
            "autoscaling/group:",
            "ecs/service:",
            "eks/cluster:",
            "rds/",
            "sagemaker/",
            "ec2/launchTemplate:",
        ),
    ),
    "gcp": (
        ("gcp:billing/budget:Budget",),
        (
            "compute/instance:",
            "compute/instanceGroupManager:",
            "compute/regionInstanceGroupManager:",
            "container/cluster:",
            "cloudrunv2/service:",
            "sql/databaseInstance:",
            "vertex/",
        ),
    ),
    "azure-native": (
        (f"{AZ}:consumption:Budget", f"{AZ}:costmanagement:Budget"),
        (
            "compute:VirtualMachine",
            "containerservice:ManagedCluster",
            "app:ContainerApp",
            "sql:",
            "dbforpostgresql:",
            "machinelearningservices:Compute",
            "cosmosdb:",
        ),
    ),
}
IDLE = (
    "gcp:compute/address:Address",
    "gcp:compute/globalAddress:GlobalAddress",
    "gcp:compute/disk:Disk",
    f"{AZ}:network:PublicIPAddress",
    f"{AZ}:compute:Disk",
)
LOOPBACK = re.compile(r"//(localhost|127\.|\[::1\]|host\.docker\.internal)")


def _passwords(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for place in PASSWORDS[resource.kind]:
        for path, value in every(given(resource), place):
            if isinstance(value, str) and value and not made_up(resource, path):
                yield fail("A password stands in it as plain text.", path)


def _credentials(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if LOOPBACK.search(str(given(resource).get("endpoints"))):
        return  # an emulator takes any credentials
    for name in PROVIDERS[resource.type]:
        value = read(resource, name)
        if isinstance(value, str) and value and not (name == "credentials" and "private_key" not in value):
            yield fail(f"`{name}` stands in it as plain text.", name)


def _outputs(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    for path, value in _leaves(graph.outputs or resource.outputs):
        name = path.rsplit(".", 1)[-1]
        word = SECRET_NAME.search(CAMEL.sub("_", name)) and not POINTER.search(value)
        if SECRET_VALUE.search(value) or word:
            yield fail(f"The output `{path}` shows a password to whoever may look at the stack.", path)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}".lstrip("."))


def _names_owner(table: Any) -> bool:
    return isinstance(table, Mapping) and any(OWNER.match(str(name)) for name in table)


def _tags(resource: Resource) -> Any:
    return read(resource, TAGS.get(resource.kind, "tags" if resource.type.startswith(("aws:", AZ)) else "labels"))


def _default_tags(resource: Resource, graph: Graph) -> bool:
    """Whether the resource's provider gives it an owner; true where nobody knows."""
    provider = graph.by_urn.get(resource.provider.rsplit("::", 1)[0])
    for name in DEFAULTS:
        value = read(provider, name) if provider else None
        if value is UNKNOWN:
            return True
        try:
            table = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            table = None
        if _names_owner(table) or (isinstance(table, Mapping) and _names_owner(table.get("tags"))):
            return True
    return False


def _owned(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    tags = _tags(resource)
    if tags is UNKNOWN or _names_owner(tags) or _default_tags(resource, graph):
        return
    cloud = resource.type.partition(":")[0]
    others = (row for row in graph.resources if row.type.startswith(f"{cloud}:") and row is not resource)
    if any(_names_owner(_tags(row)) for row in others):
        yield fail("It has no owner, though others of the stack have one.", TAGS[resource.kind])


def _budget(_resource: Resource, graph: Graph) -> Iterator[Verdict]:
    kinds = {row.kind for row in graph.resources}
    for cloud, (budgets, costs) in BUDGETS.items():
        costly = [kind for kind in kinds if kind.startswith(f"{cloud}:") and kind.partition(":")[2].startswith(costs)]
        if costly and not kinds & set(budgets):
            yield fail(
                f"Nobody is told when its machines on {cloud.partition('-')[0]} cost too much: it has no budget."
            )


def _unused(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if read(resource, "purpose") in ("VPC_PEERING", "PRIVATE_SERVICE_CONNECT") or read(resource, "users"):
        return
    name = given(resource).get("name")
    others = [row for row in graph.resources if row is not resource]
    named = isinstance(name, str) and any(name in str(given(row)) for row in others)
    if not named and not any(resource.urn in row.dependencies for row in others):
        yield fail("It is paid for, and nothing of the stack uses it.")


RULES = (
    Rule(
        "GW-ALL-001",
        "No password may be written out in a program",
        "high",
        "Whoever reads the program, its history, its plan or its state has it, for as long as it is valid.",
        "Take it from a secret setting (`config.require_secret`) or make it (`random.RandomPassword`).",
        ("IA-5", "SC-28"),
        tuple(PASSWORDS),
        _passwords,
    ),
    Rule(
        "GW-ALL-002",
        "No credential of a cloud may be written out in a program",
        "critical",
        "Whoever reads the program, its history or its state is in the account.",
        "Leave it out; sign in by OIDC, by a role or by a profile.",
        ("IA-5", "AC-6"),
        tuple(PROVIDERS),
        _credentials,
    ),
    Rule(
        "GW-ALL-003",
        "No stack output may show a password",
        "high",
        "Outputs are printed by every deployment and read by other stacks.",
        "Wrap the value in `pulumi.Output.secret`, or export where it is kept.",
        ("IA-5", "SC-28"),
        (STACK,),
        _outputs,
        whole_stack=True,
    ),
    Rule(
        "GW-ALL-004",
        "What costs or holds data must have an owner",
        "low",
        "Nobody knows whom to ask before it is changed, or who pays for it.",
        "Give it the tags (labels) that the rest of the stack has.",
        ("CM-8", "PM-5"),
        tuple(TAGS),
        _owned,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-ALL-006",
        "Addresses and disks that are paid for must be used",
        "low",
        "An address or a disk that nothing uses costs as much as one in use.",
        "Delete it, or attach it.",
        ("CM-8", "SA-4"),
        IDLE,
        _unused,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-ALL-005",
        "A stack with machines must have a budget",
        "low",
        "A mistake in a scale, or a stolen key that mines coins, is seen on the bill.",
        "Declare a budget with an alarm (AWS Budgets, Cloud Billing, Cost Management).",
        ("SA-4", "CA-7"),
        (STACK,),
        _budget,
        "advisory",
        whole_stack=True,
    ),
)
