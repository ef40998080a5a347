"""What a call may do: its needs, decided one by one with the policies that stand now.

The account's administrator is bound by explicit denies of resource policies alone, and, as on AWS, not by
one on the bucket policy itself. Departure from AWS: a key policy that shuts out the account does not shut
out the administrator, who could else never get rid of the key.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from localcloud import iam, lookups, moto_state, needs, wire
from localcloud.calls import Call
from localcloud.lookups import MissingKeyError, NotModelledError
from localcloud.moto_state import ACCOUNT
from localcloud.needs import Need
from localcloud.record import Check
from localcloud.wire import Answer, Protocol

_ROOT_ALWAYS = {"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"}
_NO_CREDENTIALS = {"GetSessionToken", "GetFederationToken"}


@dataclass(frozen=True)
class Outcome:
    """The checks of a call, and the answer that refuses it; None when it may go on."""

    checks: Sequence[Check]
    refusal: Answer | None = None

    @property
    def allowed(self) -> bool:
        """Whether the call may go on."""
        return self.refusal is None


def decide(call: Call, form: Protocol) -> Outcome:
    """Decides every need of the call. Callers hold the gate's lock."""
    try:
        wanted = needs.needs(call)
    except NotModelledError as reason:
        if call.caller.administrator:
            return Outcome([Check("Allow", statement="administrator", reason="The administrator may.")])
        text = f"{reason}; {name(call)} may make only the calls that the emulator can decide."
        return Outcome([Check("NotModelled", reason=text)], _denied(call, text, form))
    except MissingKeyError as error:
        check = Check("ExplicitDeny", "kms:Decrypt", error.key_name, reason=str(error))
        code = f"KMS.{error.code}" if call.service == "s3" else error.code
        return Outcome([check], wire.error(400, code, str(error), form, head=call.message.method == "HEAD"))
    checks = []
    for need in wanted:
        decision = decide_need(call, need)
        checks.append(Check(decision.verdict, need.action, need.resource, decision.statement, decision.reason))
        if not decision.allowed:
            return Outcome(checks, _refusal(call, decision, form))
    return _special(call, form, checks or [Check("Allow", reason="It needs no permission.")])


def decide_need(call: Call, need: Need) -> iam.Decision:
    """One need, by IAM's rules."""
    caller = call.caller
    if caller.administrator and need.action in _ROOT_ALWAYS:
        return iam.Decision(True, "Allow", "The account's root always may.", "administrator")
    insists = (":kms:" in need.resource and not caller.administrator) or need.action.startswith("sts:")
    request = iam.Request(
        caller.principal,
        need.action,
        need.resource,
        {**_context(call), **need.context},
        ACCOUNT,
        insists,
        need.modelled,
    )
    bound = moto_state.policies(caller)
    return iam.decide(request, bound.identity, moto_state.resource_policy(need.resource), bound.boundary, bound.session)


def hides_absence(call: Call, status: int, form: Protocol) -> Outcome | None:
    """S3 tells that an object is absent only to those who may list its bucket; others are refused."""
    if status != 404 or call.service != "s3" or call.caller.administrator or not call.parameters.get("Key"):
        return None
    copies = "CopySource" in call.parameters
    bucket = lookups.copy_source(call)[0] if copies else str(call.parameters.get("Bucket"))
    if moto_state.bucket(bucket) is None or not (copies or call.message.method in {"GET", "HEAD"}):
        return None
    outcome = decide(replace(call, operation="ListObjectsV2", parameters={"Bucket": bucket}), form)
    return None if outcome.allowed else outcome


def name(call: Call) -> str:
    """The caller's name for people."""
    return call.caller.principal.arn


def _context(call: Call) -> dict[str, str]:
    now = datetime.now(UTC)
    given = {
        "aws:sourceip": str(call.environ.get("REMOTE_ADDR", "")),
        "aws:securetransport": "true" if call.environ.get("wsgi.url_scheme") == "https" else "false",
        "aws:useragent": call.message.header("user-agent") or "",
        "aws:referer": call.message.header("referer") or "",
        "aws:currenttime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(int(now.timestamp())),
        "aws:requestedregion": call.region,
        "aws:resourceaccount": ACCOUNT,
        "aws:viaawsservice": "false",
    }
    return {**{k: v for k, v in given.items() if v}, **call.caller.context}


def _denied(call: Call, text: str, form: Protocol) -> Answer:
    return wire.refusal("denied", text, form, head=call.message.method == "HEAD")


def _refusal(call: Call, decision: iam.Decision, form: Protocol) -> Answer:
    bucket = call.parameters.get("Bucket")
    if call.service == "s3" and bucket and call.operation != "CreateBucket" and moto_state.bucket(bucket) is None:
        text = "The specified bucket does not exist"
        return wire.error(404, "NoSuchBucket", text, form, head=call.message.method == "HEAD")
    return _denied(call, decision.reason, form)


def _special(call: Call, form: Protocol, checks: Sequence[Check]) -> Outcome:
    """What AWS checks besides policies, and Moto does not."""
    if call.service == "sts" and call.operation in _NO_CREDENTIALS:
        text = f"The emulator makes no credentials by {call.operation}; assume a role instead."
        return Outcome(checks, wire.error(501, "NotImplemented", text, form))
    if (call.service, call.operation) == ("sts", "AssumeRole"):
        role = moto_state.role_by_arn(str(call.parameters.get("RoleArn")))
        seconds = int(call.parameters.get("DurationSeconds") or 3600)
        longest = 3600 if call.caller.principal.role else _longest(role)
        if not 900 <= seconds <= longest:
            text = f"DurationSeconds is {seconds}; this session may last from 900 to {longest} seconds."
            return Outcome(checks, wire.error(400, "ValidationError", text, form))
    upload_id = call.parameters.get("UploadId") if call.service == "s3" else None
    if upload_id:
        found = moto_state.upload(str(call.parameters.get("Bucket")), str(upload_id))
        if found is None or found.key_name != call.parameters.get("Key"):
            return Outcome(checks, wire.error(404, "NoSuchUpload", "The specified upload does not exist.", form))
    return Outcome(checks)


def _longest(role: Any) -> int:
    return int(role.max_session_duration or 3600) if role else 3600
