"""What a program asks to be called back for: transforms of resources, of the stack and of functions; hooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localcloud.errors import LocalcloudError
from tests.localcloud.clouds import World
from tests.localcloud.planning import planned

COMPONENT = """
import pulumi
import pulumi_aws as aws

class Ground(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("test:index:Ground", name, {}, opts)
        self.bucket = aws.s3.Bucket("inner", opts=pulumi.ResourceOptions(parent=self))
        self.register_outputs({})

def tagging(word):
    def change(args):
        if not args.type_.startswith("aws:"):
            return None
        tags = {**(args.props.get("tags") or {}), word: str(len(args.props.get("tags") or {}))}
        return pulumi.ResourceTransformResult({**args.props, "tags": tags}, args.opts)
    return change
"""


def inputs(directory: Path, source: str) -> dict[str, Any]:
    """The inputs of the planned resources by name."""
    return {row.name: row.inputs for row in planned(directory, COMPONENT + source).resources}


def test_transforms_run_from_the_resource_outwards_and_the_stacks_last(tmp_path: Path) -> None:
    found = inputs(
        tmp_path,
        """
pulumi.runtime.register_stack_transform(tagging("stack"))
Ground("ground", pulumi.ResourceOptions(transforms=[tagging("component")]))
aws.s3.Bucket("own", opts=pulumi.ResourceOptions(transforms=[tagging("own")]))
""",
    )
    assert found["inner"]["tags"] == {"component": "0", "stack": "1"}
    assert found["own"]["tags"] == {"own": "0", "stack": "1"}


def test_a_transform_changes_options_and_keeps_the_others(tmp_path: Path) -> None:
    source = (
        COMPONENT
        + """
def protecting(args):
    args.opts.protect = True
    args.opts.ignore_changes = ["tags"]
    return pulumi.ResourceTransformResult(args.props, args.opts)
first = aws.s3.Bucket("first")
aws.s3.Bucket("own", opts=pulumi.ResourceOptions(
    transforms=[protecting], retain_on_delete=True, depends_on=[first], delete_before_replace=True,
    aliases=[pulumi.Alias(name="older")]))
"""
    )
    row = next(row for row in planned(tmp_path, source).resources if row.name == "own")
    assert row.options["protect"] is True
    assert row.options["ignoreChanges"] == ["tags"]
    assert row.options["retainOnDelete"] is True
    assert row.options["deleteBeforeReplace"] is True
    assert "urn:pulumi:dev::planned::aws:s3/bucket:Bucket::older" in row.options["aliases"]
    assert row.dependencies == ("urn:pulumi:dev::planned::aws:s3/bucket:Bucket::first",)


def test_a_transformed_property_still_depends_on_the_resource_that_it_came_from(tmp_path: Path) -> None:
    source = (
        COMPONENT
        + """
def moving(args):
    return pulumi.ResourceTransformResult({"bucket": args.props["bucket"], "key": "moved"}, args.opts)
bucket = aws.s3.Bucket("first")
aws.s3.BucketObject("file", bucket=bucket.id, opts=pulumi.ResourceOptions(transforms=[moving]))
"""
    )
    row = next(row for row in planned(tmp_path, source).resources if row.name == "file")
    assert row.inputs["key"] == "moved"
    assert row.inputs["bucket"].startswith("first-")
    assert row.property_dependencies["bucket"] == ("urn:pulumi:dev::planned::aws:s3/bucket:Bucket::first",)


def test_a_secret_stays_one_through_a_transform(tmp_path: Path) -> None:
    found = inputs(
        tmp_path,
        """
pulumi.runtime.register_stack_transform(lambda args: pulumi.ResourceTransformResult(args.props, args.opts))
aws.ssm.Parameter("parameter", type="SecureString", value=pulumi.Output.secret("planted"))
""",
    )
    assert repr(found["parameter"]["value"]) == "<secret>"


def test_an_invoke_transform_changes_what_a_function_is_asked(tmp_path: Path) -> None:
    source = """
import pulumi, pulumi_aws as aws
def change(args):
    return pulumi.InvokeTransformResult({**args.args, "state": "available"}, args.opts)
pulumi.runtime.register_invoke_transform(change)
pulumi.export("state", aws.get_availability_zones_output(state="impaired").apply(lambda zones: zones.state))
"""
    assert planned(tmp_path, source).outputs["state"] == "available"


def test_a_transform_that_raises_stops_the_plan_with_its_error_and_line(tmp_path: Path) -> None:
    source = """
import pulumi, pulumi_aws as aws
def broken(args):
    raise ValueError("no such tag")
pulumi.runtime.register_stack_transform(broken)
aws.s3.Bucket("bucket")
"""
    with pytest.raises(LocalcloudError, match=r"a transform of .*no such tag \(__main__.py:4\)"):
        planned(tmp_path, source)


def test_hooks_do_not_run_in_a_plan_unless_they_say_so(tmp_path: Path) -> None:
    source = """
import pulumi, pulumi_aws as aws
def write(args):
    with open("told.txt", "a") as file:
        file.write(f"{args.name} {args.new_inputs['bucket']} {args.new_outputs is not None}\\n")
silent = pulumi.ResourceHook("silent", write)
loud = pulumi.ResourceHook("loud", write, pulumi.ResourceHookOptions(on_dry_run=True))
aws.s3.Bucket("quiet", bucket="quiet", opts=pulumi.ResourceOptions(
    hooks=pulumi.ResourceHookBinding(before_create=[silent])))
aws.s3.Bucket("told", bucket="told", opts=pulumi.ResourceOptions(
    hooks=pulumi.ResourceHookBinding(before_create=[loud], after_create=[loud])))
"""
    planned(tmp_path, source)
    assert (tmp_path / "told.txt").read_text(encoding="utf-8") == "told told False\ntold told True\n"


HOOKS = """
def note(when):
    def hook(args):
        with open("told.txt", "a") as file:
            old, new = (args.old_outputs or {}).get("arn"), (args.new_outputs or {}).get("arn")
            file.write(f"{when} {args.name} {args.id} old={old} new={new}\\n")
    return pulumi.ResourceHook(when, hook)
names = "before_create after_create before_update after_update before_delete after_delete".split()
hooks = pulumi.ResourceHookBinding(**{name: [note(name)] for name in names})
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def told(world: World) -> list[str]:
    file = world.root / "told.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def test_hooks_run_before_and_after_each_step_of_their_resource_and_see_old_and_new(world: World) -> None:
    world.up(HOOKS + 'Thing("a", value="one", opts=Options(hooks=hooks))')
    id_ = next(iter(world.cloud.resources))
    created = told(world)
    assert created[0] == "before_create a  old=None new=None"
    assert created[1].startswith(f"after_create a {id_} old=None new=")
    assert created[1].split("new=")[1] != "None"

    world.up(HOOKS + 'Thing("a", value="one", opts=Options(hooks=hooks))')
    assert told(world) == []

    world.up(HOOKS + 'Thing("a", value="two", opts=Options(hooks=hooks))')
    assert [line.split(" old=")[0] for line in told(world)] == [f"before_update a {id_}", f"after_update a {id_}"]

    world.up(HOOKS)
    assert [line.split(" old=")[0] for line in told(world)] == [f"before_delete a {id_}", f"after_delete a {id_}"]
    assert world.cloud.resources == {}


def test_hooks_do_not_run_in_a_preview_unless_they_say_so(world: World) -> None:
    world.preview(HOOKS + 'Thing("a", value="one", opts=Options(hooks=hooks))')
    assert told(world) == []


def test_a_before_hook_that_fails_fails_its_step_and_nothing_is_made(world: World) -> None:
    program = """
def broken(args):
    raise ValueError("not today")
Thing("a", opts=Options(hooks=pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook("no", broken)])))
"""
    with pytest.raises(LocalcloudError, match="BeforeCreate hook 'no' of test:index:Thing 'a' failed: not today"):
        world.up(program)
    assert world.cloud.resources == {}


def test_an_after_hook_that_fails_is_a_warning(world: World) -> None:
    program = """
def broken(args):
    raise ValueError("too late")
Thing("a", opts=Options(hooks=pulumi.ResourceHookBinding(after_create=[pulumi.ResourceHook("no", broken)])))
"""
    world.up(program)
    assert len(world.cloud.resources) == 1
    assert any(severity == "warning" and "too late" in message for severity, message in world.logs)


def test_a_destroy_refuses_what_has_hooks_of_its_deletion(world: World) -> None:
    world.up(HOOKS + 'Thing("a", opts=Options(hooks=hooks))')
    with pytest.raises(LocalcloudError, match="hooks of its deletion"):
        world.destroy()
    assert len(world.cloud.resources) == 1


def test_a_transform_reaches_what_is_made(world: World) -> None:
    world.up("""
def change(args):
    if args.type_ == "test:index:Thing":
        return pulumi.ResourceTransformResult({**args.props, "value": "changed"}, args.opts)
pulumi.runtime.register_stack_transform(change)
Thing("a", value="one")
""")
    assert [thing["inputs"]["value"] for thing in world.cloud.resources.values()] == ["changed"]
