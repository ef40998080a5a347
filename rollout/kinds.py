"""What is known of kinds of resources without asking a cloud: which hold data, and what cannot change in place.

Types are those of Pulumi's schemas, in lower case and without the API version that some carry; `*` stands for any
letters. Where a type is not here, nothing is said of it: a preview in the cloud knows more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache

# What is lost with it cannot be made again from the program. → what it holds
HOLDS_DATA: Mapping[str, str] = {
    "aws:s3/bucket:bucket": "objects",
    "aws:s3/bucketv2:bucketv2": "objects",
    "aws:s3/directorybucket:*": "objects",
    "aws:dynamodb/*table:*": "rows",
    "aws:rds/*instance:*": "a database",
    "aws:rds/*cluster:*": "a database",
    "aws:docdb/*cluster*:*": "a database",
    "aws:neptune/*cluster*:*": "a database",
    "aws:redshift*/*": "a database",
    "aws:opensearch/domain:*": "an index",
    "aws:elasticache/*": "a cache",
    "aws:memorydb/cluster:*": "a database",
    "aws:timestreamwrite/*": "rows",
    "aws:efs/filesystem:*": "files",
    "aws:fsx/*": "files",
    "aws:ebs/volume:*": "a disk",
    "aws:ebs/snapshot*:*": "a snapshot",
    "aws:ecr/repository:*": "images",
    "aws:kms/key:*": "the only key to what it encrypts",
    "aws:kms/replica*key:*": "the only key to what it encrypts",
    "aws:secretsmanager/secret:*": "a secret",
    "aws:ssm/parameter:*": "a setting",
    "aws:cloudwatch/loggroup:*": "logs",
    "aws:kinesis/stream:*": "records",
    "aws:msk/*cluster:*": "records",
    "aws:sqs/queue:*": "messages",
    "aws:backup/vault:*": "backups",
    "aws:cloudtrail/eventdatastore:*": "an audit trail",
    "aws:cognito/userpool:*": "accounts of users",
    "aws:sagemaker/*modelpackagegroup:*": "models",
    "aws:sagemaker/featuregroup:*": "features",
    "gcp:storage/bucket:bucket": "objects",
    "gcp:storage/managedfolder:*": "objects",
    "gcp:firestore/database:*": "documents",
    "gcp:bigtable/*": "rows",
    "gcp:bigquery/dataset:*": "tables",
    "gcp:bigquery/table:*": "rows",
    "gcp:sql/databaseinstance:*": "a database",
    "gcp:sql/database:*": "a database",
    "gcp:spanner/*": "a database",
    "gcp:alloydb/*": "a database",
    "gcp:redis/*": "a cache",
    "gcp:filestore/instance:*": "files",
    "gcp:compute/*disk:*": "a disk",
    "gcp:compute/snapshot:*": "a snapshot",
    "gcp:artifactregistry/repository:*": "images",
    "gcp:kms/cryptokey:*": "the only key to what it encrypts",
    "gcp:kms/keyring:*": "keys",
    "gcp:secretmanager/secret:*": "a secret",
    "gcp:secretmanager/secretversion:*": "a secret",
    "gcp:logging/projectbucketconfig:*": "logs",
    "gcp:pubsub/subscription:*": "messages",
    "gcp:vertex/*": "features or models",
    "azure-native:storage:storageaccount": "blobs, files, tables and queues",
    "azure-native:storage:blobcontainer": "blobs",
    "azure-native:storage:fileshare": "files",
    "azure-native:storage:table": "rows",
    "azure-native:storage:queue": "messages",
    "azure-native:documentdb:*": "a database",
    "azure-native:sql:*database": "a database",
    "azure-native:sql:server": "databases",
    "azure-native:dbfor*:*": "a database",
    "azure-native:cache:*": "a cache",
    "azure-native:netapp:*volume": "files",
    "azure-native:compute:disk": "a disk",
    "azure-native:compute:snapshot": "a snapshot",
    "azure-native:containerregistry:registry": "images",
    "azure-native:keyvault:vault": "keys and secrets",
    "azure-native:keyvault:key": "the only key to what it encrypts",
    "azure-native:keyvault:secret": "a secret",
    "azure-native:operationalinsights:workspace": "logs",
    "azure-native:eventhub:eventhub": "records",
    "azure-native:servicebus:queue": "messages",
    "azure-native:recoveryservices:vault": "backups",
    "azure-native:machinelearningservices:workspace": "models and data",
    "azure-native:resources:resourcegroup": "all that is in it",
    "kubernetes:core:persistentvolumeclaim": "a volume",
    "kubernetes:core:persistentvolume": "a volume",
    "kubernetes:apps:statefulset": "its pods' volumes",
    "kubernetes:core:namespace": "all that is in it",
    "kubernetes:core:secret": "a secret",
}

# Properties that clouds cannot change: with a new value the provider makes the thing anew. As the providers' schemas
# tell ("changes to this property will trigger replacement", `ForceNew`), for kinds where it matters; at their roots.
_NAMED = {"aws": ("name", "namePrefix"), "gcp": ("name", "project"), "azure-native": ("resourceGroupName", "location")}
FORCES_NEW: Mapping[str, tuple[str, ...]] = {
    "aws:s3/bucket:bucket": ("bucket", "bucketPrefix", "objectLockEnabled", "bucketNamespace"),
    "aws:s3/bucketv2:bucketv2": ("bucket", "bucketPrefix", "objectLockEnabled"),
    "aws:s3/bucket?*:*": ("bucket",),
    "aws:dynamodb/table:*": ("name", "hashKey", "rangeKey", "localSecondaryIndexes"),
    "aws:rds/instance:*": ("engine", "username", "storageEncrypted", "kmsKeyId", "availabilityZone", "dbName"),
    "aws:rds/cluster:*": ("engine", "clusterIdentifier", "masterUsername", "storageEncrypted", "kmsKeyId"),
    "aws:efs/filesystem:*": ("creationToken", "encrypted", "kmsKeyId", "performanceMode", "availabilityZoneName"),
    "aws:efs/mounttarget:*": ("fileSystemId", "subnetId", "ipAddress"),
    "aws:efs/accesspoint:*": ("fileSystemId", "posixUser", "rootDirectory"),
    "aws:ebs/volume:*": ("availabilityZone", "encrypted", "kmsKeyId", "snapshotId"),
    "aws:ecr/repository:*": ("name", "encryptionConfigurations"),
    "aws:kms/key:*": ("customerMasterKeySpec", "keyUsage", "multiRegion", "customKeyStoreId"),
    "aws:secretsmanager/secret:*": ("name", "namePrefix"),
    "aws:cloudwatch/loggroup:*": ("name", "namePrefix", "logGroupClass"),
    "aws:kinesis/stream:*": ("name",),
    "aws:sqs/queue:*": ("name", "namePrefix", "fifoQueue"),
    "aws:iam/role:*": ("name", "namePrefix", "path"),
    "aws:ec2/vpc:*": ("ipv4IpamPoolId", "ipv4NetmaskLength", "cidrBlock"),
    "aws:ec2/subnet:*": ("vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId"),
    "aws:ec2/securitygroup:*": ("name", "namePrefix", "description", "vpcId"),
    "aws:ec2/instance:*": ("ami", "availabilityZone", "subnetId", "keyName", "privateIp"),
    "aws:autoscaling/group:*": ("name", "namePrefix"),
    "aws:ecs/service:*": ("name", "cluster", "launchType", "schedulingStrategy", "propagateTags"),
    "aws:ecs/cluster:*": ("name",),
    "aws:eks/cluster:*": ("name", "roleArn", "encryptionConfig", "vpcConfig.subnetIds", "kubernetesNetworkConfig"),
    "aws:eks/nodegroup:*": ("nodeGroupName", "clusterName", "nodeRoleArn", "subnetIds", "instanceTypes"),
    "aws:lambda/function:*": ("name", "packageType", "architectures"),
    "aws:lb/loadbalancer:*": ("name", "namePrefix", "internal", "loadBalancerType", "customerOwnedIpv4Pool"),
    "aws:lb/targetgroup:*": ("name", "namePrefix", "port", "protocol", "targetType", "vpcId"),
    "aws:acm/certificate:*": ("domainName", "subjectAlternativeNames", "validationMethod", "keyAlgorithm"),
    "aws:sns/topic:*": ("name", "namePrefix", "fifoTopic"),
    "aws:cloudtrail/trail:*": ("name",),
    "gcp:storage/bucket:bucket": ("name", "location", "project", "customPlacementConfig", "enableObjectRetention"),
    "gcp:storage/*iam*:*": ("bucket", "role", "member", "condition"),
    "gcp:firestore/database:*": ("name", "project", "locationId", "databaseEdition", "cmekConfig"),
    "gcp:bigquery/dataset:*": ("datasetId", "project", "location"),
    "gcp:bigquery/table:*": ("datasetId", "tableId", "project"),
    "gcp:sql/databaseinstance:*": ("name", "project", "region", "encryptionKeyName"),
    "gcp:filestore/instance:*": ("name", "project", "location", "zone", "tier", "kmsKeyName", "networks", "protocol"),
    "gcp:compute/*disk:*": ("name", "project", "zone", "type", "snapshot", "image", "diskEncryptionKey"),
    "gcp:artifactregistry/repository:*": ("repositoryId", "project", "location", "format", "kmsKeyName", "mode"),
    "gcp:kms/cryptokey:*": ("name", "keyRing", "purpose", "destroyScheduledDuration", "importOnly"),
    "gcp:kms/keyring:*": ("name", "project", "location"),
    "gcp:secretmanager/secret:*": ("secretId", "project", "replication"),
    "gcp:serviceaccount/account:*": ("accountId", "project"),
    "gcp:compute/network:*": ("name", "project", "autoCreateSubnetworks"),
    "gcp:compute/subnetwork:*": ("name", "project", "region", "network", "purpose"),
    "gcp:compute/*instancetemplate:*": ("*",),
    "gcp:compute/*instancegroupmanager:*": ("name", "project", "region", "zone", "baseInstanceName"),
    "gcp:container/cluster:*": ("name", "project", "location", "network", "subnetwork", "enableAutopilot"),
    "gcp:container/nodepool:*": ("name", "project", "location", "cluster", "nodeConfig.machineType"),
    "gcp:cloudrunv2/*:*": ("name", "project", "location"),
    "gcp:*/*iammember:*": ("*",),
    "gcp:apigateway/apiconfig:*": ("*",),
    "azure-native:storage:storageaccount": (
        "accountName", "resourceGroupName", "location", "isHnsEnabled", "extendedLocation",
        "encryption.requireInfrastructureEncryption",
    ),
    "azure-native:storage:blobcontainer": ("containerName", "accountName", "resourceGroupName"),
    "azure-native:storage:fileshare": ("shareName", "accountName", "resourceGroupName", "enabledProtocols"),
    "azure-native:storage:table": ("tableName", "accountName", "resourceGroupName"),
    "azure-native:storage:queue": ("queueName", "accountName", "resourceGroupName"),
    "azure-native:documentdb:databaseaccount": ("accountName", "resourceGroupName", "location"),
    "azure-native:containerregistry:registry": ("registryName", "resourceGroupName", "location", "zoneRedundancy"),
    "azure-native:keyvault:vault": ("vaultName", "resourceGroupName", "location"),
    "azure-native:keyvault:key": ("*",),
    "azure-native:operationalinsights:workspace": ("workspaceName", "resourceGroupName", "location"),
    "azure-native:resources:resourcegroup": ("resourceGroupName", "location"),
    "azure-native:managedidentity:userassignedidentity": ("resourceName", "resourceGroupName", "location"),
    "azure-native:authorization:roleassignment": (
        "roleAssignmentName", "scope", "principalId", "roleDefinitionId", "principalType",
    ),
    "azure-native:network:virtualnetwork": ("virtualNetworkName", "resourceGroupName", "location"),
    "azure-native:network:subnet": ("subnetName", "virtualNetworkName", "resourceGroupName"),
    "azure-native:app:managedenvironment": ("environmentName", "resourceGroupName", "location", "vnetConfiguration"),
    "azure-native:app:containerapp": ("containerAppName", "resourceGroupName", "location"),
    "azure-native:containerservice:managedcluster": ("resourceName", "resourceGroupName", "location", "dnsPrefix"),
    "kubernetes:apps:*": ("metadata.name", "metadata.namespace", "spec.selector"),
    "kubernetes:core:persistentvolumeclaim": ("metadata.name", "metadata.namespace", "spec.storageClassName"),
    "kubernetes:*": ("metadata.name", "metadata.namespace"),
}  # fmt: skip
# What makes everything of a provider anew: another place for all of it.
PROVIDER_FORCES_NEW = ("region", "project", "subscriptionId", "tenantId", "allowedAccountIds", "context", "cluster")

_AZURE = re.compile(r"azure-native(?:_\w+?_v\w+)?:([^:/]+)(?:/v\w+)?:([^:]+)")
_KUBERNETES = re.compile(r"kubernetes:([^:/.]+)[^:]*:([^:]+)")


@cache
def kind(token: str) -> str:
    """A type in lower case, without an API version: what the tables here and of `risk` name."""
    if match := _AZURE.fullmatch(token):
        return f"azure-native:{match[1]}:{match[2]}".lower()
    if match := _KUBERNETES.fullmatch(token):
        return f"kubernetes:{match[1]}:{match[2].removesuffix('Patch')}".lower()
    return token.lower()


@cache
def holds(token: str) -> str:
    """What a resource of this type holds that is lost with it; "" if nothing is known of that."""
    return next((data for pattern, data in HOLDS_DATA.items() if fnmatchcase(kind(token), pattern)), "")


@cache
def forces_new(token: str) -> tuple[str, ...]:
    """Properties, dotted, of a type that force a replacement; `*` is any. The first row that fits counts."""
    found = next((names for pattern, names in FORCES_NEW.items() if fnmatchcase(kind(token), pattern)), None)
    return _NAMED.get(token.partition(":")[0], ()) if found is None else found
