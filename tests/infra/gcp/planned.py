"""Plan a piece of a program on GCP with the planner, and hand back what it registered, outputs made up.

The program's text has `parts` (`infra.gcp.cloud.Parts`), `shape` and the arguments of a service at hand. Assertions
belong on what comes back.
"""

from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

from localcloud import plan
from tests.localcloud.planning import planned as evaluation

PROJECT, NUMBER, REGION = "acme-ml-dev", 123456789012, "europe-west1"
PREAMBLE = """
import pulumi
from infra import shape
from infra.context import Context
from infra.gcp.args import GcpArgs
from infra.gcp.cloud import Gcp
from infra.shape import *

ctx = Context("groundwork", "{environment}", "acme", "ml-platform", "research", "internal", {disposable})
args = GcpArgs("{project}", {number}, "{region}", ("b", "c"), "example-com", "012345-6789AB-CDEF01", {replica!r})
root = pulumi.ComponentResource("test:index:Root", "root")
parts = Gcp(ctx, args).parts(root)
DIGEST = "sha256:" + "a" * 64


def network():
    return parts.network("10.10.0.0/16", ("10.0.0.0/8",), parts.key("logs"))


def container(workload="server", runs_on="container", command=(), environment=None, key=None):
    key = key or parts.key("logs")
    image = parts.registry("app", parts.key("data")).image(DIGEST)
    net = parts.network("10.10.0.0/16", ("10.0.0.0/8",), key)
    return Container(image, parts.identity(workload, runs_on), net, key, command, environment or {{}})


CALLERS = Callers(("10.0.0.0/8",), "https://login.example.com", "predict", 600)


def served(scale=None, **container_args):
    return ServiceArgs(
        container(**container_args), CALLERS, "predict.dev.example.com", 8080, scale or Scale(2, 4)
    )
"""


@dataclass(frozen=True)
class Planned:
    """One resource as the plan has it: wire names, synthetic outputs in place."""

    type: str
    name: str
    urn: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The last word of its type (`Bucket`)."""
        return self.type.rpartition(":")[2]


def planned(
    directory: Path,
    program: str,
    *,
    environment: str = "dev",
    disposable: bool = False,
    replica: str | None = None,
) -> list[Planned]:
    """What the program registers on GCP, beyond components, providers and the switches of APIs."""
    facts = {"project": PROJECT, "number": NUMBER, "region": REGION, "replica": replica}
    source = PREAMBLE.format(environment=environment, disposable=disposable, **facts) + dedent(program)
    document = plan.graph(evaluation(directory, source))
    return [
        Planned(row["type"], row["name"], row["urn"], row["inputs"], row["outputs"], row.get("options", {}))
        for row in document["resources"]
        if row["custom"] and not row["type"].startswith("pulumi:") and row["type"] != "gcp:projects/service:Service"
    ]


def of_type(resources: list[Planned], kind: str) -> list[Planned]:
    """Those of one type, named by its last word (`Bucket`)."""
    return [resource for resource in resources if resource.kind == kind]


def only(resources: list[Planned], kind: str, name: str | None = None) -> Planned:
    """The one resource of a type, or the one of that type and name."""
    (found,) = (one for one in of_type(resources, kind) if name in (None, one.name))
    return found


def named(resources: list[Planned], kind: str) -> dict[str, Planned]:
    """Those of one type by their names."""
    return {resource.name: resource for resource in of_type(resources, kind)}
