"""Plans of a small program with all parts that run the app on AWS, for the tests of these parts."""

import functools
import tempfile
from pathlib import Path

from localcloud import plan
from tests.localcloud.planning import planned
from tests.plans.plans import Plan, Resource

# Everything that the app's other ways to run are made from; the service itself is what a workflow deploys.
PROGRAM = """
import pulumi
from infra.aws.args import AwsArgs
from infra.aws.cloud import Aws
from infra.context import Context
from infra.shape import (
    ApiArgs, Callers, Container, JobArgs, KubernetesArgs, Scale, ServiceArgs, Step, StoreArgs, WorkflowArgs,
)

ctx = Context("groundwork", "{environment}", "acme", "ml-platform", "research", "internal", disposable={disposable})
args = AwsArgs("eu-west-1", ("a", "b"), hosted_zone={zone!r}, endpoint={endpoint!r})
parts = Aws(ctx, args).parts(pulumi.ComponentResource("test:index:Root", "root"))
key = parts.key("logs")
network = parts.network("10.10.0.0/16", ("10.0.0.0/8",), key)
image = parts.registry("app", key).image("sha256:" + "a" * 64)
data = parts.store("data", StoreArgs(key))
server, workflow = parts.identity("server", "container"), parts.identity("workflow", "container")
function = parts.identity("function", "function")
callers = Callers(("10.0.0.0/8",), "https://login.example.com", "predict", 600)
variables = {{"MODEL_STORE": "s3://models/x/"}}
serving = Container(image, server, network, key, environment=variables, scratch="/spool")
served = ServiceArgs(serving, callers, "predict.example.com", 8080, Scale(3, 10))
service = parts.service("predict", served)
steps = tuple(Step(job, (job,)) for job in ("drift", "train", "evaluate", "publish"))
training = Container(image, workflow, network, key, environment={{"DATA_STORE": data.uri("people/"), **variables}})
parts.workflow("retrain", WorkflowArgs(training, steps, service, data, "people/incoming/", "30 2 * * 0"))
eraser = parts.identity("eraser", "container")
parts.job("forget", JobArgs(Container(image, eraser, network, key, ("forget",), variables), service))
api = parts.api("api", ApiArgs(Container(image, function, network, key, ("function",), variables), callers, 30))
api.grant_erase(eraser)
parts.kubernetes("predict", KubernetesArgs(served))
"""


@functools.cache
def plan_of(environment: str = "dev") -> Plan:
    """The plan of these parts; in the environment `local` they are disposable, and AWS is an emulator."""
    local = environment == "local"
    source = PROGRAM.format(
        environment=environment,
        disposable=local,
        zone=None if local else "Z0123456789",
        endpoint="https://localhost:4566" if local else None,
    )
    with tempfile.TemporaryDirectory() as directory:
        document = plan.graph(planned(Path(directory), source))
    fields = Resource.__dataclass_fields__
    rows = ({key: value for key, value in row.items() if key in fields} for row in document["resources"])
    return Plan(environment, tuple(Resource(**row) for row in rows), document["outputs"])
