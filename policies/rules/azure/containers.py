"""Container apps, container groups, the registry and Kubernetes clusters on Azure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from policies.graph import Graph, Resource, listed
from policies.rule import Judge, Rule, Verdict, fail, undetermined
from policies.rules.reading import (
    UNKNOWN,
    both,
    every,
    given,
    guarded_ports,
    is_world,
    made_up,
    must,
    must_have,
    must_not,
    named,
    on,
    one_of,
    read,
    uses,
)
from policies.rules.workloads import digest_verdict, image_verdict, secret_verdict

APP, JOB = "azure-native:app:ContainerApp", "azure-native:app:Job"
GROUP = "azure-native:containerinstance:ContainerGroup"
ENVIRONMENT = "azure-native:app:ManagedEnvironment"
REGISTRY = ("azure-native:containerregistry:Registry",)
CLUSTER = ("azure-native:containerservice:ManagedCluster",)
# Where containers are, and the variables of one.
CONTAINERS = {
    APP: (("template.containers", "template.initContainers"), "env"),
    JOB: (("template.containers", "template.initContainers"), "env"),
    GROUP: (("containers", "initContainers"), "environmentVariables"),
}


def _images(say: Callable[[Any, str, bool], Iterator[Verdict]]) -> Judge:
    def judge(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
        for place in CONTAINERS[resource.kind][0]:
            for path, image in every(given(resource), f"{place}.*.image"):
                yield from say(image, path, made_up(resource, path))

    return judge


def _secrets(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    places, variables = CONTAINERS[resource.kind]
    for place in places:
        for path, row in every(given(resource), f"{place}.*.{variables}.*"):
            if isinstance(row, Mapping):
                where = f"{path}.value"
                yield from secret_verdict(row.get("name"), row.get("value"), where, made_up(resource, where))


def _plain(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if on(resource, "configuration.ingress.external") and on(resource, "configuration.ingress.allowInsecure"):
        yield fail("It serves plain HTTP to whoever is outside.", "configuration.ingress.allowInsecure")


def _reach(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if not on(resource, "configuration.ingress.external"):
        return
    environments = [row for row in graph.of_type(ENVIRONMENT) if _is_in(resource, row)]
    if any(on(row, "vnetConfiguration.internal") for row in environments):
        return
    if any(uses(row, resource) for row in graph.of_type("azure-native:app:ContainerAppsAuthConfig")):
        return
    path = "configuration.ingress.ipSecurityRestrictions"
    rules = [row for _, row in every(given(resource), f"{path}.*")]
    allowed = [row for row in rules if isinstance(row, Mapping) and one_of(row.get("action"), "Allow")]
    if UNKNOWN in rules:
        yield undetermined("Nobody knows who reaches it before the deployment.", path)
    elif not allowed or any(is_world(row.get("ipAddressRange")) for row in allowed):
        yield fail("The internet reaches it, and it asks nobody who they are.", path)


def _is_in(app: Resource, environment: Resource) -> bool:
    return uses(app, environment, "managedEnvironmentId") or uses(app, environment, "environmentId")


def _privileged(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for place in CONTAINERS[GROUP][0]:
        for path, value in every(given(resource), f"{place}.*.securityContext.privileged"):
            if value is UNKNOWN:
                yield undetermined("Nobody knows whether it is privileged before the deployment.", path)
            elif value is not None and one_of(value, True):
                yield fail("A container of it is privileged.", path)


def _group_ports(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if not one_of(read(resource, "ipAddress.type"), "Public"):
        return
    reached = guarded_ports(
        value for _, value in every(given(resource), "ipAddress.ports.*.port") if value not in (None, UNKNOWN)
    )
    if reached:
        yield fail(f"Anyone on the internet reaches port {named(reached)}.", "ipAddress.ports")


def _registry_password(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, row in every(given(resource), "configuration.registries.*"):
        if isinstance(row, Mapping) and row.get("passwordSecretRef") and not row.get("identity"):
            yield fail("It fetches its image with a password.", f"{path}.passwordSecretRef")
    for path, row in every(given(resource), "imageRegistryCredentials.*"):
        if isinstance(row, Mapping) and row.get("password") is not None:
            yield fail("It fetches its image with a password.", f"{path}.password")


def _api(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if on(resource, "apiServerAccessProfile.enablePrivateCluster"):
        return
    if one_of(read(resource, "publicNetworkAccess"), "Disabled"):
        return
    path = "apiServerAccessProfile.authorizedIPRanges"
    ranges = read(resource, path)
    if ranges is UNKNOWN:
        yield undetermined("Nobody knows who reaches its API before the deployment.", path)
    elif not ranges or any(is_world(value) for value in listed(ranges)):
        yield fail("The internet reaches its API.", path)


def _principal(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    profile = read(resource, "servicePrincipalProfile")
    # A cluster with an identity shows its client id as `msi`.
    if profile is not None and not one_of(read(resource, "servicePrincipalProfile.clientId"), "msi"):
        yield fail("It acts as a service principal with a password.", "servicePrincipalProfile")


def _premium(resource: Resource) -> bool:
    return one_of(read(resource, "sku.name"), "Premium")


RULES = (
    Rule(
        "GW-AZ-030",
        "A container must run an image that stays the same",
        "high",
        "Behind a tag that moves, what was reviewed and what runs are two things; a roll-back gets the wrong one.",
        "Name the image by digest: `IMAGE@sha256:…`.",
        ("CM-2", "SI-7", "SR-4"),
        tuple(CONTAINERS),
        _images(image_verdict),
    ),
    Rule(
        "GW-AZ-031",
        "A container's image must be named by digest",
        "low",
        "A version's tag can be pushed again.",
        "Name the image by digest: `IMAGE@sha256:…`.",
        ("CM-2", "SI-7"),
        tuple(CONTAINERS),
        _images(digest_verdict),
        "advisory",
    ),
    Rule(
        "GW-AZ-032",
        "No password may stand in a container's environment",
        "high",
        "Whoever may look at the app reads it, and it is in the program's history.",
        "Keep it in Key Vault and refer to it (`secret_ref`); in a container group use `secure_value`.",
        ("IA-5", "SC-28"),
        tuple(CONTAINERS),
        _secrets,
    ),
    Rule(
        "GW-AZ-033",
        "A container app must serve HTTPS only",
        "high",
        "What its callers send can be read and changed on its way.",
        "Leave `allow_insecure` out.",
        ("SC-8",),
        (APP,),
        _plain,
    ),
    Rule(
        "GW-AZ-034",
        "A container app must name who reaches it, or ask who they are",
        "medium",
        "Anyone may call it, at your cost and with its identity's rights.",
        "Set `ip_security_restrictions`, put it into an internal environment, or declare a `ContainerAppsAuthConfig`.",
        ("SC-7", "AC-3"),
        (APP,),
        _reach,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AZ-035",
        "A container must not be privileged",
        "critical",
        "A privileged container is root on its machine.",
        "Leave `privileged` out.",
        ("AC-6", "CM-7"),
        (GROUP,),
        _privileged,
    ),
    Rule(
        "GW-AZ-036",
        "The internet must not reach a port of administration or of data",
        "critical",
        "Scanners find SSH or a database within minutes and try passwords and known holes on it.",
        'Use `type="Private"` and a subnet.',
        ("SC-7", "AC-17"),
        (GROUP,),
        _group_ports,
    ),
    Rule(
        "GW-AZ-037",
        "A container must fetch its image as itself",
        "low",
        "A registry's password is shared by all who have it and does not expire.",
        "Give its identity the role AcrPull and name it in `registries`.",
        ("IA-5", "IA-9"),
        (APP, JOB, GROUP),
        _registry_password,
        "advisory",
    ),
    Rule(
        "GW-AZ-038",
        "A registry must have no administrator's password",
        "high",
        "It is one password for all, which may push whatever will run.",
        "Set `admin_user_enabled=False`; give AcrPush and AcrPull.",
        ("IA-2", "IA-5"),
        REGISTRY,
        must_not("adminUserEnabled", True, message="Its administrator's password works."),
    ),
    Rule(
        "GW-AZ-039",
        "A registry must not be public",
        "high",
        "Everyone may pull images, and read the code and the settings in them.",
        "Leave `anonymous_pull_enabled` out.",
        ("AC-3",),
        REGISTRY,
        must_not("anonymousPullEnabled", True, message="Everyone may pull from it."),
    ),
    Rule(
        "GW-AZ-040",
        "A registry must be reached by private networks",
        "low",
        "A stolen token pushes from anywhere.",
        'Set `public_network_access="Disabled"` and a private endpoint (needs the Premium tier).',
        ("SC-7",),
        REGISTRY,
        must(
            "publicNetworkAccess",
            "Disabled",
            message="Its public access is {}.",
            when=lambda row: _premium(row) and not one_of(read(row, "networkRuleSet.defaultAction"), "Deny"),
        ),
        "advisory",
    ),
    Rule(
        "GW-AZ-041",
        "A registry must clean up images without a tag",
        "low",
        "They cost money and keep old holes at hand.",
        "Set `policies.retention_policy` (needs the Premium tier).",
        ("SI-2", "CM-7"),
        REGISTRY,
        must("policies.retentionPolicy.status", "enabled", message="Its retention is {}.", when=_premium),
        "advisory",
    ),
    Rule(
        "GW-AZ-050",
        "The internet must not reach a cluster's API",
        "high",
        "A hole in Kubernetes, or one stolen token, and the cluster is a stranger's.",
        "Set `enable_private_cluster=True`, or `authorized_ip_ranges`.",
        ("SC-7", "AC-17"),
        CLUSTER,
        _api,
    ),
    Rule(
        "GW-AZ-051",
        "A cluster must decide by RBAC",
        "critical",
        "Without it every token may do everything.",
        "Leave `enable_rbac` on.",
        ("AC-3", "AC-6"),
        CLUSTER,
        must_not("enableRBAC", False, message="It lets every token do everything."),
    ),
    Rule(
        "GW-AZ-052",
        "A cluster must have no local accounts",
        "medium",
        "The administrator's certificate of the cluster is shared, and no person stands behind it.",
        "Set `disable_local_accounts=True` and an `aad_profile`.",
        ("IA-2", "AC-2"),
        CLUSTER,
        must("disableLocalAccounts", True, message="Its local accounts are on (disabled: {})."),
        "advisory",
    ),
    Rule(
        "GW-AZ-053",
        "Nodes must have no address on the internet",
        "medium",
        "Each node with a public address is another way in.",
        "Leave `enable_node_public_ip` out.",
        ("SC-7",),
        CLUSTER,
        must_not("agentPoolProfiles.*.enableNodePublicIP", True, message="Its nodes have public addresses."),
        "advisory",
    ),
    Rule(
        "GW-AZ-054",
        "A cluster must be an identity and have no password",
        "medium",
        "A service principal's password expires, leaks and lies in the state.",
        "Set `identity` in place of `service_principal_profile`.",
        ("IA-5",),
        CLUSTER,
        _principal,
        "advisory",
    ),
    Rule(
        "GW-AZ-055",
        "A cluster must be kept up to date",
        "medium",
        "Its holes are mended only when someone thinks of it.",
        'Set `auto_upgrade_profile` with `upgrade_channel="patch"`.',
        ("SI-2",),
        CLUSTER,
        both(
            must_have("autoUpgradeProfile.upgradeChannel", message="It follows no upgrade channel."),
            must_not("autoUpgradeProfile.upgradeChannel", "none", message="It follows no upgrade channel."),
        ),
        "advisory",
    ),
    Rule(
        "GW-AZ-056",
        "A cluster must limit who speaks with whom",
        "low",
        "From one pod that is broken into every other is reached.",
        "Set `network_profile.network_policy` on it.",
        ("SC-7", "AC-4"),
        CLUSTER,
        must_have("networkProfile.networkPolicy", message="It has no network policies."),
        "advisory",
    ),
)
