"""A cloud, as the program sees it: its parts by their neutral names. What each is and takes: infra/shape.py."""

from typing import Protocol

import pulumi

from infra.shape import (
    Api,
    ApiArgs,
    Deployer,
    DeployerArgs,
    FileSystem,
    Identity,
    Job,
    JobArgs,
    Key,
    KeyPurpose,
    Kubernetes,
    KubernetesArgs,
    Network,
    Purpose,
    Registry,
    Service,
    ServiceArgs,
    Store,
    StoreArgs,
    Trainer,
    TrainerArgs,
    Watch,
    WatchArgs,
    Workflow,
    WorkflowArgs,
    Workload,
)


class Parts(Protocol):
    """The parts of one environment, or of a whole account (`deployer`), on one cloud."""

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

    def file_system(self, name: str, network: Network, key: Key) -> FileSystem:
        """A shared file system with a door in every zone of the network."""

    def trainer(self, name: str, args: TrainerArgs) -> Trainer:
        """Machines to train on, spot wherever one can be had."""

    def kubernetes(self, name: str, args: KubernetesArgs) -> Kubernetes:
        """The app on a managed cluster."""

    def api(self, name: str, args: ApiArgs) -> Api:
        """The app as functions behind a gateway."""

    def job(self, name: str, args: JobArgs) -> Job:
        """A container that people start; nothing starts it by itself."""

    def workflow(self, name: str, args: WorkflowArgs) -> Workflow:
        """Steps that run by themselves."""

    def watch(self, args: WatchArgs) -> Watch:
        """Dashboard, alerts, budget and audit trail."""

    def deployer(self, args: DeployerArgs) -> Deployer:
        """The identities of continuous delivery."""


class Cloud(Protocol):
    """One cloud that the settings choose."""

    @property
    def name(self) -> str:
        """Its name in settings, outputs and resource names."""

    def parts(self, parent: pulumi.Resource) -> Parts:
        """Its parts, each a child of `parent`."""
