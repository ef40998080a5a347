"""The graph of a plan: what is taken, what is refused, and how Azure's versions are seen through."""

import copy
from typing import Any

import pytest

from policies.graph import Graph, PlanError, Resource, parse

ROW: dict[str, Any] = {
    "urn": "urn:pulumi:dev::shop::aws:s3/bucket:Bucket::data",
    "type": "aws:s3/bucket:Bucket",
    "name": "data",
    "parent": None,
    "custom": True,
    "provider": None,
    "inputs": {"acl": "private"},
    "outputs": {},
    "dependencies": [],
    "propertyDependencies": {"key": ["urn:pulumi:dev::shop::aws:kms/key:Key::key"]},
    "options": {},
    "source": {"file": "__main__.py", "line": 3},
    "synthetic": [],
}
PLAN: dict[str, Any] = {
    "version": 1,
    "project": "shop",
    "stack": "dev",
    "config": {},
    "resources": [ROW],
    "outputs": {},
    "synthetic": [],
}


def changed(**changes: Any) -> dict[str, Any]:
    """The plan with changes to its one resource."""
    plan = copy.deepcopy(PLAN)
    plan["resources"][0] |= changes
    return plan


def test_a_plan_becomes_a_graph_that_knows_lines_and_references() -> None:
    (row,) = parse(PLAN, "plan.json").resources
    assert (row.file, row.line, row.get("acl")) == ("__main__.py", 3, "private")
    assert row.dependencies == {"urn:pulumi:dev::shop::aws:kms/key:Key::key"}


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        PLAN | {"version": 2},
        PLAN | {"resources": []},
        PLAN | {"resources": [ROW, ROW]},
        PLAN | {"stack": "prod"},
        PLAN | {"stack": ""},
        PLAN | {"config": []},
        changed(inputs=["acl"]),
        changed(urn=5),
        changed(type=""),
        changed(source={"file": "x.py"}),
        changed(source={"file": "x.py", "line": "3"}),
        changed(dependencies="urn"),
        changed(propertyDependencies={"key": "urn"}),
        changed(parent=7),
        {key: value for key, value in PLAN.items() if key != "outputs"},
    ],
)
def test_what_is_no_whole_plan_is_refused_with_a_sentence_that_names_it(document: Any) -> None:
    with pytest.raises(PlanError, match=r"^shop/plan\.json is no (whole )?plan: .+\.$"):
        parse(document, "shop/plan.json")


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("azure-native:storage:StorageAccount", "azure-native:storage:StorageAccount"),
        ("azure-native:storage/v20230101:StorageAccount", "azure-native:storage:StorageAccount"),
        ("azure-native:storage/v20230101preview:StorageAccount", "azure-native:storage:StorageAccount"),
        ("azure-native_storage_v20230101:storage:StorageAccount", "azure-native:storage:StorageAccount"),
        ("kubernetes:apps/v1:Deployment", "kubernetes:apps/v1:Deployment"),
        ("aws:s3/bucketV2:BucketV2", "aws:s3/bucketV2:BucketV2"),
    ],
)
def test_an_azure_type_of_any_version_is_found_by_its_token_without_one(token: str, kind: str) -> None:
    row = Resource("urn", token, "it", {})
    assert row.kind == kind
    assert list(Graph("shop", "dev", (row,)).of_type(kind)) == [row]
    assert row.type == token
