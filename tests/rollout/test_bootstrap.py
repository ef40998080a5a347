"""What `make bootstrap` prints can be read and run: its commands name what there is, and nothing that is not."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout import bootstrap, branches
from rollout.__main__ import main
from rollout.bootstrap import APPLY_VARIABLES, CLOUDS, PLAN_VARIABLES, STATE, Account, script
from rollout.branches import Branch, Map
from rollout.errors import RolloutError
from tests.plans.plans import plan_of

ROOT = Path(__file__).parents[2]
MAP = branches.read()
CHECKS = bootstrap.required_checks(ROOT)


def settings(cloud: str) -> dict[str, Any]:
    config = yaml.safe_load((ROOT / f"Pulumi.bootstrap-{cloud}.yaml").read_text())["config"]
    return {**config[f"groundwork:{cloud}"], "github": config["groundwork:github"]}


def accounts(*clouds: str) -> list[Account]:
    """The accounts with their own settings, as if each had five resources."""
    return [Account(cloud, settings(cloud), {"iam:Role": 4, "s3:Bucket": 1}) for cloud in clouds or CLOUDS]


def printed(*clouds: str, found: Map = MAP) -> str:
    return script(accounts(*clouds), found, CHECKS, ["prod"])


def jobs(file: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows" / file).read_text())["jobs"]
    return found


@pytest.mark.parametrize("clouds", [CLOUDS, *((cloud,) for cloud in CLOUDS)])
def test_it_is_a_shell_script_that_shellcheck_has_nothing_to_say_about(clouds: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "bootstrap.sh").write_text(printed(*clouds))
    checked = subprocess.run(
        [Path(sys.executable).parent / "shellcheck", tmp_path / "bootstrap.sh"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("clouds", [CLOUDS, *((cloud,) for cloud in CLOUDS)])
def test_it_fits_a_hundred_columns_and_no_paragraph_is_a_wall(clouds: tuple[str, ...]) -> None:
    lines = printed(*clouds).splitlines()
    assert [line for line in lines if len(line) > bootstrap.WIDTH] == []
    assert max(len(block.splitlines()) for block in re.findall(r"(?:^#.*\n)+", printed(*clouds), re.M)) <= 16


def test_every_variable_that_a_workflow_reads_is_set_and_no_other() -> None:
    texts = [path.read_text() for path in (ROOT / ".github").rglob("*.yml")]
    read = {name for text in texts for name in re.findall(r"\bvars\.([A-Z_]+)", text)}
    assert read == set(re.findall(r"gh variable set ([A-Z_]+)", printed()))
    tabled = {name for of in (PLAN_VARIABLES, APPLY_VARIABLES) for row in of.values() for name in row}
    assert read == tabled | set(STATE) | {"RUNNER", "TOKEN_URL"}


def test_no_secret_is_set_but_variables_alone() -> None:
    assert "gh secret" not in printed()
    used = [
        name for path in (ROOT / ".github").rglob("*.yml") for name in re.findall(r"secrets\.(\w+)", path.read_text())
    ]
    assert set(used) <= {"GITHUB_TOKEN"}


def test_the_identity_of_an_environment_is_set_in_that_environment_alone() -> None:
    applied = re.findall(r"gh variable set (\w+_APPLY_\w+)(?: --env (\w+) \\\n  --body (.+))?", printed())
    for name, environment, value in applied:
        assert environment in {row.environment for row in MAP.rows}, name
        assert f".{environment} " in value, name
    assert len(applied) == 4 * len(MAP.rows)


def test_each_environment_has_its_reviewers_and_takes_its_branch_alone() -> None:
    text = printed()
    for row in MAP.rows:
        part = text.partition(f"environments/{row.environment}/deployment-branch-policies")[2]
        assert part.splitlines()[1].split() == ["--raw-field", f"name={row.branch}", "--raw-field", "type=branch"]
    found = Map("main", (Branch("main", "prod", "prod", ("acme/ml", "alice")),))
    text = printed("aws", found=found)
    assert '--argjson r0 "$(gh api orgs/acme/teams/ml --jq .id)"' in text
    assert '--argjson r1 "$(gh api users/alice --jq .id)"' in text
    assert 'reviewers: [{type: "Team", id: $r0}, {type: "User", id: $r1}]' in text


def test_the_checks_that_are_required_are_jobs_of_pull_requests_that_run_for_forks_too() -> None:
    for file in bootstrap.REQUIRED:
        workflow = yaml.safe_load((ROOT / ".github/workflows" / file).read_text())
        assert "pull_request" in workflow[True]  # YAML reads `on` so
        assert not [job for job in workflow["jobs"].values() if "if" in job]
    assert {str(job.get("name", key)) for file in bootstrap.REQUIRED for key, job in jobs(file).items()} == set(CHECKS)
    assert f"contexts: [\n      {', '.join(map(json.dumps, CHECKS))}]" in printed()


def test_every_branch_is_protected_and_the_records_are_never_rewritten() -> None:
    text = printed()
    assert f"for branch in {' '.join(row.branch for row in MAP.rows)}; do" in text
    assert "strict: true" in text
    assert '"refs/heads/rollout-records"' in text
    assert 'rules: [{type: "deletion"}, {type: "non_fast_forward"}]' in text


def test_the_first_cloud_keeps_the_state() -> None:
    kept = printed("gcp", "aws").partition("What workflows read")[2]
    assert 'STATE_KEY="gcpkms://' in kept
    assert "awskms" not in kept
    assert "keeps it here" not in printed("gcp")


def test_what_github_s_own_machines_cannot_reach_is_said() -> None:
    assert bootstrap.clustered(ROOT, MAP) == ["prod"]
    assert "# prod runs the app on clusters too" in printed()
    assert "clusters too" not in script(accounts("aws"), MAP, CHECKS, [])


@pytest.mark.parametrize("value", ["a b", "$(touch x)", "'; touch x; '", "`touch x`"])
def test_a_setting_is_a_word_and_never_a_command(value: str, tmp_path: Path) -> None:
    (account,) = accounts("aws")
    odd = Account("aws", {**account.settings, "region": value}, {})
    (line,) = [line for line in script([odd], MAP, CHECKS, []).splitlines() if "set AWS_REGION" in line]
    stub = f"set -eu; gh() {{ printf '%s' \"$5\"; }}; {line}"
    said = subprocess.run(["bash", "-c", stub], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said == value
    assert list(tmp_path.iterdir()) == []


def test_a_state_in_a_cloud_that_is_not_made_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bootstrap", "--stack", "bootstrap-aws", "--state", "gcp", "-C", str(ROOT)]) == 1
    assert "--state gcp is not among the clouds" in capsys.readouterr().err


def test_missing_workflows_and_settings_are_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match=r"check\.yml has no jobs to require"):
        bootstrap.required_checks(tmp_path)
    with pytest.raises(RolloutError, match=r"Pulumi\.dev\.yaml cannot be read"):
        bootstrap.clustered(tmp_path, MAP)


STUB = """#!/usr/bin/env bash
# Stands for a command line of a cloud, of Pulumi or of GitHub: writes down what it was told.
printf '%s\\x1f' "$(basename "$0")" "$@" >>"$TOLD"
echo >>"$TOLD"
case "$(basename "$0") $*" in
  "pulumi stack output "*) cat "$OUTPUTS/$3.json" ;;
  "gh api repos/example/groundwork --jq "*) echo "7654321 1234567" ;;
  "gh api orgs/"*) echo 42 ;;
  "gh api "*" --input -") cat >>"$TOLD.bodies" ;;
  "az "*) echo "/subscriptions/of/it" ;;
esac
"""


@pytest.mark.slow
def test_run_from_its_first_line_to_its_last_it_sets_what_the_stacks_of_accounts_put_out(tmp_path: Path) -> None:
    outputs = {cloud: plan_of(f"bootstrap-{cloud}", cloud).outputs[cloud] for cloud in CLOUDS}
    for cloud, found in outputs.items():
        (tmp_path / f"{cloud}.json").write_text(json.dumps(found))
    (tmp_path / "bin").mkdir()
    for name in ("pulumi", "gh", "aws", "gcloud", "az", "git"):
        (tmp_path / "bin" / name).write_text(STUB)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "install.sh").write_text("#!/bin/sh\n")
    (tmp_path / "install.sh").chmod(0o755)
    environment = {
        **{name: os.environ[name] for name in ("LANG",) if name in os.environ},
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "TOLD": str(tmp_path / "told"),
        "OUTPUTS": str(tmp_path),
    }
    done = subprocess.run(
        ["bash", "-c", printed()], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = [line.split("\x1f")[:-1] for line in (tmp_path / "told").read_text().splitlines()]
    variables = {
        (words[3], words[words.index("--env") + 1] if "--env" in words else ""): words[-1]
        for words in told
        if words[:3] == ["gh", "variable", "set"]
    }
    expected = {
        ("STATE_URL", ""): f"{outputs['aws']['state']['url']}?region=eu-west-1",
        ("STATE_KEY", ""): f"awskms:///{outputs['aws']['state']['key']}?region=eu-west-1",
        ("AWS_REGION", ""): "eu-west-1",
        ("AWS_PLAN_ROLE", ""): outputs["aws"]["deployer"]["plan"],
        ("GCP_PLAN_PROVIDER", ""): outputs["gcp"]["deployer"]["providers"]["plan"],
        ("GCP_PLAN_ACCOUNT", ""): outputs["gcp"]["deployer"]["plan"],
        ("AZURE_TENANT", ""): "00000000-0000-4000-8000-000000000000",
        ("AZURE_SUBSCRIPTION", ""): "00000000-0000-4000-8000-000000000000",
        ("AZURE_PLAN_CLIENT", ""): outputs["azure"]["deployer"]["plan"],
    }
    for name in ("dev", "staging", "prod"):
        expected |= {
            ("AWS_APPLY_ROLE", name): outputs["aws"]["deployer"]["apply"][name],
            ("GCP_APPLY_PROVIDER", name): outputs["gcp"]["deployer"]["providers"][name],
            ("GCP_APPLY_ACCOUNT", name): outputs["gcp"]["deployer"]["apply"][name],
            ("AZURE_APPLY_CLIENT", name): outputs["azure"]["deployer"]["apply"][name],
        }
    assert variables == expected
    providers = [words[-1].partition("://") for words in told if words[1:3] == ["stack", "init"] and len(words) > 4]
    assert [scheme for scheme, _, _ in providers] == ["awskms", "gcpkms", "azurekeyvault"]
    assert providers[2][2] == outputs["azure"]["state"]["key"].removeprefix("https://")
    bodies = (tmp_path / "told.bodies").read_text()
    assert bodies.count('"custom_branch_policies": true') == 3
    assert '"id": 42' in bodies
    assert bodies.count('"strict": true') == 3


@pytest.mark.slow
def test_make_bootstrap_counts_what_each_stack_will_have(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bootstrap", "--stack", "bootstrap-aws", "-C", str(ROOT)]) == 0
    said = capsys.readouterr().out
    made = [row for row in plan_of("bootstrap-aws", "aws").resources if row.custom and "pulumi:" not in row.type]
    assert f"# bootstrap-aws will have {len(made)} resources:" in said
    assert "bootstrap-gcp" not in said
    recipe = subprocess.run(["make", "--dry-run", "bootstrap"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "-m rollout bootstrap" in recipe.stdout
