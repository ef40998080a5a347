"""The network: one private subnet over all zones, one way out, and every connection written down."""

import ipaddress
from pathlib import Path

import pytest

from tests.infra.gcp.planned import Planned, named, of_type, only, planned

APIS = "199.36.153.4/30"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> list[Planned]:
    return planned(tmp_path_factory.mktemp("network"), "network()")


@pytest.mark.parametrize("addresses", ["10.10.0.0/16", "10.10.0.0/18", "10.10.0.0/20"])
def test_the_subnets_lie_within_the_range_and_apart(tmp_path: Path, addresses: str) -> None:
    program = f'parts.network("{addresses}", ("10.0.0.0/8",), parts.key("logs"))'
    subnets = of_type(planned(tmp_path, program), "Subnetwork")
    ranges = [subnet.inputs["ipCidrRange"] for subnet in subnets]
    ranges += [second["ipCidrRange"] for subnet in subnets for second in subnet.inputs.get("secondaryIpRanges", [])]
    blocks = [ipaddress.IPv4Network(block) for block in ranges]
    assert len(blocks) == 4
    assert all(block.subnet_of(ipaddress.IPv4Network(addresses)) for block in blocks)
    assert not any(a.overlaps(b) for a in blocks for b in blocks if a is not b)


def test_the_only_route_leads_to_googles_apis(network: list[Planned]) -> None:
    made = only(network, "Network")
    assert made.inputs["autoCreateSubnetworks"] is False
    assert made.inputs["deleteDefaultRoutesOnCreate"] is True
    assert only(network, "Route").inputs["destRange"] == APIS


def test_the_names_of_googles_apis_lead_to_their_private_addresses(network: list[Planned]) -> None:
    zones = {zone.inputs["dnsName"]: zone.inputs for zone in of_type(network, "ManagedZone")}
    assert set(zones) == {"googleapis.com.", "pkg.dev.", "gcr.io."}
    assert {zone["visibility"] for zone in zones.values()} == {"private"}
    records = {(record.inputs["name"], record.inputs["type"]): record for record in of_type(network, "RecordSet")}
    for domain in zones:
        assert records[domain, "A"].inputs["rrdatas"] == [f"199.36.153.{last}" for last in (4, 5, 6, 7)]
        assert records[f"*.{domain}", "CNAME"].inputs["rrdatas"] == [domain]


def test_nothing_comes_in_and_members_go_out_to_the_apis_over_https_alone(network: list[Planned]) -> None:
    rules = named(network, "Firewall")
    assert set(rules) == {"no-ingress", "no-egress", "members-to-apis"}
    for direction in ("ingress", "egress"):
        rule = rules[f"no-{direction}"].inputs
        assert rule["direction"] == direction.upper()
        assert rule["denies"] == [{"protocol": "all"}]
        assert rule["priority"] == 65534
        assert "targetTags" not in rule
    assert rules["no-ingress"].inputs["sourceRanges"] == ["0.0.0.0/0"]
    assert rules["no-egress"].inputs["destinationRanges"] == ["0.0.0.0/0"]
    out = rules["members-to-apis"].inputs
    assert out["direction"] == "EGRESS"
    assert out["allows"] == [{"protocol": "tcp", "ports": ["443"]}]
    assert out["destinationRanges"] == [APIS]
    assert out["targetTags"] == ["groundwork-dev-members"]


def test_every_connection_is_recorded_for_a_year_with_our_key(network: list[Planned]) -> None:
    private = named(network, "Subnetwork")["private"].inputs
    assert private["logConfig"]["flowSampling"] == 1
    assert private["privateIpGoogleAccess"] is True
    assert all(rule.inputs["logConfig"] for rule in of_type(network, "Firewall"))
    log = only(network, "ProjectBucketConfig").inputs
    assert log["retentionDays"] == 365
    assert log["cmekSettings"]["kmsKeyName"].endswith("/cryptoKeys/groundwork-dev-logs")
    sink, kept_twice = only(network, "ProjectSink").inputs, only(network, "ProjectExclusion").inputs
    assert sink["destination"].endswith("/locations/europe-west1/buckets/groundwork-dev-flow")
    assert sink["filter"] == kept_twice["filter"]
    assert sink["filter"].count('vpc_name="groundwork-dev-network"') == 3


def test_load_balancers_have_a_subnet_of_their_own(network: list[Planned]) -> None:
    proxies = named(network, "Subnetwork")["proxies"].inputs
    assert (proxies["purpose"], proxies["role"]) == ("REGIONAL_MANAGED_PROXY", "ACTIVE")


def test_nobody_is_given_an_external_address(network: list[Planned]) -> None:
    assert not {"Address", "GlobalAddress", "RouterNat", "Router"} & {resource.kind for resource in network}


@pytest.mark.parametrize(
    ("way", "direction", "ranges"),
    [("to", "EGRESS", "destinationRanges"), ("by", "INGRESS", "sourceRanges")],
)
def test_a_port_is_opened_one_way_for_one_tag(tmp_path: Path, way: str, direction: str, ranges: str) -> None:
    program = f"""
        from infra.gcp.network import open_port
        net = network()
        open_port(
            "files", 2049, net.id, net.members, {way}=["10.10.32.0/29"], account=parts.account, ctx=ctx, parent=net
        )
    """
    rule = named(planned(tmp_path, program), "Firewall")["files"].inputs
    assert rule["direction"] == direction
    assert rule["allows"] == [{"protocol": "tcp", "ports": ["2049"]}]
    assert rule[ranges] == ["10.10.32.0/29"]
    assert rule["targetTags"] == ["groundwork-dev-members"]
