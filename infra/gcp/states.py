"""What a workflow does, in the language of Cloud Workflows. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from infra.shape import Step, Unsupported

STEP_SECONDS = 6 * 3600  # after which a step counts as failed
DEPLOY_SECONDS = 900
DEPLOY = "deploy"
MARK = "retrained-by"  # the annotation of a revision that a workflow asked for: which execution it was
RUN = "googleapis.run.v2.projects.locations.jobs.run"
READ = "googleapis.run.v2.projects.locations.services.get"
REPLACE = "googleapis.run.v2.projects.locations.services.patch"


def definition(
    steps: Sequence[Step], jobs: Mapping[str, pulumi.Input[str]], deploys: pulumi.Input[str]
) -> dict[str, Any]:
    """The workflow: the steps in order, then the deployment; the first failure ends it as failed.

    `jobs` has the Cloud Run job of each step, `deploys` is the Cloud Run service that gets a new revision, both by
    their full names.
    """
    names = [step.name for step in steps]
    if len(set(names)) < len(names) or DEPLOY in names:
        raise Unsupported(f"gcp: the steps {names} need names of their own, other than {DEPLOY}.")
    done = [part for step in steps for part in _run(step, jobs[step.name])]
    return {"main": {"params": ["event"], "steps": [*done, *_deploy(deploys)]}}


def _run(step: Step, job: pulumi.Input[str]) -> list[dict[str, Any]]:
    """Runs the step's job and waits for its end; an execution none of whose tasks succeeded ends the workflow."""
    failed = '${default(map.get(execution, "succeededCount"), 0) < 1}'
    return [
        {
            step.name: {
                "call": RUN,
                "args": {"name": job, "connector_params": {"timeout": STEP_SECONDS}},
                "result": "execution",
            }
        },
        {f"{step.name}-succeeded": {"switch": [{"condition": failed, "raise": f"The step {step.name} has failed."}]}},
    ]


def _deploy(service: pulumi.Input[str]) -> list[dict[str, Any]]:
    """A new revision of the service as it is: another annotation is enough for Cloud Run to make one."""
    annotations = '${map.merge(default(map.get(service, ["template", "annotations"]), mark), mark)}'
    return [
        {f"{DEPLOY}-read": {"call": READ, "args": {"name": service}, "result": "service"}},
        {
            f"{DEPLOY}-mark": {
                "assign": [
                    {"mark": {MARK: '${sys.get_env("GOOGLE_CLOUD_WORKFLOW_EXECUTION_ID")}'}},
                    {"service.template.annotations": annotations},
                ]
            }
        },
        {
            DEPLOY: {
                "call": REPLACE,
                "args": {
                    "name": service,
                    "body": "${service}",
                    "connector_params": {"timeout": DEPLOY_SECONDS},
                },
            }
        },
    ]
