"""AWS as one of the clouds: the provider, and the parts by their neutral names."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.args import AwsArgs
from infra.aws.identity import Identity
from infra.aws.keys import Key
from infra.aws.names import Account
from infra.aws.network import Network
from infra.aws.registry import Registry
from infra.aws.service import Service
from infra.aws.store import Store
from infra.aws.watch import Log
from infra.context import Context
from infra.shape import Key as AnyKey
from infra.shape import KeyPurpose, Purpose, ServiceArgs, StoreArgs, Workload

# The services that the parts call: an emulator must answer for each of them.
SERVICES = (
    "acm",
    "appautoscaling",
    "cloudwatch",
    "ec2",
    "ecr",
    "ecs",
    "elbv2",
    "iam",
    "kms",
    "logs",
    "route53",
    "s3",
    "sts",
)


@dataclass(frozen=True)
class Parts:
    """The parts of one environment in one account and region."""

    args: AwsArgs
    account: Account
    ctx: Context
    opts: pulumi.ResourceOptions

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
        """The bucket of a purpose."""
        return Store(purpose, args, account=self.account, ctx=self.ctx, opts=self.opts)

    def registry(self, name: str, key: AnyKey) -> Registry:
        """The registry of one app's images."""
        return Registry(name, key, ctx=self.ctx, opts=self.opts)

    def identity(self, name: str, runs_on: Workload) -> Identity:
        """The identity of one workload."""
        return Identity(name, runs_on, account=self.account, ctx=self.ctx, opts=self.opts)

    def service(self, name: str, args: ServiceArgs) -> Service:
        """The app as a service."""
        return Service(name, args, self.args.hosted_zone, account=self.account, ctx=self.ctx, opts=self.opts)


@dataclass(frozen=True)
class Aws:
    """One region of one account: the one whose credentials the program is run with."""

    ctx: Context
    args: AwsArgs
    name: str = "aws"

    def parts(self, parent: pulumi.Resource) -> Parts:
        """The parts, under an explicit provider: nothing depends on what a machine happens to default to."""
        emulator = self.args.endpoint and dict.fromkeys(SERVICES, self.args.endpoint)
        provider = aws.Provider(
            self.name,
            region=self.args.region,
            endpoints=[aws.ProviderEndpointArgs(**emulator)] if emulator else None,
            s3_use_path_style=True if emulator else None,  # no name server knows the buckets of an emulator
            opts=pulumi.ResourceOptions(parent=parent),
        )
        caller = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(provider=provider))
        return Parts(
            self.args,
            Account(caller.account_id, self.args.region),
            self.ctx,
            pulumi.ResourceOptions(parent=parent, providers=[provider]),
        )
