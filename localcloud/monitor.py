"""Runs a Pulumi program through the official SDK and hands each of its requests to a host.

The monitor serves the SDK's ResourceMonitor and Engine interfaces, in-process or over gRPC: it decodes, names (URNs,
aliases), refuses what localcloud does not support, and leaves what a registration means to its `Host`.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import pulumi
from google.protobuf import empty_pb2
from pulumi.runtime import config as pulumi_config
from pulumi.runtime import settings as pulumi_settings
from pulumi.runtime import stack as pulumi_stack
from pulumi.runtime.proto import engine_pb2, resource_pb2

from localcloud.errors import LocalcloudError, UnsupportedError
from localcloud.project import Project
from localcloud.values import Properties, decode, encode

STACK_TYPE = "pulumi:pulumi:Stack"
# One thread waits for each resource under way; a callback of the SDK's that needs one must still find one free.
THREADS = 256
FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    # Announced so that a program that uses one is refused here, by type, name and line.
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_INVOKE_TRANSFORMS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
)
REFUSED_FIELDS = {
    "remote": "remote components (multi-language packages)",
    "transforms": "transforms",
    "packageRef": "parameterized packages",
    "replace_with": "replace_with",
    "envVarMappings": "env_var_mappings",
    "state_migrations": "state migrations",
}


@dataclass(frozen=True)
class Registration:
    """One resource as the program declares it.

    options: those that are not the default, by the names of Pulumi's state format (protect, ignoreChanges, …).
    aliases: URNs under which an older state may hold the resource.
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
    """

    stopping: threading.Event

    def register(self, registration: Registration) -> tuple[str, Properties]:
        """The id ("" while unknown) and outputs of a resource that the program declares."""

    def read(self, registration: Registration, id_: str) -> tuple[str, Properties]:
        """The id and outputs of a resource that exists already (`Type.get(...)`)."""

    def invoke(self, token: str, arguments: Properties, provider: str) -> Properties:
        """The result of a provider's function."""

    def outputs(self, urn: str, outputs: Properties) -> None:
        """Takes the outputs of a component or of the stack."""


class Monitor:
    """The SDK's ResourceMonitor over a Host. The first error that a host raised is kept in `error`."""

    def __init__(self, host: Host, project: Project, *, dry_run: bool) -> None:
        self.host = host
        self.project = project
        self.dry_run = dry_run
        self.error: BaseException | None = None
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
            registration = self._registration(request)
            refuse_unsupported(request, registration)
            self._claim(registration)
            id_, outputs = self.host.register(registration)
            return resource_pb2.RegisterResourceResponse(
                urn=registration.urn, id=id_, object=encode(outputs) if registration.custom else None
            )

        return self._guarded(act, context)

    def ReadResource(self, request: Any, context: Any = None) -> Any:  # noqa: N802 - protocol
        def act() -> Any:
            registration = self._registration(request)
            self._claim(registration)
            id_, outputs = self.host.read(registration, request.id)
            return resource_pb2.ReadResourceResponse(urn=registration.urn, id=id_, properties=encode(outputs))

        return self._guarded(act, context)

    def Invoke(self, request: Any, context: Any = None) -> Any:  # noqa: N802 - protocol
        def act() -> Any:
            result = self.host.invoke(request.tok, decode(request.args), request.provider)
            return resource_pb2.ResourceInvokeResponse(**{"return": encode(result)})

        return self._guarded(act, context)

    def RegisterResourceOutputs(self, request: Any, context: Any = None) -> Any:  # noqa: N802 - protocol
        def act() -> Any:
            self.host.outputs(request.urn, decode(request.outputs))
            return empty_pb2.Empty()

        return self._guarded(act, context)

    def SignalAndWaitForShutdown(self, _request: Any, _context: Any = None) -> Any:  # noqa: N802 - protocol
        return empty_pb2.Empty()

    def _refuse(self, what: str) -> Callable[[Any, Any], Any]:
        def refuse(_request: Any, context: Any = None) -> Any:
            def act() -> Any:
                raise UnsupportedError(f"localcloud does not support {what}; the Pulumi CLI does.")

            return self._guarded(act, context)

        return refuse

    def __getattr__(self, name: str) -> Any:
        if name in REFUSED_CALLS:
            return self._refuse(REFUSED_CALLS[name])
        raise AttributeError(name)

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


REFUSED_CALLS = {
    "Call": "methods of remote components",
    "ExistsResource": "the test whether a resource exists",
    "RegisterStackTransform": "stack transforms",
    "RegisterStackInvokeTransform": "invoke transforms",
    "RegisterResourceHook": "resource hooks",
    "RegisterErrorHook": "error hooks",
    "RegisterPackage": "parameterized packages",
}


def options_of(request: Any) -> dict[str, Any]:
    """The options of a RegisterResourceRequest that differ from the default, by the names of the state format."""
    timeouts = {
        name: getattr(request.customTimeouts, name)
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
        "version": request.version,
        "pluginDownloadURL": request.pluginDownloadURL,
    }
    return {name: value for name, value in found.items() if value not in (None, False, "", [], {})} | (
        {"deleteBeforeReplace": False} if found["deleteBeforeReplace"] is False else {}
    )


def refuse_unsupported(request: Any, registration: Registration) -> None:
    """Raises UnsupportedError for a request that carries an option localcloud does not know how to honour."""
    named = [what for name, what in REFUSED_FIELDS.items() if getattr(request, name)]
    if request.HasField("replacement_trigger"):
        named.append("replacement_trigger")
    if any(getattr(request.hooks, hook.name) for hook in request.hooks.DESCRIPTOR.fields):
        named.append("resource hooks")
    if named:
        raise UnsupportedError(
            f"{registration.where} uses {' and '.join(named)}, which localcloud does not support; the Pulumi CLI does."
        )


class EngineLog:
    """The SDK's Engine: takes what the program logs."""

    def __init__(self, log: Callable[[str, str], None]) -> None:
        self._log = log
        self._root = ""

    def Log(self, request: Any, _context: Any = None) -> Any:  # noqa: N802 - protocol
        severity = engine_pb2.LogSeverity.Name(request.severity).lower()
        if severity != "debug":
            self._log(severity, request.message)
        return empty_pb2.Empty()

    def GetRootResource(self, _request: Any, _context: Any = None) -> Any:  # noqa: N802 - protocol
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, _context: Any = None) -> Any:  # noqa: N802 - protocol
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()


class ProgramError(LocalcloudError):
    """The program itself raised; the text tells its error and the line of the program where it happened."""


def run(monitor: Monitor, log: Callable[[str, str], None], arguments: Sequence[str] = ()) -> None:
    """Runs the project's program to its end, every request answered by the monitor's host.

    The working directory, `sys.path`, `sys.argv` and the SDK's settings are global: one program at a time, and for
    programs with modules of the same name one process each. Raises the host's first error, else ProgramError.
    """
    project = monitor.project
    pulumi_settings.reset_options(project=project.name, stack=project.stack, preview=monitor.dry_run)
    pulumi_settings.configure(
        pulumi_settings.Settings(
            project=project.name,
            stack=project.stack,
            monitor=monitor,
            engine=EngineLog(log),
            dry_run=monitor.dry_run,
            organization="organization",
            root_directory=str(project.root),
        )
    )
    pulumi_config.set_all_config(project.config, sorted(project.secret_keys))
    before = (Path.cwd(), list(sys.path), list(sys.argv))
    os.chdir(project.main)
    sys.path.insert(0, str(project.main))
    sys.argv = [str(project.main), *arguments]
    try:
        _run_in_loop(monitor)
    finally:
        os.chdir(before[0])
        sys.path[:] = before[1]
        sys.argv[:] = before[2]


def _run_in_loop(monitor: Monitor) -> None:
    loop = asyncio.new_event_loop()
    executor = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="localcloud")
    loop.set_default_executor(executor)
    loop.set_exception_handler(lambda _loop, _context: None)  # what other tasks say of the first error is no news
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(pulumi_stack.run_in_stack(lambda: _program(monitor.project.main)))
    except (Exception, SystemExit) as error:
        monitor.host.stopping.set()
        executor.shutdown(wait=True, cancel_futures=True)
        if monitor.error is not None:
            raise monitor.error from None
        raise _program_error(error, monitor.project) from error
    finally:
        monitor.host.stopping.set()
        executor.shutdown(wait=True, cancel_futures=True)  # steps under way end and are written down
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        asyncio.set_event_loop(None)
        loop.close()


def _program(main: Path) -> None:
    runpy.run_path(str(main), run_name="__main__")


def _program_error(error: BaseException, project: Project) -> LocalcloudError:
    """The error as a sentence with the innermost line that belongs to the project."""
    place = ""
    step = error.__traceback__
    while step is not None:
        file = Path(step.tb_frame.f_code.co_filename)
        if file.is_relative_to(project.root) and ".venv" not in file.parts:
            place = f" ({file.relative_to(project.root)}:{step.tb_lineno})"
        step = step.tb_next
    if isinstance(error, LocalcloudError):
        return error
    if isinstance(error, pulumi.RunError):
        return ProgramError(f"{error}")
    text = str(error) or "no message"
    return ProgramError(f"The program of {project.name!r} stopped: {type(error).__name__}: {text}{place}")


__all__ = ["STACK_TYPE", "EngineLog", "Host", "Monitor", "ProgramError", "Registration", "run"]
