"""AWS as one of the clouds: the provider, and the parts by their neutral names."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.api import Api
from infra.aws.args import AwsArgs
from infra.aws.deployer import Deployer
from infra.aws.file_system import FileSystem
from infra.aws.identity import Identity
from infra.aws.job import Job
from infra.aws.keys import Key
from infra.aws.kubernetes import Kubernetes
from infra.aws.names import Account
from infra.aws.network import Network
from infra.aws.registry import Registry
from infra.aws.service import Service
from infra.aws.store import Second, Store
from infra.aws.trainer import Trainer
from infra.aws.watch import Log, Watch
from infra.aws.workflow import Workflow
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
    WatchArgs,
    WorkflowArgs,
    Workload,
)
from infra.shape import Key as AnyKey
from infra.shape import Network as AnyNetwork

# The services that the parts call: an emulator must answer for each of them.
SERVICES = (
    "acm",
    "apigatewayv2",
    "appautoscaling",
    "autoscaling",
    "budgets",
    "cloudtrail",
    "cloudwatch",
    "dynamodb",
    "ec2",
    "ecr",
    "ecs",
    "efs",
    "eks",
    "elbv2",
    "events",
    "iam",
    "kms",
    "lambda_",
    "logs",
    "route53",
    "s3",
    "scheduler",
    "sfn",
    "sns",
    "sts",
    "wafv2",
)


@dataclass(frozen=True)
class Parts:
    """The parts of one environment in one account and region."""

    args: AwsArgs
    account: Account
    ctx: Context
    opts: pulumi.ResourceOptions
    second: Second | None = None

    def network(self, addresses: str, callers: tuple[str, ...], key: AnyKey) -> Network:
        """The private network with this range of addresses (CIDR); `key` encrypts the record of its flows."""
        flow_log = Log("flow", key, ctx=self.ctx, opts=self.opts)
        return Network(
            addresses, callers, flow_log, self.args.zones, account=self.account, ctx=self.ctx, opts=self.opts
        )

    def key(self, purpose: KeyPurpose) -> Key:
        """The encryption key of a purpose."""
        return Key(purpose, account=self.account, ctx=self.ctx, opts=self.opts)

    def store(self, purpose: Purpose, args: StoreArgs) -> Store:
        """The bucket of a purpose. Raises Unsupported if access logs are to be locked."""
        return Store(purpose, args, self.second, account=self.account, ctx=self.ctx, opts=self.opts)

    def registry(self, name: str, key: AnyKey) -> Registry:
        """The registry of one app's images."""
        return Registry(name, key, ctx=self.ctx, opts=self.opts)

    def identity(self, name: str, runs_on: Workload) -> Identity:
        """The identity of one workload, which may do nothing until something is granted to it."""
        return Identity(name, runs_on, account=self.account, ctx=self.ctx, opts=self.opts)

    def service(self, name: str, args: ServiceArgs) -> Service:
        """The app as a service over all zones of its network."""
        return Service(name, args, self.args, account=self.account, ctx=self.ctx, opts=self.opts)

    def file_system(self, name: str, network: AnyNetwork, key: AnyKey) -> FileSystem:
        """A shared file system with a door in every zone of the network."""
        return FileSystem(name, network, key, ctx=self.ctx, opts=self.opts)

    def trainer(self, name: str, args: TrainerArgs) -> Trainer:
        """Machines to train on, spot wherever one can be had."""
        return Trainer(name, args, account=self.account, ctx=self.ctx, opts=self.opts)

    def kubernetes(self, name: str, args: KubernetesArgs) -> Kubernetes:
        """The app on a managed cluster."""
        return Kubernetes(name, args, self.args.endpoint, account=self.account, ctx=self.ctx, opts=self.opts)

    def api(self, name: str, args: ApiArgs) -> Api:
        """The app as functions behind a gateway."""
        return Api(name, args, account=self.account, ctx=self.ctx, opts=self.opts)

    def job(self, name: str, args: JobArgs) -> Job:
        """A container that people start."""
        return Job(name, args, account=self.account, ctx=self.ctx, opts=self.opts)

    def workflow(self, name: str, args: WorkflowArgs) -> Workflow:
        """Steps that run by themselves."""
        return Workflow(name, args, account=self.account, ctx=self.ctx, opts=self.opts)

    def watch(self, args: WatchArgs) -> Watch:
        """Dashboard, alerts, budget and audit trail."""
        return Watch(args, account=self.account, ctx=self.ctx, opts=self.opts)

    def deployer(self, args: DeployerArgs) -> Deployer:
        """The identities of continuous delivery."""
        return Deployer(args, account=self.account, ctx=self.ctx, opts=self.opts)


@dataclass(frozen=True)
class Aws:
    """One region of one account: the one whose credentials the program is run with."""

    ctx: Context
    args: AwsArgs
    name: str = "aws"

    def parts(self, parent: pulumi.Resource) -> Parts:
        """The parts, under an explicit provider: nothing depends on what a machine happens to default to."""
        provider = self._provider(self.name, self.args.region, parent)
        replica = self.args.replica_region
        caller = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(provider=provider))
        return Parts(
            self.args,
            Account(caller.account_id, self.args.region),
            self.ctx,
            pulumi.ResourceOptions(parent=parent, providers=[provider]),
            Second(replica, self._provider(f"{self.name}-replica", replica, parent)) if replica else None,
        )

    def _provider(self, name: str, region: str, parent: pulumi.Resource) -> aws.Provider:
        emulator = self.args.endpoint and dict.fromkeys(SERVICES, self.args.endpoint)
        return aws.Provider(
            name,
            region=region,
            endpoints=[aws.ProviderEndpointArgs(**emulator)] if emulator else None,
            s3_use_path_style=True if emulator else None,  # no name server knows the buckets of an emulator
            opts=pulumi.ResourceOptions(parent=parent),
        )
