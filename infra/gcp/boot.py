"""What a machine runs when it starts: the boot script that all clouds share, told where it is on GCP."""

import json
import shlex
from pathlib import Path

import pulumi

from infra.shape import TrainerArgs

SCRIPT = Path(__file__).parents[1] / "boot" / "train.sh"
LEAVE = Path(__file__).parent / "leave.sh"
MOUNT_OPTIONS = "hard,vers=4.1"  # the version that has one port: the firewall opens no other


def startup_script(args: TrainerArgs, group: str) -> pulumi.Output[str]:
    """The script behind its variables and its way to leave; `group` is what an idle machine leaves, if anything."""
    container = args.container
    variables: dict[str, pulumi.Input[str]] = {
        "CLOUD": "gcp",
        "IMAGE": container.image.uri,
        "COMMAND": json.dumps(list(container.command)),
        "ENVIRONMENT": pulumi.Output.json_dumps(dict(container.environment)),
        "IDLE_MINUTES": str(args.fleet.idle_minutes),
        "SHARED": args.files.id,
        "MOUNT_OPTIONS": MOUNT_OPTIONS,
        "GROUP": group,
    }
    return pulumi.Output.all(**variables).apply(_script)


def _script(variables: dict[str, str]) -> str:
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    scripts = [path.read_text(encoding="utf-8") for path in (LEAVE, SCRIPT)]
    return "\n".join(["#!/bin/bash", *exports, *scripts])
