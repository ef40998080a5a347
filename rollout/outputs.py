"""What a step hands to later steps: lines `name=value` in the file that $GITHUB_OUTPUT names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rollout.errors import RolloutError


def write(values: Mapping[str, str]) -> None:
    """Appends the values.

    :raises RolloutError: there is no such file, or a value has a line break, with which it could set another output
    """
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            raise RolloutError(f"The output {name} would have a line break in it. Outputs of steps are one line each.")
    target = os.environ.get("GITHUB_OUTPUT")
    if not target:
        raise RolloutError("GITHUB_OUTPUT names no file. Leave out --github-output outside of a workflow.")
    try:
        with Path(target).open("a", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in values.items())
    except OSError as error:
        raise RolloutError(f"The file that GITHUB_OUTPUT names cannot be written: {error.strerror}.") from error
