"""Shared files on GCP: where they are, under which key, and whose machines get to them."""

from pathlib import Path

import pytest

from tests.infra.gcp.planned import Planned, named, of_type, only, planned

PROGRAM = """
    key = parts.key("logs")
    shared = parts.file_system("shared", parts.network("10.10.0.0/16", ("10.0.0.0/8",), key), key)
    {then}
"""
GRANTED = 'shared.grant_mount(parts.identity("trainer", "machine")); pulumi.export("id", shared.id)'


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> list[Planned]:
    return planned(tmp_path_factory.mktemp("files"), PROGRAM.format(then=GRANTED))


def test_one_address_serves_every_zone_under_our_key(resources: list[Planned]) -> None:
    files = only(resources, "Instance").inputs
    assert (files["tier"], files["location"], files["protocol"]) == ("REGIONAL", "europe-west1", "NFS_V4_1")
    assert files["kmsKeyName"].endswith("/cryptoKeys/groundwork-dev-logs")
    kinds = [resource.name for resource in resources]
    assert kinds.index("logs-file") < kinds.index("shared")


def test_files_are_exported_to_the_network_alone(resources: list[Planned]) -> None:
    (export,) = only(resources, "Instance").inputs["fileShares"]["nfsExportOptions"]
    assert export["ipRanges"] == ["10.10.0.0/16"]


def test_the_machines_of_a_granted_identity_are_let_out_to_it_and_no_others(resources: list[Planned]) -> None:
    rule = named(resources, "Firewall")["trainer-mounts-shared"].inputs
    (account,) = rule["targetServiceAccounts"]
    assert account.startswith("groundwork-dev-trainer@")
    assert "targetTags" not in rule
    assert rule["allows"] == [{"protocol": "tcp", "ports": ["2049"]}]
    assert rule["direction"] == "EGRESS"
    (address,) = rule["destinationRanges"]
    assert address.endswith("/32")
    assert only(resources, "Instance").outputs["networks"][0]["ipAddresses"][0] in address


def test_nobody_is_let_out_to_it_before_a_grant(tmp_path: Path) -> None:
    rules = of_type(planned(tmp_path, PROGRAM.format(then="")), "Firewall")
    assert all(rule.inputs.get("allows", [{}])[0].get("ports") != ["2049"] for rule in rules)


@pytest.mark.parametrize("disposable", [False, True])
def test_only_disposable_files_may_be_destroyed(tmp_path: Path, disposable: bool) -> None:
    files = only(planned(tmp_path, PROGRAM.format(then=""), disposable=disposable), "Instance")
    assert files.inputs["deletionProtectionEnabled"] is not disposable
    assert files.options.get("protect", False) is not disposable
