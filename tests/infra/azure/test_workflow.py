"""Retraining: its jobs, what starts it, what it may do, and its steps run in their order as local processes."""

import subprocess
import sys
from typing import Any

import pytest

from tests.infra.azure.logic_apps import Run
from tests.infra.azure.planned import Planned, planned

PROGRAM = """
data = parts.store("data", StoreArgs(data_key, logs))
runner = parts.identity("workflow", "container")
predict = parts.service("predict", served)
container = Container(container.image, runner, network, logs_key, environment={"MODEL_STORE": "models"})
steps = tuple(Step(name, ("python", "-m", "app", name)) for name in ("train", "evaluate", "publish"))
retrain = parts.workflow("retrain", WorkflowArgs(container, steps, predict, data, "people/", "30 2 * * 0"))
pulumi.export("name", retrain.name)
"""
STEPS = ("train", "evaluate", "publish")


@pytest.fixture(scope="module")
def plan() -> Planned:
    return planned(PROGRAM, ground=True)


def role_of(plan: Planned, grant: str) -> dict[str, Any]:
    role_id = plan.granted(grant).inputs["roleDefinitionId"]
    (found,) = [row for row in plan.of_type("authorization:RoleDefinition") if row.outputs["id"] == role_id]
    (permission,) = found.inputs["permissions"]
    return {kind: actions for kind, actions in permission.items() if actions}


def test_each_step_is_a_job_of_the_same_image_with_its_own_command(plan: Planned) -> None:
    jobs = {row.name: row.inputs for row in plan.of_type("app:Job")}
    assert list(jobs) == sorted(f"retrain-{step}" for step in STEPS)
    for step in STEPS:
        (container,) = jobs[f"retrain-{step}"]["template"]["containers"]
        assert container["args"] == ["python", "-m", "app", step]
        assert container["image"].endswith("@sha256:" + "0" * 64)
        variables = {one["name"]: one["value"] for one in container["env"]}
        client = plan.named("managedidentity:UserAssignedIdentity", "workflow").outputs["clientId"]
        assert variables == {"AZURE_CLIENT_ID": client, "MODEL_STORE": "models"}


def test_a_step_that_fails_is_not_tried_again(plan: Planned) -> None:
    for row in plan.of_type("app:Job"):
        assert row.inputs["configuration"]["replicaRetryLimit"] == 0
        assert row.inputs["configuration"]["triggerType"] == "Manual"


def test_a_step_has_the_workflows_identity_and_no_token_of_the_one_that_fetches_its_image(plan: Planned) -> None:
    runner = plan.named("managedidentity:UserAssignedIdentity", "workflow").outputs["id"]
    starter = plan.named("managedidentity:UserAssignedIdentity", "retrain-starter").outputs["id"]
    for row in plan.of_type("app:Job"):
        settings = {one["identity"]: one["lifecycle"] for one in row.inputs["configuration"]["identitySettings"]}
        assert settings == {runner: "Main", starter: "None"}
        (registry,) = row.inputs["configuration"]["registries"]
        assert registry["identity"] == starter
        assert "passwordSecretRef" not in registry


def test_an_object_under_the_prefix_and_no_other_event_is_told_by_a_message(plan: Planned) -> None:
    told = plan.only("eventgrid:SystemTopicEventSubscription").inputs
    assert told["filter"] == {
        "includedEventTypes": ["Microsoft.Storage.BlobCreated"],
        "subjectBeginsWith": "/blobServices/default/containers/data/blobs/people/",
        "isSubjectCaseSensitive": True,
    }
    topic = plan.only("eventgrid:SystemTopic")
    assert topic.inputs["source"] == plan.named("storage:StorageAccount", "data").outputs["id"]
    delivery = told["deliveryWithResourceIdentity"]
    assert delivery["destination"]["queueName"] == plan.only("storage:Queue").inputs["queueName"]
    assert delivery["destination"]["resourceId"] == plan.named("storage:StorageAccount", "retrain-landed").outputs["id"]
    sender = plan.named("managedidentity:UserAssignedIdentity", "retrain-landing").outputs
    assert delivery["identity"] == {"type": "UserAssigned", "userAssignedIdentity": sender["id"]}
    assert (
        plan.granted("retrain-landing-send-retrain-queue").inputs["scope"] == plan.only("storage:Queue").outputs["id"]
    )


def test_the_queue_takes_no_keys_and_nobody_from_outside(plan: Planned) -> None:
    account = plan.named("storage:StorageAccount", "retrain-landed").inputs
    assert account["allowSharedKeyAccess"] is False
    assert account["publicNetworkAccess"] == "Disabled"
    assert account["networkRuleSet"] == {"bypass": "AzureServices", "defaultAction": "Deny"}
    assert account["encryption"]["services"]["queue"]["keyType"] == "Account"


def test_the_workflow_may_run_its_jobs_count_its_messages_and_restart_its_service(plan: Planned) -> None:
    scopes = {f"retrain-run-{step}": plan.named("app:Job", f"retrain-{step}").outputs["id"] for step in STEPS}
    for grant, scope in scopes.items():
        assert plan.granted(grant).inputs["scope"] == scope
        assert role_of(plan, grant) == {
            "actions": ["Microsoft.App/jobs/executions/read", "Microsoft.App/jobs/start/action"]
        }
    queues = "Microsoft.Storage/storageAccounts/queueServices/queues"
    assert role_of(plan, "retrain-take-retrain-queue") == {
        "actions": [f"{queues}/read"],
        "dataActions": [f"{queues}/messages/delete"],
    }
    deploy = plan.granted("retrain-deploy-predict").inputs
    assert deploy["scope"] == plan.only("app:ContainerApp").outputs["id"]
    principal = plan.only("logic:Workflow").outputs["identity"]["principalId"]
    theirs = [
        row.name for row in plan.of_type("authorization:RoleAssignment") if row.inputs["principalId"] == principal
    ]
    assert sorted(theirs) == sorted([*scopes, "retrain-take-retrain-queue", "retrain-deploy-predict"])


def test_the_schedule_starts_it_too(plan: Planned) -> None:
    triggers = plan.only("logic:Workflow").inputs["definition"]["triggers"]
    assert triggers["schedule"]["recurrence"]["schedule"] == {"hours": [2], "minutes": [30], "weekDays": ["Sunday"]}
    account = plan.named("storage:StorageAccount", "retrain-landed").inputs["accountName"]
    queue = plan.only("storage:Queue").inputs["queueName"]
    where = f"https://{account}.queue.core.windows.net/{queue}?comp=metadata"
    assert triggers["object-landed"]["inputs"]["uri"] == where


@pytest.mark.parametrize("failing", [None, *STEPS])
def test_the_planned_steps_run_as_processes_until_one_fails(plan: Planned, failing: str | None) -> None:
    jobs = {row.outputs["id"]: row.inputs for row in plan.of_type("app:Job")}
    app, ran, states = plan.only("app:ContainerApp").outputs["id"], [], {}

    def call(method: str, uri: str) -> Any:
        path = uri.partition("?")[0].removeprefix("https://management.azure.com")
        if path.startswith("https://"):
            return None
        if path == app:
            return {"properties": {"latestReadyRevisionName": "predict--2"}}
        if path == f"{app}/revisions/predict--2/restart":
            ran.append("deploy")
            return None
        job, _, verb = path.rpartition("/")
        if verb == "start":
            (container,) = jobs[job]["template"]["containers"]
            step = container["args"][-1]
            ran.append(step)
            code = f"raise SystemExit({int(step == failing)})"
            ended = subprocess.run([sys.executable, "-c", code, *container["args"]], check=False).returncode
            states[job] = "Failed" if ended else "Succeeded"
            return None
        assert (method, verb) == ("GET", "executions")
        return {"value": [{"properties": {"startTime": "2026-01-02T00:00:00Z", "status": states[job]}}]}

    run = Run(plan.only("logic:Workflow").inputs["definition"]["actions"], call, lambda: "2026-01-02T00:00:00.1Z")
    ended = run.go()
    expected = [*STEPS, "deploy"] if failing is None else [*STEPS[: STEPS.index(failing) + 1]]
    assert (ended, ran) == ("Succeeded" if failing is None else "Failed", expected)
