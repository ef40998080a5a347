"""Where a stack's service answers, by the stack's outputs, and what its callers may, by its settings."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rollout import branches, outputs
from rollout.engine import add_engine, engines
from rollout.errors import RolloutError
from rollout.redact import Redactor

ADDRESS = re.compile(r"https://[A-Za-z0-9.-]+(:\d{1,5})?")
AUDIENCE = re.compile(r"[A-Za-z0-9._:/-]{1,200}")
SHARE = 0.8  # of the calls that one address may make, for whoever tests: the limit itself is not what is tested


def addresses(found: Mapping[str, Any]) -> list[str]:
    """The addresses of a stack's services, each once; clouds that share a name share an address.

    :raises RolloutError: there is none, or one that is no address
    """
    services = [cloud["service"] for cloud in found.values() if isinstance(cloud, dict) and "service" in cloud]
    urls = sorted({str(service.get("url", "")) if isinstance(service, dict) else "" for service in services})
    if not urls:
        raise RolloutError("The stack has no service in its outputs: deploy it first.")
    for url in urls:
        if not ADDRESS.fullmatch(url):
            raise RolloutError(f"The stack's output {branches.shown(url)} is no address of a service.")
    return urls


def callers(directory: Path, stack: str) -> tuple[str, float]:
    """The audience of callers' tokens, and how many calls a second a test may make from one address.

    :raises RolloutError: the settings do not say
    """
    try:
        config = yaml.safe_load((directory / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
        said = config["groundwork:callers"]
        audience, per_minute = str(said["audience"]), int(said["perMinute"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        raise RolloutError(f"Pulumi.{stack}.yaml does not say who calls: groundwork:callers is missing.") from None
    if not AUDIENCE.fullmatch(audience) or per_minute < 1:
        raise RolloutError(f"groundwork:callers in Pulumi.{stack}.yaml has no usable audience and perMinute.")
    return audience, round(per_minute / 60 * SHARE, 2)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `reach`."""
    parser.add_argument("--stack", required=True)
    parser.add_argument("--github-output", action="store_true", help="also hand the answer to later steps")
    add_engine(parser)


def run(options: argparse.Namespace) -> int:
    """Prints addresses, audience and rate as JSON."""
    if branches.read(options.map).of_stack(options.stack) is None:
        raise RolloutError(f"No branch of {options.map.name} changes the stack {branches.shown(options.stack)}.")
    directory = options.cwd.resolve()
    audience, rate = callers(directory, options.stack)
    found = addresses(engines(options, Redactor())(directory, "").outputs())
    if options.github_output:
        outputs.write({"addresses": " ".join(found), "audience": audience, "rate": f"{rate:g}"})
    sys.stdout.write(f"{json.dumps({'addresses': found, 'audience': audience, 'rate': rate})}\n")
    return 0
