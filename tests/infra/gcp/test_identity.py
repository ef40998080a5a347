"""Identities: one a workload, without keys, and nothing granted."""

from pathlib import Path

from tests.infra.gcp.planned import PROJECT, only, planned


def test_an_identity_is_a_service_account_and_nothing_more(tmp_path: Path) -> None:
    resources = planned(tmp_path, 'parts.identity("server", "container")')
    assert [resource.kind for resource in resources] == ["Account"]
    account = only(resources, "Account")
    assert account.inputs["accountId"] == "groundwork-dev-server"
    assert account.outputs["member"] == f"serviceAccount:groundwork-dev-server@{PROJECT}.iam.gserviceaccount.com"
