"""A deployment step by step: its outcomes, its way back, and its record, whatever fails. Engine and cloud are fakes."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rollout import __main__ as cli
from rollout import branches, deploy, deployment, judging, plans, record, review, worktree
from rollout.deployment import STEPS, Deployment, Step
from rollout.engine import ENGINES, Engine
from rollout.errors import RolloutError
from rollout.github import Api
from rollout.redact import Redactor
from tests.rollout.fake_github import FakeGitHub
from tests.rollout.records import keep

ROW = branches.Branch("dev", "dev", "dev", ())
NEW, OLD = f"sha256:{'2' * 64}", f"sha256:{'1' * 64}"
PLAN = {
    "version": 1,
    "project": "demo",
    "stack": "dev",
    "config": {"groundwork:release": NEW},
    "resources": [],
    "outputs": {},
    "synthetic": [],
}
VERDICT = judging.Verdict(True, {"fail": 0, "undetermined": 0, "waived": 1, "pass": 3}, "e" * 64)


@dataclass
class World:
    """A cloud that runs one release of one commit. `fail`: what raises which error when it is done next."""

    repository: Path
    running: str = ""
    fail: dict[str, BaseException] = field(default_factory=dict)
    unsettled: bool = False  # whether another preview would change things again
    calls: list[str] = field(default_factory=list)

    def do(self, what: str) -> None:
        self.calls.append(what)
        if what in self.fail:
            raise self.fail.pop(what)


class FakeEngine:
    """An engine over the world. What it brings up is what stands in the directory's file `size`, and the release."""

    dialect = ENGINES["localcloud"]

    def __init__(self, world: World, directory: Path, release: str) -> None:
        self.world, self.directory, self.release, self.stack = world, directory, release, "dev"

    @property
    def _wanted(self) -> str:
        return f"{(self.directory / 'size').read_text().strip()} {self.release[7:11]}"

    def select(self) -> None:
        self.world.do("select")

    def plan(self) -> dict[str, Any]:
        self.world.do("plan")
        return PLAN | {"outputs": {"size": (self.directory / "size").read_text()}}

    def preview(self) -> dict[str, Any]:
        self.world.do("preview")
        differs = self.world.unsettled or self.world.running != self._wanted
        return {"changeSummary": {"same": 1, "update": int(differs)}, "steps": [{"op": "update", "urn": "a::b::c::d"}]}

    def up(self, targets: Sequence[str] = ()) -> None:
        self.world.running = "half"
        self.world.do(f"up {self._wanted}")
        self.world.running = self._wanted

    def outputs(self) -> dict[str, Any]:
        return {}

    def state(self) -> bytes:
        self.world.do("state")
        return self.world.running.encode()

    def install(self) -> None:
        self.world.do("install")


def git(directory: Path, *words: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    names = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = subprocess.run(
        ["git", "-C", str(directory), *names, *words], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(directory: Path, size: str) -> str:
    (directory / "size").write_text(size)
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "-m", f"Size {size}")
    return git(directory, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of two commits."""
    repository = tmp_path_factory.mktemp("template") / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet")
    (repository / "Pulumi.dev.yaml").touch()
    (repository / ".gitignore").write_text(".localcloud\n")
    commit(repository, "small")
    commit(repository, "large")
    return repository


@pytest.fixture
def world(template: Path, tmp_path: Path) -> World:
    """The first commit was deployed."""
    repository = tmp_path / "repository"
    shutil.copytree(template, repository)
    keep(tmp_path / "records", commit=git(repository, "rev-parse", "HEAD^"), release=OLD)
    return World(repository, running="small 1111")


@pytest.fixture
def this(world: World, tmp_path: Path) -> Deployment:
    return Deployment(
        row=ROW,
        directory=world.repository,
        commit=worktree.commit(world.repository),
        release=NEW,
        engine=lambda directory, release: FakeEngine(world, directory, release),  # type: ignore[arg-type,return-value] # as much of an engine as is asked
        records=tmp_path / "records",
        verify=lambda _found: None,
        judge=lambda _plan: VERDICT,
        smoke=lambda engine: world.do("smoke") or f"{engine.release[7:11]} serves",  # type: ignore[func-returns-value] # done for its effect
        reviewed=None,
        unreviewed="a try",
        clock=lambda: 1.0,
    )


def outcomes(predicate: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["outcome"] for row in predicate["steps"]}


def detail(predicate: dict[str, Any], name: str) -> str:
    return str(next(row["detail"] for row in predicate["steps"] if row["name"] == name))


def quiet(_line: str) -> None:
    pass


def test_a_deployment_takes_all_steps_and_says_so(this: Deployment, world: World) -> None:
    said: list[str] = []
    predicate = deployment.deploy(this, said.append)
    record.statement(predicate)
    assert predicate["outcome"] == "succeeded"
    assert set(outcomes(predicate).values()) == {"succeeded"}
    assert list(outcomes(predicate)) == [step.name for step in STEPS]
    assert world.running == "large 2222"
    assert predicate["plan"] == {"sha256": plans.digest(PLAN | {"outputs": {"size": "large"}})}
    assert predicate["state"]["before"] != predicate["state"]["after"]
    assert (predicate["unreviewed"], predicate["reviewed"]) == ("a try", None)
    assert predicate["policy"]["counts"]["pass"] == 3
    assert detail(predicate, "second preview") == "0 changes"
    assert len(said) == len(STEPS)


def test_a_second_deployment_has_nothing_to_change(this: Deployment, world: World) -> None:
    world.running = "large 2222"
    predicate = deployment.deploy(this, quiet)
    assert predicate["outcome"] == "succeeded"
    assert detail(predicate, "preview") == "0 changes"
    assert predicate["state"]["before"] == predicate["state"]["after"]


BEFORE = ("records", "plan", "review", "policies", "state", "preview")
AFTER = ("images", "up", "smoke", "second preview")


def failing(name: str, error: BaseException, *, changed: bool) -> tuple[Step, ...]:
    """The steps, of which one fails."""

    def fail(this: Deployment) -> str:
        this.changed = this.changed or changed
        raise error

    return tuple(Step(step.name, fail) if step.name == name else step for step in STEPS)


@pytest.mark.parametrize("error", [RolloutError("it failed"), ZeroDivisionError("it failed"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", BEFORE)
def test_what_fails_before_the_first_change_stops(
    this: Deployment, world: World, monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException
) -> None:
    monkeypatch.setattr(deployment, "STEPS", failing(name, error, changed=False))
    predicate = deployment.deploy(this, quiet)
    record.statement(predicate)
    assert predicate["outcome"] == "stopped"
    assert predicate["rolledBackTo"] is None
    found = outcomes(predicate)
    order = [step.name for step in STEPS]
    assert [found[step] for step in order[: order.index(name)]] == ["succeeded"] * order.index(name)
    assert found[name] == "failed"
    assert {found[step] for step in order[order.index(name) + 1 :]} == {"skipped"}
    assert world.running == "small 1111"
    assert not [call for call in world.calls if call.startswith("up")]


@pytest.mark.parametrize("error", [RolloutError("it failed"), ZeroDivisionError("it failed")])
@pytest.mark.parametrize("name", AFTER)
def test_what_fails_after_the_first_change_is_rolled_back(
    this: Deployment, world: World, monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException
) -> None:
    monkeypatch.setattr(deployment, "STEPS", failing(name, error, changed=True))
    predicate = deployment.deploy(this, quiet)
    record.statement(predicate)
    assert predicate["outcome"] == "rolled back"
    assert this.last is not None
    assert predicate["rolledBackTo"] == {"commit": this.last.commit, "release": OLD}
    assert world.running == "small 1111"
    assert outcomes(predicate)[name] == "failed"
    assert "it failed" in detail(predicate, name)
    assert [name for name in outcomes(predicate) if name.startswith("roll back")] == [
        "roll back: files",
        "roll back: up",
        "roll back: smoke",
    ]
    assert git(world.repository, "worktree", "list").count("\n") == 0
    assert world.calls[-4:] == ["install", "up small 1111", "smoke", "state"]


@pytest.mark.parametrize("name", AFTER)
def test_an_interruption_after_the_first_change_is_a_failure_without_a_way_back(
    this: Deployment, world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(deployment, "STEPS", failing(name, KeyboardInterrupt(), changed=True))
    predicate = deployment.deploy(this, quiet)
    record.statement(predicate)
    assert predicate["outcome"] == "failed"
    assert "interrupted" in detail(predicate, name)
    assert not [step for step in outcomes(predicate) if step.startswith("roll back")]


@pytest.mark.parametrize("what", ["install", "up small 1111", "smoke"])
def test_a_way_back_that_fails_is_told(this: Deployment, world: World, what: str) -> None:
    world.fail["up large 2222"] = RolloutError("no capacity")
    world.fail[what] = RolloutError("nor back")
    predicate = deployment.deploy(this, quiet)
    record.statement(predicate)
    assert (predicate["outcome"], predicate["rolledBackTo"]) == ("failed", None)
    assert "nor back" in json.dumps(predicate["steps"])


def test_a_first_deployment_that_fails_has_nothing_to_go_back_to(this: Deployment, world: World) -> None:
    this.records = this.records / "none"
    world.fail["smoke"] = RolloutError("it does not serve")
    predicate = deployment.deploy(this, quiet)
    record.statement(predicate)
    assert predicate["outcome"] == "failed"
    assert "there is nothing to go back to" in detail(predicate, "roll back")


def test_a_first_deployment_that_only_stops_has_changed_nothing(this: Deployment) -> None:
    this.records = this.records / "none"
    this.judge = lambda _plan: judging.Verdict(False, VERDICT.counts, "e" * 64, why="a bucket is public")
    predicate = deployment.deploy(this, quiet)
    record.statement(predicate)
    assert predicate["outcome"] == "stopped"
    assert "a bucket is public" in detail(predicate, "policies")
    assert predicate["policy"]["passed"] is False


def test_a_second_preview_that_would_change_things_again_rolls_back(this: Deployment, world: World) -> None:
    world.unsettled = True
    predicate = deployment.deploy(this, quiet)
    assert predicate["outcome"] == "rolled back"
    assert "would change things again (1 to update): d" in detail(predicate, "second preview")


def test_a_commit_that_is_not_in_the_clone_cannot_be_gone_back_to(this: Deployment, world: World) -> None:
    keep(this.records, commit="f" * 40, began="2026-11-22T20:30:00Z")
    world.fail["smoke"] = RolloutError("it does not serve")
    predicate = deployment.deploy(this, quiet)
    assert predicate["outcome"] == "failed"
    assert "fetch-depth: 0" in detail(predicate, "roll back: files")


# Review


def reviewed(this: Deployment, **changed: Any) -> review.Review:
    base = git(this.directory, "rev-parse", "HEAD^")
    digests = {size: plans.digest(PLAN | {"outputs": {"size": size}}) for size in ("large", "small")}
    stacks = {"dev": {"head": digests["large"], "base": digests["small"], **changed}}
    return review.Review(7, "d" * 40, base, stacks)


def test_a_plan_that_was_shown_is_applied(this: Deployment) -> None:
    this.reviewed = lambda: reviewed(this)
    this.approvers = lambda: ["someone", "some\x1bone"]
    predicate = deployment.deploy(this, quiet)
    record.statement(predicate)
    assert predicate["outcome"] == "succeeded"
    assert predicate["reviewed"] == {"pullRequest": 7, "head": "d" * 40, "sha256": predicate["plan"]["sha256"]}
    assert predicate["unreviewed"] is None
    assert predicate["approvers"] == ["someone", "some?one"]
    assert git(this.directory, "worktree", "list").count("\n") == 0


def test_a_secret_is_in_no_digest_as_the_preview_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = {**PLAN, "outputs": {"password": "first", "size": "europe-west1"}}
    other = {**PLAN, "outputs": {"password": "second", "size": "europe-west1"}}
    shown = deployment.shown_digest(plan)
    assert shown == deployment.shown_digest(other) == deployment.shown_digest(Redactor().plan(plan))
    monkeypatch.setenv("MY_TOKEN", "europe-west1")  # what a machine happens to know changes no digest
    assert deployment.shown_digest(plan) == shown


@pytest.mark.parametrize("changed", [{"head": "0" * 64}, {"base": "0" * 64}, {"base": None}])
def test_a_plan_that_differs_from_the_reviewed_one_stops(this: Deployment, world: World, changed: Any) -> None:
    this.reviewed = lambda: reviewed(this, **changed)
    predicate = deployment.deploy(this, quiet)
    record.statement(predicate)
    assert predicate["outcome"] == "stopped"
    assert predicate["reviewed"] is None
    assert "Have it reviewed again" in detail(predicate, "review")
    assert world.running == "small 1111"


def test_an_older_commit_that_a_stranger_names_as_the_base_stops(this: Deployment, world: World) -> None:
    large = plans.digest(PLAN | {"outputs": {"size": "large"}})
    oldest = git(this.directory, "rev-parse", "HEAD")  # its true plan, but not what the branch had before
    stacks = {"dev": {"head": large, "base": large}}
    this.reviewed = lambda: review.Review(7, "d" * 40, oldest, stacks)
    predicate = deployment.deploy(this, quiet)
    assert predicate["outcome"] == "stopped"
    assert "had before the merge" in detail(predicate, "review")
    assert world.running == "small 1111"


# What is written down


def test_before_each_step_a_record_is_kept_that_holds_if_the_process_is_killed(this: Deployment) -> None:
    kept: list[dict[str, Any]] = []
    this.keep = lambda predicate: kept.append(json.loads(json.dumps(predicate)))
    deployment.deploy(this, quiet)
    assert len(kept) == len(STEPS)
    for step, predicate in zip(STEPS, kept, strict=True):
        record.statement(predicate)
        assert predicate["steps"][-1]["name"] == step.name
        assert predicate["outcome"] == ("stopped" if step.name in BEFORE else "failed")


def test_a_deployment_whose_record_cannot_be_written_stops(this: Deployment, world: World, tmp_path: Path) -> None:
    (tmp_path / "out").touch()

    def keep_(predicate: dict[str, Any]) -> None:
        record.write(record.statement(predicate), tmp_path / "out")

    this.keep = keep_
    predicate = deployment.deploy(this, quiet)
    assert predicate["outcome"] == "stopped"
    assert "The record cannot be written" in detail(predicate, "records")
    assert world.running == "small 1111"


def test_who_approved_this_environment_is_asked_of_github(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_RUN_ID", "41")
    with FakeGitHub() as github:
        github.approvals[41] = [
            {"state": state, "user": user and {"login": user}, "environments": [{"name": name}], "comment": ""}
            for state, user, name in (
                ("approved", "someone", "dev"),
                ("rejected", "another", "dev"),
                ("approved", "third", "prod"),
                ("approved", None, "dev"),
            )
        ]
        api = Api(github.token, github.repository, github.url)
        assert deploy.approvers(api, "dev") == ["someone", "somebody who is gone"]


def test_no_secret_and_no_control_character_gets_into_a_record(
    this: Deployment, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "AKIA" + "ABCDEFGHIJKLMNOP"
    world.fail["up large 2222"] = RolloutError(f"it said {key}\x1b[31m\n::set-output::")
    predicate = deployment.deploy(this, quiet)
    said = detail(predicate, "up")
    assert key not in json.dumps(predicate)
    assert "[secret]" in said
    assert said.isprintable()


# The command line


@pytest.fixture
def prepared(this: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setattr(deploy, "prepared", lambda _options: this)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return this


def command(tmp_path: Path, *words: str) -> list[str]:
    return [
        "deploy", "--stack", "dev", "--release", NEW, "--records", str(tmp_path / "records"),
        "--out", str(tmp_path / "out"), *words,
    ]  # fmt: skip


def written(tmp_path: Path) -> record.Record:
    return record.read(tmp_path / "out" / "record.json")


def test_the_command_writes_the_record_and_a_summary(
    prepared: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert cli.main(command(tmp_path, "--image", "ghcr.io/example/app")) == 0
    assert written(tmp_path).outcome == "succeeded"
    assert written(tmp_path).statement["subject"][1]["name"] == "ghcr.io/example/app"
    assert "| second preview | succeeded |" in summary.read_text()
    assert "dev: succeeded" in capsys.readouterr().err


def test_the_command_fails_and_writes_the_record_where_the_deployment_failed(
    prepared: Deployment, world: World, tmp_path: Path
) -> None:
    world.fail["smoke"] = RolloutError("it does not serve")
    assert cli.main(command(tmp_path)) == 1
    assert written(tmp_path).outcome == "rolled back"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_under_way_and_the_record_is_written(
    prepared: Deployment, world: World, tmp_path: Path, number: signal.Signals
) -> None:
    before = signal.getsignal(number)

    def smoke(_engine: Engine) -> str:
        os.kill(os.getpid(), number)
        raise AssertionError("the signal did not arrive")

    prepared.smoke = smoke
    assert cli.main(command(tmp_path)) == 1
    assert written(tmp_path).outcome == "failed"
    assert outcomes(dict(written(tmp_path).predicate))["smoke"] == "failed"
    assert signal.getsignal(number) is before


def test_a_signal_between_two_steps_ends_the_next_one(this: Deployment) -> None:
    def keep_(predicate: dict[str, Any]) -> None:
        if predicate["steps"][-1]["name"] == "policies":
            os.kill(os.getpid(), signal.SIGTERM)

    this.keep = keep_
    with this.interrupts.caught():
        predicate = deployment.deploy(this, quiet)
    assert outcomes(predicate)["policies"] == "failed"
    assert predicate["outcome"] == "stopped"


# What is asked for


@pytest.fixture
def asked(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Deployment]:
    """The deployment that a command line asks for."""
    for name in [name for name in os.environ if name.startswith("GITHUB_")]:
        monkeypatch.delenv(name)
    map_ = tmp_path / "branches.yaml"
    map_.write_text("default: dev\nbranches: {dev: {environment: dev, stack: dev, reviewers: []}}\n")

    def ask(*words: str, stack: str = "dev", release: str = NEW) -> Deployment:
        parser = argparse.ArgumentParser()
        deploy.arguments(parser)
        given = ["--stack", stack, "--release", release, "--records", str(tmp_path / "records"), "--out", str(tmp_path)]
        options = [*given, "-C", str(world.repository), "--map", str(map_), "--unsigned", *words]
        return deploy.prepared(parser.parse_args(options))

    return ask


def in_workflow(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    for name, value in {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REF": "refs/heads/dev",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_TOKEN": "ghs_x",
        "GITHUB_REPOSITORY": "example/groundwork",
        **changed,
    }.items():
        monkeypatch.setenv(name, value)


def test_a_push_is_reviewed_and_can_be_nothing_else(
    asked: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_workflow(monkeypatch)
    assert asked().reviewed is not None
    with pytest.raises(RolloutError, match="leave --unreviewed out"):
        asked("--unreviewed", "it is urgent")
    assert asked("--unreviewed", "  ").reviewed is not None


def test_a_person_can_deploy_unreviewed_with_a_reason(
    asked: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_workflow(monkeypatch, GITHUB_EVENT_NAME="workflow_dispatch")
    found = asked("--unreviewed", "it is urgent")
    assert (found.reviewed, found.unreviewed) == (None, "it is urgent")
    assert asked().reviewed is not None


def test_a_stack_is_deployed_from_its_own_branch_alone(
    asked: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_workflow(monkeypatch, GITHUB_REF="refs/heads/dev2")
    with pytest.raises(RolloutError, match="dev is deployed from dev alone"):
        asked()
    with pytest.raises(RolloutError, match="No branch changes the stack 'prod'"):
        asked(stack="prod")


def test_files_that_no_commit_holds_are_not_deployed(asked: Callable[..., Deployment], world: World) -> None:
    (world.repository / "size").write_text("other")
    with pytest.raises(RolloutError, match="These files differ from their commit: size"):
        asked("--unreviewed", "a try")


def test_outside_of_a_workflow_a_reason_or_github_is_needed(asked: Callable[..., Deployment]) -> None:
    with pytest.raises(RolloutError, match="GITHUB_TOKEN"):
        asked()
    assert asked("--unreviewed", "a try").approvers() == ()
    with pytest.raises(RolloutError, match="is no digest of an image"):
        asked("--unreviewed", "a try", release="latest")


# By the Pulumi CLI, of which a script stands in

PULUMI = """#!/bin/sh
echo "$1 $2" >>{directory}/said
case "$1 $2" in
"stack export") cat {directory}/state 2>/dev/null || echo '{{"version": 3, "deployment": {{}}}}';;
"stack output") echo '{{}}';;
"up --yes")
    pwd >>{directory}/brought-up
    cat size >{directory}/live
    echo '{{"deployment": {{"resources": []}},' "\\"size\\": \\"$(cat size)\\"}}" >{directory}/state
    test "$(cat size)" != broken || exit 1;;
"preview --json")
    if test "$(cat size)" = "$(cat {directory}/live 2>/dev/null)"; then echo '{{"changeSummary": {{"same": 1}}}}'
    else echo '{{"changeSummary": {{"update": 1}}}}'; fi;;
esac
"""


def test_a_deployment_by_the_pulumi_cli_and_its_way_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Callable[..., Deployment]
) -> None:
    stub = tmp_path / "bin" / "pulumi"
    stub.parent.mkdir()
    stub.write_text(PULUMI.format(directory=tmp_path))
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stub.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("STATE_KEY", "awskms://alias/state")
    monkeypatch.setattr(judging, "judge", lambda _plan, _out: VERDICT)
    repository = world.repository
    (repository / "Pulumi.yaml").write_text("name: demo\nruntime: python\n")
    (repository / "__main__.py").write_text("import pulumi\n\npulumi.export('size', open('size').read())\n")
    (repository / "install.sh").write_text(f"#!/bin/sh\npwd >>{tmp_path}/installed\n")
    (repository / "install.sh").chmod(0o755)
    good = commit(repository, "whole")
    predicate = deployment.deploy(asked("--unreviewed", "a try"), quiet)
    record.statement(predicate)
    assert predicate["outcome"] == "succeeded", predicate["steps"]
    said = (tmp_path / "said").read_text().splitlines()
    assert said == [
        "stack select", "stack export", "preview --json", "up --yes", "stack export", "stack output", "preview --json",
        "stack export",
    ]  # fmt: skip
    keep(tmp_path / "records", commit=good, release=NEW, began="2026-11-22T20:30:00Z")

    commit(repository, "broken")
    predicate = deployment.deploy(asked("--unreviewed", "a try"), quiet)
    record.statement(predicate)
    assert predicate["outcome"] == "rolled back", predicate["steps"]
    assert (tmp_path / "live").read_text() == "whole"
    first, second, back = (tmp_path / "brought-up").read_text().splitlines()
    assert first == second == str(repository)
    assert (tmp_path / "installed").read_text().splitlines() == [back]
    assert not Path(back).exists()
