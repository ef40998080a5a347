"""The registry: tags that stay, images that are scanned, and grants on one repository."""

from pathlib import Path

import pytest

from tests.infra.gcp.planned import of_type, only, planned


def test_tags_never_move_and_images_are_scanned_and_encrypted(tmp_path: Path) -> None:
    repository = only(planned(tmp_path, 'parts.registry("app", parts.key("data"))'), "Repository")
    assert repository.inputs["format"] == "DOCKER"
    assert repository.inputs["dockerConfig"] == {"immutableTags": True}
    assert repository.inputs["vulnerabilityScanningConfig"] == {"enablementConfig": "INHERITED"}
    assert repository.inputs["kmsKeyName"].endswith("/cryptoKeys/groundwork-dev-data")
    assert repository.inputs["labels"]["project"] == "groundwork"


def test_scanning_is_switched_on_in_the_project() -> None:
    from infra.gcp.cloud import SERVICES  # noqa: PLC0415 - it imports the SDK

    assert "containerscanning" in SERVICES


def test_the_newest_images_stay_and_the_others_go(tmp_path: Path) -> None:
    repository = only(planned(tmp_path, 'parts.registry("app", parts.key("data"))'), "Repository")
    assert repository.inputs["cleanupPolicyDryRun"] is False
    policies = {policy["action"]: policy for policy in repository.inputs["cleanupPolicies"]}
    assert policies["KEEP"]["mostRecentVersions"] == {"keepCount": 100}
    assert policies["DELETE"]["condition"] == {"tagState": "ANY", "olderThan": "604800s"}


@pytest.mark.parametrize(("verb", "role"), [("pull", "reader"), ("push", "writer")])
def test_a_grant_is_to_this_repository_alone(tmp_path: Path, verb: str, role: str) -> None:
    program = f'parts.registry("app", parts.key("data")).grant_{verb}(parts.identity("trainer", "machine"))'
    (grant,) = of_type(planned(tmp_path, program), "RepositoryIamMember")
    assert grant.inputs["role"] == f"roles/artifactregistry.{role}"
    assert grant.inputs["repository"] == "groundwork-dev-app"
    assert grant.inputs["member"].startswith("serviceAccount:groundwork-dev-trainer@")


def test_an_image_is_named_by_its_digest(tmp_path: Path) -> None:
    program = """
        uri = parts.registry("app", parts.key("data")).image(DIGEST).uri
        uri.apply(lambda told: parts.identity(told, "container"))
    """
    told = only(planned(tmp_path, program), "Account").name
    assert told == f"europe-west1-docker.pkg.dev/acme-ml-dev/groundwork-dev-app/app@sha256:{'a' * 64}"
