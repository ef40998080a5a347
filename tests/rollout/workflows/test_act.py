"""The workflows, run end to end on this machine with act; machine.py says what of it is real."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rollout.fake_github import FakeGitHub
from tests.rollout.workflows import machine
from tests.rollout.workflows.machine import Machine

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
        assert "ran make check" in ran.text


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
