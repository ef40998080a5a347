"""What changes between two plans, and what does not though it looks so."""

import base64
import copy
import json
from typing import Any

import pytest

from rollout.changes import LONGEST_LIST, MISSING, Change, Changes, Property, compare, text_of
from rollout.redact import document_of
from tests.rollout.plan_documents import HEAD, RELEASE, plan, resource

BUCKET = "aws:s3/bucket:Bucket"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
PROVIDER = "pulumi:providers:aws"
FUNCTION = "aws:lambda/function:Function"


def changed(old: dict[str, Any], new: dict[str, Any], token: str = FUNCTION) -> tuple[Property, ...]:
    """The properties that differ between two inputs of one resource."""
    return only(compare(plan(resource(token, "a", old)), plan(resource(token, "a", new)))).properties


def only(found: Changes) -> Change:
    (change,) = found.resources
    return change


def paths(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {row.path: (row.old, row.new) for row in changed(old, new)}


def test_the_same_plan_changes_nothing() -> None:
    document = plan(resource(BUCKET, "data", {"bucket": "data"}))
    found = compare(document, copy.deepcopy(document))
    assert found.empty
    assert found.unchanged == 1


def test_a_new_stack_creates_and_a_removed_one_deletes_everything() -> None:
    document = plan(resource(BUCKET, "data"), resource("demo:index:Part", "part", custom=False))
    assert [(row.op, row.name) for row in compare(None, document).resources] == [("create", "data")]
    assert [(row.op, row.name) for row in compare(document, None).resources] == [("delete", "data")]
    assert [row.name for row in compare(None, document).folded] == ["part"]


def test_a_change_tells_old_and_new_by_path() -> None:
    old = {"a": 1, "b": {"c": [1, 2], "gone": "x"}, "same": True}
    assert paths(old, {"a": 2, "b": {"c": [1, 3], "made": None}, "same": True}) == {
        "a": (1, 2),
        "b.c[1]": (2, 3),
        "b.gone": ("x", MISSING),
        "b.made": (MISSING, None),
    }


def test_true_is_not_one() -> None:
    assert paths({"a": 1}, {"a": True}) == {"a": (1, True)}


def test_a_row_that_is_put_into_a_list_is_the_one_change() -> None:
    assert paths({"a": ["x", "z"]}, {"a": ["x", "y", "z"]}) == {"a[1]": (MISSING, "y")}


def test_rows_with_names_know_each_other_wherever_they_stand() -> None:
    old = {"tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]}
    new = {"tags": [{"key": "b", "value": "3"}, {"key": "c", "value": "1"}, {"key": "a", "value": "1"}]}
    assert paths(old, new) == {"tags[b].value": ("2", "3"), "tags[c]": (MISSING, {"key": "c", "value": "1"})}


def test_a_list_that_is_too_long_to_align_is_one_change() -> None:
    assert set(paths({"a": [0] * (LONGEST_LIST + 1)}, {"a": [1]})) == {"a"}


def test_json_in_a_text_is_compared_inside() -> None:
    old = {"policy": json.dumps({"Statement": [{"Sid": "a", "Action": ["s3:GetObject"]}]})}
    new = {"policy": json.dumps({"Statement": [{"Sid": "a", "Action": ["s3:GetObject", "s3:PutObject"]}]}, indent=2)}
    assert paths(old, new) == {"policy.Statement[a].Action[1]": (MISSING, "s3:PutObject")}


def test_json_that_is_only_written_otherwise_is_no_change() -> None:
    old, new = json.dumps({"a": 1, "b": 2}), json.dumps({"b": 2, "a": 1}, indent=4)
    assert compare(plan(resource(FUNCTION, "a", {"x": old})), plan(resource(FUNCTION, "a", {"x": new}))).empty


def bucket_and_policy(arn: str, action: str, **more: Any) -> dict[str, Any]:
    """A bucket whose ARN a plan made up, and a policy that names it."""
    policy = json.dumps({"Statement": [{"Action": action, "Resource": f"{arn}/*"}]})
    bucket = resource(
        BUCKET, "data", {}, outputs={"arn": arn, "id": arn}, synthetic=["/outputs/arn", "/outputs/id"], **more
    )
    uses = {"policy": [bucket["urn"]]}
    marks = ["/inputs/policy"]
    return plan(bucket, resource(POLICY, "data", {"policy": policy}, propertyDependencies=uses, synthetic=marks))


def test_a_made_up_value_that_differs_because_its_source_does_is_no_change() -> None:
    assert compare(bucket_and_policy("arn:aws:s3:::one", "get"), bucket_and_policy("arn:aws:s3:::two", "get")).empty


def test_what_changes_beside_a_made_up_value_is_told_as_it_stands() -> None:
    found = compare(bucket_and_policy("arn:aws:s3:::one", "get"), bucket_and_policy("arn:aws:s3:::two", "put"))
    assert only(found).properties == (Property("policy.Statement[0].Action", "get", "put"),)


def test_a_text_that_only_looks_like_a_made_up_value_counts() -> None:
    old, new = bucket_and_policy("arn:aws:s3:::one", "get"), bucket_and_policy("arn:aws:s3:::two", "get")
    for document in (old, new):
        document["resources"][2]["synthetic"] = []
    assert only(compare(old, new)).properties[0].path == "policy.Statement[0].Resource"


def test_another_source_of_a_made_up_value_is_a_change() -> None:
    old, new = bucket_and_policy("arn:aws:s3:::one", "get"), bucket_and_policy("arn:aws:s3:::two", "get")
    new["resources"].insert(
        1, resource(BUCKET, "other", {}, outputs={"arn": "arn:aws:s3:::two"}, synthetic=["/outputs/arn"])
    )
    new["resources"][3]["propertyDependencies"] = {"policy": [f"{HEAD}{BUCKET}::other"]}
    assert {row.name for row in compare(old, new).resources} == {"other", "data"}


def test_the_release_is_no_change() -> None:
    def pinned(release: str) -> dict[str, Any]:
        row = resource(FUNCTION, "a", {"image": f"app@{release}"})
        return plan(row, config={"groundwork:release": release})

    assert compare(pinned(RELEASE), pinned("sha256:" + "2" * 64)).empty


def test_an_alias_makes_one_of_what_was_renamed() -> None:
    old = plan(resource(BUCKET, "old", {"bucket": "a"}))
    new = plan(resource(BUCKET, "new", {"bucket": "a"}, options={"aliases": [f"{HEAD}{BUCKET}::old"]}))
    change = only(compare(old, new))
    assert (change.op, change.name) == ("update", "new")
    assert [row.path for row in change.properties] == ["aliases"]


def test_an_alias_of_something_that_is_still_there_counts_for_nothing() -> None:
    old = plan(resource(BUCKET, "old"))
    new = plan(resource(BUCKET, "old"), resource(BUCKET, "new", options={"aliases": [f"{HEAD}{BUCKET}::old"]}))
    assert only(compare(old, new)).op == "create"


def test_a_made_up_value_of_something_renamed_is_no_change() -> None:
    old = bucket_and_policy("arn:aws:s3:::one", "get")
    new = bucket_and_policy("arn:aws:s3:::two", "get", options={"aliases": [f"{HEAD}{BUCKET}::data"]})
    new["resources"][1] |= {"urn": f"{HEAD}{BUCKET}::renamed", "name": "renamed"}
    new["resources"][2]["propertyDependencies"] = {"policy": [f"{HEAD}{BUCKET}::renamed"]}
    assert [row.name for row in compare(old, new).resources] == ["renamed"]


def test_something_of_the_same_name_elsewhere_in_the_program_is_told() -> None:
    moved = resource(BUCKET, "data", urn=f"{HEAD}demo:index:Part${BUCKET}::data")
    found = compare(plan(resource(BUCKET, "data")), plan(moved))
    assert {(row.op, row.moved) for row in found.resources} == {
        ("create", f"{HEAD}{BUCKET}::data"),
        ("delete", moved["urn"]),
    }


def test_a_property_that_cannot_change_may_make_a_thing_anew() -> None:
    change = only(compare(plan(resource(BUCKET, "a", {"bucket": "x"})), plan(resource(BUCKET, "a", {"bucket": "y"}))))
    assert change.op == "replace"
    assert change.properties[0].forces


def test_replace_on_changes_of_the_program_counts() -> None:
    def asked(value: str) -> dict[str, Any]:
        return plan(resource(FUNCTION, "a", {"x": {"y": value}}, options={"replaceOnChanges": ["x.y"]}))

    assert only(compare(asked("1"), asked("2"))).op == "replace"


def test_what_pulumi_is_told_to_ignore_is_no_change() -> None:
    def asked(count: int) -> dict[str, Any]:
        return plan(
            resource(
                "aws:ecs/service:Service", "a", {"desiredCount": count}, options={"ignoreChanges": ["desiredCount"]}
            )
        )

    assert compare(asked(1), asked(2)).empty


def test_options_are_told_and_plugin_versions_are_counted() -> None:
    old = plan(
        resource(BUCKET, "a", options={"protect": True, "version": "1"}),
        resource(BUCKET, "b", options={"version": "1"}),
    )
    new = plan(resource(BUCKET, "a", options={"version": "2"}), resource(BUCKET, "b", options={"version": "2"}))
    found = compare(old, new)
    assert only(found).properties == (Property("protect", True, MISSING, option=True),)
    assert found.plugins == {("aws", "1", "2"): 2}


def provided(region: str) -> dict[str, Any]:
    provider = resource(PROVIDER, "aws", {"region": region})
    return plan(provider, resource(FUNCTION, "a", provider=provider["urn"]))


def test_another_region_of_a_provider_may_make_all_that_it_has_anew() -> None:
    found = compare(provided("eu-west-1"), provided("eu-west-2"))
    assert (only(found).op, only(found).properties[0].path) == ("replace", "provider.region")
    assert [row.type for row in found.folded] == [PROVIDER]


def test_settings_and_outputs_are_told_but_no_made_up_output() -> None:
    old = plan(config={"demo:a": json.dumps({"b": 1})}, outputs={"url": "one", "name": "x"}, synthetic=["/outputs/url"])
    new = plan(config={"demo:a": json.dumps({"b": 2})}, outputs={"url": "two", "name": "y"}, synthetic=["/outputs/url"])
    found = compare(old, new)
    assert found.config == (Property("demo:a.b", 1, 2),)
    assert found.outputs == (Property("name", "x", "y"),)


def test_the_order_of_the_rows_counts_for_nothing() -> None:
    rows = [resource(BUCKET, name, {"bucket": name}) for name in "abc"]
    assert compare(plan(*rows), plan(*rows[::-1])).empty


@pytest.mark.parametrize("depth", [60, 5_000])
def test_json_that_is_nested_too_deep_is_a_text(depth: int) -> None:
    assert document_of("[" * depth + "]" * depth) is None
    assert set(paths({"x": "[" * depth + "]" * depth}, {"x": "[" * depth + "1" + "]" * depth})) == {"x"}


def test_base64_of_a_script_is_read_and_of_anything_else_is_not() -> None:
    encoded = base64.b64encode(b"#!/bin/sh\necho hello\nsleep 100\n").decode()
    assert text_of(encoded) == "#!/bin/sh\necho hello\nsleep 100\n"
    assert text_of("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=") is None
    assert text_of("not base64 at all, but long enough to be") is None
