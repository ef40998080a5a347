"""Kubernetes clusters on Google Cloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies.graph import Graph, Resource
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.gcp.iam import DEFAULT_ACCOUNT
from policies.rules.reading import UNKNOWN, both, every, given, is_world, must, must_have, must_not, on, read

CLUSTER = ("gcp:container/cluster:Cluster",)
POOL = ("gcp:container/nodePool:NodePool",)


def _is_standard(resource: Resource) -> bool:
    return not on(resource, "enableAutopilot")


def _endpoint(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if on(resource, "privateClusterConfig.enablePrivateEndpoint"):
        return
    if read(resource, "controlPlaneEndpointsConfig.ipEndpointsConfig.enabled") is False:
        return
    networks = read(resource, "masterAuthorizedNetworksConfig")
    if networks is UNKNOWN:
        yield undetermined("Nobody knows who reaches its API before the deployment.", "masterAuthorizedNetworksConfig")
    elif networks is None:
        yield fail("The internet reaches its API.", "masterAuthorizedNetworksConfig")
    else:
        for path, block in every(given(resource), "masterAuthorizedNetworksConfig.cidrBlocks.*.cidrBlock"):
            if is_world(block):
                yield fail(f"The internet ({block}) reaches its API.", path)


def _certificate(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if on(resource, "masterAuth.clientCertificateConfig.issueClientCertificate"):
        yield fail("It issues a client certificate that cannot be taken back.", "masterAuth.clientCertificateConfig")
    if read(resource, "masterAuth.password") or read(resource, "masterAuth.username"):
        yield fail("It takes a user name and a password.", "masterAuth")


def _node_account(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if on(resource, "enableAutopilot") or on(resource, "removeDefaultNodePool"):
        return
    account: Any = read(resource, "nodeConfig.serviceAccount")
    if account is None and read(resource, "nodePools") is None:
        yield fail("Its nodes run as the default service account.", "nodeConfig.serviceAccount")
    elif isinstance(account, str) and (account == "default" or DEFAULT_ACCOUNT.search(account)):
        yield fail(f"Its nodes run as the default service account `{account}`.", "nodeConfig.serviceAccount")


RULES = (
    Rule(
        "GW-GCP-070",
        "The internet must not reach a cluster's API",
        "high",
        "A hole in Kubernetes, or one stolen token, and the cluster is a stranger's.",
        "Set `master_authorized_networks_config` to your networks, or `enable_private_endpoint=True`.",
        ("SC-7", "AC-17"),
        CLUSTER,
        _endpoint,
    ),
    Rule(
        "GW-GCP-071",
        "A cluster must decide by RBAC alone",
        "high",
        "Legacy ABAC gives every service account of the cluster nearly every right.",
        "Leave `enable_legacy_abac` out.",
        ("AC-3", "AC-6"),
        CLUSTER,
        must_not("enableLegacyAbac", True, message="It decides by legacy ABAC."),
    ),
    Rule(
        "GW-GCP-072",
        "A cluster must take no password and no certificate",
        "high",
        "Both are valid until the cluster is gone, and no person stands behind them.",
        "Leave `username`, `password` and `client_certificate_config` out; use Google identities.",
        ("IA-2", "IA-5"),
        CLUSTER,
        _certificate,
    ),
    Rule(
        "GW-GCP-073",
        "Pods must have identities of their own",
        "medium",
        "Without workload identity each pod has the rights of its node.",
        "Set `workload_identity_config` with the project's pool.",
        ("AC-6", "IA-9"),
        CLUSTER,
        must_have("workloadIdentityConfig", message="Its pods act as their nodes.", when=_is_standard),
        "advisory",
    ),
    Rule(
        "GW-GCP-074",
        "Nodes must have no address on the internet",
        "medium",
        "Each node with a public address is another way in.",
        "Set `private_cluster_config` with `enable_private_nodes=True`.",
        ("SC-7",),
        CLUSTER,
        must("privateClusterConfig.enablePrivateNodes", True, message="Private nodes are {}."),
        "advisory",
    ),
    Rule(
        "GW-GCP-075",
        "A cluster must be kept up to date",
        "medium",
        "Without a release channel its holes are mended only when someone thinks of it.",
        'Set `release_channel` with `channel="REGULAR"`.',
        ("SI-2",),
        CLUSTER,
        both(
            must_have("releaseChannel", message="It follows no release channel.", when=_is_standard),
            must_not("releaseChannel.channel", "UNSPECIFIED", message="It follows no release channel."),
        ),
        "advisory",
    ),
    Rule(
        "GW-GCP-076",
        "A cluster must not be deleted by mistake",
        "medium",
        "One wrong `destroy` takes all that runs there.",
        "Leave `deletion_protection` at its default, which is on.",
        ("CP-9", "CM-3"),
        CLUSTER,
        must("deletionProtection", True, message="Its deletion protection is {}.", absent=True),
        "advisory",
    ),
    Rule(
        "GW-GCP-077",
        "Nodes must run as an account of their own",
        "medium",
        "The default service account is shared with other machines and in many projects an editor.",
        "Make a service account with `roles/container.defaultNodeServiceAccount` and name it in `node_config`.",
        ("AC-6", "IA-9"),
        (*CLUSTER, *POOL),
        _node_account,
        "advisory",
    ),
    Rule(
        "GW-GCP-078",
        "Nodes must mend and update themselves",
        "low",
        "A node that is broken or out of date stays so until someone looks.",
        "Set `management` with `auto_repair=True` and `auto_upgrade=True`.",
        ("SI-2", "CP-10"),
        POOL,
        both(
            must("management.autoRepair", True, message="Its automatic repair is {}.", absent=True),
            must("management.autoUpgrade", True, message="Its automatic update is {}.", absent=True),
        ),
        "advisory",
    ),
)
