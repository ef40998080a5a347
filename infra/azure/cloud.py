"""Azure as one of the clouds: the provider, the resource group, and the parts by their neutral names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pulumi
import pulumi_azure_native as azure
from pulumi_azure_native import resources

from infra.azure.api import Api
from infra.azure.args import AzureArgs
from infra.azure.deployer import Deployer
from infra.azure.file_system import FileSystem
from infra.azure.identity import Identity
from infra.azure.job import Job
from infra.azure.keys import Key
from infra.azure.names import RESOURCE_GROUP, Account
from infra.azure.network import Network
from infra.azure.registry import Registry
from infra.azure.service import Service
from infra.azure.store import Store
from infra.azure.trainer import Trainer
from infra.azure.watch import Log, Watch
from infra.azure.workflow import Workflow
from infra.context import Context
from infra.shape import (
    ApiArgs,
    DeployerArgs,
    JobArgs,
    KeyPurpose,
    KubernetesArgs,
    Purpose,
    ServiceArgs,
    StoreArgs,
    TrainerArgs,
    Unsupported,
    WatchArgs,
    WorkflowArgs,
    Workload,
)
from infra.shape import Key as AnyKey
from infra.shape import Network as AnyNetwork

if TYPE_CHECKING:
    from infra.azure.kubernetes import Kubernetes

ACCOUNT = "bootstrap"  # how the names of stacks begin that are of a whole account


@dataclass
class Parts:
    """The parts of one environment in one resource group.

    What is made after the network gets a private endpoint in it: nothing could reach it otherwise. The use of all keys
    is part of the audit trail.
    """

    args: AzureArgs
    account: Account
    ctx: Context
    opts: pulumi.ResourceOptions
    inside: Network | None = field(default=None, init=False)
    keys: list[Key] = field(default_factory=list, init=False)

    def network(self, addresses: str, callers: tuple[str, ...], key: AnyKey) -> Network:
        """The private network with this range of addresses (CIDR); `key` encrypts the record of its flows."""
        log = Log("log", key, account=self.account, ctx=self.ctx, opts=self.opts)
        flows = Store("flows", StoreArgs(key), None, None, account=self.account, ctx=self.ctx, opts=self.opts)
        self.inside = Network(addresses, callers, log, flows, account=self.account, ctx=self.ctx, opts=self.opts)
        return self.inside

    def key(self, purpose: KeyPurpose) -> Key:
        """The encryption key of a purpose."""
        self.keys.append(Key(purpose, account=self.account, ctx=self.ctx, opts=self.opts))
        return self.keys[-1]

    def store(self, purpose: Purpose, args: StoreArgs) -> Store:
        """The bucket of a purpose."""
        door, replica = self.inside, self.args.replica_location
        if door is None and purpose != "state":
            raise Unsupported("azure: a bucket is reached through the network alone; make the network first.")
        return Store(purpose, args, door, replica, account=self.account, ctx=self.ctx, opts=self.opts)

    def registry(self, name: str, key: AnyKey) -> Registry:
        """The registry of one app's images."""
        return Registry(name, key, self.inside, account=self.account, ctx=self.ctx, opts=self.opts)

    def identity(self, name: str, runs_on: Workload) -> Identity:
        """The identity of one workload."""
        return Identity(name, runs_on, account=self.account, ctx=self.ctx, opts=self.opts)

    def service(self, name: str, args: ServiceArgs) -> Service:
        """The app as a service."""
        return Service(name, args, self.args, account=self.account, ctx=self.ctx, opts=self.opts)

    def file_system(self, name: str, network: AnyNetwork, key: AnyKey) -> FileSystem:
        """A shared file system with a door in the network."""
        return FileSystem(name, network, key, account=self.account, ctx=self.ctx, opts=self.opts)

    def trainer(self, name: str, args: TrainerArgs) -> Trainer:
        """Machines to train on, spot wherever one can be had."""
        return Trainer(name, args, account=self.account, ctx=self.ctx, opts=self.opts)

    def watch(self, args: WatchArgs) -> Watch:
        """Dashboard, alerts, budget and audit trail."""
        since = self.args.budget_since
        if since is None:
            raise Unsupported(
                "azure: a budget begins with a month; name the one in which it is made: azure.budgetSince."
            )
        return Watch(args, self.keys, since, account=self.account, ctx=self.ctx, opts=self.opts)

    def kubernetes(self, name: str, args: KubernetesArgs) -> Kubernetes:
        """The app on a managed cluster."""
        from infra.azure.kubernetes import Kubernetes  # noqa: PLC0415 - brings another SDK: only if asked for

        return Kubernetes(name, args, account=self.account, ctx=self.ctx, opts=self.opts)

    def api(self, name: str, args: ApiArgs) -> Api:
        """The app as functions behind a gateway."""
        return Api(name, args, account=self.account, ctx=self.ctx, opts=self.opts)

    def job(self, name: str, args: JobArgs) -> Job:
        """A container that people start."""
        return Job(name, args, account=self.account, ctx=self.ctx, opts=self.opts)

    def workflow(self, name: str, args: WorkflowArgs) -> Workflow:
        """Steps that run by themselves."""
        return Workflow(name, args, account=self.account, ctx=self.ctx, opts=self.opts)

    def deployer(self, args: DeployerArgs) -> Deployer:
        """The identities of continuous delivery, and the groups that they deploy to."""
        zone = self.account.id_in(self.args.dns_group, "Microsoft.Network/dnszones", self.args.dns_zone)
        return Deployer(args, zone, self.args.certificates, account=self.account, ctx=self.ctx, opts=self.opts)


@dataclass(frozen=True)
class Azure:
    """One region of one subscription: those of the settings, whatever a machine happens to be logged in to."""

    ctx: Context
    args: AzureArgs
    name: str = "azure"

    def parts(self, parent: pulumi.Resource) -> Parts:
        """The parts, under an explicit provider and in a resource group of their own."""
        provider = azure.Provider(
            self.name,
            subscription_id=self.args.subscription,
            tenant_id=self.args.tenant,
            location=self.args.location,
            disable_pulumi_partner_id=True,  # whose tool it was is nobody's business
            opts=pulumi.ResourceOptions(parent=parent),
        )
        group, group_id = self._group(parent, provider)
        account = Account(
            self.args.subscription, self.args.tenant, group, group_id, self.args.location, self.args.zones
        )
        return Parts(self.args, account, self.ctx, pulumi.ResourceOptions(parent=parent, providers=[provider]))

    def _group(
        self, parent: pulumi.Resource, provider: azure.Provider
    ) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """The name and the id of the resource group.

        Rights are given in a group, and so the stack of the account makes the groups of all environments: who deploys
        one of them may change what is in its group, and could not make it.
        """
        name = self.ctx.name("group", RESOURCE_GROUP)
        if not self.ctx.environment.startswith(ACCOUNT):
            given = f"/subscriptions/{self.args.subscription}/resourceGroups/{name}"
            return pulumi.Output.from_input(name), pulumi.Output.from_input(given)
        group = resources.ResourceGroup(
            "group",
            resource_group_name=name,
            location=self.args.location,
            tags=self.ctx.tags,
            opts=pulumi.ResourceOptions(parent=parent, provider=provider, protect=not self.ctx.disposable),
        )
        return group.name, group.id
