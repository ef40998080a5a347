"""The app on a managed cluster (GKE), in the private network."""

import math
from typing import Any

import pulumi
import pulumi_gcp as gcp

from infra import manifests
from infra.context import Context
from infra.gcp.identity import Identity
from infra.gcp.keys import Key
from infra.gcp.names import CLUSTER, COMPUTE, NETWORK_TAG, NODE_POOL, Account
from infra.gcp.network import FIRST, PODS, SERVICES, Network
from infra.gcp.policy import own
from infra.shape import KubernetesArgs

LOGS = ["SYSTEM_COMPONENTS", "WORKLOADS", "APISERVER", "CONTROLLER_MANAGER", "SCHEDULER"]
NODE_TYPE, DISK_GIB = "n2-standard-2", 50  # two cores and 8 GiB
COPIES_A_NODE = 3  # of half a core each, beside what every node runs
NODE_ROLE = "roles/container.defaultNodeServiceAccount"  # what Google says that a node needs: to log and to measure
POD_CREDENTIALS = ("169.254.169.254/32", 80)  # the metadata server from which pods get their identity's credentials
WITHIN = ("tcp", "udp", "icmp")  # what nodes, pods and control plane speak among themselves


class Kubernetes(pulumi.ComponentResource):
    """A cluster over the zones that only its own network reaches, and the app on it with the service's numbers.

    Its nodes have no public address, an identity of their own that may log and fetch the image, and keep what a pod
    may learn of them from it. Whoever puts the app on it must be in the network.
    """

    name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: KubernetesArgs,
        zones: tuple[str, ...],
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:gcp:Kubernetes", name, None, opts)
        self._name, self._args, self._account, self._ctx = name, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._container = args.service.container
        self._network, self._key = own(self._container.network, Network), own(self._container.key, Key)
        self._zones = [f"{account.region}-{zone}" for zone in zones]
        self._tag = ctx.name(f"{name}-nodes", NETWORK_TAG)
        node, may = self._node()
        cluster = self._cluster(node, [*may, self._open_within()])
        nodes = self._nodes(cluster, node)
        self._app(cluster, [nodes, self._pods_identity(cluster)])
        self.name = cluster.name
        self.register_outputs({"name": self.name})

    def _open_within(self) -> pulumi.Resource:
        """Let nodes and pods out to each other and to the control plane. Who comes in, GKE opens by its own rules."""
        name = f"{self._name}-nodes-within"
        return gcp.compute.Firewall(
            name,
            name=self._ctx.name(name, COMPUTE),
            description="Nodes, pods and control plane among themselves",
            project=self._account.project,
            network=self._network.id,
            direction="EGRESS",
            priority=FIRST,
            allows=[{"protocol": protocol} for protocol in WITHIN],
            destination_ranges=[self._network.addresses],
            target_tags=[self._tag],
            log_config={"metadata": "INCLUDE_ALL_METADATA"},
            opts=self._child,
        )

    def _node(self) -> tuple[Any, list[pulumi.Resource]]:  # the SDK has the same dictionary under two names
        """What every node is, and what its identity was granted."""
        identity = Identity(f"{self._name}-nodes", "node", account=self._account, ctx=self._ctx, opts=self._child)
        may = gcp.projects.IAMMember(
            f"{self._name}-nodes",
            project=self._account.project,
            role=NODE_ROLE,
            member=identity.principal,
            opts=self._child,
        )
        self._container.image.registry.grant_pull(identity)
        node = {
            "machine_type": NODE_TYPE,
            "image_type": "COS_CONTAINERD",
            "disk_type": "pd-balanced",
            "disk_size_gb": DISK_GIB,
            "boot_disk_kms_key": self._key.id,
            "service_account": identity.id,
            "oauth_scopes": ["https://www.googleapis.com/auth/cloud-platform"],  # IAM decides what it may
            "shielded_instance_config": {"enable_secure_boot": True, "enable_integrity_monitoring": True},
            "workload_metadata_config": {"mode": "GKE_METADATA"},  # no pod gets at the node's own credentials
            "kubelet_config": {"insecure_kubelet_readonly_port_enabled": "FALSE"},
            "metadata": {"disable-legacy-endpoints": "true"},
            "tags": [self._network.members, self._tag],
            "resource_labels": self._ctx.tags,
        }
        return node, [may, self._key.open_to("compute")]

    def _cluster(self, node: Any, after: list[pulumi.Resource]) -> gcp.container.Cluster:
        return gcp.container.Cluster(
            self._name,
            name=self._ctx.name(self._name, CLUSTER),
            description=f"{self._ctx.project} {self._ctx.environment}",
            project=self._account.project,
            location=self._account.region,
            node_locations=self._zones,
            min_master_version=manifests.VERSION,
            release_channel={"channel": "REGULAR"},
            initial_node_count=1,
            remove_default_node_pool=True,  # the pool of its own can change without the cluster
            node_config=node,
            network=self._network.id,
            subnetwork=self._network.subnets[0],
            networking_mode="VPC_NATIVE",
            ip_allocation_policy={
                "cluster_secondary_range_name": PODS,
                "services_secondary_range_name": SERVICES,
            },
            datapath_provider="ADVANCED_DATAPATH",  # which holds to network policies
            enable_intranode_visibility=True,
            private_cluster_config={
                "enable_private_nodes": True,
                "enable_private_endpoint": True,
                "private_endpoint_subnetwork": self._network.subnets[0],
            },
            master_authorized_networks_config={
                "cidr_blocks": [{"cidr_block": known, "display_name": known} for known in self._network.callers],
                "private_endpoint_enforcement_enabled": True,
            },
            master_auth={"client_certificate_config": {"issue_client_certificate": False}},
            workload_identity_config={"workload_pool": self._pool},
            database_encryption={"state": "ENCRYPTED", "key_name": self._key.id},
            enable_shielded_nodes=True,
            binary_authorization={"evaluation_mode": "PROJECT_SINGLETON_POLICY_ENFORCE"},
            security_posture_config={"mode": "BASIC", "vulnerability_mode": "VULNERABILITY_BASIC"},
            logging_config={"enable_components": LOGS},
            monitoring_config={"enable_components": ["SYSTEM_COMPONENTS"]},
            deletion_protection=not self._ctx.disposable,
            resource_labels=self._ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*after, self._key.open_to("container")]),
        )

    def _nodes(self, cluster: gcp.container.Cluster, node: Any) -> gcp.container.NodePool:
        count = node_count(self._args.service.scale.maximum, len(self._zones))
        return gcp.container.NodePool(
            self._name,
            name=self._ctx.name(self._name, NODE_POOL),
            cluster=cluster.id,
            project=self._account.project,
            location=self._account.region,
            node_locations=self._zones,
            initial_node_count=math.ceil(count / len(self._zones)),  # of each zone
            autoscaling={
                "total_min_node_count": count,
                "total_max_node_count": count + 1,
                "location_policy": "BALANCED",
            },
            management={"auto_repair": True, "auto_upgrade": True},
            upgrade_settings={"strategy": "SURGE", "max_surge": 1, "max_unavailable": 0},
            node_config=node,
            opts=self._child,
        )

    @property
    def _pool(self) -> str:
        """What knows the cluster's own identities: there is one a project."""
        return f"{self._account.project}.svc.id.goog"

    def _pods_identity(self, cluster: gcp.container.Cluster) -> pulumi.Resource:
        """The app's pods, and no others, run as the service's identity."""
        app = manifests.named(self._name)
        return gcp.serviceaccount.IAMMember(
            self._name,
            service_account_id=pulumi.Output.format(
                "projects/{0}/serviceAccounts/{1}", self._account.project, self._container.runs_as.id
            ),
            role="roles/iam.workloadIdentityUser",
            member=f"serviceAccount:{self._pool}[{app}/{app}]",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[cluster]),  # which makes the pool
        )

    def _app(self, cluster: gcp.container.Cluster, after: list[pulumi.Resource]) -> None:
        from infra.cluster_objects import apply  # noqa: PLC0415 - an SDK that other clouds' users need not have

        objects = manifests.manifests(
            self._name,
            self._args.service,
            self._container.image.uri,
            self._ctx.tags,
            manifests.Platform(
                annotations={"iam.gke.io/gcp-service-account": self._container.runs_as.id},
                credentials=[POD_CREDENTIALS],
            ),
        )
        apply(objects, kubeconfig(cluster), parent=self, after=after)


def node_count(copies: int, zones: int) -> int:
    """How many nodes hold so many copies, at least one in each zone."""
    return max(zones, math.ceil(copies / COPIES_A_NODE))


def kubeconfig(cluster: gcp.container.Cluster) -> pulumi.Output[str]:
    """How a client reaches the cluster, without a secret: its token is asked for with the caller's own credentials."""
    token = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "gke-gcloud-auth-plugin",
        "provideClusterInfo": True,
        "interactiveMode": "Never",
    }
    authority = cluster.master_auth.apply(lambda auth: auth.cluster_ca_certificate or "")
    server = pulumi.Output.concat("https://", cluster.endpoint)
    return pulumi.Output.json_dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "gke",
            "contexts": [{"name": "gke", "context": {"cluster": "gke", "user": "gke"}}],
            "clusters": [{"name": "gke", "cluster": {"server": server, "certificate-authority-data": authority}}],
            "users": [{"name": "gke", "user": {"exec": token}}],
        }
    )
