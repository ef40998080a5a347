"""compose.yaml, read, and what it starts as processes: no machine that tests this project has a Docker engine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.app.composed import COMPOSE, FILE, ROOT, SERVICES

ONCE = {"model"}  # run to their end
OURS = "groundwork-app:compose"


def test_the_compose_file_is_of_the_form_that_compose_asks_for(tmp_path: Path) -> None:
    bad = tmp_path / "compose.yaml"
    bad.write_text(FILE.read_text().replace("read_only: true", "readonly: true"))
    asked = [
        subprocess.run(
            [Path(sys.prefix) / "bin/check-jsonschema", "--builtin-schema", "vendor.compose-spec", path],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for path in (FILE, bad)
    ]
    assert asked[0].returncode == 0, asked[0].stdout
    assert asked[1].returncode == 1
    assert "readonly" in asked[1].stdout


def test_it_brings_the_app_the_emulator_prometheus_and_grafana() -> None:
    assert set(SERVICES) == {"app", "model", "emulator", "prometheus", "grafana"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & set(service)
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    for volume in service.get("volumes", []):
        source, target, *mode = volume.split(":")
        assert target
        if source.startswith("."):
            assert (ROOT / source).is_file()
            assert mode == ["ro"]
        else:
            assert source in COMPOSE["volumes"]
    assert ("healthcheck" in service) == (name not in ONCE)


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_an_exact_version_or_is_built_here(name: str) -> None:
    image = SERVICES[name]["image"]
    assert ("build" in SERVICES[name]) == (image == OURS)
    assert image == OURS or re.fullmatch(r"[\w.-]+/[\w.-]+:v?\d+\.\d+\.\d+", image), image


def test_the_emulator_is_the_one_that_make_up_runs() -> None:
    pinned = re.search(r"^moto==([\d.]+)", (ROOT / "requirements/local.txt").read_text(), re.MULTILINE)
    assert pinned
    assert SERVICES["emulator"]["image"] == f"motoserver/moto:{pinned[1]}"


def test_the_app_writes_where_its_image_has_its_volume() -> None:
    recipe = (ROOT / "app/Dockerfile").read_text()
    (spool,) = re.findall(r"^VOLUME (\S+)$", recipe, re.MULTILINE)
    assert f"spool:{spool}" in SERVICES["app"]["volumes"]
    assert SERVICES["app"]["tmpfs"] == ["/tmp"]


def test_each_part_knows_the_address_of_the_one_that_it_asks() -> None:
    monitoring = ROOT / "app/monitoring"
    scraped = yaml.safe_load((monitoring / "prometheus.yml").read_text())["scrape_configs"][0]
    source = yaml.safe_load((monitoring / "datasource.yml").read_text())["datasources"][0]
    known = {"app": "8080", "emulator": "5000", "prometheus": "9090"}
    told = {
        scraped["static_configs"][0]["targets"][0],
        source["url"].removeprefix("http://"),
        SERVICES["app"]["environment"]["AWS_ENDPOINT_URL"].removeprefix("http://"),
    }
    assert told == {f"{name}:{port}" for name, port in known.items()}
    assert SERVICES["emulator"]["expose"] == [known["emulator"]]
    for name in ("app", "prometheus"):
        assert SERVICES[name]["ports"][0].endswith(f":{known[name]}")
    (provider,) = yaml.safe_load((monitoring / "dashboards.yml").read_text())["providers"]
    mounted = {volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]}
    assert f"{provider['options']['path']}/dashboard.json" in mounted


def test_nobody_signs_in_to_grafana_and_nothing_is_a_secret() -> None:
    grafana = SERVICES["grafana"]["environment"]
    assert grafana["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert grafana["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert not re.search(r"password|token", FILE.read_text(), re.IGNORECASE)
    assert "secrets" not in COMPOSE
    assert SERVICES["app"]["environment"]["AWS_SECRET_ACCESS_KEY"] == "anything"
