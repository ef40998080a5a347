"""What holds data: databases, caches, vaults and keys."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from policies.graph import Graph, Resource
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.reading import UNKNOWN, both, every, given, is_world, must, must_have, must_not, one_of, read, uses

VAULT = ("azure-native:keyvault:Vault",)
SQL = ("azure-native:sql:Server",)
COSMOS = ("azure-native:cosmosdb:DatabaseAccount", "azure-native:documentdb:DatabaseAccount")
REDIS = ("azure-native:redis:Redis", "azure-native:cache:Redis")
FIREWALLS = (
    "azure-native:sql:FirewallRule",
    "azure-native:sql:IPv6FirewallRule",
    "azure-native:dbforpostgresql:FirewallRule",
    "azure-native:dbforpostgresql:SingleServerFirewallRule",
    "azure-native:dbformysql:FirewallRule",
    "azure-native:dbformysql:SingleServerFirewallRule",
    "azure-native:cosmosdb:MongoClusterFirewallRule",
    "azure-native:redis:FirewallRule",
)
PUBLIC = {
    "azure-native:sql:Server": "publicNetworkAccess",
    "azure-native:dbforpostgresql:Server": "network.publicNetworkAccess",
    "azure-native:dbformysql:Server": "network.publicNetworkAccess",
    "azure-native:dbforpostgresql:SingleServer": "properties.publicNetworkAccess",
    "azure-native:cosmosdb:DatabaseAccount": "publicNetworkAccess",
    "azure-native:documentdb:DatabaseAccount": "publicNetworkAccess",
    "azure-native:redis:Redis": "publicNetworkAccess",
    "azure-native:cache:Redis": "publicNetworkAccess",
    "azure-native:machinelearningservices:Workspace": "publicNetworkAccess",
}
CONFIGURATIONS = ("azure-native:dbforpostgresql:Configuration", "azure-native:dbformysql:Configuration")
WIDE = {4: 2**24, 6: 2**120}


def _firewall(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    forms = ("IpAddress", "IP", "IPv6Address")
    first, last = (next(filter(None, (read(resource, end + form) for form in forms)), None) for end in ("start", "end"))
    if UNKNOWN in (first, last):
        yield undetermined("Nobody knows who reaches it before the deployment.", "startIpAddress")
        return
    try:
        low, high = ipaddress.ip_address(str(first)), ipaddress.ip_address(str(last))
    except ValueError:
        return
    if int(high) - int(low) >= WIDE[low.version]:
        yield fail(f"It lets in {first} to {last}, which is much of the internet.", "endIpAddress")


def _all_of_azure(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if read(resource, "startIpAddress") == "0.0.0.0" == read(resource, "endIpAddress"):  # noqa: S104 - Azure's mark
        yield fail("It lets in every machine on Azure, other customers' included.", "startIpAddress")


def _public(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    path = PUBLIC[resource.kind]
    value = read(resource, path)
    if value is UNKNOWN:
        yield undetermined("Nobody knows whether it is reached from outside before the deployment.", path)
        return
    if one_of(value, "Disabled", "SecuredByPerimeter") or read(resource, "network.delegatedSubnetResourceId"):
        return
    if any(read(resource, name) for name in ("ipRules", "virtualNetworkRules", "subnetId")):
        return
    yield fail(f"It is reached from outside (public access: {'unset' if value is None else value}).", path)


def _cosmos_rules(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, value in every(given(resource), "ipRules.*.ipAddressOrRange"):
        # The address 0.0.0.0 without a length is Azure's mark for its own networks.
        if is_world(value):
            yield fail(f"The internet ({value}) reaches it.", path)


def _vault_reach(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if one_of(read(resource, "properties.publicNetworkAccess"), "Disabled"):
        return
    path = "properties.networkAcls.defaultAction"
    action = read(resource, path)
    if action is UNKNOWN:
        yield undetermined("Nobody knows who reaches it before the deployment.", path)
    elif not one_of(action, "Deny"):
        yield fail("Every network reaches it.", path)


def _key_life(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if not read(resource, "properties.rotationPolicy") and not read(resource, "properties.attributes.expires"):
        yield fail("It is never rotated and never expires.", "properties.rotationPolicy")


def _transport(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    names = (read(resource, "configurationName"), resource.name)
    if "require_secure_transport" in names and one_of(read(resource, "value"), "off", 0, False):
        yield fail("It takes connections that are not encrypted.", "value")


def _geo(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    days = read(resource, "backup.backupRetentionDays")
    if isinstance(days, int | float) and days < 7:
        yield fail(f"Its backups are kept for {days:.0f} days.", "backup.backupRetentionDays")


HOLDERS = (
    "azure-native:storage:StorageAccount",
    "azure-native:sql:Server",
    "azure-native:dbforpostgresql:Server",
    "azure-native:dbformysql:Server",
    "azure-native:cosmosdb:DatabaseAccount",
    *VAULT,
)
LOCKS = (
    "azure-native:authorization:ManagementLockByScope",
    "azure-native:authorization:ManagementLockAtResourceGroupLevel",
    "azure-native:authorization:ManagementLockAtResourceLevel",
    "azure-native:authorization:ManagementLockAtSubscriptionLevel",
)


def _lock(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if resource.options.get("protect") or resource.options.get("retainOnDelete"):
        return
    groups = list(graph.used_by(resource, "resourceGroupName"))
    for lock in graph.of_type(*LOCKS):
        wide = lock.kind.endswith(("AtResourceGroupLevel", "AtSubscriptionLevel"))
        if wide or any(uses(lock, row) for row in (resource, *groups)):
            return
    yield fail("One wrong `destroy`, or a click, deletes it: it has no lock and is not protected.")


RULES = (
    Rule(
        "GW-AZ-070",
        "The internet must not reach a database",
        "critical",
        "A database that everyone reaches is one password from being everyone's.",
        "Name the addresses that need it; better, use a private endpoint.",
        ("SC-7", "AC-3"),
        FIREWALLS,
        _firewall,
    ),
    Rule(
        "GW-AZ-071",
        "A database must let in its own networks only",
        "medium",
        "The rule 0.0.0.0 lets in all of Azure: anyone can rent a machine there.",
        "Use a private endpoint or a rule of a virtual network.",
        ("SC-7",),
        tuple(token for token in FIREWALLS if not token.endswith(("redis:FirewallRule", "sql:IPv6FirewallRule"))),
        _all_of_azure,
        "advisory",
    ),
    Rule(
        "GW-AZ-072",
        "What holds data must be reached by private networks only",
        "medium",
        "A stolen password or key is of use from everywhere.",
        "Disable the public network access and use a private endpoint.",
        ("SC-7",),
        tuple(PUBLIC),
        _public,
        "advisory",
    ),
    Rule(
        "GW-AZ-073",
        "No rule of a Cosmos account may name the internet",
        "critical",
        "A database that everyone reaches is one key from being everyone's.",
        "Name the networks that need it.",
        ("SC-7",),
        COSMOS,
        _cosmos_rules,
    ),
    Rule(
        "GW-AZ-074",
        "A database must be reached over TLS 1.2 or newer",
        "high",
        "Over plain connections or broken TLS passwords and data can be read.",
        'Set the minimal TLS version to "1.2" and leave plain connections off.',
        ("SC-8",),
        (*SQL, "azure-native:dbforpostgresql:SingleServer", *REDIS, *COSMOS),
        both(
            must_not("minimalTlsVersion", "1.0", "1.1", "None", "Tls", "Tls11", message="It takes TLS {}."),
            must_not("minimumTlsVersion", "1.0", "1.1", message="It takes TLS {}."),
            must_not("enableNonSslPort", True, message="It takes connections that are not encrypted."),
            must_not("properties.sslEnforcement", "Disabled", message="It takes connections that are not encrypted."),
            must_not("properties.minimalTlsVersion", "TLS1_0", "TLS1_1", message="It takes {}."),
        ),
    ),
    Rule(
        "GW-AZ-075",
        "A database server must demand encrypted connections",
        "high",
        "Passwords and data go through the network as plain text.",
        "Leave `require_secure_transport` on.",
        ("SC-8",),
        CONFIGURATIONS,
        _transport,
    ),
    Rule(
        "GW-AZ-076",
        "A database must be encrypted",
        "high",
        "Who gets at a backup or a disk reads it.",
        "Leave transparent data encryption on.",
        ("SC-28",),
        ("azure-native:sql:TransparentDataEncryption",),
        must_not("state", "Disabled", message="Its encryption is switched off."),
    ),
    Rule(
        "GW-AZ-077",
        "Backups must be kept for a week",
        "medium",
        "Damage that is found on Monday is older than Saturday's backup.",
        "Set `backup_retention_days` to 7 or more.",
        ("CP-9",),
        ("azure-native:dbforpostgresql:Server", "azure-native:dbformysql:Server"),
        _geo,
        "advisory",
    ),
    Rule(
        "GW-AZ-078",
        "A vault's keys must not be destroyed for good",
        "high",
        "With the key all that it encrypts is gone for good.",
        "Set `enable_purge_protection=True` and leave `enable_soft_delete` on.",
        ("SC-12", "CP-9"),
        VAULT,
        both(
            must("properties.enablePurgeProtection", True, message="Its purge protection is {}."),
            must_not("properties.enableSoftDelete", False, message="What is deleted in it is gone at once."),
        ),
        "advisory",
    ),
    Rule(
        "GW-AZ-079",
        "A vault must be governed by roles",
        "low",
        "Access policies hold for all that is in the vault, and Contributors may change them.",
        "Set `enable_rbac_authorization=True` on it.",
        ("AC-3", "AC-6"),
        VAULT,
        must("properties.enableRbacAuthorization", True, message="Its roles are {}."),
        "advisory",
    ),
    Rule(
        "GW-AZ-080",
        "A vault must name the networks that reach it",
        "medium",
        "A stolen token opens it from everywhere.",
        'Set `public_network_access="Disabled"`, or `network_acls` with `default_action="Deny"`.',
        ("SC-7",),
        VAULT,
        _vault_reach,
        "advisory",
    ),
    Rule(
        "GW-AZ-081",
        "A key must be rotated",
        "medium",
        "The longer a key is used, the more a stolen one opens.",
        "Set `rotation_policy` on it.",
        ("SC-12",),
        ("azure-native:keyvault:Key",),
        _key_life,
        "advisory",
    ),
    Rule(
        "GW-AZ-082",
        "A secret must expire",
        "low",
        "A password that is never changed is valid wherever it has leaked to.",
        "Set `attributes` with `expires`.",
        ("IA-5",),
        ("azure-native:keyvault:Secret",),
        must_have("properties.attributes.expires", message="It never expires."),
        "advisory",
    ),
    Rule(
        "GW-AZ-083",
        "A database must take no keys",
        "medium",
        "A key opens the whole account, does not expire and tells nobody who used it.",
        "Set `disable_local_auth=True` and give roles.",
        ("IA-5", "AC-6"),
        COSMOS,
        must("disableLocalAuth", True, message="Its keys work (disabled: {})."),
        "advisory",
    ),
    Rule(
        "GW-AZ-084",
        "What holds data must be protected against deletion",
        "low",
        "One wrong `destroy`, or one click, deletes the data.",
        'Give it `protect=True`, or declare a `ManagementLockByScope` with `level="CanNotDelete"`.',
        ("CP-9", "CM-3"),
        HOLDERS,
        _lock,
        "advisory",
        whole_stack=True,
    ),
)
