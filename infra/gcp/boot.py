"""What a machine runs when it starts: the boot script that all clouds share, told where it is on GCP."""

import json
import shlex
from pathlib import Path

import pulumi

from infra.shape import TrainerArgs

SCRIPT = Path(__file__).parents[1] / "boot" / "train.sh"


def startup_script(args: TrainerArgs, group: str, region: str) -> pulumi.Output[str]:
    """The script behind its variables; `group` is what an idle spot machine leaves."""
    container = args.container
    variables: dict[str, pulumi.Input[str]] = {
        "CLOUD": "gcp",
        "REGION": region,
        "IMAGE": container.image.uri,
        "COMMAND": json.dumps(list(container.command)),
        "ENVIRONMENT": pulumi.Output.json_dumps(dict(container.environment)),
        "IDLE_MINUTES": str(args.fleet.idle_minutes),
        "SHARED": args.files.id,
        "MACHINES": group,
    }
    return pulumi.Output.all(**variables).apply(_script)


def _script(variables: dict[str, str]) -> str:
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(["#!/bin/bash", *exports, SCRIPT.read_text(encoding="utf-8")])
