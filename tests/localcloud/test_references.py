"""Stack references: another stack's outputs, from its state or its plan."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from localcloud import references
from localcloud.errors import LocalcloudError
from localcloud.project import load
from localcloud.values import Secret
from tests.localcloud.clouds import World
from tests.localcloud.planning import planned

READER = """
import pulumi
other = pulumi.StackReference("organization/demo/base")
pulumi.export("got", other.require_output("name").apply(str.upper))
pulumi.export("hidden", other.get_output("hidden"))
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    (tmp_path / "Pulumi.base.yaml").write_text("config: {}\n")
    world.program(
        'import pulumi\nThing("a")\npulumi.export("name", "ground")\n'
        'pulumi.export("hidden", pulumi.Output.secret("planted"))'
    )
    return world


def up(world: World, stack: str) -> Any:
    from localcloud import operations  # noqa: PLC0415 - only these tests run two stacks

    return operations.up(load(world.root, stack), world.factories(), world.note, world.log)


def test_a_stack_reads_the_outputs_of_another_and_secrets_stay_secret(world: World) -> None:
    up(world, "base")
    world.program(READER)
    result = up(world, "dev")
    assert result.outputs["got"] == "GROUND"
    assert result.outputs["hidden"] == Secret("planted")
    assert "planted" not in world.project().state_file.read_text()
    rows = json.loads(world.project().state_file.read_text())["deployment"]["resources"]
    row = next(row for row in rows if row["type"] == references.TYPE)
    assert (row["external"], row["id"]) == (True, "organization/demo/base")


def test_a_stack_that_is_not_deployed_here_is_an_error_of_up(world: World) -> None:
    world.program(READER)
    with pytest.raises(LocalcloudError, match="'organization/demo/base', which is referred to, has no state here"):
        up(world, "dev")


def test_a_plan_takes_a_deployed_stacks_real_outputs(world: World) -> None:
    up(world, "base")
    found = references.deployed(world.project(), "base")
    assert found == {"name": "ground", "hidden": Secret("planted")}


def test_a_plan_takes_the_outputs_of_the_plan_of_a_stack_that_is_not_deployed(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.base.yaml").write_text("config: {}\n")
    source = """
import pulumi
if pulumi.get_stack() == "base":
    pulumi.export("name", "ground")
    pulumi.export("hidden", pulumi.Output.secret("planted"))
else:
    other = pulumi.StackReference("organization/planned/base")
    pulumi.export("got", other.require_output("name").apply(str.upper))
    pulumi.export("hidden", other.get_output("hidden"))
"""
    outputs = planned(tmp_path, source).outputs
    assert outputs["got"] == "GROUND"
    assert isinstance(outputs["hidden"], Secret)
    assert outputs["hidden"].value.startswith("synthetic-")


def test_a_circle_of_references_ends_and_leaves_what_it_cannot_know_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, references.CHAIN, "base")
    assert references.planned(world.project(), "organization/demo/base") is None
    assert references.planned(world.project(), "organization/demo/dev") is None


def test_another_projects_stack_that_is_not_here_is_unknown_in_a_plan(world: World) -> None:
    assert references.deployed(world.project(), "organization/other/dev") is None
    assert references.planned(world.project(), "organization/other/dev") is None


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b/c/d", "organization/../dev", "", "a b"])
def test_what_names_no_stack_is_refused(world: World, name: str) -> None:
    with pytest.raises(LocalcloudError, match="names no stack"):
        references.deployed(world.project(), name)
