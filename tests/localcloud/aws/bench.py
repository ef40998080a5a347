"""Where samples are made, and what they need before them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from werkzeug.test import Client

from localcloud.aws.provider import Provider
from tests.localcloud.aws.samples import Ref, Sample, all_samples

REGION = "eu-central-1"
SERVICES = (
    *("acm", "apigatewayv2", "applicationautoscaling", "autoscaling", "budgets", "cloudtrail", "cloudwatch"),
    *("dynamodb", "ec2", "ecr", "ecs", "efs", "eks", "elbv2", "events", "iam", "kms", "lambda", "logs", "route53"),
    *("s3", "scheduler", "sfn", "sns", "sts", "wafv2"),
)


def configuration(url: str, **more: Any) -> dict[str, Any]:
    """Inputs of a provider whose every endpoint is the emulator's."""
    keys = {"accessKey": "AKIAIOSFODNN7EXAMPLE", "secretKey": "not-a-secret"}
    return {"region": REGION, "endpoints": [dict.fromkeys(SERVICES, url)], **keys, **more}


class _Raw(BytesIO):
    """A body as botocore takes it from the network."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def without_a_network(provider: Provider, server: Any) -> Provider:
    """The provider, its calls answered by the server's WSGI app itself: a fraction of the time, thousands of times."""
    client = Client(server)

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        parts = urlsplit(request.url)
        try:
            found = client.open(
                path=parts.path,
                query_string=parts.query,
                base_url=f"{parts.scheme}://{parts.netloc}",
                method=request.method,
                headers={
                    key: value.decode() if isinstance(value, bytes) else value for key, value in request.headers.items()
                },
                data=request.body.read() if hasattr(request.body, "read") else request.body,
            )
        except Exception as error:  # noqa: BLE001 - a server turns what its app raises into its own error, too
            return AWSResponse(request.url, 500, {}, _Raw(repr(error).encode()))
        return AWSResponse(request.url, found.status_code, found.headers, _Raw(found.data))

    provider.account._session.events.register("before-send", answer)
    return provider


@dataclass
class Bench:
    """Makes samples, and what they need before them."""

    provider: Provider
    samples: dict[str, Sample] = field(default_factory=all_samples)
    made: dict[str, dict[str, Any]] = field(default_factory=dict)

    def urn(self, name: str) -> str:
        return f"urn:pulumi:test::bench::{self.samples[name].token}::{name}"

    def inputs(self, name: str, /, **changes: Any) -> dict[str, Any]:
        """The checked inputs of a sample, its references resolved; a change to None leaves the input out."""
        declared = {key: value for key, value in {**self.samples[name].inputs, **changes}.items() if value is not None}
        return self.provider.check(self.samples[name].token, self.urn(name), self.resolve(declared))

    def resolve(self, value: Any) -> Any:
        """The value with the outputs that its references mean; what they refer to is made once."""
        if isinstance(value, Ref):
            if value.sample not in self.made:
                self.make(value.sample)
            return self.made[value.sample][value.output]
        if isinstance(value, dict):
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if isinstance(value, str):  # for references inside JSON texts: <<key.arn>>
            for part in value.split("<<")[1:]:
                reference = part.split(">>")[0]
                value = value.replace(f"<<{reference}>>", str(self.resolve(Ref(*reference.split(".")))))
        return value

    def make(self, name: str, /, **changes: Any) -> str:
        """Creates a sample's resource and returns its id."""
        inputs = self.inputs(name, **changes)
        made = self.provider.create(self.samples[name].token, self.urn(name), inputs)
        found = self.provider.read(self.samples[name].token, made, inputs)
        assert found is not None, f"{name} is gone right after its creation"
        self.made[name] = {**found[1], "id": made}
        return made


class Killed(BaseException):
    """The process ends here."""


class Mortal(Provider):
    """A provider whose process ends when the answer to its nth call has come: `calls` says which."""

    def __init__(self, url: str) -> None:
        super().__init__(configuration(url))
        self.calls = 0
        self.account._session.events.register("after-call", self._count)

    def _count(self, **_: Any) -> None:
        self.calls -= 1
        if self.calls == 0:
            raise Killed
