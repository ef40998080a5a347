"""Containers: what they may do to their host, what they are made of, what they are told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.graph import Graph, Resource, at, is_known, listed
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.aws.reading import parsed, rows_of, yes

TASK = "aws:ecs/taskDefinition:TaskDefinition"
JOB = "aws:batch/jobDefinition:JobDefinition"
FUNCTION = "aws:lambda/function:Function"
RUNNER = "aws:apprunner/service:Service"
REPOSITORY = "aws:ecr/repository:Repository"
REGISTRY_SCAN = "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration"
SITES = ("/", "/var/run/docker.sock", "/run/docker.sock", "/etc", "/root", "/proc", "/sys", "/var/run", "/run")
POWERS = {"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "NET_ADMIN", "DAC_READ_SEARCH", "SYS_RAWIO", "BPF"}
MOVING = re.compile(
    r"(?i)^(latest|stable|main|master|trunk|develop|development|dev|edge|nightly|canary|next|current|release|staging"
    r"|test|prod|production)$"
)
SECRET_NAME = re.compile(
    r"(?i)(^|_)(pass|passwd|password|passphrase|secret|secret_?key|token|api_?key|private_?key|access_?key|credentials?)$"
)
SECRET_VALUE = re.compile(
    r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY|\bgh[pousr]_[A-Za-z0-9]{36}"
    r"|\bxox[abprs]-[0-9A-Za-z-]{9}|[a-z][a-z0-9+]*://[^/\s:@]+:[^/\s:@{$]+@"
)
NO_SECRET = re.compile(
    r"(?i)^(|true|false|yes|no|on|off|enabled|disabled|none|null|required|optional|\d+|arn:.*|https?://[^@]*|/.*|\$\{.*|file:.*|ssm:.*)$"
)


def _containers(resource: Resource) -> list[tuple[str, Mapping[str, Any]]] | None:
    """(path, container) of a task or job definition; None where they cannot be read before the deployment."""
    if resource.type == TASK:
        rows = parsed(resource.get("containerDefinitions"))
        return None if rows is None else [("containerDefinitions", row) for row in rows_of(rows)]
    rows = parsed(resource.get("containerProperties")) if resource.get("containerProperties") else []
    return None if rows is None else [("containerProperties", row) for row in rows_of(rows)]


def _unknown(resource: Resource) -> Verdict:
    path = "containerDefinitions" if resource.type == TASK else "containerProperties"
    return undetermined("Its containers are not known before the deployment.", path)


def _named(row: Mapping[str, Any]) -> str:
    return f"Container {row['name']}" if row.get("name") else "Its container"


def _privileged(resource: Resource, _: Graph) -> Iterator[Verdict]:
    rows = _containers(resource)
    if rows is None:
        yield _unknown(resource)
    for path, row in rows or []:
        capabilities = listed(at(row, "linuxParameters.capabilities.add"))
        added = {str(name).upper().removeprefix("CAP_") for name in capabilities} & POWERS
        if yes(row.get("privileged")):
            yield fail(f"{_named(row)} is privileged.", path)
        elif added:
            yield fail(f"{_named(row)} has the capability {', '.join(sorted(added))}.", path)
    for key in ("pidMode", "ipcMode"):
        if resource.get(key) == "host":
            yield fail(f"Its containers share the host's {key.removesuffix('Mode')} namespace.", key)


def _host_paths(resource: Resource, _: Graph) -> Iterator[Verdict]:
    volumes = [
        (f"volumes.{index}.hostPath", row.get("hostPath")) for index, row in enumerate(rows_of(resource.get("volumes")))
    ]
    if resource.type == JOB:
        for path, row in _containers(resource) or []:
            hosts = [
                host.get("sourcePath") for volume in rows_of(row.get("volumes")) for host in rows_of(volume.get("host"))
            ]
            volumes += [(path, host) for host in hosts]
    for path, host in volumes:
        if isinstance(host, str) and (host.rstrip("/") or "/") in SITES:
            yield fail(f"It mounts {host} of the host.", path)


def _environment(resource: Resource) -> Iterator[tuple[str, str, Any]]:
    """(path, name, value) of all variables that a resource sets in plain."""
    if resource.type == FUNCTION:
        variables, path = resource.get("environment.variables"), "environment.variables"
    elif resource.type == RUNNER:
        path = "sourceConfiguration.imageRepository.imageConfiguration.runtimeEnvironmentVariables"
        variables = resource.get(path)
    else:
        for path, row in _containers(resource) or []:
            for item in rows_of(row.get("environment")):
                yield f"{path}.{item.get('name')}", str(item.get("name")), item.get("value")
        return
    if isinstance(variables, Mapping):
        for name, value in variables.items():
            if not name.startswith("$"):
                yield f"{path}.{name}", name, value


def _told_secrets(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    if resource.type in (TASK, JOB) and _containers(resource) is None:
        yield _unknown(resource)
    others = {value for row in graph.used_by(resource) for value in row.outputs.values() if isinstance(value, str)}
    for path, name, value in _environment(resource):
        secret = isinstance(value, Mapping) and yes(value.get("$secret"))
        text = value if isinstance(value, str) and value not in others else ""  # a secret's name, not the secret
        if SECRET_VALUE.search(text) or (SECRET_NAME.search(name) and (secret or not NO_SECRET.match(text))):
            yield fail(f"The variable {name} holds a secret in plain.", path)


def _images(resource: Resource) -> Iterator[tuple[str, Any]]:
    """(path, image) of the images that a resource runs."""
    if resource.type == FUNCTION:
        yield from [("imageUri", resource.get("imageUri"))] if resource.get("imageUri") else []
    elif resource.type == RUNNER:
        path = "sourceConfiguration.imageRepository.imageIdentifier"
        yield from [(path, resource.get(path))] if resource.get(path) else []
    else:
        rows = _containers(resource)
        yield from (
            [(path, row.get("image")) for path, row in rows if row.get("image")] if rows is not None else [("", None)]
        )


def tag_of(image: str) -> str:
    """The tag of an image reference without a digest; `latest` where it names none."""
    last = image.rsplit("/", 1)[-1]
    return last.rsplit(":", 1)[1] if ":" in last else "latest"


def _built(resource: Resource, graph: Graph, path: str, image: str) -> bool:
    """Whether an image is named by what its build will say: a plan only makes that name up."""
    return any(
        value == image and f"/outputs/{key}" in source.synthetic and key not in source.inputs
        for source in graph.used_by(resource, path.split(".", maxsplit=1)[0])
        if source.type != REPOSITORY  # its address is no image without a tag
        for key, value in source.outputs.items()
    )


def _moving_image(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    for path, image in _images(resource):
        if not isinstance(image, str) or _built(resource, graph, path, image):
            yield undetermined("Its image is not known before the deployment.", path)
        elif "@sha256:" not in image and MOVING.match(tag_of(image)):
            yield fail(f"The image {image} has the tag {tag_of(image)}, which moves.", path)


def _tagged_image(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    for path, image in _images(resource):
        if not isinstance(image, str) or _built(resource, graph, path, image):
            continue
        if "@sha256:" not in image and not MOVING.match(tag_of(image)):
            yield fail(f"The image {image} is named by a tag.", path)


def _mutable(resource: Resource, _: Graph) -> Iterator[Verdict]:
    value = resource.get("imageTagMutability", "MUTABLE")
    if not is_known(value):
        yield undetermined("Whether its tags can move is not known before the deployment.", "imageTagMutability")
    elif not str(value).startswith("IMMUTABLE"):
        yield fail("Its tags can be moved to another image.", "imageTagMutability")


def _unscanned(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    path = "imageScanningConfiguration.scanOnPush"
    if not is_known(resource.get(path)):
        yield undetermined("Whether its images are scanned is not known before the deployment.", path)
    elif not yes(resource.get(path)) and not any(True for _ in graph.of_type(REGISTRY_SCAN)):
        yield fail("Its images are not scanned when they are pushed.", path)


def _unlogged(resource: Resource, _: Graph) -> Iterator[Verdict]:
    for path, row in _containers(resource) or []:
        if not row.get("logConfiguration"):
            yield fail(f"{_named(row)} writes its log to nowhere.", path)


RULES = (
    Rule(
        "GW-AWS-060",
        "A container must not be privileged",
        "critical",
        "A flaw in the program inside is then a flaw of the whole host and of all other containers on it.",
        "Leave privileged, host namespaces and such capabilities out; give the one device that is needed.",
        ("AC-6", "CM-7", "SC-7"),
        (TASK, JOB),
        _privileged,
    ),
    Rule(
        "GW-AWS-061",
        "A container must not mount what rules its host",
        "critical",
        "The Docker socket or the root directory makes the container root of the host.",
        "Mount a directory of the application's own, or a managed file system.",
        ("AC-6", "CM-7"),
        (TASK, JOB),
        _host_paths,
    ),
    Rule(
        "GW-AWS-062",
        "No password may stand in an environment of a container or a function",
        "high",
        "Everybody who may describe the task or function reads it, and so does each log of its environment.",
        "Keep it in Secrets Manager and refer to it (secrets with valueFrom); let functions fetch it by their role.",
        ("IA-5", "SC-28"),
        (TASK, JOB, FUNCTION, RUNNER),
        _told_secrets,
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-063",
        "A container or a function must run an image that stays the same",
        "high",
        "What runs tomorrow is not what was tested today, and nobody can say which one ran.",
        "Name the image by its digest (repository@sha256:…).",
        ("CM-2", "SI-7", "SR-4"),
        (TASK, JOB, FUNCTION, RUNNER),
        _moving_image,
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-064",
        "A container's or a function's image must be named by digest",
        "low",
        "Whoever may push can put another image under the same tag, unless the repository forbids it.",
        "Name the image by its digest (repository@sha256:…).",
        ("SI-7", "SR-4"),
        (TASK, JOB, FUNCTION, RUNNER),
        _tagged_image,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-065",
        "Tags of images must be immutable",
        "high",
        "A tested version is replaced by another under its name, by mistake or by an intruder.",
        "Set image_tag_mutability to IMMUTABLE.",
        ("CM-5", "SI-7", "SR-11"),
        (REPOSITORY,),
        _mutable,
    ),
    Rule(
        "GW-AWS-066",
        "Images must be scanned for holes",
        "medium",
        "Known flaws go into production unseen.",
        "Set image_scanning_configuration with scan_on_push=True, or scan the whole registry.",
        ("RA-5", "SI-2"),
        (REPOSITORY,),
        _unscanned,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-AWS-067",
        "A container's log must go somewhere",
        "medium",
        "When it fails or is attacked, nobody can say what happened.",
        "Set logConfiguration with the awslogs or awsfirelens driver.",
        ("AU-2", "AU-12"),
        (TASK,),
        _unlogged,
        "advisory",
    ),
)
