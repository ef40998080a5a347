"""What the tools that know workflows say of ours: nothing. And of a bad one: something, so each was really asked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rollout.workflows.reading import GITHUB, ROOT

BIN = Path(sys.prefix) / "bin"
BAD = Path(__file__).parent / "bad"
PATH = os.pathsep.join([str(BIN), os.environ["PATH"]])
ACTIONLINT = shutil.which("actionlint", path=PATH)
needs_actionlint = pytest.mark.skipif(
    ACTIONLINT is None, reason="actionlint is not installed here, so it was not asked: make install-workflow-tools"
)


def run(*command: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "ZIZMOR_", "GH_"))}
    return subprocess.run(
        command, cwd=folder, env=environment | {"PATH": PATH}, capture_output=True, text=True, check=False, timeout=60
    )


def zizmor(*inputs: Path) -> subprocess.CompletedProcess[str]:
    """As `make lint` runs it. With --format=sarif it would leave with 0 whatever it finds, so it does not."""
    return run(BIN / "zizmor", "--offline", "--persona=auditor", "--no-progress", "--color=never", *inputs)


def schema(kind: str, *files: Path) -> subprocess.CompletedProcess[str]:
    return run(BIN / "check-jsonschema", "--builtin-schema", f"vendor.github-{kind}", *files)


def test_zizmor_as_an_auditor_finds_nothing_in_our_workflows() -> None:
    seen = zizmor(GITHUB)
    assert seen.returncode == 0, seen.stdout
    assert "No findings to report" in seen.stdout
    for path in [*GITHUB.glob("workflows/*.yml"), *GITHUB.glob("actions/*/action.yml"), GITHUB / "dependabot.yml"]:
        assert f"completed {path}" in seen.stderr, f"{path.name} was not read"


@pytest.mark.parametrize(
    "audit", ["template-injection", "dangerous-triggers", "unpinned-uses", "excessive-permissions", "artipacked"]
)
def test_zizmor_finds_what_is_wrong_with_a_bad_workflow(audit: str) -> None:
    seen = zizmor(BAD / "everything.yml")
    assert seen.returncode >= 10
    assert f"[{audit}]" in seen.stdout


def test_what_zizmor_is_told_to_ignore_is_still_there_to_be_ignored() -> None:
    seen = run(BIN / "zizmor", "--offline", "--persona=auditor", "--no-config", "--color=never", GITHUB)
    assert {"dangerous-triggers", "self-repository"} == {
        line.partition("[")[2].partition("]")[0]
        for line in seen.stdout.splitlines()
        if line.startswith(("error", "help", "warning", "info"))
    }


def test_our_workflows_and_actions_are_of_the_form_that_github_asks_for() -> None:
    for kind, files in (
        ("workflows", GITHUB.glob("workflows/*.yml")),
        ("actions", GITHUB.glob("actions/*/action.yml")),
    ):
        seen = schema(kind, *sorted(files))
        assert seen.returncode == 0, seen.stdout
    seen = run(BIN / "check-jsonschema", "--builtin-schema", "vendor.dependabot", GITHUB / "dependabot.yml")
    assert seen.returncode == 0, seen.stdout


def test_a_workflow_that_is_none_is_refused_by_the_schema() -> None:
    seen = schema("workflows", BAD / "schema.yml")
    assert seen.returncode != 0
    assert "'uses' is a required property" in seen.stdout


@needs_actionlint
def test_actionlint_finds_nothing_in_our_workflows() -> None:
    seen = run("actionlint", "-no-color")
    assert seen.returncode == 0, seen.stdout


@needs_actionlint
@pytest.mark.parametrize("word", ["[job-needs]", "[expression]", "[shellcheck]"])
def test_actionlint_and_shellcheck_find_what_is_wrong_with_a_bad_workflow(word: str) -> None:
    seen = run("actionlint", "-no-color", BAD / "everything.yml")
    assert seen.returncode == 1
    assert word in seen.stdout


@needs_actionlint
def test_what_actionlint_is_told_to_ignore_is_still_there_to_be_ignored(tmp_path: Path) -> None:
    # In a folder without our settings: the day it knows the key, the ignore goes.
    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    shutil.copy(GITHUB / "workflows/deploy.yml", tmp_path / ".github/workflows")
    shutil.copytree(GITHUB / "actions", tmp_path / ".github/actions")
    seen = run("actionlint", "-no-color", "-oneline", folder=tmp_path)
    assert [line.partition(": ")[2][:42] for line in seen.stdout.splitlines()] == [
        'unexpected key "queue" for "concurrency" s'
    ]


def test_make_lint_asks_the_same_tools() -> None:
    recipe = run("make", "--dry-run", "lint").stdout
    for command in (
        "zizmor --offline",
        "--persona=auditor .github",
        "vendor.github-workflows",
        "vendor.github-actions",
    ):
        assert command in recipe
    assert "actionlint: skipped, as it is not installed (make install-workflow-tools)" in recipe
    assert "--format=sarif" not in recipe


def test_the_tools_are_built_at_versions_that_are_named_and_where_go_is_missing_a_sentence_says_so(
    tmp_path: Path,
) -> None:
    recipe = run("make", "--dry-run", "install-workflow-tools").stdout
    assert "actionlint/cmd/actionlint@v1.7.12" in recipe
    assert "nektos/act@v0.2.89" in recipe
    needed = recipe[recipe.index("command -v go") :]
    for tool in ("sh",):
        (tmp_path / tool).symlink_to(Path("/bin") / tool)
    seen = subprocess.run(
        [tmp_path / "sh", "-c", needed],
        env={"PATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert seen.returncode == 1
    assert "Go is needed to build actionlint and act" in seen.stderr
