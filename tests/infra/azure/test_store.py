"""Buckets: what a purpose brings, what a grant allows and what it does not."""

import itertools
from typing import Any

import pytest

from infra.azure.policy import BLOB_READER
from infra.azure.regions import PAIRS
from infra.azure.store import BLOBS
from localcloud.program import ProgramError
from tests.infra.azure.planned import Planned, planned

STORES = """
audit = parts.store("audit", StoreArgs(logs_key, logs, 365))
data = parts.store("data", StoreArgs(data_key, logs, kept_days={"lake/": 90}))
models = parts.store("models", StoreArgs(data_key, logs, replicated=REPLICATED))
data.grant_read(server, "people/")
data.grant_write(server, "lake/")
data.grant_erase(server, "lake/")
data.grant_erase(server, "people/")
models.grant_read(server)
pulumi.export("uri", data.uri("lake/"))
pulumi.export("bucket", models.uri())
"""
ALL = ("logs", "audit", "data", "models", "flows")


def plan(replica: str | None = None, disposable: bool = False) -> Planned:
    source = STORES.replace("REPLICATED", str(bool(replica)))
    return planned(source, ground=True, replica=replica, disposable=disposable)


def test_a_uri_is_an_address_of_the_account_the_container_and_the_prefix() -> None:
    assert plan().outputs["uri"] == "https://acmegroundworkdevdata.blob.core.windows.net/data/lake/"
    assert plan().outputs["bucket"] == "https://acmegroundworkdevmodels.blob.core.windows.net/models/"


@pytest.mark.parametrize("purpose", ALL)
def test_a_bucket_is_reached_over_tls_with_a_token_from_within_the_network_alone(purpose: str) -> None:
    inputs = plan().named("storage:StorageAccount", purpose).inputs
    assert inputs["enableHttpsTrafficOnly"] is True
    assert inputs["minimumTlsVersion"] == "TLS1_2"
    assert inputs["allowSharedKeyAccess"] is False
    assert inputs["allowBlobPublicAccess"] is False
    assert inputs["allowCrossTenantReplication"] is False
    assert inputs["isLocalUserEnabled"] is False
    assert inputs["publicNetworkAccess"] == "Disabled"
    assert inputs["networkRuleSet"] == {"bypass": "AzureServices", "defaultAction": "Deny"}
    assert plan().named("storage:BlobContainer", purpose).inputs["publicAccess"] == "None"


@pytest.mark.parametrize("purpose", ALL)
def test_a_bucket_is_encrypted_with_the_key_of_its_purpose_as_the_keys_own_user(purpose: str) -> None:
    key = "data" if purpose in ("data", "models") else "logs"
    inputs = plan().named("storage:StorageAccount", purpose).inputs
    encryption = inputs["encryption"]
    user = plan().named("managedidentity:UserAssignedIdentity", f"{key}-key").outputs["id"]
    assert encryption["keySource"] == "Microsoft.Keyvault"
    assert encryption["keyVaultProperties"] == {
        "keyName": f"groundwork-dev-{key}",
        "keyVaultUri": f"https://acme-groundwork-dev-{key}.vault.azure.net/",
    }
    assert encryption["encryptionIdentity"] == {"encryptionUserAssignedIdentity": user}
    assert inputs["identity"] == {"type": "UserAssigned", "userAssignedIdentities": [user]}
    assert {service["keyType"] for service in encryption["services"].values()} == {"Account"}


@pytest.mark.parametrize("purpose", ALL)
def test_what_was_overwritten_or_deleted_can_be_brought_back(purpose: str) -> None:
    inputs = plan().named("storage:BlobServiceProperties", purpose).inputs
    assert inputs["isVersioningEnabled"] is True
    assert inputs["changeFeed"]["enabled"] is True
    kept = {"enabled": False} if purpose == "data" else {"enabled": True, "days": 30}  # what is erased there is gone
    assert inputs["deleteRetentionPolicy"] == kept
    assert inputs["containerDeleteRetentionPolicy"] == {"enabled": True, "days": 30}


def lifecycle(purpose: str) -> dict[str, Any]:
    rules = plan().named("storage:ManagementPolicy", purpose).inputs["policy"]["rules"]
    assert all(rule["enabled"] for rule in rules)
    return {rule["name"]: rule["definition"]["actions"] for rule in rules}


def test_objects_move_to_colder_classes_and_go_in_the_end() -> None:
    after = "daysAfterModificationGreaterThan"
    assert lifecycle("data")["colder"] == {"baseBlob": {"tierToCool": {after: 90}}}
    assert "gone" not in lifecycle("data")
    assert lifecycle("models")["overwritten"]["version"] == {"delete": {"daysAfterCreationGreaterThan": 365}}
    assert lifecycle("audit")["colder"] == {"baseBlob": {"tierToCool": {after: 30}, "tierToCold": {after: 90}}}
    assert lifecycle("audit")["gone"] == {"baseBlob": {"delete": {after: 2555}}}
    assert lifecycle("logs")["gone"] == {"baseBlob": {"delete": {after: 400}}}


def test_what_is_kept_for_days_goes_with_its_versions() -> None:
    gone = {"delete": {"daysAfterCreationGreaterThan": 90}}
    assert lifecycle("data")["kept-lake"] == {"baseBlob": gone, "version": gone, "snapshot": gone}
    (rule,) = [
        rule
        for rule in plan().named("storage:ManagementPolicy", "data").inputs["policy"]["rules"]
        if rule["name"] == "kept-lake"
    ]
    assert rule["definition"]["filters"] == {"blobTypes": ["blockBlob"], "prefixMatch": ["data/lake/"]}


def test_a_grant_to_erase_removes_blobs_and_versions_under_the_prefix_alone() -> None:
    eraser = plan().named("authorization:RoleDefinition", "data-eraser")  # one for both prefixes
    (permissions,) = eraser.inputs["permissions"]
    assert permissions["actions"] == []
    assert permissions["dataActions"] == [f"{BLOBS}/{what}" for what in ("read", "delete", "deleteBlobVersion/action")]
    grant = plan().granted("server-erase-data-lake").inputs
    assert grant["roleDefinitionId"] == eraser.outputs["id"]
    assert grant["scope"] == plan().named("storage:BlobContainer", "data").outputs["id"]
    removes = f"ActionMatches{{'{BLOBS}/delete'}} OR ActionMatches{{'{BLOBS}/deleteBlobVersion/action'}}"
    assert f"((!({removes})) OR (@Resource[{BLOBS}:path] StringLike 'lake/*'))" in grant["condition"]
    assert (
        plan().granted("server-read-data-people").inputs["condition"]
        in plan().granted("server-erase-data-people").inputs["condition"]
    )


def states(found: Planned) -> list[str]:
    """The states that the lock's template brings the policy through, each after the one before."""
    steps = found.named("resources:Deployment", "audit-lock").inputs["properties"]["template"]["resources"]
    for before, step in itertools.pairwise(steps):
        assert step["dependsOn"] == [before["name"]]
    accounts = [step["properties"]["template"]["resources"][0] for step in steps]
    policies = [row["properties"]["immutableStorageWithVersioning"]["immutabilityPolicy"] for row in accounts]
    assert {policy["immutabilityPeriodSinceCreationInDays"] for policy in policies} == {365}
    assert all(policy["allowProtectedAppendWrites"] for policy in policies)
    return [policy["state"] for policy in policies]


def test_the_audit_trail_is_locked_for_good_and_the_access_logs_never_are() -> None:
    assert states(plan()) == ["Unlocked", "Locked"]
    locked = [
        row.name for row in plan().of_type("storage:StorageAccount") if row.inputs.get("immutableStorageWithVersioning")
    ]
    assert locked == ["audit"]


def test_a_disposable_environment_can_be_emptied() -> None:
    found = plan(disposable=True)
    assert states(found) == ["Unlocked"]
    assert not any(row.options.get("protect") for row in found.resources)


@pytest.mark.parametrize("kind", ["storage:StorageAccount", "storage:BlobContainer"])
def test_what_holds_data_is_protected_from_destruction(kind: str) -> None:
    assert all(row.options.get("protect") for row in plan().of_type(kind))


def test_access_logs_cannot_be_locked() -> None:
    program = 'key = parts.key("logs")\nparts.network("10.10.0.0/16", (), key)\n'
    with pytest.raises(ProgramError, match="azure: the bucket of the access logs cannot be locked"):
        planned(program + 'parts.store("logs", StoreArgs(key, locked_days=1))')


def test_who_came_for_objects_is_written_to_the_access_logs() -> None:
    recorded = {
        row.name: row.inputs
        for row in plan().of_type("monitor:DiagnosticSetting")
        if row.name in ("data", "models", "audit")
    }
    logs = plan().named("storage:StorageAccount", "logs").outputs["id"]
    assert set(recorded) == {"data", "models", "audit"}
    for name, inputs in recorded.items():
        assert inputs["resourceUri"] == plan().named("storage:BlobServiceProperties", name).outputs["id"]
        assert inputs["storageAccountId"] == logs
        assert [row["category"] for row in inputs["logs"]] == ["StorageRead", "StorageWrite", "StorageDelete"]


def test_a_grant_to_read_lists_and_reads_under_the_prefix_alone() -> None:
    grant = plan().granted("server-read-data-people").inputs
    assert grant["scope"] == plan().named("storage:BlobContainer", "data").outputs["id"]
    assert grant["roleDefinitionId"].endswith(BLOB_READER)
    reads, lists = f"ActionMatches{{'{BLOBS}/read'}}", "SubOperationMatches{'Blob.List'}"
    assert grant["conditionVersion"] == "2.0"
    assert grant["condition"] == (
        f"((!({reads} AND NOT {lists})) OR (@Resource[{BLOBS}:path] StringLike 'people/*'))"
        f" AND ((!({reads} AND {lists})) OR (@Request[{BLOBS}:prefix] StringLike 'people/*'))"
    )


def test_a_grant_to_write_neither_reads_nor_lists_nor_deletes() -> None:
    grant = plan().granted("server-write-data-lake").inputs
    writer = plan().named("authorization:RoleDefinition", "data-writer")
    assert grant["roleDefinitionId"] == writer.outputs["id"]
    (permissions,) = writer.inputs["permissions"]
    assert permissions["actions"] == []
    assert permissions["dataActions"] == [f"{BLOBS}/write", f"{BLOBS}/add/action"]
    assert grant["scope"] == plan().named("storage:BlobContainer", "data").outputs["id"]
    assert f"@Resource[{BLOBS}:path] StringLike 'lake/*'" in grant["condition"]
    assert all(f"ActionMatches{{'{BLOBS}/{action}'}}" in grant["condition"] for action in ("write", "add/action"))


def test_a_grant_without_a_prefix_is_to_the_whole_bucket_and_to_no_other() -> None:
    grant = plan().granted("server-read-models").inputs
    assert "condition" not in grant
    assert grant["scope"] == plan().named("storage:BlobContainer", "models").outputs["id"]


def test_a_replicated_bucket_is_kept_over_zones_and_in_the_paired_region() -> None:
    skus = {row.name: row.inputs["sku"]["name"] for row in plan("northeurope").of_type("storage:StorageAccount")}
    assert skus["models"] == "Standard_RAGZRS"
    assert {sku for name, sku in skus.items() if name != "models"} == {"Standard_ZRS"}


@pytest.mark.parametrize(
    ("replica", "advice"), [("francecentral", "set azure.replicaLocation to northeurope"), (None, "northeurope")]
)
def test_a_copy_elsewhere_is_refused_with_what_to_do(replica: str | None, advice: str) -> None:
    program = STORES.replace("REPLICATED", "True")
    with pytest.raises(ProgramError, match=f"azure: westeurope keeps its copies in northeurope; .*{advice}"):
        planned(program, ground=True, replica=replica)


def test_no_region_is_paired_with_itself() -> None:
    assert all(region != pair for region, pair in PAIRS.items())


def test_a_bucket_before_the_network_is_refused() -> None:
    with pytest.raises(ProgramError, match="make the network first"):
        planned('parts.store("data", StoreArgs(parts.key("data")))')


def test_the_state_is_reached_from_outside_with_a_token_and_named_as_pulumi_login_wants_it() -> None:
    found = planned('store = parts.store("state", StoreArgs(parts.key("state")))\npulumi.export("url", store.uri())')
    assert found.outputs["url"] == "azblob://state?storage_account=acmegroundworkdevstate"
    inputs = found.only("storage:StorageAccount").inputs
    assert (inputs["publicNetworkAccess"], inputs["allowSharedKeyAccess"]) == ("Enabled", False)
    assert not found.of_type("network:PrivateEndpoint")
