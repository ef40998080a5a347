"""A call: a signed request, and what it says in its protocol (service, operation, parameters).

Operation and parameters are found by Moto's own router and parsers, so that gate and emulator read a
request alike; where Moto might still see another operation, the call is `unclear`.
"""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import ServiceOperationRouter, get_service_router
from werkzeug.exceptions import NotFound

from localcloud.moto_state import Caller
from localcloud.sigv4 import Credential, Message


@dataclass
class Call:
    """A signed request that was verified."""

    message: Message
    environ: Mapping[str, Any]
    credential: Credential
    caller: Caller
    content: bytes
    service: str = ""  # botocore's name
    operation: str = ""  # botocore's name; empty when it could not be found
    parameters: Mapping[str, Any] = field(default_factory=dict)
    unclear: str = ""  # why a reader other than Moto might understand the call differently

    @property
    def region(self) -> str:
        """Of the signature's scope."""
        return self.credential.region


_lock = threading.Lock()


def router(service: str) -> ServiceOperationRouter:
    """Moto's router of a service, by botocore's name; its model is read once, whoever else asks meanwhile.

    Raises botocore's UnknownServiceError.
    """
    with _lock:
        return get_service_router(service)


def identify(call: Call, scopes: Mapping[str, str]) -> None:
    """Fills in service, operation and parameters. What cannot be found stays empty; `unclear` says why.

    scopes: a service's name in the credential's scope → botocore's name, where they differ.
    """
    call.service = scopes.get(call.credential.service, call.credential.service)
    part = _parsed_part(call)
    request = Request({**call.environ, "wsgi.input": BytesIO(part), "CONTENT_LENGTH": str(len(part))})
    try:
        operation, uri = router(call.service).match(request)
    except (NotFound, NotImplementedError, LookupError, ValueError) as error:
        call.operation = _spoken_name(call.message)
        call.unclear = f"its operation is not found ({type(error).__name__})"
        return
    except Exception as error:  # noqa: BLE001 - botocore raises errors of its own for a service it does not know
        call.operation = _spoken_name(call.message)
        call.unclear = f"its service is not known ({type(error).__name__})"
        return
    call.operation = operation.name
    protocol = str(determine_request_protocol(operation.service_model, request.content_type))
    call.unclear = _ambiguity(call, operation, protocol)
    if call.unclear:
        return
    try:
        given: Any = {
            "method": request.method, "values": request.values, "headers": request.headers,
            "body": request.data, "url_path": request.path, "url_params": uri,
        }  # fmt: skip
        call.parameters = PROTOCOL_PARSERS[protocol](operation).parse(given) or {}
    except Exception as error:  # noqa: BLE001 - a parser's complaint about hostile input has no common type
        call.unclear = f"its parameters cannot be read ({type(error).__name__})"


def _parsed_part(call: Call) -> bytes:
    """The body as far as it holds parameters; an object's content does not."""
    is_object = call.service == "s3" and not (call.message.method == "POST" and call.message.parameter("delete") == "")
    return b"" if is_object else call.content


def _spoken_name(message: Message) -> str:
    target = (message.header("x-amz-target") or "").rpartition(".")[2]
    return target or message.parameter("Action") or ""


SIGNING = re.compile(r"x-amz-(algorithm|credential|date|expires|signedheaders|signature|security-token)$")


def _ambiguity(call: Call, operation: Any, protocol: str) -> str:
    """Why Moto, which looks for an operation's name in many places, might see another one than the router."""
    message = call.message
    names = [name for name, _ in message.parameters if not SIGNING.match(name.lower())]
    kind = (message.header("content-type") or "").partition(";")[0].strip().lower()
    if call.service == "s3" and message.path.startswith("/v20180820/"):
        return "the path is S3 Control's"
    if len(set(names)) < len(names):
        return "a query parameter is given twice"
    if protocol in {"query", "ec2"}:
        in_query = bool(names) and (message.method != "GET" or bool(call.content))
        twice = in_query or message.header("x-amz-target") or kind == "multipart/form-data"
        return "it names its operation in more than one place" if twice else ""
    if kind in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        return f"the content type {kind} is a form's"
    if protocol == "json":
        return "it has a query" if names else ""
    return _ambiguity_of_rest(message, operation, set(names))


def _ambiguity_of_rest(message: Message, operation: Any, names: set[str]) -> str:
    if message.header("x-amz-target"):
        return "it has an X-Amz-Target"
    shape = operation.input_shape
    members = shape.members.values() if shape else ()
    known = {m.serialization.get("name") for m in members if m.serialization.get("location") == "querystring"}
    known |= {name for name, _ in parse_qsl(operation.http["requestUri"].partition("?")[2], keep_blank_values=True)}
    loose = names - known - {"x-id"}
    return f"{operation.name} knows no query parameter {min(loose)!r}" if loose else ""
