"""The service as an AWS Lambda function: one call at a time, from the Lambda Runtime API through the WSGI application.

Payloads are those of API Gateway: format 2.0, which HTTP APIs send, and 1.0, which REST APIs do. Sources: AWS, "Using
the Lambda runtime API for custom runtimes", "Create AWS Lambda proxy integrations for HTTP APIs" and "Lambda proxy
integrations in API Gateway" (of REST APIs). Why no runtime client: docs/adr/0060. Cloud Run functions and Azure's
container apps get HTTP as it is, and run `python -m app function` as a server.
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from flask import Flask, Response
from werkzeug.test import create_environ

from app.serving import Models

log = logging.getLogger("app.function")

_API = "/2018-06-01/runtime"
_DROPPED = ("content-length", "transfer-encoding", "connection")  # the gateway's hop; the body is here whole


class RuntimeApiError(Exception):
    """The Lambda Runtime API did not answer as documented; there is nothing left to run for."""


class EventError(ValueError):
    """A call that is no request of API Gateway's; the message is a sentence."""


class Invocation(NamedTuple):
    """One call: its id, and the event as it came."""

    id: str
    event: bytes


class Runtime:
    """The Lambda Runtime API at `address` (HOST:PORT, what AWS_LAMBDA_RUNTIME_API says)."""

    def __init__(self, address: str) -> None:
        self._address = address

    def next(self) -> Invocation:
        """Waits for the next call; the environment may be frozen meanwhile, so without a limit."""
        headers, body = self._ask("GET", "/invocation/next")
        found = headers.get("Lambda-Runtime-Aws-Request-Id")
        if not found:
            raise RuntimeApiError("The Lambda Runtime API named no call.")
        return Invocation(found, body)

    def answer(self, invocation: Invocation, document: dict[str, Any]) -> None:
        """Gives the result of a call."""
        self._ask("POST", f"/invocation/{invocation.id}/response", document)

    def fail(self, error: BaseException, invocation: Invocation | None = None) -> None:
        """Says that a call failed, or, without one, that the function cannot start."""
        path = f"/invocation/{invocation.id}/error" if invocation else "/init/error"
        kind = type(error).__name__
        document = {"errorMessage": str(error)[:1000], "errorType": kind, "stackTrace": []}
        self._ask("POST", path, document, {"Lambda-Runtime-Function-Error-Type": f"Function.{kind}"})

    def _ask(
        self, method: str, path: str, document: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection(self._address)  # loopback, within the execution environment
        try:
            body = None if document is None else json.dumps(document).encode()
            connection.request(method, _API + path, body, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise RuntimeApiError(f"The Lambda Runtime API is away: {type(error).__name__}.") from None
        finally:
            connection.close()
        if answer.status not in (200, 202):
            # 413: the answer was too large; the platform has answered the caller, and the next call comes.
            if method == "POST" and 400 <= answer.status < 500:
                log.error("the Lambda Runtime API refused %s: %d", path, answer.status)
            else:
                raise RuntimeApiError(f"The Lambda Runtime API answered {answer.status} to {method} {path}.")
        return answer.headers, data


def run(runtime: Runtime, app: Flask, models: Models, go_on: Callable[[], bool] = lambda: True) -> None:
    """Answers calls until the platform ends the process. Raises RuntimeApiError.

    No thread of ours looks for a new model, as threads stand still between calls: each call looks, if the last look
    is a while ago.
    """
    while go_on():
        invocation = runtime.next()
        models.refresh_if_due()
        try:
            document = answer(app, json.loads(invocation.event))
        except Exception as error:  # one bad call must not end the loop
            log.exception("call %s failed", invocation.id)
            runtime.fail(error, invocation)
        else:
            runtime.answer(invocation, document)
        app.extensions["requests"].tell_rest()  # no thread will: this process may stand still until the next call


def answer(app: Flask, event: Any) -> dict[str, Any]:
    """What the application answers to an event, as the gateway wants it. Raises EventError."""
    response = Response.from_app(app.wsgi_app, _environ(event), buffered=True)
    data = response.get_data()
    try:
        body = {"body": data.decode("utf-8"), "isBase64Encoded": False}
    except UnicodeDecodeError:
        body = {"body": base64.b64encode(data).decode("ascii"), "isBase64Encoded": True}
    headers = {name.lower(): value for name, value in response.headers if name.lower() != "content-length"}
    return {"statusCode": response.status_code, "headers": headers, **body}


def _environ(event: Any) -> dict[str, Any]:
    """The event as a WSGI environment."""
    try:
        asked = _of_http_api(event) if "rawPath" in event else _of_rest_api(event)
        body = event.get("body") or ""
        data = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode("utf-8")
        headers = [(name, value) for name, value in asked.headers.items() if name.lower() not in _DROPPED]
        found: dict[str, Any] = create_environ(
            asked.path, method=asked.method, headers=headers, data=data, query_string=asked.query
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise EventError(
            "The event is no request of API Gateway's, payload format 1.0 or 2.0 "
            f"({type(error).__name__}: {str(error)[:80]})."
        ) from None
    return found


class _Asked(NamedTuple):
    """What an event says of its request, but for the body."""

    method: str
    path: str
    query: str
    headers: dict[str, str]


def _of_http_api(event: dict[str, Any]) -> _Asked:
    """Payload format 2.0. A named stage is the first part of the path, `$default` is none."""
    context, path = event["requestContext"], event["rawPath"]
    stage = context.get("stage", "$default")
    if path.startswith(f"/{stage}/"):
        path = path.removeprefix(f"/{stage}")
    return _Asked(context["http"]["method"], path, event.get("rawQueryString") or "", event.get("headers") or {})


def _of_rest_api(event: dict[str, Any]) -> _Asked:
    """Payload format 1.0. The path has no stage in it; headers and parameters come with all their values beside them,
    and may be null."""
    several = event.get("multiValueHeaders")
    headers = {name: ",".join(values) for name, values in several.items()} if several else event.get("headers") or {}
    parameters = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    return _Asked(event["httpMethod"], event["path"], urlencode(parameters, doseq=True), headers)
