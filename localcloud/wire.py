"""Refusals in each AWS protocol's own form, so that SDKs raise the error that they would raise from AWS."""

import json
from html import escape
from typing import Literal

from localcloud.sigv4 import Flaw, Message

Protocol = Literal["s3", "query", "ec2", "json", "rest-json", "cbor"]
Answer = tuple[int, list[tuple[str, str]], bytes]

# Why → per protocol: status and code. "query" stands for what the others do not name.
_CODES: dict[str, dict[str, tuple[int, str]]] = {
    "denied": {
        "query": (403, "AccessDenied"), "s3": (403, "AccessDenied"), "ec2": (403, "UnauthorizedOperation"),
        "json": (400, "AccessDeniedException"), "rest-json": (403, "AccessDeniedException"),
    },
    "missing": {
        "query": (403, "MissingAuthenticationToken"), "s3": (403, "AccessDenied"), "ec2": (401, "AuthFailure"),
        "json": (400, "MissingAuthenticationTokenException"),
        "rest-json": (403, "MissingAuthenticationTokenException"),
    },
    "incomplete": {
        "query": (400, "IncompleteSignature"), "s3": (400, "AuthorizationHeaderMalformed"),
        "ec2": (401, "AuthFailure"), "json": (400, "IncompleteSignatureException"),
        "rest-json": (403, "IncompleteSignatureException"),
    },
    "unknown-key": {
        "query": (403, "InvalidClientTokenId"), "s3": (403, "InvalidAccessKeyId"), "ec2": (401, "AuthFailure"),
        "json": (400, "UnrecognizedClientException"), "rest-json": (403, "UnrecognizedClientException"),
    },
    "signature": {
        "query": (403, "SignatureDoesNotMatch"), "ec2": (401, "AuthFailure"),
        "json": (400, "InvalidSignatureException"), "rest-json": (403, "InvalidSignatureException"),
    },
    "skewed": {
        "query": (403, "SignatureDoesNotMatch"), "s3": (403, "RequestTimeTooSkewed"),
        "ec2": (400, "RequestExpired"), "json": (400, "InvalidSignatureException"),
        "rest-json": (403, "InvalidSignatureException"),
    },
    "expired": {"query": (403, "AccessDenied")},
    "payload": {
        "query": (403, "SignatureDoesNotMatch"), "s3": (400, "XAmzContentSHA256Mismatch"),
        "json": (400, "InvalidSignatureException"), "rest-json": (403, "InvalidSignatureException"),
    },
    "incomplete-body": {"query": (400, "IncompleteBody")},
    "unsupported": {
        "query": (400, "IncompleteSignature"), "s3": (400, "InvalidRequest"),
        "json": (400, "IncompleteSignatureException"), "rest-json": (403, "IncompleteSignatureException"),
    },
    "token": {
        "query": (403, "InvalidClientTokenId"), "s3": (400, "InvalidToken"), "ec2": (401, "AuthFailure"),
        "json": (400, "UnrecognizedClientException"), "rest-json": (403, "UnrecognizedClientException"),
    },
    "expired-token": {
        "query": (403, "ExpiredToken"), "s3": (400, "ExpiredToken"), "ec2": (400, "RequestExpired"),
        "json": (400, "ExpiredTokenException"), "rest-json": (403, "ExpiredTokenException"),
    },
}  # fmt: skip


def protocol(message: Message, service: str) -> Protocol:
    """The protocol in which the caller expects its answer."""
    form = (message.header("content-type") or "").startswith("application/x-www-form-urlencoded")
    if message.header("smithy-protocol"):
        return "cbor"
    if message.header("x-amz-target"):
        return "json"
    if service == "s3":
        return "s3"
    if form or message.parameter("Action"):
        return "ec2" if service == "ec2" else "query"
    return "rest-json" if service else "s3"


def refusal(why: Literal["denied"] | Flaw, text: str, form: Protocol, *, head: bool = False) -> Answer:
    """The answer to a call that is refused for `why`."""
    codes = _CODES[why]
    status, code = codes.get(form) or codes["json" if form == "cbor" and "json" in codes else "query"]
    return error(status, code, text, form, head=head)


def error(status: int, code: str, text: str, form: Protocol, *, head: bool = False) -> Answer:
    """An error with a code of one's own."""
    if form in {"json", "rest-json"}:
        body = json.dumps({"__type": code, "message": text, "Message": text}).encode()
        return status, [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)], body
    if form == "cbor":
        body = b"\xa2" + b"".join(_cbor_text(t) for t in ("__type", code, "message", text))
        return status, [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")], body
    inner = f"<Code>{code}</Code><Message>{escape(text)}</Message>"
    xml = {
        "s3": f"<Error>{inner}<RequestId>0</RequestId><HostId>localcloud</HostId></Error>",
        "ec2": f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>0</RequestID></Response>",
        "query": f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>0</RequestId></ErrorResponse>",
    }[form]
    body = b"" if head else f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}'.encode()
    return status, [("Content-Type", "application/xml")], body


def _cbor_text(text: str) -> bytes:
    data = text.encode()
    if len(data) < 24:
        return bytes([0x60 + len(data)]) + data
    if len(data) < 256:
        return bytes([0x78, len(data)]) + data
    return b"\x79" + len(data).to_bytes(2, "big") + data
