"""What Pulumi's documentation and engine say of resource options, steps and targets, a test for each sentence.

Sources: the documentation of resource options (concepts/options) and of `pulumi up`, `destroy` and `refresh`, and
where these are silent the engine itself (pkg/resource/deploy in Pulumi's repository).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from localcloud.errors import LocalcloudError
from localcloud.program import ProgramError
from localcloud.targets import Selection
from tests.localcloud.clouds import World

NOTHING = "pulumi.export('none', 1)"
A, B, C = (f"urn:pulumi:dev::demo::test:index:Thing::{name}" for name in "abc")
CHAIN = 'a = Thing("a", value="1"); b = Thing("b", value=a.arn); Thing("c", fixed="1", opts=Options(depends_on=[b]))'


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    return World(tmp_path)


def changes(world: World) -> list[tuple[str, str]]:
    return [call for call in world.cloud.calls if call[0] != "read"]


def rows(world: World) -> dict[str, dict[str, Any]]:
    state = json.loads(world.project().state_file.read_text())
    return {row["urn"].rsplit("::", 1)[1]: row for row in state["deployment"]["resources"] if row["custom"]}


def living(world: World) -> list[str]:
    return sorted(row["urn"].rsplit("::", 1)[1] for row in world.cloud.resources.values())


# protect


def test_a_resource_can_be_unprotected_and_replaced_in_one_update(world: World) -> None:
    world.up('Thing("a", fixed="1", opts=Options(protect=True))')
    world.up('Thing("a", fixed="2")')
    assert changes(world) == [("create", "a"), ("delete", "a")]


def test_protect_holds_although_the_resource_is_retained_on_delete(world: World) -> None:
    world.up('Thing("a", opts=Options(protect=True, retain_on_delete=True))')
    with pytest.raises(LocalcloudError, match="protected"):
        world.up(NOTHING)
    assert "a" in rows(world)


def test_a_replacement_that_would_delete_a_protected_dependent_first_deletes_nothing(world: World) -> None:
    text = 'a = Thing("a", fixed="1", first=True); Thing("b", fixed=a.arn, opts=Options(protect=True))'
    world.up(text)
    with pytest.raises(LocalcloudError, match="deletes test:index:Thing 'b' first, which is protected"):
        world.up(text.replace('"1"', '"2"'))
    assert changes(world) == []


def test_protect_can_be_set_and_taken_away_without_touching_the_resource(world: World) -> None:
    for options in ("", "protect=True", ""):
        assert world.up(f'Thing("a", opts=Options({options}))').steps["update"] == 0
        assert rows(world)["a"].get("protect", False) == bool(options)


# retain_on_delete


def test_a_retained_resource_is_left_in_the_cloud_when_it_is_replaced(world: World) -> None:
    text = 'Thing("a", fixed="1", opts=Options(retain_on_delete=True))'
    world.up(text)
    world.up(text.replace('"1"', '"2"'))
    assert changes(world) == [("create", "a")]
    assert living(world) == ["a", "a"]
    assert rows(world)["a"]["id"] == "a-2"


def test_to_delete_a_retained_resource_the_option_is_taken_away_first(world: World) -> None:
    world.up('Thing("a", opts=Options(retain_on_delete=True))')
    world.up('Thing("a")')
    world.up(NOTHING)
    assert living(world) == []


# deleted_with


def test_a_resource_is_deleted_by_itself_if_what_it_is_deleted_with_stays(world: World) -> None:
    world.up('a = Thing("a"); Thing("b", opts=Options(deleted_with=a))')
    world.up('Thing("a")')
    assert changes(world) == [("delete", "b")]


def test_a_resource_is_not_forgotten_before_what_it_is_deleted_with_is_gone(world: World) -> None:
    world.up('a = Thing("a"); Thing("b", opts=Options(deleted_with=a))')
    world.cloud.fail["delete a"] = RuntimeError("no")
    with pytest.raises(RuntimeError):
        world.destroy()
    assert {"a", "b"} <= rows(world).keys()


def test_a_resource_is_replaced_when_what_it_is_deleted_with_is_replaced(world: World) -> None:
    text = 'a = Thing("a", fixed="1"); Thing("b", opts=Options(deleted_with=a))'
    world.up(text)
    world.up(text.replace('"1"', '"2"'))
    assert changes(world) == [("create", "a"), ("create", "b"), ("delete", "a")]
    assert world.steps()["replace"] == ["a", "b"]


def test_a_resource_deleted_with_one_that_is_deleted_first_is_made_anew_after_it(world: World) -> None:
    text = 'a = Thing("a", fixed="1", first=True); Thing("b", opts=Options(deleted_with=a))'
    world.up(text)
    world.up(text.replace('"1"', '"2"'))
    assert changes(world) == [("delete", "a"), ("create", "a"), ("create", "b")]


def test_a_resource_deleted_with_one_that_is_retained_is_deleted_by_itself(world: World) -> None:
    world.up('a = Thing("a", opts=Options(retain_on_delete=True)); Thing("b", opts=Options(deleted_with=a))')
    world.up(NOTHING)
    assert changes(world) == [("delete", "b")]
    assert living(world) == ["a"]


# replace_with, replacement_trigger


def test_replace_with_replaces_a_resource_whenever_the_other_is_replaced(world: World) -> None:
    text = 'a = Thing("a", fixed="1"); Thing("b", opts=Options(replace_with=[a]))'
    world.up(text)
    assert rows(world)["b"]["replaceWith"] == [A]
    world.up(text.replace('"1"', '"1", value="2"'))
    assert world.steps() == {"update": ["a"]}
    world.up(text.replace('"1"', '"2", value="2"'))
    assert changes(world) == [("create", "a"), ("create", "b"), ("delete", "b"), ("delete", "a")]
    assert world.steps()["replace"] == ["a", "b"]


def test_a_resource_replaced_with_one_that_is_deleted_first_goes_before_it_and_comes_after_it(world: World) -> None:
    text = 'a = Thing("a", fixed="1", first=True); Thing("b", opts=Options(replace_with=[a]))'
    world.up(text)
    world.up(text.replace('"1"', '"2"'))
    assert changes(world) == [("delete", "b"), ("delete", "a"), ("create", "a"), ("create", "b")]


def test_replace_with_follows_a_resource_that_is_renamed(world: World) -> None:
    world.up('a = Thing("a", fixed="1"); Thing("b", opts=Options(replace_with=[a]))')
    renamed = 'a = Thing("c", fixed="1", opts=Options(aliases=[pulumi.Alias(name="a")]))'
    world.up(renamed + '; Thing("b", opts=Options(replace_with=[a]))')
    assert changes(world) == []
    assert rows(world)["b"]["replaceWith"] == [C]


def test_a_changed_replacement_trigger_replaces_although_nothing_else_changes(world: World) -> None:
    text = 'Thing("a", value="1", opts=Options(replacement_trigger={"day": 1}))'
    world.up('Thing("a", value="1")')
    assert world.up(text).changes == 0  # there was none to compare with
    assert world.up(text).changes == 0
    world.preview(text.replace("1})", "2})"))
    assert world.steps() == {"replace": ["a"]}
    world.up(text.replace("1})", "2})"))
    assert changes(world) == [("create", "a"), ("delete", "a")]
    assert rows(world)["a"]["replacementTrigger"] == {"day": 2}
    assert world.up('Thing("a", value="1")').changes == 0  # there is none any more
    assert "replacementTrigger" not in rows(world)["a"]


def test_a_replacement_trigger_that_is_not_known_yet_replaces_in_a_preview(world: World) -> None:
    text = 'b = Thing("b", fixed="1"); Thing("a", opts=Options(replacement_trigger=b.arn))'
    world.up(text)
    world.preview(text.replace('"1"', '"2"'))
    assert world.steps()["replace"] == ["a", "b"]
    world.up(text.replace('"1"', '"2"'))
    assert world.steps()["replace"] == ["a", "b"]


def test_a_secret_replacement_trigger_is_compared_and_kept_encrypted(world: World) -> None:
    text = 'Thing("a", opts=Options(replacement_trigger=pulumi.Output.secret("hunter2")))'
    world.up(text)
    assert "hunter2" not in world.project().state_file.read_text()
    assert world.up(text).changes == 0
    assert world.up(text.replace("hunter2", "hunter3")).steps["replace"] == 1


# delete_before_replace


def test_delete_before_replace_deletes_first_although_the_provider_would_create_first(world: World) -> None:
    text = 'Thing("a", fixed="1", opts=Options(delete_before_replace=True))'
    world.up(text)
    world.up(text.replace('"1"', '"2"'))
    assert changes(world) == [("delete", "a"), ("create", "a")]


def test_delete_before_replace_false_creates_first_although_the_provider_would_delete_first(world: World) -> None:
    text = 'Thing("a", fixed="1", first=True, opts=Options(delete_before_replace=False))'
    world.up(text)
    world.up(text.replace('"1"', '"2"'))
    assert changes(world) == [("create", "a"), ("delete", "a")]


def test_a_dependent_by_depends_on_alone_is_not_replaced_along(world: World) -> None:
    text = 'a = Thing("a", fixed="1", first=True); Thing("b", fixed="1", opts=Options(depends_on=[a]))'
    world.up(text)
    world.up(text.replace('fixed="1", first', 'fixed="2", first'))
    assert changes(world) == [("delete", "a"), ("create", "a")]


# replace_on_changes, ignore_changes


def test_replace_on_changes_leaves_a_change_beside_its_path_an_update(world: World) -> None:
    text = 'Thing("a", deep={"x": 1, "y": 1}, opts=Options(replace_on_changes=["deep.x"]))'
    world.up(text)
    world.up(text.replace('"y": 1', '"y": 2'))
    assert world.steps() == {"update": ["a"]}
    world.up(text.replace('"x": 1', '"x": 2'))
    assert world.steps() == {"replace": ["a"], "delete": ["a"]}


def test_a_change_that_is_ignored_is_used_when_the_resource_is_first_created(world: World) -> None:
    world.up('Thing("a", value="1", opts=Options(ignore_changes=["value"]))')
    assert world.cloud.resources["a-1"]["inputs"]["value"] == "1"


def test_drift_in_an_ignored_property_is_left_as_it_is(world: World) -> None:
    world.up('Thing("a", value="1", opts=Options(ignore_changes=["value"]))')
    world.cloud.resources["a-1"]["inputs"]["value"] = "by hand"
    assert world.up(refresh=True).changes == 0
    assert world.cloud.resources["a-1"]["inputs"]["value"] == "by hand"


# aliases


def test_an_alias_by_urn_type_and_parent_keeps_the_resource(world: World) -> None:
    world.up('Thing("a", value="1")')
    moved = """
    class Part(pulumi.ComponentResource):
        def __init__(self, name):
            super().__init__("demo:index:Part", name)
            Thing("b", value="1", opts=Options(parent=self, aliases=[pulumi.Alias({})]))
    Part("part")
    """
    world.up(moved.format('name="a", parent=pulumi.ROOT_STACK_RESOURCE'))
    assert changes(world) == []
    assert rows(world)["b"]["id"] == "a-1"
    world.up(f'Thing("c", value="1", opts=Options(aliases=["{rows(world)["b"]["urn"]}"]))')
    assert changes(world) == []
    assert rows(world)["c"]["id"] == "a-1"


def test_an_alias_can_stay_after_the_rename(world: World) -> None:
    world.up('Thing("a")')
    for _ in range(2):
        assert world.up('Thing("b", opts=Options(aliases=[pulumi.Alias(name="a")]))').changes == 0


# read and import


def test_a_resource_that_was_read_and_is_now_declared_is_created_and_the_one_read_stays(world: World) -> None:
    world.cloud.resources["x-9"] = {"token": "test:index:Thing", "urn": "elsewhere", "inputs": {"value": "1"}}
    world.up('pulumi.CustomResource("test:index:Thing", "x", {}, Options(id="x-9"))')
    assert changes(world) == []
    assert rows(world)["x"]["external"] is True
    world.up('Thing("x", value="2")')
    assert changes(world) == [("create", "x")]
    assert world.cloud.resources["x-9"]["inputs"] == {"value": "1"}
    world.destroy()
    assert list(world.cloud.resources) == ["x-9"]


def test_a_declared_resource_that_is_now_read_by_its_id_is_let_go_of_and_not_deleted(world: World) -> None:
    world.up('Thing("x")')
    world.up('pulumi.CustomResource("test:index:Thing", "x", {}, Options(id="x-1"))')
    world.up(NOTHING)
    assert living(world) == ["x"]


def test_a_declared_resource_that_is_now_read_by_another_id_is_deleted(world: World) -> None:
    world.up('Thing("x")')
    world.cloud.resources["x-9"] = {"token": "test:index:Thing", "urn": "elsewhere", "inputs": {}}
    world.up('pulumi.CustomResource("test:index:Thing", "x", {}, Options(id="x-9"))')
    assert changes(world) == [("delete", "x")]
    assert list(world.cloud.resources) == ["x-9"]


def test_reading_what_does_not_exist_is_an_error_that_names_it(world: World) -> None:
    with pytest.raises(LocalcloudError, match=r"'x-9', which does not exist"):
        world.up('pulumi.CustomResource("test:index:Thing", "x", {}, Options(id="x-9"))')


def test_an_imported_resource_is_brought_to_what_is_declared(world: World) -> None:
    world.cloud.resources["x-9"] = {"token": "test:index:Thing", "urn": "elsewhere", "inputs": {"value": "1"}}
    world.up('Thing("x", value="2", opts=Options(import_="x-9"))')
    assert world.cloud.called("create") == []
    assert world.cloud.resources["x-9"]["inputs"]["value"] == "2"
    assert rows(world)["x"]["importID"] == "x-9"


def test_importing_another_id_takes_that_over_and_deletes_the_one_before(world: World) -> None:
    world.up('Thing("x", value="1")')
    world.cloud.resources["x-9"] = {"token": "test:index:Thing", "urn": "elsewhere", "inputs": {"value": "1"}}
    world.up('Thing("x", value="1", opts=Options(import_="x-9"))')
    assert changes(world)[-1] == ("delete", "x")
    assert list(world.cloud.resources) == ["x-9"]
    assert world.up().changes == 0


def test_an_imported_resource_is_not_replaced_while_the_program_says_import(world: World) -> None:
    world.cloud.resources["x-9"] = {"token": "test:index:Thing", "urn": "elsewhere", "inputs": {"fixed": "1"}}
    text = 'Thing("x", fixed="1", opts=Options(import_="x-9"))'
    world.up(text)
    with pytest.raises(LocalcloudError, match="was imported and must be replaced"):
        world.up(text.replace('"1"', '"2"'))
    world.up('Thing("x", fixed="2")')
    assert changes(world) == [("create", "x"), ("delete", "x")]


def test_importing_what_does_not_exist_is_an_error(world: World) -> None:
    with pytest.raises(LocalcloudError, match=r"cannot be imported: 'x-9' does not exist"):
        world.up('Thing("x", opts=Options(import_="x-9"))')


# additional_secret_outputs, stack outputs, pulumi.log


def test_additional_secret_outputs_are_secret_in_state_and_in_what_depends_on_them(world: World) -> None:
    text = 'a = Thing("a", value="hunter2", opts=Options(additional_secret_outputs=["value"]))\n'
    result = world.up(text + 'pulumi.export("value", a.value.apply(lambda text: text + "!"))')
    assert "hunter2" not in json.dumps(rows(world)["a"]["outputs"])
    assert "hunter2!" not in world.project().state_file.read_text()
    assert repr(result.outputs) == "{'value': <secret>}"


def test_stack_outputs_are_those_of_the_last_update(world: World) -> None:
    assert world.up('pulumi.export("old", 1)').outputs == {"old": 1}
    assert world.up('pulumi.export("new", {"deep": [1, None, True]})').outputs == {"new": {"deep": [1, None, True]}}


def test_what_the_program_logs_is_told_with_its_severity_but_for_debug(world: World) -> None:
    world.up('pulumi.log.debug("d"); pulumi.log.info("i"); pulumi.log.warn("w"); pulumi.log.error("e")')
    assert world.logs == [("info", "i"), ("warning", "w"), ("error", "e")]


# Errors


def test_an_error_of_the_program_deletes_nothing(world: World) -> None:
    world.up('Thing("a")')
    with pytest.raises(ProgramError, match="broken"):
        world.up('raise ValueError("broken")')
    assert living(world) == ["a"]


def test_an_error_inside_apply_is_an_error_of_the_program(world: World) -> None:
    with pytest.raises(ProgramError, match="ZeroDivisionError"):
        world.up('Thing("a", value="1").value.apply(lambda _: 1 / 0)')
    assert living(world) == ["a"]


def test_after_a_failed_step_nothing_new_begins_and_nothing_is_deleted(world: World) -> None:
    world.up('Thing("gone")')
    world.cloud.fail["create a"] = RuntimeError("no")
    with pytest.raises(RuntimeError, match="no"):
        world.up('a = Thing("a"); Thing("b", value=a.arn)')
    assert "b" not in rows(world)
    assert "gone" in rows(world)
    assert world.cloud.called("delete") == []


def test_a_failed_deletion_keeps_what_could_not_be_deleted_and_what_that_needs(world: World) -> None:
    world.up(CHAIN)
    world.cloud.fail["delete b"] = RuntimeError("in use")
    with pytest.raises(RuntimeError, match="in use"):
        world.destroy()
    assert rows(world).keys() >= {"a", "b"}
    assert "c" not in rows(world)
    world.destroy()
    assert living(world) == []


# Custom timeouts


def test_an_operation_that_takes_longer_than_its_custom_timeout_fails_and_is_found_again(world: World) -> None:
    def slow(verb: str, _name: str) -> None:
        if verb == "create":
            time.sleep(0.4)

    world.cloud.before = slow
    text = 'Thing("a", opts=Options(custom_timeouts=pulumi.CustomTimeouts(create="{}")))'
    with pytest.raises(LocalcloudError, match=r"create of test:index:Thing 'a' took longer than .* 0\.1 s"):
        world.up(text.format("100ms"))
    world.up(text.format("5m"))
    assert world.cloud.called("create") == []
    assert living(world) == ["a"]
    assert rows(world)["a"]["customTimeouts"] == {"create": 300}


# --target, --exclude, --replace, --refresh


def test_only_targets_are_updated(world: World) -> None:
    world.up(CHAIN)
    world.up(CHAIN.replace('"1"', '"2"'), selection=Selection(targets=(A,)))
    assert changes(world) == [("update", "a")]
    world.up()
    assert ("create", "c") in changes(world)


def test_targets_may_be_globs_in_which_one_star_stops_at_a_colon(world: World) -> None:
    world.up(CHAIN)
    for glob in ("**::a", "urn:pulumi:dev::*::test:index:*::a"):
        world.up(CHAIN.replace('"1"', f'"{glob}"'), selection=Selection(targets=(glob,)))
        assert changes(world) == [("update", "a")]
    world.up(CHAIN.replace('"1"', '"3"'), selection=Selection(targets=("*a",)))
    assert changes(world) == []


def test_target_dependents_are_updated_too(world: World) -> None:
    world.up(CHAIN)
    text = CHAIN.replace('"1"', '"2"')
    world.up(text, selection=Selection(targets=(A,), dependents=True))
    assert changes(world) == [("update", "a"), ("create", "c"), ("delete", "c")]


def test_what_is_no_target_is_not_created_and_a_target_that_needs_it_is_refused(world: World) -> None:
    world.up(CHAIN, selection=Selection(targets=(A,)))
    assert living(world) == ["a"]
    assert rows(world).keys() == {"a", "default"}
    with pytest.raises(LocalcloudError, match=f"'c' .*needs {B}, which does not exist yet and is none of the targets"):
        world.up(selection=Selection(targets=(C,)))


def test_what_is_no_target_is_not_deleted(world: World) -> None:
    world.up('Thing("a"); Thing("b")')
    world.up(NOTHING, selection=Selection(targets=(A,)))
    assert changes(world) == [("delete", "a")]
    assert "b" in rows(world)


def test_destroying_a_target_is_refused_while_something_else_depends_on_it(world: World) -> None:
    world.up(CHAIN)
    with pytest.raises(LocalcloudError, match="would have to go as well"):
        world.destroy(selection=Selection(targets=(B,)))
    assert changes(world) == []
    world.destroy(selection=Selection(targets=(B,), dependents=True))
    assert changes(world) == [("delete", "c"), ("delete", "b")]
    assert "a" in rows(world)


def test_a_target_that_no_resource_has_is_an_error(world: World) -> None:
    world.up('Thing("a")')
    for run in (world.up, world.destroy, world.preview):
        with pytest.raises(LocalcloudError, match=f"No resource of the stack has the URN {B}"):
            run(selection=Selection(targets=(B,)))
    assert living(world) == ["a"]


def test_what_is_excluded_is_neither_updated_nor_deleted_nor_is_what_it_needs(world: World) -> None:
    world.up(CHAIN)
    world.up(CHAIN.replace('"1"', '"2"'), selection=Selection(excludes=(A,)))
    assert changes(world) == [("create", "c"), ("delete", "c")]
    world.destroy(selection=Selection(excludes=(B,)))
    assert changes(world) == [("delete", "c")]
    assert rows(world).keys() >= {"a", "b"}


def test_exclude_dependents_leaves_out_what_depends_on_it(world: World) -> None:
    world.up(CHAIN)
    world.up(CHAIN.replace('"1"', '"2"'), selection=Selection(excludes=(B,), dependents=True))
    assert changes(world) == [("update", "a")]


def test_replace_makes_a_resource_anew_that_did_not_change(world: World) -> None:
    world.up(CHAIN)
    world.up(selection=Selection(replaces=(A,)))
    assert changes(world) == [("create", "a"), ("update", "b"), ("delete", "a")]
    with pytest.raises(LocalcloudError, match="No resource of the stack has the URN"):
        world.up(selection=Selection(replaces=(A + "x",)))


def test_replace_does_not_replace_what_is_protected(world: World) -> None:
    world.up('Thing("a", opts=Options(protect=True))')
    with pytest.raises(LocalcloudError, match="protected"):
        world.up(selection=Selection(replaces=(A,)))


def test_a_replacement_takes_no_dependent_along_that_is_no_target(world: World) -> None:
    text = 'a = Thing("a", fixed="1", first=True); Thing("b", fixed=a.arn)'
    world.up(text)
    with pytest.raises(LocalcloudError, match="deletes test:index:Thing 'b' first, which is none of the targets"):
        world.up(text.replace('"1"', '"2"'), selection=Selection(targets=(A,)))
    assert changes(world) == []


def test_a_cut_off_creation_that_is_no_target_stays_written_down(world: World) -> None:
    world.cloud.fail["create a"] = RuntimeError("the line went dead")
    with pytest.raises(RuntimeError):
        world.up('Thing("a"); Thing("b")')
    world.up('Thing("b")', selection=Selection(targets=(B,)))
    assert "a" in living(world)
    world.up('Thing("a"); Thing("b")')
    assert living(world) == ["a", "b"]


def test_refresh_asks_the_cloud_about_targets_alone(world: World) -> None:
    world.up(CHAIN)
    world.refresh(selection=Selection(targets=(A,)))
    assert world.cloud.calls == [("read", "a")]


def test_up_with_refresh_does_not_delete_what_is_gone_already(world: World) -> None:
    world.up(CHAIN)
    world.cloud.resources.clear()
    world.up(NOTHING, refresh=True)
    assert world.cloud.called("delete") == []
    assert rows(world).keys() <= {"default"}


def test_the_children_of_a_component_that_is_no_target_are_left_alone(world: World) -> None:
    text = """
    class Part(pulumi.ComponentResource):
        def __init__(self, name):
            super().__init__("demo:index:Part", name)
            self.thing = Thing(f"{name}-child", value="1", opts=Options(parent=self))
            self.register_outputs({"arn": self.thing.arn})
    Part("one")
    Part("two")
    """
    glob = "urn:pulumi:dev::demo::demo:index:Part**::one**"
    world.up(text, selection=Selection(targets=(glob,)))
    assert changes(world) == [("create", "one-child")]
    world.up(text.replace('"1"', '"2"'), selection=Selection(targets=(glob,)))
    assert changes(world) == [("update", "one-child")]


def test_a_target_that_needs_what_depends_on_it_in_the_state_is_refused(world: World) -> None:
    world.up('a = Thing("a"); Thing("b", value=a.arn)')
    with pytest.raises(LocalcloudError, match=r"'a' .*needs .*::b, which depends on it in the state"):
        world.up('b = Thing("b"); Thing("a", value=b.arn)', selection=Selection(targets=(A,)))
    world.up('b = Thing("b"); Thing("a", value=b.arn)')
    assert world.steps() == {"update": ["a", "b"]}


def test_a_cut_off_creation_that_cannot_become_what_is_declared_now_is_deleted(world: World) -> None:
    world.cloud.fail["create a"] = RuntimeError("the line went dead")
    with pytest.raises(RuntimeError):
        world.up('Thing("a", fixed="1")')
    world.up('Thing("a", fixed="2")')
    assert [row["inputs"]["fixed"] for row in world.cloud.resources.values()] == ["2"]


def test_after_a_refresh_found_something_gone_the_state_has_no_link_to_it(world: World) -> None:
    world.up(CHAIN)
    del world.cloud.resources["a-1"]
    world.refresh()
    assert rows(world)["b"].get("dependencies", []) == []
    world.up()
    assert living(world) == ["a", "b", "c"]


@pytest.mark.parametrize("command", ["up", "destroy"])
def test_what_is_protected_but_gone_holds_up_no_run_that_refreshes(world: World, command: str) -> None:
    world.up('Thing("a", opts=Options(protect=True))')
    world.cloud.resources.clear()
    world.program(NOTHING)
    (world.up if command == "up" else world.destroy)(refresh=True)
    assert "a" not in rows(world)


def test_a_failed_run_that_reverses_a_dependency_leaves_a_state_without_a_circle(world: World) -> None:
    world.up('a = Thing("a"); Thing("b", value=a.arn)')
    world.cloud.fail["update a"] = RuntimeError("no")
    with pytest.raises(RuntimeError):
        world.up('b = Thing("b"); Thing("a", value=b.arn)')
    found = json.loads(world.project().state_file.read_text())["deployment"]["resources"]
    places = {row["urn"]: place for place, row in enumerate(found)}
    for row in found:
        assert all(places[urn] < places[row["urn"]] for urn in row.get("dependencies", [])), row["urn"]
    world.up()
    assert world.steps() == {"update": ["a"]}
    world.destroy()
    assert living(world) == []


# More on errors, outputs and what is shown


@pytest.mark.parametrize("command", ["up", "preview"])
def test_what_a_provider_refuses_in_its_check_changes_nothing(world: World, command: str) -> None:
    world.up('Thing("a", value="1")')

    def refuse(name: str) -> None:
        raise LocalcloudError(f"{name} has a value that is none")

    world.cloud.checking = refuse
    world.program('Thing("a", value="2")')
    with pytest.raises(LocalcloudError, match="a has a value that is none"):
        (world.up if command == "up" else world.preview)()
    assert changes(world) == []
    assert rows(world)["a"]["inputs"]["value"] == "1"


def test_what_a_policy_refuses_is_not_changed_and_nothing_after_it_is_begun(world: World) -> None:
    world.up('Thing("gone")')

    def refuse(registration: Any, inputs: Any) -> Any:
        if registration.name == "a":
            raise LocalcloudError("mandatory: a must not be")
        return inputs

    with pytest.raises(LocalcloudError, match="a must not be"):
        world.up('a = Thing("a"); Thing("b", value=a.arn)', inspect=refuse)
    assert changes(world) == []
    assert living(world) == ["gone"]


def test_an_update_that_fails_keeps_the_outputs_of_the_one_before_beside_its_own(world: World) -> None:
    world.up('pulumi.export("out", 1); pulumi.export("more", 1)')
    with pytest.raises(ProgramError):
        world.up('pulumi.export("out", 2); raise ValueError("broken")')
    state = json.loads(world.project().state_file.read_text())["deployment"]["resources"]
    assert next(row for row in state if row["type"] == "pulumi:pulumi:Stack")["outputs"] == {"out": 2, "more": 1}
    assert world.up('pulumi.export("out", 2)').outputs == {"out": 2}


def test_a_preview_knows_outputs_that_do_not_change_and_no_others(world: World) -> None:
    world.up('a = Thing("a", value="1"); pulumi.export("arn", a.arn); pulumi.export("value", a.value)')
    result = world.preview('a = Thing("a", value="2"); pulumi.export("value", a.value); pulumi.export("own", 1)')
    assert result.outputs == {"value": "2", "own": 1}
    result = world.preview('b = Thing("b"); pulumi.export("arn", b.arn)')
    assert repr(result.outputs["arn"]) == "<unknown>"


def test_a_resource_that_is_read_is_no_change_and_expects_none(world: World) -> None:
    world.cloud.resources["x-9"] = {"token": "test:index:Thing", "urn": "elsewhere", "inputs": {"value": "1"}}
    for _ in range(2):
        assert world.up('pulumi.CustomResource("test:index:Thing", "x", {}, Options(id="x-9"))').changes == 0
    assert [event.step for event in world.events if event.name == "x"] == ["read"]


def test_an_import_in_a_preview_changes_nothing_and_is_counted_as_a_creation(world: World) -> None:
    world.cloud.resources["x-9"] = {"token": "test:index:Thing", "urn": "elsewhere", "inputs": {"value": "1"}}
    world.preview('Thing("x", value="1", opts=Options(import_="x-9"))')
    assert changes(world) == []
    assert world.steps() == {"create": ["x"]}
