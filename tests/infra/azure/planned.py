"""Plan a small program of Azure's parts, with synthetic outputs, and ask what it would create."""

import functools
import re
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud import plan
from tests.localcloud.planning import planned as evaluated

SUBSCRIPTION = "00000000-0000-4000-8000-000000000001"
# The certificate of the domain, outside of the environment's group.
SECRET = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/dns/providers/Microsoft.KeyVault/vaults/acme/secrets/predict"
START = """
import pulumi
from infra.azure.args import AzureArgs
from infra.azure.cloud import Azure
from infra.context import Context
from infra.shape import *

ctx = Context("groundwork", "dev", "acme", "ml-platform", "research", "internal", disposable={disposable})
args = AzureArgs(
    "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002", "westeurope", ("1", "2"),
    "example.com", "dns", {replica!r}, "{secret}", "2026-12",
)
root = pulumi.ComponentResource("tests:Root", "root")
parts = Azure(ctx, args).parts(root)
"""
# What most parts need first: keys, network, access logs, an image, and who may call.
GROUND = """
data_key, logs_key = parts.key("data"), parts.key("logs")
network = parts.network("10.10.0.0/16", ("10.0.0.0/8",), logs_key)
logs = parts.store("logs", StoreArgs(logs_key))
images = parts.registry("app", data_key)
server = parts.identity("server", "container")
callers = Callers(("10.0.0.0/8",), "https://login.example.com", "predict", 600)
container = Container(images.image("sha256:" + "0" * 64), server, network, logs_key, environment={"LAKE": "lake"})
served = ServiceArgs(container, callers, "predict.dev.example.com", 8080, Scale(2, 4))
"""

FIELDS = ("name", "inputs", "outputs", "options")


@dataclass(frozen=True)
class Resource:
    """One resource of a plan: its type without `azure-native:`, what was asked for, what would come of it."""

    type: str
    name: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    options: dict[str, Any]
    dependencies: list[str]


class Planned:
    """What a program would create."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.outputs: dict[str, Any] = document["outputs"]
        self.resources = [
            Resource(
                row["type"].removeprefix("azure-native:"),
                row["name"],
                row["inputs"],
                row["outputs"],
                row["options"],
                row["dependencies"],
            )
            for row in document["resources"]
            if row["type"].startswith("azure-native:")
        ]
        self.objects: list[dict[str, Any]] = [
            row["inputs"]
            for row in document["resources"]
            if row["type"].startswith("kubernetes:") and "kind" in row["inputs"]
        ]

    def of_type(self, kind: str) -> list[Resource]:
        """The resources of a type (`storage:StorageAccount`)."""
        return [row for row in self.resources if row.type == kind]

    def named(self, kind: str, name: str) -> Resource:
        """The resource of a type with this name in the program."""
        (found,) = [row for row in self.of_type(kind) if row.name == name]
        return found

    def only(self, kind: str) -> Resource:
        """The one resource of a type."""
        (found,) = self.of_type(kind)
        return found

    def granted(self, name: str) -> Resource:
        """The role assignment of a grant (`server-read-data`)."""
        return self.named("authorization:RoleAssignment", name)


@functools.cache
def planned(source: str, *, ground: bool = False, disposable: bool = False, replica: str | None = None) -> Planned:
    """The plan of a program in which `parts` are those of Azure; with `ground`, all that most parts need is there."""
    program = START.format(disposable=disposable, replica=replica, secret=SECRET) + (GROUND if ground else "")
    with tempfile.TemporaryDirectory() as directory:
        return Planned(plan.graph(evaluated(Path(directory), program + textwrap.dedent(source))))


def unknown_keys(value: Any, path: str = "") -> list[str]:
    """Keys with an underscore: what the SDK did not translate, and what Azure would leave out without a word."""
    if isinstance(value, list):
        return [found for item in value for found in unknown_keys(item, path)]
    if not isinstance(value, dict):
        return []
    here = [f"{path}.{key}" for key in value if re.search("[a-z]_[a-z]", key)]
    return here + [found for key, item in value.items() for found in unknown_keys(item, f"{path}.{key}")]
