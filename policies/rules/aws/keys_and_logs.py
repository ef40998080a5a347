"""Encryption keys, the audit trail and the logs."""

from __future__ import annotations

from collections.abc import Iterator

from policies.graph import Graph, Resource, is_known, listed
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.aws.reading import Statement, each_statement, flags, no, number, open_to_all, setters, yes

KEY = "aws:kms/key:Key"
KEYS = (KEY, "aws:kms/replicaKey:ReplicaKey", "aws:kms/externalKey:ExternalKey")
LOGS = "aws:cloudwatch/logGroup:LogGroup"
TRAIL = "aws:cloudtrail/trail:Trail"
VPC = "aws:ec2/vpc:Vpc"
FLOWS = "aws:ec2/flowLog:FlowLog"
CLUSTER = "aws:eks/cluster:Cluster"


def _rotation(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    spec = resource.get("customerMasterKeySpec", "SYMMETRIC_DEFAULT")
    plain = spec == "SYMMETRIC_DEFAULT" and resource.get("keyUsage", "ENCRYPT_DECRYPT") == "ENCRYPT_DECRYPT"
    if plain and not resource.get("customKeyStoreId"):
        paths = {KEY: "enableKeyRotation"}
        yield from flags(paths, "Its material is never changed.")(resource, graph)


def _window(resource: Resource, _: Graph) -> Iterator[Verdict]:
    days = number(resource.get("deletionWindowInDays"))
    if days is not None and days < 14:
        yield fail(f"It is gone {days:g} days after somebody deletes it.", "deletionWindowInDays")


def _key_policy(resource: Resource, _: Graph) -> Iterator[Verdict]:
    def judge(row: Statement) -> str:
        return "Its policy lets anybody use it" if open_to_all(row) else ""

    return each_statement(resource, "policy", judge)


def _retention(resource: Resource, _: Graph) -> Iterator[Verdict]:
    days = resource.get("retentionInDays")
    if not is_known(days):
        yield undetermined("How long it keeps is not known before the deployment.", "retentionInDays")
    elif not number(days) and resource.get("logGroupClass") != "DELIVERY":
        yield fail("It keeps its entries for ever.", "retentionInDays")


def _log_key(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if not resource.get("kmsKeyId"):
        yield fail("It is encrypted with no key of the account.", "kmsKeyId")


def _trail(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if not is_known(resource.get("isMultiRegionTrail")):
        yield undetermined("Which regions it records is not known before the deployment.", "isMultiRegionTrail")
    elif not yes(resource.get("isMultiRegionTrail")):
        yield fail("It records one region.", "isMultiRegionTrail")
    for path in ("enableLogging", "includeGlobalServiceEvents"):
        if no(resource.get(path)):
            yield fail(f"{path} is off.", path)


def _trail_key(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if not resource.get("kmsKeyId"):
        yield fail("It is encrypted with no key of the account.", "kmsKeyId")


def _flows(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if not setters(graph, resource, "vpcId", FLOWS):
        yield fail("Nothing writes down its connections.")


def _plane_logs(resource: Resource, _: Graph) -> Iterator[Verdict]:
    value = resource.get("enabledClusterLogTypes")
    missing = {"audit", "authenticator"} - {str(name) for name in listed(value)}
    if not is_known(value):
        yield undetermined("Its logs are not known before the deployment.", "enabledClusterLogTypes")
    elif missing:
        yield fail(f"It keeps no log of {', '.join(sorted(missing))}.", "enabledClusterLogTypes")


def _cluster_secrets(resource: Resource, _: Graph) -> Iterator[Verdict]:
    if not resource.get("encryptionConfig"):
        yield fail("Its secrets are encrypted with no key of the account.", "encryptionConfig")


RULES = (
    Rule(
        "GW-AWS-100",
        "A key must be rotated",
        "medium",
        "One that leaks opens all that was ever encrypted with it.",
        "Set enable_key_rotation=True on the key.",
        ("SC-12",),
        (KEY,),
        _rotation,
    ),
    Rule(
        "GW-AWS-101",
        "A deleted key must be recoverable for two weeks",
        "low",
        "With it goes all that it encrypts; two weeks leave time for somebody to notice.",
        "Leave deletion_window_in_days out (30 days), or set 14 or more.",
        ("CP-9", "SC-12"),
        KEYS,
        _window,
        "advisory",
    ),
    Rule(
        "GW-AWS-102",
        "Nobody unnamed may use a key",
        "critical",
        "Every account of every company may decrypt with it, or change its policy.",
        "Name the account or the roles in Principal; hold a star by kms:CallerAccount.",
        ("AC-3", "SC-12"),
        KEYS,
        _key_policy,
    ),
    Rule(
        "GW-AWS-103",
        "A log group must not keep its entries for ever",
        "low",
        "It costs more each month, and keeps what should have been forgotten.",
        "Set retention_in_days to what the law and your incidents ask for.",
        ("AU-11", "SC-6"),
        (LOGS,),
        _retention,
        "advisory",
    ),
    Rule(
        "GW-AWS-104",
        "Logs must be encrypted with a key of one's own",
        "low",
        "Logs hold what people send; who may read them hangs on one policy alone.",
        "Set kms_key_id to a key of yours.",
        ("AU-9", "SC-28"),
        (LOGS,),
        _log_key,
        "advisory",
    ),
    Rule(
        "GW-AWS-105",
        "The audit trail must record the whole account",
        "high",
        "An intruder works in the region, or with the service, that nobody watches.",
        "Set is_multi_region_trail=True; leave enable_logging and include_global_service_events on.",
        ("AU-2", "AU-12"),
        (TRAIL,),
        _trail,
    ),
    Rule(
        "GW-AWS-106",
        "The audit trail must sign digests of its files",
        "medium",
        "Nobody can show that a file is as it was written.",
        "Set enable_log_file_validation=True on the trail.",
        ("AU-9", "SI-7"),
        (TRAIL,),
        flags({TRAIL: "enableLogFileValidation"}, "No digest vouches for its files."),
    ),
    Rule(
        "GW-AWS-107",
        "The audit trail must be encrypted with a key of one's own",
        "medium",
        "Whoever may read the bucket reads who did what.",
        "Set kms_key_id to a key of yours.",
        ("AU-9", "SC-28"),
        (TRAIL,),
        _trail_key,
        "advisory",
    ),
    Rule(
        "GW-AWS-108",
        "A network must write flow logs",
        "medium",
        "After an incident nobody can say which machine spoke to whom.",
        "Declare aws.ec2.FlowLog for the network.",
        ("AU-12", "SI-4"),
        (VPC,),
        _flows,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-109",
        "A cluster must log who does what",
        "medium",
        "Who read a secret or started a container cannot be said afterwards.",
        "Name audit and authenticator (better all five) in enabled_cluster_log_types.",
        ("AU-2", "AU-12"),
        (CLUSTER,),
        _plane_logs,
        "advisory",
    ),
    Rule(
        "GW-AWS-110",
        "A cluster's secrets must be encrypted with a key of one's own",
        "medium",
        "Whoever gets a copy of its store gets all secrets; no key can be withdrawn.",
        "Set encryption_config with the resources secrets and a KMS key.",
        ("SC-12", "SC-28"),
        (CLUSTER,),
        _cluster_secrets,
        "advisory",
    ),
)
