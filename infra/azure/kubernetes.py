"""The app on a managed cluster (AKS), in the private network."""

import base64
import json
import math
from typing import Any

import pulumi
import yaml
from pulumi_azure_native import compute, containerservice, managedidentity

from infra import manifests
from infra.azure.identity import Identity
from infra.azure.keys import Key
from infra.azure.names import CLUSTER, DISK_KEY, IDENTITY, RESOURCE_GROUP, Account, own
from infra.azure.network import HTTPS, Network
from infra.azure.policy import VAULT_CONTRIBUTOR, built_in, grant, role
from infra.azure.registry import Registry
from infra.azure.rights import KEY_USES
from infra.cluster_objects import apply
from infra.context import Context
from infra.shape import KubernetesArgs

NODE_SIZE = "Standard_D2as_v5"  # two cores and 8 GiB
COPIES_A_NODE = 3  # of half a core each, beside what every node runs
PODS, SERVICES, NAMES = "192.168.0.0/16", "172.16.0.0/16", "172.16.0.10"  # addresses within the cluster alone
LOGS = ("kube-apiserver", "kube-audit-admin", "kube-controller-manager", "kube-scheduler", "guard")
AUDIENCE = "api://AzureADTokenExchange"
ENTRA_OF_AKS = "6dae42f8-4368-4678-94ff-3960e28e3630"  # whom a token of a cluster's caller is for, in every tenant
ASSIGN = ("Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",)
JOIN = ("Microsoft.Network/virtualNetworks/subnets/join/action", "Microsoft.Network/virtualNetworks/subnets/read")


class Kubernetes(pulumi.ComponentResource):
    """A cluster that only its own network reaches, and the app on it with the service's numbers.

    Callers of the cluster show a token of the tenant, and Azure's own roles say what they may; there is no account of
    the cluster's own. Nodes reach no internet: what AKS itself is made of comes from a cache within the network. Who
    puts the app on it must be in the network.
    """

    name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: KubernetesArgs,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:azure:Kubernetes", name, None, opts)
        self._name, self._args, self._account, self._ctx = name, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._container = args.service.container
        self._network, self._key = own(Network, self._container.network), own(Key, self._container.key)
        self._open()
        cluster = self._cluster(self._identity("cluster"), self._identity("nodes"))
        self._network.log.take(f"{name}-cluster", cluster.id, LOGS, parent=self)
        self._app(cluster, self._pods_identity(cluster))
        self.name = cluster.name
        self.register_outputs({"name": self.name})

    def _identity(self, name: str) -> Identity:
        return Identity(f"{self._name}-{name}", "cluster", account=self._account, ctx=self._ctx, opts=self._child)

    def _grants(self, cluster: Identity, nodes: Identity) -> list[pulumi.Resource]:
        """What AKS does in our name: seal its secrets, join the subnets, hand the nodes their identity."""
        to: Any = {"account": self._account, "ctx": self._ctx, "parent": self}
        name, subnet = self._name, self._network.subnet
        join = role(f"{name}-join", "Join subnets", actions=JOIN, **to)
        encrypt = role(f"{name}-encrypt", "Seal and open a cluster's secrets", data_actions=KEY_USES, **to)
        assign = role(f"{name}-assign", "Hand an identity to nodes", actions=ASSIGN, **to)
        # AKS opens a private endpoint of its own to the vault, for which Azure has no narrower role.
        reach = built_in(VAULT_CONTRIBUTOR, self._account)
        return [
            grant(cluster, "join", f"{name}-nodes", join, subnet["nodes"], **to),
            grant(cluster, "join", f"{name}-masters", join, subnet["masters"], **to),
            grant(cluster, "encrypt", name, encrypt, self._key.resource, **to),
            grant(cluster, "reach", f"{name}-vault", reach, self._key.vault, **to),
            grant(cluster, "assign", f"{name}-nodes", assign, nodes.id, **to),
            own(Registry, self._container.image.registry).pulls(nodes),
        ]

    def _cluster(self, identity: Identity, nodes: Identity) -> containerservice.ManagedCluster:
        account, ctx, name = self._account, self._ctx, self._name
        return containerservice.ManagedCluster(
            name,
            resource_name_=ctx.name(name, CLUSTER),
            resource_group_name=account.group,
            location=account.location,
            node_resource_group=ctx.name(f"{name}-nodes", RESOURCE_GROUP),
            node_resource_group_profile={"restriction_level": "ReadOnly"},
            kubernetes_version=manifests.VERSION,
            dns_prefix=ctx.name(name, CLUSTER)[:54],
            sku={"name": "Base", "tier": "Standard"},
            identity={
                "type": containerservice.ResourceIdentityType.USER_ASSIGNED,
                "user_assigned_identities": [identity.id],
            },
            identity_profile={
                "kubeletidentity": {
                    "resource_id": nodes.id,
                    "client_id": nodes.client,
                    "object_id": nodes.principal,
                }
            },
            disable_local_accounts=True,
            enable_rbac=True,
            aad_profile={"managed": True, "enable_azure_rbac": True, "tenant_id": account.tenant},
            oidc_issuer_profile={"enabled": True},
            disk_encryption_set_id=self._disk_key().id,
            agent_pool_profiles=[self._nodes()],
            bootstrap_profile={"artifact_source": "Cache"},
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(
                parent=self, protect=not ctx.disposable, depends_on=self._grants(identity, nodes)
            ),
            **self._profiles(),
        )

    def _profiles(self) -> Any:
        """How the cluster is reached, what it keeps its secrets under, and when it is renewed."""
        return {
            "api_server_access_profile": {
                "enable_private_cluster": True,
                "enable_private_cluster_public_fqdn": False,
                "private_dns_zone": "system",
                "enable_vnet_integration": True,
                "subnet_id": self._network.subnet["masters"],
                "disable_run_command": True,
            },
            "network_profile": {
                "network_plugin": "azure",
                "network_plugin_mode": "overlay",
                "network_dataplane": "cilium",
                "network_policy": "cilium",
                "outbound_type": "none",
                "load_balancer_sku": "standard",
                "pod_cidr": PODS,
                "service_cidr": SERVICES,
                "dns_service_ip": NAMES,
            },
            "security_profile": {
                "workload_identity": {"enabled": True},
                "image_cleaner": {"enabled": True, "interval_hours": 168},
                "azure_key_vault_kms": {
                    "enabled": True,
                    "key_id": self._key.version,
                    "key_vault_network_access": "Private",
                    "key_vault_resource_id": self._key.vault,
                },
            },
            "auto_upgrade_profile": {"upgrade_channel": "patch", "node_os_upgrade_channel": "NodeImage"},
        }

    def _nodes(self) -> Any:
        zones = self._account.zones
        count = node_count(self._args.service.scale.maximum, len(zones))
        return {
            "name": "nodes",
            "mode": "System",
            "type": "VirtualMachineScaleSets",
            "vm_size": NODE_SIZE,
            "os_type": "Linux",
            "os_sku": "AzureLinux",
            "availability_zones": list(zones),
            "enable_auto_scaling": True,
            "count": count,
            "min_count": count,
            "max_count": count + 1,
            "vnet_subnet_id": self._network.subnet["nodes"],
            "enable_node_public_ip": False,
            "enable_encryption_at_host": True,
            "security_profile": {"enable_secure_boot": True, "enable_vtpm": True},
            "upgrade_settings": {"max_surge": "1"},
            "tags": self._ctx.tags,
        }

    def _disk_key(self) -> compute.DiskEncryptionSet:
        return compute.DiskEncryptionSet(
            f"{self._name}-nodes",
            disk_encryption_set_name=self._ctx.name(f"{self._name}-nodes", DISK_KEY),
            resource_group_name=self._account.group,
            location=self._account.location,
            encryption_type="EncryptionAtRestWithCustomerKey",
            active_key={"key_url": self._key.version, "source_vault": {"id": self._key.vault}},
            rotation_to_latest_key_version_enabled=True,
            identity={
                "type": compute.DiskEncryptionSetIdentityType.USER_ASSIGNED,
                "user_assigned_identities": [self._key.user.id],
            },
            tags=self._ctx.tags,
            opts=self._child,
        )

    def _pods_identity(self, cluster: containerservice.ManagedCluster) -> pulumi.Resource:
        """The app's pods, and no others, run as the service's identity."""
        app, runs_as = manifests.named(self._name), self._container.runs_as
        return managedidentity.FederatedIdentityCredential(
            self._name,
            federated_identity_credential_resource_name=self._ctx.name(self._name, IDENTITY),
            resource_group_name=self._account.group,
            resource_name_=runs_as.id.apply(lambda id_: id_.rpartition("/")[2]),
            issuer=cluster.oidc_issuer_profile.apply(lambda profile: profile.issuer_url if profile else ""),
            subject=f"system:serviceaccount:{app}:{app}",
            audiences=[AUDIENCE],
            opts=self._child,
        )

    def _app(self, cluster: containerservice.ManagedCluster, identity: pulumi.Resource) -> None:
        objects = manifests.manifests(
            self._name,
            self._args.service,
            self._container.image.uri,
            self._ctx.tags,
            manifests.Platform(
                annotations={"azure.workload.identity/client-id": own(Identity, self._container.runs_as).client},
                labels={"azure.workload.identity/use": "true"},
            ),
        )
        found = containerservice.list_managed_cluster_user_credentials_output(
            resource_group_name=self._account.group,
            resource_name=cluster.name,
            opts=pulumi.InvokeOutputOptions(parent=self),
        )
        config = found.apply(lambda found: kubeconfig(found.kubeconfigs[0].value))
        apply(objects, config, parent=self, after=[identity])

    def _open(self) -> None:
        """Nodes and pods to each other, to the cluster's own addresses, to the endpoints and to who checks tokens."""
        network, https = self._network, str(HTTPS)
        nodes, masters, to = (network.ranges[name] for name in ("nodes", "masters", "endpoints"))
        among = {
            "nodes": (nodes, nodes),
            "pods": (PODS, PODS),
            "nodes-pods": (nodes, PODS),
            "pods-nodes": (PODS, nodes),
        }
        for name, (one, other) in among.items():
            network.rule(f"{name}-out", "nodes", "Outbound", "*", source=one, destination=other, protocol="*")
            network.rule(f"{name}-among", "nodes", "Inbound", "*", source=one, destination=other, protocol="*")
        for port in (https, "4443"):
            network.rule(f"nodes-to-masters-{port}", "nodes", "Outbound", port, source=nodes, destination=masters)
            network.rule(f"masters-from-nodes-{port}", "masters", "Inbound", port, source=nodes, destination=masters)
        network.rule("masters-to-nodes", "masters", "Outbound", "*", source=masters, destination=nodes)
        network.rule("nodes-from-masters", "nodes", "Inbound", "*", source=masters, destination=nodes)
        network.rule("nodes-to-endpoints", "nodes", "Outbound", https, source=nodes, destination=to)
        network.rule("nodes-to-entra", "nodes", "Outbound", https, source=nodes, destination="AzureActiveDirectory")


def node_count(copies: int, zones: int) -> int:
    """How many nodes hold so many copies, at least one in each zone."""
    return max(zones, math.ceil(copies / COPIES_A_NODE))


def kubeconfig(given: str) -> str:
    """How a client reaches the cluster, without a secret: its token is asked for with the caller's own credentials.

    Azure's own (in base64) has the address of the cluster and whom to trust, and asks a person at a browser.
    """
    (cluster,) = yaml.safe_load(base64.b64decode(given))["clusters"]
    token = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "kubelogin",
        "args": ["get-token", "--login", "azurecli", "--server-id", ENTRA_OF_AKS],
        "interactiveMode": "Never",
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "aks",
            "contexts": [{"name": "aks", "context": {"cluster": "aks", "user": "aks"}}],
            "clusters": [{"name": "aks", "cluster": cluster["cluster"]}],
            "users": [{"name": "aks", "user": {"exec": token}}],
        }
    )
