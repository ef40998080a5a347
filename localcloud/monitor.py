"""Hands each request of a Pulumi program, made through the official SDK, to a host.

The monitor serves the SDK's ResourceMonitor and Engine interfaces, in-process or over gRPC: it decodes, names (URNs,
aliases), refuses what localcloud does not support, and leaves what a registration means to its `Host`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, resource_pb2

from localcloud import refusals
from localcloud.callbacks import Callbacks, bound
from localcloud.errors import LocalcloudError
from localcloud.project import Project
from localcloud.values import UNKNOWN, Properties, decode, decode_one, encode

STACK_TYPE = "pulumi:pulumi:Stack"
FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_INVOKE_TRANSFORMS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
    # Announced so that a program that uses one where it cannot be honoured is refused here, by type, name and line.
    resource_pb2.RESOURCE_MONITOR_FEATURE_PARAMETERIZATION,
    resource_pb2.RESOURCE_MONITOR_FEATURE_STATE_MIGRATIONS,
)


@dataclass(frozen=True)
class Registration:
    """One resource as the program declares it.

    options: those that are not the default, by the names of Pulumi's state format (protect, ignoreChanges, …).
    aliases: URNs under which an older state may hold the resource.
    hooks: names of the program's hooks by when they run (`BeforeCreate`, …).
    trigger: a value that asks for a replacement when it changes (`replacement_trigger`); None where there is none.
    remote: a component whose inside is made by a plugin in another language.
    source_file, source_line: where the program declares it; the file is absolute, or "" when unknown.
    """

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    provider: str
    inputs: Properties
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    hooks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    trigger: Any = None
    remote: bool = False
    source_file: str = ""
    source_line: int = 0

    @property
    def where(self) -> str:
        """`type name (file:line)`, for messages."""
        place = f" ({self.source_file}:{self.source_line})" if self.source_file else ""
        return f"{self.type} {self.name!r}{place}"


class Host(Protocol):
    """What a plan or an engine makes of a program's requests. Calls come from many threads at once.

    stopping: set once nothing new is to begin, by the first error or by Ctrl-C.
    planning: nothing is ever applied, so that what only matters to `up` need not be honoured.
    callbacks: the program's, set by the monitor.
    """

    stopping: threading.Event
    planning: bool
    callbacks: Callbacks

    def register(self, registration: Registration) -> tuple[str, Properties]:
        """The id ("" while unknown) and outputs of a resource that the program declares."""

    def read(self, registration: Registration, id_: str) -> tuple[str, Properties]:
        """The id and outputs of a resource that exists already (`Type.get(...)`)."""

    def invoke(self, token: str, arguments: Properties, provider: str) -> Properties:
        """The result of a provider's function."""

    def outputs(self, urn: str, outputs: Properties) -> None:
        """Takes the outputs of a component or of the stack."""


# Looks at a custom resource's inputs before its step, may refuse it by raising, and returns the inputs to use.
Inspect = Callable[[Registration, Properties], Properties]


class Monitor:
    """The SDK's ResourceMonitor over a Host. The first error that a host raised is kept in `error`."""

    def __init__(self, host: Host, project: Project, *, dry_run: bool) -> None:
        self.host = host
        self.project = project
        self.dry_run = dry_run
        self.error: BaseException | None = None
        self.at_end: Callable[[], None] = lambda: None
        self.callbacks = Callbacks(project, dry_run or host.planning)
        host.callbacks = self.callbacks
        self._component_providers: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        self._declared: dict[str, str] = {}
        self._aliases: dict[str, tuple[str, ...]] = {}

    # The SDK's interface; its method names are those of the protocol.

    def SupportsFeature(self, _request: Any, _context: Any = None) -> Any:  # noqa: N802 - protocol
        return resource_pb2.SupportsFeatureResponse(hasSupport=True)

    def GetDeploymentInfo(self, _request: Any, _context: Any = None) -> Any:  # noqa: N802 - protocol
        return resource_pb2.DeploymentInfo(
            project=self.project.name,
            stack=self.project.stack,
            organization="organization",
            config=self.project.config,
            configSecretKeys=sorted(self.project.secret_keys),
            dryRun=self.dry_run,
            supportedFeatures=FEATURES,
        )

    def RegisterResource(self, request: Any, context: Any = None) -> Any:  # noqa: N802 - protocol
        def act() -> Any:
            made = self._with_provider(self.callbacks.transformed(request))
            registration = self._registration(made)
            refusals.refuse(registration.where, made, planning=self.host.planning)
            self._claim(registration)
            self.callbacks.inherit(registration.urn, made)
            self.project.mask.learn([registration.inputs, registration.trigger])
            id_, outputs = self.host.register(registration)
            self.project.mask.learn(outputs)
            answered = registration.custom or registration.remote
            return resource_pb2.RegisterResourceResponse(
                urn=registration.urn, id=id_, object=encode(outputs) if answered else None
            )

        return self._guarded(act, context)

    def ReadResource(self, request: Any, context: Any = None) -> Any:  # noqa: N802 - protocol
        def act() -> Any:
            registration = self._registration(request)
            self._claim(registration)
            id_, outputs = self.host.read(registration, request.id)
            self.project.mask.learn(outputs)
            # Outside a preview the SDK takes an unknown value for None, unless it is left out of such an answer.
            known = {name: value for name, value in outputs.items() if value is not UNKNOWN}
            return resource_pb2.ReadResourceResponse(
                urn=registration.urn, id=id_, properties=encode(known), unknown=len(known) < len(outputs)
            )

        return self._guarded(act, context)

    def Invoke(self, request: Any, context: Any = None) -> Any:  # noqa: N802 - protocol
        def act() -> Any:
            arguments, provider = self.callbacks.invoke_transformed(request.tok, request.args, request.provider)
            result = self.host.invoke(request.tok, decode(arguments), provider)
            return resource_pb2.ResourceInvokeResponse(**{"return": encode(result)})

        return self._guarded(act, context)

    def Call(self, request: Any, context: Any = None) -> Any:  # noqa: N802 - protocol
        def act() -> Any:
            refusals.refuse_call("Call", request.tok, planning=self.host.planning)
            result = self.host.invoke(request.tok, decode(request.args), request.provider)
            return provider_pb2.CallResponse(**{"return": encode(result)})

        return self._guarded(act, context)

    def RegisterPackage(self, request: Any, context: Any = None) -> Any:  # noqa: N802 - protocol
        def act() -> Any:
            refusals.refuse_call("RegisterPackage", request.name, planning=self.host.planning)
            return resource_pb2.RegisterPackageResponse(ref=request.name)

        return self._guarded(act, context)

    def ExistsResource(self, request: Any, context: Any = None) -> Any:  # noqa: N802 - protocol
        return self._guarded(
            lambda: refusals.refuse_call("ExistsResource", request.type, planning=self.host.planning), context
        )

    def RegisterStackTransform(self, request: Any, _context: Any = None) -> Any:  # noqa: N802 - protocol
        self.callbacks.add_stack_transform(request)
        return empty_pb2.Empty()

    def RegisterStackInvokeTransform(self, request: Any, _context: Any = None) -> Any:  # noqa: N802 - protocol
        self.callbacks.add_invoke_transform(request)
        return empty_pb2.Empty()

    def RegisterResourceHook(self, request: Any, context: Any = None) -> Any:  # noqa: N802 - protocol
        def act() -> Any:
            self.callbacks.add_hook(request)
            return empty_pb2.Empty()

        return self._guarded(act, context)

    RegisterErrorHook = RegisterResourceHook  # a hook that is called with what failed

    def RegisterResourceOutputs(self, request: Any, context: Any = None) -> Any:  # noqa: N802 - protocol
        def act() -> Any:
            outputs = decode(request.outputs)
            self.project.mask.learn(outputs)
            self.host.outputs(request.urn, outputs)
            return empty_pb2.Empty()

        return self._guarded(act, context)

    def SignalAndWaitForShutdown(self, _request: Any, context: Any = None) -> Any:  # noqa: N802 - protocol
        """The program has declared everything and stays alive for this call, so that hooks of deletions find it."""

        def act() -> Any:
            self.at_end()
            self.callbacks.close()
            return empty_pb2.Empty()

        return self._guarded(act, context)

    def _guarded(self, act: Callable[[], Any], context: Any) -> Any:
        try:
            return act()
        except BaseException as error:
            with self._lock:
                self.error = self.error or error
            self.host.stopping.set()
            if context is not None:
                import grpc  # noqa: PLC0415 - only a program in another process comes over gRPC

                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise

    def _claim(self, registration: Registration) -> None:
        with self._lock:
            place = f"{registration.source_file}:{registration.source_line}"
            first = self._declared.setdefault(registration.urn, place)
            known = registration.urn in self._aliases
            self._aliases[registration.urn] = registration.aliases
        if known:
            raise LocalcloudError(
                f"{registration.where} is declared twice: its name is taken by the one of {first}. Rename one of them."
            )

    def _with_provider(self, request: Any) -> Any:
        """The request with the provider that a transform gave to a component above it, where it has none itself."""
        with self._lock:
            inherited = self._component_providers.get(request.parent, {})
            if not request.custom:
                urn = self._urn(request.parent, request.type, request.name)
                self._component_providers[urn] = inherited | dict(request.providers)
        package = request.type.partition(":")[0]
        if request.custom and not request.provider and (found := inherited.get(package)):
            request.provider = found
        return request

    def _registration(self, request: Any) -> Registration:
        urn = self._urn(request.parent, request.type, request.name)
        position = request.sourcePosition
        reading = isinstance(request, resource_pb2.ReadResourceRequest)
        return Registration(
            urn=urn,
            type=request.type,
            name=request.name,
            parent=request.parent,
            custom=reading or request.custom,
            provider=request.provider,
            inputs=decode(request.properties if reading else request.object),
            dependencies=tuple(sorted(request.dependencies)),
            property_dependencies={}
            if reading
            else {name: tuple(sorted(row.urns)) for name, row in sorted(request.propertyDependencies.items())},
            options={} if reading else options_of(request),
            aliases=() if reading else self._alias_urns(request),
            hooks={} if reading else bound(request),
            trigger=None if reading else decode_one(request.replacement_trigger),
            remote=False if reading else request.remote,
            source_file=unquote(urlsplit(position.uri).path),
            source_line=position.line,
        )

    def _urn(self, parent: str, type_: str, name: str, *, stack: str = "", project: str = "") -> str:
        qualified = type_
        if parent:
            parent_type = parent.split("::")[2]
            if parent_type != STACK_TYPE:
                qualified = f"{parent_type}${type_}"
        return f"urn:pulumi:{stack or self.project.stack}::{project or self.project.name}::{qualified}::{name}"

    def _alias_urns(self, request: Any) -> tuple[str, ...]:
        """Every URN that the resource may have had, its parent's former names included."""
        found: list[str] = list(request.aliasURNs)
        for alias in request.aliases:
            if alias.WhichOneof("alias") == "urn":
                found.append(alias.urn)
                continue
            spec = alias.spec
            parent = "" if spec.noParent else spec.parentUrn or request.parent
            found.append(
                self._urn(
                    parent,
                    spec.type or request.type,
                    spec.name or request.name,
                    stack=spec.stack,
                    project=spec.project,
                )
            )
        for parent in self._aliases.get(request.parent, ()):
            found.append(self._urn(parent, request.type, request.name))
        return tuple(dict.fromkeys(found))


UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def options_of(request: Any) -> dict[str, Any]:
    """The options of a RegisterResourceRequest that differ from the default, by the names of the state format."""
    timeouts = {
        name: seconds(getattr(request.customTimeouts, name))
        for name in ("create", "update", "delete")
        if getattr(request.customTimeouts, name)
    }
    found = {
        "protect": bool(request.protect),
        "retainOnDelete": bool(request.retainOnDelete),
        "ignoreChanges": list(request.ignoreChanges),
        "replaceOnChanges": list(request.replaceOnChanges),
        "deleteBeforeReplace": request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        "additionalSecretOutputs": list(request.additionalSecretOutputs),
        "importID": request.importId,
        "customTimeouts": timeouts,
        "deletedWith": request.deletedWith,
        "replaceWith": sorted(request.replace_with),
        "version": request.version,
        "pluginDownloadURL": request.pluginDownloadURL,
    }
    return {name: value for name, value in found.items() if value not in (None, False, "", [], {})} | (
        {"deleteBeforeReplace": False} if found["deleteBeforeReplace"] is False else {}
    )


def seconds(duration: str) -> float:
    """Seconds of a duration as Go writes it, such as `1h30m` or `1.5s`; the state keeps them as a number."""
    parts = re.findall(r"(\d+\.?\d*|\.\d+)(h|ms|us|µs|ns|m|s)", duration)
    if "".join(number + unit for number, unit in parts) != duration or not parts:
        raise LocalcloudError(f"{duration!r} is no duration. Write one as in 30s, 5m or 1h30m.")
    return sum(float(number) * UNITS[unit] for number, unit in parts)
