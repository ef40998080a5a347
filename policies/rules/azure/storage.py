"""Storage accounts and their containers."""

from __future__ import annotations

from collections.abc import Iterator

from policies.graph import Graph, Resource, listed
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.gcp.storage import is_audit
from policies.rules.reading import UNKNOWN, given, is_world, must, must_have, must_not, one_of, read, uses

ACCOUNT, CONTAINER = "azure-native:storage:StorageAccount", "azure-native:storage:BlobContainer"
KEEPERS = (
    "azure-native:storage:BlobContainerImmutabilityPolicy",
    "azure-native:storage:BlobContainerLegalHold",
    "azure-native:resources:Deployment",
)


def _locked(resource: Resource, graph: Graph) -> bool | None:
    """Whether nobody can delete what is in an account or a container; None where only an unknown value says so."""
    worm = read(resource, "immutableStorageWithVersioning")
    if worm is UNKNOWN:
        return None
    if one_of(read(resource, "immutableStorageWithVersioning.enabled"), True):
        state = read(resource, "immutableStorageWithVersioning.immutabilityPolicy.state")
        if state is UNKNOWN or one_of(state, "Locked"):
            return None if state is UNKNOWN else True
    for row in graph.of_type(*KEEPERS):
        if uses(row, resource):
            template = str(given(row))
            if row.kind != KEEPERS[-1] or ("immutab" in template and "Locked" in template):
                return True
    return False


def _audit_lock(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    names = [read(resource, name) for name in ("accountName", "containerName", "tags")]
    if not is_audit(resource.name, *names):
        return
    if resource.kind == ACCOUNT:
        around = [row for row in graph.of_type(CONTAINER) if uses(row, resource, "accountName")]
    else:
        around = [row for row in graph.of_type(ACCOUNT) if uses(resource, row, "accountName")]
    locks = [_locked(row, graph) for row in (resource, *around)]
    if any(lock is None for lock in locks) and True not in locks:
        yield undetermined("Nobody knows whether it is locked before the deployment.", "immutableStorageWithVersioning")
    elif True not in locks:
        yield fail("It holds audit logs that can be deleted.", "immutableStorageWithVersioning")


def _reach(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if one_of(read(resource, "publicNetworkAccess"), "Disabled", "SecuredByPerimeter"):
        return
    action = read(resource, "networkRuleSet.defaultAction")
    if action is UNKNOWN:
        yield undetermined("Nobody knows who reaches it before the deployment.", "networkRuleSet.defaultAction")
    elif not one_of(action, "Deny"):
        yield fail("Every network reaches it.", "networkRuleSet.defaultAction")


def _open_rules(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for number, rule in enumerate(listed(read(resource, "networkRuleSet.ipRules"))):
        if isinstance(rule, dict) and is_world(rule.get("iPAddressOrRange")):
            yield fail("The internet is among the networks that reach it.", f"networkRuleSet.ipRules.{number}")


RULES = (
    Rule(
        "GW-AZ-010",
        "A storage account must not be public",
        "critical",
        "Open containers are searched for and copied by strangers; most leaks of data sets began with one.",
        "Set `allow_blob_public_access=False`; give readers a role.",
        ("AC-3", "AC-6"),
        (ACCOUNT,),
        must_not("allowBlobPublicAccess", True, message="Its containers may be opened to everyone."),
    ),
    Rule(
        "GW-AZ-011",
        "A container must not be public",
        "critical",
        "Whoever guesses its name reads it, without a password and without a trace.",
        "Leave `public_access` out.",
        ("AC-3", "AC-6"),
        (CONTAINER,),
        must_not("publicAccess", "Blob", "Container", message="Everyone may read it (public access: {})."),
    ),
    Rule(
        "GW-AZ-012",
        "A storage account must be reached over TLS 1.2 or newer",
        "high",
        "Over plain HTTP or broken TLS data and the keys of its requests can be read.",
        'Leave `enable_https_traffic_only` on and set `minimum_tls_version="TLS1_2"`.',
        ("SC-8",),
        (ACCOUNT,),
        lambda resource, graph: [
            *must_not("enableHttpsTrafficOnly", False, message="It takes plain HTTP.")(resource, graph),
            *must_not("minimumTlsVersion", "TLS1_0", "TLS1_1", message="It takes {}.")(resource, graph),
        ],
    ),
    Rule(
        "GW-AZ-013",
        "A storage account must say which TLS it takes",
        "low",
        "Where nothing is said, Azure's documentation says TLS 1.0.",
        'Set `minimum_tls_version="TLS1_2"` on it.',
        ("SC-8",),
        (ACCOUNT,),
        must_have("minimumTlsVersion", message="It does not say which TLS it takes."),
        "advisory",
    ),
    Rule(
        "GW-AZ-014",
        "A storage account must have no shared key",
        "medium",
        "A key opens everything in the account, does not expire and tells nobody who used it.",
        "Set `allow_shared_key_access=False` and give roles.",
        ("IA-5", "AC-6"),
        (ACCOUNT,),
        must("allowSharedKeyAccess", False, message="Its access by key is {}; the default is on."),
        "advisory",
    ),
    Rule(
        "GW-AZ-015",
        "A storage account must name the networks that reach it",
        "medium",
        "A stolen key or token is of use from everywhere.",
        'Set `network_rule_set` with `default_action="Deny"`, or `public_network_access="Disabled"`.',
        ("SC-7",),
        (ACCOUNT,),
        _reach,
        "advisory",
    ),
    Rule(
        "GW-AZ-016",
        "No rule of a storage account may name the internet",
        "high",
        "A rule for all addresses undoes the closed door around it.",
        "Leave it out.",
        ("SC-7",),
        (ACCOUNT,),
        _open_rules,
    ),
    Rule(
        "GW-AZ-018",
        "A storage account must not switch off its encryption",
        "high",
        "Who gets at a disk or a backup reads what is on it.",
        "Leave `enabled` of `encryption.services` out.",
        ("SC-28",),
        (ACCOUNT,),
        must_not("encryption.services.*.enabled", False, message="Its encryption is switched off."),
    ),
    Rule(
        "GW-AZ-017",
        "Audit logs must not be deletable",
        "high",
        "Whoever breaks in deletes the traces first.",
        "Set `immutable_storage_with_versioning` with a policy in the state `Locked`, or a policy on the container.",
        ("AU-9", "AU-11"),
        (ACCOUNT, CONTAINER),
        _audit_lock,
        whole_stack=True,
    ),
)
