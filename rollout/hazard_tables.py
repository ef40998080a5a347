"""Which properties open a resource to anyone, keep its data, or say how many of it there are: data for `hazards`.

Types are those of `kinds`. A path is dotted; `[]` is every row of a list.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

Test = Callable[[Any], bool]


def _is(*wanted: Any) -> Test:
    texts = {str(value).lower() for value in wanted}
    return lambda value: not isinstance(value, dict | list) and str(value).lower() in texts


def is_everywhere(value: Any) -> bool:
    """Whether an address range, or a name of one, is the whole internet, or a half of it and more."""
    if not isinstance(value, str):
        return False
    if value.lower() in ("*", "internet", "any"):
        return True
    try:
        return ipaddress.ip_network(value, strict=False).prefixlen <= 1
    except ValueError:
        return False


EVERYBODY = "lets the whole internet in"
_UNDELETED = "its protection from deletion"
_UNDO = "days in which a deletion can be undone"
_API = "shows its API to the internet"
_VERSIONS = "its versions"
_MIXED, _MIX = "mixedInstancesPolicy.instancesDistribution", "priorityMixPolicy"
# type, path, whether its value opens it, what that means. A sentence goes on from the resource's name.
EXPOSED: tuple[tuple[str, str, Test, str], ...] = (
    ("aws:vpc/securitygroupingressrule:*", "cidrIpv4", is_everywhere, EVERYBODY),
    ("aws:vpc/securitygroupingressrule:*", "cidrIpv6", is_everywhere, EVERYBODY),
    ("aws:ec2/securitygroup:*", "ingress.[].cidrBlocks.[]", is_everywhere, EVERYBODY),
    ("aws:ec2/securitygroup:*", "ingress.[].ipv6CidrBlocks.[]", is_everywhere, EVERYBODY),
    ("aws:ec2/securitygrouprule:*", "cidrBlocks.[]", is_everywhere, EVERYBODY),
    ("aws:ec2/securitygrouprule:*", "ipv6CidrBlocks.[]", is_everywhere, EVERYBODY),
    ("aws:lb/loadbalancer:*", "internal", _is(False), "faces the internet"),
    ("aws:alb/loadbalancer:*", "internal", _is(False), "faces the internet"),
    ("aws:ec2/subnet:*", "mapPublicIpOnLaunch", _is(True), "gives its machines public addresses"),
    ("aws:ec2/instance:*", "associatePublicIpAddress", _is(True), "has a public address"),
    ("aws:ec2/launchtemplate:*", "networkInterfaces.[].associatePublicIpAddress", _is(True), "gives public addresses"),
    ("aws:ecs/service:*", "networkConfiguration.assignPublicIp", _is(True), "gives its tasks public addresses"),
    ("aws:ec2/internetgateway:*", "", lambda _value: True, "is a way to the internet"),
    ("aws:eks/cluster:*", "vpcConfig.publicAccessCidrs.[]", is_everywhere, "shows its API to the whole internet"),
    ("aws:eks/cluster:*", "vpcConfig.endpointPublicAccess", _is(True), _API),
    ("aws:rds/*", "publiclyAccessible", _is(True), "can be reached from the internet"),
    (
        "aws:s3/bucketacl*:*",
        "acl",
        _is("public-read", "public-read-write", "authenticated-read"),
        "is public by its ACL",
    ),
    (
        "aws:s3/bucket:bucket",
        "acl",
        _is("public-read", "public-read-write", "authenticated-read"),
        "is public by its ACL",
    ),
    ("aws:s3/bucketobject*:*", "acl", _is("public-read", "public-read-write"), "is public by its ACL"),
    ("aws:s3/bucketwebsite*:*", "", lambda _value: True, "makes a bucket a web site"),
    ("aws:s3/*publicaccessblock:*", "blockPublicAcls", _is(False), "no longer blocks public ACLs"),
    ("aws:s3/*publicaccessblock:*", "blockPublicPolicy", _is(False), "no longer blocks public policies"),
    ("aws:s3/*publicaccessblock:*", "ignorePublicAcls", _is(False), "no longer ignores public ACLs"),
    ("aws:s3/*publicaccessblock:*", "restrictPublicBuckets", _is(False), "no longer restricts a public bucket"),
    ("aws:lambda/functionurl:*", "authorizationType", _is("NONE"), "answers anyone"),
    ("aws:apigatewayv2/route:*", "authorizationType", _is("NONE"), "answers anyone"),
    ("aws:apigateway/method:*", "authorization", _is("NONE"), "answers anyone"),
    ("gcp:compute/firewall:*", "sourceRanges.[]", is_everywhere, EVERYBODY),
    ("gcp:storage/bucket:*", "publicAccessPrevention", _is("inherited", "unspecified"), "may be made public"),
    ("gcp:storage/bucket:*", "uniformBucketLevelAccess", _is(False), "lets each object have an ACL of its own"),
    ("gcp:cloudrunv2/service:*", "ingress", _is("INGRESS_TRAFFIC_ALL"), "takes calls from the internet"),
    ("gcp:cloudrunv2/service:*", "invokerIamDisabled", _is(True), "answers anyone"),
    ("gcp:compute/*forwardingrule:*", "loadBalancingScheme", _is("EXTERNAL", "EXTERNAL_MANAGED"), "faces the internet"),
    ("gcp:compute/*address:*", "addressType", _is("EXTERNAL"), "is a public address"),
    (
        "gcp:compute/*instance*:*",
        "networkInterfaces.[].accessConfigs.[]",
        lambda _value: True,
        "gives public addresses",
    ),
    (
        "gcp:container/cluster:*",
        "privateClusterConfig.enablePrivateEndpoint",
        _is(False),
        _API,
    ),
    (
        "gcp:container/cluster:*",
        "privateClusterConfig.enablePrivateNodes",
        _is(False),
        "gives its nodes public addresses",
    ),
    ("gcp:sql/databaseinstance:*", "settings.ipConfiguration.ipv4Enabled", _is(True), "has a public address"),
    ("azure-native:storage:storageaccount", "allowBlobPublicAccess", _is(True), "lets containers be read by anyone"),
    (
        "azure-native:storage:storageaccount",
        "networkRuleSet.defaultAction",
        _is("Allow"),
        "takes calls from any network",
    ),
    ("azure-native:storage:blobcontainer", "publicAccess", _is("Blob", "Container"), "can be read by anyone"),
    ("azure-native:keyvault:vault", "properties.publicNetworkAccess", _is("Enabled"), "takes calls from the internet"),
    (
        "azure-native:keyvault:vault",
        "properties.networkAcls.defaultAction",
        _is("Allow"),
        "takes calls from any network",
    ),
    ("azure-native:containerregistry:registry", "anonymousPullEnabled", _is(True), "gives its images to anyone"),
    (
        "azure-native:app:containerapp",
        "configuration.ingress.external",
        _is(True),
        "takes calls from outside its environment",
    ),
    ("azure-native:app:managedenvironment", "vnetConfiguration.internal", _is(False), "faces the internet"),
    (
        "azure-native:containerservice:managedcluster",
        "apiServerAccessProfile.enablePrivateCluster",
        _is(False),
        _API,
    ),
    ("azure-native:network:publicipaddress", "", lambda _value: True, "is a public address"),
    ("azure-native:*", "publicNetworkAccess", _is("Enabled"), "takes calls from the internet"),
    ("kubernetes:core:service", "spec.type", _is("LoadBalancer", "NodePort"), "opens a way into the cluster"),
    ("kubernetes:core:service", "spec.loadBalancerSourceRanges.[]", is_everywhere, EVERYBODY),
    ("kubernetes:networking:ingress", "", lambda _value: True, "opens a way into the cluster"),
)
# Who lets in, but only out of the stack or nobody at all: of these types a row counts only if this holds.
COUNTS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "aws:ec2/securitygrouprule:*": lambda inputs: inputs.get("type") == "ingress",
    "gcp:compute/firewall:*": lambda inputs: (
        inputs.get("direction", "INGRESS") == "INGRESS" and bool(inputs.get("allows"))
    ),
}
INTERNAL = (
    "aws-load-balancer-internal",
    "aws-load-balancer-scheme",
    "azure-load-balancer-internal",
    "load-balancer-type",
)

_COPIED = ("Standard_GRS", "Standard_RAGRS", "Standard_GZRS", "Standard_RAGZRS")
DEEP_LOCK = "immutabilityPeriodSinceCreationInDays"  # of Azure, wherever it stands
# type, path, what a good value is, what is lost without it. Numbers: what is lost where they become smaller.
KEEPS: tuple[tuple[str, str, Test | None, str], ...] = (
    ("aws:s3/bucketversioning:*", "versioningConfiguration.status", _is("Enabled"), _VERSIONS),
    (
        "aws:s3/bucketversioning:*",
        "versioningConfiguration.mfaDelete",
        _is("Enabled"),
        "the second factor for deletion",
    ),
    ("aws:s3/bucket:bucket", "versioning.enabled", _is(True), _VERSIONS),
    ("aws:s3/bucket:bucket", "objectLockEnabled", _is(True), "its object lock"),
    ("aws:s3/bucket*:*", "forceDestroy", _is(False), "the check that it is empty before it is deleted"),
    ("aws:s3/bucketobjectlock*:*", "rule.defaultRetention.mode", _is("COMPLIANCE"), "a lock that nobody can lift"),
    ("aws:s3/bucketobjectlock*:*", "rule.defaultRetention.days", None, "days of its object lock"),
    ("aws:s3/bucketobjectlock*:*", "rule.defaultRetention.years", None, "years of its object lock"),
    ("aws:s3/bucketreplication*:*", "rules.[].status", _is("Enabled"), "its copy elsewhere"),
    ("aws:s3/bucketlifecycle*:*", "rules.[].expiration.days", None, "days before objects are deleted"),
    ("aws:s3/bucketlifecycle*:*", "rules.[].noncurrentVersionExpiration.noncurrentDays", None, "days of old versions"),
    ("aws:dynamodb/table:*", "deletionProtectionEnabled", _is(True), _UNDELETED),
    ("aws:dynamodb/table:*", "pointInTimeRecovery.enabled", _is(True), "its recovery to a point in time"),
    ("aws:rds/*", "deletionProtection", _is(True), _UNDELETED),
    ("aws:rds/*", "skipFinalSnapshot", _is(False), "its last snapshot"),
    ("aws:rds/*", "backupRetentionPeriod", None, "days of backups"),
    ("aws:efs/backuppolicy:*", "backupPolicy.status", _is("ENABLED"), "its backups"),
    ("aws:kms/key:*", "deletionWindowInDays", None, "days before a key is gone"),
    ("aws:kms/key:*", "enableKeyRotation", _is(True), "the rotation of its key"),
    ("aws:cloudwatch/loggroup:*", "retentionInDays", None, "days of logs"),
    ("aws:secretsmanager/secret:*", "recoveryWindowInDays", None, "days before a secret is gone"),
    ("aws:ecr/repository:*", "imageTagMutability", _is("IMMUTABLE"), "tags that stay what they are"),
    ("aws:ecr/repository:*", "forceDelete", _is(False), "the check that it is empty before it is deleted"),
    ("aws:lb/loadbalancer:*", "enableDeletionProtection", _is(True), _UNDELETED),
    ("aws:cloudtrail/trail:*", "enableLogging", _is(True), "its record of calls"),
    ("aws:cloudtrail/trail:*", "enableLogFileValidation", _is(True), "the proof that its files are whole"),
    ("gcp:storage/bucket:*", "versioning.enabled", _is(True), _VERSIONS),
    ("gcp:storage/bucket:*", "retentionPolicy.retentionPeriod", None, "seconds of retention"),
    ("gcp:storage/bucket:*", "retentionPolicy.isLocked", _is(True), "a retention that nobody can shorten"),
    (
        "gcp:storage/bucket:*",
        "softDeletePolicy.retentionDurationSeconds",
        None,
        "seconds in which a deletion can be undone",
    ),
    ("gcp:storage/bucket:*", "forceDestroy", _is(False), "the check that it is empty before it is deleted"),
    (
        "gcp:firestore/database:*",
        "deleteProtectionState",
        _is("DELETE_PROTECTION_ENABLED"),
        _UNDELETED,
    ),
    (
        "gcp:firestore/database:*",
        "pointInTimeRecoveryEnablement",
        _is("POINT_IN_TIME_RECOVERY_ENABLED"),
        "its recovery to a point in time",
    ),
    ("gcp:*", "deletionProtectionEnabled", _is(True), _UNDELETED),
    ("gcp:*", "deletionProtection", _is(True), _UNDELETED),
    ("gcp:*", "deletionPolicy", _is("ABANDON", "PREVENT"), "what keeps it when the stack lets go of it"),
    ("gcp:logging/projectbucketconfig:*", "retentionDays", None, "days of logs"),
    ("gcp:logging/projectbucketconfig:*", "locked", _is(True), "a retention that nobody can shorten"),
    ("gcp:kms/cryptokey:*", "rotationPeriod", bool, "the rotation of its key"),
    ("gcp:artifactregistry/repository:*", "dockerConfig.immutableTags", _is(True), "tags that stay what they are"),
    ("azure-native:storage:blobserviceproperties", "isVersioningEnabled", _is(True), _VERSIONS),
    ("azure-native:storage:*serviceproperties", "deleteRetentionPolicy.enabled", _is(True), "the undoing of deletions"),
    ("azure-native:storage:*serviceproperties", "deleteRetentionPolicy.days", None, _UNDO),
    ("azure-native:storage:*serviceproperties", "shareDeleteRetentionPolicy.days", None, _UNDO),
    ("azure-native:storage:*serviceproperties", "containerDeleteRetentionPolicy.days", None, _UNDO),
    (
        "azure-native:storage:*serviceproperties",
        "containerDeleteRetentionPolicy.enabled",
        _is(True),
        "the undoing of deletions",
    ),
    ("azure-native:storage:storageaccount", "sku.name", _is(*_COPIED), "its copy in another region"),
    ("azure-native:storage:storageaccount", "immutableStorageWithVersioning.enabled", _is(True), "its lock"),
    ("azure-native:storage:blobcontainer*", DEEP_LOCK, None, "days of its lock"),
    ("azure-native:keyvault:vault", "properties.enablePurgeProtection", _is(True), "its protection from purging"),
    (
        "azure-native:keyvault:vault",
        "properties.softDeleteRetentionInDays",
        None,
        _UNDO,
    ),
    ("azure-native:operationalinsights:workspace", "retentionInDays", None, "days of logs"),
    ("azure-native:authorization:managementlock*", "level", _is("CanNotDelete", "ReadOnly"), "a lock"),
    ("kubernetes:core:persistentvolume", "spec.persistentVolumeReclaimPolicy", _is("Retain"), "its volume"),
)

# Numbers that end something: without them it has no end.
ENDLESS = {
    "rules.[].expiration.days", "rules.[].noncurrentVersionExpiration.noncurrentDays", "retentionInDays",
    "lifecycleRules.[].condition.age",
}  # fmt: skip

# type, path of a number, what it is the number of.
FEWEST: tuple[tuple[str, str, str], ...] = (
    ("aws:autoscaling/group:*", "minSize", "the fewest machines"),
    ("aws:autoscaling/group:*", f"{_MIXED}.onDemandBaseCapacity", "the machines on demand"),
    ("aws:autoscaling/group:*", f"{_MIXED}.onDemandPercentageAboveBaseCapacity", "the share of machines on demand (%)"),
    ("aws:appautoscaling/target:*", "minCapacity", "the fewest tasks"),
    ("aws:ecs/service:*", "desiredCount", "the tasks"),
    ("aws:ecs/service:*", "deploymentMinimumHealthyPercent", "the share of tasks that an update leaves (%)"),
    ("aws:eks/nodegroup:*", "scalingConfig.minSize", "the fewest nodes"),
    ("aws:lambda/provisionedconcurrencyconfig:*", "provisionedConcurrentExecutions", "the functions kept warm"),
    ("gcp:compute/*autoscaler:*", "autoscalingPolicy.minReplicas", "the fewest machines"),
    ("gcp:compute/*instancegroupmanager:*", "targetSize", "the machines"),
    ("gcp:cloudrunv2/service:*", "template.scaling.minInstanceCount", "the fewest instances"),
    ("gcp:cloudrunv2/service:*", "scaling.minInstanceCount", "the fewest instances"),
    ("gcp:container/nodepool:*", "autoscaling.totalMinNodeCount", "the fewest nodes"),
    ("gcp:container/nodepool:*", "autoscaling.minNodeCount", "the fewest nodes of a zone"),
    ("gcp:container/nodepool:*", "nodeCount", "the nodes of a zone"),
    ("azure-native:app:containerapp", "template.scale.minReplicas", "the fewest replicas"),
    ("azure-native:compute:virtualmachinescaleset", f"{_MIX}.baseRegularPriorityCount", "the machines on demand"),
    (
        "azure-native:compute:virtualmachinescaleset",
        f"{_MIX}.regularPriorityPercentageAboveBase",
        "the share of machines on demand (%)",
    ),
    ("azure-native:compute:virtualmachinescaleset", "sku.capacity", "the machines"),
    ("azure-native:monitor:autoscalesetting", "profiles.[].capacity.minimum", "the fewest machines"),
    ("azure-native:containerservice:*", "agentPoolProfiles.[].minCount", "the fewest nodes"),
    ("azure-native:containerservice:agentpool", "minCount", "the fewest nodes"),
    ("kubernetes:autoscaling:*", "spec.minReplicas", "the fewest pods"),
    ("kubernetes:apps:*", "spec.replicas", "the pods"),
    ("kubernetes:policy:poddisruptionbudget", "spec.minAvailable", "the pods that a disruption leaves"),
)
# type, path of a list, what it is spread over.
SPREAD: tuple[tuple[str, str, str], ...] = (
    ("aws:autoscaling/group:*", "vpcZoneIdentifiers", "subnets"),
    ("aws:autoscaling/group:*", "availabilityZones", "zones"),
    ("aws:autoscaling/group:*", "mixedInstancesPolicy.launchTemplate.overrides", "kinds of machine"),
    ("aws:ecs/service:*", "networkConfiguration.subnets", "subnets"),
    ("aws:lb/loadbalancer:*", "subnets", "subnets"),
    ("aws:eks/*", "subnetIds", "subnets"),
    ("gcp:compute/*instancegroupmanager:*", "distributionPolicyZones", "zones"),
    ("gcp:container/*", "nodeLocations", "zones"),
    ("azure-native:*", "zones", "zones"),
    ("azure-native:containerservice:*", "agentPoolProfiles.[].availabilityZones", "zones"),
)
