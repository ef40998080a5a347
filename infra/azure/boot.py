"""What a machine runs when it starts: the boot script that all clouds share, told where it is on Azure."""

import base64
import json
import shlex
from pathlib import Path

import pulumi

from infra.azure.identity import Identity
from infra.shape import TrainerArgs

SCRIPT = Path(__file__).parents[1] / "boot" / "train.sh"


def custom_data(args: TrainerArgs, runs_as: Identity, machines: pulumi.Output[str]) -> pulumi.Output[str]:
    """The script behind its variables, as a scale set takes it; `machines` is the id of the set."""
    container = args.container
    variables: dict[str, pulumi.Input[str]] = {
        "CLOUD": "azure",
        "AZURE_CLIENT_ID": runs_as.client,
        "IMAGE": container.image.uri,
        "COMMAND": json.dumps(list(container.command)),
        "ENVIRONMENT": pulumi.Output.json_dumps({"AZURE_CLIENT_ID": runs_as.client, **container.environment}),
        "IDLE_MINUTES": str(args.fleet.idle_minutes),
        "SHARED": args.files.id,
        "MACHINES": machines,
    }
    return pulumi.Output.all(**variables).apply(_encoded)


def _encoded(variables: dict[str, str]) -> str:
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    script = "\n".join(["#!/bin/bash", *exports, SCRIPT.read_text(encoding="utf-8")])
    return base64.b64encode(script.encode()).decode()
