"""Samples of Route 53."""

from __future__ import annotations

from typing import Any

from localcloud.aws.account import Account
from tests.localcloud.aws.samples import Behind, Ref, Sample
from tests.localcloud.aws.samples.ec2 import OTHER_TAGS, TAGS


def write(**said: Any) -> Behind:
    """The record as it is, but for some parts."""

    def behind(account: Account, _: str, outputs: Any) -> None:
        client = account.client("route53")
        rows = client.list_resource_record_sets(HostedZoneId=outputs["zoneId"])["ResourceRecordSets"]
        live = next(row for row in rows if row["Name"].rstrip(".") == outputs["name"])
        changes = [{"Action": "UPSERT", "ResourceRecordSet": {**live, **said}}]
        client.change_resource_record_sets(HostedZoneId=outputs["zoneId"], ChangeBatch={"Changes": changes})

    return behind


def tag(account: Account, made: str, _: Any) -> None:
    account.client("route53").change_tags_for_resource(
        ResourceType="hostedzone", ResourceId=made, AddTags=[{"Key": "added", "Value": "1"}]
    )


def alias(name: str) -> list[dict[str, Any]]:
    return [{"name": name, "zoneId": "Z215JYRZR1TBD5", "evaluateTargetHealth": True}]


SAMPLES = {
    "zone": Sample(
        "aws:route53/zone:Zone",
        {"name": "example.com", "comment": "ours", "tags": TAGS},
        changes={"comment": "changed", "tags": OTHER_TAGS},
        behind={
            "comment": lambda a, i, _: a.client("route53").update_hosted_zone_comment(Id=i, Comment="x"),
            "tags": tag,
        },
        steers=frozenset({"forceDestroy"}),
    ),
    "record": Sample(
        "aws:route53/record:Record",
        {
            "zoneId": Ref("zone"),
            "name": "_proof.predict.example.com",
            "type": "CNAME",
            "ttl": 300,
            "records": ["x.acm-validations.aws."],
        },
        changes={"ttl": 60, "records": ["y.acm-validations.aws."]},
        behind={"ttl": write(TTL=5), "records": write(ResourceRecords=[{"Value": "x.example.org"}])},
        steers=frozenset({"allowOverwrite"}),
    ),
    "record-of-texts": Sample(
        "aws:route53/record:Record",
        {"zoneId": Ref("zone"), "name": "example.com", "type": "TXT", "ttl": 60, "records": ["b", "a"]},
    ),
    "alias-record": Sample(
        "aws:route53/record:Record",
        {"zoneId": Ref("zone"), "name": "predict.example.com", "type": "A", "aliases": alias("a.example.net")},
        changes={"aliases": alias("b.example.net")},
        behind={
            "aliases": write(
                AliasTarget={"DNSName": "x.example.net", "HostedZoneId": "Z1", "EvaluateTargetHealth": False}
            )
        },
    ),
}
