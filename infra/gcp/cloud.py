"""GCP as one of the clouds: the provider, and the parts by their neutral names."""

from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from infra.context import Context
from infra.gcp.api import Api
from infra.gcp.args import GcpArgs
from infra.gcp.deployer import Deployer
from infra.gcp.file_system import FileSystem
from infra.gcp.identity import Identity
from infra.gcp.job import Job
from infra.gcp.keys import Key
from infra.gcp.kubernetes import Kubernetes
from infra.gcp.names import Account
from infra.gcp.network import Network, flows
from infra.gcp.registry import Registry
from infra.gcp.service import Service
from infra.gcp.store import Store
from infra.gcp.trainer import Trainer
from infra.gcp.watch import Log, Watch
from infra.gcp.workflow import Workflow
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
    WatchArgs,
    WorkflowArgs,
    Workload,
)
from infra.shape import Key as AnyKey
from infra.shape import Network as AnyNetwork

# The services that the parts call: their APIs are switched on with the first of them, and stay on.
SERVICES = (
    "apigateway",
    "artifactregistry",
    "billingbudgets",
    "binaryauthorization",
    "certificatemanager",
    "cloudkms",
    "cloudresourcemanager",
    "cloudscheduler",
    "compute",
    "container",
    "containerscanning",
    "dns",
    "eventarc",
    "file",
    "firestore",
    "iam",
    "iamcredentials",
    "logging",
    "monitoring",
    "pubsub",
    "run",
    "servicecontrol",
    "servicemanagement",
    "storage",
    "sts",
    "workflowexecutions",
    "workflows",
)


@dataclass(frozen=True)
class Parts:
    """The parts of one environment in one project and region."""

    args: GcpArgs
    account: Account
    ctx: Context
    opts: pulumi.ResourceOptions

    def network(self, addresses: str, callers: tuple[str, ...], key: AnyKey) -> Network:
        """The private network with this range of addresses (CIDR); `key` encrypts the record of its flows."""
        flow_log = Log("flow", key, flows(self.ctx), account=self.account, ctx=self.ctx, opts=self.opts)
        return Network(addresses, callers, flow_log, account=self.account, ctx=self.ctx, opts=self.opts)

    def key(self, purpose: KeyPurpose) -> Key:
        """The encryption key of a purpose."""
        return Key(purpose, account=self.account, ctx=self.ctx, opts=self.opts)

    def store(self, purpose: Purpose, args: StoreArgs) -> Store:
        """The bucket of a purpose."""
        return Store(purpose, args, self.args.replica_region, account=self.account, ctx=self.ctx, opts=self.opts)

    def registry(self, name: str, key: AnyKey) -> Registry:
        """The registry of one app's images."""
        return Registry(name, key, account=self.account, ctx=self.ctx, opts=self.opts)

    def identity(self, name: str, runs_on: Workload) -> Identity:
        """The identity of one workload."""
        return Identity(name, runs_on, account=self.account, ctx=self.ctx, opts=self.opts)

    def service(self, name: str, args: ServiceArgs) -> Service:
        """The app as a service over all zones of its network."""
        return Service(name, args, self.args.managed_zone, account=self.account, ctx=self.ctx, opts=self.opts)

    def file_system(self, name: str, network: AnyNetwork, key: AnyKey) -> FileSystem:
        """A shared file system with one address for every zone of the network."""
        return FileSystem(name, network, key, account=self.account, ctx=self.ctx, opts=self.opts)

    def trainer(self, name: str, args: TrainerArgs) -> Trainer:
        """Machines to train on, spot wherever one can be had."""
        return Trainer(name, args, self.args.zones, account=self.account, ctx=self.ctx, opts=self.opts)

    def kubernetes(self, name: str, args: KubernetesArgs) -> Kubernetes:
        """The app on a managed cluster."""
        return Kubernetes(name, args, self.args.zones, account=self.account, ctx=self.ctx, opts=self.opts)

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
        """The identities of continuous delivery."""
        return Deployer(args, self.args.projects, account=self.account, ctx=self.ctx, opts=self.opts)

    def watch(self, args: WatchArgs) -> Watch:
        """Dashboard, alerts, budget and audit trail."""
        return Watch(args, self.args.billing_account, account=self.account, ctx=self.ctx, opts=self.opts)


@dataclass(frozen=True)
class Gcp:
    """One region of one project."""

    ctx: Context
    args: GcpArgs
    name: str = "gcp"

    def parts(self, parent: pulumi.Resource) -> Parts:
        """The parts, under an explicit provider: nothing depends on what a machine happens to default to.

        Nothing is made under it before the APIs are on, which takes a provider of its own.
        """
        child = pulumi.ResourceOptions(parent=parent)
        switch = gcp.Provider(f"{self.name}-services", project=self.args.project, opts=child)
        apis = [
            gcp.projects.Service(
                service,
                project=self.args.project,
                service=f"{service}.googleapis.com",
                disable_on_destroy=False,  # another environment of the project may need it
                opts=pulumi.ResourceOptions(parent=parent, provider=switch),
            )
            for service in SERVICES
        ]
        provider = gcp.Provider(
            self.name,
            project=self.args.project,
            region=self.args.region,
            billing_project=self.args.project,
            user_project_override=True,  # the quota of budgets and of key use is this project's
            opts=pulumi.ResourceOptions(parent=parent, depends_on=apis),
        )
        return Parts(
            self.args,
            Account(self.args.project, self.args.project_number, self.args.region),
            self.ctx,
            pulumi.ResourceOptions(parent=parent, providers=[provider]),
        )
