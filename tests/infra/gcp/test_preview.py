"""A first preview, when nothing is there yet and no output is known: every part is evaluated nevertheless."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pulumi.runtime
import pytest
import yaml

from infra.gcp.cloud import Gcp
from stacks.environment import Environment
from stacks.settings import Settings, read

ROOT = Path(__file__).parents[3]
# What is looked up and is there before everything else.
KNOWN = {
    "member": "serviceAccount:service-1@gs-project-accounts.iam.gserviceaccount.com",
    "serviceAccountId": "cmek-p1@gcp-sa-logging.iam.gserviceaccount.com",
    "selfLink": "projects/images/global/images/newest",
}


class _Nothing(pulumi.runtime.Mocks):
    """A project in which nothing is: what is asked for is all that is known of it."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[Any, Any]]:
        self.seen.add(args.typ)
        return "", dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        return KNOWN, []


@pytest.mark.slow
def test_an_environment_is_previewed_before_anything_of_it_exists() -> None:
    stack = "prod"  # which has every part
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
    plain = {key.partition(":")[2]: value for key, value in config.items()} | {"clouds": ["gcp"]}
    found = {key: value if isinstance(value, str) else json.dumps(value) for key, value in plain.items()}
    mocks = _Nothing()
    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.set_mocks(mocks, project="groundwork", stack=stack, preview=True)

    def program() -> None:
        settings = read(found, project="groundwork", stack=stack)
        assert isinstance(settings, Settings)
        assert settings.of.gcp
        Environment(settings, Gcp(settings.context, settings.of.gcp))

    run = pulumi.runtime.test(program)  # type: ignore[no-untyped-call] # the SDK's
    run()
    assert "gcp:monitoring/dashboard:Dashboard" in mocks.seen  # the last of the parts
