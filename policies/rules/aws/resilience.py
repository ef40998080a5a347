"""What survives a mistake, a broken release and a lost zone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies.graph import Graph, Resource, is_known
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.aws.doors import BALANCERS
from policies.rules.aws.machines import zones
from policies.rules.aws.reading import number, rows_of, setters, yes

SERVICE = "aws:ecs/service:Service"
TARGET = "aws:appautoscaling/target:Target"
DATABASE = "aws:rds/instance:Instance"
DATABASE_CLUSTER = "aws:rds/cluster:Cluster"
TABLE = "aws:dynamodb/table:Table"
FILES = "aws:efs/fileSystem:FileSystem"
FUNCTION = "aws:lambda/function:Function"
KEEPS = {
    DATABASE: "deletionProtection",
    DATABASE_CLUSTER: "deletionProtection",
    "aws:docdb/cluster:Cluster": "deletionProtection",
    "aws:neptune/cluster:Cluster": "deletionProtection",
    TABLE: "deletionProtectionEnabled",
    "aws:cognito/userPool:UserPool": "deletionProtection",
    FILES: "",
}
ENDED = {
    *(
        "python2.7",
        "python3.6",
        "python3.7",
        "python3.8",
        "python3.9",
        "nodejs",
        "nodejs4.3",
        "nodejs6.10",
        "nodejs8.10",
    ),
    *("nodejs10.x", "nodejs12.x", "nodejs14.x", "nodejs16.x", "nodejs18.x", "java8", "go1.x", "provided", "ruby2.5"),
    *("ruby2.7", "dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1", "dotnetcore3.1", "dotnet5.0", "dotnet6", "dotnet7"),
}


def _replicas(resource: Resource) -> bool:
    return bool(resource.get("schedulingStrategy") != "DAEMON")


def _least(resource: Resource, graph: Graph) -> Any:
    """The least number of tasks: by its scaling where it has one, else by itself."""
    names = {name for name in (resource.get("name"), resource.outputs.get("name")) if isinstance(name, str)}
    for target in graph.of_type(TARGET):
        meant = resource.urn in target.references.get("resourceId", ())
        if meant or any(str(target.get("resourceId", "")).endswith(f"/{name}") for name in names):
            return target.get("minCapacity")
    return resource.get("desiredCount")


def _one_task(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    least = _least(resource, graph)
    if not is_known(least):
        yield undetermined("How many tasks it keeps is not known before the deployment.", "desiredCount")
    elif _replicas(resource) and (number(least) or 0) < 2:
        yield fail("It keeps fewer than two tasks.", "desiredCount")


def _one_subnet(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    path = "networkConfiguration.subnets"
    subnets = resource.get(path)
    if subnets is not None and not isinstance(subnets, list | tuple):
        yield undetermined("Its subnets are not known before the deployment.", path)
    elif subnets is not None and (zones(resource, graph, path) or 0) < 2:
        yield fail("All its tasks are in one subnet.", path)


def _no_breaker(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if resource.get("deploymentController.type", "ECS") != "ECS":
        return
    for path in ("deploymentCircuitBreaker", "alarms"):
        rows = rows_of(resource.get(path))
        if not is_known(resource.get(path)):
            yield undetermined("How its deployments end is not known before the deployment.", path)
            return
        if any(yes(row.get("enable")) and yes(row.get("rollback")) for row in rows):
            return
    yield fail("A release that does not start is tried for ever and not taken back.", "deploymentCircuitBreaker")


def _kept(resource: Resource) -> bool:
    return bool(resource.options.get("protect") or resource.options.get("retainOnDelete"))


def _deletion(resource: Resource, _: Graph) -> Iterator[Verdict]:
    path = KEEPS[resource.type]
    value = resource.get(path) if path else None
    if not is_known(value):
        yield undetermined(f"{path} is not known before the deployment.", path)
    elif not yes(value) and value != "ACTIVE" and not _kept(resource):
        yield fail("One mistaken line deletes it with all its data.", path)


def _balancer(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if not yes(resource.get("enableDeletionProtection")) and not _kept(resource):
        yield fail("One mistaken line takes the address of the service away.", "enableDeletionProtection")


def _backups(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if resource.get("replicateSourceDb") or resource.get("replicationSourceIdentifier"):
        return
    value = resource.get("backupRetentionPeriod")
    days = number(value) or 0
    if not is_known(value):
        yield undetermined("How long its backups are kept is not known.", "backupRetentionPeriod")
    elif days < 7:
        yield fail(f"Its backups are kept for {days:g} days.", "backupRetentionPeriod")


def _one_database(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if resource.type == DATABASE_CLUSTER:
        members = setters(graph, resource, "clusterIdentifier", "aws:rds/clusterInstance:ClusterInstance")
        if len(members) == 1:
            yield fail("It has one instance.")
        return
    value = resource.get("multiAz")
    if not is_known(value):
        yield undetermined("Whether it has a standby is not known before the deployment.", "multiAz")
    elif not yes(value) and not resource.get("replicateSourceDb"):
        yield fail("It is in one zone.", "multiAz")


def _no_recovery(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if not is_known(resource.get("pointInTimeRecovery")):
        yield undetermined("Whether it can be put back is not known before the deployment.", "pointInTimeRecovery")
    elif not yes(resource.get("pointInTimeRecovery.enabled")):
        yield fail("It cannot be put back to what it was before a mistake.", "pointInTimeRecovery.enabled")


def _no_file_backup(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    rows = setters(graph, resource, "fileSystemId", "aws:efs/backupPolicy:BackupPolicy")
    selections = setters(graph, resource, "resources", "aws:backup/selection:Selection")
    if not selections and not any(row.get("backupPolicy.status") == "ENABLED" for row in rows):
        yield fail("Nothing backs up its files.")


def _ended(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if str(resource.get("runtime")) in ENDED:
        yield fail(f"{resource.get('runtime')} gets no more security updates.", "runtime")


RULES = (
    Rule(
        "GW-AWS-120",
        "A service must keep at least two tasks",
        "medium",
        "When its one task or its zone fails, nobody is served.",
        "Set desired_count (and min_capacity of its scaling) to two or more.",
        ("CP-10", "SC-36"),
        (SERVICE,),
        _one_task,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-121",
        "A service must be in two zones",
        "medium",
        "When the zone fails, nobody is served.",
        "Give subnets of two zones or more.",
        ("CP-10", "SC-36"),
        (SERVICE,),
        _one_subnet,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-122",
        "A broken release must be taken back",
        "medium",
        "ECS starts a task that dies again and again, and the deployment never ends.",
        "Set deployment_circuit_breaker with enable and rollback.",
        ("CM-3", "CP-10"),
        (SERVICE,),
        _no_breaker,
        "advisory",
    ),
    Rule(
        "GW-AWS-123",
        "What holds data must be protected against deletion",
        "medium",
        "A renamed line or a wrong stack deletes it, and a restore takes hours, if there is one.",
        "Set deletion_protection (deletion_protection_enabled), or protect=True in its options where there is none.",
        ("CP-9", "SI-7"),
        tuple(KEEPS),
        _deletion,
        "advisory",
    ),
    Rule(
        "GW-AWS-124",
        "A load balancer must be protected against deletion",
        "low",
        "Its address and its certificate's binding go with it.",
        "Set enable_deletion_protection=True on the load balancer.",
        ("CP-10",),
        BALANCERS,
        _balancer,
        "advisory",
    ),
    Rule(
        "GW-AWS-125",
        "A database's backups must be kept for a week",
        "medium",
        "A mistake found on Monday cannot be undone to Friday.",
        "Set backup_retention_period to 7 or more.",
        ("CP-9",),
        (DATABASE, DATABASE_CLUSTER),
        _backups,
        "advisory",
    ),
    Rule(
        "GW-AWS-126",
        "A database must be in two zones",
        "medium",
        "When the zone fails, so does everything that needs the database.",
        "Set multi_az=True, or give the cluster a second instance.",
        ("CP-10", "SC-36"),
        (DATABASE, DATABASE_CLUSTER),
        _one_database,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-127",
        "A table must be recoverable to an earlier moment",
        "medium",
        "What a broken release overwrites is lost.",
        "Set point_in_time_recovery with enabled=True.",
        ("CP-9",),
        (TABLE,),
        _no_recovery,
        "advisory",
    ),
    Rule(
        "GW-AWS-128",
        "A file system must be backed up",
        "medium",
        "What is deleted or encrypted by an intruder is lost.",
        "Declare aws.efs.BackupPolicy with the status ENABLED.",
        ("CP-9",),
        (FILES,),
        _no_file_backup,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-129",
        "A function's runtime must be maintained",
        "medium",
        "Known flaws of the language are not mended any more, and one day it cannot be changed.",
        "Move to a runtime that is maintained.",
        ("SI-2", "RA-5"),
        (FUNCTION,),
        _ended,
        "advisory",
    ),
)
