"""What must hold for every workflow, over the parsed files. What a runner of workflows on this machine does not enforce
(branch filters, queues, environments, permissions, OIDC) is held here alone."""

import re
from pathlib import Path

import pytest
import yaml

from rollout import branches
from tests.rollout.workflows import reading
from tests.rollout.workflows.reading import GITHUB, ROOT, parse, problems, workflows

MAP = branches.read()
MAPPED = [row.branch for row in MAP.rows]
# What each job may do with the repository: a change of this table is a change of who is trusted with what.
READ = {"contents": "read"}
PERMISSIONS = {
    "check.yml": {"check": READ},
    "preview.yml": {"preview": READ},
    "preview-cloud.yml": {"preview": READ | {"id-token": "write"}},
    "comment.yml": {"comment": READ | {"actions": "read", "pull-requests": "write"}},
    "deploy.yml": {
        "resolve": READ,
        "image": READ | {"attestations": "write", "id-token": "write", "packages": "write"},
        "deploy": READ
        | {"actions": "read", "attestations": "read", "id-token": "write", "packages": "read", "pull-requests": "read"},
        "record": {"attestations": "write", "contents": "write", "id-token": "write"},
    },
    "drift.yml": {
        "resolve": READ,
        "drift": READ | {"attestations": "read", "id-token": "write"},
        "issue": READ | {"issues": "write"},
    },
    "loadtest.yml": {"resolve": READ, "load": READ | {"id-token": "write"}},
    "evidence.yml": {
        "judge": READ,
        "publish": READ | {"attestations": "write", "id-token": "write", "security-events": "write"},
    },
}
IN_A_STACKS_QUEUE = {("deploy.yml", job) for job in PERMISSIONS["deploy.yml"]}
IN_A_STACKS_QUEUE |= {("drift.yml", "drift"), ("loadtest.yml", "load")}


def uses(steps: list[dict[str, str]], action: str) -> bool:
    return any(action in step.get("uses", "") for step in steps)


def test_each_job_of_each_workflow_may_do_what_the_table_of_permissions_says() -> None:
    assert {
        name: {job: content["permissions"] for job, content in file.jobs.items()} for name, file in workflows().items()
    } == PERMISSIONS


@pytest.mark.parametrize("name", sorted(workflows()))
def test_a_workflow_keeps_every_rule(name: str) -> None:
    assert problems(workflows()[name]) == []


@pytest.mark.parametrize("name", sorted(reading.actions()))
def test_a_composite_action_keeps_the_rules_for_steps(name: str) -> None:
    rules = (
        reading.actions_that_are_not_pinned,
        reading.scripts_that_are_no_single_command,
        reading.secrets_of_anybody,
    )
    assert problems(reading.actions()[name], rules) == []


BROKEN = [
    ("deploy.yml", "persist-credentials: false", "persist-credentials: true", "persist-credentials: false"),
    ("deploy.yml", "          persist-credentials: false\n", "", "persist-credentials: false"),
    ("deploy.yml", "permissions: {}", "permissions: read-all", "permissions: {}"),
    ("check.yml", "      contents: read # to check out\n", "      contents: admin\n", "read or write"),
    ("check.yml", "    permissions:\n      contents: read # to check out\n", "", "name each permission"),
    ("check.yml", "ubuntu-24.04", "ubuntu-latest", "the runner is to be"),
    ("check.yml", "timeout-minutes: 60", "timeout-minutes: 600", "timeout-minutes"),
    ("check.yml", "    timeout-minutes: 60\n", "", "timeout-minutes"),
    ("check.yml", "@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "not pinned"),
    ("check.yml", "@3d3c42e5aac5ba805825da76410c181273ba90b1", f"@{'0' * 40}", "not pinned"),
    ("check.yml", "# v7.0.1", "# v7.0.2", "its version as a comment"),
    ("check.yml", "./.github/actions/set-up", "./.github/actions/elsewhere", "no action of ours"),
    ("check.yml", "run: make test", "run: make ${{ github.head_ref }}", "spliced"),
    ("check.yml", "run: make test", "run: make lint && make test", "one command"),
    ("check.yml", "run: make test", "run: |\n          make lint\n          make test", "one command"),
    ("check.yml", "run: make test", "run: make test | tee log", "one command"),
    ("check.yml", "run: make test", "run: make test\n        shell: sh", "the shell is to be"),
    ("check.yml", "run: make test", "run: make test\n        env:\n          A: ${{ secrets.A }}", "no secret"),
    ("check.yml", "  cancel-in-progress: ", "  elsewhere: ", "which runs exclude each other"),
    ("deploy.yml", "  queue: max\n", "", "cancels nothing"),
    ("deploy.yml", "cancel-in-progress: false", "cancel-in-progress: true", "cancels nothing"),
    ("drift.yml", "      queue: max\n", "", "cancels nothing"),
    ("drift.yml", "group: stack-${{ matrix.target.branch }}", "group: stack-${{ matrix.target.stack }}", "its branch"),
    ("loadtest.yml", "group: stack-${{ matrix.target.branch }}", "group: night", "belongs into the stack's queue"),
    ("loadtest.yml", "${{ vars.RUNNER || 'ubuntu-24.04' }}", "ubuntu-24.04", "the runner is to be"),
    ("drift.yml", "group: stack-${{ matrix.target.branch }}", "group: night", "belongs into the stack's queue"),
]


@pytest.mark.parametrize(("name", "old", "new", "told"), BROKEN, ids=[f"{row[0]}: {row[3]}" for row in BROKEN])
def test_a_workflow_that_breaks_a_rule_is_told_so_in_a_sentence(name: str, old: str, new: str, told: str) -> None:
    text = workflows()[name].text
    assert old in text
    found = problems(parse(name, text.replace(old, new)))
    assert found
    assert all(told in sentence for sentence in found), found


def test_the_filters_of_branches_are_those_of_the_map() -> None:
    filtered = {
        (name, event): (content or {}).get("branches")
        for name, file in workflows().items()
        for event, content in file.events.items()
        if event in {"push", "pull_request"}
    }
    assert filtered == {
        ("check.yml", "pull_request"): None,  # from anywhere to anywhere
        ("check.yml", "push"): MAPPED,
        ("preview.yml", "pull_request"): MAPPED,
        ("preview-cloud.yml", "pull_request"): MAPPED,
        ("deploy.yml", "push"): MAPPED,
        ("evidence.yml", "push"): [MAP.default],
    }


def test_no_workflow_starts_by_an_event_that_is_not_expected() -> None:
    events = {event for file in workflows().values() for event in file.events}
    assert events == {"pull_request", "push", "schedule", "workflow_dispatch", "workflow_run"}
    assert [name for name, file in workflows().items() if "workflow_run" in file.events] == ["comment.yml"]


def test_an_environment_is_named_where_something_is_deployed_and_comes_from_the_map() -> None:
    named = {
        (name, job): content["environment"]
        for name, file in workflows().items()
        for job, content in file.jobs.items()
        if "environment" in content
    }
    assert named == {("deploy.yml", "deploy"): {"name": "${{ needs.resolve.outputs.environment }}"}}
    resolve = workflows()["deploy.yml"].jobs["resolve"]
    assert "-m rollout resolve " in resolve["steps"][-1]["run"]
    assert resolve["outputs"]["environment"] == "${{ steps.resolve.outputs.environment }}"


def test_no_name_of_a_stack_or_an_environment_is_written_in_a_workflow() -> None:
    names = {name for row in MAP.rows for name in (row.stack, row.environment)} - set(MAPPED) | {"prod"}
    words = {name: re.sub(r"#.*", "", file.text) for name, file in workflows().items()}
    assert not {(file, name) for file, text in words.items() for name in names if re.search(rf"\b{name}\b", text)}


def test_everything_that_touches_a_stack_waits_in_the_queue_of_its_branch() -> None:
    waiting = {
        (name, job)
        for name, file in workflows().items()
        for job, content in file.jobs.items()
        if str(content.get("concurrency", file.data["concurrency"]).get("group")).startswith("stack-")
    }
    assert waiting >= IN_A_STACKS_QUEUE
    assert len({row.branch for row in MAP.rows}) == len({row.stack for row in MAP.rows}) == len(MAP.rows)


def test_only_the_deployment_has_the_apply_identity_and_nothing_else_writes_beside_it() -> None:
    for name, file in workflows().items():
        for job, content in file.jobs.items():
            logins = [step for step in content["steps"] if "actions/clouds" in step.get("uses", "")]
            identities = set(re.findall(r"_(PLAN|APPLY)_", str(content)))
            if not logins:
                assert not identities, (name, job)
                continue
            assert identities == {"APPLY" if "environment" in content else "PLAN"}, (name, job)
            writes = {scope for scope, access in content["permissions"].items() if access == "write"}
            assert writes == {"id-token"}, f"{name}, {job}: an identity in a cloud is all that it may have"


def test_a_preview_from_a_fork_has_nothing_to_steal() -> None:
    for name in ("preview.yml", "check.yml"):
        file = workflows()[name]
        assert {job: content["permissions"] for job, content in file.jobs.items()} == PERMISSIONS[name]
        assert not re.search(r"\b(vars|secrets|github\.token|id-token|environment)\b", re.sub(r"#.*", "", file.text))


def test_a_preview_in_the_cloud_is_for_branches_of_this_repository_alone() -> None:
    job = workflows()["preview-cloud.yml"].jobs["preview"]
    assert job["if"] == ("github.event.pull_request.head.repo.full_name == github.repository && vars.STATE_URL != ''")


def test_a_comment_is_written_by_the_default_branch_s_code_after_both_previews() -> None:
    file = workflows()["comment.yml"]
    previews = [workflows()[name].data["name"] for name in ("preview.yml", "preview-cloud.yml")]
    assert file.events["workflow_run"] == {"workflows": previews, "types": ["completed"]}
    steps = file.jobs["comment"]["steps"]
    refs = [step["with"].get("ref") for step in steps if "checkout" in step.get("uses", "")]
    assert refs == ["${{ github.event.repository.default_branch }}"]
    assert not uses(steps, "download-artifact")  # it is read by Python, with bounds, and never unpacked by an action
    assert "workflow_run" in file.data["concurrency"]["group"]


def test_a_machine_has_the_name_of_its_run_before_it_can_take_a_lock_and_lets_go_of_it_always() -> None:
    steps = workflows()["deploy.yml"].jobs["deploy"]["steps"]
    at = {step["name"]: number for number, step in enumerate(steps)}
    assert steps[at["Name this machine after its run"]]["run"] == (
        'sudo hostname "run-$GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT"'
    )
    assert at["Name this machine after its run"] < at["Deploy"] < at["Let go of the lock"] < at["Keep the record"]
    for name in ("Let go of the lock", "Keep the record"):
        assert steps[at[name]]["if"] == "always() && steps.deploy.outcome != 'skipped'"


def test_an_image_is_built_for_the_first_environment_alone_with_sbom_and_provenance() -> None:
    job = workflows()["deploy.yml"].jobs["image"]
    assert job["if"] == "needs.resolve.outputs.before == ''"
    build = next(step["run"] for step in job["steps"] if "buildx build" in step.get("run", ""))
    for option in ("--sbom true", "--provenance mode=max", "--push", "--metadata-file"):
        assert f" {option} " in build
    signed = [step["with"] for step in job["steps"] if "actions/attest" in step.get("uses", "")]
    assert ["sbom-path" in with_ for with_ in signed] == [True, False]
    assert {with_["subject-digest"] for with_ in signed} == {"${{ steps.built.outputs.digest }}"}


def test_an_image_is_tried_where_docker_is_before_it_is_signed() -> None:
    steps = workflows()["deploy.yml"].jobs["image"]["steps"]
    at = {step["name"]: number for number, step in enumerate(steps)}
    assert steps[at["Try it"]]["uses"] == "./.github/actions/try-image"
    assert steps[at["Try it"]]["with"]["image"].endswith("@${{ steps.built.outputs.digest }}")
    assert at["Build and push"] < at["Try it"] < at["Sign the SBOM"] < at["Sign the provenance"]
    tried = reading.actions()["try-image"].data["runs"]["steps"]
    (start,) = (step["run"] for step in tried if "docker run" in step["run"])
    for option in ("--read-only", "--cap-drop ALL", "--security-opt no-new-privileges"):
        assert option in start
    said = " ".join(step["run"] for step in tried)
    for word in ("10001", "pip", "setuptools", "ensurepip", "/spool/"):
        assert word in said
    assert tried[-1]["if"] == "always()"
    assert tried[-1]["run"].startswith("docker rm --force")


def test_load_is_put_on_staging_at_midnight_and_whatever_became_of_it_is_taken_down() -> None:
    file = workflows()["loadtest.yml"]
    assert file.events["schedule"] == [{"cron": "0 0 * * *"}]
    assert " --branch staging " in file.jobs["resolve"]["steps"][-1]["run"]
    steps = file.jobs["load"]["steps"]
    at = {step["name"]: number for number, step in enumerate(steps)}
    assert at["Where it answers, and what a caller may"] < at["Load test"] < at["Keep the report"] < at["Take down"]
    assert steps[at["Load test"]]["run"].startswith("exec ")  # a cancelled job's signal reaches it
    assert steps[at["Take down"]] == steps[-1]
    assert steps[-1]["if"] == "always()"
    assert "--stop" in steps[-1]["run"]
    folders = {step["run"].rpartition("--out ")[2].strip() for step in steps if "load.run" in step.get("run", "")}
    assert folders == {steps[at["Keep the report"]]["with"]["path"]}


def test_the_pulumi_cli_has_the_version_of_the_sdk() -> None:
    installed = next(step for _, step in reading.actions()["clouds"].steps if "pulumi" in step["uses"])
    pinned = re.search(r"^pulumi==([\d.]+)", (ROOT / "requirements/local.txt").read_text(), re.MULTILINE)
    assert pinned
    assert installed["with"] == {"pulumi-version": pinned[1]}


def test_every_action_that_was_looked_up_is_used() -> None:
    used = {
        (match[1], match[3])
        for file in [*workflows().values(), *reading.actions().values()]
        for _, step in file.steps
        if (match := reading.PINNED.match(step.get("uses", "")))
    }
    assert used == set(reading.looked_up())


def test_code_owners_are_the_reviewers_of_the_last_environment() -> None:
    lines = [line.split() for line in (GITHUB / "CODEOWNERS").read_text().splitlines() if line and line[0] != "#"]
    reviewers = {f"@{reviewer}" for reviewer in MAP.rows[-1].reviewers}
    assert reviewers
    assert lines[0][0] == "*"
    assert {owner for line in lines for owner in line[1:]} == reviewers
    for pattern, *_ in lines[1:]:
        assert list(ROOT.glob(pattern.strip("/"))), f"{pattern} is nowhere"


def test_dependabot_looks_after_actions_packages_and_images_every_week() -> None:
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text())["updates"]
    assert {row["package-ecosystem"]: row["schedule"]["interval"] for row in updates} == {
        "github-actions": "weekly",
        "pip": "weekly",
        "docker": "weekly",
        "docker-compose": "weekly",
    }
    folders = next(row["directories"] for row in updates if row["package-ecosystem"] == "github-actions")
    assert folders == ["/", "/.github/actions/*"]


@pytest.mark.parametrize("settings", ["zizmor.yml", "actionlint.yaml"])
def test_everything_that_a_linter_is_told_to_ignore_has_its_reason_above_it(settings: str) -> None:
    lines = (GITHUB / settings).read_text().splitlines()
    silenced = [number for number, line in enumerate(lines) if re.search(r"disable: true|^\s+- ", line)]
    assert silenced
    for number in silenced:
        above = lines[number - 1].strip()
        assert above.startswith("#"), f"{settings}:{number + 1}"


def test_the_files_of_bad_workflows_are_where_no_runner_finds_them() -> None:
    bad = Path(__file__).parent / "bad"
    assert list(bad.glob("*.yml"))
    assert GITHUB not in bad.parents
