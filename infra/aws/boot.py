"""What a machine runs when it starts: the boot script that all clouds share, told where it is on AWS."""

import base64
import json
import shlex
from pathlib import Path

import pulumi

from infra.aws.file_system import FileSystem
from infra.shape import TrainerArgs

# AWS's image runs an agent of ECS, in a container that would pass for training.
PREPARE = ("systemctl mask --now --no-block ecs.service", "systemctl start docker.service")
SCRIPT = Path(__file__).parents[1] / "boot" / "train.sh"


def user_data(
    args: TrainerArgs, files: FileSystem, log: pulumi.Output[str], group: str, region: str
) -> pulumi.Output[str]:
    """The script behind its variables, as EC2 takes it."""
    container = args.container
    variables: dict[str, pulumi.Input[str]] = {
        "CLOUD": "aws",
        "AWS_REGION": region,
        "IMAGE": container.image.uri,
        "COMMAND": json.dumps(list(container.command)),
        "ENVIRONMENT": pulumi.Output.json_dumps({"AWS_REGION": region, **container.environment}),
        "IDLE_MINUTES": str(args.fleet.idle_minutes),
        "SHARED": files.id,
        "ACCESS_POINT": files.access_point,
        "LOG_GROUP": log,
        "MACHINES": group,
    }
    return pulumi.Output.all(**variables).apply(_encoded)


def _encoded(variables: dict[str, str]) -> str:
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    script = "\n".join(["#!/bin/bash", *PREPARE, *exports, SCRIPT.read_text(encoding="utf-8")])
    return base64.b64encode(script.encode()).decode()
