"""boto3 clients of one provider configuration, for loopback endpoints alone."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
import threading
from functools import cached_property
from typing import Any

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config

from localcloud.aws.calls import is_change
from localcloud.errors import LocalcloudError

Properties = dict[str, Any]

REFUSED = (
    "localcloud applies to emulators on this machine only, and {what}. "
    "Give the provider loopback endpoints (https://127.0.0.1:PORT), or use the Pulumi CLI for a real cloud."
)


class EndpointRefusedError(LocalcloudError):
    """The provider's configuration would reach something else than a loopback endpoint."""


# Strict, as what two parsers read differently may send a request elsewhere: no user, no backslash, no short address.
_ENDPOINT = re.compile(
    r"https?://(?:(?P<address>[0-9.]+|\[[0-9a-fA-F:]+\])|localhost)(?::[0-9]{1,5})?(?:[/?][^\\\s]*)?"
)


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine, by number or as a `localhost` that nobody has made another machine."""
    found = _ENDPOINT.fullmatch(url)
    if found is None:
        return False
    try:
        hosts = [found["address"].strip("[]")] if found["address"] else _addresses("localhost")
        return bool(hosts) and all(ipaddress.ip_address(host).is_loopback for host in hosts)
    except (OSError, ValueError):
        return False


def _addresses(name: str) -> list[str]:
    return [str(row[4][0]) for row in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]


class Sent(threading.local):
    """How many calls that may change something this thread has sent."""

    changes = 0


class Account:
    """The clients of one `pulumi:providers:aws` resource: its region, endpoints and default tags.

    Credentials are the keys of the provider's inputs or, without them, those of the variables AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY; profiles, files and roles that lie around are for other clouds than this one. A service
    without an endpoint has no client: asking for it raises EndpointRefusedError, before any call.
    """

    def __init__(self, config: Properties) -> None:
        self.config = {name: _parsed(value) for name, value in config.items()}
        self.region: str = self.config.get("region") or "us-east-1"
        self.default_tags: dict[str, str] = (self.config.get("defaultTags") or {}).get("tags", {})
        self.endpoints: dict[str, str] = {
            service: url for row in self.config.get("endpoints") or [] for service, url in row.items() if url
        }
        if not self.endpoints:
            raise EndpointRefusedError(REFUSED.format(what="this provider has no endpoints"))
        for service, url in self.endpoints.items():
            if not is_loopback(url):
                raise EndpointRefusedError(REFUSED.format(what=f"the endpoint of {service} is {url}"))
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()
        self.sent = Sent()
        session = botocore.session.Session(session_vars=_NOBODYS)
        session.register_component("data_loader", LOADER)
        session.register("before-send", _refuse_other_machines)
        session.register("before-call", self._count)
        self._session = boto3.Session(botocore_session=session, region_name=self.region, **self._keys())

    def client(self, service: str, region: str | None = None) -> Any:
        """The boto3 client of a service, named as boto3 names it; made once, safe to use from many threads."""
        key = (service, region or self.region)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._session.client(
                    service,
                    region_name=key[1],
                    endpoint_url=self._endpoint(service),
                    verify=self.config.get("customCaBundle"),  # without it, AWS_CA_BUNDLE
                    config=Config(
                        retries={"max_attempts": 2},
                        s3={"addressing_style": "path"},
                        max_pool_connections=IDLE_CONNECTIONS,
                        connect_timeout=5,
                        read_timeout=60,
                        proxies={},
                    ),
                )
            return self._clients[key]

    def _endpoint(self, service: str) -> str:
        for name in (service, *PROVIDER_NAMES.get(service, ())):
            if name in self.endpoints:
                return self.endpoints[name]
        raise EndpointRefusedError(REFUSED.format(what=f"this provider has no endpoint for {service}"))

    def _count(self, model: Any, **_: Any) -> None:
        self.sent.changes += is_change(model.name)

    def _keys(self) -> dict[str, str | None]:
        given = {name: self.config.get(key) for name, (key, _) in KEYS.items()}
        if not given["aws_access_key_id"]:
            given = {name: os.environ.get(variable) for name, (_, variable) in KEYS.items()}
        if not given["aws_access_key_id"] or not given["aws_secret_access_key"]:
            raise LocalcloudError(
                "The AWS provider has no credentials for the emulator. Set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or the provider's accessKey and secretKey."
            )
        return given

    @cached_property
    def account_id(self) -> str:
        """The twelve digits of the account, as STS tells them."""
        return str(self.client("sts").get_caller_identity()["Account"])

    @property
    def partition(self) -> str:
        """The partition of ARNs; emulators serve the commercial one."""
        return "aws"


# Connections that a client keeps open for later calls. A program has up to one client for each service, region and
# provider; the emulator serves a limited number of connections, and who comes when all are taken waits for one to end.
IDLE_CONNECTIONS = 1

# boto3's word for a key → the provider's input, the environment's variable
KEYS = {
    "aws_access_key_id": ("accessKey", "AWS_ACCESS_KEY_ID"),
    "aws_secret_access_key": ("secretKey", "AWS_SECRET_ACCESS_KEY"),
    "aws_session_token": ("token", "AWS_SESSION_TOKEN"),
}

# botocore's variables for a user's own profile and files, here without their sources
_NOBODYS = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


def _refuse_other_machines(request: Any, **_: Any) -> None:
    """The last look before a connection: some services make hosts of their own out of names and ARNs."""
    if not is_loopback(request.url):
        raise EndpointRefusedError(REFUSED.format(what=f"this call would go to {request.url.split('?')[0]}"))


# boto3's service models, parsed once a process: that takes most of a client's making
LOADER = botocore.loaders.create_loader()

# boto3's service names where pulumi-aws names the endpoint otherwise
PROVIDER_NAMES = {
    "application-autoscaling": ("applicationautoscaling", "appautoscaling"),
    "events": ("eventbridge", "cloudwatchevents"),
    "stepfunctions": ("sfn",),
}


def _parsed(value: Any) -> Any:
    """Inputs of provider resources arrive as JSON texts where they are not strings."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
