"""Evaluate a piece of a program under Pulumi's mocks, and hand back what it registered.

Assertions belong on what comes back, after the evaluation: one inside an `apply` can fail in silence.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi.runtime

from infra.aws.names import Account
from infra.context import Context

CONTEXT = Context("groundwork", "dev", "acme", "ml-platform", "research", "internal")
DISPOSABLE = Context("groundwork", "local", "acme", "ml-platform", "research", "internal", disposable=True)
ACCOUNT_ID = "111122223333"


@dataclass(frozen=True)
class Registered:
    """One resource as the program registered it: wire names, outputs resolved."""

    type: str
    name: str
    inputs: dict[str, Any]

    def document(self, key: str = "policy") -> list[dict[str, Any]]:
        """The statements of a policy document among the inputs."""
        statements: list[dict[str, Any]] = json.loads(self.inputs[key])["Statement"]
        return statements


class _Account(pulumi.runtime.Mocks):
    """An account that gives everything an ARN, and the outputs that the parts hand on."""

    def __init__(self) -> None:
        self.seen: list[Registered] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.seen.append(Registered(args.typ, args.name, args.inputs))
        name = args.inputs.get("name") or args.inputs.get("bucket") or args.name
        service = args.typ.split("/")[0].removeprefix("aws:")
        given = {
            "arn": f"arn:aws:{service}:::{name}",
            "name": name,
            "keyId": f"id-of-{name}",
            "repositoryUrl": f"{ACCOUNT_ID}.dkr.ecr.eu-west-1.amazonaws.com/{name}",
            "mainRouteTableId": f"rtb-of-{name}",
            "prefixListId": f"pl-of-{name}",
            "dnsName": f"{name}.elb.example.com",
            "zoneId": "ZELB",
            "domainValidationOptions": [
                {
                    "domainName": "example.com",
                    "resourceRecordName": "_proof",
                    "resourceRecordType": "CNAME",
                    "resourceRecordValue": "proven",
                }
            ],
            "fqdn": "_proof.example.com",
        }
        return f"{name}-id", {**given, **args.inputs}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], None]:
        assert args.token == "aws:index/getCallerIdentity:getCallerIdentity", args.token
        return {"accountId": ACCOUNT_ID, "id": ACCOUNT_ID}, None


def evaluated(program: Callable[[Account], Any], stack: str = "dev") -> list[Registered]:
    """What `program` registers, given an account, in its order. What it raises is raised."""
    mocks = _Account()
    asyncio.set_event_loop(asyncio.new_event_loop())  # the mocks ask for one, and another test may have closed it
    pulumi.runtime.set_mocks(mocks, project="groundwork", stack=stack, preview=False)
    account = Account(pulumi.Output.from_input(ACCOUNT_ID), "eu-west-1")
    run = pulumi.runtime.test(lambda: program(account) and None)  # type: ignore[no-untyped-call] # the SDK's
    run()
    return mocks.seen


def of_type(resources: list[Registered], kind: str) -> list[Registered]:
    """Those of one of AWS's types, named by its last word (`Bucket`)."""
    return [
        resource for resource in resources if resource.type.startswith("aws:") and resource.type.endswith(f":{kind}")
    ]


def only(resources: list[Registered], kind: str) -> Registered:
    """The one resource of one of AWS's types."""
    (found,) = of_type(resources, kind)
    return found
