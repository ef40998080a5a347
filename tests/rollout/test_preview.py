"""The preview of a change: two work trees, each with a program and policies of its own, and what is written of them."""

import argparse
import io
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rollout import artifact, engine, plans, preview, preview_cloud
from rollout.errors import RolloutError
from rollout.redact import HIDDEN, Redactor
from tests.plans.plans import ROOT
from tests.rollout.plan_documents import HEAD, plan, resource
from tests.rollout.test_redact import AWS_KEY, GITHUB
from tests.rollout.test_risk import BUCKET, finding

# What a side's own code does, without the SDKs: it prints the plan of a file, or fails as a program does.
PLANNER = """
import pathlib, sys
stack = sys.argv[sys.argv.index("-s") + 1]
file = pathlib.Path(__file__).parent.parent / f"{stack}.plan.json"
if not file.exists():
    sys.exit(f"error: {stack} has no region. Set it with PLANTED.")
print(file.read_text())
"""
JUDGE = """
import json, pathlib, sys
here, out = pathlib.Path(__file__).parent, pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
if (here / "broken").exists():
    sys.exit("error: Checkov is not installed.")
plans = [json.loads(pathlib.Path(name).read_text()) for name in sys.argv[2:sys.argv.index("--out")]]
seen = [row["inputs"].get("password") for plan in plans for row in plan["resources"]]
rules = json.loads((here / "rules.json").read_text())
counts = {"fail": len(rules["findings"]), "undetermined": 0, "waived": 0, "pass": 1}
stacks = [
    {"project": "demo", "stack": plan["stack"], "resources": 1, "counts": counts, "notAssessed": 2} for plan in plans
]
findings = [
    {**row, "stack": plan["stack"], "message": row["message"] + str(seen)}
    for plan in plans
    for row in rules["findings"]
]
out.mkdir(parents=True)
(out / "results.json").write_text(json.dumps({**rules, "stacks": stacks, "findings": findings}))
"""


class Tree:
    """A work tree in git with stacks whose plans are given."""

    def __init__(self, directory: Path, **stacks: Any) -> None:
        self.directory = directory
        for name, module in (("localcloud", PLANNER), ("policies", JUDGE)):
            (directory / name).mkdir(parents=True)
            (directory / name / "__init__.py").touch()
            (directory / name / "__main__.py").write_text(module)
        self.rules([])
        for stack, document in stacks.items():
            self.stack(stack, document)
        self.git("init", "-q", "-b", "main")
        self.commit()

    def stack(self, stack: str, document: dict[str, Any] | None) -> None:
        (self.directory / f"Pulumi.{stack}.yaml").touch()
        if document is not None:
            moved = json.dumps(document).replace(HEAD, HEAD.replace(":dev:", f":{stack}:"))
            content = json.dumps({**json.loads(moved), "stack": stack})
            (self.directory / f"{stack}.plan.json").write_text(content)

    def rules(self, findings: list[dict[str, Any]], **more: Any) -> None:
        policy = {"id": "GW-1", "tool": "t", "title": "T", "severity": "high", "level": "mandatory", "mend": "Mend it."}
        document = {"errors": [], "policies": [policy], "findings": findings, **more}
        (self.directory / "policies" / "rules.json").write_text(json.dumps(document))

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("-c", "user.name=x", "-c", "user.email=x@x.example", "commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def git(self, *words: str) -> str:
        command = ["git", "-C", str(self.directory), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def run(tmp_path: Path, head: Tree, base: Tree, *words: str) -> int:
    parser = argparse.ArgumentParser()
    preview.arguments(parser)
    places = ["--base", str(base.directory), "--out", str(tmp_path / "out"), "-C", str(head.directory)]
    return preview.run(parser.parse_args([*places, *words]))


def written(tmp_path: Path) -> dict[str, Any]:
    """Every file that was written, by its name."""
    out = tmp_path / "out"
    return {path.relative_to(out).as_posix(): json.loads(path.read_text()) for path in out.rglob("*.json")}


def read(tmp_path: Path) -> artifact.Preview:
    """What was written as its reader, who believes nothing of it, takes it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for path in (tmp_path / "out").rglob("*.json"):
            packed.write(path, path.relative_to(tmp_path / "out"))
    return artifact.read(archive.getvalue())


DATA = plan(resource(BUCKET, "data", {"bucket": "data"}))
OTHER = plan(resource(BUCKET, "data", {"bucket": "other"}))


def test_the_stacks_that_differ_are_written_whole_and_the_rest_as_digests(tmp_path: Path) -> None:
    head, base = Tree(tmp_path / "head", dev=OTHER, prod=DATA), Tree(tmp_path / "base", dev=DATA, prod=DATA)
    assert run(tmp_path, head, base) == 0
    files = written(tmp_path)
    both = {f"{folder}/dev.{side}.json" for folder in ("plans", "policies") for side in ("base", "head")}
    assert set(files) == {"preview.json", *both}
    rows = {row["stack"]: row for row in files["preview.json"]["stacks"]}
    assert rows["prod"]["head"] == rows["prod"]["base"]
    assert rows["dev"]["head"] == {"sha256": plans.digest(files["plans/dev.head.json"])}
    found = read(tmp_path)
    assert [name for name, row in found.stacks.items() if row.touched] == ["dev"]
    assert found.failures == ()


def test_a_stack_that_one_side_has_alone_is_new_or_removed(tmp_path: Path) -> None:
    assert run(tmp_path, Tree(tmp_path / "head", dev=DATA), Tree(tmp_path / "base", prod=DATA)) == 0
    found = read(tmp_path).stacks
    assert found["dev"].base_digest is None
    assert found["prod"].head_digest is None


def test_only_a_stack_that_is_named_is_previewed(tmp_path: Path) -> None:
    head = Tree(tmp_path / "head", dev=DATA, prod=DATA)
    assert run(tmp_path, head, Tree(tmp_path / "base", dev=DATA, prod=DATA), "-s", "dev") == 0
    assert list(read(tmp_path).stacks) == ["dev"]


def test_the_commits_are_those_of_the_two_sides(tmp_path: Path) -> None:
    head, base = Tree(tmp_path / "head", dev=DATA), Tree(tmp_path / "base", dev=DATA)
    run(tmp_path, head, base)
    found = written(tmp_path)["preview.json"]
    assert (found["head"], found["base"]) == (head.git("rev-parse", "HEAD"), base.git("rev-parse", "HEAD"))


def test_of_a_merge_into_the_base_the_head_is_what_was_merged(tmp_path: Path) -> None:
    head = Tree(tmp_path / "head", dev=DATA)
    first = head.git("rev-parse", "HEAD")
    head.git("checkout", "-q", "-b", "change")
    change = head.commit()
    head.git("checkout", "-q", "main")
    head.git("-c", "user.name=x", "-c", "user.email=x@x.example", "merge", "-q", "--no-ff", "-m", "x", "change")
    head.git("worktree", "add", "-q", "--detach", str(tmp_path / "base"), first)
    assert preview.head_commit(head.directory, tmp_path / "base") == change


def test_a_stack_that_cannot_be_planned_with_the_change_fails_and_says_why(tmp_path: Path, capsys: Any) -> None:
    head, base = Tree(tmp_path / "head", dev=None, prod=OTHER), Tree(tmp_path / "base", dev=DATA, prod=DATA)
    assert run(tmp_path, head, base) == 1
    found = read(tmp_path)
    assert [(row.stack, row.side, row.message) for row in found.failures] == [
        ("dev", "head", "error: dev has no region. Set it with PLANTED.")
    ]
    assert list(found.stacks) == ["prod"]
    assert "dev: cannot be planned with the change: error: dev has no region." in capsys.readouterr().out


def test_a_base_that_cannot_be_planned_is_told_and_is_no_failure_of_the_change(tmp_path: Path) -> None:
    assert run(tmp_path, Tree(tmp_path / "head", dev=DATA), Tree(tmp_path / "base", dev=None)) == 0
    found = read(tmp_path)
    assert [(row.stack, row.side) for row in found.failures] == [("dev", "base")]
    assert found.stacks["dev"].base_digest is None
    assert found.stacks["dev"].touched


def test_what_is_printed_as_a_plan_and_is_none_is_a_failure(tmp_path: Path) -> None:
    head = Tree(tmp_path / "head", dev=DATA)
    (head.directory / "dev.plan.json").write_text('{"version": 2}')
    assert run(tmp_path, head, Tree(tmp_path / "base", dev=DATA)) == 1
    assert "The head plan of dev is no plan" in read(tmp_path).failures[0].message


def row(**more: Any) -> dict[str, Any]:
    return finding(urn=f"{HEAD}{BUCKET}::data", message="It has ", **more)


def findings_of(tmp_path: Path) -> tuple[Any, Any]:
    """The findings about `dev`, of base and head."""
    found = read(tmp_path).stacks["dev"]
    return found.base_findings, found.head_findings


def test_each_side_is_judged_by_its_own_policies(tmp_path: Path) -> None:
    head, base = Tree(tmp_path / "head", dev=OTHER), Tree(tmp_path / "base", dev=DATA)
    head.rules([row()])
    run(tmp_path, head, base)
    base_found, head_found = findings_of(tmp_path)
    assert base_found["findings"] == []
    assert [each["policy"] for each in head_found["findings"]] == ["GW-1"]
    assert head_found["policies"]["GW-1"]["severity"] == "high"
    assert head_found["levels"] == {"GW-1": "mandatory"}
    assert not head_found["passed"]


def test_another_rule_touches_a_stack_whose_plan_stays(tmp_path: Path) -> None:
    head, base = Tree(tmp_path / "head", dev=DATA, prod=DATA), Tree(tmp_path / "base", dev=DATA, prod=DATA)
    head.rules([row()])
    assert run(tmp_path, head, base) == 0
    assert all(each.touched for each in read(tmp_path).stacks.values())


def test_policies_that_cannot_look_are_findings_without_an_answer(tmp_path: Path) -> None:
    head, base = Tree(tmp_path / "head", dev=OTHER), Tree(tmp_path / "base", dev=DATA)
    (head.directory / "policies" / "broken").touch()
    assert run(tmp_path, head, base) == 0
    _, found = findings_of(tmp_path)
    assert (found["passed"], found["errors"]) == (False, ["error: Checkov is not installed."])


def test_more_findings_than_are_read_are_cut_and_counted(tmp_path: Path) -> None:
    many = [row(fingerprint=f"{number:032x}") for number in range(preview.MOST_FINDINGS + 7)]
    head, base = Tree(tmp_path / "head", dev=OTHER), Tree(tmp_path / "base", dev=DATA)
    head.rules(many)
    run(tmp_path, head, base)
    _, found = findings_of(tmp_path)
    assert (len(found["findings"]), found["omitted"]) == (preview.MOST_FINDINGS, 7)


def test_no_secret_is_written_and_policies_see_what_the_program_made(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "known-to-the-runner")
    secrets = {"password": "plain-and-long", "note": f"{AWS_KEY} known-to-the-runner", "copy": ["plain-and-long"]}
    made = plan(resource(BUCKET, "data", secrets))
    head, base = Tree(tmp_path / "head", dev=made), Tree(tmp_path / "base", dev=DATA)
    head.rules([row(waiver=None)], errors=[f"It says {GITHUB}."])
    base.stack("prod", None)
    planner = base.directory / "localcloud" / "__main__.py"
    planner.write_text(planner.read_text().replace("PLANTED", AWS_KEY))
    run(tmp_path, head, base)
    text = json.dumps(written(tmp_path))
    assert "It has [None, '[secret]']" in text.replace("\\", "")  # what the policies saw, redacted afterwards
    for secret in ("plain-and-long", "known-to-the-runner", AWS_KEY, GITHUB):
        assert secret not in text
    assert HIDDEN in text
    assert read(tmp_path).stacks["dev"].touched


def test_the_scanners_of_this_work_tree_serve_the_other(tmp_path: Path, monkeypatch: Any) -> None:
    head, base = Tree(tmp_path / "head", dev=OTHER), Tree(tmp_path / "base", dev=DATA)
    (head.directory / preview.SCANNERS).mkdir()
    monkeypatch.chdir(head.directory)
    run(tmp_path, head, base)
    assert (base.directory / preview.SCANNERS).resolve() == head.directory / preview.SCANNERS


def test_a_preview_takes_the_place_of_an_older_one_and_of_nothing_else(tmp_path: Path) -> None:
    head, base = Tree(tmp_path / "head", dev=OTHER), Tree(tmp_path / "base", dev=DATA)
    run(tmp_path, head, base)
    base.stack("dev", OTHER)
    run(tmp_path, head, base)
    assert sorted(written(tmp_path)) == ["preview.json"]
    (tmp_path / "out" / "preview.json").unlink()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(RolloutError, match="no preview"):
        run(tmp_path, head, base)


@pytest.mark.parametrize("missing", ["head", "base"])
def test_a_directory_that_is_not_there_is_told(tmp_path: Path, missing: str) -> None:
    trees = {name: Tree(tmp_path / name, dev=DATA) for name in ("head", "base")}
    trees[missing].directory = tmp_path / "nowhere"
    with pytest.raises(RolloutError, match="is no directory"):
        run(tmp_path, trees["head"], trees["base"])


def test_no_stack_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match="Neither side has a stack"):
        run(tmp_path, Tree(tmp_path / "head"), Tree(tmp_path / "base"))


@pytest.mark.parametrize("name", ["preview", "findings", "preview-cloud"])
def test_a_schema_is_one_and_closed(name: str) -> None:
    schema = json.loads((ROOT / "rollout" / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False


# --- in the cloud ---

TOPIC = "aws:sns/topic:Topic"
STATE = {"type": BUCKET}
DIGEST = {
    "steps": [
        {"op": "same", "urn": f"{HEAD}{BUCKET}::same"},
        {
            "op": "update",
            "urn": f"{HEAD}{TOPIC}::t",
            "newState": {"type": TOPIC, "inputs": {"x": AWS_KEY}},
            "detailedDiff": {"tags.owner": {"kind": "update"}},
        },
        {
            "op": "replace",
            "urn": f"{HEAD}{BUCKET}::data",
            "newState": STATE,
            "replaceReasons": ["bucket"],
            "detailedDiff": {"bucket": {"kind": "update-replace"}},
        },
        {"op": "create-replacement", "urn": f"{HEAD}{BUCKET}::data", "newState": STATE},
        {"op": "delete", "urn": f"{HEAD}demo:index:Part${BUCKET}::gone", "oldState": {}},
    ],
    "changeSummary": {"same": 1, "update": 1, "replace": 1, "delete": 1},
}


def reduced(digest: Any = DIGEST) -> preview_cloud.CloudPreview:
    return preview_cloud.reduce(digest, "dev", "a" * 40, "sha256:" + "0" * 64, Redactor((), {}))


def test_of_a_preview_in_the_cloud_operations_names_and_paths_are_kept() -> None:
    found = reduced()
    assert found.changes == {"delete": 1, "replace": 1, "update": 1}
    assert [(step.op, step.type, step.name, step.changed, step.replacing) for step in found.steps] == [
        ("delete", BUCKET, "gone", (), ()),
        ("replace", BUCKET, "data", ("bucket",), ("bucket",)),
        ("update", "aws:sns/topic:Topic", "t", ("tags.owner",), ()),
    ]
    assert AWS_KEY not in json.dumps(found.document())
    assert preview_cloud.CloudPreview.parse(found.document()) == found


def test_what_would_be_lost_in_the_cloud_stands_above_the_fold() -> None:
    lines = reduced().markdown(Redactor((), {}))
    above, below = "\n".join(lines).split("<details>")
    assert "- delete `aws:s3:Bucket gone`. It holds objects." in above
    assert "- replace `aws:s3:Bucket data`: `bucket`. It holds objects." in above
    assert "- update `aws:sns:Topic t`: `tags.owner`" in below


def test_a_cloud_that_is_as_it_should_be_is_one_line() -> None:
    assert reduced({"steps": [], "changeSummary": {}}).markdown(Redactor((), {})) == [
        "**In the cloud**, <code>dev</code> is as this change wants it: nothing would change."
    ]


def test_more_steps_than_are_read_are_cut_and_counted() -> None:
    steps = [{"op": "create", "urn": f"{HEAD}{BUCKET}::{number}"} for number in range(510)]
    found = reduced({"steps": steps})
    assert (len(found.steps), found.omitted, found.changes) == (500, 10, {"create": 510})
    gone = {"op": "delete", "urn": f"{HEAD}{BUCKET}::gone", "oldState": {"type": BUCKET}}
    lines = reduced({"steps": [gone, *steps]}).markdown(Redactor((), {}))
    named = sum(line.startswith(("- create", "- delete")) for line in lines)
    assert f"- … and {511 - named} more" in lines


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"more": 1}, {"stack": "../x"}, {"changes": {"delete": -1}}, {"steps": [{}]}, {"release": "x"}],
)
def test_what_is_no_preview_of_the_cloud_is_refused_without_quoting_it(change: dict[str, Any]) -> None:
    with pytest.raises(RolloutError, match=r"preview-cloud\.schema\.json") as refused:
        preview_cloud.CloudPreview.parse({**reduced().document(), **change})
    assert "../x" not in str(refused.value)


def test_the_release_that_runs_is_the_one_that_most_images_name() -> None:
    one, other = ("sha256:" + digit * 64 for digit in "12")
    state = f'"image": "x@{one}", "other": "y@{other}", "again": "z@{one}"'.encode()
    assert preview_cloud.running(state) == one
    assert preview_cloud.running(b"") == ""


def test_the_release_of_the_settings_is_read_or_missed(tmp_path: Path) -> None:
    assert preview_cloud.pinned(ROOT, "dev").startswith("sha256:")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {groundwork:release: latest}")
    for stack in ("dev", "prod"):
        with pytest.raises(RolloutError):
            preview_cloud.pinned(tmp_path, stack)


class StandIn:
    """In place of an engine: a state in which a release runs, and a digest."""

    def __init__(self, release: str) -> None:
        self.release = release

    def state(self) -> bytes:
        return b'"image": "app@sha256:' + b"2" * 64 + b'"'

    def preview(self) -> dict[str, Any]:
        return DIGEST


def test_the_command_writes_the_file_and_a_summary_for_the_release_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def made(_directory: Path, release: str) -> StandIn:
        asked.append(release)
        return StandIn(release)

    monkeypatch.setattr(engine, "engines", lambda _options, _redactor: made)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    parser = argparse.ArgumentParser()
    preview_cloud.arguments(parser)
    words = ["--stack", "dev", "--out", str(tmp_path / "out"), "-C", str(ROOT)]
    assert preview_cloud.run(parser.parse_args(words)) == 0
    assert asked[-1] == "sha256:" + "2" * 64
    document = json.loads((tmp_path / "out" / preview_cloud.FILE).read_text())
    assert preview_cloud.CloudPreview.parse(document).release == asked[-1]
    assert "It holds objects." in (tmp_path / "summary.md").read_text()
    assert capsys.readouterr().out == "dev: 1 to delete, 1 to replace, 1 to update.\n"
