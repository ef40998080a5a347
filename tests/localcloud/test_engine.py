"""The engine against a cloud in memory: small programs, and the steps that they must lead to."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from localcloud.errors import LocalcloudError
from localcloud.monitor import seconds
from localcloud.program import ProgramError
from tests.localcloud.clouds import World

TWO = """
a = Thing("a", value="1")
b = Thing("b", value=a.arn)
pulumi.export("b", b.value)
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    return World(tmp_path)


def test_the_first_run_creates_and_the_second_changes_nothing(world: World) -> None:
    first = world.up(TWO)
    assert world.steps() == {"create": ["a", "b"]}
    assert first.outputs == {"b": "arn:a-1"}
    second = world.up()
    assert second.changes == 0
    assert world.cloud.calls == []


def test_a_preview_changes_neither_cloud_nor_state(world: World) -> None:
    world.preview(TWO)
    assert world.steps() == {"create": ["a", "b"]}
    assert world.cloud.calls == []
    assert not world.project().state_file.exists()


def test_a_changed_input_is_an_update_and_names_the_property(world: World) -> None:
    world.up(TWO)
    world.up(TWO.replace('"1"', '"2"'))
    assert world.steps() == {"update": ["a"]}
    assert [event.changed for event in world.events if event.step == "update"] == [("value",), ("value",)]


def test_what_the_program_drops_is_deleted_after_what_needs_it(world: World) -> None:
    world.up(TWO)
    world.up('pulumi.export("none", 1)')
    assert world.cloud.calls == [("delete", "b"), ("delete", "a")]
    assert world.cloud.resources == {}


def test_a_replacement_creates_first_and_moves_dependents_before_it_deletes(world: World) -> None:
    world.up('a = Thing("a", fixed="1"); Thing("b", value=a.arn)')
    world.up('a = Thing("a", fixed="2"); Thing("b", value=a.arn)')
    assert [call for call in world.cloud.calls if call[0] != "read"] == [
        ("create", "a"),
        ("update", "b"),
        ("delete", "a"),
    ]


def test_delete_before_replace_takes_dependents_that_must_be_replaced_along(world: World) -> None:
    text = 'a = Thing("a", fixed="1", first=True); Thing("b", fixed=a.arn); Thing("c", value=a.arn)'
    world.up(text)
    world.up(text.replace('fixed="1"', 'fixed="2"'))
    calls = [call for call in world.cloud.calls if call[0] != "read"]
    assert calls[:3] == [("delete", "b"), ("delete", "a"), ("create", "a")]
    assert sorted(calls[3:]) == [("create", "b"), ("update", "c")]
    assert world.steps()["replace"] == ["a", "b"]


def test_delete_before_replace_does_not_deadlock_with_one_thread(world: World) -> None:
    text = 'a = Thing("a", fixed="1", first=True)'
    world.up(text, parallel=1)
    world.up(text.replace('"1"', '"2"'), parallel=1)
    assert world.steps() == {"delete": ["a"], "replace": ["a"]}


def test_replace_on_changes_replaces_what_could_be_updated(world: World) -> None:
    text = 'Thing("a", value="1", opts=Options(replace_on_changes=["value"]))'
    world.up(text)
    world.up(text.replace('"1"', '"2"'))
    assert world.steps() == {"replace": ["a"], "delete": ["a"]}


def test_ignored_changes_are_no_changes(world: World) -> None:
    text = 'Thing("a", value="1", deep={"x": 1, "y": 1}, opts=Options(ignore_changes=["value", "deep.x"]))'
    world.up(text)
    assert world.up(text.replace('"1"', '"2"').replace('"x": 1', '"x": 2')).changes == 0
    world.up(text.replace('"y": 1', '"y": 2').replace('"1"', '"2"'))
    (resource,) = world.cloud.resources.values()
    assert resource["inputs"]["deep"] == {"x": 1, "y": 2}
    assert resource["inputs"]["value"] == "1"


def test_an_alias_keeps_the_resource_and_so_do_the_children_of_a_renamed_parent(world: World) -> None:
    text = """
    class Part(pulumi.ComponentResource):
        def __init__(self, name, opts=None):
            super().__init__("demo:index:Part", name, None, opts)
            Thing("child", value="1", opts=Options(parent=self))
            self.register_outputs(None)
    Part("old"{})
    """
    world.up(text.format(""))
    renamed = text.replace('"old"', '"new"').format(', opts=Options(aliases=[pulumi.Alias(name="old")])')
    assert world.up(renamed).steps["create"] == 0
    assert world.cloud.calls == []


def test_a_protected_resource_is_neither_deleted_nor_replaced_and_nothing_else_is_lost(world: World) -> None:
    text = 'Thing("a", fixed="1", opts=Options(protect=True)); Thing("b")'
    world.up(text)
    with pytest.raises(LocalcloudError, match="protected"):
        world.up(text.replace('"1"', '"2"'))
    with pytest.raises(LocalcloudError, match="Nothing was deleted"):
        world.up('pulumi.export("x", 1)')
    with pytest.raises(LocalcloudError, match="Nothing was deleted"):
        world.destroy()
    assert len(world.cloud.resources) == 2


def test_retain_on_delete_forgets_and_leaves_the_resource(world: World) -> None:
    world.up('Thing("a", opts=Options(retain_on_delete=True))')
    world.up("pulumi.export('x', 1)")
    assert world.cloud.called("delete") == []
    assert len(world.cloud.resources) == 1


def test_deleted_with_spares_the_call(world: World) -> None:
    world.up('a = Thing("a"); Thing("b", opts=Options(deleted_with=a))')
    world.destroy()
    assert world.cloud.called("delete") == ["a"]


def test_destroy_leaves_neither_resources_nor_state_rows(world: World) -> None:
    world.up(TWO)
    world.destroy()
    assert world.cloud.resources == {}
    state = json.loads(world.project().state_file.read_text())
    assert state["deployment"]["resources"] == []


def test_refresh_sees_what_is_gone_and_what_drifted_and_up_mends_both(world: World) -> None:
    world.up(TWO)
    del world.cloud.resources["b-2"]
    world.cloud.resources["a-1"]["inputs"]["value"] = "other"
    result = world.up(refresh=True)
    assert [urn[-1] for urn in result.gone] == ["b"]
    assert [urn[-1] for urn in result.drifted] == ["a"]
    assert world.steps() == {"update": ["a"], "create": ["b"]}
    assert world.cloud.resources["a-1"]["inputs"]["value"] == "1"


def test_the_refresh_command_changes_the_state_and_no_cloud(world: World) -> None:
    world.up(TWO)
    world.cloud.resources["a-1"]["inputs"]["value"] = "other"
    world.refresh()
    assert set(world.cloud.calls) == {("read", "a"), ("read", "b")}
    assert world.refresh().drifted == []
    assert world.up().steps["update"] == 1


def test_a_creation_that_was_killed_is_adopted_and_not_made_twice(world: World) -> None:
    """The state is left as a kill would leave it: written before the step, and not after."""
    world.program('Thing("a", value="1")')
    child = os.fork()
    if child == 0:
        world.cloud.before = lambda _verb, _name: os._exit(9)
        world.up()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    state = json.loads(world.project().state_file.read_text())
    assert [row["type"] for row in state["deployment"]["pending_operations"]] == ["creating"]
    urn = state["deployment"]["pending_operations"][0]["resource"]["urn"]
    world.cloud.resources["a-7"] = {"token": "test:index:Thing", "urn": urn, "inputs": {"value": "half"}}
    world.up()
    assert world.cloud.called("create") == []
    assert world.cloud.resources["a-7"]["inputs"]["value"] == "1"
    assert "pending_operations" not in json.loads(world.project().state_file.read_text())["deployment"]


def left_open(world: World) -> list[str]:
    state = json.loads(world.project().state_file.read_text())
    return [row["resource"]["urn"][-1] for row in state["deployment"].get("pending_operations", [])]


def test_a_creation_that_was_cut_off_stays_written_down_until_its_end_is_known(world: World) -> None:
    """Whoever saves the state in between: the resource is in the cloud, and from nowhere else known to be ours."""
    world.cloud.fail["create a"] = RuntimeError("the line went dead")
    with pytest.raises(RuntimeError):
        world.up('Thing("a")')
    saved, seen = threading.Event(), []

    def wait_for_the_save_of_b(name: str) -> None:
        if name == "a":
            assert saved.wait(10)
            seen.extend(left_open(world))

    world.cloud.before = lambda verb, name: saved.set() if (verb, name) == ("create", "b") else None
    world.cloud.checking = wait_for_the_save_of_b
    world.up('Thing("b"); Thing("a")')
    assert "a" in seen
    assert len(world.cloud.resources) == 2
    assert left_open(world) == []


def test_a_replacement_that_was_killed_is_finished_and_leaves_one(world: World) -> None:
    world.up('Thing("a", fixed="1")')
    world.cloud.fail["create a"] = RuntimeError("the line went dead")
    with pytest.raises(RuntimeError):
        world.up('Thing("a", fixed="2")')
    world.up('Thing("a", fixed="2")')
    assert [row["inputs"]["fixed"] for row in world.cloud.resources.values()] == ["2"]


def test_a_replacement_that_was_killed_and_is_not_wanted_any_more_goes(world: World) -> None:
    world.up('Thing("a", fixed="1")')
    world.cloud.fail["create a"] = RuntimeError("the line went dead")
    with pytest.raises(RuntimeError):
        world.up('Thing("a", fixed="2")')
    world.up('Thing("a", fixed="1")')
    assert [row["inputs"]["fixed"] for row in world.cloud.resources.values()] == ["1"]
    assert left_open(world) == []


def test_a_killed_creation_that_is_no_longer_declared_is_deleted(world: World) -> None:
    world.cloud.fail["create a"] = RuntimeError("the line went dead")
    with pytest.raises(RuntimeError):
        world.up('Thing("a")')
    assert len(world.cloud.resources) == 1
    world.up("pulumi.export('x', 1)")
    assert world.cloud.resources == {}


def test_a_failure_keeps_what_was_done_and_the_next_run_goes_on(world: World) -> None:
    world.cloud.fail["create b"] = RuntimeError("no")
    with pytest.raises(RuntimeError, match="no"):
        world.up(TWO)
    world.up()
    assert len(world.cloud.resources) == 2
    assert world.cloud.called("create") == []


def test_an_interrupt_ends_in_a_state_that_the_next_run_continues_from(world: World) -> None:
    world.cloud.fail["create a"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world.up(TWO)
    world.up()
    assert sorted(row["urn"][-1] for row in world.cloud.resources.values()) == ["a", "b"]


def test_secrets_are_encrypted_in_the_state_and_hidden_in_events(world: World) -> None:
    text = 'Thing("a", value=pulumi.Output.secret("hunter2")); pulumi.export("s", pulumi.Output.secret("hunter2"))'
    result = world.up(text)
    assert "hunter2" not in world.project().state_file.read_text()
    assert "hunter2" not in repr(world.events)
    assert "hunter2" not in repr(result.outputs)
    assert next(iter(world.cloud.resources.values()))["inputs"]["value"] == "hunter2"
    assert world.up().changes == 0


def test_the_same_name_twice_is_an_error_with_both_places(world: World) -> None:
    with pytest.raises(LocalcloudError, match=r"declared twice.*__main__.py:1\d"):
        world.up('Thing("a")\nThing("a")')


def test_an_unknown_type_is_an_error_with_its_line(world: World) -> None:
    with pytest.raises(LocalcloudError, match=r"other.*"):
        world.up('pulumi.CustomResource("other:index:Thing", "x", {})')


def test_an_error_of_the_program_is_a_sentence_with_its_line(world: World) -> None:
    with pytest.raises(ProgramError, match=r"ValueError: broken \(__main__.py:11\)"):
        world.up('raise ValueError("broken")')


def test_depends_on_orders_creation(world: World) -> None:
    world.up('b = Thing("b"); Thing("a", opts=Options(depends_on=[b]))')
    assert world.cloud.called("create") == ["b", "a"]


def test_an_invoke_answers_and_get_reads_without_owning(world: World) -> None:
    world.up('Thing("a", value="1")')
    text = """
    Thing("a", value="1")
    said = pulumi.runtime.invoke("test:index:echo", {"say": "hi"}).value["said"]
    class Got(pulumi.CustomResource):
        def __init__(self, name, id):
            super().__init__("test:index:Thing", name, {"arn": None}, Options(id=id))
    pulumi.export("said", said)
    pulumi.export("arn", Got("got", "a-1").arn)
    """
    assert world.up(text).outputs == {"said": "hi", "arn": "arn:a-1"}
    world.destroy()
    assert world.cloud.called("delete") == ["a"]


def test_an_import_takes_the_resource_over_and_refuses_another_one(world: World) -> None:
    world.cloud.resources["x-9"] = {"token": "test:index:Thing", "urn": "elsewhere", "inputs": {"fixed": "1"}}
    with pytest.raises(LocalcloudError, match="cannot be changed in place"):
        world.up('Thing("x", fixed="2", opts=Options(import_="x-9"))')
    world.up('Thing("x", fixed="1", opts=Options(import_="x-9"))')
    assert world.cloud.called("create") == []
    world.up('Thing("x", fixed="1")')
    assert world.cloud.called("create") == []


def test_two_runs_at_once_are_refused_and_the_lock_tells_who(world: World) -> None:
    world.program(TWO)

    def second(_verb: str, _name: str) -> None:
        with pytest.raises(LocalcloudError, match=rf"locked by process {os.getpid()}"):
            World(world.root).up(TWO)

    world.cloud.before = second
    world.up()


def test_the_configuration_reaches_the_program(world: World) -> None:
    assert world.up('pulumi.export("size", pulumi.Config().require_int("size"))').outputs == {"size": 3}


@pytest.mark.parametrize(
    ("text", "number"), [("30s", 30), ("5m", 300), ("1h30m", 5400), ("1.5s", 1.5), ("100ms", 0.1), (".5s", 0.5)]
)
def test_a_duration_is_kept_in_seconds(text: str, number: float) -> None:
    assert seconds(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "5", "5 m", "m", "5x", "-5s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(LocalcloudError, match="no duration"):
        seconds(text)
