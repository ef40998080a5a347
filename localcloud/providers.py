"""Providers of packages: what the engine asks of one, and which one serves a resource."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Protocol, cast

from localcloud import dynamic
from localcloud.errors import LocalcloudError, UnsupportedError
from localcloud.ledger import Ledger
from localcloud.monitor import Registration
from localcloud.project import Project
from localcloud.references import References
from localcloud.state import Resource
from localcloud.values import Properties, plain

PROVIDER_PREFIX = "pulumi:providers:"


class Change(Protocol):
    """A provider's verdict on old and new inputs."""

    @property
    def changed(self) -> tuple[str, ...]: ...
    @property
    def replaces(self) -> tuple[str, ...]: ...
    @property
    def delete_before_replace(self) -> bool: ...


class Provider(Protocol):
    """What the engine asks of a package's provider; `localcloud.aws.provider.Provider` is one. Values are plain."""

    def supports(self, token: str, /) -> bool: ...
    def check(self, token: str, urn: str, inputs: Properties, old_inputs: Properties | None, /) -> Properties: ...
    def diff(self, token: str, old_inputs: Properties, new_inputs: Properties, /) -> Change: ...
    def create(self, token: str, urn: str, inputs: Properties, /) -> str: ...
    def read(self, token: str, id_: str, inputs: Properties, /) -> tuple[Properties, Properties] | None: ...
    def update(self, token: str, id_: str, old_inputs: Properties, new_inputs: Properties, /) -> None: ...
    def delete(self, token: str, id_: str, inputs: Properties, /) -> None: ...
    def find(self, token: str, urn: str, inputs: Properties, known: frozenset[str], /) -> str | None: ...
    def invoke(self, token: str, arguments: Properties, /) -> Properties: ...


ProviderFactory = Callable[[Properties], Provider]


class Providers:
    """The providers of one run, made when first needed from the program's provider resources or, for a package
    without one, from the stack's configuration (its default provider)."""

    def __init__(self, ledger: Ledger, factories: Mapping[str, ProviderFactory], project: Project) -> None:
        self._ledger = ledger
        built_in: dict[str, ProviderFactory] = {
            "pulumi": lambda _inputs: cast("Provider", References(project)),
            dynamic.PACKAGE: lambda _inputs: dynamic.Dynamic(project, ledger.rows),
        }
        self._factories = built_in | dict(factories)
        self._project = project
        self._made: dict[str, Provider] = {}
        self._lock = threading.RLock()

    def configure(self, reference: str, inputs: Properties) -> Provider:
        package = reference.split("::")[2].rpartition("$")[2].removeprefix(PROVIDER_PREFIX)
        factory = self._factories.get(package)
        if factory is None:
            raise UnsupportedError(
                f"localcloud has no provider for the package {package!r} "
                f"(it has: {', '.join(sorted(self._factories))}). "
                "Such resources can be planned (`python -m localcloud plan`), not applied."
            )
        with self._lock:
            self._made[reference] = factory(plain(inputs))
            return self._made[reference]

    def serving(self, registration: Registration) -> tuple[Provider, str]:
        package = registration.type.split(":", 1)[0]
        reference = registration.provider or self.default(package)
        provider = self.get(reference)
        if not provider.supports(registration.type):
            raise UnsupportedError(
                f"{registration.where}: localcloud cannot apply this type. "
                "It can be planned, or applied by the Pulumi CLI."
            )
        return provider, reference

    def get(self, reference: str) -> Provider:
        """The provider of a reference `URN::id`: of this run or, for what is no longer declared, of the state."""
        with self._lock:
            if reference in self._made:
                return self._made[reference]
        row = self._ledger.find(reference.rpartition("::")[0])
        if row is None:
            raise LocalcloudError(f"The provider {reference} is in neither the program nor the state.")
        return self.configure(reference, row.inputs)

    def default(self, package: str) -> str:
        """The reference of the package's default provider, made from the stack's configuration when first asked for."""
        urn = f"urn:pulumi:{self._project.stack}::{self._project.name}::{PROVIDER_PREFIX}{package}::default"
        reference = f"{urn}::{uuid.uuid5(uuid.NAMESPACE_URL, urn)}"
        with self._lock:
            if reference not in self._made:
                inputs: Properties = {
                    key.partition(":")[2]: value
                    for key, value in self._project.config.items()
                    if key.startswith(f"{package}:")
                }
                self.configure(reference, inputs)
                id_ = reference.rpartition("::")[2]
                row = Resource(urn, PROVIDER_PREFIX + package, custom=True, id=id_, inputs=inputs, outputs=inputs)
                self._ledger.keep(row, self._ledger.claim((urn,), urn))
        return reference
