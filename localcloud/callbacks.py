"""Calls back into a running program: resource and stack transforms, invoke transforms, resource hooks.

The SDK serves a program's callbacks over gRPC on a loopback port of its own and names each by a token. The order and
the reach of transforms are those of Pulumi's engine: the resource's own, then those of its parents from the nearest
outwards, then the stack's; each sees what the one before it made.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import struct_pb2
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from localcloud.errors import LocalcloudError
from localcloud.project import Project
from localcloud.state import Resource
from localcloud.values import OUTPUT, SECRET, SIGNATURE, UNKNOWN_TEXT, Properties, encode

LOOPBACK = re.compile(r"127\.0\.0\.1:\d{1,5}")
BYTES = 400 * 1024 * 1024  # of one message, as the SDK's own servers allow
# The hooks that a resource may be bound to: field of the request → name in Pulumi's state.
HOOKS = {
    "before_create": "BeforeCreate",
    "after_create": "AfterCreate",
    "before_update": "BeforeUpdate",
    "after_update": "AfterUpdate",
    "before_delete": "BeforeDelete",
    "after_delete": "AfterDelete",
    "on_error": "OnError",
}
STEPS = {"create": "Create", "replace": "Create", "update": "Update", "delete": "Delete"}
BOUND = "resourceHooks"  # where Pulumi's state keeps the names of a resource's hooks, by when they run
SAME_NAME = (  # request field → field of a transform's options
    ("protect", "protect"), ("version", "version"), ("provider", "provider"), ("retainOnDelete", "retain_on_delete"),
    ("pluginDownloadURL", "plugin_download_url"), ("deletedWith", "deleted_with"), ("importId", "import"),
)  # fmt: skip
LISTS = (
    ("ignoreChanges", "ignore_changes"), ("replaceOnChanges", "replace_on_changes"), ("hideDiffs", "hide_diff"),
    ("additionalSecretOutputs", "additional_secret_outputs"), ("aliases", "aliases"), ("replace_with", "replace_with"),
)  # fmt: skip

MESSAGES = (("customTimeouts", "custom_timeouts"), ("replacement_trigger",) * 2, ("hooks",) * 2)


class CallbackError(LocalcloudError):
    """A function of the program that was called back raised; the text tells its error and where it happened."""


@dataclass(frozen=True)
class Hook:
    """A function of the program that runs before or after a step, or once it failed. on_dry_run: in previews too."""

    name: str
    callback: Any
    on_dry_run: bool = False
    ignore_errors: bool = False


@dataclass(frozen=True)
class HookCall:
    """What a hook is told of a step: URN, id, name and type of the resource, its inputs and outputs, old and new."""

    urn: str
    id: str
    name: str
    type: str
    new_inputs: Properties | None = None
    old_inputs: Properties | None = None
    new_outputs: Properties | None = None
    old_outputs: Properties | None = None


@dataclass
class Callbacks:
    """The callbacks that one run of a program has registered. Used from many threads at once."""

    project: Project
    dry_run: bool
    log: Callable[[str, str], None] = lambda _severity, _message: None
    _transforms: dict[str, tuple[Any, ...]] = field(default_factory=dict)  # by the URN of whoever brought them
    _parents: dict[str, str] = field(default_factory=dict)
    _stack: list[Any] = field(default_factory=list)
    _invokes: list[Any] = field(default_factory=list)
    _hooks: dict[str, Hook] = field(default_factory=dict)
    _stubs: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add_stack_transform(self, callback: Any) -> None:
        """Every resource registered from now on passes through it."""
        with self._lock:
            self._stack.append(callback)

    def add_invoke_transform(self, callback: Any) -> None:
        """Every function called from now on passes through it."""
        with self._lock:
            self._invokes.append(callback)

    def add_hook(self, request: Any) -> None:
        """Takes a RegisterResourceHookRequest or RegisterErrorHookRequest. Raises LocalcloudError for a name taken."""
        if isinstance(request, resource_pb2.RegisterErrorHookRequest):
            hook = Hook(request.name, request.callback)
        else:
            hook = Hook(request.name, request.callback, request.on_dry_run, request.ignore_errors)
        with self._lock:
            if self._hooks.setdefault(request.name, hook) is not hook:
                raise LocalcloudError(f"Two resource hooks are named {request.name!r}. Rename one of them.")

    def inherit(self, urn: str, request: Any) -> None:
        """Notes whose child a resource is and which transforms it brings, for the resources below it."""
        with self._lock:
            self._parents[urn] = request.parent
            self._transforms[urn] = tuple(request.transforms)

    def transformed(self, request: Any) -> Any:
        """The RegisterResourceRequest as the transforms that reach it make it; the request itself if none does."""
        with self._lock:
            reaching = list(request.transforms)
            above = request.parent
            while above:
                reaching += self._transforms.get(above, ())
                above = self._parents.get(above, "")
            reaching += self._stack
        if not reaching:
            return request
        properties, options = _as_outputs(request), _options(request)
        for callback in reaching:
            asked = resource_pb2.TransformRequest(
                type=request.type,
                name=request.name,
                custom=request.custom,
                parent=request.parent,
                properties=properties,
                options=options,
            )
            what = f"a transform of {request.type} {request.name!r}"
            answer = resource_pb2.TransformResponse.FromString(self._call(callback, asked, what))
            properties = answer.properties if answer.HasField("properties") else properties
            options = answer.options if answer.HasField("options") else options
        return _with(request, properties, options)

    def invoke_transformed(self, token: str, arguments: Any, provider: str) -> tuple[Any, str]:
        """A function call's arguments and provider as the invoke transforms make them."""
        with self._lock:
            reaching = list(self._invokes)
        options = resource_pb2.TransformInvokeOptions(provider=provider)
        for callback in reaching:
            asked = resource_pb2.TransformInvokeRequest(token=token, args=arguments, options=options)
            answer = resource_pb2.TransformInvokeResponse.FromString(
                self._call(callback, asked, f"an invoke transform of {token}")
            )
            arguments = answer.args if answer.HasField("args") else arguments
            options = answer.options if answer.HasField("options") else options
        return arguments, options.provider

    def run_hooks(self, names: tuple[str, ...], when: str, call: HookCall) -> None:
        """Runs hooks in order. A failing one of `Before…` ends the step, of `After…` is a warning, as with Pulumi.

        Raises CallbackError, and LocalcloudError for a hook that the program has not registered.
        """
        for name in names:
            hook = self._hook(name, call.urn)
            if self.dry_run and not hook.on_dry_run:
                continue
            message = self._hook_error(hook, call)
            if message and when.startswith("Before") and not hook.ignore_errors:
                raise CallbackError(f"The {when} hook {name!r} of {call.type} {call.name!r} failed: {message}")
            if message:
                self.log("warning", f"The {when} hook {name!r} of {call.type} {call.name!r} failed: {message}")

    def asks_to_retry(self, names: Iterable[str], operation: str, call: HookCall, failures: list[str]) -> bool:
        """Whether an error hook wants a failed create, update or delete tried again; all of them are asked.

        failures: what went wrong so far, the newest first. Raises CallbackError where a hook fails itself.
        """
        again = False
        for name in names:
            asked = resource_pb2.ErrorHookRequest(**_told(call), failed_operation=operation, errors=failures)
            answer = self._call(self._hook(name, call.urn).callback, asked, f"the error hook {name!r}")
            found = resource_pb2.ErrorHookResponse.FromString(answer)
            if found.error:
                raise CallbackError(
                    f"{failures[0]} And its error hook {name!r} failed: {self.project.masked(found.error)}"
                )
            again = again or found.retry
        return again

    def hooked(self, when: str, step: str, row: Resource, old: Resource | None) -> None:
        """Runs the hooks that a row of the state is bound to. when: Before or After; step: as in events.

        After a creation or an update, `row` is the resource as it was read back.
        """
        kind = STEPS.get(step)
        names = tuple(row.extra.get(BOUND, {}).get(f"{when}{kind}", ())) if kind else ()
        if not names:
            return
        deleting, new = kind == "Delete", when == "After" and kind != "Delete"
        before = row if deleting else old if kind == "Update" else None
        call = HookCall(
            row.urn,
            row.id if deleting or new or kind == "Update" else "",
            row.name,
            row.type,
            new_inputs=None if deleting else row.inputs,
            old_inputs=before.inputs if before else None,
            new_outputs=row.outputs if new else None,
            old_outputs=before.outputs if before else None,
        )
        self.run_hooks(names, f"{when}{kind}", call)

    def close(self) -> None:
        """Closes the connections to the program's callback servers."""
        with self._lock:
            for channel, _ in self._stubs.values():
                channel.close()
            self._stubs.clear()

    def _hook(self, name: str, urn: str) -> Hook:
        hook = self._hooks.get(name)
        if hook is None:
            raise LocalcloudError(
                f"The resource hook {name!r} of {urn} is not registered by the program. Declare it again."
            )
        return hook

    def _hook_error(self, hook: Hook, call: HookCall) -> str:
        asked = resource_pb2.ResourceHookRequest(**_told(call))
        answer = self._call(hook.callback, asked, f"the resource hook {hook.name!r}")
        return self.project.masked(resource_pb2.ResourceHookResponse.FromString(answer).error)

    def _call(self, callback: Any, asked: Any, what: str) -> bytes:
        request = callback_pb2.CallbackInvokeRequest(token=callback.token, request=asked.SerializeToString())
        try:
            return bytes(self._stub(callback.target).Invoke(request).response)
        except grpc.RpcError as error:
            details = error.details() if isinstance(error, grpc.Call) else None
            raise CallbackError(
                self.project.masked(f"In the program, {what} failed: {_sentence(details or str(error), self.project)}")
            ) from None

    def _stub(self, target: str) -> Any:
        if not LOOPBACK.fullmatch(target):
            raise LocalcloudError(f"The program's callbacks are served at {target!r}; only this machine's are called.")
        with self._lock:
            if target not in self._stubs:
                sizes = [("grpc.max_receive_message_length", BYTES), ("grpc.max_send_message_length", BYTES)]
                channel = grpc.insecure_channel(target, options=[*sizes, ("grpc.enable_http_proxy", 0)])
                self._stubs[target] = (channel, callback_pb2_grpc.CallbacksStub(channel))
            return self._stubs[target][1]


def refuse_hooked(rows: Iterable[Resource]) -> None:
    """Raises LocalcloudError for rows of a state whose deletion has hooks: without the program they cannot run."""
    hooked = [row for row in rows if {"BeforeDelete", "AfterDelete"} & row.extra.get(BOUND, {}).keys()]
    if hooked:
        raise LocalcloudError(
            f"Nothing was deleted: {hooked[0].urn} has hooks of its deletion, which only the program can run. "
            "Take it out of the program and bring that up first."
        )


def bound(request: Any) -> dict[str, tuple[str, ...]]:
    """The hooks that a RegisterResourceRequest binds, by the names of Pulumi's state (`BeforeCreate`, …)."""
    return {name: tuple(found) for field_, name in HOOKS.items() if (found := getattr(request.hooks, field_))}


def _told(call: HookCall) -> dict[str, Any]:
    """What a hook is told, as fields of its request."""
    given = {
        name: encode(value)
        for name in ("new_inputs", "old_inputs", "new_outputs", "old_outputs")
        if (value := getattr(call, name)) is not None
    }
    return {"urn": call.urn, "id": call.id, "name": call.name, "type": call.type, **given}


def _as_outputs(request: Any) -> Any:
    """The properties, those that depend on resources as outputs that say so: a transform may move them elsewhere."""
    properties = struct_pb2.Struct()
    for name, value in request.object.fields.items():
        depends = sorted(request.propertyDependencies[name].urns) if name in request.propertyDependencies else ()
        properties.fields[name].CopyFrom(_as_output(value, depends) if depends else value)
    return properties


def _as_output(value: Any, depends: list[str]) -> Any:
    output = struct_pb2.Struct()
    output[SIGNATURE] = OUTPUT
    output["dependencies"] = depends
    inner = value
    if value.HasField("struct_value") and value.struct_value.fields[SIGNATURE].string_value == SECRET:
        output["secret"] = True
        inner = value.struct_value.fields["value"]
    if inner.string_value != UNKNOWN_TEXT:  # an output without a value is one that is not known
        output.fields["value"].CopyFrom(inner)
    return struct_pb2.Value(struct_value=output)


def _options(request: Any) -> Any:
    options: Any = resource_pb2.TransformResourceOptions(
        depends_on=request.dependencies, providers=dict(request.providers)
    )
    for ours, theirs in SAME_NAME:
        optional = request.DESCRIPTOR.fields_by_name[ours].has_presence
        if request.HasField(ours) if optional else getattr(request, ours):
            setattr(options, theirs, getattr(request, ours))
    for ours, theirs in LISTS:
        getattr(options, theirs).extend(getattr(request, ours))
    for urn in request.aliasURNs:
        options.aliases.add(urn=urn)
    if request.deleteBeforeReplaceDefined:
        options.delete_before_replace = request.deleteBeforeReplace
    for ours, theirs in MESSAGES:
        if request.HasField(ours):
            getattr(options, theirs).CopyFrom(getattr(request, ours))
    return options


def _with(request: Any, properties: Any, options: Any) -> Any:
    """The request with the properties and options that the last transform answered."""
    made: Any = resource_pb2.RegisterResourceRequest()
    made.CopyFrom(request)
    made.object.CopyFrom(properties)
    for ours, theirs in SAME_NAME:
        made.ClearField(ours)
        optional = options.DESCRIPTOR.fields_by_name[theirs].has_presence
        if not optional or options.HasField(theirs):
            setattr(made, ours, getattr(options, theirs))
    for ours, theirs in (*LISTS, ("dependencies", "depends_on")):
        made.ClearField(ours)
        getattr(made, ours).extend(getattr(options, theirs))
    made.ClearField("aliasURNs")
    made.ClearField("providers")
    made.providers.update(options.providers)
    made.deleteBeforeReplaceDefined = options.HasField("delete_before_replace")
    made.deleteBeforeReplace = options.delete_before_replace
    for ours, theirs in MESSAGES:
        made.ClearField(ours)
        if options.HasField(theirs):
            getattr(made, ours).CopyFrom(getattr(options, theirs))
    _depend(made, request)
    return made


def _depend(made: Any, request: Any) -> None:
    """Property dependencies anew: what a property depended on before, and what the outputs now in it say."""
    made.ClearField("propertyDependencies")
    everything = set(made.dependencies)
    for name, value in made.object.fields.items():
        before = request.propertyDependencies[name].urns if name in request.propertyDependencies else ()
        urns = set(before) | set(_dependencies(value))
        made.propertyDependencies[name].urns.extend(sorted(urns))
        everything |= urns
    made.ClearField("dependencies")
    made.dependencies.extend(sorted(everything))


def _dependencies(value: Any) -> list[str]:
    """The URNs that the outputs inside a protobuf value depend on."""
    if value.HasField("list_value"):
        return [urn for item in value.list_value.values for urn in _dependencies(item)]
    if not value.HasField("struct_value"):
        return []
    fields = value.struct_value.fields
    found = [urn for name, item in fields.items() for urn in _dependencies(item) if name != "dependencies"]
    if SIGNATURE in fields and fields[SIGNATURE].string_value == OUTPUT and "dependencies" in fields:
        found += [item.string_value for item in fields["dependencies"].list_value.values]
    return found


def _sentence(details: str, project: Project) -> str:
    """The SDK's report of a failed callback without its stack: the error, and the program's innermost line."""
    message = re.sub(r"^Invoke callback \S+ error: ", "", details)
    head, _, stack = message.partition(":\n")
    places = [
        f" ({Path(file).relative_to(project.root)}:{line})"
        for file, line in re.findall(r'File "([^"]+)", line (\d+)', stack)
        if Path(file).is_relative_to(project.root) and "site-packages" not in Path(file).parts
    ]
    return " ".join(head.split()) + (places[-1] if places else "")


__all__ = ["BOUND", "HOOKS", "CallbackError", "Callbacks", "Hook", "HookCall", "bound", "refuse_hooked"]
