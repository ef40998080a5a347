"""What every cloud promises, looked up in its plan, and where one cloud's form of a promise differs, with the reason.

`python -m tests.plans.features` writes docs/parity.md: feature x cloud x environment. Where one environment's plans
differ in a feature, that fails the tests unless a row of tests/plans/parity/*.yaml names the feature for each cloud
that lacks it; so does a row on a feature that its cloud has everywhere.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.plans.plans import CLOUDS, ROOT, Plan, plan_of

ENVIRONMENTS = ("dev", "staging", "prod")
DOCUMENT = ROOT / "docs/parity.md"
Look = Callable[[Plan], bool]


@dataclass(frozen=True)
class Feature:
    """A promise, and how each cloud's plan shows that it is kept."""

    name: str
    aws: Look
    gcp: Look
    azure: Look


@dataclass(frozen=True)
class Row:
    """Where a cloud has a nearest form: what it is, and why."""

    feature: str
    here: str
    reason: str


def rows() -> dict[str, list[Row]]:
    """The reviewed rows of each cloud, in the order of its files."""
    found: dict[str, list[Row]] = {cloud: [] for cloud in CLOUDS}
    for path in sorted((ROOT / "tests/plans/parity").glob("*.yaml")):
        found[path.stem.partition("-")[0]] += [Row(**row) for row in yaml.safe_load(path.read_text())]
    return found


def has(*tokens: str) -> Look:
    """At least one resource of each type."""
    return lambda plan: all(plan.any_of_type(token) for token in tokens)


def every(token: str, test: Callable[[dict[str, Any]], Any]) -> Look:
    """There is one of the type, and the inputs of each pass."""
    return lambda plan: bool(plan.any_of_type(token)) and all(test(row.inputs) for row in plan.any_of_type(token))


def some(token: str, test: Callable[[dict[str, Any]], Any]) -> Look:
    """The inputs of at least one of the type pass."""
    return lambda plan: any(test(row.inputs) for row in plan.any_of_type(token))


def at(inputs: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, of the first item where there is a list; None if there is none."""
    found: Any = inputs
    for step in path.split("."):
        found = found[0] if isinstance(found, list) and found else found
        found = found.get(step) if isinstance(found, dict) else None
    return found


def as_many(one: str, other: str) -> Look:
    """There are as many of one type as of another, and some."""
    return lambda plan: len(plan.any_of_type(one)) == len(plan.any_of_type(other)) > 0


def workloads(token: str) -> Look:
    """An identity for each of the four workloads."""
    return lambda plan: {"server", "trainer", "workflow", "function"} <= {row.name for row in plan.any_of_type(token)}


def by_digest(token: str) -> Look:
    """Every image that the resources of a type name is named by its digest."""

    def images(value: Any) -> Iterator[str]:
        if isinstance(value, str) and value.startswith("["):
            value = json.loads(value)  # AWS takes containers as a text
        for key, item in (
            value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
        ):
            if key == "image":
                yield item
            elif isinstance(item, dict | list) or key == "containerDefinitions":
                yield from images(item)

    def look(plan: Plan) -> bool:
        found = [image for row in plan.any_of_type(token) for image in images(row.inputs)]
        return bool(found) and all("@sha256:" in image for image in found)

    return look


def on_kubernetes(cluster: str) -> Look:
    """A cluster, and what keeps the app up in it."""
    return has(cluster, "apps:Deployment", "autoscaling:HorizontalPodAutoscaler", "policy:PodDisruptionBudget")


def nowhere(_plan: Plan) -> bool:
    """No cloud-neutral form of the promise is in the plan; a row says what is."""
    return False


def five(token: str, *others: str) -> Look:
    """Five alerts, of one type or of several."""
    ids = {"errors", "latency", "capacity", "drift", "retraining"}
    return lambda plan: ids <= {row.name for each in (token, *others) for row in plan.any_of_type(each)}


FEATURES = (
    Feature(
        "Store: versions of what is overwritten",
        every("s3:BucketVersioning", lambda got: at(got, "versioningConfiguration.status") == "Enabled"),
        every("storage:Bucket", lambda got: at(got, "versioning.enabled") or got.get("retentionPolicy")),
        every("storage:BlobServiceProperties", lambda got: got["isVersioningEnabled"]),
    ),
    Feature(
        "Store: encrypted with a key of ours",
        as_many("s3:BucketServerSideEncryptionConfiguration", "s3:Bucket"),
        every("storage:Bucket", lambda got: at(got, "encryption.defaultKmsKeyName")),
        every("storage:StorageAccount", lambda got: at(got, "encryption.keySource") == "Microsoft.Keyvault"),
    ),
    Feature(
        "Store: nothing is public",
        every("s3:BucketPublicAccessBlock", lambda got: got["restrictPublicBuckets"]),
        every("storage:Bucket", lambda got: got["publicAccessPrevention"] == "enforced"),
        every("storage:StorageAccount", lambda got: got["allowBlobPublicAccess"] is False),
    ),
    Feature(
        "Store: the audit trail is locked",
        has("s3:BucketObjectLockConfiguration"),
        some("storage:Bucket", lambda got: at(got, "retentionPolicy.isLocked")),
        some("storage:StorageAccount", lambda got: at(got, "immutableStorageWithVersioning.enabled")),
    ),
    Feature(
        "Store: colder classes, and an end",
        as_many("s3:BucketLifecycleConfiguration", "s3:Bucket"),
        every("storage:Bucket", lambda got: got["lifecycleRules"]),
        has("storage:ManagementPolicy"),
    ),
    Feature(
        "Store: a copy in a second region",
        has("s3:BucketReplicationConfig"),
        some("storage:Bucket", lambda got: len(at(got, "customPlacementConfig.dataLocations") or ()) == 2),
        some("storage:StorageAccount", lambda got: "RAGZRS" in at(got, "sku.name")),
    ),
    Feature(
        "Store: who called is written down",
        has("s3:BucketLogging"),
        some("storage:Bucket", lambda got: at(got, "logging.logBucket")),
        some("monitor:DiagnosticSetting", lambda got: "StorageRead" in str(got) or "allLogs" in str(got)),
    ),
    Feature(
        "Store: predictions go after their days, with all versions",
        some(
            "s3:BucketLifecycleConfiguration",
            lambda got: any(
                at(rule, "filter.prefix") == "lake/" and at(rule, "expiration.days") for rule in got["rules"]
            ),
        ),
        some(
            "storage:Bucket",
            lambda got: any(
                at(rule, "condition.matchesPrefixes") == ["lake/"] and at(rule, "condition.withState") == "ANY"
                for rule in got["lifecycleRules"]
            ),
        ),
        some(
            "storage:ManagementPolicy",
            lambda got: any(at(rule, "definition.filters.prefixMatch") for rule in at(got, "policy").get("rules", [])),
        ),
    ),
    Feature(
        "Store: one identity removes people for good, by a job that somebody starts",
        lambda plan: (
            bool(plan.named("ecs:TaskDefinition", "forget"))
            and any("s3:DeleteObjectVersion" in str(statement) for statement in plan.granted("eraser"))
        ),
        lambda plan: (
            bool(plan.named("cloudrunv2:Job", "forget"))
            and some("projects:IAMCustomRole", lambda got: "data-erase" in got["title"])(plan)
        ),
        lambda plan: (
            bool(plan.named("app:Job", "forget"))
            and some("authorization:RoleDefinition", lambda got: "data-eraser" in got["roleName"])(plan)
        ),
    ),
    Feature(
        "Identity: one for each workload, without keys",
        workloads("iam:Role"),
        workloads("serviceaccount:Account"),
        workloads("managedidentity:UserAssignedIdentity"),
    ),
    Feature(
        "Registry: tags do not move",
        every("ecr:Repository", lambda got: got["imageTagMutability"] == "IMMUTABLE"),
        every("artifactregistry:Repository", lambda got: at(got, "dockerConfig.immutableTags")),
        nowhere,
    ),
    Feature(
        "Registry: what is pushed is scanned",
        every("ecr:Repository", lambda got: at(got, "imageScanningConfiguration.scanOnPush")),
        every("artifactregistry:Repository", lambda got: got["vulnerabilityScanningConfig"]),
        has("security:Pricing"),
    ),
    Feature(
        "Registry: encrypted with a key of ours",
        every("ecr:Repository", lambda got: at(got, "encryptionConfigurations.kmsKey")),
        every("artifactregistry:Repository", lambda got: got["kmsKeyName"]),
        every("containerregistry:Registry", lambda got: at(got, "encryption.status") == "enabled"),
    ),
    Feature(
        "Keys: rotated",
        every("kms:Key", lambda got: got["enableKeyRotation"]),
        every("kms:CryptoKey", lambda got: got["rotationPeriod"]),
        every("keyvault:Key", lambda got: at(got, "properties.rotationPolicy")),
    ),
    Feature(
        "Network: its flows are recorded",
        has("ec2:FlowLog"),
        some("compute:Subnetwork", lambda got: got.get("logConfig")),
        has("network:FlowLog"),
    ),
    Feature(
        "Trainer: spot above a floor",
        some("autoscaling:Group", lambda got: at(got, "mixedInstancesPolicy.instancesDistribution")),
        nowhere,
        some("compute:VirtualMachineScaleSet", lambda got: got["priorityMixPolicy"]),
    ),
    Feature(
        "Trainer: shared files",
        has("efs:FileSystem", "efs:MountTarget"),
        has("filestore:Instance"),
        some("storage:FileShare", lambda got: got["enabledProtocols"] == "NFS"),
    ),
    Feature(
        "Trainer: SSH from listed networks",
        some("vpc:SecurityGroupIngressRule", lambda got: got.get("toPort") == 22),
        some("compute:Firewall", lambda got: "22" in str(got.get("allows"))),
        some("network:SecurityRule", lambda got: str(got.get("destinationPortRange")) == "22"),
    ),
    Feature(
        "Service: its image by digest",
        by_digest("ecs:TaskDefinition"),
        by_digest("cloudrunv2:Service"),
        by_digest("app:ContainerApp"),
    ),
    Feature(
        "Service: out at 75 % CPU, in under 25 %",
        lambda plan: len(plan.any_of_type("appautoscaling:Policy")) == 2,
        nowhere,
        nowhere,
    ),
    Feature(
        "Service: each caller's rate is limited",
        nowhere,
        nowhere,
        nowhere,
    ),
    Feature(
        "Kubernetes: the app in a cluster of its own",
        on_kubernetes("eks:Cluster"),
        on_kubernetes("container:Cluster"),
        on_kubernetes("containerservice:ManagedCluster"),
    ),
    Feature(
        "Api: each call is stored in a table",
        has("lambda:Function", "dynamodb:Table"),
        has("apigateway:Gateway", "firestore:Database"),
        has("apimanagement:Api", "storage:Table"),
    ),
    Feature(
        "Api: a stored call goes after so many days",
        every("dynamodb:Table", lambda got: at(got, "ttl.enabled")),
        every("firestore:Field", lambda got: got["collection"] == "calls" and "ttlConfig" in got),
        nowhere,
    ),
    Feature(
        "Api: a stored call goes when it is forgotten",
        lambda plan: any("dynamodb:DeleteItem" in str(statement) for statement in plan.granted("eraser")),
        some("projects:IAMCustomRole", lambda got: "api-erase" in got["title"]),
        some("authorization:RoleDefinition", lambda got: "api-eraser" in got["roleName"]),
    ),
    Feature(
        "Workflow: steps, started by an object and by a schedule",
        has("sfn:StateMachine", "cloudwatch:EventRule", "scheduler:Schedule"),
        has("workflows:Workflow", "eventarc:Trigger", "cloudscheduler:Job"),
        has("logic:Workflow", "eventgrid:SystemTopicEventSubscription"),
    ),
    Feature(
        "Watch: five alerts with owners",
        five("cloudwatch:MetricAlarm"),
        five("monitoring:AlertPolicy"),
        five("monitor:MetricAlert", "monitor:ScheduledQueryRule"),
    ),
    Feature(
        "Watch: a dashboard",
        has("cloudwatch:Dashboard"),
        has("monitoring:Dashboard"),
        has("applicationinsights:Workbook"),
    ),
    Feature("Watch: a budget", has("budgets:Budget"), has("billing:Budget"), has("consumption:Budget")),
    Feature(
        "Watch: the audit trail",
        has("cloudtrail:Trail"),
        has("projects:IAMAuditConfig", "logging:ProjectSink"),
        some("monitor:DiagnosticSetting", lambda got: "Administrative" in str(got)),
    ),
)


def kept(feature: Feature, cloud: str) -> dict[str, bool]:
    """By environment, whether the plan of a cloud shows the feature."""
    look: Look = getattr(feature, cloud)
    return {environment: bool(look(plan_of(environment, cloud))) for environment in ENVIRONMENTS}


def lacking(feature: Feature) -> set[str]:
    """The clouds that lack a feature in an environment in which another has it, or that nobody has anywhere."""
    found = {cloud: kept(feature, cloud) for cloud in CLOUDS}
    wanted = {environment for environment in ENVIRONMENTS if any(found[cloud][environment] for cloud in CLOUDS)}
    return {cloud for cloud in CLOUDS if not wanted or not all(found[cloud][environment] for environment in wanted)}


def document() -> str:
    """The text of docs/parity.md."""
    reviewed = rows()
    titles = dict(zip(CLOUDS, ("AWS", "GCP", "Azure"), strict=True))
    lines = [
        "# What is the same on each cloud, and what is not",
        "",
        "Made from the plans by `make parity`; a difference without a reviewed reason fails the tests.",
        "✓ the plan of this environment shows it, - its settings ask for none, ◐ a nearest form, told below.",
        "",
        f"| | {' | '.join(f'{titles[cloud]} {environment}' for cloud in CLOUDS for environment in ENVIRONMENTS)} |",
        f"|---|{':-:|' * len(CLOUDS) * len(ENVIRONMENTS)}",
    ]
    for feature in FEATURES:
        cells = [cell for cloud in CLOUDS for cell in _cells(feature, cloud, reviewed[cloud])]
        lines.append(f"| {feature.name} | {' | '.join(cells)} |")
    for cloud, title in titles.items():
        lines += ["", f"## {title}", "", "| feature | here | because |", "|---|---|---|"]
        lines += [f"| {row.feature} | {row.here} | {row.reason} |" for row in reviewed[cloud]]
    return "\n".join(lines) + "\n"


def _cells(feature: Feature, cloud: str, reviewed: list[Row]) -> list[str]:
    nearest = "◐" if any(row.feature == feature.name for row in reviewed) else "-"
    return ["✓" if shown else nearest for shown in kept(feature, cloud).values()]


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT.relative_to(ROOT)} is written.\n")
