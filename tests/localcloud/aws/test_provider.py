"""The engine's view of AWS, apart from what single kinds do."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from localcloud.aws import KINDS
from localcloud.aws.provider import CheckError, Diff, Provider, ProviderError, mark
from localcloud.errors import UnsupportedError
from localcloud.values import UNKNOWN
from tests.localcloud.aws.bench import REGION, Bench, configuration

KEY, BUCKET, ROLE = "aws:kms/key:Key", "aws:s3/bucket:Bucket", "aws:iam/role:Role"
ALIAS, GROUP = "aws:kms/alias:Alias", "aws:cloudwatch/logGroup:LogGroup"
TRUST = '{"Version": "2012-10-17", "Statement": []}'


def urn(token: str, name: str = "thing") -> str:
    return f"urn:pulumi:dev::project::{token}::{name}"


@pytest.fixture
def tagging(emulator_url: str, provider: Provider) -> Provider:
    return Provider(configuration(emulator_url, defaultTags={"tags": {"team": "ml", "project": "default"}}))


def test_an_unknown_type_is_refused_by_name(provider: Provider) -> None:
    assert not provider.supports("aws:rds/instance:Instance")
    with pytest.raises(UnsupportedError, match=r"aws:rds/instance:Instance"):
        provider.check("aws:rds/instance:Instance", urn("aws:rds/instance:Instance"), {})


def test_an_input_that_is_neither_read_back_nor_kept_is_refused_by_name(provider: Provider) -> None:
    with pytest.raises(CheckError) as raised:
        provider.check(BUCKET, urn(BUCKET), {"bucket": "b", "corsRules": [], "acl": "private"})
    assert [reason.split("`")[1] for reason in raised.value.reasons] == ["acl", "corsRules"]
    assert all(BUCKET in reason and "thing" in reason for reason in raised.value.reasons)


def test_a_name_that_is_left_out_is_made_from_the_urn_and_always_the_same(provider: Provider) -> None:
    name = provider.check(ROLE, urn(ROLE, "Server"), {})["name"]
    assert name == f"Server-{mark(urn(ROLE, 'Server'))[:7]}"
    assert provider.check(ROLE, urn(ROLE, "Server"), {})["name"] == name
    assert provider.check(ROLE, urn(ROLE, "Server") + "2", {})["name"] != name


def test_made_names_have_the_form_that_the_cloud_wants(provider: Provider) -> None:
    assert provider.check(BUCKET, urn(BUCKET, "Data"), {})["bucket"].startswith("data-")
    assert provider.check(ALIAS, urn(ALIAS, "data"), {})["name"].startswith("alias/data-")
    assert provider.check(BUCKET, urn(BUCKET), {"bucketPrefix": "org-"})["bucket"].startswith("org-")


def test_a_name_that_the_real_provider_made_is_left(provider: Provider) -> None:
    assert provider.check(ROLE, urn(ROLE), {}, {"name": "thing-0a1b2c3"})["name"] == "thing-0a1b2c3"
    assert provider.check(ROLE, urn(ROLE), {}, {"name": "given"})["name"] != "given"


def test_defaults_are_filled_in_and_declared_values_left(provider: Provider) -> None:
    checked = provider.check(KEY, urn(KEY), {"isEnabled": False})
    assert checked["keyUsage"] == "ENCRYPT_DECRYPT"
    assert checked["isEnabled"] is False


def test_default_tags_join_the_declared_ones_which_win(tagging: Provider) -> None:
    checked = tagging.check(KEY, urn(KEY), {"tags": {"project": "declared"}})
    assert checked["tags"] == {"team": "ml", "project": "declared"}
    assert "tags" not in tagging.check(ALIAS, urn(ALIAS), {"name": "alias/a", "targetKeyId": "k"})
    assert tagging.check(KEY, urn(KEY), {"tags": UNKNOWN})["tags"] is UNKNOWN


def test_a_default_tag_removed_behind_our_back_is_drift(tagging: Provider) -> None:
    inputs = tagging.check(KEY, urn(KEY), {})
    made = tagging.create(KEY, urn(KEY), inputs)
    tagging.account.client("kms").untag_resource(KeyId=made, TagKeys=["team"])
    found = tagging.read(KEY, made, inputs)
    assert found is not None
    assert found[1]["tagsAll"] == {"project": "default"}
    assert tagging.diff(KEY, found[0], inputs).changed == ("tags",)


def test_tags_that_the_program_does_not_declare_are_drift_and_the_mark_is_not(provider: Provider) -> None:
    inputs = provider.check(KEY, urn(KEY), {})
    made = provider.create(KEY, urn(KEY), inputs)
    assert provider.read(KEY, made, inputs) is not None
    assert provider.account.client("kms").list_resource_tags(KeyId=made)["Tags"] == [
        {"TagKey": "localcloud:urn", "TagValue": mark(urn(KEY))}
    ]
    provider.account.client("kms").tag_resource(KeyId=made, Tags=[{"TagKey": "added", "TagValue": "1"}])
    found = provider.read(KEY, made, inputs)
    assert found is not None
    assert found[0]["tags"] == {"added": "1"}


DIFFS: dict[str, tuple[str, dict[str, Any], dict[str, Any], Diff]] = {
    "nothing": (KEY, {"description": "a"}, {"description": "a"}, Diff()),
    "a default left out": (KEY, {"isEnabled": True}, {}, Diff()),
    "JSON written otherwise": (KEY, {"policy": '{"a": 1}'}, {"policy": '{"a":1}'}, Diff()),
    "a changed value": (KEY, {"description": "a"}, {"description": "b"}, Diff(("description",))),
    "an added value": (KEY, {}, {"tags": {"a": "b"}}, Diff(("tags",))),
    "a removed value": (KEY, {"tags": {"a": "b"}}, {}, Diff(("tags",))),
    "an unknown value": (
        ALIAS,
        {"name": "a", "targetKeyId": "k"},
        {"name": "a", "targetKeyId": UNKNOWN},
        Diff(("targetKeyId",), (), True),
    ),
    "nothing, should a user ask for a replacement": (ROLE, {"name": "a"}, {"name": "a"}, Diff((), (), True)),
    "an unknown value inside": (KEY, {"tags": {"a": "b"}}, {"tags": {"a": UNKNOWN}}, Diff(("tags",))),
    "what needs a new resource": (KEY, {"keyUsage": "A"}, {"keyUsage": "B"}, Diff(("keyUsage",), ("keyUsage",))),
    "another name": (ROLE, {"name": "a"}, {"name": "b"}, Diff(("name",), ("name",))),
    "the same name": (ROLE, {"name": "a", "path": "/"}, {"name": "a", "path": "/b/"}, Diff(("path",), ("path",), True)),
    "another region": (KEY, {"region": "a"}, {"region": "b"}, Diff(("region",), ("region",))),
    "what is never changed in place": (
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        {"role": "a", "policyArn": "b"},
        {"role": "a", "policyArn": "c"},
        Diff(("policyArn",), ("policyArn",)),
    ),
}


@pytest.mark.parametrize("case", DIFFS)
def test_differences_are_told_by_meaning(provider: Provider, case: str) -> None:
    token, old, new, expected = DIFFS[case]
    assert provider.diff(token, old, new) == expected


def test_adoption_takes_only_what_bears_the_mark_of_that_urn(provider: Provider) -> None:
    inputs = provider.check(KEY, urn(KEY), {})
    provider.create(KEY, urn(KEY, "other"), inputs)
    provider.account.client("kms").create_key()
    assert provider.find(KEY, urn(KEY), inputs, frozenset()) is None
    first, second = provider.create(KEY, urn(KEY), inputs), provider.create(KEY, urn(KEY), inputs)
    assert provider.find(KEY, urn(KEY), inputs, frozenset([first])) == second
    assert provider.find(KEY, urn(KEY), inputs, frozenset([first, second])) is None


def test_a_resource_can_live_in_a_region_of_its_own(provider: Provider) -> None:
    inputs = provider.check(GROUP, urn(GROUP), {"name": "g", "region": "us-west-2"})
    made = provider.create(GROUP, urn(GROUP), inputs)
    found = provider.read(GROUP, made, inputs)
    assert found is not None
    assert found[1]["arn"].split(":")[3] == found[1]["region"] == "us-west-2"
    assert provider.read(GROUP, made, {"name": "g"}) is None
    assert provider.account.region == REGION


def test_what_the_cloud_refuses_is_one_sentence_with_the_resource_and_its_answer(provider: Provider) -> None:
    inputs = provider.check(ROLE, urn(ROLE), {"name": "r", "assumeRolePolicy": TRUST})
    provider.create(ROLE, urn(ROLE), inputs)
    with pytest.raises(ProviderError) as raised:
        provider.create(ROLE, urn(ROLE), inputs)
    said = str(raised.value)
    assert said.startswith(f"{ROLE} thing: CreateRole was refused: ")
    assert "(EntityAlreadyExists)" in said
    assert "\n" not in said


def test_an_emulator_that_does_not_answer_is_a_sentence_too() -> None:
    with socket.socket() as listening:  # bound and closed again: nobody listens there
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    provider = Provider(configuration(f"http://127.0.0.1:{port}"))
    with pytest.raises(ProviderError, match=rf"{KEY} k: Could not connect.*127\.0\.0\.1:{port}"):
        provider.read(KEY, "k", {})


def test_arguments_that_boto3_refuses_are_a_sentence_on_one_line(provider: Provider) -> None:
    inputs = provider.check(ROLE, urn(ROLE), {"assumeRolePolicy": TRUST, "maxSessionDuration": "long"})
    with pytest.raises(ProviderError, match="MaxSessionDuration") as raised:
        provider.create(ROLE, urn(ROLE), inputs)
    assert "\n" not in str(raised.value)


def test_an_account_that_nobody_used_has_an_empty_inventory(provider: Provider) -> None:
    assert provider.inventory() == []


def test_every_resource_of_the_inventory_is_one_that_was_made(bench: Bench) -> None:
    for name in ("alias", "attachment", "role-policy", "log-group", "alarm", "repository", "encryption", "certificate"):
        bench.make(name)
    made = {(bench.samples[name].token, outputs["id"]) for name, outputs in bench.made.items()}
    assert set(bench.provider.inventory()) == {(token, id_) for token, id_ in made if KINDS[token].list}


def test_the_caller_the_region_and_the_zones_are_told(provider: Provider) -> None:
    caller = provider.invoke("aws:index/getCallerIdentity:getCallerIdentity", {})
    assert caller["accountId"] == provider.account.account_id
    assert provider.invoke("aws:index/getRegion:getRegion", {})["name"] == REGION
    assert provider.invoke("aws:index/getPartition:getPartition", {})["partition"] == "aws"
    zones = provider.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {"state": "available"})
    assert zones["names"] == [f"{REGION}{letter}" for letter in "abc"]


def test_an_unknown_function_is_refused_by_name(provider: Provider) -> None:
    with pytest.raises(UnsupportedError, match="aws:ec2/getAmi:getAmi"):
        provider.invoke("aws:ec2/getAmi:getAmi", {})
