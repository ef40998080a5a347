"""The gate in front of Moto: who calls, may they, and what was answered.

A WSGI middleware. It verifies signatures (sigv4.py), finds the operation (calls.py) and what that needs
(needs.py with operations.yaml), decides by IAM's rules (decisions.py, iam.py) with the policies that Moto
holds (moto_state.py), hands to Moto what is allowed, and writes every call down (record.py).

Control interface, for the administrator alone (a bearer token, or a signed request):
    GET  /_localcloud/health       → {"identity", "pid"}
    POST /_localcloud/credentials  {"role_arn", "service", "source_arn"?, "session"?} → {"uri", "token"}
    *    /moto-api/…               Moto's own, such as POST /moto-api/reset
"""

import gzip
import hmac
import io
import json
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xmltodict  # type: ignore[import-untyped] # ships no types
from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY, should_preserve_original_header_name
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from localcloud import calls, decisions, moto_state, needs, sigv4, wire
from localcloud.calls import Call
from localcloud.credentials import CredentialsError, Registry
from localcloud.moto_adaptations import adapt_moto
from localcloud.moto_state import Key
from localcloud.record import Check, Log
from localcloud.server import MAXIMUM_BODY, Environ, StartResponse
from localcloud.sigv4 import Message, Payload, SignatureError
from localcloud.wire import Answer, Protocol

# No bucket can have the name _localcloud; /moto-api and /latest/… are Moto's whatever the signature says.
_CONTROL = re.compile(r"/(_localcloud/|moto-api|favicon\.ico$|latest/(meta-data|api)/)")
_HOST = re.compile(
    r"(?:(?P<bucket>[a-z0-9.-]+)\.s3\.localhost|(?P<host>127\.0\.0\.1|\[::1\]|localhost|s3\.localhost))(?::\d{1,5})?"
)
_WAITING = {("sqs", "ReceiveMessage"), ("lambda", "Invoke"), ("stepfunctions", "StartSyncExecution")}
_WARM = (
    "s3", "kms", "iam", "sts", "ec2", "ecr", "logs", "ecs", "elbv2", "applicationautoscaling", "cloudwatch", "acm",
    "autoscaling", "dynamodb", "sqs", "sns", "ssm", "secretsmanager", "events", "stepfunctions", "efs", "budgets",
    "scheduler", "apigatewayv2", "wafv2", "lambda", "route53",
)  # fmt: skip
_BOTOCORE = {"applicationautoscaling": "application-autoscaling"}


class Gate:
    """The middleware of one emulator.

    administrator: access key id and secret of the account's root. token: of the control interface. identity:
    of this start of the server. credentials_port: where `serve_credentials` is served.
    """

    def __init__(
        self, administrator: tuple[str, str], token: str, identity: str, calls_file: Path, credentials_port: int
    ) -> None:
        self._administrator = Key(*administrator, caller=moto_state.administrator())
        self._token = token
        self._identity = identity
        self._port = credentials_port
        self._log = Log(calls_file)
        self._registry = Registry(self._log)
        self._lock = threading.RLock()  # Moto is not thread-safe, and a decision must hold while it is acted on
        self._moto = DomainDispatcherApplication(create_backend_app)
        adapt_moto()

    def warm_up(self) -> None:
        """Loads the services that infrastructure uses first, so that their first calls are quick."""
        needs.table()
        for service in _WARM:
            calls.router(_BOTOCORE.get(service, service))
            app = create_backend_app(service)  # type: ignore[arg-type] # its names are Moto's
            with self._moto.lock:
                self._moto.app_instances.setdefault(service, app)

    # --- the entrances of the two servers ---

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The TLS port."""
        path, _, query = str(environ["RAW_URI"]).partition("?")
        message = Message(environ["REQUEST_METHOD"], path, query, environ["localcloud.headers"])
        host = _HOST.fullmatch(environ.get("HTTP_HOST", ""))
        if not host:
            text = "This emulator answers to 127.0.0.1, localhost and names below s3.localhost only."
            answer = wire.error(421, "MisdirectedRequest", text, wire.protocol(message, ""))
        elif _CONTROL.match(environ["PATH_INFO"]) and not host["bucket"]:
            answer = self._control(message, environ)
        else:
            answer = self._call(message, environ, host["bucket"])
        return _send(start_response, answer)

    def serve_credentials(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The plain port: role credentials of containers, and nothing else."""
        host = _HOST.fullmatch(environ.get("HTTP_HOST", ""))
        try:
            if environ["REQUEST_METHOD"] != "GET" or not host or host["bucket"]:
                raise CredentialsError(403, "Only GET by a loopback name is answered here.")
            with self._lock:
                found = self._registry.serve(environ["PATH_INFO"], environ.get("HTTP_AUTHORIZATION", ""))
            return _send(start_response, _json(200, found))
        except CredentialsError as error:
            return _send(start_response, _json(error.status, {"code": "AccessDenied", "message": str(error)}))

    # --- the control interface ---

    def _control(self, message: Message, environ: Environ) -> Answer:
        given = (message.header("authorization") or "").encode("utf-8", "replace")
        try:
            if hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                content = environ["wsgi.input"].read()
            else:
                key, payload = self._authenticate(message, environ)
                if not key.caller.administrator:
                    raise SignatureError("unknown-key", "Only the account's administrator may control the emulator.")
                content = payload.content
        except SignatureError as error:
            self._log.write(f"{message.method} {message.path}", None, [Check("Refused", reason=str(error))], 403)
            return wire.refusal("denied", str(error), "rest-json")
        return self._controlled(environ, content)

    def _controlled(self, environ: Environ, content: bytes) -> Answer:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path.startswith("/moto-api"):
            plain = {k: v for k, v in environ.items() if k != "HTTP_AUTHORIZATION"}
            with self._lock:
                return self._pass_on(_with_content(plain, content))
        if (method, path) == ("GET", "/_localcloud/health"):
            return _json(200, {"identity": self._identity, "pid": os.getpid()})
        if (method, path) != ("POST", "/_localcloud/credentials"):
            return _json(404, {"message": f"There is no {method} {path} in the control interface."})
        try:
            asked = json.loads(content)
            if not isinstance(asked, dict):
                raise CredentialsError(400, "The body is not a JSON object.")
            with self._lock:
                name, token = self._registry.register(asked)
        except ValueError:
            return _json(400, {"message": "The body is not JSON."})
        except CredentialsError as error:
            return _json(error.status, {"message": str(error)})
        return _json(200, {"uri": f"http://127.0.0.1:{self._port}{name}", "token": token})

    # --- calls of AWS APIs ---

    def _call(self, message: Message, environ: Environ, bucket: str | None) -> Answer:
        form = wire.protocol(message, "")
        try:
            form = wire.protocol(message, sigv4.credential(message).service)
            key, payload = self._authenticate(message, environ)
            content, rewritten = _unwrapped(message, environ, payload, bucket)
        except SignatureError as error:
            answer = wire.refusal(error.flaw, str(error), form, head=message.method == "HEAD")
            self._log.write(f"{message.method} {message.path}", None, [Check("Refused", reason=str(error))], answer[0])
            return answer
        call = Call(message, rewritten, sigv4.credential(message), key.caller, content)
        calls.identify(call, needs.table().scopes)
        outcome, answer = self._answer(call, form)
        name = f"{call.credential.service}:{call.operation or message.method + ' ' + message.path}"
        self._log.write(name, decisions.name(call), outcome.checks, answer[0])
        return answer

    def _authenticate(self, message: Message, environ: Environ) -> tuple[Key, Payload]:
        """The key that signed, and the body. Raises SignatureError."""
        who = sigv4.credential(message)
        with self._lock:
            is_root = who.access_key == self._administrator.access_key
            key = self._administrator if is_root else moto_state.key(who.access_key)
        if key is None:
            raise SignatureError("unknown-key", "The access key id that signed the request does not exist here.")
        if key.token is None and who.token:
            raise SignatureError("token", "A long-term access key has no session token.")
        if key.token is not None and not hmac.compare_digest(
            key.token.encode(), (who.token or "").encode("utf-8", "replace")
        ):
            raise SignatureError("token", "The session token does not belong to the access key.")
        now = datetime.now(UTC)
        payload = sigv4.verify(message, who, key.secret, environ["wsgi.input"].read, now)
        if key.expires and now >= key.expires:
            raise SignatureError("expired-token", "The security token included in the request is expired")
        return key, payload

    def _answer(self, call: Call, form: Protocol) -> tuple[decisions.Outcome, Answer]:
        waits = (call.service, call.operation) in _WAITING
        with self._lock:
            if (call.service, call.operation) == ("s3", "DeleteObjects") and call.parameters:
                return self._delete_objects(call, form)
            outcome = decisions.decide(call, form)
            if outcome.refusal:
                return outcome, outcome.refusal
            if not waits:
                answer = self._pass_on(call.environ, form)
                if hidden := decisions.hides_absence(call, answer[0], form):
                    return hidden, hidden.refusal or answer
                if (call.service, call.operation, answer[0]) == ("sts", "AssumeRole", 200):
                    moto_state.describe_last_session(call.parameters)
                if call.caller.administrator and call.operation == "GetCallerIdentity":
                    answer = *answer[:2], moto_state.as_root(answer[2])
        return outcome, self._pass_on(call.environ, form) if waits else answer

    def _pass_on(self, environ: Mapping[str, Any], form: Protocol = "rest-json") -> Answer:
        """Moto's answer. Where Moto breaks, the SDK gets an error of its protocol and the log the trace."""
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            started[:] = [(status, headers)]

        try:
            result = self._moto(dict(environ), start_response)
            content = b"".join(result)
            if hasattr(result, "close"):
                result.close()
        except NotImplementedError as error:
            return wire.error(501, "NotImplemented", f"The emulator does not have this operation. {error}", form)
        except Exception:  # noqa: BLE001 - any fault of Moto's
            traceback.print_exc(file=sys.stderr)
            sys.stderr.flush()
            return wire.error(
                500, "InternalFailure", "The emulator failed on this call; its log has the details.", form
            )
        status, headers = started[0]
        return int(status.split(" ", 1)[0]), headers, content

    def _delete_objects(self, call: Call, form: Protocol) -> tuple[decisions.Outcome, Answer]:
        """Each key of the batch by itself: what may not be deleted is an error of its own in the answer."""
        checks: list[Check] = []
        allowed, errors = [], ""
        for entry in call.parameters.get("Delete", {}).get("Objects", []):
            one = {**entry, "Bucket": call.parameters["Bucket"]}
            bypass = call.parameters.get("BypassGovernanceRetention")
            parameters = {**one, "BypassGovernanceRetention": bypass} if bypass else one
            outcome = decisions.decide(replace(call, operation="DeleteObject", parameters=parameters), form)
            checks += outcome.checks
            if outcome.allowed:
                allowed.append({k: v for k, v in entry.items() if k in {"Key", "VersionId"}})
            else:
                fields = {**entry, "Code": "AccessDenied", "Message": outcome.checks[-1].reason}
                errors += xmltodict.unparse({"Error": fields}, full_document=False)
        outcome = decisions.Outcome(checks or [Check("Allow", reason="It deletes nothing.")])
        if not allowed and errors:
            refused = f'<?xml version="1.0" encoding="UTF-8"?><DeleteResult xmlns="{_XML}">{errors}</DeleteResult>'
            return outcome, (200, [("Content-Type", "application/xml")], refused.encode())
        quiet = "true" if call.parameters.get("Delete", {}).get("Quiet") else "false"
        asked = xmltodict.unparse({"Delete": {"@xmlns": _XML, "Object": allowed, "Quiet": quiet}})
        status, headers, body = self._pass_on(_with_content(call.environ, asked.encode()), form)
        if errors and status == 200:
            body = body.replace(b"</DeleteResult>", errors.encode() + b"</DeleteResult>")
            headers = [(k, v) for k, v in headers if k.lower() != "content-length"]
        return outcome, (status, headers, body)


_XML = "http://s3.amazonaws.com/doc/2006-03-01/"


# --- what Moto gets to see of a request ---------------------------------------------------------------


def _with_content(environ: Mapping[str, Any], content: bytes) -> Environ:
    return {**environ, "wsgi.input": io.BytesIO(content), "CONTENT_LENGTH": str(len(content))}


def _unwrapped(message: Message, environ: Environ, payload: Payload, bucket: str | None) -> tuple[bytes, Environ]:
    """Body and environ in one plain form, so that gate and Moto cannot read them differently: no framing, no
    compression, a header instead of a presigned query, the bucket in the path."""
    who = sigv4.credential(message)
    content = payload.content
    dropped = {"HTTP_X_MOTO_ACCOUNT_ID", "HTTP_TRANSFER_ENCODING", "HTTP_EXPECT"}
    plain = {k: v for k, v in environ.items() if k not in dropped}
    encodings = [e.strip() for e in environ.get("HTTP_CONTENT_ENCODING", "").split(",") if e.strip()]
    if payload.chunked:
        encodings = [e for e in encodings if e.lower() != "aws-chunked"]
        plain["HTTP_X_AMZ_CONTENT_SHA256"] = "UNSIGNED-PAYLOAD"
        plain |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in payload.trailers.items()}
    if who.service != "s3" and encodings == ["gzip"]:
        content, encodings = _inflated(content), []
    plain.pop("HTTP_CONTENT_ENCODING", None)
    if encodings:
        plain["HTTP_CONTENT_ENCODING"] = ",".join(encodings)
    path, query = message.path, message.query
    if who.presigned:
        plain["HTTP_AUTHORIZATION"] = (
            f"{sigv4.ALGORITHM} Credential={who.access_key}/{who.scope}, SignedHeaders=host, Signature=verified"
        )
        query = "&".join(p for p in query.split("&") if not calls.SIGNING.match(p.partition("=")[0].lower()))
    if bucket:
        if who.service != "s3":
            raise SignatureError("unsupported", "Only S3 has names below s3.localhost.")
        path = f"/{bucket}{path}"
        plain["PATH_INFO"] = f"/{bucket}{plain['PATH_INFO']}"
        plain["HTTP_HOST"] = (
            plain["HTTP_HOST"].rpartition("localhost")[1] + plain["HTTP_HOST"].rpartition("localhost")[2]
        )
    plain["QUERY_STRING"] = query
    plain["RAW_URI"] = plain["REQUEST_URI"] = f"{path}?{query}" if query else path
    return content, _with_content(_with_metadata(plain, message), content)


def _inflated(content: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            data = file.read(MAXIMUM_BODY + 1)
    except (OSError, EOFError):
        raise SignatureError("incomplete-body", "The body is not gzip.") from None
    if len(data) > MAXIMUM_BODY:
        raise SignatureError("incomplete-body", "The body is too large.")
    return data


def _with_metadata(environ: Environ, message: Message) -> Environ:
    """S3 metadata names may hold an underscore, which WSGI does not tell from a dash; Moto's own workaround."""
    kept = [name for name, _ in message.headers if should_preserve_original_header_name(name)]
    names = {f"HTTP_{name.upper().replace('-', '_')}": name for name in kept}
    names = {key: name for key, name in names.items() if key not in environ}
    values = {key: message.header(name) or "" for key, name in names.items()}
    return {**environ, **values, PRESERVED_HEADER_NAMES_ENVIRON_KEY: names}


# --- answers ------------------------------------------------------------------------------------------


def _json(status: int, body: Mapping[str, Any]) -> Answer:
    return status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")], json.dumps(body).encode()


def _send(start_response: StartResponse, answer: Answer) -> Iterable[bytes]:
    status, headers, body = answer
    start_response(f"{status} {_REASONS.get(status, 'Status')}", headers)
    return [body]


_REASONS = {200: "OK", 204: "No Content", 400: "Bad Request", 403: "Forbidden", 404: "Not Found"}
