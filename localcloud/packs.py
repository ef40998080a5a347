"""Runs an ordinary Pulumi policy pack (PulumiPolicy.yaml and __main__.py) over Pulumi's analyzer protocol.

A pack is a process of its own, started with the SDK's `pulumi.policy` module as the CLI does; requests go over gRPC on
loopback (pulumi's sdk/proto `analyzer.proto`). Whatever a pack does but answer is a PackError: nothing passes unjudged.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from localcloud.masking import Mask
from localcloud.pack_configuration import LEVELS, reconciled
from localcloud.pack_process import NotStartedError, PackError, PackProcess, pack_settings
from localcloud.values import RESOURCE, SIGNATURE, UNKNOWN, Properties, Secret, decode, encode, has_secret, reveal

PATIENCE = 60.0  # seconds; the CLI waits for ever
GRACE = 0.5  # seconds between a broken connection and the end of the process behind it
KINDS = ("unknown", "resource", "stack")
MESSAGE_BYTES = 400 * 1024 * 1024  # the bound that pulumi_policy sets


@dataclass(frozen=True)
class Analyzed:
    """A resource as a policy sees it. For `analyze` the properties are inputs, for `analyze_stack` outputs.

    options: by the names of the state format: protect, ignoreChanges, deleteBeforeReplace, additionalSecretOutputs,
    customTimeouts (seconds by create, update, delete, read), aliases (URNs); others are not for policies.
    provider: the provider resource that manages it, with its inputs, or None.
    """

    urn: str
    type: str
    name: str
    properties: Properties
    options: Mapping[str, Any] = field(default_factory=dict)
    provider: Analyzed | None = None
    parent: str = ""
    dependencies: Sequence[str] = ()
    property_dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Policy:
    """A policy of a pack; `level` is the one in force after configuration, `type` is "resource" or "stack"."""

    name: str
    description: str
    level: str
    type: str


@dataclass(frozen=True)
class Violation:
    """What a policy reports. `level` is one of LEVELS; "mandatory" alone stops a deployment."""

    policy: str
    pack: str
    version: str
    level: str
    message: str
    urn: str
    description: str


class PolicyPack:
    """A policy pack that runs from `with` to its end. Any thread may ask; the pack gets one call at a time.

    config: enforcement by policy name or "all", as in the CLI's --policy-pack-config: a level, or an object with
    `enforcementLevel` and the policy's own properties.
    stack_config, secret_keys: the stack's configuration by full key, for packs that read `pulumi.Config`.
    patience: seconds for the start, and for each answer; after one failure the pack is stopped and fails for good.
    log: takes each line that the pack prints, secrets masked, on a thread of its own.
    """

    def __init__(
        self,
        directory: Path,
        *,
        project: str,
        stack: str,
        config: Mapping[str, Any] | None = None,
        dry_run: bool,
        stack_config: Mapping[str, str] | None = None,
        secret_keys: Collection[str] = (),
        organization: str = "organization",
        patience: float = PATIENCE,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self.name = self.directory.name
        self.version = ""
        self.policies: tuple[Policy, ...] = ()
        self._stack = analyzer_pb2.AnalyzerStackConfigureRequest(
            stack=stack,
            project=project,
            organization=organization,
            dry_run=dry_run,
            config=stack_config or {},
            config_secret_keys=sorted(secret_keys),
        )
        self._config = dict(config or {})
        self._patience = patience
        self._log = log
        self._lock = threading.Lock()
        self._mask = Mask(self._stack.config[key] for key in secret_keys if key in self._stack.config)
        self._process: PackProcess | None = None
        self._channel: grpc.Channel | None = None
        self._broken = f"The policy pack {self.directory} is not running."

    def __enter__(self) -> PolicyPack:
        settings = pack_settings(self.directory)
        self._process = PackProcess(settings.interpreter, self.directory, self._environment(), self._line)
        try:
            self._channel = grpc.insecure_channel(
                f"127.0.0.1:{self._process.port(self._patience)}",
                [
                    ("grpc.max_send_message_length", MESSAGE_BYTES),
                    ("grpc.max_receive_message_length", MESSAGE_BYTES),
                    ("grpc.enable_http_proxy", 0),
                ],
            )
            self._broken = ""
            info = self._ask("GetAnalyzerInfo", empty_pb2.Empty(), "naming its policies")
            self.name, self.version = info.name, settings.version or info.version
            self._configure(info)
            self._ask("ConfigureStack", self._stack, "taking the stack's configuration")
        except NotStartedError as error:
            reason = self._stop(GRACE)
            raise PackError(f"The policy pack {self.directory} {error}{reason and f': {reason}'}.") from None
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self._broken = self._broken or f"The policy pack {self.directory} is not running any more."
        self._stop()

    def analyze(self, resource: Analyzed) -> list[Violation]:
        """What the pack's resource policies say of a resource's inputs; raises PackError when they cannot say."""
        self._learn(resource)
        response = self._ask("Analyze", _request(resource), f"judging {resource.urn}")
        return [self._violation(row, row.urn or resource.urn) for row in response.diagnostics]

    def analyze_stack(self, resources: Sequence[Analyzed]) -> list[Violation]:
        """What the pack's stack policies say of all resources' outputs, at the end of a preview or an update.

        A violation that names no resource of the stack is the stack's own: its URN is that of the root resource.
        """
        for resource in resources:
            self._learn(resource)
        request = analyzer_pb2.AnalyzeStackRequest(resources=[_stack_resource(resource) for resource in resources])
        response = self._ask("AnalyzeStack", request, "judging the stack")
        known = {resource.urn for resource in resources}
        stack, project = self._stack.stack, self._stack.project
        root = f"urn:pulumi:{stack}::{project}::pulumi:pulumi:Stack::{project}-{stack}"
        return [self._violation(row, row.urn if row.urn in known else root) for row in response.diagnostics]

    def remediate(self, resource: Analyzed) -> tuple[Analyzed, list[Violation]]:
        """The resource with its inputs as remediating policies want them, and what those policies did.

        The CLI remediates before it analyzes. A change is told at level "remediate"; a policy that could not run, on
        an unknown value for example, at level "advisory".
        """
        if not any(policy.level == "remediate" and policy.type == "resource" for policy in self.policies):
            return resource, []
        self._learn(resource)
        response = self._ask("Remediate", _request(resource, internal=True), f"remediating {resource.urn}")
        told = []
        for row in response.remediations:
            level, message = ("advisory", row.diagnostic) if row.diagnostic else ("remediate", "changed the inputs")
            told.append(
                Violation(
                    policy=row.policyName,
                    pack=row.policyPackName,
                    version=self.version,
                    level=level,
                    message=self._mask(message),
                    urn=resource.urn,
                    description=row.description,
                )
            )
            if not row.diagnostic:
                resource = replace(resource, properties=_secrets_kept(resource.properties, decode(row.properties)))
        return resource, told

    def _ask(self, call: str, request: Any, doing: str) -> Any:
        with self._lock:  # the CLI asks a pack for one thing at a time, and rules are written for that
            if self._broken or self._channel is None:
                raise PackError(self._broken)
            try:
                return getattr(analyzer_pb2_grpc.AnalyzerStub(self._channel), call)(request, timeout=self._patience)
            except grpc.RpcError as error:
                if call == "ConfigureStack" and error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    return None  # an older pulumi_policy does not know the call, and the CLI lets that pass
                self._broken = f"The policy pack {self.directory} {self._failure(error, doing)}."
                raise PackError(self._broken) from None

    def _failure(self, error: Any, doing: str) -> str:
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._stop()
            return f"gave no answer within {self._patience:g} s while {doing}, and was stopped"
        reason = self._stop(GRACE if error.code() is grpc.StatusCode.UNAVAILABLE else 0.0)
        return f"failed while {doing}: {reason or self._mask(str(error.details()))}"

    def _stop(self, grace: float = 0.0) -> str:
        reason = self._process.stop(grace) if self._process is not None else ""
        if self._channel is not None:
            self._channel.close()
        return self._mask(reason)

    def _configure(self, info: Any) -> None:
        settings = reconciled(self.name, info, self._config)
        self.policies = tuple(
            Policy(row.name, row.description, settings[row.name][0], KINDS[row.policy_type])
            for row in sorted(info.policies, key=lambda row: str(row.name))
        )
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for name, (level, properties) in settings.items():
            entry = request.policyConfig[name]
            entry.enforcementLevel = analyzer_pb2.EnforcementLevel.Value(level.upper())
            entry.properties.update(properties)
        self._ask("Configure", request, "taking its configuration")

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PULUMI_ORGANIZATION": self._stack.organization,
            "PULUMI_PROJECT": self._stack.project,
            "PULUMI_STACK": self._stack.stack,
            "PULUMI_DRY_RUN": "true" if self._stack.dry_run else "false",
            "PULUMI_CONFIG": json.dumps(dict(self._stack.config)),
        }

    def _line(self, line: str) -> None:
        if self._log is not None:
            self._log(self._mask(line))

    def _learn(self, resource: Analyzed) -> None:
        self._mask.learn(resource.properties)
        if resource.provider is not None:
            self._mask.learn(resource.provider.properties)

    def _violation(self, row: Any, urn: str) -> Violation:
        level = LEVELS[row.enforcementLevel]
        return Violation(
            policy=row.policyName,
            pack=row.policyPackName,
            version=self.version,
            level="mandatory" if level == "remediate" else level,  # what still violates after remediation
            message=self._mask(row.message),
            urn=urn,
            description=row.description,
        )


def _request(resource: Analyzed, *, internal: bool = False) -> Any:
    return analyzer_pb2.AnalyzeRequest(
        type=resource.type,
        urn=resource.urn,
        name=resource.name,
        properties=_properties(resource, internal=internal),
        options=_options(resource),
        provider=_provider(resource.provider),
    )


def _stack_resource(resource: Analyzed) -> Any:
    return analyzer_pb2.AnalyzerResource(
        type=resource.type,
        urn=resource.urn,
        name=resource.name,
        properties=_properties(resource),
        options=_options(resource),
        provider=_provider(resource.provider),
        parent=resource.parent,
        dependencies=resource.dependencies,
        propertyDependencies={
            name: analyzer_pb2.AnalyzerPropertyDependencies(urns=urns)
            for name, urns in resource.property_dependencies.items()
            if urns
        },
    )


def _provider(provider: Analyzed | None) -> Any:
    if provider is None:
        return None
    return analyzer_pb2.AnalyzerProviderResource(
        type=provider.type, urn=provider.urn, name=provider.name, properties=_properties(provider)
    )


def _properties(resource: Analyzed, *, internal: bool = False) -> Any:
    """On the wire: unknowns and secrets marked; names with `__`, the engine's own, only for remediation."""
    kept = {name: value for name, value in resource.properties.items() if internal or not name.startswith("__")}
    return encode(_flattened(kept))


def _flattened(value: Any) -> Any:
    """The value with resource references as ids (URNs for components), which is how the CLI shows them to policies."""
    if isinstance(value, Secret):
        return Secret(_flattened(value.value))
    if isinstance(value, list):
        return [_flattened(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get(SIGNATURE) != RESOURCE:
        return {name: _flattened(item) for name, item in value.items()}
    if value.get("id") is None:
        return value["urn"]
    return UNKNOWN if value["id"] == "" else value["id"]


def _secrets_kept(before: Properties, after: Properties) -> Properties:
    """`after` with each property secret that was one `before`: a rule that copies a secret loses the mark."""
    return {
        name: Secret(reveal(value)) if has_secret(before.get(name)) and not has_secret(value) else value
        for name, value in after.items()
    }


def _options(resource: Analyzed) -> Any:
    options = resource.options
    before = options.get("deleteBeforeReplace")
    return analyzer_pb2.AnalyzerResourceOptions(
        protect=bool(options.get("protect")),
        ignoreChanges=options.get("ignoreChanges") or (),
        deleteBeforeReplace=bool(before),
        deleteBeforeReplaceDefined=before is not None,
        additionalSecretOutputs=options.get("additionalSecretOutputs") or (),
        aliases=options.get("aliases") or (),
        customTimeouts=analyzer_pb2.AnalyzerResourceOptions.CustomTimeouts(**(options.get("customTimeouts") or {})),
        parent=resource.parent,
    )


__all__ = ["Analyzed", "PackError", "Policy", "PolicyPack", "Violation"]
