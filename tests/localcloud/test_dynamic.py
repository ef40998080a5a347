"""Dynamic resources: the program's own create, read, update and delete."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localcloud.errors import LocalcloudError
from localcloud.values import UNKNOWN
from tests.localcloud.clouds import World
from tests.localcloud.planning import planned

# A drawer of files: the id is a file's name, so that a test sees what there is.
DRAWER = """
import pathlib
from pulumi import Input, Output, dynamic

class Drawer(dynamic.ResourceProvider):
    def check(self, olds, news):
        if news["text"] == "bad":
            return dynamic.CheckResult(news, [dynamic.CheckFailure("text", "it is bad")])
        return dynamic.CheckResult({**news, "checked": "yes"}, [])
    def diff(self, id, olds, news):
        assert olds["size"] == len(olds["text"]), "olds are the outputs of the state"
        moved = olds["folder"] != news["folder"]
        return dynamic.DiffResult(changes=moved or olds["text"] != news["text"], replaces=["folder"] if moved else [])
    def create(self, props):
        file = pathlib.Path(props["folder"]) / f"note-{props['folder'][-1]}"
        file.write_text(props["text"])
        return dynamic.CreateResult(file.name, {**props, "size": len(props["text"])})
    def update(self, id, olds, news):
        if news["text"] == "broken":
            raise OSError("the drawer sticks")
        (pathlib.Path(news["folder"]) / id).write_text(news["text"])
        return dynamic.UpdateResult({**news, "size": len(news["text"])})
    def delete(self, id, props):
        (pathlib.Path(props["folder"]) / id).unlink()

class Note(dynamic.Resource):
    size: Output[int]
    url: Output[str]
    other: Output[list]
    def __init__(self, name, folder, text, opts=None):
        props = {"folder": folder, "text": text, "size": None, "url": None, "other": None}
        super().__init__(Drawer(), name, props, opts)
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    return World(tmp_path)


def notes(world: World) -> dict[str, str]:
    return {str(file.relative_to(world.root)): file.read_text() for file in world.root.glob("[ab]/*")}


def note(world: World, folder: str, text: str) -> str:
    return f'{DRAWER}\nn = Note("n", "{world.root}/{folder}", "{text}")\npulumi.export("size", n.size)\n'


def test_a_dynamic_resource_is_created_updated_replaced_and_deleted_by_the_programs_own_code(world: World) -> None:
    first = world.up(note(world, "a", "one"))
    assert notes(world) == {"a/note-a": "one"}
    assert first.outputs == {"size": 3}
    assert (first.steps["create"], world.up().changes) == (1, 0)

    again = world.up(note(world, "a", "three"))
    assert (again.steps["update"], again.outputs, notes(world)) == (1, {"size": 5}, {"a/note-a": "three"})

    moved = world.up(note(world, "b", "three"))
    assert (moved.steps["replace"], notes(world)) == (1, {"b/note-b": "three"})

    world.up("pulumi.export('nothing', 1)")  # its code has left the program, and stayed in the state
    assert notes(world) == {}


def test_a_destroy_deletes_a_dynamic_resource_without_the_program(world: World) -> None:
    world.up(note(world, "a", "one"))
    world.destroy()
    assert notes(world) == {}


def test_a_preview_of_a_dynamic_resource_makes_nothing(world: World) -> None:
    assert world.preview(note(world, "a", "one")).steps["create"] == 1
    assert notes(world) == {}


def test_what_a_dynamic_check_refuses_is_told_in_a_sentence(world: World) -> None:
    with pytest.raises(LocalcloudError, match=r"'n' is not valid: text: it is bad"):
        world.up(note(world, "a", "bad"))


def test_an_error_in_a_dynamic_provider_is_told_with_the_programs_line(world: World) -> None:
    world.up(note(world, "a", "one"))
    with pytest.raises(LocalcloudError, match=r"update of the dynamic .* OSError: the drawer sticks"):
        world.up(note(world, "a", "broken"))
    assert world.up(note(world, "a", "two")).changes == 1
    assert notes(world) == {"a/note-a": "two"}


def test_a_dynamic_providers_code_is_a_secret_in_the_state(world: World) -> None:
    world.up(note(world, "a", "one"))
    rows = json.loads(world.project().state_file.read_text())["deployment"]["resources"]
    row = next(row for row in rows if row["type"].startswith("pulumi-python:"))
    assert set(row["inputs"]["__provider"]) > {"ciphertext"}
    assert row["provider"].startswith("urn:pulumi:dev::demo::pulumi:providers:pulumi-python::default::")


def test_a_plan_of_a_dynamic_resource_has_typed_outputs_and_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    source = f"""import pulumi
{DRAWER}
n = Note("n", "{tmp_path}/a", "one")
pulumi.export("size", n.size.apply(lambda size: size + 1))
pulumi.export("host", n.url.apply(lambda url: url.split("/")[2]))
pulumi.export("other", n.other)
"""
    outputs = planned(tmp_path, source).outputs
    assert outputs["size"] == 2
    assert outputs["host"] == "n.example.com"
    assert outputs["other"] is UNKNOWN
    assert list((tmp_path / "a").iterdir()) == []
