"""Reading plans of whoever's making, and what their digest stands for."""

import base64
import copy
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from rollout.errors import RolloutError
from rollout.plans import LARGEST, check, digest, read, without_release
from rollout.redact import DEEPEST
from tests.plans.plans import ROOT, evaluated_once
from tests.rollout.plan_documents import RELEASE, plan, resource

SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "localcloud/plan.schema.json").read_text()))
BUCKET = "aws:s3/bucket:Bucket"
OTHER = "sha256:" + "2" * 64
TEMPLATE = "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate"


def ordinary() -> dict[str, Any]:
    """A plan with a value of each kind in it."""
    values = {
        "text": "ü",
        "number": 1.5,
        "list": [1, None, True, {"a": []}],
        "secret": {"$secret": True},
        "unknown": {"$unknown": True},
        "one": {"$resource": "urn:pulumi:dev::demo::aws:s3/bucket:Bucket::data"},
        "asset": {"$asset": {"kind": "file", "path": "a", "sha256": None}},
        "archive": {"$archive": {"kind": "assets", "assets": {"b": {"$asset": {"kind": "text", "sha256": "0" * 64}}}}},
        "remote": {"$archive": {"kind": "remote", "uri": "https://example.com/a"}},
    }
    other = resource(BUCKET, "other", {}, synthetic=["/outputs/arn"], outputs={"arn": "arn"}, options={"protect": True})
    return plan(resource(BUCKET, "data", values), other, outputs={"a": "b"}, synthetic=["/outputs/a"])


def at(document: Any, *path: Any) -> Any:
    for part in path:
        document = document[part]
    return document


def put(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Puts the last of the arguments at the path of the others."""
    *way, name, value = path
    return lambda document: at(document, *way).__setitem__(name, value)


def drop(*path: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: at(document, *path[:-1]).pop(path[-1])


ROW = ("resources", 1)
INPUTS = (*ROW, "inputs")
BROKEN = {
    "no version": drop("version"),
    "another version": put("version", 2),
    "a version that is true": put("version", True),
    "no name": put("stack", ""),
    "a name that is a number": put("project", 1),
    "a field more": put("more", 1),
    "settings without a namespace": put("config", {"a": "b"}),
    "a setting that is a number": put("config", {"a:b": 1}),
    "no list": put("resources", {}),
    "a row that is a text": put(*ROW, "x"),
    "a row's field more": put(*ROW, "more", 1),
    "a row's field less": drop(*ROW, "options"),
    "no URN": put(*ROW, "urn", "data"),
    "no type": put(*ROW, "type", "a"),
    "a name that is null": put(*ROW, "name", None),
    "a parent that is no URN": put(*ROW, "parent", "x"),
    "custom as a text": put(*ROW, "custom", "true"),
    "inputs as a list": put(*ROW, "inputs", []),
    "inputs that are a secret": put(*ROW, "inputs", {"$secret": True}),
    "a secret with its value": put(*INPUTS, "x", {"$secret": "value"}),
    "a secret with more": put(*INPUTS, "x", {"$secret": True, "a": 1}),
    "an asset of no kind": put(*INPUTS, "x", {"$asset": {"kind": "other"}}),
    "an asset with more": put(*INPUTS, "x", {"$asset": {"kind": "text", "sha256": "0" * 64, "a": 1}}),
    "a hash that is none": put(*INPUTS, "x", {"$asset": {"kind": "text", "sha256": "0"}}),
    "a reference to nothing": put(*INPUTS, "x", {"$resource": "x"}),
    "dependencies that are no URNs": put(*ROW, "dependencies", ["x"]),
    "an empty list of references": put(*ROW, "propertyDependencies", {"a": []}),
    "a source without a line": put(*ROW, "source", {"file": "a"}),
    "a line 0": put(*ROW, "source", {"file": "a", "line": 0}),
    "a pointer to elsewhere": put(*ROW, "synthetic", ["/options/a"]),
    "a pointer twice": put(*ROW, "synthetic", ["/inputs/a", "/inputs/a"]),
}


def test_a_plan_is_taken_as_the_schema_takes_it() -> None:
    document = ordinary()
    assert not list(SCHEMA.iter_errors(document))
    assert read(json.dumps(document).encode(), "plan") == document


@pytest.mark.parametrize("name", BROKEN)
def test_what_the_schema_refuses_is_refused(name: str) -> None:
    document = ordinary()
    BROKEN[name](document)
    assert not SCHEMA.is_valid(document)
    with pytest.raises(RolloutError, match=r"plans/dev is no plan: .* Make it"):
        check(document, "plans/dev")


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put(*ROW, "urn", "urn:pulumi:prod::demo::a:b:c::data"), "another stack"),
        (put("resources", 2, "urn", "urn:pulumi:dev::demo::aws:s3/bucket:Bucket::data"), "twice"),
        (put(*INPUTS, "x", nested(DEEPEST)), "too deep"),
        (put(*INPUTS, "x", "\ud800"), "half a letter"),
        (put(*INPUTS, "\ud800", "x"), "half a letter in a name"),
        (put(*INPUTS, "x", float("inf")), "no number"),
    ],
)
def test_what_no_program_makes_is_refused_though_the_schema_takes_it(change: Any, reason: str) -> None:
    document = ordinary()
    change(document)
    with pytest.raises(RolloutError):
        check(document, "plan")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[" * 100_000,
        b'{"version": NaN}',
        b"1" * 10_000,
        b" " * (LARGEST + 1),
        json.dumps(plan()).replace('"demo-dev"', "1e999").encode(),
    ],
    ids=lambda content: repr(content[:12]),
)
def test_bytes_that_are_no_plan_are_refused_in_a_sentence(content: bytes) -> None:
    with pytest.raises(RolloutError, match=r"^the artifact's plan is no plan: .*\.$"):
        read(content, "the artifact's plan")


def test_a_refusal_quotes_nothing_that_the_plan_says() -> None:
    document = plan(resource(BUCKET, "@octocat", {"x": {"$secret": "hunter2hunter2"}}))
    with pytest.raises(RolloutError) as refused:
        check(document, "plan")
    assert "hunter2" not in str(refused.value)
    assert "octocat" not in str(refused.value)


def released(release: str, name: str = "trainer-0123abcd") -> dict[str, Any]:
    script = f"docker run app@{release}" + " " * 80
    return plan(
        resource(
            "aws:ecs/taskDefinition:TaskDefinition", "app", {"containers": json.dumps([{"image": f"app@{release}"}])}
        ),
        resource(
            "aws:ec2/launchTemplate:LaunchTemplate", "t", {"userData": base64.b64encode(script.encode()).decode()}
        ),
        resource(TEMPLATE, "t", {"name": name, "metadata": {"startup-script": script}}),
        resource("gcp:compute/instanceGroupManager:InstanceGroupManager", "t", {"version": f"https://x/{name}"}),
        config={"groundwork:release": release, "groundwork:port": "8080"},
        outputs={"image": release.removeprefix("sha256:")},
    )


def test_the_digest_leaves_the_release_out_wherever_it_stands() -> None:
    first, second = released(RELEASE), released(OTHER, "trainer-4567cdef")
    assert digest(first) == digest(second)
    assert without_release(first) == without_release(second)


def test_an_image_that_does_not_follow_the_release_counts() -> None:
    moved = released(RELEASE)
    moved["resources"][1]["inputs"]["containers"] = json.dumps([{"image": f"app@{OTHER}"}])
    assert digest(moved) != digest(released(RELEASE))


def test_a_name_counts_where_it_is_no_hash_of_a_content_with_the_release() -> None:
    def named(name: str) -> str:
        return digest(plan(resource(TEMPLATE, "t", {"name": name})))

    assert named("trainer-0123abcd") != named("trainer-4567cdef")
    assert digest(released(RELEASE)) != digest(released(RELEASE, "other-0123abcd"))


def test_a_release_that_is_no_digest_takes_nothing_out() -> None:
    def tagged(release: str) -> str:
        return digest(plan(resource(BUCKET, "a", {"x": "abc"}), config={"groundwork:release": release}))

    assert len({tagged("a"), tagged("b"), tagged("sha256:"), tagged("")}) == 4


@pytest.mark.parametrize(
    "change",
    [
        put("config", "groundwork:port", "8081"),
        put("outputs", "a", "c"),
        put(*INPUTS, "text", "u"),
        put(*INPUTS, "list", [1, None, 1, {"a": []}]),
        put("resources", 2, "options", {}),
        put("resources", 2, "name", "renamed"),
        put("resources", 2, "provider", "urn:pulumi:dev::demo::a:b:c::d"),
        drop("resources", 2),
    ],
)
def test_the_digest_changes_with_whatever_is_asked_for(change: Any) -> None:
    changed = copy.deepcopy(ordinary())
    change(changed)
    assert digest(changed) != digest(ordinary())


def test_the_digest_does_not_change_with_lines_made_up_values_or_the_order_of_rows() -> None:
    moved = ordinary()
    moved["resources"][1]["source"] = {"file": "infra/b.py", "line": 99}
    moved["resources"][2] |= {"outputs": {"arn": "another"}, "synthetic": []}
    moved["resources"] = moved["resources"][::-1]
    assert digest(moved) == digest(ordinary())


@pytest.mark.slow
def test_the_real_plan_has_one_digest_whatever_release_it_pins() -> None:
    first = evaluated_once("local")
    command = [sys.executable, "-m", "localcloud", "plan", "-C", str(ROOT), "-s", "local", "--json"]
    command += ["-c", f"groundwork:release={OTHER}"]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    one, other = (read(done.stdout.encode(), "plan") for done in (first, second))
    assert other["config"]["groundwork:release"] == OTHER != one["config"]["groundwork:release"]
    assert digest(one) == digest(other)
    assert without_release(one) == without_release(other)
