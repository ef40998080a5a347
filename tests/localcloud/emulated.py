"""An emulator for tests, and roles in it: what the tests of gate, emulator and processes share."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from localcloud import emulator
from localcloud.emulator import Emulator

REGION = "eu-central-1"
ACCOUNT = emulator.ACCOUNT
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ALLOW_ROOT = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}


_SESSION = boto3.session.Session()  # it keeps the models of the services, which are slow to read


@contextmanager
def running(directory: Path) -> Iterator[Emulator]:
    """A fresh emulator in `directory`, stopped at the end."""
    found = emulator.start(directory)
    try:
        yield found
    finally:
        emulator.stop(directory)


@dataclass(frozen=True)
class Keys:
    """Credentials of somebody."""

    access_key: str
    secret_key: str
    token: str | None = None


def client(cloud: Emulator, service: str, keys: Keys | None = None, **options: Any) -> Any:
    """A boto3 client as the administrator, or with other keys; no retries, so that a refusal shows at once."""
    keys = keys or Keys(cloud.access_key, cloud.secret_key)
    config = Config(retries={"total_max_attempts": 1}, **options.pop("config", {}))
    return _SESSION.client(
        service, region_name=REGION, endpoint_url=cloud.url, verify=str(cloud.ca_bundle), config=config,
        aws_access_key_id=keys.access_key, aws_secret_access_key=keys.secret_key, aws_session_token=keys.token,
        **options,
    )  # fmt: skip


def document(*statements: dict[str, Any]) -> str:
    """A policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(**principal: Any) -> str:
    """A trust policy for one principal."""
    return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


def role(cloud: Emulator, name: str, *statements: dict[str, Any], trusted: str | None = None, **extra: Any) -> str:
    """Makes a role with an inline policy of these statements, which the account may assume; its ARN."""
    iam = client(cloud, "iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted or trust(AWS=ROOT), **extra)
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="grants", PolicyDocument=document(*statements))
    return str(made["Role"]["Arn"])


def assumed(cloud: Emulator, arn: str, **extra: Any) -> Keys:
    """Temporary keys of a role, as the administrator gets them."""
    given = client(cloud, "sts").assume_role(RoleArn=arn, RoleSessionName="test", **extra)["Credentials"]
    return Keys(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def calls(cloud: Emulator) -> list[dict[str, Any]]:
    """The record so far."""
    text = (cloud.directory / emulator.CALLS).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]
