"""The app on a managed cluster (EKS), in the private network."""

import json
import math

import pulumi
import pulumi_aws as aws

from infra import manifests
from infra.alerts import LOG_DAYS
from infra.aws.identity import Identity
from infra.aws.names import CLUSTER, LAUNCH_TEMPLATE, NODE_GROUP, Account, cluster_log_group, named
from infra.aws.network import HTTPS, open_port, security_group
from infra.aws.policy import allow, grant
from infra.context import Context
from infra.shape import KubernetesArgs

LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]  # all that the control plane writes
# What nodes call beside what every workload does: the cluster, their network interfaces, and identities for pods.
ENDPOINTS = ("ec2", "eks", "eks-auth", "sts")
NODE_TYPES = ["m7i.large", "m6i.large"]  # two cores and 8 GiB
COPIES_A_NODE = 3  # of half a core each, beside what every node runs
DISKS = {"/dev/xvda": 4, "/dev/xvdb": 30}  # GiB: Bottlerocket itself, and images and logs
# What AWS says that its own parts need, as policies that it keeps; the names are the documentation's.
CLUSTER_POLICIES = ("AmazonEKSClusterPolicy",)
NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
NETWORK_POLICIES = ("AmazonEKS_CNI_Policy",)
POD_CREDENTIALS = ("169.254.170.23/32", 80)  # the agent from which pods get their identity's credentials


class Kubernetes(pulumi.ComponentResource):
    """A cluster that only its own network reaches, and the app on it with the service's numbers.

    Whoever makes it may administer it, and must be in the network to put the app on it. An emulator has no cluster
    behind its API: there the objects, the add-ons and the pods' identity are left out.
    """

    name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: KubernetesArgs,
        endpoint: str | None,
        *,
        account: Account,
        ctx: Context,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("groundwork:aws:Kubernetes", name, None, opts)
        self._name, self._args, self._account, self._ctx = name, args, account, ctx
        self._child = pulumi.ResourceOptions(parent=self)
        self._container = args.service.container
        cluster = self._cluster()
        self._endpoints()
        if endpoint:
            self._nodes(cluster, [])
        else:
            nodes = self._nodes(cluster, self._node_add_ons(cluster))
            # These run on nodes like any other pod: they answer names, and count CPU for the autoscaler.
            services = [self._add_on(cluster, name, [nodes]) for name in ("coredns", "metrics-server")]
            self._app(cluster, [*services, self._pods_identity(cluster)])
        self.name = cluster.name
        self.register_outputs({"name": self.name})

    def _identity(self, name: str, runs_on: str, policies: tuple[str, ...]) -> tuple[Identity, list[pulumi.Resource]]:
        identity = Identity(f"{self._name}-{name}", runs_on, account=self._account, ctx=self._ctx, opts=self._child)
        attached: list[pulumi.Resource] = [
            aws.iam.RolePolicyAttachment(
                f"{self._name}-{name}-{policy}",
                role=identity.id,
                policy_arn=f"arn:aws:iam::aws:policy/{policy}",
                opts=self._child,
            )
            for policy in policies
        ]
        return identity, attached

    def _cluster(self) -> aws.eks.Cluster:
        key, full_name = self._container.key.id, self._ctx.name(self._name, CLUSTER)
        identity, may = self._identity("cluster", "cluster", CLUSTER_POLICIES)
        secrets = allow(["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ListGrants"], [key])
        log = aws.cloudwatch.LogGroup(
            f"{self._name}-cluster",
            name=cluster_log_group(full_name),  # where EKS writes; made first, so that it is encrypted and kept
            retention_in_days=LOG_DAYS,
            kms_key_id=key,
            tags=self._ctx.tags,
            opts=self._child,
        )
        return aws.eks.Cluster(
            self._name,
            name=full_name,
            version=manifests.VERSION,
            role_arn=identity.principal,
            vpc_config={
                "subnet_ids": self._container.network.subnets,
                "endpoint_private_access": True,
                "endpoint_public_access": False,
            },
            access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": True},
            encryption_config={"provider": {"key_arn": key}, "resources": ["secrets"]},
            enabled_cluster_log_types=LOGS,
            bootstrap_self_managed_addons=False,  # they are add-ons here, with versions that EKS keeps
            deletion_protection=not self._ctx.disposable,
            tags=self._ctx.tags,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*may, grant(identity, "encrypt", self._name, [secrets], parent=self), log]
            ),
        )

    def _endpoints(self) -> None:
        """More doors of the network, for members like the others."""
        network, ctx = self._container.network, self._ctx
        group = security_group(f"{self._name}-endpoints", "Endpoints of the cluster", network.id, ctx=ctx, parent=self)
        open_port(f"{self._name}-nodes-to-endpoints", HTTPS, network.members, group, ctx=ctx, parent=self)
        for service in ENDPOINTS:
            aws.ec2.VpcEndpoint(
                f"{self._name}-{service}",
                vpc_id=network.id,
                service_name=f"com.amazonaws.{self._account.region}.{service}",
                vpc_endpoint_type="Interface",
                subnet_ids=network.subnets,
                security_group_ids=[group],
                private_dns_enabled=True,
                tags=named(ctx, ctx.name(service, CLUSTER)),
                opts=self._child,
            )

    def _nodes(self, cluster: aws.eks.Cluster, after: list[pulumi.Resource]) -> aws.eks.NodeGroup:
        identity, may = self._identity("nodes", "machine", NODE_POLICIES)
        network, ctx = self._container.network, self._ctx
        template = aws.ec2.LaunchTemplate(
            f"{self._name}-nodes",
            name=ctx.name(f"{self._name}-nodes", LAUNCH_TEMPLATE),
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,  # no pod gets as far as the node's own credentials
            },
            block_device_mappings=[
                {
                    "device_name": device,
                    "ebs": {"encrypted": "true", "volume_type": "gp3", "volume_size": gib},
                }
                for device, gib in DISKS.items()
            ],
            vpc_security_group_ids=[
                cluster.vpc_config.apply(lambda config: config.cluster_security_group_id or ""),
                network.members,
            ],
            tag_specifications=[{"resource_type": kind, "tags": ctx.tags} for kind in ("instance", "volume")],
            update_default_version=True,
            tags=ctx.tags,
            opts=self._child,
        )
        count = node_count(self._args.service.scale.maximum, len(network.subnets))
        return aws.eks.NodeGroup(
            self._name,
            node_group_name=ctx.name(self._name, NODE_GROUP),
            cluster_name=cluster.name,
            node_role_arn=identity.principal,
            subnet_ids=network.subnets,
            ami_type="BOTTLEROCKET_x86_64",
            capacity_type="ON_DEMAND",
            instance_types=NODE_TYPES,
            scaling_config={"min_size": count, "desired_size": count, "max_size": count + 1},
            update_config={"max_unavailable": 1},
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            tags=ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*may, *after]),
        )

    def _node_add_ons(self, cluster: aws.eks.Cluster) -> list[pulumi.Resource]:
        """What every node runs, and becomes ready by: the network, which holds to policies, and identities for pods."""
        interfaces, may = self._identity("network", "pod", NETWORK_POLICIES)
        network = aws.eks.Addon(
            f"{self._name}-vpc-cni",
            addon_name="vpc-cni",
            cluster_name=cluster.name,
            configuration_values=json.dumps({"enableNetworkPolicy": "true"}),
            pod_identity_associations=[{"role_arn": interfaces.principal, "service_account": "aws-node"}],
            tags=self._ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=may),
        )
        return [network, *(self._add_on(cluster, name, []) for name in ("eks-pod-identity-agent", "kube-proxy"))]

    def _add_on(self, cluster: aws.eks.Cluster, name: str, after: list[pulumi.Resource]) -> pulumi.Resource:
        """Software that EKS keeps on the cluster, in the version that it has as the default of the cluster's own."""
        return aws.eks.Addon(
            f"{self._name}-{name}",
            addon_name=name,
            cluster_name=cluster.name,
            tags=self._ctx.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )

    def _pods_identity(self, cluster: aws.eks.Cluster) -> pulumi.Resource:
        """The app's pods, and no others, run as the service's identity."""
        app = manifests.named(self._name)
        return aws.eks.PodIdentityAssociation(
            self._name,
            cluster_name=cluster.name,
            namespace=app,
            service_account=app,
            role_arn=self._container.runs_as.principal,
            tags=self._ctx.tags,
            opts=self._child,
        )

    def _app(self, cluster: aws.eks.Cluster, after: list[pulumi.Resource]) -> None:
        from infra.cluster_objects import apply  # noqa: PLC0415 - an SDK that the local environment has not

        objects = manifests.manifests(
            self._name,
            self._args.service,
            self._container.image.uri,
            self._ctx.tags,
            manifests.Platform(credentials=[POD_CREDENTIALS]),
        )
        apply(objects, kubeconfig(cluster, self._account.region), parent=self, after=after)


def node_count(copies: int, zones: int) -> int:
    """How many nodes hold so many copies, at least one in each zone."""
    return max(zones, math.ceil(copies / COPIES_A_NODE))


def kubeconfig(cluster: aws.eks.Cluster, region: str) -> pulumi.Output[str]:
    """How a client reaches the cluster, without a secret: its token is asked for with the caller's own credentials."""
    token = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["eks", "get-token", "--region", region, "--cluster-name", cluster.name],
        "interactiveMode": "Never",
    }
    authority = cluster.certificate_authority.apply(lambda authority: authority.data or "")
    return pulumi.Output.json_dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "eks",
            "contexts": [{"name": "eks", "context": {"cluster": "eks", "user": "eks"}}],
            "clusters": [
                {"name": "eks", "cluster": {"server": cluster.endpoint, "certificate-authority-data": authority}}
            ],
            "users": [{"name": "eks", "user": {"exec": token}}],
        }
    )
