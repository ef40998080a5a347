"""Keys: rotated, kept, and open to the services that hold what they encrypt."""

import re
from pathlib import Path

import pytest

from tests.infra.gcp.planned import PROJECT, named, of_type, only, planned


def test_a_key_is_rotated_each_quarter_and_waits_a_month_before_it_is_gone(tmp_path: Path) -> None:
    key = only(planned(tmp_path, 'parts.key("data")'), "CryptoKey")
    assert key.inputs["rotationPeriod"] == "7776000s"
    assert key.inputs["destroyScheduledDuration"] == "2592000s"
    assert key.inputs["labels"]["environment"] == "dev"


@pytest.mark.parametrize("disposable", [False, True])
def test_only_a_disposable_key_may_be_destroyed(tmp_path: Path, disposable: bool) -> None:
    resources = planned(tmp_path, 'parts.key("data")', disposable=disposable)
    for kind in ("KeyRing", "CryptoKey"):
        assert only(resources, kind).options.get("protect", False) is not disposable


def test_a_key_is_open_to_nobody_until_a_part_asks(tmp_path: Path) -> None:
    assert not of_type(planned(tmp_path, 'parts.key("data")'), "CryptoKeyIAMMember")


@pytest.mark.parametrize(
    ("service", "agent"),
    [
        ("storage", "gs-project-accounts"),
        ("artifactregistry", "gcp-sa-artifactregistry"),
        ("run", "serverless-robot-prod"),
        ("file", "cloud-filer"),
        ("compute", "compute-system"),
        ("container", "container-engine-robot"),
    ],
)
def test_a_key_is_opened_to_one_service_once_however_many_ask(tmp_path: Path, service: str, agent: str) -> None:
    program = f"""
        key = parts.key("data")
        assert key.open_to("{service}") is key.open_to("{service}")
    """
    grant = only(planned(tmp_path, program), "CryptoKeyIAMMember")
    assert grant.inputs["role"] == "roles/cloudkms.cryptoKeyEncrypterDecrypter"
    assert re.fullmatch(rf"serviceAccount:service-\d+@{agent}\.iam\.gserviceaccount\.com", grant.inputs["member"])
    assert grant.inputs["cryptoKeyId"].endswith("/keyRings/groundwork-dev-data/cryptoKeys/groundwork-dev-data")


def test_a_bucket_of_two_regions_has_a_key_that_spans_both(tmp_path: Path) -> None:
    rings = named(planned(tmp_path, 'key = parts.key("data"); key.spanning("europe").open_to("storage")'), "KeyRing")
    assert {name: ring.inputs["location"] for name, ring in rings.items()} == {
        "data": "europe-west1",
        "data-europe": "europe",
    }
    assert all(ring.inputs["project"] == PROJECT for ring in rings.values())
