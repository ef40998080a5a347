"""The metadata services of three clouds, as far as a boot asks them, and the few APIs that it calls; on loopback."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

NAME = "machine-1"
REGISTRY = "/https/registry.example/oauth2/exchange"


class Asked(NamedTuple):
    """One request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


class Metadata:
    """What the service says: `notice` makes it announce that the machine is taken away, and `spot` says what it is."""

    def __init__(self) -> None:
        self.notice = False
        self.notice_for = NAME
        self.spot: bool | None = True  # None: the service does not say
        self.keeps = False  # the group does not let the machine leave
        self.asked: list[Asked] = []
        self.url = ""

    def to(self, part: str) -> list[Asked]:
        """The requests whose path has this part."""
        return [each for each in self.asked if part in each.path]

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Status and body; a text or JSON."""
        headers = {name.lower(): value for name, value in asked.headers.items()}
        path = asked.path.partition("?")[0]
        if path.startswith("/https/"):
            return self._api(path, headers)
        if path.startswith("/latest/"):
            return self._aws(path, asked.method, headers)
        if path.startswith("/computeMetadata/v1/"):
            return self._gcp(path.removeprefix("/computeMetadata/v1/")) if "metadata-flavor" in headers else (403, "")
        return self._azure(path, asked) if headers.get("metadata") == "true" else (400, "")

    def _aws(self, path: str, method: str, headers: dict[str, str]) -> tuple[int, Any]:
        if path == "/latest/api/token":
            return (200, "v2") if method == "PUT" and "x-aws-ec2-metadata-token-ttl-seconds" in headers else (400, "")
        if headers.get("x-aws-ec2-metadata-token") != "v2":
            return 401, ""
        keys = {"AccessKeyId": "KEY", "SecretAccessKey": "SECRET", "Token": "SESSION"}
        return {
            "instance-id": (200, NAME),
            "instance-life-cycle": self._kind("spot", "on-demand"),
            "iam/security-credentials/": (200, "trainer"),
            "iam/security-credentials/trainer": (200, keys),
            "spot/instance-action": (200, {"action": "terminate"}) if self.notice else (404, ""),
        }.get(path.removeprefix("/latest/meta-data/"), (404, ""))

    def _gcp(self, path: str) -> tuple[int, Any]:
        return {
            "instance/name": (200, NAME),
            "instance/zone": (200, "projects/1/zones/europe-west1-b"),
            "instance/scheduling/preemptible": self._kind("TRUE", "FALSE"),
            "instance/preempted": (200, "TRUE" if self.notice else "FALSE"),
            "instance/service-accounts/default/token": (200, {"access_token": "TOKEN"}),
            "project/project-id": (200, "project-1"),
        }.get(path, (404, ""))

    def _azure(self, path: str, asked: Asked) -> tuple[int, Any]:
        event = {"EventId": "event-1", "EventType": "Preempt", "Resources": [self.notice_for]}
        return {
            "/metadata/instance/compute/name": (200, NAME),
            "/metadata/instance/compute/priority": self._kind("Spot", "Regular"),
            "/metadata/identity/oauth2/token": (200, {"access_token": "TOKEN"}),
            "/metadata/scheduledevents": (200, {"Events": [event] if self.notice else []}),
        }.get(path, (404, ""))

    def _kind(self, spot: str, on_demand: str) -> tuple[int, str]:
        return (404, "") if self.spot is None else (200, spot if self.spot else on_demand)

    def _api(self, path: str, headers: dict[str, str]) -> tuple[int, Any]:
        if path == REGISTRY:
            return 200, {"refresh_token": "PASSWORD"}
        signed = headers.get("authorization", "")
        if path.startswith("/https/api.ecr."):
            good = "SignedHeaders=" in signed and "x-amz-security-token" in signed and "/ecr/aws4_request" in signed
            token = base64.b64encode(b"AWS:PASSWORD").decode()
            return (200, {"authorizationData": [{"authorizationToken": token}]}) if good else (403, "")
        good = "/autoscaling/aws4_request" in signed or signed == "Bearer TOKEN"
        return (400 if self.keeps else 200 if good else 403), {}


@contextmanager
def serving() -> Iterator[Metadata]:
    """The service at `url` while the `with` lasts."""
    metadata = Metadata()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            asked = Asked(self.command, self.path, dict(self.headers.items()), body)
            metadata.asked.append(asked)
            status, said = metadata.answer(asked)
            data = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_PUT = do_POST = do_GET  # noqa: N815 - what the base class calls

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    metadata.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield metadata
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
