"""The workflow on GCP: its steps in order as local processes, what starts it, and what each identity may do."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.gcp import states
from infra.shape import Step, Unsupported
from tests.app import processes
from tests.infra.gcp.planned import PROJECT, Planned, named, of_type, only, planned
from tests.infra.gcp.walking import EXECUTION, CallError, walk

PROGRAM = """
    logs = parts.key("logs")
    data = parts.store("data", StoreArgs(logs))
    served_by = container("server", key=logs)
    predict = parts.service(
        "predict", ServiceArgs(served_by, CALLERS, "predict.dev.example.com", 8080, Scale(2, 4))
    )
    retrains = Container(
        served_by.image, parts.identity("workflow", "container"), served_by.network, logs, (), {"DATA_STORE": "gs://d/p/"}
    )
    steps = tuple(Step(job, (job,)) for job in ("train", "evaluate", "publish"))
    parts.workflow("retrain", WorkflowArgs(retrains, steps, predict, data, "people/", "30 2 * * 0"))
"""
STEPS = ["train", "evaluate", "publish"]
ORDER = [name for step in STEPS for name in (step, f"{step}-succeeded")] + ["deploy-read", "deploy-mark", "deploy"]


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> list[Planned]:
    return planned(tmp_path_factory.mktemp("retrain"), PROGRAM)


@pytest.fixture
def definition(resources: list[Planned]) -> dict[str, Any]:
    found = json.loads(only(resources, "Workflow").inputs["sourceContents"])
    assert isinstance(found, dict)
    return found


def jobs(resources: list[Planned]) -> dict[str, dict[str, Any]]:
    """The container of each step's job, by the job's full name."""
    return {
        job.outputs["id"]: job.inputs["template"]["template"]["containers"][0]
        for job in of_type(resources, "Job")
        if job.type.startswith("gcp:cloudrunv2/")
    }


def bound(resources: list[Planned], account: str) -> set[tuple[str, str]]:
    """What an identity is granted: where, and which role."""
    rows = [row for row in resources if f":{account}@" in str(row.inputs.get("member"))]
    assert rows
    return {(row.kind, row.inputs["role"].rpartition("/")[2]) for row in rows}


@pytest.mark.slow
def test_the_steps_train_evaluate_publish_and_deploy_a_model_when_they_are_run(
    resources: list[Planned], definition: dict[str, Any]
) -> None:
    containers, deployed = jobs(resources), []
    with processes.moto_server() as url:

        def call(name: str, arguments: Mapping[str, Any]) -> Any:
            if name == states.RUN:
                done = processes.run(containers[arguments["name"]]["args"], processes.environment(url))
                return {} if done.returncode else {"succeededCount": 1}
            if name == states.READ:
                return {"template": {}}
            published = processes.s3(url).get_object(Bucket="models", Key="height-weight/current.json")
            assert json.load(published["Body"])["version"]
            deployed.append(arguments["name"])
            return None

        walked = walk(definition, call)
    assert (walked.steps, walked.error) == (ORDER, None)
    assert deployed == [f"projects/{PROJECT}/locations/europe-west1/services/groundwork-dev-predict"]


@pytest.mark.parametrize("failing", STEPS)
def test_a_step_that_fails_as_a_process_ends_the_workflow(
    resources: list[Planned], definition: dict[str, Any], failing: str
) -> None:
    containers = jobs(resources)

    def call(name: str, arguments: Mapping[str, Any]) -> Any:
        assert name == states.RUN
        (command,) = containers[arguments["name"]]["args"]
        code = subprocess.run(
            [sys.executable, "-c", f"raise SystemExit({command == failing:d})"], check=False
        ).returncode
        return {"failedCount": 1} if code else {"succeededCount": 1}

    walked = walk(definition, call)
    assert walked.steps == ORDER[: ORDER.index(f"{failing}-succeeded") + 1]
    assert walked.error == f"The step {failing} has failed."


@pytest.mark.parametrize("failing", range(5))
def test_the_first_call_that_fails_ends_it_and_nothing_comes_after(definition: dict[str, Any], failing: int) -> None:
    calls = 0

    def call(name: str, arguments: Mapping[str, Any]) -> Any:
        nonlocal calls
        calls += 1
        if calls == failing + 1:
            raise CallError("OperationError")
        return {"succeededCount": 1, "template": {}}

    assert walk(definition, call).error == "OperationError"
    assert calls == failing + 1


def test_the_deployment_changes_nothing_of_the_service_but_a_mark(definition: dict[str, Any]) -> None:
    service: dict[str, Any] = {
        "template": {"annotations": {"kept": "yes"}, "containers": [{"image": "app@sha256:1"}]},
        "etag": "1",
    }
    deployed: list[Any] = []

    def call(name: str, arguments: Mapping[str, Any]) -> Any:
        if name == states.REPLACE:
            deployed.append(arguments["body"])
        return service if name == states.READ else {"succeededCount": 1}

    assert walk(definition, call).error is None
    annotations = {"kept": "yes", "retrained-by": EXECUTION}
    assert deployed == [{**service, "template": {**service["template"], "annotations": annotations}}]


def test_no_step_runs_for_ever(resources: list[Planned], definition: dict[str, Any]) -> None:
    waits = [
        step["args"]["connector_params"]["timeout"]
        for row in definition["main"]["steps"]
        for step in row.values()
        if step.get("call") in (states.RUN, states.REPLACE)
    ]
    assert len(waits) == 4
    assert max(waits) <= 6 * 3600
    for job in of_type(resources, "Job"):
        if job.type.startswith("gcp:cloudrunv2/"):
            task = job.inputs["template"]["template"]
            assert (task["timeout"], task["maxRetries"]) == ("21600s", 0)


def test_steps_of_one_name_or_of_the_deployment_s_are_refused() -> None:
    for names in (("a", "a"), ("deploy",)):
        with pytest.raises(Unsupported, match="names of their own"):
            states.definition([Step(name, (name,)) for name in names], {}, "service")


def test_the_steps_are_the_image_by_digest_in_the_private_network_under_our_key(resources: list[Planned]) -> None:
    for job in of_type(resources, "Job"):
        if job.type.startswith("gcp:cloudscheduler/"):
            continue
        task = job.inputs["template"]["template"]
        assert "@sha256:" in task["containers"][0]["image"]
        assert task["encryptionKey"].endswith("/cryptoKeys/groundwork-dev-logs")
        assert task["serviceAccount"].startswith("groundwork-dev-workflow@")
        assert task["vpcAccess"]["egress"] == "ALL_TRAFFIC"
        (interface,) = task["vpcAccess"]["networkInterfaces"]
        assert interface["tags"] == ["groundwork-dev-members"]
        assert task["containers"][0]["envs"] == [{"name": "DATA_STORE", "value": "gs://d/p/"}]


def test_the_workflow_and_what_starts_it_are_under_our_key(resources: list[Planned]) -> None:
    assert only(resources, "Workflow").inputs["cryptoKeyName"].endswith("/cryptoKeys/groundwork-dev-logs")
    topic = only(resources, "Topic").inputs
    assert topic["kmsKeyName"].endswith("/cryptoKeys/groundwork-dev-logs")
    assert topic["messageStoragePolicy"] == {"allowedPersistenceRegions": ["europe-west1"]}


def test_the_conductor_may_run_the_steps_and_replace_the_copies_and_no_more(resources: list[Planned]) -> None:
    (account,) = {only(resources, "Workflow").inputs["serviceAccount"].partition("@")[0]}
    kinds = bound(resources, account)
    assert ("JobIamMember", "run.invoker") in kinds
    assert {kind for kind, role in kinds if role == "run.invoker"} == {"JobIamMember"}
    runs = [row for row in of_type(resources, "JobIamMember") if f":{account}@" in row.inputs["member"]]
    assert sorted(row.inputs["name"] for row in runs) == sorted(f"groundwork-dev-retrain-{step}" for step in STEPS)
    roles = {row.inputs["roleId"]: row.inputs["permissions"] for row in of_type(resources, "IAMCustomRole")}
    project_wide = {role for kind, role in kinds if kind == "IAMMember" and role in roles}
    assert {permission for role in project_wide for permission in roles[role]} == {
        "logging.logEntries.create",
        "run.executions.get",
        "run.operations.get",
    }


@pytest.mark.parametrize("starter", ["retrain-landing", "retrain-schedule"])
def test_what_starts_it_may_start_workflows_and_nothing_else(resources: list[Planned], starter: str) -> None:
    account = named(resources, "Account")[starter].inputs["accountId"]
    ((kind, what),) = bound(resources, account)
    assert kind == "IAMMember"
    (role,) = (row for row in of_type(resources, "IAMCustomRole") if row.inputs["roleId"] == what)
    assert role.inputs["permissions"] == ["workflows.executions.create"]


def test_an_object_that_lands_under_the_prefix_starts_it_and_no_other(resources: list[Planned]) -> None:
    notification, topic = only(resources, "Notification").inputs, only(resources, "Topic")
    assert notification["bucket"] == "acme-groundwork-dev-data"
    assert notification["objectNamePrefix"] == "people/"
    assert notification["eventTypes"] == ["OBJECT_FINALIZE"]
    assert notification["topic"] == topic.outputs["id"]
    trigger = only(resources, "Trigger").inputs
    assert trigger["transport"]["pubsub"]["topic"] == topic.outputs["id"]
    assert trigger["destination"] == {"workflow": only(resources, "Workflow").outputs["id"]}


def test_cloud_storage_alone_may_announce_objects(resources: list[Planned]) -> None:
    member = only(resources, "TopicIAMMember").inputs
    assert member["role"] == "roles/pubsub.publisher"
    assert "gs-project-accounts" in member["member"]


def test_a_schedule_in_utc_starts_it_with_a_token_and_no_secret(resources: list[Planned]) -> None:
    (job,) = (row for row in of_type(resources, "Job") if row.type.startswith("gcp:cloudscheduler/"))
    assert (job.inputs["schedule"], job.inputs["timeZone"]) == ("30 2 * * 0", "Etc/UTC")
    target = job.inputs["httpTarget"]
    workflow = only(resources, "Workflow").outputs["id"]
    assert target["uri"] == f"https://workflowexecutions.googleapis.com/v1/{workflow}/executions"
    assert "@" in target["oauthToken"]["serviceAccountEmail"]
    assert "headers" not in target


def test_every_run_is_logged_under_our_key(resources: list[Planned]) -> None:
    sink = named(resources, "ProjectSink")["retrain"].inputs["filter"]
    for step in STEPS:
        assert f'"groundwork-dev-retrain-{step}"' in sink
    assert only(resources, "Workflow").inputs["callLogLevel"] == "LOG_ALL_CALLS"


def test_the_definition_is_the_same_each_time(tmp_path: Path, definition: dict[str, Any]) -> None:
    again = only(planned(tmp_path, PROGRAM), "Workflow").inputs["sourceContents"]
    assert json.loads(again) == definition
