"""The API on GCP: a gateway that asks for a token and counts, a function that answers it alone, a table of calls."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from infra.gcp.openapi import document
from infra.shape import Callers
from tests.infra.gcp.planned import NUMBER, PROJECT, Planned, named, of_type, only, planned

PROGRAM = """
    runs = container("function", "function", ("function",), {{"MODEL_STORE": "gs://m/height-weight/"}})
    api = parts.api("api", ApiArgs(runs, Callers(("10.0.0.0/8",), "https://login.example.com", "predict", {often}), 30))
    api.grant_erase(parts.identity("eraser", "container"))
    pulumi.export("url", api.url)
"""
CALLERS = Callers(("10.0.0.0/8",), "https://login.example.com", "predict", 600)


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> list[Planned]:
    return planned(tmp_path_factory.mktemp("api"), PROGRAM.format(often=600))


def told(resources: list[Planned]) -> dict[str, Any]:
    """What the gateway is told."""
    (row,) = only(resources, "ApiConfig").inputs["openapiDocuments"]
    found = json.loads(base64.b64decode(row["document"]["contents"]))
    assert isinstance(found, dict)
    return found


def function(resources: list[Planned]) -> dict[str, Any]:
    return only(resources, "Service").inputs


def test_every_call_needs_a_token_of_the_issuer_for_the_audience(resources: list[Planned]) -> None:
    found = told(resources)
    token = found["securityDefinitions"]["token"]
    assert token["x-google-issuer"] == "https://login.example.com"
    assert token["x-google-audiences"] == "predict"
    operations = [operation for path in found["paths"].values() for operation in path.values()]
    assert [operation["operationId"] for operation in operations] == ["predict"]
    for operation in operations:
        assert all("token" in one for one in operation["security"])  # in each of the ways in


def test_every_caller_has_so_many_calls_a_minute(resources: list[Planned]) -> None:
    found = told(resources)
    (limit,) = found["x-google-management"]["quota"]["limits"]
    assert (limit["unit"], limit["values"]) == ("1/min/{project}", {"STANDARD": 600})
    predict = found["paths"]["/predict"]["post"]
    assert predict["x-google-quota"] == {"metricCosts": {limit["metric"]: 1}}
    assert all("caller" in one for one in predict["security"])  # or else nothing tells whose calls to count


def test_the_document_names_no_secret() -> None:
    text = json.dumps(document("api", "https://function.example.com", CALLERS, 10))
    assert "AIza" not in text
    assert "value" not in json.loads(text)["securityDefinitions"]["caller"]


def test_a_changed_document_is_another_configuration(resources: list[Planned], tmp_path: Path) -> None:
    other = only(planned(tmp_path, PROGRAM.format(often=60)), "ApiConfig")
    assert other.inputs["apiConfigId"] != only(resources, "ApiConfig").inputs["apiConfigId"]
    assert len(other.inputs["apiConfigId"]) <= 63


def test_the_gateway_alone_may_call_the_function(resources: list[Planned]) -> None:
    (invoker,) = of_type(resources, "ServiceIamMember")
    caller = only(resources, "ApiConfig").inputs["gatewayConfig"]["backendConfig"]["googleServiceAccount"]
    assert invoker.inputs["member"] == f"serviceAccount:{caller}"
    assert invoker.inputs["role"] == "roles/run.invoker"
    assert told(resources)["paths"]["/predict"]["post"]["x-google-backend"]["address"] == (
        f"https://groundwork-dev-api-{NUMBER}.europe-west1.run.app"
    )


def test_the_function_is_the_same_image_scales_to_nothing_and_stays_in_the_network(resources: list[Planned]) -> None:
    template = function(resources)["template"]
    (one,) = template["containers"]
    assert "@sha256:" in one["image"]
    assert one["args"] == ["function"]
    assert template["scaling"]["minInstanceCount"] == 0
    assert template["vpcAccess"]["egress"] == "ALL_TRAFFIC"
    assert template["serviceAccount"].startswith("groundwork-dev-function@")
    assert template["encryptionKey"].endswith("/cryptoKeys/groundwork-dev-logs")
    variables = {row["name"]: row["value"] for row in one["envs"]}
    assert variables == {
        "CALLS": f"firestore://{PROJECT}/groundwork-dev-api/calls",
        "CALLS_DAYS": "30",
        "MODEL_STORE": "gs://m/height-weight/",
    }


def test_the_function_may_add_calls_to_the_one_database_and_nothing_else(resources: list[Planned]) -> None:
    assert granted(resources, "function") == ["datastore.entities.create"]


def test_a_call_goes_when_it_expires_or_somebody_forgets_it(resources: list[Planned]) -> None:
    field = only(resources, "Field").inputs
    assert (field["collection"], field["field"], field["database"]) == ("calls", "expires", "groundwork-dev-api")
    assert (field["ttlConfig"], field["indexConfig"]) == ({}, {})
    assert granted(resources, "eraser") == ["datastore.entities.delete", "datastore.entities.get"]


def granted(resources: list[Planned], workload: str) -> list[str]:
    """What a workload may do in the one database."""
    grants = [row for row in of_type(resources, "IAMMember") if f"groundwork-dev-{workload}@" in row.inputs["member"]]
    (grant,) = grants
    assert grant.inputs["condition"]["expression"] == (
        f'resource.name == "projects/{PROJECT}/databases/groundwork-dev-api"'
    )
    (role,) = (row for row in of_type(resources, "IAMCustomRole") if row.outputs["name"] == grant.inputs["role"])
    found = role.inputs["permissions"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("disposable", [False, True])
def test_calls_are_kept_under_our_key_and_can_be_had_back(tmp_path: Path, disposable: bool) -> None:
    table = only(planned(tmp_path, PROGRAM.format(often=600), disposable=disposable), "Database")
    assert table.inputs["cmekConfig"]["kmsKeyName"].endswith("/cryptoKeys/groundwork-dev-logs")
    assert table.inputs["pointInTimeRecoveryEnablement"] == "POINT_IN_TIME_RECOVERY_ENABLED"
    protected = table.inputs["deleteProtectionState"] == "DELETE_PROTECTION_ENABLED"
    assert protected is not disposable
    assert table.options.get("protect", False) is not disposable


def test_calls_are_logged_under_our_key(resources: list[Planned]) -> None:
    assert '"groundwork-dev-api"' in named(resources, "ProjectSink")["api"].inputs["filter"]
