"""boto3 clients of one provider configuration, for loopback endpoints alone."""

from __future__ import annotations

import ipaddress
import json
import threading
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config

Properties = dict[str, Any]

REFUSED = (
    "localcloud applies to emulators on this machine only, and {what}. "
    "Give the provider loopback endpoints (https://127.0.0.1:PORT), or use the Pulumi CLI for a real cloud."
)


class EndpointRefusedError(Exception):
    """The provider's configuration would reach something else than a loopback endpoint."""


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine by number, or is named localhost."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Account:
    """The clients of one `pulumi:providers:aws` resource: its region, endpoints and default tags.

    Credentials come from the provider's inputs or, as with the real provider, from the environment. A service without
    an endpoint has no client: asking for it raises EndpointRefusedError, before any call.
    """

    def __init__(self, config: Properties) -> None:
        self.config = {name: _parsed(value) for name, value in config.items()}
        self.region: str = self.config.get("region") or "us-east-1"
        self.default_tags: dict[str, str] = (self.config.get("defaultTags") or {}).get("tags", {})
        self.endpoints: dict[str, str] = {
            service: url for row in self.config.get("endpoints") or [] for service, url in row.items() if url
        }
        for service, url in self.endpoints.items():
            if not is_loopback(url):
                raise EndpointRefusedError(REFUSED.format(what=f"the endpoint of {service} is {url}"))
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()
        session = botocore.session.Session()
        session.register_component("data_loader", LOADER)
        self._session = boto3.Session(
            botocore_session=session,
            aws_access_key_id=self.config.get("accessKey"),
            aws_secret_access_key=self.config.get("secretKey"),
            aws_session_token=self.config.get("token"),
            region_name=self.region,
        )

    def client(self, service: str, region: str | None = None) -> Any:
        """The boto3 client of a service, named as boto3 names it; made once, safe to use from many threads."""
        key = (service, region or self.region)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._session.client(
                    service,
                    region_name=key[1],
                    endpoint_url=self._endpoint(service),
                    config=Config(
                        retries={"max_attempts": 2},
                        s3={"addressing_style": "path"},
                        max_pool_connections=16,
                        connect_timeout=5,
                        read_timeout=60,
                    ),
                )
            return self._clients[key]

    def _endpoint(self, service: str) -> str:
        for name in (service, *PROVIDER_NAMES.get(service, ())):
            if name in self.endpoints:
                return self.endpoints[name]
        raise EndpointRefusedError(REFUSED.format(what=f"this provider has no endpoint for {service}"))

    @cached_property
    def account_id(self) -> str:
        """The twelve digits of the account, as STS tells them."""
        return str(self.client("sts").get_caller_identity()["Account"])

    @property
    def partition(self) -> str:
        """The partition of ARNs; emulators serve the commercial one."""
        return "aws"


# boto3's service models, parsed once a process: that takes most of a client's making
LOADER = botocore.loaders.create_loader()

# boto3's service names where pulumi-aws names the endpoint otherwise
PROVIDER_NAMES = {
    "application-autoscaling": ("applicationautoscaling", "appautoscaling"),
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
