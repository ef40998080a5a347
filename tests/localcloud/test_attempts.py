"""Error hooks, as Pulumi's documentation of resource hooks and its engine (pkg/resource/deploy/step.go) say."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.attempts import MOST
from localcloud.errors import LocalcloudError
from tests.localcloud.clouds import World

HOOK = """
def again(args):
    with open("told.txt", "a") as file:
        known = [bool(each) for each in (args.new_inputs, args.old_inputs, args.old_outputs)]
        file.write(f"{args.failed_operation} {args.name} {args.id} {known} {list(args.errors)}\\n")
    return ANSWER
hooks = pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("again", again)])
"""
THING = 'Thing("a", value="1", opts=Options(hooks=hooks))'


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    return World(tmp_path)


def program(answer: str = "True", thing: str = THING) -> str:
    return HOOK.replace("ANSWER", answer) + thing


def told(world: World) -> list[str]:
    file = world.root / "told.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def fails(world: World, call: str) -> None:
    world.cloud.fail[call] = RuntimeError("try later")


def test_a_failed_step_is_tried_again_if_its_error_hook_says_so(world: World) -> None:
    fails(world, "create a")
    world.up(program())
    assert [row["urn"].rpartition("::")[2] for row in world.cloud.resources.values()] == ["a"]
    assert told(world) == ["create a  [True, False, False] ['try later']"]
    assert world.logs == [("warning", "Retrying the create of test:index:Thing 'a', as an error hook asks (1/100).")]
    (id_,) = world.cloud.resources

    fails(world, "update a")
    world.up(program(thing=THING.replace('"1"', '"2"')))
    assert world.cloud.resources[id_]["inputs"]["value"] == "2"
    assert told(world) == [f"update a {id_} [True, True, True] ['try later']"]

    fails(world, "delete a")
    world.up(program(thing=""))
    assert told(world) == [f"delete a {id_} [False, True, True] ['try later']"]
    assert world.cloud.resources == {}


def test_a_failed_step_fails_if_no_error_hook_wants_another_try(world: World) -> None:
    fails(world, "create a")
    with pytest.raises(RuntimeError, match="try later"):
        world.up(program("False"))
    assert world.cloud.called("create") == ["a"]


def test_all_error_hooks_are_asked_and_one_that_wants_another_try_is_enough(world: World) -> None:
    text = """
    def hook(name, answer):
        def told(args):
            with open("told.txt", "a") as file:
                file.write(name + "\\n")
            return answer
        return pulumi.ErrorHook(name, told)
    hooks = pulumi.ResourceHookBinding(on_error=[hook("yes", True), hook("no", False)])
    Thing("a", opts=Options(hooks=hooks))
    """
    fails(world, "create a")
    world.up(text)
    assert told(world) == ["yes", "no"]


def test_error_hooks_are_told_all_errors_so_far_the_newest_first_and_asked_a_hundred_times(world: World) -> None:
    failures = iter(range(MOST + 1))

    def failing(verb: str, _name: str) -> None:
        if verb == "create":
            world.cloud.resources.clear()
            raise RuntimeError(f"no {next(failures)}")

    world.cloud.before = failing
    with pytest.raises(LocalcloudError, match=r"no 99 That was try 100 of 100 that its error hooks may ask for"):
        world.up(program())
    lines = told(world)
    assert len(lines) == MOST - 1
    assert lines[1].endswith("['no 1', 'no 0']")


def test_an_error_hook_that_fails_is_told_with_what_it_was_asked_about(world: World) -> None:
    fails(world, "create a")
    with pytest.raises(LocalcloudError, match="try later And its error hook 'again' failed: division by zero"):
        world.up(program("1 / 0"))


def test_error_hooks_are_not_asked_about_steps_that_succeed_nor_in_a_preview(world: World) -> None:
    world.preview(program())
    world.up(program())
    assert told(world) == []


def test_a_further_try_takes_up_what_the_one_before_left_half_made(world: World) -> None:
    fails(world, "create a")  # after it was made
    world.up(program())
    assert world.cloud.called("create") == ["a"]
    assert len(world.cloud.resources) == 1


def test_two_hooks_of_one_name_are_refused(world: World) -> None:
    text = program() + '; pulumi.ErrorHook("again", lambda args: True)'
    with pytest.raises(LocalcloudError, match="Two resource hooks are named 'again'"):
        world.up(text)
