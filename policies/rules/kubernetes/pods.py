"""What runs on Kubernetes, whichever cloud the cluster is of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from policies.graph import Graph, Resource
from policies.rule import Judge, Rule, Verdict, fail, undetermined
from policies.rules.reading import (
    UNKNOWN,
    every,
    given,
    made_up,
    on,
    read,
    same,
)
from policies.rules.workloads import digest_verdict, image_verdict, secret_verdict

PODS = {
    "kubernetes:apps/v1:Deployment": "spec.template.spec",
    "kubernetes:apps/v1:StatefulSet": "spec.template.spec",
    "kubernetes:apps/v1:DaemonSet": "spec.template.spec",
    "kubernetes:apps/v1:ReplicaSet": "spec.template.spec",
    "kubernetes:batch/v1:Job": "spec.template.spec",
    "kubernetes:batch/v1:CronJob": "spec.jobTemplate.spec.template.spec",
    "kubernetes:core/v1:Pod": "spec",
}
SERVERS = tuple(token for token in PODS if token.split(":")[-1] in ("Deployment", "StatefulSet", "DaemonSet"))
POWERS = frozenset(
    ["ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "SYS_BOOT", "DAC_READ_SEARCH", "BPF", "MAC_ADMIN"]
)
OF_THE_NODE = re.compile(
    r"^(/|/(etc|root|boot|dev|home|usr|bin|sbin|lib)(/.*)?|/(proc|sys)(/.*)?|/var|/var/lib|/var/lib/kubelet(/.*)?"
    r"|/var/lib/(docker|containerd|etcd)(/.*)?|(/var)?/run(/(docker|containerd|crio)(/.*|\.sock)?)?)/?$"
)
HARMLESS = re.compile(
    r"^/(etc/(localtime|timezone|ssl(/.*)?|machine-id|os-release)|lib/modules|usr/src|dev/(shm|fuse|kvm|net/tun))/?$"
)
TO_BE_LOOKED_AT = re.compile(r"^/(proc|sys)(/.*)?$")


def _containers(resource: Resource, *kinds: str) -> Iterator[tuple[str, Any]]:
    for kind in kinds or ("containers", "initContainers", "ephemeralContainers"):
        yield from every(given(resource), f"{PODS[resource.type]}.{kind}.*")


def _each(judge: Callable[[Resource, str, Mapping[str, Any]], Iterator[Verdict]], *kinds: str) -> Judge:
    """A judge of each container that is known."""

    def judged(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
        for path, container in _containers(resource, *kinds):
            if isinstance(container, Mapping):
                yield from judge(resource, path, container)

    return judged


def _switch(path: str, message: str) -> Callable[[Resource, str, Mapping[str, Any]], Iterator[Verdict]]:
    def judge(_resource: Resource, where: str, container: Mapping[str, Any]) -> Iterator[Verdict]:
        value = next(iter(every(container, path)))[1]
        if value is UNKNOWN:
            yield undetermined("Nobody knows it before the deployment.", f"{where}.{path}")
        elif value is not None and same(value, True):
            yield fail(message, f"{where}.{path}")

    return judge


def _host(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for name, what in (("hostNetwork", "network"), ("hostPID", "processes"), ("hostIPC", "shared memory")):
        path = f"{PODS[resource.type]}.{name}"
        if on(resource, path):
            yield fail(f"It shares the {what} of its node.", path)


def _paths(resource: Resource, of_the_node: bool) -> Iterator[Verdict]:
    for where, volume in every(given(resource), f"{PODS[resource.type]}.volumes.*"):
        path = next(iter(every(volume, "hostPath.path")))[1]
        if not isinstance(path, str):
            continue
        dangerous = bool(OF_THE_NODE.match(path)) and not HARMLESS.match(path)
        if TO_BE_LOOKED_AT.match(path) and _only_read(resource, volume.get("name")):
            dangerous = False
        if dangerous is of_the_node:
            yield fail(f"It mounts `{path}` of its node.", f"{where}.hostPath.path")


def _only_read(resource: Resource, volume: Any) -> bool:
    """Whether every mount of a volume is read-only, as a collector of the node's metrics has it."""
    mounts = [row for _, container in _containers(resource) for _, row in every(container, "volumeMounts.*")]
    return all(
        same(row.get("readOnly"), True) for row in mounts if isinstance(row, Mapping) and row.get("name") == volume
    )


def _as_root(resource: Resource, path: str, container: Mapping[str, Any]) -> Iterator[Verdict]:
    user, non_root = _user(resource, container)
    if user is not None and same(user, 0):
        yield fail("It runs as root.", f"{path}.securityContext.runAsUser")
    elif non_root is not None and same(non_root, False) and user is None:
        yield fail("It says that it may run as root.", f"{path}.securityContext.runAsNonRoot")


def _user(resource: Resource, container: Mapping[str, Any]) -> tuple[Any, Any]:
    """The user id and the demand not to be root that hold for a container: its own, else its pod's."""
    pod = read(resource, f"{PODS[resource.type]}.securityContext")
    own, around = (value if isinstance(value, Mapping) else {} for value in (container.get("securityContext"), pod))
    return tuple(own.get(name, around.get(name)) for name in ("runAsUser", "runAsNonRoot"))


def _maybe_root(resource: Resource, path: str, container: Mapping[str, Any]) -> Iterator[Verdict]:
    user, non_root = _user(resource, container)
    if user is None and non_root is None:
        yield fail("It runs as whatever user its image names, root if none.", f"{path}.securityContext")


def _may_become_root(_resource: Resource, path: str, container: Mapping[str, Any]) -> Iterator[Verdict]:
    where = "securityContext.allowPrivilegeEscalation"
    if next(iter(every(container, where)))[1] is None:
        yield fail("A program in it may gain rights that its parent has not.", f"{path}.{where}")


def _capabilities(_resource: Resource, path: str, container: Mapping[str, Any]) -> Iterator[Verdict]:
    for where, name in every(container, "securityContext.capabilities.add.*"):
        if str(name).upper().removeprefix("CAP_") in POWERS:
            yield fail(f"It has the capability {name}, which is as good as root on the node.", f"{path}.{where}")


def _image(say: Callable[[Any, str, bool], Iterator[Verdict]]) -> Judge:
    def judge(resource: Resource, path: str, container: Mapping[str, Any]) -> Iterator[Verdict]:
        where = f"{path}.image"
        yield from say(next(iter(every(container, "image")))[1], where, made_up(resource, where))

    return _each(judge)


def _limits(_resource: Resource, path: str, container: Mapping[str, Any]) -> Iterator[Verdict]:
    limits = next(iter(every(container, "resources.limits")))[1]
    if limits is UNKNOWN:
        return
    if not isinstance(limits, Mapping) or not limits.get("memory"):
        yield fail("It may take all memory of its node.", f"{path}.resources.limits")


def _probes(_resource: Resource, path: str, container: Mapping[str, Any]) -> Iterator[Verdict]:
    if not container.get("ports"):
        return
    missing = [name for name in ("readinessProbe", "livenessProbe") if not container.get(name)]
    if len(missing) == 2:
        yield fail("Kubernetes cannot tell whether it serves: it has no probes.", path)


def _secrets(resource: Resource, path: str, container: Mapping[str, Any]) -> Iterator[Verdict]:
    for where, row in every(container, "env.*"):
        if isinstance(row, Mapping):
            at = f"{path}.{where}.value"
            yield from secret_verdict(row.get("name"), row.get("value"), at, made_up(resource, at))


def _token(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    pod = PODS[resource.type]
    account = read(resource, f"{pod}.serviceAccountName") or read(resource, f"{pod}.serviceAccount")
    if account in (None, "default") and on(resource, f"{pod}.automountServiceAccountToken", default=True):
        yield fail("It holds a token of the default service account.", f"{pod}.automountServiceAccountToken")


RULES = (
    Rule(
        "GW-K8S-001",
        "A container must not be privileged",
        "critical",
        "A privileged container is root on its node: who breaks into it has every pod there and the node's rights.",
        "Leave `privileged` out; add the one capability that is needed.",
        ("AC-6", "CM-7"),
        tuple(PODS),
        _each(_switch("securityContext.privileged", "It is privileged.")),
    ),
    Rule(
        "GW-K8S-002",
        "A pod must not share its node's network, processes or memory",
        "high",
        "It sees and can stop what others run there, and gets around network policies.",
        "Leave `hostNetwork`, `hostPID` and `hostIPC` out.",
        ("AC-6", "SC-7"),
        tuple(PODS),
        _host,
    ),
    Rule(
        "GW-K8S-003",
        "A pod must not mount its node's own files",
        "critical",
        "With the socket of the container runtime or `/etc` of the node a pod is root on it.",
        "Use a volume of the cluster; for logs mount the one directory, read-only.",
        ("AC-6", "CM-7"),
        tuple(PODS),
        lambda resource, _graph: _paths(resource, of_the_node=True),
    ),
    Rule(
        "GW-K8S-004",
        "A pod must keep nothing on its node",
        "low",
        "What lies on a node is lost with it, and readable by all who mount the same path.",
        "Use a persistent volume claim, or `emptyDir`.",
        ("AC-6", "CP-9"),
        tuple(PODS),
        lambda resource, _graph: _paths(resource, of_the_node=False),
        "advisory",
    ),
    Rule(
        "GW-K8S-005",
        "A container must not run as root",
        "high",
        "From root in a container one hole of the kernel leads to root on the node.",
        "Set `runAsNonRoot: true` and a `runAsUser` over 0.",
        ("AC-6",),
        tuple(PODS),
        _each(_as_root),
    ),
    Rule(
        "GW-K8S-006",
        "A container must say that it is not root",
        "low",
        "Most images run as root unless they are told otherwise.",
        "Set `runAsNonRoot: true` on the pod.",
        ("AC-6",),
        tuple(PODS),
        _each(_maybe_root),
        "advisory",
    ),
    Rule(
        "GW-K8S-007",
        "A container must not gain rights",
        "high",
        "A program with the setuid bit makes root of whoever runs it.",
        "Set `allowPrivilegeEscalation: false`.",
        ("AC-6",),
        tuple(PODS),
        _each(_switch("securityContext.allowPrivilegeEscalation", "A program in it may become root.")),
    ),
    Rule(
        "GW-K8S-008",
        "A container must refuse to gain rights",
        "low",
        "Kubernetes allows it where nothing is said.",
        "Set `allowPrivilegeEscalation: false`.",
        ("AC-6",),
        tuple(PODS),
        _each(_may_become_root),
        "advisory",
    ),
    Rule(
        "GW-K8S-009",
        "A container must have no capability of the node's root",
        "critical",
        "With SYS_ADMIN, or ALL, a container can mount the node's disks and leave its walls.",
        "Drop ALL and add the one that is needed.",
        ("AC-6", "CM-7"),
        tuple(PODS),
        _each(_capabilities),
    ),
    Rule(
        "GW-K8S-010",
        "A pod must run an image that stays the same",
        "high",
        "Behind a tag that moves, what was reviewed and what runs are two things, on each node another.",
        "Name the image by digest: `IMAGE@sha256:…`.",
        ("CM-2", "SI-7", "SR-4"),
        tuple(PODS),
        _image(image_verdict),
    ),
    Rule(
        "GW-K8S-011",
        "A pod's image must be named by digest",
        "low",
        "A version's tag can be pushed again.",
        "Name the image by digest: `IMAGE@sha256:…`.",
        ("CM-2", "SI-7"),
        tuple(PODS),
        _image(digest_verdict),
        "advisory",
    ),
    Rule(
        "GW-K8S-012",
        "A container must have a limit of memory",
        "low",
        "One leak takes the whole node and all who run there.",
        "Set `resources.limits.memory` on it.",
        ("SC-5", "SC-6"),
        tuple(PODS),
        _each(_limits, "containers"),
        "advisory",
    ),
    Rule(
        "GW-K8S-013",
        "A server must have probes",
        "low",
        "Without them traffic goes to copies that do not answer, and none that hangs is started again.",
        "Set `readinessProbe` and `livenessProbe`.",
        ("SI-4", "CP-10"),
        SERVERS,
        _each(_probes, "containers"),
        "advisory",
    ),
    Rule(
        "GW-K8S-014",
        "No password may stand in a pod's environment",
        "high",
        "Whoever may look at pods reads it, and it is in the program's history.",
        "Refer to a `Secret` with `valueFrom.secretKeyRef`, or fetch it as the pod's identity.",
        ("IA-5", "SC-28"),
        tuple(PODS),
        _each(_secrets),
    ),
    Rule(
        "GW-K8S-021",
        "A pod must hold no token that it does not use",
        "low",
        "Who breaks into the pod speaks to the cluster's API with it, as all pods of the namespace.",
        "Set `automountServiceAccountToken: false`, or name a service account of the pod's own.",
        ("AC-6", "IA-5"),
        tuple(PODS),
        _token,
        "advisory",
    ),
)
