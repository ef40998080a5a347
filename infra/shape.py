"""What every cloud offers: parts that say what they are for, hand out neutral values and grant by verbs.

Arguments state intent and know no cloud's words. What only one cloud has is an argument of that cloud's
own class (`infra/aws/args.py`), fed from its own section of the settings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Literal, Protocol, runtime_checkable

import pulumi

from infra.github import Repository

# What a bucket is for: data sets and predictions; models; access logs (never locked); the audit trail (locked);
# the state of the stacks.
Purpose = Literal["data", "models", "logs", "audit", "state"]
# Whose key it is: what people and models write, what the platform writes down about them, the secrets of stacks.
KeyPurpose = Literal["data", "logs", "state"]
# What an identity's workload runs on: a container, a machine that trains, or a function that is run per call.
Workload = Literal["container", "machine", "function"]
# What a machine computes with, chosen by need: no more than CPUs; one small GPU; one that large models fit in.
Accelerator = Literal["none", "gpu-small", "gpu-large"]


class Unsupported(pulumi.RunError):
    """What was asked for is not to be had on this cloud; the message says what, where and what to do."""


def closed(what: str, networks: Sequence[str]) -> tuple[str, ...]:
    """The networks (CIDR), each smaller than the whole internet. Raises Unsupported with a sentence if one is it."""
    for network in networks:
        if ip_network(network).prefixlen == 0:
            raise Unsupported(f"{what}: {network} is the whole internet; list the networks that you know.")
    return tuple(networks)


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

    def copy_uri(self, prefix: str = "") -> pulumi.Output[str] | None:
        """Where an app finds the copy in the second region, if what is erased here stays there until it is erased
        there as well; None where there is no copy, or the cloud keeps it as it is here."""

    def grant_write(self, identity: Identity, prefix: str = "") -> None:
        """Let it put objects under the prefix; reading them is another grant, deleting is none."""

    def grant_erase(self, identity: Identity, prefix: str) -> None:
        """Let it list and remove what lies under the prefix, with all versions, here and in the copy of `copy_uri`,
        where it may read and put objects as well. For who forgets people, and for nobody else."""


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
    """`locked_days`: for so many days nobody can change or delete an object. `replicated`: with a copy of every
    object in the second region of the cloud's own settings. `kept_days`, by prefix: what lies there goes after so many
    days with all its versions, in the copy too, and is gone for good when it is erased before. Raises Unsupported if
    it is to be locked as well."""

    key: Key
    logs_to: Store | None = None
    locked_days: int | None = None
    replicated: bool = False
    kept_days: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for prefix, days in self.kept_days.items():
            if not prefix.endswith("/") or days < 1:
                raise Unsupported(f"kept_days: {prefix!r}: {days} is no prefix with a slash at its end and days.")
        if self.locked_days and self.kept_days:
            raise Unsupported("A locked store keeps everything for its time; leave out locked_days or kept_days.")


@dataclass(frozen=True)
class Callers:
    """Who may call: from `networks` (CIDR), with a token that `issuer` (an OpenID Connect provider's https URL)
    signed for `audience`, and `per_minute` calls each at most."""

    networks: tuple[str, ...]
    issuer: str
    audience: str
    per_minute: int


@dataclass(frozen=True)
class Container:
    """What runs: an image by digest, the arguments of its entry point in place of its own, and its variables.

    `key` encrypts what it logs. `scratch` is the one directory that it may write to, of its own and gone with it; it
    belongs to the image's user in the image.
    """

    image: Image
    runs_as: Identity
    network: Network
    key: Key
    command: tuple[str, ...] = ()
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    scratch: str | None = None


@dataclass(frozen=True)
class ServiceArgs:
    """A container that answers HTTP on `port` (its variable PORT), under `https://domain` for its callers.

    It answers 200 on `/healthz` while it lives and on `/readyz` once it can serve.
    """

    container: Container
    callers: Callers
    domain: str
    port: int
    scale: Scale


class Service(Protocol):
    """A running service: where it runs (an ECS cluster, a Cloud Run location, a Container Apps environment) and
    its name to a deployment, its URL to a caller."""

    cluster: pulumi.Output[str]
    name: pulumi.Output[str]
    url: pulumi.Output[str]

    def grant_deploy(self, identity: Identity) -> None:
        """Let it replace the running copies by new ones; what they are and may do stays as it is."""


class FileSystem(Protocol):
    """Files that machines and functions of one network share, encrypted at rest and on the way."""

    id: pulumi.Output[str]

    def grant_mount(self, identity: Identity) -> None:
        """Let it mount the file system, and read and write files."""


@dataclass(frozen=True)
class Fleet:
    """Machines by need: from `on_demand`, which are never taken away, to `maximum`; those beyond are spot.

    A machine on which nothing has trained for `idle_minutes` shuts itself down.
    """

    accelerator: Accelerator = "none"
    maximum: int = 1
    on_demand: int = 0
    idle_minutes: int = 30


@dataclass(frozen=True)
class Access:
    """Who may come to the machines: SSH from `ssh_from` (CIDR) with the private half of `ssh_key`, and `ports`
    within the network. Raises Unsupported if `ssh_from` holds the whole internet."""

    ssh_key: str
    ssh_from: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        closed("ssh_from", self.ssh_from)


@dataclass(frozen=True)
class TrainerArgs:
    """Machines that run a container, with the shared file system mounted at /mnt/shared."""

    container: Container
    fleet: Fleet
    access: Access
    files: FileSystem


class Trainer(Protocol):
    """A group of machines that starts at its floor; whoever trains sets how many there are."""

    name: pulumi.Output[str]


@dataclass(frozen=True)
class KubernetesArgs:
    """The service's own container and numbers, on a managed cluster."""

    service: ServiceArgs


class Kubernetes(Protocol):
    """A managed cluster with the app on it."""

    name: pulumi.Output[str]


@dataclass(frozen=True)
class ApiArgs:
    """The same `/predict` without a server of its own: one run per call, each call stored in a table.

    The function's variable CALLS says which table, as a URL with the cloud's scheme, and CALLS_DAYS for how many days
    (`kept_days`) a call stays there; a table without a rule of age keeps it.
    """

    container: Container
    callers: Callers
    kept_days: int


class Api(Protocol):
    """A REST API: its URL, and the table that its calls are stored in, by its name and by its address (CALLS)."""

    url: pulumi.Output[str]
    table: pulumi.Output[str]
    calls: pulumi.Output[str]

    def grant_erase(self, identity: Identity) -> None:
        """Let it remove a call from the table by its id. For who forgets people, and for nobody else."""


@dataclass(frozen=True)
class Step:
    """One step of a workflow: a command of the workflow's container."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class WorkflowArgs:
    """Steps in order, then the replacement of the copies of `deploys`. The first failure ends it.

    Started by an object that lands under `prefix` in `starts_on`, and by `schedule` (cron, five fields, UTC).
    """

    container: Container
    steps: tuple[Step, ...]
    deploys: Service
    starts_on: Store
    prefix: str
    schedule: str


class Workflow(Protocol):
    """A workflow that runs by itself."""

    name: pulumi.Output[str]


@dataclass(frozen=True)
class JobArgs:
    """A container that runs to its end when somebody starts it, with arguments of theirs; where `beside` runs."""

    container: Container
    beside: Service


class Job(Protocol):
    """What is started, by its name."""

    name: pulumi.Output[str]


@dataclass(frozen=True)
class WatchArgs:
    """What is watched, and who is told: `owner` (an e-mail address) by alerts, which link to `runbook`, and when
    `budget` (US dollars a month) is about to be spent. The audit trail goes to `audit`."""

    service: Service
    workflow: Workflow
    audit: Store
    key: Key
    owner: str
    runbook: str
    budget: int


class Watch(Protocol):
    """The dashboard, for people: a URL."""

    dashboard: pulumi.Output[str]


@dataclass(frozen=True)
class DeployerArgs:
    """Who deploys: the repository's workflows, without a secret of their own, to each of the environments.

    `environments` has for each the one branch that it is deployed from.

    The plan identity may read, and use the key of the state; it changes nothing, not even a lock: Pulumi locks a
    stack to update, import, refresh and destroy it, and not to preview it (pulumi/pulumi, pkg/backend/diy/backend.go).
    An apply identity changes one environment.
    """

    repository: Repository
    environments: Mapping[str, str]
    state: Store
    key: Key


class Deployer(Protocol):
    """The principals that workflows name: that of plans, and that of each environment."""

    plan: pulumi.Output[str]
    apply: Mapping[str, pulumi.Output[str]]


@runtime_checkable
class Exchange(Protocol):
    """A deployer whose workflows also have to name where their token is exchanged: for `plan` and each environment."""

    providers: Mapping[str, pulumi.Output[str]]
