"""Who may do what on a Kubernetes cluster, and who reaches what runs there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from policies.graph import Graph, Resource, listed
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.reading import UNKNOWN, every, given, guarded_ports, is_world, made_up, named, one_of, read, same
from policies.rules.workloads import secret_verdict

ROLES = tuple(f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in ("Role", "ClusterRole"))
BINDINGS = tuple(f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in ("RoleBinding", "ClusterRoleBinding"))
INTERNAL = {
    "networking.gke.io/load-balancer-type": "internal",
    "cloud.google.com/load-balancer-type": "internal",
    "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
    "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
    "service.beta.kubernetes.io/azure-load-balancer-internal": "true",
}


def _config_map(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    data = read(resource, "data")
    for name, value in data.items() if isinstance(data, Mapping) else ():
        if value != {"$secret": True}:  # the SDK, not the program, may mark a whole map
            yield from secret_verdict(name, value, f"data.{name}", made_up(resource, f"data.{name}"))


def _star(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, rule in every(given(resource), "rules.*"):
        if rule is UNKNOWN:
            yield undetermined("Nobody knows the rule before the deployment.", path)
            continue
        if not isinstance(rule, Mapping):
            continue
        groups = [str(group) for group in listed(rule.get("apiGroups"))]
        # An operator may hold all of an API that is its own.
        if groups and all("." in group and not group.endswith((".k8s.io", "*")) for group in groups):
            continue
        stars = [name for name in ("verbs", "resources", "nonResourceURLs") if "*" in listed(rule.get(name))]
        if stars:
            yield fail(f"It gives `*` as {' and '.join(stars)}.", f"{path}.{stars[0]}")


def _admin(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if read(resource, "roleRef.name") == "cluster-admin":
        yield fail("It gives `cluster-admin`, which is everything.", "roleRef.name")


def _anyone(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, name in every(given(resource), "subjects.*.name"):
        if name in ("system:anonymous", "system:unauthenticated"):
            yield fail(f"`{name}` is everyone who reaches the API.", path)
        elif name == "system:authenticated" and read(resource, "roleRef.name") not in (
            "system:basic-user",
            "system:discovery",
            "system:public-info-viewer",
        ):
            yield fail("`system:authenticated` is everyone with any token, on GKE anyone with a Google account.", path)


def _is_public(resource: Resource) -> bool:
    annotations = read(resource, "metadata.annotations")
    table = annotations if isinstance(annotations, Mapping) else {}
    internal = any(same(table.get(name), value) for name, value in INTERNAL.items())
    return one_of(read(resource, "spec.type"), "LoadBalancer") and not internal


def _balancer(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if not _is_public(resource):
        return
    path = "spec.loadBalancerSourceRanges"
    ranges = read(resource, path)
    if ranges is UNKNOWN:
        yield undetermined("Nobody knows who reaches it before the deployment.", path)
    elif not ranges or any(is_world(value) for value in listed(ranges)):
        yield fail("The internet reaches it.", path)


def _guarded(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    reached = guarded_ports(
        value for _, value in every(given(resource), "spec.ports.*.port") if value not in (None, UNKNOWN)
    )
    if reached:
        for verdict in _balancer(resource, graph):
            if verdict.status == "fail":
                yield fail(f"The internet reaches port {named(reached)}.", verdict.path)
            else:
                yield verdict


def _ingress(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    annotations = read(resource, "metadata.annotations")
    if annotations is UNKNOWN or re.search(r"cert|tls|ssl", str(annotations), re.IGNORECASE):
        return
    if read(resource, "spec.tls") in (None, []):
        yield fail("It serves plain HTTP.", "spec.tls")


RULES = (
    Rule(
        "GW-K8S-015",
        "No password may stand in a config map",
        "high",
        "Config maps are read by all who may look around, and are not encrypted as secrets are.",
        "Put it into a `Secret`.",
        ("IA-5", "SC-28"),
        ("kubernetes:core/v1:ConfigMap",),
        _config_map,
    ),
    Rule(
        "GW-K8S-016",
        "A role must name what it may do",
        "critical",
        "A star holds secrets and role bindings, too: its holder can give itself the cluster.",
        "List the verbs and resources.",
        ("AC-6",),
        ROLES,
        _star,
    ),
    Rule(
        "GW-K8S-017",
        "Nobody may be administrator of the cluster",
        "critical",
        "One token of that subject is the whole cluster.",
        "Bind a role with the verbs and resources that are needed.",
        ("AC-6", "AC-5"),
        BINDINGS,
        _admin,
    ),
    Rule(
        "GW-K8S-018",
        "Nobody unnamed may have a role",
        "critical",
        "Whoever reaches the API has it, without a password.",
        "Bind the role to a group, a user or a service account.",
        ("AC-3", "AC-6"),
        BINDINGS,
        _anyone,
    ),
    Rule(
        "GW-K8S-019",
        "A load balancer must name who reaches it",
        "medium",
        "It has an address on the internet, past every gateway and its checks.",
        "Set `loadBalancerSourceRanges`, make it internal by its cloud's annotation, or use an ingress.",
        ("SC-7",),
        ("kubernetes:core/v1:Service",),
        _balancer,
        "advisory",
    ),
    Rule(
        "GW-K8S-020",
        "The internet must not reach a port of administration or of data",
        "critical",
        "Scanners find a database or an SSH port within minutes and try passwords and known holes on it.",
        "Use `ClusterIP`, or set `loadBalancerSourceRanges`.",
        ("SC-7", "AC-17"),
        ("kubernetes:core/v1:Service",),
        _guarded,
    ),
    Rule(
        "GW-K8S-022",
        "An ingress must have TLS",
        "medium",
        "What passes can be read and changed on its way.",
        "Set `tls` with a secret of the certificate.",
        ("SC-8",),
        ("kubernetes:networking.k8s.io/v1:Ingress",),
        _ingress,
        "advisory",
    ),
)
