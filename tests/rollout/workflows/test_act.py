"""The workflows, run end to end on this machine with act; machine.py says what of it is real."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rollout import branches
from tests.rollout.fake_github import FakeGitHub
from tests.rollout.workflows import machine
from tests.rollout.workflows.machine import Machine, Ran

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("act"),
    pytest.mark.skipif(
        not machine.found() or not shutil.which("jq"),
        reason="act (or jq) is not installed here, so no workflow was run: make install-workflow-tools",
    ),
]
REPOSITORY = {"full_name": "example/groundwork", "default_branch": "main"}
# What a stranger's program would look for.
CURIOUS = """
import json, os, pathlib
pathlib.Path(os.environ["STUB_HELD"], "seen").write_text(json.dumps(dict(os.environ)))
"""


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub(token="ghs_never_to_be_seen") as running:
        yield running


@pytest.fixture
def here(tmp_path: Path, github: FakeGitHub) -> Machine:
    return Machine(tmp_path, github)


def pull_request(here: Machine, base: str, files: dict[str, str], fork: str = "") -> tuple[dict[str, Any], str]:
    """A pull request with a change, known to GitHub: its event, and its merge ref's commit."""
    head = here.commit("feature", files, start=base)
    merge = here.merge("feature", "merged", start=base)
    told = here.github.add_pull(
        head="feature", sha=head, base=base, base_sha=here.git("rev-parse", base), head_repository=fork or None
    )
    return {"action": "synchronize", "number": told["number"], "pull_request": told, "repository": REPOSITORY}, merge


def push(here: Machine, branch: str) -> dict[str, Any]:
    return {"ref": f"refs/heads/{branch}", "repository": REPOSITORY}


def test_a_pull_request_and_a_push_are_checked(here: Machine) -> None:
    event, merge = pull_request(here, "dev", {"notes": "one\n"}, fork="stranger/groundwork")
    for name, payload, at in (("pull_request", event, merge), ("push", push(here, "dev"), "dev")):
        ran = here.run(name, "check.yml", payload, at)
        assert (ran.code, ran.jobs) == (0, {"check": "success"}), ran.text
        assert "installed dev" in ran.text
        assert "ran make install-workflow-tools" in ran.text
        assert "ran make test 1" in ran.text  # all of the tests: ALL=1


def test_evidence_is_published_even_if_a_policy_is_broken_and_the_run_fails(here: Machine) -> None:
    for name in ("push", "schedule", "workflow_dispatch"):
        ran = here.run(name, "evidence.yml", push(here, "main"), "main")
        assert (ran.code, ran.jobs) == (0, {"judge": "success", "publish": "success"}), ran.text
    broken = here.commit("main", {"Makefile": machine.MAKEFILE + "\t@exit 1\n"})
    ran = here.run("push", "evidence.yml", push(here, "main"), broken)
    assert (ran.code, ran.jobs) == (1, {"judge": "failure", "publish": "success"}), ran.text
    shown = [row["with"] for row in here.log if row.get("action") == "github/codeql-action"]
    assert shown == [{"sarif_file": "evidence/results.sarif"}] * 4
    assert len((here.held / "signed").read_text().splitlines()) == 4


@pytest.mark.parametrize("ref", ["refs/heads/main2", "refs/tags/main", "refs/heads/prod/../dev", "refs/pull/1/merge"])
def test_a_deployment_of_anything_but_a_mapped_branch_stops_at_once(here: Machine, ref: str) -> None:
    # act knows no filter of branches: so this is what would stop it if GitHub's did not
    ran = here.run("push", "deploy.yml", push(here, "main") | {"ref": ref}, "main")
    assert ran.code == 1
    assert ran.jobs == {"resolve": "failure"}
    assert "changes no stack" in ran.text
    assert {row["job"] for row in here.log} == {"resolve"}


def test_a_load_test_is_of_staging_alone_and_takes_down_whatever_became_of_it(cloud: Machine) -> None:
    ran = cloud.run(
        "schedule", "loadtest.yml", push(cloud, "main"), "main"
    )  # nothing was deployed: it finds no address
    assert (ran.code, ran.jobs) == (1, {"resolve": "success", "load": "failure"}), ran.text
    assert roles(cloud) == {"load": "plan"}
    assert "groundwork:callers" in ran.text
    steps = ran.steps("load")
    assert steps["Where it answers, and what a caller may"] == "failure"
    assert (steps["Take down"], "Load test" in steps) == ("success", False)


def roles(here: Machine) -> dict[str, str]:
    """Job → whom it logged in as on AWS."""
    logins = [row for row in here.log if row.get("action") == "aws-actions/configure-aws-credentials"]
    return {row["job"]: row["with"]["role-to-assume"].rpartition("/")[2] for row in logins}


def records(here: Machine, stack: str) -> list[dict[str, Any]]:
    """The predicates of a stack's records on their branch, the oldest first."""
    names = here.git("ls-tree", "-r", "--name-only", "rollout-records", f"{stack}/").splitlines()
    found = [json.loads(here.git("show", f"rollout-records:{name}"))["predicate"] for name in sorted(names)]
    return sorted(found, key=lambda row: row["run"]["id"])


def comment(here: Machine, workflow: str, event: dict[str, Any]) -> dict[str, Any]:
    """What comment.yml is told after a preview has ended, whose artifacts GitHub now holds."""
    pull = event["pull_request"]
    same = {"head_sha": pull["head"]["sha"], "head_branch": pull["head"]["ref"]}
    run = here.github.add_run(workflow, **same, head_repository=pull["head"]["repo"]["full_name"])
    hold(here, run["id"])
    return {"action": "completed", "workflow_run": run, "repository": REPOSITORY}


def hold(here: Machine, run: int) -> None:
    """GitHub gets the artifacts that a run on the machine has left."""
    for folder in (here.held / "artifacts").iterdir():
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        here.github.add_artifact(run, folder.name, files)


def resized(here: Machine, stack: str) -> dict[str, str]:
    """A change of one stack's settings."""
    name = f"Pulumi.{stack}.yaml"
    return {name: (here.origin / name).read_text().replace('"1"', '"2"')}


VARIABLES = {
    "STATE_KEY": "awskms://alias/state",
    "AWS_REGION": "eu-west-1",
    "AWS_PLAN_ROLE": "arn:aws:iam::123456789012:role/plan",
    "AWS_APPLY_ROLE": "arn:aws:iam::123456789012:role/apply",
}


@pytest.fixture
def cloud(here: Machine) -> Machine:
    """A repository that knows where its state is kept, and whom to log in as on one cloud."""
    return with_a_cloud(here)


def with_a_cloud(here: Machine) -> Machine:
    here.variables = VARIABLES | {"STATE_URL": f"file://{here.held}/state"}
    (here.held / "state").mkdir(exist_ok=True)
    return here


@dataclass
class Life:
    """A change that went from a stranger's fork to prod: the machine after it, the pull request, and each run.

    environment: what the stranger's program saw of its own in the preview. kept: the artifacts of the first two runs.
    """

    machine: Machine
    pull: dict[str, Any]
    previewed: Ran
    environment: dict[str, str]
    commented: Ran
    kept: list[set[str]]
    deployed: list[Ran]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """Once for all tests that begin where it ends; they copy its machine."""
    with FakeGitHub(token="ghs_never_to_be_seen") as github:
        here = with_a_cloud(Machine(tmp_path_factory.mktemp("life"), github))
        files = {"__main__.py": machine.PROGRAM + CURIOUS, **resized(here, "dev")}
        event, merge = pull_request(here, "dev", files, fork="stranger/groundwork")
        pull = event["pull_request"]
        previewed, kept = here.run("pull_request", "preview.yml", event, merge), [here.artifacts()]
        environment = json.loads((here.held / "seen").read_text())
        commented = here.run("workflow_run", "comment.yml", comment(here, "preview.yml", event), "main")
        kept.append(here.artifacts())
        hold(here, github.add_run("comment.yml", event="workflow_run", head_branch="main")["id"])
        merged = here.merge("feature", "dev")
        pull |= {"state": "closed", "merged_at": "2026-11-21T20:30:00Z", "merge_commit_sha": merged}
        github.commits[merged] = [pull["number"]]
        deployed = [here.run("push", "deploy.yml", push(here, "dev"), "dev")]
        for branch in ("staging", "main"):
            event = push(here, branch)
            deployed.append(here.run("workflow_dispatch", "deploy.yml", event, branch, unreviewed="a try"))
        yield Life(here, pull, previewed, environment, commented, kept, deployed)


@pytest.fixture
def after(life: Life, tmp_path: Path, github: FakeGitHub) -> Machine:
    """The machine as it was after all is deployed, with a GitHub that has no issue yet."""
    return with_a_cloud(life.machine.copy(tmp_path / "copy", github))


def test_an_environment_takes_nothing_before_the_one_before_it_has_it(cloud: Machine) -> None:
    ran = cloud.run("workflow_dispatch", "deploy.yml", push(cloud, "main"), "main", unreviewed="a try")
    assert ran.code == 1
    assert "Deploy it first: push to staging" in ran.text
    assert ran.jobs == {"resolve": "success", "deploy": "failure"}
    assert not cloud.commands("pulumi")


def test_a_fork_s_pull_request_is_not_looked_at_in_the_cloud(cloud: Machine) -> None:
    event, merge = pull_request(cloud, "dev", resized(cloud, "dev"), fork="stranger/groundwork")
    ran = cloud.run("pull_request", "preview-cloud.yml", event, merge)
    assert (ran.code, ran.jobs) == (0, {})
    assert cloud.log == []


def test_a_colleague_s_pull_request_is_looked_at_in_the_cloud_by_who_can_only_read(cloud: Machine) -> None:
    event, merge = pull_request(cloud, "staging", resized(cloud, "staging"))
    ran = cloud.run("pull_request", "preview-cloud.yml", event, merge)
    assert (ran.code, ran.jobs) == (0, {"preview": "success"}), ran.text
    assert roles(cloud) == {"preview": "plan"}
    assert all(" -s staging" in words for words in cloud.commands("pulumi"))
    assert cloud.artifacts() == {"preview-cloud-staging"}


def test_a_preview_of_another_branch_is_refused_even_without_a_filter(cloud: Machine) -> None:
    event, merge = pull_request(cloud, "dev", resized(cloud, "dev"))
    event["pull_request"]["base"]["ref"] = "main2"
    ran = cloud.run("pull_request", "preview-cloud.yml", event, merge)
    assert (ran.code, ran.jobs) == (1, {"preview": "failure"})
    assert "changes no stack" in ran.text
    assert roles(cloud) == {}


def test_nothing_is_said_after_a_preview_of_something_else_than_a_pull_request(here: Machine) -> None:
    run = here.github.add_run("preview.yml", event="push")
    ran = here.run("workflow_run", "comment.yml", {"workflow_run": run, "repository": REPOSITORY}, "main")
    assert (ran.code, ran.jobs) == (0, {})


def test_a_preview_that_failed_is_said_to_have_and_nothing_counts_as_reviewed(here: Machine) -> None:
    event, merge = pull_request(here, "dev", {"__main__.py": "raise SystemExit('broken')\n"})
    ran = here.run("pull_request", "preview.yml", event, merge)
    told = comment(here, "preview.yml", event)
    told["workflow_run"]["conclusion"] = "success" if ran.code == 0 else "failure"
    ran = here.run("workflow_run", "comment.yml", told, "main")
    assert ran.code == 0, ran.text
    (written,) = here.github.comments[event["number"]]
    assert "fail" in written["body"].lower()


def test_a_stranger_s_fork_is_previewed_with_nothing_to_steal(life: Life) -> None:
    assert (life.previewed.code, life.previewed.jobs) == (0, {"preview": "success"}), life.previewed.text
    assert life.kept[0] == {"preview"}
    secrets = re.compile(r"ACTIONS_ID_TOKEN|AWS_(ACCESS|SECRET|SESSION|ROLE)|ARM_|PULUMI_BACKEND|STATE_KEY|GH_TOKEN")
    assert not [name for name in life.environment if secrets.match(name)]
    assert life.machine.github.token not in json.dumps(life.environment)


def test_what_a_stranger_s_fork_would_change_is_told_in_one_comment_and_kept_as_reviewed(life: Life) -> None:
    assert (life.commented.code, life.commented.jobs) == (0, {"comment": "success"}), life.commented.text
    (written,) = life.machine.github.comments[life.pull["number"]]
    assert "thing" in written["body"]
    assert life.kept[1] == {f"reviewed-{life.pull['head']['sha']}"}
    assert life.machine.github.token not in life.commented.text


def test_a_change_that_was_shown_and_merged_is_deployed_as_it_was_shown(life: Life) -> None:
    assert life.deployed[0].code == 0, life.deployed[0].text
    (kept,) = records(life.machine, "dev")
    assert kept["outcome"] == "succeeded"
    assert kept["commit"] == life.pull["merge_commit_sha"]
    assert (kept["reviewed"]["pullRequest"], kept["reviewed"]["head"]) == (
        life.pull["number"],
        life.pull["head"]["sha"],
    )


def test_an_image_is_built_once_and_goes_with_its_digest_from_branch_to_branch(life: Life) -> None:
    assert [ran.code for ran in life.deployed] == [0, 0, 0], life.deployed[-1].text
    assert [set(ran.jobs) for ran in life.deployed] == [
        {"resolve", "image", "deploy", "record"},
        {"resolve", "deploy", "record"},
        {"resolve", "deploy", "record"},
    ]
    kept = [records(life.machine, row.stack)[-1] for row in branches.read().rows]
    assert [row["outcome"] for row in kept] == ["succeeded"] * 3
    assert len({row["release"] for row in kept}) == 1
    assert [row["unreviewed"] for row in kept] == [None, "a try", "a try"]
    assert sum("buildx build" in words for words in life.machine.commands("docker")) == 1
    signed = [
        row["with"].get("predicate-type", "the image")
        for row in life.machine.log
        if row.get("action") == "actions/attest"
    ]
    assert signed == ["the image"] * 2 + ["https://example.com/groundwork/rollout-record/v1"] * 3


def test_a_deployment_logs_in_as_who_may_apply_and_names_the_machine_after_its_run(life: Life) -> None:
    assert roles(life.machine) == {"deploy": "apply"}
    assert [words.rpartition("-")[0] for words in life.machine.commands("sudo")] == [
        f"hostname run-{row['run']['id']}"
        for stack in ("dev", "staging", "prod")
        for row in records(life.machine, stack)
    ]


def test_a_push_that_no_pull_request_showed_is_stopped_recorded_and_lets_go_of_its_own_lock_alone(
    after: Machine,
) -> None:
    locks = after.held / "state/.pulumi/locks/organization/small"
    own = f"run-{9001 + after.runs}-1"
    (locks / "staging").mkdir(parents=True)
    (after.held / "state/.pulumi/meta.yaml").write_text("version: 1\n")
    for host in (own, "run-9000-1", "laptop"):
        held = {"pid": 7, "username": "runner", "hostname": host, "timestamp": "2026-11-21T20:00:00Z"}
        (locks / "staging" / f"{host}.json").write_text(json.dumps(held))
    for branch, stack in (("staging", "staging"), ("main", "prod")):
        ran = after.run("push", "deploy.yml", push(after, branch), branch)
        assert (ran.code, ran.jobs) == (1, {"resolve": "success", "deploy": "failure", "record": "success"}), ran.text
        kept = records(after, stack)[-1]
        (failed,) = [step for step in kept["steps"] if step["outcome"] == "failed"]
        assert kept["outcome"] == "stopped"
        assert "pushed without a pull request" in failed["detail"]
    assert sorted(path.stem for path in (locks / "staging").iterdir()) == ["laptop", "run-9000-1"]


def test_a_second_deployment_of_a_commit_builds_nothing_and_changes_nothing(after: Machine) -> None:
    ran = after.run("workflow_dispatch", "deploy.yml", push(after, "dev"), "dev", unreviewed="again")
    assert ran.code == 0, ran.text
    first, second = records(after, "dev")
    assert first["release"] == second["release"]
    assert sum("buildx build" in words for words in after.commands("docker")) == 1
    assert {step["name"]: step["detail"] for step in second["steps"]}["preview"] == "0 changes"


def test_a_record_that_no_run_signed_lets_nothing_through(after: Machine) -> None:
    after.git("switch", "--quiet", "rollout-records")
    (path,) = (after.origin / "dev").iterdir()
    forged = path.read_text().replace(records(after, "dev")[0]["release"], "sha256:" + "e" * 64)
    after.commit("rollout-records", {f"dev/{path.name}": forged})
    before = len(after.log)
    ran = after.run("workflow_dispatch", "deploy.yml", push(after, "staging"), "staging", unreviewed="a try")
    assert ran.code == 1
    assert "Nobody vouches for the record" in ran.text
    assert not [row for row in after.log[before:] if row.get("command") in {"pulumi", "sudo"}]


def test_drift_is_told_in_one_issue_and_the_issue_is_closed_when_it_is_gone(after: Machine) -> None:
    (state,) = (after.held / "localcloud").rglob("staging.json")
    whole = state.read_text()
    state.write_text(whole.replace('"size": "1"', '"size": "7"'))
    drifted = state.read_bytes()
    assert drifted != whole.encode()
    ran = after.run("schedule", "drift.yml", push(after, "main"), "main")
    assert ran.jobs == {"resolve": "success", "drift": "failure", "issue": "success"}, ran.text
    assert [row["state"] for row in after.github.issues] == ["open"]
    assert "`staging`: 1 resource" in after.github.issues[0]["body"]
    assert state.read_bytes() == drifted
    assert after.artifacts() == {"drift-dev", "drift-staging", "drift-prod"}
    state.write_text(whole)
    ran = after.run("workflow_dispatch", "drift.yml", push(after, "main"), "main")
    assert (ran.code, [row["state"] for row in after.github.issues]) == (0, ["closed"]), ran.text
    assert roles(after)["drift"] == "plan"
