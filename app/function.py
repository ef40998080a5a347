"""The service as an AWS Lambda function: one call at a time, from the Lambda Runtime API through the WSGI application.

Payloads are those of API Gateway's HTTP APIs, format 2.0. Sources: AWS, "Using the Lambda runtime API for custom
runtimes" and "Create AWS Lambda proxy integrations for HTTP APIs". Why no runtime client: docs/adr/0060.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Flask, Response
from werkzeug.test import create_environ

from app.serving import Models

log = logging.getLogger("app.function")

_API = "/2018-06-01/runtime"
_DROPPED = ("content-length", "transfer-encoding", "connection")  # the gateway's hop; the body is here whole


class RuntimeApiError(Exception):
    """The Lambda Runtime API did not answer as documented; there is nothing left to run for."""


class EventError(ValueError):
    """A call that is no request of an HTTP API; the message is a sentence."""


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
        context, path = event["requestContext"], event["rawPath"]
        method, stage = context["http"]["method"], context.get("stage", "$default")
        headers = {name: value for name, value in event.get("headers", {}).items() if name.lower() not in _DROPPED}
        body = event.get("body") or ""
        data = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode("utf-8")
        if path.startswith(f"/{stage}/"):  # a named stage is the first part of the path, $default is none
            path = path.removeprefix(f"/{stage}")
        found: dict[str, Any] = create_environ(
            path, method=method, headers=headers, data=data, query_string=event.get("rawQueryString", "")
        )
    except (KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise EventError(
            f"The event is no request of an HTTP API, payload format 2.0 ({type(error).__name__}: {str(error)[:80]})."
        ) from None
    return found
