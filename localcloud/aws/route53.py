"""Route 53: public zones and their records."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from localcloud.aws.account import Account
from localcloud.aws.answers import present
from localcloud.aws.calls import ProviderError, all_of, changed, if_found, retag, tag_list, tag_map
from localcloud.aws.kind import Kind, Properties, Tags

GONE = "NoSuchHostedZone"
OWN = ("NS", "SOA")  # the records that every zone has at its top


def _zone_of(account: Account, name: str) -> Any:
    rows = all_of(account.client("route53"), "list_hosted_zones", "HostedZones")
    return next((row for row in rows if row["Name"].rstrip(".") == name.rstrip(".")), None)


def create_zone(account: Account, inputs: Properties, tags: Tags) -> str:
    """The id is the one that Route 53 gives. Two zones of one name are for another kind of program."""
    client = account.client("route53")
    if _zone_of(account, inputs["name"]):
        raise ProviderError(f"the zone {inputs['name']} exists already. Choose another name, or import it.")
    answer = client.create_hosted_zone(
        Name=inputs["name"], CallerReference=uuid.uuid4().hex, HostedZoneConfig={"Comment": inputs["comment"]}
    )
    id_ = str(answer["HostedZone"]["Id"]).removeprefix("/hostedzone/")
    if tags:
        client.change_tags_for_resource(ResourceType="hostedzone", ResourceId=id_, AddTags=tag_list(tags))
    return id_


def read_zone(account: Account, id_: str, inputs: Properties) -> Properties | None:
    """Two calls, as the tags go apart."""
    client = account.client("route53")
    answer = if_found(client.get_hosted_zone, GONE, Id=id_)
    if answer is None:
        return None
    about = answer["HostedZone"]
    servers = answer.get("DelegationSet", {}).get("NameServers", [])
    tags = client.list_tags_for_resource(ResourceType="hostedzone", ResourceId=id_)["ResourceTagSet"]["Tags"]
    return {
        "name": _as_declared(about["Name"], inputs),
        "comment": about["Config"].get("Comment", ""),
        "zoneId": id_,
        "arn": f"arn:{account.partition}:route53:::hostedzone/{id_}",
        "nameServers": servers,
        "primaryNameServer": servers[0] if servers else "",
        "tags": tag_map(tags),
    }


def _as_declared(name: str, inputs: Properties) -> str:
    """Names with and without a dot at the end mean the same."""
    declared = str(inputs.get("name", ""))
    return declared if declared.rstrip(".").lower() == name.rstrip(".").lower() else name.rstrip(".")


def update_zone(account: Account, id_: str, old: Properties, new: Properties) -> None:
    """Comment and tags."""
    client = account.client("route53")
    if changed(old, new, "comment"):
        client.update_hosted_zone_comment(Id=id_, Comment=new["comment"])
    where = {"ResourceType": "hostedzone", "ResourceId": id_}
    retag(
        old,
        new,
        lambda tags: client.change_tags_for_resource(**where, AddTags=tag_list(tags)),
        lambda names: client.change_tags_for_resource(**where, RemoveTagKeys=names),
    )


def delete_zone(account: Account, id_: str, inputs: Properties) -> None:
    """With forceDestroy, records that others gave it go first."""
    if read_zone(account, id_, inputs) is None:
        return
    for row in _records(account, id_) if inputs.get("forceDestroy") else []:
        if row["Type"] not in OWN:
            _change(account, id_, "DELETE", row)
    account.client("route53").delete_hosted_zone(Id=id_)


def list_zones(account: Account) -> Iterator[tuple[str, Tags]]:
    """All of the account."""
    for row in all_of(account.client("route53"), "list_hosted_zones", "HostedZones"):
        yield row["Id"].removeprefix("/hostedzone/"), {}


def find_zone(account: Account, inputs: Properties) -> str | None:
    """By its name."""
    row = _zone_of(account, inputs["name"])
    return str(row["Id"]).removeprefix("/hostedzone/") if row else None


def _records(account: Account, zone: str) -> list[Any]:
    client = account.client("route53")
    return (
        if_found(lambda: all_of(client, "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone), GONE)
        or []
    )


def _change(account: Account, zone: str, action: str, record: dict[str, Any]) -> None:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    account.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


def _record(inputs: Properties) -> dict[str, Any]:
    record: dict[str, Any] = {"Name": inputs["name"], "Type": inputs["type"]}
    if inputs.get("aliases"):
        alias = inputs["aliases"][0]
        record["AliasTarget"] = {
            "DNSName": alias["name"],
            "HostedZoneId": alias["zoneId"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        }
        return record
    values = [f'"{text}"' if inputs["type"] == "TXT" else text for text in inputs["records"]]
    return {**record, "TTL": inputs["ttl"], "ResourceRecords": [{"Value": text} for text in values]}


def create_record(account: Account, inputs: Properties, _: Tags) -> str:
    """The id is ZONE_NAME_TYPE, as the real provider's is."""
    _change(account, inputs["zoneId"], "UPSERT" if inputs.get("allowOverwrite") else "CREATE", _record(inputs))
    return f"{inputs['zoneId']}_{inputs['name']}_{inputs['type']}"


def _live(account: Account, zone: str, name: str, kind: str) -> Any:
    wanted = (name.rstrip(".").lower(), kind)
    rows = _records(account, zone)
    return next((row for row in rows if (row["Name"].rstrip(".").lower(), row["Type"]) == wanted), None)


def read_record(account: Account, id_: str, inputs: Properties) -> Properties | None:
    """Names may begin with _, so that what is between the first _ and the last is the name."""
    zone, rest = id_.split("_", 1)
    name, kind = rest.rsplit("_", 1)
    about = _live(account, zone, name, kind)
    if about is None:
        return None
    alias = about.get("AliasTarget")
    declared = (inputs.get("aliases") or [{}])[0]
    values = [row["Value"] for row in about.get("ResourceRecords", [])]
    return {
        "zoneId": zone,
        "name": _as_declared(about["Name"], inputs),
        "fqdn": about["Name"].rstrip("."),
        "type": about["Type"],
        **present(ttl=about.get("TTL")),
        "records": [text.strip('"') if kind == "TXT" else text for text in values],
        "aliases": [
            {
                "name": _as_declared(alias["DNSName"], declared),
                "zoneId": alias["HostedZoneId"],
                "evaluateTargetHealth": alias["EvaluateTargetHealth"],
            }
        ]
        if alias
        else [],
    }


def update_record(account: Account, _: str, __: Properties, new: Properties) -> None:
    """A record is written whole."""
    _change(account, new["zoneId"], "UPSERT", _record(new))


def delete_record(account: Account, id_: str, _: Properties) -> None:
    """Route 53 wants it told just as it is."""
    zone, rest = id_.split("_", 1)
    name, kind = rest.rsplit("_", 1)
    about = _live(account, zone, name, kind)
    if about is not None:
        _change(account, zone, "DELETE", about)


def list_records(account: Account) -> Iterator[tuple[str, Tags]]:
    """Of every zone, but for those that a zone has by itself."""
    for zone, _ in list_zones(account):
        for row in _records(account, zone):
            if row["Type"] not in OWN:
                yield f"{zone}_{row['Name'].rstrip('.')}_{row['Type']}", {}


def find_record(account: Account, inputs: Properties) -> str | None:
    """By its zone, name and type."""
    found = _live(account, inputs["zoneId"], inputs["name"], inputs["type"])
    return f"{inputs['zoneId']}_{inputs['name']}_{inputs['type']}" if found else None


KINDS = (
    Kind(
        "aws:route53/zone:Zone",
        create=create_zone,
        read=read_zone,
        update=update_zone,
        delete=delete_zone,
        list=list_zones,
        find=find_zone,
        read_back=frozenset(["name", "comment", "tags"]),
        kept={"forceDestroy": "steers the deletion; no cloud reports it"},
        replaces=frozenset(["name"]),
        defaults={"comment": "Managed by Pulumi"},
        regional=False,
        delete_before_replace=True,
    ),
    Kind(
        "aws:route53/record:Record",
        create=create_record,
        read=read_record,
        update=update_record,
        delete=delete_record,
        list=list_records,
        find=find_record,
        read_back=frozenset(["zoneId", "name", "type", "ttl", "records", "aliases"]),
        kept={"allowOverwrite": "steers the creation; no cloud reports it"},
        replaces=frozenset(["zoneId", "name", "type"]),
        unordered=frozenset(["records"]),
        regional=False,
        delete_before_replace=True,
    ),
)
