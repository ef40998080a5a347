"""AWS Signature Version 4, the verifying side: who signed this request, and is it as it was signed?

Authorization header, presigned URL, and the aws-chunked bodies of S3 (chunk signatures, trailers and
their checksums). Pure but for the body that it is given to read. After AWS's description of the protocol.
"""

import base64
import binascii
import hashlib
import hmac
import io
import posixpath
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import quote, unquote_to_bytes

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SKEW = timedelta(minutes=15)
LONGEST_PRESIGNED = 7 * 24 * 3600  # seconds
MAXIMUM_CHUNK_LINE = 8192

Flaw = Literal[
    "missing", "incomplete", "unknown-key", "signature", "skewed", "expired", "payload", "incomplete-body",
    "unsupported", "token", "expired-token",
]  # fmt: skip


class SignatureError(Exception):
    """The request is not what a known key signed. `flaw` says how; the message is for the caller."""

    def __init__(self, flaw: Flaw, message: str) -> None:
        super().__init__(message)
        self.flaw: Flaw = flaw


@dataclass(frozen=True)
class Message:
    """A request as it came over the wire. path and query are raw; header names are lower-case."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    parameters: Sequence[tuple[str, str]] = field(init=False)  # of the query, decoded

    def __post_init__(self) -> None:
        pairs = (part.partition("=") for part in self.query.split("&") if part)
        object.__setattr__(self, "parameters", [(_unquote(name), _unquote(value)) for name, _, value in pairs])

    def header(self, name: str) -> str | None:
        """The header's value; several of them joined by commas; None without one."""
        values = [" ".join(value.split()) for key, value in self.headers if key == name]
        return ",".join(values) if values else None

    def parameter(self, name: str) -> str | None:
        """The query parameter's first value."""
        return next((value for key, value in self.parameters if key == name), None)


@dataclass(frozen=True)
class Credential:
    """What a request says about its signature; nothing of it is believed before `verify`."""

    access_key: str
    date: str
    region: str
    service: str
    signed: tuple[str, ...]
    signature: str
    moment: datetime
    token: str | None
    presigned: bool
    seconds: int = 0  # how long a presigned URL is good for

    @property
    def scope(self) -> str:
        """Date, region, service and the terminator."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def _unquote(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def _encode(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="-_.~")


def _moment(text: str | None) -> datetime:
    try:
        return datetime.strptime(text or "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise SignatureError("incomplete", "X-Amz-Date is missing or is not of the form 20260131T235959Z.") from None


def credential(message: Message) -> Credential:
    """Reads header or presigned form. Raises SignatureError for an unsigned or half-signed request."""
    authorization, presigned = message.header("authorization"), message.parameter("X-Amz-Algorithm")
    if authorization and presigned:
        raise SignatureError("unsupported", "The request is signed twice, by header and by query.")
    if not authorization and not presigned:
        raise SignatureError("missing", "The request is not signed.")
    if presigned:
        algorithm, given = (
            presigned,
            {
                "credential": message.parameter("X-Amz-Credential"),
                "signedheaders": message.parameter("X-Amz-SignedHeaders"),
                "signature": message.parameter("X-Amz-Signature"),
            },
        )
        date, token = message.parameter("X-Amz-Date"), message.parameter("X-Amz-Security-Token")
    else:
        algorithm, _, rest = (authorization or "").partition(" ")
        pairs = (part.strip().partition("=") for part in rest.split(","))
        given = {name.strip().lower(): value.strip() for name, _, value in pairs}
        date, token = message.header("x-amz-date"), message.header("x-amz-security-token")
    if algorithm != ALGORITHM:
        raise SignatureError("unsupported", f"Only {ALGORITHM} signatures are understood.")
    scope = (given.get("credential") or "").split("/")
    signed = tuple((given.get("signedheaders") or "").lower().split(";"))
    if len(scope) != 5 or scope[4] != "aws4_request" or not all(scope) or not given.get("signature"):
        raise SignatureError("incomplete", "Credential, SignedHeaders or Signature is missing or malformed.")
    moment = _moment(date)
    if scope[1] != moment.strftime("%Y%m%d"):
        raise SignatureError("signature", "The date of the credential's scope is not that of X-Amz-Date.")
    seconds = _seconds(message) if presigned else 0
    return Credential(
        scope[0], scope[1], scope[2], scope[3].lower(), signed, given["signature"] or "", moment, token,
        bool(presigned), seconds,
    )  # fmt: skip


def _seconds(message: Message) -> int:
    text = message.parameter("X-Amz-Expires") or ""
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= LONGEST_PRESIGNED):
        raise SignatureError("incomplete", f"X-Amz-Expires is not a number from 1 to {LONGEST_PRESIGNED} (seconds).")
    return int(text)


@lru_cache(maxsize=256)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _sign(secret: str, who: Credential, text: str) -> str:
    key = _signing_key(secret, who.date, who.region, who.service)
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), "sha256").hexdigest()


def _canonical_path(path: str, service: str) -> str:
    if service == "s3":  # as it is, encoded once
        return quote(unquote_to_bytes(path), safe="/-_.~") or "/"
    normal = posixpath.normpath(path) if path else "/"
    normal = "/" + normal.lstrip("/")
    if path.endswith("/") and normal != "/":
        normal += "/"
    return quote(normal, safe="/-_.~")


def _canonical_request(message: Message, who: Credential, payload: str) -> str:
    pairs = sorted((_encode(k), _encode(v)) for k, v in message.parameters if k != "X-Amz-Signature")
    headers = "".join(f"{name}:{message.header(name) or ''}\n" for name in who.signed)
    return "\n".join([
        message.method,
        _canonical_path(message.path, who.service),
        "&".join(f"{k}={v}" for k, v in pairs),
        headers,
        ";".join(who.signed),
        payload,
    ])  # fmt: skip


@dataclass(frozen=True)
class Payload:
    """A request's body without its framing, and the trailers that came with it."""

    content: bytes
    trailers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False


def verify(message: Message, who: Credential, secret: str, body: Callable[[], bytes], now: datetime) -> Payload:
    """Returns the body of a request that `secret` signed; raises SignatureError for any other.

    `body` is called only when the rest of the signature has been checked as far as that is possible
    without it, so that the upload of a stranger is not even received where its hash is in a header.
    """
    _check_time(who, now)
    _check_signed_headers(message, who)
    declared = message.header("x-amz-content-sha256")
    if who.presigned and who.service == "s3":
        declared = declared or "UNSIGNED-PAYLOAD"
    elif who.service == "s3" and not declared:
        raise SignatureError("incomplete", "x-amz-content-sha256 is missing.")
    is_hash = bool(declared and re.fullmatch(r"[0-9a-f]{64}", declared))
    if declared and not is_hash and who.service != "s3":
        raise SignatureError("payload", "Only S3 takes a body that is not hashed as a whole.")
    content = body() if not declared else b""
    payload = declared or hashlib.sha256(content).hexdigest()
    signed_text = hashlib.sha256(
        _canonical_request(message, who, payload).encode("utf-8", "surrogateescape")
    ).hexdigest()
    stamp = who.moment.strftime("%Y%m%dT%H%M%SZ")
    wanted = _sign(secret, who, "\n".join([ALGORITHM, stamp, who.scope, signed_text]))
    if not hmac.compare_digest(wanted.encode(), who.signature.encode("utf-8", "replace")):
        raise SignatureError(
            "signature",
            "The request signature we calculated does not match the signature you provided. "
            "Check your secret access key and signing method.",
        )
    if not declared:
        return Payload(content)
    content = body()
    if is_hash:
        if not hmac.compare_digest(hashlib.sha256(content).hexdigest(), declared):
            raise SignatureError("payload", "The body does not have the hash in x-amz-content-sha256.")
        return Payload(content)
    if declared == "UNSIGNED-PAYLOAD":
        return Payload(content)
    chunks = Chunks(message, who, secret, declared or "")
    return Payload(chunks.decode(content), chunks.trailers, chunked=True)


def _check_time(who: Credential, now: datetime) -> None:
    if who.presigned:
        if who.moment > now + SKEW:
            raise SignatureError("skewed", "The presigned URL is not yet valid.")
        if now > who.moment + timedelta(seconds=who.seconds):
            raise SignatureError("expired", "Request has expired.")
    elif abs(now - who.moment) > SKEW:
        raise SignatureError("skewed", "The difference between the request time and the current time is too large.")


def _check_signed_headers(message: Message, who: Credential) -> None:
    present = {name for name, _ in message.headers}
    if "host" not in who.signed or list(who.signed) != sorted(set(who.signed)):
        raise SignatureError("incomplete", "SignedHeaders must name host and be sorted.")
    loose = {name for name in present if name.startswith("x-amz-")} - set(who.signed)
    if loose:
        raise SignatureError("signature", f"There were headers present which were not signed: {min(loose)}.")


# --- aws-chunked bodies -------------------------------------------------------------------------------

_EMPTY = hashlib.sha256(b"").hexdigest()
_FORMS: Mapping[str, tuple[bool, bool]] = {  # signed chunks, trailer
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": (True, False),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": (True, True),
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": (False, True),
}
CHECKSUMS: Mapping[str, Callable[[bytes], bytes]] = {
    "x-amz-checksum-crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "x-amz-checksum-sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "x-amz-checksum-sha256": lambda data: hashlib.sha256(data).digest(),
}
"""Checksums that are verified here; crc32c and crc64nvme need libraries that the emulator does without."""


class Chunks:
    """One aws-chunked body; `trailers` are known after `decode`."""

    def __init__(self, message: Message, who: Credential, secret: str, form: str) -> None:
        if form not in _FORMS:
            raise SignatureError("unsupported", f"The payload form {form[:60]} is not understood.")
        self._signed, self._trailer = _FORMS[form]
        self._message, self._who, self._secret = message, who, secret
        self._previous = who.signature
        self.trailers: dict[str, str] = {}

    def decode(self, raw: bytes) -> bytes:
        """The body without its framing, every signature, length and known checksum checked."""
        stream, parts = io.BytesIO(raw), []
        while True:
            line = self._line(stream)
            size_text, _, extension = line.partition(b";")
            try:
                size = int(size_text, 16)
            except ValueError:
                raise SignatureError("incomplete-body", "A chunk of the body has no length.") from None
            data = stream.read(size) if size > 0 else b""
            if size < 0 or len(data) < size:
                raise SignatureError("incomplete-body", "A chunk of the body is shorter than it says.")
            if self._signed:
                self._check_chunk(data, extension.removeprefix(b"chunk-signature=").strip())
            if size == 0:
                break
            parts.append(data)
            if self._line(stream):
                raise SignatureError("incomplete-body", "A chunk of the body is longer than it says.")
        content = b"".join(parts)
        length = self._message.header("x-amz-decoded-content-length") or ""
        if length != str(len(content)):
            raise SignatureError("incomplete-body", "The body does not have x-amz-decoded-content-length bytes.")
        if self._trailer:
            self._read_trailers(stream)
            self._check_sum(content)
        return content

    @staticmethod
    def _line(stream: io.BytesIO) -> bytes:
        line = stream.readline(MAXIMUM_CHUNK_LINE)
        if not line.endswith(b"\r\n"):
            raise SignatureError("incomplete-body", "The chunks of the body are not terminated.")
        return line[:-2]

    def _check(self, kind: str, lines: list[str], signature: bytes) -> None:
        stamp = self._who.moment.strftime("%Y%m%dT%H%M%SZ")
        text = "\n".join([f"{ALGORITHM}-{kind}", stamp, self._who.scope, self._previous, *lines])
        wanted = _sign(self._secret, self._who, text)
        if not hmac.compare_digest(wanted.encode(), signature):
            raise SignatureError("signature", f"The signature of a {kind.lower()} part of the body does not match.")
        self._previous = wanted

    def _check_chunk(self, data: bytes, signature: bytes) -> None:
        self._check("PAYLOAD", [_EMPTY, hashlib.sha256(data).hexdigest()], signature)

    def _read_trailers(self, stream: io.BytesIO) -> None:
        announced = {n.strip().lower() for n in (self._message.header("x-amz-trailer") or "").split(",") if n.strip()}
        canonical, signature = b"", b""
        for raw in stream.read().split(b"\r\n"):
            if not raw:
                continue
            name, _, value = raw.partition(b":")
            key = name.strip().lower().decode("ascii", "replace")
            if key == "x-amz-trailer-signature":
                signature = value.strip()
            elif key in announced:
                self.trailers[key] = value.strip().decode("ascii", "replace")
                canonical += name.strip().lower() + b":" + value.strip() + b"\n"
            else:
                raise SignatureError("incomplete-body", "The body has a trailer that x-amz-trailer does not announce.")
        if set(self.trailers) != announced:
            raise SignatureError("incomplete-body", "The body lacks a trailer that x-amz-trailer announces.")
        if self._signed:
            self._check("TRAILER", [hashlib.sha256(canonical).hexdigest()], signature)

    def _check_sum(self, content: bytes) -> None:
        for name, value in self.trailers.items():
            if (compute := CHECKSUMS.get(name)) is None:
                continue
            try:
                given = base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                given = b""
            if given != compute(content):
                raise SignatureError("payload", f"The body does not have the checksum in {name}.")
