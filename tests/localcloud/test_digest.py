"""`preview --json`: the digest that the Pulumi CLI prints, over a cloud in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localcloud import __main__ as cli
from localcloud.values import UNKNOWN_TEXT
from tests.localcloud import pulumi_go
from tests.localcloud.clouds import World

PROGRAM = """
class Group(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("test:index:Group", name)
        self.register_outputs({})

group = Group("g")
a = Thing("a", value="1", tags={"x.y": "1", "z": "2"}, password=pulumi.Output.secret("hunter2"))
b = Thing("b", value=a.arn, fixed="1", opts=Options(parent=group))
pulumi.export("arn", b.arn)
"""
STACK = "urn:pulumi:dev::demo::pulumi:pulumi:Stack::demo-dev"
A, B = "urn:pulumi:dev::demo::test:index:Thing::a", "urn:pulumi:dev::demo::test:index:Group$test:index:Thing::b"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    world = World(tmp_path)
    world.program(PROGRAM)
    monkeypatch.setattr(cli, "providers", world.factories)
    return world


def previewed(world: World, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert cli.main(["preview", "-C", str(world.root), "-s", "dev", "--json", *words]) == code
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def steps(document: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for step in document["steps"]:
        found.setdefault(step["op"], []).append(step["urn"])
    return found


def test_a_first_preview_creates_the_stack_its_components_and_its_resources(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    document = previewed(world, capsys)
    assert document["changeSummary"] == {"create": 4}
    assert [step["op"] for step in document["steps"]] == ["create"] * 4
    assert document["steps"][0]["urn"] == STACK
    assert document["config"] == {"demo:size": "3"}
    assert isinstance(document["duration"], int)
    step = next(step for step in document["steps"] if step["urn"] == B)
    assert step.keys() == {"op", "urn", "provider", "newState", "detailedDiff"}
    assert step["detailedDiff"] is None
    assert step["newState"]["inputs"]["value"] == UNKNOWN_TEXT
    assert step["newState"]["dependencies"] == [A]
    assert "id" not in step["newState"]


def test_what_stays_the_same_is_counted_and_of_its_steps_only_the_stacks_is_told(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.up()
    document = previewed(world, capsys)
    assert document["changeSummary"] == {"same": 4}
    assert steps(document) == {"same": [STACK]}


def test_an_update_tells_its_paths_and_a_replacement_what_forces_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.up()
    world.program(
        PROGRAM.replace('"x.y": "1", "z": "2"', '"x.y": "3", "new": "4"').replace('fixed="1"', 'fixed="2", more=1')
    )
    document = previewed(world, capsys)
    assert document["changeSummary"] == {"replace": 1, "same": 2, "update": 1}
    update, replacement = (next(step for step in document["steps"] if step["op"] == op) for op in ("update", "replace"))
    assert update["diffReasons"] == ["tags"]
    assert update["detailedDiff"] == {
        "tags.new": {"kind": "add", "inputDiff": True},
        'tags["x.y"]': {"kind": "update", "inputDiff": True},
        "tags.z": {"kind": "delete", "inputDiff": True},
    }
    assert update["oldState"]["inputs"]["tags"] == {"x.y": "1", "z": "2"}
    assert update["newState"]["inputs"]["tags"] == {"x.y": "3", "new": "4"}
    assert update["oldState"]["id"] == "a-1"
    assert (replacement["diffReasons"], replacement["replaceReasons"]) == (["fixed", "more"], ["fixed"])
    assert replacement["detailedDiff"]["fixed"]["kind"] == "update-replace"
    assert replacement["detailedDiff"]["more"]["kind"] == "add"


def test_a_deletion_has_an_old_state_alone_and_components_are_deleted_too(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.up()
    world.program("")
    document = previewed(world, capsys)
    assert document["changeSummary"] == {"delete": 3, "same": 1}
    step = next(step for step in document["steps"] if step["urn"] == A)
    assert step["oldState"]["id"] == "a-1"
    assert "newState" not in step


def test_reads_imports_and_discards_have_the_clis_names(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.up('Thing("a", value="1")')
    program = (
        'Thing("c", opts=Options(id="a-1"))\nThing("a", value="1")\nThing("d", value="1", opts=Options(import_="a-1"))'
    )
    document = previewed_with(world, capsys, program)
    assert steps(document)["import"] == [A.replace("::a", "::d")]
    assert steps(document)["read"] == [A.replace("::a", "::c")]
    assert "read" not in document["changeSummary"]
    world.up('Thing("c", opts=Options(id="a-1"))\nThing("a", value="1")')
    assert steps(previewed_with(world, capsys, 'Thing("a", value="1")'))["discard"] == [A.replace("::a", "::c")]


def previewed_with(world: World, capsys: pytest.CaptureFixture[str], program: str) -> dict[str, Any]:
    world.program(program)
    return previewed(world, capsys)


def test_drift_is_a_step_of_its_own_before_what_would_be_done_about_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.up()
    world.cloud.resources["a-1"]["inputs"]["value"] = "changed by hand"
    del world.cloud.resources["b-2"]
    document = previewed(world, capsys, "--refresh")
    assert [(step["op"], step["urn"]) for step in document["steps"]] == [
        ("refresh", A),
        ("refresh", B),
        ("same", STACK),
        ("update", A),
        ("create", B),
    ]
    assert document["changeSummary"] == {"create": 1, "same": 2, "update": 1}
    changed, gone = document["steps"][:2]
    assert changed["newState"]["inputs"]["value"] == "changed by hand"
    assert changed["detailedDiff"] == {"value": {"kind": "update", "inputDiff": True}}
    assert "newState" not in gone
    assert previewed(world, capsys)["changeSummary"] == {"same": 4}


def test_no_secret_is_in_a_digest(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.up()
    world.program(PROGRAM.replace("hunter2", "hunter3"))
    document = previewed(world, capsys, "--refresh")
    update = next(step for step in document["steps"] if step["op"] == "update")
    assert update["oldState"]["inputs"]["password"] == "[secret]"
    assert update["newState"]["inputs"]["password"] == "[secret]"
    assert update["detailedDiff"] == {"password": {"kind": "update", "inputDiff": True}}
    assert "hunter" not in json.dumps(document)


def test_what_the_program_says_and_why_it_stopped_are_diagnostics(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.program('pulumi.log.warn("mind the gap")\nThing("a")\nraise ValueError("no more")')
    document = previewed(world, capsys, code=1)
    assert {"message": "mind the gap", "severity": "warning"} in document["diagnostics"]
    last = document["diagnostics"][-1]
    assert last["severity"] == "error"
    assert "no more" in last["message"]


@pytest.mark.slow
def test_pulumis_own_types_take_every_state_in_a_digest(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.up()
    world.cloud.resources["a-1"]["inputs"]["value"] = "changed by hand"
    world.program(PROGRAM.replace('fixed="1"', 'fixed="2"').replace("hunter2", "hunter3"))
    found = previewed(world, capsys, "--refresh")["steps"]
    assert {step["op"] for step in found} == {"refresh", "same", "update", "replace"}
    states = [step[side] for step in found for side in ("oldState", "newState") if side in step]
    manifest = {"time": "2026-01-02T03:04:05Z", "magic": "", "version": ""}
    document = {"version": 3, "deployment": {"manifest": manifest, "resources": states}}
    assert len(pulumi_go.ask("deployment", document)["deployment"]["resources"]) == len(states)
    states[0]["surprise"] = 1
    with pytest.raises(pulumi_go.GoError, match="surprise"):
        pulumi_go.ask("deployment", document)
