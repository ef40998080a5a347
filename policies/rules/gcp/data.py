"""What holds data: databases, queues, keys, secrets and images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from policies.graph import Graph, Resource
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.reading import (
    UNKNOWN,
    both,
    every,
    given,
    is_world,
    must,
    must_have,
    must_not,
    on,
    one_of,
    read,
)

SQL = ("gcp:sql/databaseInstance:DatabaseInstance",)
KEY = ("gcp:kms/cryptoKey:CryptoKey",)
SECRET = ("gcp:secretmanager/secret:Secret",)
REPOSITORY = ("gcp:artifactregistry/repository:Repository",)
DATASET = ("gcp:bigquery/dataset:Dataset",)
OWN_KEY = {
    "gcp:storage/bucket:Bucket": "encryption.defaultKmsKeyName",
    "gcp:compute/disk:Disk": "diskEncryptionKey",
    "gcp:compute/regionDisk:RegionDisk": "diskEncryptionKey",
    SQL[0]: "encryptionKeyName",
    DATASET[0]: "defaultEncryptionConfiguration.kmsKeyName",
    "gcp:pubsub/topic:Topic": "kmsKeyName",
    "gcp:filestore/instance:Instance": "kmsKeyName",
    "gcp:firestore/database:Database": "cmekConfig.kmsKeyName",
    "gcp:redis/instance:Instance": "customerManagedKey",
    "gcp:spanner/database:Database": "encryptionConfig",
    "gcp:alloydb/cluster:Cluster": "encryptionConfig.kmsKeyName",
    REPOSITORY[0]: "kmsKeyName",
}
PROTECTION = {
    SQL[0]: "deletionProtection",
    "gcp:spanner/database:Database": "deletionProtection",
    "gcp:alloydb/cluster:Cluster": "deletionProtection",
    "gcp:bigquery/table:Table": "deletionProtection",
}
QUARTER = 90 * 86400
DAY = 86400


def seconds(text: object) -> float | None:
    """A duration as Google writes it (`7776000s`); None for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)s", str(text))
    return float(found[1]) if found else None


def _own_key(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    path = OWN_KEY[resource.type]
    if read(resource, path) is None:
        yield fail("It is encrypted with Google's key, which you can neither take away nor see used.", path)


def _sql_reach(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, value in every(given(resource), "settings.ipConfiguration.authorizedNetworks.*.value"):
        if value is UNKNOWN:
            yield undetermined("Nobody knows who reaches it before the deployment.", path)
        elif is_world(value):
            yield fail(f"The internet ({value}) reaches it.", path)


def _sql_address(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    path = "settings.ipConfiguration.ipv4Enabled"
    value = read(resource, path)
    if value is UNKNOWN:
        yield undetermined("Nobody knows whether it has a public address before the deployment.", path)
    elif value is None or one_of(value, True):
        yield fail("It has a public address, which is the default.", path)


def _sql_tls(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    path = "settings.ipConfiguration.sslMode"
    mode = read(resource, path)
    if mode is UNKNOWN:
        yield undetermined("Nobody knows whether it asks for TLS before the deployment.", path)
    elif not one_of(mode, "ENCRYPTED_ONLY", "TRUSTED_CLIENT_CERTIFICATE_REQUIRED") and not on(
        resource, "settings.ipConfiguration.requireSsl"
    ):
        yield fail("It takes connections that are not encrypted.", path)


def _is_primary(resource: Resource) -> bool:
    return read(resource, "masterInstanceName") is None


def _protected(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    path = PROTECTION[resource.type]
    value = read(resource, path)
    switches = ("settings.deletionProtectionEnabled", "enableDropProtection")
    if resource.options.get("protect") or resource.options.get("retainOnDelete"):
        return
    if value is UNKNOWN:
        yield undetermined("Nobody knows whether it can be deleted before the deployment.", path)
    elif one_of(value, False) and not any(on(resource, each) for each in switches):
        yield fail("One wrong `destroy` deletes it and its data: its protection is switched off.", path)


def _rotation(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if not one_of(read(resource, "purpose") or "ENCRYPT_DECRYPT", "ENCRYPT_DECRYPT") or on(resource, "importOnly"):
        return
    period = read(resource, "rotationPeriod")
    if period is UNKNOWN:
        yield undetermined("Nobody knows how often it is rotated before the deployment.", "rotationPeriod")
    elif period is None:
        yield fail("It is never rotated.", "rotationPeriod")
    elif (seconds(period) or 0) > QUARTER:
        yield fail(f"It is rotated every {(seconds(period) or 0) / DAY:.0f} days.", "rotationPeriod")


def _window(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    period = seconds(read(resource, "destroyScheduledDuration"))
    if period is not None and period < 7 * DAY:
        yield fail(
            f"A version that is destroyed by mistake is gone in {period / DAY:.0f} days.", "destroyScheduledDuration"
        )


def _is_docker(resource: Resource) -> bool:
    mode = read(resource, "mode") or "STANDARD_REPOSITORY"
    return one_of(read(resource, "format"), "DOCKER") and one_of(mode, "STANDARD_REPOSITORY")


def _public_dataset(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, row in every(given(resource), "accesses.*"):
        if not isinstance(row, Mapping):
            continue
        who = (row.get("specialGroup"), row.get("iamMember"))
        if any(one_of(value, "allAuthenticatedUsers", "allUsers") for value in who if isinstance(value, str)):
            yield fail("Everyone with a Google account may use it.", path)
    if one_of(read(resource, "specialGroup"), "allAuthenticatedUsers") or one_of(
        read(resource, "iamMember"), "allUsers", "allAuthenticatedUsers"
    ):
        yield fail("Everyone with a Google account may use it.", "specialGroup")


RULES = (
    Rule(
        "GW-GCP-080",
        "Data must be encrypted with a key of one's own",
        "low",
        "With Google's key alone nobody can shut the data off, or see from the key's log who opened it.",
        "Name a KMS key of yours on the resource.",
        ("SC-12", "SC-28"),
        tuple(OWN_KEY),
        _own_key,
        "advisory",
    ),
    Rule(
        "GW-GCP-081",
        "The internet must not reach a database",
        "critical",
        "A database that everyone reaches is one password from being everyone's.",
        "Leave 0.0.0.0/0 out of `authorized_networks`; use a private address or the Cloud SQL proxy.",
        ("SC-7", "AC-3"),
        SQL,
        _sql_reach,
    ),
    Rule(
        "GW-GCP-082",
        "A database must have no public address",
        "medium",
        "A public address is one setting away from being open to the internet.",
        "Set `ipv4_enabled=False` and a `private_network` in `ip_configuration`.",
        ("SC-7",),
        SQL,
        _sql_address,
        "advisory",
    ),
    Rule(
        "GW-GCP-083",
        "A database must be reached over TLS",
        "high",
        "Without it passwords and data go through the network as plain text.",
        'Set `ssl_mode="ENCRYPTED_ONLY"` in `ip_configuration`.',
        ("SC-8",),
        SQL,
        _sql_tls,
        "advisory",
    ),
    Rule(
        "GW-GCP-084",
        "A database must be backed up",
        "high",
        "What is deleted or spoilt in it cannot be had back.",
        "Set `backup_configuration` with `enabled=True`.",
        ("CP-9",),
        SQL,
        must("settings.backupConfiguration.enabled", True, message="Its backups are {}.", when=_is_primary),
        "advisory",
    ),
    Rule(
        "GW-GCP-085",
        "What holds data must be protected against deletion",
        "medium",
        "One wrong `destroy`, or a change that replaces it, deletes the data.",
        "Leave `deletion_protection` on, or give the resource `protect=True`.",
        ("CP-9", "CM-3"),
        tuple(PROTECTION),
        _protected,
        "advisory",
    ),
    Rule(
        "GW-GCP-086",
        "A key must be rotated every 90 days",
        "medium",
        "The longer a key is used, the more a stolen one opens.",
        'Set `rotation_period="7776000s"` or less.',
        ("SC-12",),
        KEY,
        _rotation,
    ),
    Rule(
        "GW-GCP-087",
        "A destroyed key must be recoverable for a week",
        "medium",
        "With the key all that it encrypts is gone for good.",
        'Set `destroy_scheduled_duration` to "2592000s" (the default of 30 days).',
        ("SC-12", "CP-9"),
        KEY,
        _window,
        "advisory",
    ),
    Rule(
        "GW-GCP-088",
        "Tags of images must be immutable",
        "medium",
        "Whoever may push can replace what runs under a name that was reviewed.",
        "Set `docker_config` with `immutable_tags=True`.",
        ("CM-2", "SI-7", "SR-4"),
        REPOSITORY,
        must("dockerConfig.immutableTags", True, message="Its immutable tags are {}.", when=_is_docker),
    ),
    Rule(
        "GW-GCP-089",
        "Images must be scanned for holes",
        "medium",
        "Known holes go into production unseen.",
        'Leave `vulnerability_scanning_config` at "INHERITED" and enable `containerscanning.googleapis.com`.',
        ("RA-5", "SI-2"),
        REPOSITORY,
        must_not(
            "vulnerabilityScanningConfig.enablementConfig",
            "DISABLED",
            message="Its scan is switched off.",
            when=_is_docker,
        ),
        "advisory",
    ),
    Rule(
        "GW-GCP-090",
        "Old images must be cleaned up",
        "low",
        "Images that nobody runs cost money and keep old holes at hand.",
        "Set `cleanup_policies`, and `cleanup_policy_dry_run=False`.",
        ("SI-2", "CM-7"),
        REPOSITORY,
        both(
            must_have("cleanupPolicies", message="Nothing is ever deleted from it.", when=_is_docker),
            must_not("cleanupPolicyDryRun", True, message="Its clean-up only pretends to delete.", when=_is_docker),
        ),
        "advisory",
    ),
    Rule(
        "GW-GCP-091",
        "A secret must be rotated",
        "low",
        "A password that is never changed is valid wherever it has leaked to.",
        "Set `rotation` and a topic that tells whoever changes it.",
        ("IA-5",),
        SECRET,
        must_have("rotation", message="Nobody is told to change it."),
        "advisory",
    ),
    Rule(
        "GW-GCP-092",
        "A dataset must not be public",
        "critical",
        "Everyone with a Google account may read it, and copy it without a trace at your side.",
        "Name a group or a service account in `accesses`.",
        ("AC-3", "AC-6"),
        (*DATASET, "gcp:bigquery/datasetAccess:DatasetAccess"),
        _public_dataset,
    ),
    Rule(
        "GW-GCP-093",
        "A cache must ask for a password and encrypt what it is told",
        "medium",
        "Everything in the network reads and writes it, and what passes can be read.",
        'Set `auth_enabled=True` and `transit_encryption_mode="SERVER_AUTHENTICATION"`.',
        ("IA-3", "SC-8"),
        ("gcp:redis/instance:Instance",),
        both(
            must("authEnabled", True, message="Its password is {}."),
            must("transitEncryptionMode", "SERVER_AUTHENTICATION", message="Its encryption in transit is {}."),
        ),
        "advisory",
    ),
)
