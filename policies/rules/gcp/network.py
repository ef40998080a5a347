"""Ways into a network, and what is written down about what goes through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policies.graph import Graph, Resource, listed
from policies.rule import Rule, Verdict, fail, undetermined
from policies.rules.reading import (
    UNKNOWN,
    every,
    given,
    guarded_ports,
    is_world,
    must,
    must_have,
    named,
    on,
    one_of,
    ports,
    read,
    uses,
)

FIREWALL = "gcp:compute/firewall:Firewall"
POLICY_RULES = (
    "gcp:compute/networkFirewallPolicyRule:NetworkFirewallPolicyRule",
    "gcp:compute/regionNetworkFirewallPolicyRule:RegionNetworkFirewallPolicyRule",
    "gcp:compute/firewallPolicyRule:FirewallPolicyRule",
)
POLICIES = (
    "gcp:compute/networkFirewallPolicyWithRules:NetworkFirewallPolicyWithRules",
    "gcp:compute/regionNetworkFirewallPolicyWithRules:RegionNetworkFirewallPolicyWithRules",
    "gcp:compute/firewallPolicyWithRules:FirewallPolicyWithRules",
)
TCP = ("tcp", "6", "all", "-1")
HTTPS_PROXIES = (
    "gcp:compute/targetHttpsProxy:TargetHttpsProxy",
    "gcp:compute/regionTargetHttpsProxy:RegionTargetHttpsProxy",
    "gcp:compute/targetSSLProxy:TargetSSLProxy",
)
HTTP_PROXIES = (
    "gcp:compute/targetHttpProxy:TargetHttpProxy",
    "gcp:compute/regionTargetHttpProxy:RegionTargetHttpProxy",
)
URL_MAPS = ("gcp:compute/uRLMap:URLMap", "gcp:compute/regionUrlMap:RegionUrlMap")


def _is_open(resource: Resource, path: str) -> bool | None:
    """Whether the sources hold the internet; None where an unknown one may."""
    found = [value for _, value in every(given(resource), f"{path}.*")]
    if any(is_world(value) for value in found if value is not UNKNOWN):
        return True
    return None if UNKNOWN in found else False


def _reached(resource: Resource, path: str, protocol: str) -> Iterator[Verdict]:
    for where, allowed in every(given(resource), f"{path}.*"):
        if allowed is UNKNOWN:
            yield undetermined("Nobody knows what it lets in before the deployment.", where)
            continue
        if not isinstance(allowed, Mapping) or not one_of(allowed.get(protocol), *TCP):
            continue
        reached = guarded_ports(listed(allowed.get("ports")) or ["*"])
        if reached:
            yield fail(f"Anyone on the internet reaches port {named(reached)}.", where)


def _firewall(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if one_of(read(resource, "direction"), "EGRESS") or on(resource, "disabled"):
        return
    if not any(True for _ in every(given(resource), "allows.*")):
        return
    sources = ("sourceRanges", "sourceTags", "sourceServiceAccounts")
    # The API takes 0.0.0.0/0 where nothing names a source.
    world = _is_open(resource, "sourceRanges") if any(read(resource, name) for name in sources) else True
    if world:
        yield from _reached(resource, "allows", "protocol")
    elif world is None:
        yield undetermined("Nobody knows from where it lets in before the deployment.", "sourceRanges")


def _policy_rule(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    yield from _matched(resource, "")


def _policy(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    for path, rule in every(given(resource), "rules.*"):
        if isinstance(rule, Mapping):
            yield from _matched(resource, f"{path}.")


def _matched(resource: Resource, at: str) -> Iterator[Verdict]:
    let_in = one_of(read(resource, f"{at}action"), "allow") and one_of(read(resource, f"{at}direction"), "INGRESS")
    if not let_in or on(resource, f"{at}disabled"):
        return
    world = _is_open(resource, f"{at}match.srcIpRanges")
    scopes = [read(resource, f"{at}match.srcNetwork{name}") for name in ("Scope", "Context")]
    if world or (not read(resource, f"{at}match.srcIpRanges") and any(one_of(scope, "INTERNET") for scope in scopes)):
        yield from _reached(resource, f"{at}match.layer4Configs", "ipProtocol")
    elif world is None:
        yield undetermined("Nobody knows from where it lets in before the deployment.", f"{at}match.srcIpRanges")


def _open(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    judges = {FIREWALL: _firewall} | dict.fromkeys(POLICIES, _policy)
    yield from judges.get(resource.type, _policy_rule)(resource, graph)


def _everything(resource: Resource, _graph: Graph) -> Iterator[Verdict]:
    if one_of(read(resource, "direction"), "EGRESS") or on(resource, "disabled"):
        return
    if not _is_open(resource, "sourceRanges"):
        return
    for where, allowed in every(given(resource), "allows.*"):
        if not isinstance(allowed, Mapping) or not one_of(allowed.get("protocol"), "udp", "17", "all", "-1"):
            continue
        if any(high - low > 60000 for low, high in ports(listed(allowed.get("ports")) or ["*"])):
            yield fail("Anyone on the internet reaches every UDP port.", where)


def _plain_proxy(resource: Resource, graph: Graph) -> Iterator[Verdict]:
    maps = [row for row in graph.of_type(*URL_MAPS) if uses(resource, row, "urlMap")]
    if not maps:
        yield undetermined("The URL map is not of this stack, so nobody can see whether it redirects.", "urlMap")
    for row in maps:
        if not on(row, "defaultUrlRedirect.httpsRedirect") and not _internal(resource, graph):
            yield fail("It serves plain HTTP and does not redirect to HTTPS.", "urlMap")


def _internal(proxy: Resource, graph: Graph) -> bool:
    rules = ("gcp:compute/forwardingRule:ForwardingRule", "gcp:compute/globalForwardingRule:GlobalForwardingRule")
    users = [row for row in graph.of_type(*rules) if uses(row, proxy, "target")]
    return bool(users) and all(str(read(row, "loadBalancingScheme")).startswith("INTERNAL") for row in users)


def _workloads_subnet(resource: Resource) -> bool:
    # Subnets of proxies and of private service connections have no flow logs.
    return one_of(read(resource, "purpose") or "PRIVATE", "PRIVATE", "PRIVATE_RFC_1918")


RULES = (
    Rule(
        "GW-GCP-001",
        "The internet must not reach a port of administration or of data",
        "critical",
        "Scanners find SSH, RDP or a database within minutes and try passwords and known holes on it.",
        "Name the networks that need it in `sourceRanges`; for SSH and RDP allow 35.235.240.0/20 and use IAP.",
        ("SC-7", "AC-17"),
        (FIREWALL, *POLICY_RULES, *POLICIES),
        _open,
    ),
    Rule(
        "GW-GCP-002",
        "The internet must not reach every UDP port",
        "medium",
        "Services that answer to UDP are found and used to flood others, and no one meant to offer most of them.",
        "Name the ports in `allows`, or the networks in `sourceRanges`.",
        ("SC-7",),
        (FIREWALL,),
        _everything,
        "advisory",
    ),
    Rule(
        "GW-GCP-003",
        "A subnet must write flow logs",
        "low",
        "Without them nobody can say after an incident which machine spoke with whom.",
        "Set `log_config` on the subnetwork.",
        ("AU-12", "SI-4"),
        ("gcp:compute/subnetwork:Subnetwork",),
        must_have("logConfig", message="It writes no flow logs.", when=_workloads_subnet),
        "advisory",
    ),
    Rule(
        "GW-GCP-004",
        "A public zone must be signed",
        "medium",
        "Without DNSSEC an answer can be forged on its way, and users are led to someone else's server.",
        'Set `dnssec_config` with `state="on"`.',
        ("SC-8", "SI-7"),
        ("gcp:dns/managedZone:ManagedZone",),
        must(
            "dnssecConfig.state",
            "on",
            message="Its DNSSEC is {}.",
            when=lambda row: not one_of(read(row, "visibility") or "public", "private"),
        ),
        "advisory",
    ),
    Rule(
        "GW-GCP-005",
        "A TLS policy must take TLS 1.2 or newer",
        "high",
        "TLS 1.0 and 1.1 are broken: what they carry can be read and changed.",
        'Set `min_tls_version="TLS_1_2"` on it.',
        ("SC-8", "SC-13"),
        ("gcp:compute/sSLPolicy:SSLPolicy", "gcp:compute/regionSslPolicy:RegionSslPolicy"),
        must(
            "minTlsVersion",
            "TLS_1_2",
            "TLS_1_3",
            message="Its oldest TLS version is {}; the default is TLS 1.0.",
            # These profiles have no cipher of an older version, whatever the oldest version says.
            when=lambda row: not one_of(read(row, "profile"), "RESTRICTED", "FIPS_202205"),
        ),
    ),
    Rule(
        "GW-GCP-006",
        "A TLS proxy must have a TLS policy",
        "medium",
        "Without one a load balancer takes TLS 1.0.",
        "Declare an `SSLPolicy` with `min_tls_version` and give it to the proxy as `ssl_policy`.",
        ("SC-8", "SC-13"),
        HTTPS_PROXIES,
        must_have("sslPolicy", message="It has no TLS policy, and so takes TLS 1.0."),
        "advisory",
    ),
    Rule(
        "GW-GCP-007",
        "A load balancer must redirect plain HTTP",
        "medium",
        "What a browser sends over plain HTTP, cookies and passwords included, can be read on its way.",
        "Let the proxy's URL map do nothing but `default_url_redirect` with `https_redirect=True`.",
        ("SC-8",),
        HTTP_PROXIES,
        _plain_proxy,
        "advisory",
        whole_stack=True,
    ),
    Rule(
        "GW-GCP-008",
        "A network must not make its own subnets",
        "low",
        "An auto mode network has a subnet in every region, and its firewall's defaults let in SSH.",
        "Set `auto_create_subnetworks=False` and declare the subnets that you need.",
        ("CM-7", "SC-7"),
        ("gcp:compute/network:Network",),
        must("autoCreateSubnetworks", False, message="It makes a subnet in every region (auto mode: {})."),
        "advisory",
    ),
)
