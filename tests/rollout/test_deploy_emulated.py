"""Deployments of a small program to the emulator: first, second, failed and rolled back, drifted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud import emulator
from localcloud.state import lock
from rollout import __main__ as cli
from rollout import judging, record
from rollout.preview import plan_side
from rollout.redact import Redactor
from tests.rollout.fake_github import FakeGitHub

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("programs") / "parcel"
FIRST, SECOND = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
VERDICT = judging.Verdict(True, {"fail": 0, "undetermined": 0, "waived": 0, "pass": 1}, "e" * 64)


def git(directory: Path, *words: str) -> str:
    names = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = subprocess.run(["git", "-C", str(directory), *names, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Site:
    """A repository with the program, an emulator, and what `rollout` is told of them."""

    def __init__(self, directory: Path) -> None:
        self.repository, self.records, self.out = directory / "parcel", directory / "records", directory / "out"
        shutil.copytree(PROGRAM, self.repository)
        git(directory, "init", "--quiet", str(self.repository))
        (self.repository / ".gitignore").write_text(".localcloud\n__pycache__\n")
        self.commit("The program")
        self.map = directory / "branches.yaml"
        self.map.write_text("default: dev\nbranches: {dev: {environment: dev, stack: dev, reviewers: []}}\n")
        self.number = 0

    def commit(self, message: str) -> str:
        git(self.repository, "add", ".")
        git(self.repository, "commit", "--quiet", "--allow-empty", "-m", message)
        return git(self.repository, "rev-parse", "HEAD")

    def enlarge(self) -> str:
        file = self.repository / "Pulumi.dev.yaml"
        file.write_text(file.read_text().replace("size: small", "size: large"))
        return self.commit("Large parcels")

    @property
    def state(self) -> Path:
        return self.repository / ".localcloud" / "stacks" / "parcel" / "dev.json"

    def words(self, command: str, *words: str) -> list[str]:
        common = ["--stack", "dev", "--records", str(self.records), "-C", str(self.repository), "--map", str(self.map)]
        return [command, *common, "--engine", "localcloud", "--unsigned", *words]

    def deploy(self, release: str, *words: str) -> tuple[int, record.Record]:
        """Deploys, and keeps the record where the next command finds it."""
        self.number += 1
        out = self.out / str(self.number)
        code = cli.main(self.words("deploy", "--release", release, "--out", str(out), *words))
        found = record.read(out / "record.json")
        target = self.records / "dev" / f"2026112{self.number}T203000Z-0-0.json"
        statement = json.loads(json.dumps(found.statement))
        statement["predicate"]["began"] = f"2026-11-2{self.number}T20:30:00Z"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(statement))
        return code, found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    found = Site(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    monkeypatch.setattr(judging, "judge", lambda _plan, _out: VERDICT)  # the policies have tests of their own
    running = emulator.start(tmp_path / "emulator")
    try:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield found
    finally:
        emulator.stop(tmp_path / "emulator")


def client(service: str) -> Any:
    return boto3.client(service, region_name="eu-west-1")


def tags() -> dict[str, str]:
    rows = client("s3").get_bucket_tagging(Bucket="example-parcels")["TagSet"]
    return {row["Key"]: row["Value"] for row in rows if row["Key"] in ("size", "release")}


def steps(found: record.Record) -> dict[str, tuple[str, str]]:
    return {row["name"]: (row["outcome"], row["detail"]) for row in found.predicate["steps"]}


def shown(site: Site, github: FakeGitHub, head: str, base: str) -> None:
    """What comment.yml keeps of a pull request that showed these commits' plans, made as the preview makes them."""
    digests = {}
    for side, commit in (("head", head), ("base", base)):
        git(site.repository, "checkout", "--quiet", commit)
        digests[side] = plan_side(side, site.repository, Redactor(), ["dev"]).digests()["dev"]
    git(site.repository, "checkout", "--quiet", head)
    document = {"version": 1, "pullRequest": 7, "head": "d" * 40, "base": base, "stacks": {"dev": digests}}
    github.add_pull(7, sha="d" * 40, base="dev", merged_as=head)
    run = github.add_run("comment.yml", event="workflow_run", head_branch="main")
    github.add_artifact(run["id"], f"reviewed-{'d' * 40}", {"reviewed.json": json.dumps(document)})


def test_a_stack_is_deployed_kept_rolled_back_and_watched(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first = git(site.repository, "rev-parse", "HEAD")

    code, found = site.deploy(FIRST, "--unreviewed", "the first one")
    assert (code, found.outcome, found.commit) == (0, "succeeded", first), capfd.readouterr().err
    assert tags() == {"size": "small", "release": "1" * 64}
    assert steps(found)["preview"] == ("succeeded", "4 to create")
    assert found.predicate["state"] == {"before": None, "after": hashlib.sha256(site.state.read_bytes()).hexdigest()}

    code, found = site.deploy(FIRST, "--unreviewed", "once more")
    assert (code, found.outcome) == (0, "succeeded")
    assert steps(found)["preview"] == steps(found)["second preview"] == ("succeeded", "0 changes")

    # The next commit's table is there already, which no preview sees: it fails when bucket and topic are changed.
    second = site.enlarge()
    client("dynamodb").create_table(
        TableName="shelves",
        KeySchema=[{"AttributeName": "other", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "other", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    with FakeGitHub() as github:
        for name, value in github.environment.items():
            monkeypatch.setenv(name, value)
        shown(site, github, second, first)
        code, found = site.deploy(SECOND)
    assert (code, found.outcome, found.commit) == (1, "rolled back", second)
    assert found.predicate["rolledBackTo"] == {"commit": first, "release": FIRST}
    assert found.predicate["reviewed"]["pullRequest"] == 7
    assert steps(found)["preview"] == ("succeeded", "1 to create, 2 to update")
    assert steps(found)["up"][0] == "failed"
    assert steps(found)["roll back: up"][0] == "succeeded"
    assert tags() == {"size": "small", "release": "1" * 64}
    assert git(site.repository, "worktree", "list").count("\n") == 0

    client("sns").set_topic_attributes(
        TopicArn="arn:aws:sns:eu-west-1:123456789012:arrivals", AttributeName="DisplayName", AttributeValue="by hand"
    )
    before = site.state.read_bytes()
    with FakeGitHub() as github:
        for name, value in github.environment.items():
            monkeypatch.setenv(name, value)
        for _night in range(2):
            with lock(site.state.with_suffix(".lock")):  # a look takes none, and waits for none
                assert cli.main(site.words("drift", "--out", str(tmp_path / "drift" / "dev.json"))) == 3
            assert cli.main(["drift-issue", "--from", str(tmp_path / "drift"), "--map", str(site.map)]) == 0
        assert len(github.issues) == 1
        assert "arrivals" in github.issues[0]["body"] + json.dumps(github.comments)
        document = json.loads((tmp_path / "drift" / "dev.json").read_text())
        assert [(row["name"], row["what"], row["changed"]) for row in document["drifted"]] == [
            ("arrivals", "changed", ["displayName"])
        ]
        assert (document["commit"], document["release"]) == (first, FIRST)
        assert site.state.read_bytes() == before
