"""The plans of the environments, as `python -m localcloud plan --json` prints them, and questions to ask of them."""

import fcntl
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

import yaml

ROOT = Path(__file__).parents[2]
PLANS = "PLANS_OF_THIS_RUN"  # names a folder in which the processes of one test run find each other's plans
ENVIRONMENTS = ("local", "dev", "staging", "prod")
CLOUDS = ("aws", "gcp", "azure")
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
    """One environment's plan on one cloud."""

    environment: str
    resources: tuple[Resource, ...]
    outputs: dict[str, Any]

    def any_of_type(self, token: str) -> list[Resource]:
        """The resources of a type, if there are any. The token is whole, or short: without its provider and without
        the second half of its module (`s3:Bucket`, `storage:StorageAccount`, `apps:Deployment`)."""
        return [row for row in self.resources if token in (row.type, short(row.type))]

    def of_type(self, token: str) -> list[Resource]:
        """The resources of a type, of which there must be some."""
        found = self.any_of_type(token)
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

    def container(self, task: str = "predict") -> dict[str, Any]:
        """The one container of a task on AWS, which is named as in the program."""
        (container,) = json.loads(self.named("ecs:TaskDefinition", task).inputs["containerDefinitions"])
        assert isinstance(container, dict)
        return container


def short(token: str) -> str:
    """A type without its provider and without the second half of its module."""
    _, module, kind = token.split(":")
    return f"{module.split('/')[0]}:{kind}"


def listed(value: Any) -> list[Any]:
    """What a policy document may write with or without brackets."""
    return value if isinstance(value, list) else [value]


def allowed(statements: list[Statement]) -> set[tuple[str, str]]:
    """Each action with each resource that it is allowed on."""
    assert all(statement["Effect"] == "Allow" for statement in statements)
    return {
        (action, resource)
        for statement in statements
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def evaluated(environment: str, cloud: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the plan command, for one cloud if it is named: with no credentials, and in an empty home."""
    chosen = ["-c", f'groundwork:clouds=["{cloud}"]'] if cloud else []
    with tempfile.TemporaryDirectory() as home:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PULUMI_"))}
        return subprocess.run(
            [sys.executable, "-m", "localcloud", "plan", "-C", str(ROOT), "-s", environment, *chosen, "--json"],
            cwd=ROOT,
            env={**kept, "HOME": home},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


@functools.cache
def evaluated_once(environment: str, cloud: str = "") -> subprocess.CompletedProcess[str]:
    """The same, once in a whole test run: whichever of its processes asks first evaluates it."""
    if PLANS not in os.environ:
        return evaluated(environment, cloud)
    with (Path(os.environ[PLANS]) / f"{environment}-{cloud}.json").open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if text := file.read():
            return subprocess.CompletedProcess(**json.loads(text))
        done = evaluated(environment, cloud)
        json.dump(vars(done), file)
        return done


@functools.cache
def plan_of(environment: str, cloud: str = "aws") -> Plan:
    """The plan of an environment on one cloud, made once, or the reason why there is none."""
    done = evaluated_once(environment, cloud)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    fields = Resource.__dataclass_fields__
    rows = ({key: value for key, value in row.items() if key in fields} for row in document["resources"])
    return Plan(environment, tuple(Resource(**row) for row in rows), document["outputs"])


def inventory(stack: str) -> dict[str, Any]:
    """What a stack's file says, by cloud: all stacks of whole accounts (`bootstrap-CLOUD`) have one."""
    found = yaml.safe_load((ROOT / "tests/plans" / f"{stack.partition('-')[0]}.yaml").read_text())
    assert isinstance(found, dict)
    return found


def environments_on(cloud: str) -> tuple[str, ...]:
    """The environments that are on a cloud."""
    return tuple(environment for environment in ENVIRONMENTS if cloud in inventory(environment))
