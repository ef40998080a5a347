"""What the bridge does with what it does not know, with what nobody knows, and with who would rather not be checked."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from policies import checkov
from policies.checkov import scan
from policies.finding import Assessment
from policies.graph import Graph
from tests.policies.checkov import pairs

UNKNOWN, SECRET = {"$unknown": True}, {"$secret": True}
BUCKET = "aws:s3/bucket:Bucket"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
DATABASE = "aws:rds/instance:Instance"
ACCOUNT = "azure-native:storage:StorageAccount"
OPEN = {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/0"]}
pytestmark = [pytest.mark.slow, pytest.mark.drawn(4)]  # most of them scan, which takes seconds


def stack(*rows: Any, name: str = "dev") -> Graph:
    return pairs.graph_of(list(rows), stack=name)


def statuses(found: Assessment, policy: str) -> list[str]:
    return [row.status for row in found.findings if row.policy == policy]


def said(found: Assessment) -> dict[str, str]:
    return {row.urn.rpartition("::")[2] + row.path: row.reason for row in found.not_assessed}


def refused(_: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "checks": {check: {"title": "t", "guideline": ""} for check in checkov.settings()},
        "types": [],
        "results": [],
        "unread": [],
    }


def test_a_resource_with_such_an_input_is_not_assessed_and_stops_no_other() -> None:
    found = checkov.assess(
        [
            stack(
                {"type": GROUP, "name": "odd", "inputs": {"what": 1}},
                {"type": GROUP, "name": "open", "inputs": {"ingress": [OPEN]}},
            )
        ]
    )
    assert "has no known name" in said(found)["odd"]
    assert {row.name for row in found.findings} == {"open"}
    assert statuses(found, "CKV_AWS_24") == ["fail"]


def test_a_type_without_a_translation_or_a_check_is_listed_with_the_reason() -> None:
    rows = [
        {"type": "random:index/randomId:RandomId", "name": "other"},
        {"type": "kubernetes:apps/v1:Deployment", "name": "kubernetes"},
        {"type": "azure-native:app:ContainerApp", "name": "app"},
        {"type": "azure-native:app/v20240301:ContainerApp", "name": "dated"},
        {
            "type": "aws:cloudwatch/dashboard:Dashboard",
            "name": "dashboard",
            "inputs": {"dashboardBody": "{}", "dashboardName": "d"},
        },
    ]
    found = checkov.assess([stack(*rows)])
    assert said(found) == {
        "other": "no translation of random:index/randomId:RandomId",
        "kubernetes": "no translation of kubernetes:apps/v1:Deployment",
        "app": "Checkov has no check for Microsoft.App/containerApps",
        "dated": "Checkov has no check for Microsoft.App/containerApps",
        "dashboard": "Checkov has no check for aws_cloudwatch_dashboard by itself",
    }
    assert not found.findings


def test_an_input_that_terraform_lacks_is_listed_and_the_rest_is_assessed() -> None:
    found = checkov.assess(
        [stack({"type": DATABASE, "inputs": {"publiclyAccessible": True, "warningEventCategories": ["x"]}})]
    )
    assert said(found) == {"itwarningEventCategories": "Terraform's aws_db_instance has no such attribute"}
    assert statuses(found, "CKV_AWS_17") == ["fail"]


def test_a_component_a_provider_and_the_stack_itself_are_no_resources_of_a_cloud() -> None:
    found = checkov.assess(
        [stack({"type": "pulumi:pulumi:Stack"}, {"type": "pulumi:providers:aws", "name": "aws"})], refused
    )
    assert not found.not_assessed


def test_what_nobody_knows_makes_the_checks_that_look_there_undetermined() -> None:
    found = checkov.assess(
        [stack({"type": DATABASE, "inputs": {"publiclyAccessible": UNKNOWN, "storageEncrypted": True}})]
    )
    assert statuses(found, "CKV_AWS_17") == ["undetermined"]
    assert statuses(found, "CKV_AWS_16") == ["pass"]
    assert said(found) == {"itpubliclyAccessible": "not known before the deployment"}
    (finding,) = [row for row in found.findings if row.policy == "CKV_AWS_17"]
    assert finding.path == "publiclyAccessible"
    assert "publicly_accessible" in finding.message


def test_what_nobody_knows_inside_of_a_list_is_never_passed() -> None:
    ingress = OPEN | {"cidrBlocks": [UNKNOWN]}
    found = checkov.assess([stack({"type": GROUP, "inputs": {"ingress": [ingress]}})])
    assert statuses(found, "CKV_AWS_24") == ["undetermined"]


def test_a_secret_that_no_check_asks_for_changes_nothing() -> None:
    known = checkov.assess([stack({"type": DATABASE, "inputs": {"password": "x"}})])
    hidden = checkov.assess([stack({"type": DATABASE, "inputs": {"password": SECRET}})])
    assert {(row.policy, row.status) for row in known.findings} == {(row.policy, row.status) for row in hidden.findings}


def test_what_nobody_knows_of_azure_is_undetermined_too() -> None:
    found = checkov.assess(
        [stack({"type": ACCOUNT, "inputs": {"accountName": "a", "networkRuleSet": {"defaultAction": UNKNOWN}}})]
    )
    assert statuses(found, "CKV_AZURE_35") == ["undetermined"]


@pytest.mark.parametrize("words", ["checkov:skip=CKV_AWS_24:fine", "bridgecrew:skip=CKV_AWS_24:fine"])
def test_a_comment_in_a_value_switches_no_check_off(words: str) -> None:
    inputs = {
        "description": words,
        "tags": {words: words, "x": f"#{words}"},
        "ingress": [OPEN | {"description": words}],
    }
    found = checkov.assess([stack({"type": GROUP, "inputs": inputs})])
    assert statuses(found, "CKV_AWS_24") == ["fail"]


def test_words_for_the_scanner_in_an_azure_resource_switch_no_check_off() -> None:
    skip = {"checkov": {"skip": [{"id": "CKV_AZURE_3", "comment": "x"}]}}
    inputs = {
        "accountName": "a",
        "enableHttpsTrafficOnly": False,
        "tags": {"a": "checkov:skip=CKV_AZURE_3:x", "metadata": "x"},
    }
    found = checkov.assess([stack({"type": ACCOUNT, "inputs": inputs})])
    assert statuses(found, "CKV_AZURE_3") == ["fail"]
    odd = checkov.assess([stack({"type": ACCOUNT, "inputs": inputs | {"metadata": skip}})], refused)
    assert "`metadata`" in said(odd)["it"]


def test_a_check_that_was_skipped_all_the_same_has_not_passed() -> None:
    def skipped(request: Any) -> dict[str, Any]:
        (file,) = request["terraform"]
        address = request["terraform"][file]["planned_values"]["root_module"]["resources"][0]["address"]
        row = {"id": "CKV_AWS_24", "file": file, "address": address, "status": "skipped", "keys": []}
        return refused(request) | {"results": [row]}

    found = checkov.assess([stack({"type": GROUP, "inputs": {"ingress": [OPEN]}})], skipped)
    assert not found.findings
    assert "CKV_AWS_24 was skipped" in said(found)["it"]


def test_text_that_looks_like_an_expression_is_text() -> None:
    inputs = {
        "accountName": "a",
        "kind": "[parameters('x')]",
        "enableHttpsTrafficOnly": False,
        "tags": {"a": "[reference('b')]"},
    }
    found = checkov.assess([stack({"type": ACCOUNT, "inputs": inputs})])
    assert statuses(found, "CKV_AZURE_3") == ["fail"]
    text = {"description": "${file('/etc/passwd')} ${aws_s3_bucket.x.id} %{ if true }", "ingress": [OPEN]}
    assert statuses(checkov.assess([stack({"type": GROUP, "inputs": text})]), "CKV_AWS_24") == ["fail"]


def test_a_companion_answers_for_its_own_resource_and_not_for_another() -> None:
    block = {
        "type": "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "name": "block",
        "uses": {"bucket": ["a"]},
    }
    rows = [
        {"type": BUCKET, "name": "a"},
        {"type": BUCKET, "name": "b"},
        block | {"inputs": dict.fromkeys(BLOCKS, True)},
    ]
    found = checkov.assess([stack(*rows)])
    assert {row.name: row.status for row in found.findings if row.policy == "CKV2_AWS_6"} == {"a": "pass", "b": "fail"}


BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def test_one_stack_does_not_answer_for_another() -> None:
    saved = {"type": "aws:backup/selection:Selection", "name": "saved", "inputs": {"resources": ["x"]}}
    alone = checkov.assess([stack({"type": "aws:ebs/volume:Volume"})])
    beside = checkov.assess([stack({"type": "aws:ebs/volume:Volume"}), stack(saved, name="prod")])
    assert {(row.policy, row.status) for row in alone.findings} == {
        (row.policy, row.status) for row in beside.findings if row.stack == "dev"
    }


def test_two_resources_of_azure_with_one_name_are_told_apart() -> None:
    rows = [
        {"type": ACCOUNT, "name": name, "inputs": {"accountName": "same", "enableHttpsTrafficOnly": name == "sound"}}
        for name in ("sound", "unsound")
    ]
    found = checkov.assess([stack(*rows)])
    assert {row.name: row.status for row in found.findings if row.policy == "CKV_AZURE_3"} == {
        "sound": "pass",
        "unsound": "fail",
    }


def test_an_azure_type_with_a_version_is_judged_like_the_one_without() -> None:
    token = "azure-native:storage/v20230101:StorageAccount"
    found = checkov.assess([stack({"type": token, "inputs": {"accountName": "a", "enableHttpsTrafficOnly": False}})])
    assert statuses(found, "CKV_AZURE_3") == ["fail"]


def test_two_runs_say_the_same_in_the_same_order() -> None:
    graphs = [
        stack(
            {"type": GROUP, "inputs": {"ingress": [OPEN]}},
            {"type": ACCOUNT, "name": "a", "inputs": {"accountName": "a"}},
        )
    ]
    assert checkov.assess(graphs) == checkov.assess(graphs)


def test_without_the_scanners_it_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkov, "PYTHON", tmp_path / "python")
    with pytest.raises(checkov.ScanError, match="make install-scanners"):
        checkov.assess([stack()])


@pytest.mark.parametrize(
    ("body", "sentence"),
    [("exit 3", "exit status 3"), ("echo It broke >&2; exit 1", "Checkov failed: It broke"), ("echo no", "no JSON")],
)
def test_a_scan_that_fails_is_told_in_a_sentence(
    body: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ncat >/dev/null\n{body}\n")
    python.chmod(0o755)
    monkeypatch.setattr(checkov, "PYTHON", python)
    with pytest.raises(checkov.ScanError, match=sentence):
        checkov.assess([stack()])


def test_a_plan_that_checkov_cannot_read_fails_the_scan() -> None:
    row = {"address": "aws_s3_bucket.a", "type": "aws_s3_bucket", "name": "a", "mode": "managed", "values": {}}
    plan = {
        "planned_values": {"root_module": {"resources": [row]}},
        "configuration": {"root_module": {"resources": []}},
    }
    with pytest.raises(checkov.ScanError, match=r"Checkov cannot read stack-0\.json"):
        checkov.run({"terraform": {"stack-0.json": plan}})


def test_a_resource_that_checkov_did_not_read_has_not_passed() -> None:
    def unread(request: Any) -> dict[str, Any]:
        (file,) = request["terraform"]
        address = request["terraform"][file]["planned_values"]["root_module"]["resources"][0]["address"]
        return refused(request) | {"unread": [[file, address]]}

    found = checkov.assess([stack({"type": GROUP})], unread)
    assert said(found) == {"it": "Checkov could not read what was made of it"}


def test_a_scan_makes_no_connection_and_asks_no_name() -> None:
    for attempt in ("socket.create_connection(('127.0.0.1', 9))", "socket.getaddrinfo('localhost', 80)"):
        program = f"import scan, socket; scan.stay_offline(); {attempt}"
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=Path(scan.__file__).parent, capture_output=True, text=True, check=False
        )
        assert "PermissionError: A scan makes no connection" in done.stderr


def test_the_scan_gets_no_variable_of_the_users_but_where_things_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    answer = json.dumps(refused(None))
    python.write_text(f"#!/bin/sh\ncat >/dev/null\nenv > {tmp_path}/env\ncat <<'END'\n{answer}\nEND\n")
    python.chmod(0o755)
    monkeypatch.setattr(checkov, "PYTHON", python)
    monkeypatch.setenv("BC_API_KEY", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    checkov.assess([stack()])
    seen = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert seen <= {"HOME", "PATH", "TMPDIR", "PWD", "_", "SHLVL", "OLDPWD", *checkov.SETTINGS}
    assert os.environ["BC_API_KEY"] == "x"
