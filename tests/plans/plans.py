"""The plans of the environments, as `python -m localcloud plan --json` prints them, and questions to ask of them."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ("local", "dev", "staging", "prod")
Statement = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """One resource of a plan. `inputs` are what the program asked for."""

    urn: str
    type: str
    name: str
    custom: bool
    provider: str | None
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    options: dict[str, Any]

    def document(self, key: str = "policy") -> list[Statement]:
        """The statements of a policy document among the inputs."""
        statements: list[Statement] = json.loads(self.inputs[key])["Statement"]
        return statements


@dataclass(frozen=True)
class Plan:
    """One environment's plan."""

    environment: str
    resources: tuple[Resource, ...]
    outputs: dict[str, Any]

    def of_type(self, token: str) -> list[Resource]:
        """The resources of a type, named without `aws:` and the module's second half (`s3:Bucket`)."""
        module, kind = token.split(":")
        found = [row for row in self.resources if row.type == f"aws:{module}/{kind[0].lower()}{kind[1:]}:{kind}"]
        assert found, f"no {token} in the plan of {self.environment}"
        return found

    def only(self, token: str) -> Resource:
        """The one resource of a type."""
        (found,) = self.of_type(token)
        return found

    def named(self, token: str, name: str) -> Resource:
        """The resource of a type with this name in the program."""
        (found,) = [row for row in self.of_type(token) if row.name == name]
        return found

    def statements(self) -> Iterator[tuple[Resource, str, Statement]]:
        """Each statement of each policy document among the inputs, with its resource and property."""
        for row in self.resources:
            for key, value in row.inputs.items():
                if isinstance(value, str) and '"Statement"' in value:
                    yield from ((row, key, statement) for statement in row.document(key))

    def granted(self, identity: str) -> list[Statement]:
        """All that is attached to a role, which is named as in the program."""
        role = self.named("iam:Role", identity).inputs["name"]
        attached = [row for row in self.of_type("iam:RolePolicy") if row.inputs["role"] == role]
        return [statement for row in attached for statement in row.document()]

    def container(self) -> dict[str, Any]:
        """The one container of the service's task."""
        (container,) = json.loads(self.only("ecs:TaskDefinition").inputs["containerDefinitions"])
        assert isinstance(container, dict)
        return container


def evaluated(environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the plan command: with no credentials, and in an empty home."""
    with tempfile.TemporaryDirectory() as home:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PULUMI_"))}
        return subprocess.run(
            [sys.executable, "-m", "localcloud", "plan", "-C", str(ROOT), "-s", environment, "--json"],
            cwd=ROOT,
            env={**kept, "HOME": home},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


evaluated_once = functools.cache(evaluated)


@functools.cache
def _plan(text: str, environment: str) -> Plan:
    document = json.loads(text)
    fields = Resource.__dataclass_fields__
    rows = ({key: value for key, value in row.items() if key in fields} for row in document["resources"])
    return Plan(environment, tuple(Resource(**row) for row in rows), document["outputs"])


def plan_of(environment: str) -> Plan:
    """The plan of an environment, made once, or the reason why there is none."""
    done = evaluated_once(environment)
    assert done.returncode == 0, done.stderr
    return _plan(done.stdout, environment)
