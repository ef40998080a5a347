"""What must exist before the first deployment, in order and with the commands: `make bootstrap`.

What is printed is a shell script whose comments explain it, for a person with rights over the accounts to read and to
run piece by piece. Nothing is done here: the stacks are planned with no account, and nobody is asked anything.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rollout import branches
from rollout.branches import Map
from rollout.errors import RolloutError
from rollout.record_branch import BRANCH as RECORDS

WIDTH = 100
SHOWN = 6  # kinds of resources of each stack
PLAN_SECONDS = 300
# What a workflow reads of GitHub → where it is: `.path` in the outputs of the cloud's stack, or a setting of it.
PLAN_VARIABLES = {
    "aws": {"AWS_REGION": "region", "AWS_PLAN_ROLE": ".deployer.plan"},
    "gcp": {"GCP_PLAN_PROVIDER": ".deployer.providers.plan", "GCP_PLAN_ACCOUNT": ".deployer.plan"},
    "azure": {"AZURE_TENANT": "tenant", "AZURE_SUBSCRIPTION": "subscription", "AZURE_PLAN_CLIENT": ".deployer.plan"},
}
# The same, of each of GitHub's environments.
APPLY_VARIABLES = {
    "aws": {"AWS_APPLY_ROLE": ".deployer.apply.{environment}"},
    "gcp": {
        "GCP_APPLY_PROVIDER": ".deployer.providers.{environment}",
        "GCP_APPLY_ACCOUNT": ".deployer.apply.{environment}",
    },
    "azure": {"AZURE_APPLY_CLIENT": ".deployer.apply.{environment}"},
}
CLOUDS = tuple(PLAN_VARIABLES)
STATE = {"STATE_URL": ".state.url", "STATE_KEY": ".state.key"}
LOGIN = {
    "aws": "aws sts get-caller-identity",
    "gcp": "gcloud auth application-default login",
    "azure": "az login",
}
# How Pulumi writes the key of a cloud (gocloud.dev/howto/secrets), from the output `.state.key`.
KEY = {
    "aws": '"awskms:///{output}?region={region}"',
    "gcp": '"gcpkms://{output}"',
    "azure": '"azurekeyvault://{output}"',
}
WITHOUT_SCHEME = '.state.key | ltrimstr("https://")'
# Workflows whose jobs must have passed before a pull request is merged.
REQUIRED = ("check.yml", "preview.yml")


@dataclass(frozen=True)
class Account:
    """The stack of a cloud's whole account: its settings, and its resources as planned."""

    cloud: str
    settings: Mapping[str, Any]
    kinds: Mapping[str, int]

    @property
    def stack(self) -> str:
        """Its name."""
        return f"bootstrap-{self.cloud}"

    def output(self, path: str, flags: str = "-r") -> str:
        """What a shell makes of one of its outputs."""
        return f'$(jq {flags} {shlex.quote(path)} "$PLACE/{self.cloud}.json")'

    def value(self, where: str) -> str:
        """A word of a shell: an output where it begins with a dot, else a setting."""
        return f'"{self.output(where)}"' if where.startswith(".") else shlex.quote(str(self.settings[where]))


def plan(root: Path, cloud: str) -> Account:
    """The stack as it would be made. Raises RolloutError if its settings or its program are wrong."""
    stack = f"bootstrap-{cloud}"
    words = [sys.executable, "-m", "localcloud", "plan", "-C", str(root), "-s", stack, "--json"]
    try:
        done = subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=PLAN_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise RolloutError(f"{stack} could not be planned within {PLAN_SECONDS} s.") from None
    if done.returncode:
        raise RolloutError(f"{stack} cannot be planned: {done.stderr.strip()[-2000:]}")
    rows = json.loads(done.stdout)["resources"]
    kinds = Counter(re.sub(r"^[^:]*:(\w+)[^:]*:", r"\1:", row["type"]) for row in rows if _counts(row))
    try:
        config = yaml.safe_load((root / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
        settings = {**config[f"groundwork:{cloud}"], "github": config["groundwork:github"]}
    except (OSError, KeyError, TypeError, yaml.YAMLError):
        raise RolloutError(f"Pulumi.{stack}.yaml has no sections {cloud} and github: take them from git.") from None
    return Account(cloud, settings, kinds)


def _counts(row: Mapping[str, Any]) -> bool:
    return bool(row["custom"]) and not row["type"].startswith("pulumi:")


def script(accounts: Sequence[Account], found: Map, checks: Sequence[str], inside: Sequence[str]) -> str:
    """All of it. The first account keeps the state of the environments.

    :param checks: names of the checks that a pull request must pass
    :param inside: environments that run clusters, which are reached from within their network alone
    """
    sections: list[tuple[str, Iterator[str]]] = [
        ("Beforehand", _beforehand(accounts)),
        *((f"{account.stack}: its state's place, and who deploys", _account(account)) for account in accounts),
        ("What workflows read: variables, and no secret", _variables(accounts)),
        ("GitHub's environments: who approves, from which branch, as whom", _environments(accounts, found)),
        ("Branches: made, and changed by reviewed pull requests alone", _branches(found, checks)),
        ("What is left to do by hand", _left(accounts, found, inside)),
    ]
    lines = [*_head(accounts)]
    for number, (title, section) in enumerate(sections, 1):
        lines += ["", f"# {number}. {title}", *section]
    return "\n".join(lines) + "\n"


def _said(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"# {indent}", subsequent_indent=f"# {indent}", break_on_hyphens=False
    )


def _head(accounts: Sequence[Account]) -> Iterator[str]:
    yield "#!/usr/bin/env bash"
    yield from _said(
        "Before the first deployment. Nothing was done: the stacks were planned with no account, and this says what "
        "has to be made, in order. Read it and run it piece by piece, as somebody with rights over the accounts and "
        "the repository. None of it was seen on a real account or on GitHub."
    )
    yield "#"
    for account in accounts:
        yield f"# {account.stack} will have {sum(account.kinds.values())} resources:"
        rows = sorted(account.kinds.items(), key=lambda row: (-row[1], row[0]))
        others = sum(count for _, count in rows[SHOWN:])
        most = ", ".join(f"{count} {kind}" for kind, count in rows[:SHOWN])
        yield from _said(most + (f" and {others} of {len(rows) - SHOWN} other kinds" if others else ""), "  ")
    yield "set -euo pipefail"


def _beforehand(accounts: Sequence[Account]) -> Iterator[str]:
    github = accounts[0].settings["github"]
    repository = f"{github['owner']}/{github['repository']}"
    yield from _said(
        "You have gh, jq and the Pulumi CLI, and these print who you are. The numbers of the repository are those of "
        "groundwork:github in each Pulumi.bootstrap-CLOUD.yaml, or nothing else will work."
    )
    yield f"REPOSITORY={shlex.quote(repository)}"
    yield 'export GH_REPO="$REPOSITORY" PLACE="$HOME/.groundwork"'
    numbers = f"{github['repositoryId']} {github['ownerId']}"
    yield f'test "$(gh api "repos/$REPOSITORY" --jq \'"\\(.id) \\(.owner.id)"\')" = {shlex.quote(numbers)}'
    yield from (LOGIN[account.cloud] for account in accounts)
    yield 'mkdir -p "$PLACE/state"'
    yield "./install.sh plan"


def _account(account: Account) -> Iterator[str]:
    cloud, stack = account.cloud, account.stack
    yield "# The bucket of the state does not exist yet: it begins on this machine, with nothing secret in it."
    yield 'pulumi login "file://$PLACE/state"'
    yield "export PULUMI_CONFIG_PASSPHRASE="
    yield f"pulumi stack init {stack}"
    yield f"pulumi up --stack {stack}"
    yield f'pulumi stack output {cloud} --json --stack {stack} >"$PLACE/{cloud}.json"'
    yield f'pulumi stack export --stack {stack} --file "$PLACE/{stack}.json"'
    yield "unset PULUMI_CONFIG_PASSPHRASE"
    if cloud == "azure":
        yield "# On Azure it takes a role of one's own to read and write what one has made."
        yield from _azure_rights(account)
    yield "# Then it moves into the bucket that it has made."
    yield from _where(account)
    yield 'pulumi login "$STATE_URL"'
    yield f'pulumi stack init {stack} --secrets-provider "$STATE_KEY"'
    yield f'pulumi stack import --stack {stack} --file "$PLACE/{stack}.json"'
    yield f"pulumi preview --stack {stack} --expect-no-changes"
    yield f"git diff Pulumi.{stack}.yaml # which names the key now; commit it"


def _azure_rights(account: Account) -> Iterator[str]:
    yield "me=$(az ad signed-in-user show --query id --output tsv)"
    for role, name, kind in (
        ("Storage Blob Data Contributor", '.state.url | split("=")[1]', "storage account"),
        ("Key Vault Crypto User", '.state.key | split("/")[2] | split(".")[0]', "keyvault"),
    ):
        yield f"name={account.output(name)}"
        yield f'scope=$(az {kind} show --name "$name" --query id --output tsv)'
        yield f'az role assignment create --assignee "$me" --role "{role}" --scope "$scope"'


def _where(account: Account) -> Iterator[str]:
    region = account.settings.get("region", "")
    ending = f"?region={region}" if account.cloud == "aws" else ""
    yield f'STATE_URL="{account.output(STATE["STATE_URL"])}{ending}"'
    path = WITHOUT_SCHEME if account.cloud == "azure" else STATE["STATE_KEY"]
    yield f"STATE_KEY={KEY[account.cloud].format(output=account.output(path), region=region)}"


def _variables(accounts: Sequence[Account]) -> Iterator[str]:
    keeper = accounts[0]
    if len(accounts) > 1:
        yield from _said(
            f"One state for each environment, whatever its clouds: {keeper.cloud} keeps it here "
            f"(--state CLOUD chooses another)."
        )
    yield from _where(keeper)
    yield from (f'gh variable set {name} --body "${name}"' for name in STATE)
    for account in accounts:
        for name, where in PLAN_VARIABLES[account.cloud].items():
            yield f"gh variable set {name} --body {account.value(where)}"


def _environments(accounts: Sequence[Account], found: Map) -> Iterator[str]:
    yield from _said(
        "Azure looks at an environment's name alone, so that only its branch may run in it is said here; AWS and GCP "
        "look at the branch besides."
    )
    for row in found.rows:
        path = f'"repos/$REPOSITORY/environments/{row.environment}"'
        yield "jq --null-input \\"
        for number, reviewer in enumerate(row.reviewers):
            owner, _, team = reviewer.partition("/")
            where = f"orgs/{owner}/teams/{team}" if team else f"users/{owner}"
            yield f'  --argjson r{number} "$(gh api {where} --jq .id)" \\'
        kinds = ["Team" if "/" in reviewer else "User" for reviewer in row.reviewers]
        reviewers = ", ".join(f'{{type: "{kind}", id: $r{number}}}' for number, kind in enumerate(kinds))
        yield f"  '{{prevent_self_review: {str(bool(kinds)).lower()}, reviewers: [{reviewers}],"
        yield "    deployment_branch_policy: {protected_branches: false, custom_branch_policies: true}}' |"
        yield f"  gh api --method PUT {path} --input -"
        policies = f'"repos/$REPOSITORY/environments/{row.environment}/deployment-branch-policies"'
        yield f"gh api --method POST {policies} \\"
        yield f"  --raw-field name={row.branch} --raw-field type=branch"
        for account in accounts:
            for name, where in APPLY_VARIABLES[account.cloud].items():
                value = account.value(where.format(environment=row.environment))
                yield f"gh variable set {name} --env {row.environment} \\"
                yield f"  --body {value}"


def _branches(found: Map, checks: Sequence[str]) -> Iterator[str]:
    others = [row.branch for row in found.rows if row.branch != found.default]
    yield "git fetch origin"
    yield from (f"git push origin origin/{found.default}:refs/heads/{branch}" for branch in others)
    yield from _said(
        "What is merged is what was reviewed: all checks passed on a branch that is up to date, and an owner of the "
        "code agreed."
    )
    contexts = ", ".join(json.dumps(check) for check in checks)
    yield f"for branch in {' '.join(row.branch for row in found.rows)}; do"
    yield "  jq --null-input '{"
    yield "    required_status_checks: {strict: true, contexts: ["
    yield f"      {contexts}]}},"
    yield "    required_pull_request_reviews: {required_approving_review_count: 1,"
    yield "      require_code_owner_reviews: true, dismiss_stale_reviews: true},"
    yield "    enforce_admins: true, restrictions: null, allow_force_pushes: false, allow_deletions: false}' |"
    yield '    gh api --method PUT "repos/$REPOSITORY/branches/$branch/protection" --input -'
    yield "done"
    yield from _said(
        "A deployment compares its plan with that of the commit before the merge, so a merge is one commit on its "
        "branch: no rebasing, which may add several."
    )
    yield 'gh api --method PATCH "repos/$REPOSITORY" --field allow_rebase_merge=false'
    yield from _said(
        f"Records are only ever added: {RECORDS} is made by the first deployment, and never rewritten or deleted. "
        "Each record is signed besides, and one that is not counts for nothing."
    )
    yield "jq --null-input '{"
    yield f'    name: "{RECORDS}", target: "branch", enforcement: "active",'
    yield f'    conditions: {{ref_name: {{include: ["refs/heads/{RECORDS}"], exclude: []}}}},'
    yield '    rules: [{type: "deletion"}, {type: "non_fast_forward"}]}\' |'
    yield '  gh api --method POST "repos/$REPOSITORY/rulesets" --input -'
    yield "# What a workflow does not ask for, its token may not do."
    yield 'gh api --method PUT "repos/$REPOSITORY/actions/permissions/workflow" \\'
    yield "  --raw-field default_workflow_permissions=read --field can_approve_pull_request_reviews=false"


def _left(accounts: Sequence[Account], found: Map, inside: Sequence[str]) -> Iterator[str]:
    for account in accounts:
        if account.cloud == "gcp":
            yield from _billing(account, found)
    if inside:
        yield from _said(
            f"{' and '.join(inside)} runs the app on clusters too, whose addresses are private: what GitHub's own "
            "machines cannot reach, they cannot deploy or compare. Name a runner of yours inside that network, or set "
            "groundwork:kubernetes to false."
        )
        yield "# gh variable set RUNNER --body LABEL"
    yield from _said(
        "The nightly load test asks the service with a token of its own job. Where the service believes another "
        "issuer than GitHub, name the address at which that trades tokens (RFC 8693)."
    )
    yield "# gh variable set TOKEN_URL --body https://..."
    yield "# The first deployment, of what no pull request showed. docs/runbook.md says what to do if it fails."
    yield f'gh workflow run deploy.yml --ref {found.rows[0].branch} --raw-field unreviewed="First deployment"'


def _billing(account: Account, found: Map) -> Iterator[str]:
    yield "# A budget belongs to the billing account, which no right in a project reaches."
    yield f"billing={shlex.quote(str(account.settings['billingAccount']))}"
    rights = {f".deployer.apply.{row.environment}": "costsManager" for row in found.rows} | {".deployer.plan": "viewer"}
    for path, role in rights.items():
        yield f'gcloud billing accounts add-iam-policy-binding "$billing" --role=roles/billing.{role} \\'
        yield f'  --member="serviceAccount:{account.output(path)}"'


def required_checks(root: Path) -> list[str]:
    """The names of the checks that the workflows of pull requests make: those of their jobs."""
    names = []
    for file in REQUIRED:
        try:
            jobs = yaml.safe_load((root / ".github/workflows" / file).read_text(encoding="utf-8"))["jobs"]
            names += [str(job.get("name", key)) for key, job in jobs.items()]
        except (OSError, KeyError, AttributeError, yaml.YAMLError):
            raise RolloutError(f".github/workflows/{file} has no jobs to require: take it from git.") from None
    return names


def clustered(root: Path, found: Map) -> list[str]:
    """The environments that run the app on clusters."""
    names = []
    for row in found.rows:
        try:
            config = yaml.safe_load((root / f"Pulumi.{row.stack}.yaml").read_text(encoding="utf-8"))["config"]
        except (OSError, KeyError, TypeError, yaml.YAMLError):
            raise RolloutError(f"Pulumi.{row.stack}.yaml cannot be read: the map of branches names it.") from None
        if config.get("groundwork:kubernetes"):
            names.append(row.environment)
    return names


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which clouds, and which of them keeps the state."""
    parser.add_argument(
        "--stack", action="append", choices=[f"bootstrap-{cloud}" for cloud in CLOUDS], help="of one cloud (repeatable)"
    )
    parser.add_argument("--state", choices=CLOUDS, help="the cloud that keeps the state of the environments")
    parser.add_argument("-C", "--cwd", type=Path, default=Path(), metavar="DIR", help="the project's directory")


def run(options: argparse.Namespace) -> int:
    """Prints what must exist. Changes nothing and asks nobody."""
    root = options.cwd.resolve()
    chosen = [name.removeprefix("bootstrap-") for name in options.stack or ()] or list(CLOUDS)
    if options.state and options.state not in chosen:
        raise RolloutError(f"--state {options.state} is not among the clouds that are made: {', '.join(chosen)}.")
    chosen.sort(key=lambda cloud: (cloud != options.state, CLOUDS.index(cloud)))
    found = branches.read(root / ".github/branches.yaml")
    accounts = [plan(root, cloud) for cloud in dict.fromkeys(chosen)]
    sys.stdout.write(script(accounts, found, required_checks(root), clustered(root, found)))
    return 0
