"""What every cloud offers: parts that say what they are for, hand out neutral values and grant by verbs.

Arguments state intent and know no cloud's words. What only one cloud has is an argument of that cloud's
own class (`infra/aws/args.py`), fed from its own section of the settings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import pulumi

# What a bucket is for: data sets and predictions; models; access logs (never locked); the audit trail (locked).
Purpose = Literal["data", "models", "logs", "audit"]
# Whose key it is: what people and models write, or what the platform writes down about them.
KeyPurpose = Literal["data", "logs"]
# What an identity's workload runs on: a container of the service, or a machine that trains.
Workload = Literal["container", "machine"]


class Unsupported(pulumi.RunError):
    """What was asked for is not to be had on this cloud; the message says what, where and what to do."""


class Network(Protocol):
    """A private network over several zones, with no way to the internet.

    `members` is what a workload wears to be let out to the cloud's own storage, registry and logs.
    `callers` are the networks (CIDR) from which its services may be called.
    """

    id: pulumi.Output[str]
    subnets: Sequence[pulumi.Output[str]]
    members: pulumi.Output[str]
    callers: tuple[str, ...]


class Key(Protocol):
    """A customer-managed encryption key that is rotated."""

    id: pulumi.Output[str]


class Identity(Protocol):
    """What a workload runs as: `workload` is its plain name, `principal` what the cloud calls it in a grant."""

    workload: str
    id: pulumi.Output[str]
    principal: pulumi.Output[str]


class Store(Protocol):
    """A bucket with a purpose. A grant includes the use of the bucket's key that it needs."""

    name: pulumi.Output[str]

    def uri(self, prefix: str = "") -> pulumi.Output[str]:
        """Where an app finds it, with the scheme of the cloud (`s3://bucket/prefix`)."""

    def grant_read(self, identity: Identity, prefix: str = "") -> None:
        """Let it list and read what lies under the prefix."""

    def grant_write(self, identity: Identity, prefix: str = "") -> None:
        """Let it put objects under the prefix; reading them is another grant, deleting is none."""


class Registry(Protocol):
    """Container images whose tags never move."""

    url: pulumi.Output[str]

    def image(self, release: str) -> "Image":
        """One image by its digest (`sha256:…`), never by a tag."""

    def grant_pull(self, identity: Identity) -> None:
        """Let it fetch images."""

    def grant_push(self, identity: Identity) -> None:
        """Let it add images; a tag that exists stays as it is."""


@dataclass(frozen=True)
class Image:
    """One image, and the registry that decides who may pull it."""

    uri: pulumi.Output[str]
    registry: Registry


@dataclass(frozen=True)
class Scale:
    """How many copies run, and the average CPU (percent) at which one is added or taken away."""

    minimum: int
    maximum: int
    cpu_out: int = 75
    cpu_in: int = 25


@dataclass(frozen=True)
class StoreArgs:
    """`locked_days`: for so many days nobody can change or delete an object."""

    key: Key
    logs_to: Store | None = None
    locked_days: int | None = None


@dataclass(frozen=True)
class ServiceArgs:
    """A container that answers HTTP on `port`, under `https://domain` for the callers of its network.

    It answers 200 on `/healthz` while it lives and on `/readyz` once it can serve.
    `key` encrypts what it logs; `environment` are its variables, beside PORT.
    """

    image: Image
    runs_as: Identity
    network: Network
    key: Key
    domain: str
    port: int
    scale: Scale
    environment: Mapping[str, pulumi.Input[str]]


class Service(Protocol):
    """A running service: its cluster and name to a deployment, its URL to a caller."""

    cluster: pulumi.Output[str]
    name: pulumi.Output[str]
    url: pulumi.Output[str]


class Parts(Protocol):
    """The parts of one environment on one cloud."""

    def network(self, addresses: str, callers: tuple[str, ...], key: Key) -> Network:
        """The private network with this range of addresses (CIDR); `key` encrypts the record of its flows."""

    def key(self, purpose: KeyPurpose) -> Key:
        """The encryption key of a purpose."""

    def store(self, purpose: Purpose, args: StoreArgs) -> Store:
        """The bucket of a purpose. Raises Unsupported if access logs are to be locked."""

    def registry(self, name: str, key: Key) -> Registry:
        """The registry of one app's images."""

    def identity(self, name: str, runs_on: Workload) -> Identity:
        """The identity of one workload, which may do nothing until something is granted to it."""

    def service(self, name: str, args: ServiceArgs) -> Service:
        """The app as a service over all zones of its network."""


class Cloud(Protocol):
    """One cloud that the settings choose."""

    @property
    def name(self) -> str:
        """Its name in settings, outputs and resource names."""

    def parts(self, parent: pulumi.Resource) -> Parts:
        """Its parts, each a child of `parent`."""
