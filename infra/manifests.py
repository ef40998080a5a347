"""The app's objects on Kubernetes, the same on every cloud's cluster. Pure: no SDK, and the same in, the same out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from infra.context import Limit, joined
from infra.shape import Scale, ServiceArgs

Manifest = dict[str, Any]

# The oldest minor version whose autoscaler has a tolerance for each direction by default (KEP-4951, beta).
VERSION = "1.35"
OBJECT = Limit(63)  # a DNS label, RFC 1123
CPU, MEMORY = "500m", "1Gi"  # as much as a copy of the service has elsewhere
SCRATCH, SCRATCH_SIZE = "scratch", "256Mi"  # the volume of what a copy may write; more evicts it
NOBODY = 10001  # user and group of the image, not root
HTTPS = 443
DNS = 53
OUT_SECONDS, IN_SECONDS = 120, 600  # how long CPU is busy before one more, and idle before one fewer
ZONE, NODE = "topology.kubernetes.io/zone", "kubernetes.io/hostname"


@dataclass(frozen=True)
class Platform:
    """What one cloud's cluster wants said: annotations of the app's service account and labels of its pods, by
    which they get the workload's identity, and the addresses (CIDR) and ports where they fetch its credentials."""

    annotations: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    credentials: Sequence[tuple[str, int]] = ()


def named(name: str) -> str:
    """What the app's objects and their namespace are called in the cluster."""
    return joined((name,), OBJECT)


def manifests(
    name: str,
    args: ServiceArgs,
    image: pulumi.Input[str],
    tags: Mapping[str, str],
    platform: Platform = Platform(),
) -> list[Manifest]:
    """All objects of the app, in the order in which they are to be made."""
    name = named(name)
    maker = _Maker(name, {"app.kubernetes.io/name": name}, tags)
    account = maker.object("v1", "ServiceAccount", automountServiceAccountToken=False)
    account["metadata"]["annotations"] = dict(platform.annotations)
    return [
        _namespace(maker),
        account,
        *_network_policies(maker, args, platform),
        _deployment(maker, args, image, platform),
        maker.object(
            "v1",
            "Service",
            spec={
                "type": "ClusterIP",
                "selector": maker.selected,
                "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
            },
        ),
        _disruption_budget(maker),
        _autoscaler(maker, args.scale),
    ]


@dataclass(frozen=True)
class _Maker:
    """The app's name, what its pods are selected by, and the tags, which every object wears as labels."""

    name: str
    selected: Mapping[str, str]
    tags: Mapping[str, str]

    def object(self, version: str, kind: str, name: str = "", **fields: Any) -> Manifest:
        metadata = {"name": name or self.name, "namespace": self.name, "labels": {**self.tags, **self.selected}}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def _namespace(maker: _Maker) -> Manifest:
    """A namespace that takes only pods that keep to the strictest of Kubernetes's own rules."""
    namespace = maker.object("v1", "Namespace")
    del namespace["metadata"]["namespace"]
    for mode in ("enforce", "audit", "warn"):
        namespace["metadata"]["labels"][f"pod-security.kubernetes.io/{mode}"] = "restricted"
        namespace["metadata"]["labels"][f"pod-security.kubernetes.io/{mode}-version"] = f"v{VERSION}"
    return namespace


def _network_policies(maker: _Maker, args: ServiceArgs, platform: Platform) -> list[Manifest]:
    """Nothing comes in and nothing goes out, but for callers, names, storage and credentials.

    Storage has no address to name here: where HTTPS leads to is the private network's own decision.
    """
    resolver = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    egress = [
        {"to": [resolver], "ports": [{"protocol": protocol, "port": DNS} for protocol in ("UDP", "TCP")]},
        {"ports": [{"protocol": "TCP", "port": HTTPS}]},
        *(
            {"to": [{"ipBlock": {"cidr": address}}], "ports": [{"protocol": "TCP", "port": port}]}
            for address, port in platform.credentials
        ),
    ]
    callers = [{"ipBlock": {"cidr": network}} for network in args.callers.networks]
    ingress = [{"from": callers, "ports": [{"protocol": "TCP", "port": args.port}]}]
    version, kind = "networking.k8s.io/v1", "NetworkPolicy"
    return [
        maker.object(version, kind, "closed", spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
        maker.object(
            version,
            kind,
            spec={
                "podSelector": {"matchLabels": maker.selected},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": ingress,
                "egress": egress,
            },
        ),
    ]


def _deployment(maker: _Maker, args: ServiceArgs, image: pulumi.Input[str], platform: Platform) -> Manifest:
    """Copies over all zones. How many is the autoscaler's business: the number is left out here."""
    spread = [
        {
            "topologyKey": key,
            "maxSkew": 1,
            "whenUnsatisfiable": unsatisfiable,
            "labelSelector": {"matchLabels": maker.selected},
            "matchLabelKeys": ["pod-template-hash"],  # copies of one release among themselves
        }
        for key, unsatisfiable in ((ZONE, "DoNotSchedule"), (NODE, "ScheduleAnyway"))
    ]
    pod = {
        "serviceAccountName": maker.name,
        "automountServiceAccountToken": False,  # the app does not speak to the cluster
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "runAsGroup": NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": spread,
        "containers": [_container(maker.name, args, image)],
        **({"volumes": [{"name": SCRATCH, "emptyDir": {"sizeLimit": SCRATCH_SIZE}}]} if args.container.scratch else {}),
    }
    return maker.object(
        "apps/v1",
        "Deployment",
        spec={
            "selector": {"matchLabels": maker.selected},
            "revisionHistoryLimit": 10,  # to roll back to
            "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": {**maker.tags, **platform.labels, **maker.selected}},
                "spec": pod,
            },
        },
    )


def _container(name: str, args: ServiceArgs, image: pulumi.Input[str]) -> Manifest:
    """The one container: it writes to its scratch directory alone, is not root and has no capability of the kernel."""
    variables = {**args.container.environment, "PORT": str(args.port)}
    arguments = {"args": list(args.container.command)} if args.container.command else {}
    scratch = args.container.scratch
    mounts = {"volumeMounts": [{"name": SCRATCH, "mountPath": scratch}]} if scratch else {}
    return {
        "name": name,
        "image": image,
        **arguments,
        **mounts,
        "ports": [{"name": "http", "containerPort": args.port, "protocol": "TCP"}],
        "env": [{"name": key, "value": variables[key]} for key in sorted(variables)],
        "resources": {
            "requests": {"cpu": CPU, "memory": MEMORY},
            "limits": {"cpu": "1", "memory": MEMORY},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        },
        "startupProbe": _probe("/healthz", periodSeconds=2, failureThreshold=30),
        "livenessProbe": _probe("/healthz", periodSeconds=15, failureThreshold=3),
        "readinessProbe": _probe("/readyz", periodSeconds=5, failureThreshold=3),
    }


def _probe(path: str, **often: int) -> Manifest:
    return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 2, **often}


def _disruption_budget(maker: _Maker) -> Manifest:
    """Nodes are emptied one copy at a time; a copy that is not ready holds nobody up."""
    return maker.object(
        "policy/v1",
        "PodDisruptionBudget",
        spec={
            "maxUnavailable": 1,
            "selector": {"matchLabels": maker.selected},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    )


def _autoscaler(maker: _Maker, scale: Scale) -> Manifest:
    """One copy more over `cpu_out`, one fewer under `cpu_in`.

    The autoscaler has one target, `cpu_out`. Its tolerance downwards keeps it still until CPU has fallen by that
    share of the target, which is where `cpu_in` lies.
    """
    return maker.object(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": maker.name},
            "minReplicas": scale.minimum,
            "maxReplicas": scale.maximum,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": scale.cpu_out},
                    },
                }
            ],
            "behavior": {
                "scaleUp": _direction(OUT_SECONDS, "0"),
                "scaleDown": _direction(IN_SECONDS, f"{round(1000 * (1 - scale.cpu_in / scale.cpu_out))}m"),
            },
        },
    )


def _direction(seconds: int, tolerance: str) -> Manifest:
    """One copy at a time, and only after so long."""
    return {
        "tolerance": tolerance,
        "stabilizationWindowSeconds": seconds,
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": seconds}],
    }
