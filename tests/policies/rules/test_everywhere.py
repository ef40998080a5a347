"""What pairs cannot tell: a resource that has its owner from its provider."""

import json

import pytest

from policies.graph import Graph, Resource
from policies.rules.everywhere import RULES

(OWNED,) = (rule for rule in RULES if rule.id == "GW-ALL-004")
PROVIDERS: dict[str, dict[str, object]] = {
    "aws": {"defaultTags": {"tags": {"owner": "ml"}}},
    "gcp": {"defaultLabels": {"owner": "ml"}},
}


def failures(cloud: str, settings: dict[str, object]) -> list[str]:
    urn = f"urn:pulumi:dev::p::pulumi:providers:{cloud}::main"
    kind, tags = {"aws": ("aws:s3/bucket:Bucket", "tags"), "gcp": ("gcp:storage/bucket:Bucket", "labels")}[cloud]
    rows = (
        Resource(urn, f"pulumi:providers:{cloud}", "main", settings),
        Resource("it", kind, "it", {}, provider=f"{urn}::0123"),
        Resource("other", kind, "other", {tags: {"owner": "ml"}}, provider=f"{urn}::0123"),
    )
    return [verdict.status for verdict in OWNED.judge(rows[1], Graph("p", "dev", rows))]


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_an_owner_that_the_provider_gives_counts(cloud: str) -> None:
    assert failures(cloud, {}) == ["fail"]
    assert failures(cloud, PROVIDERS[cloud]) == []
    # A provider's settings go over the wire as JSON.
    assert failures(cloud, {name: json.dumps(value) for name, value in PROVIDERS[cloud].items()}) == []
    assert failures(cloud, {name: {"$unknown": True} for name in PROVIDERS[cloud]}) == []
