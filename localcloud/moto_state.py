"""What the gate reads out of Moto's memory: keys, roles, policies, encryption keys. With moto_adaptations.py the only
module that knows Moto's insides; written against the Moto version that the requirements pin.

Callers hold the gate's lock: Moto is not thread-safe.
"""

import json
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.backends import get_backend

from localcloud import iam

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
EVERYTHING = iam.policy("administrator", {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


@dataclass(frozen=True)
class Caller:
    """Who calls: the principal, and the condition keys that it brings with it."""

    principal: iam.Principal
    context: Mapping[str, str]
    administrator: bool = False
    access_key: str = ""  # of a session: sessions of one name may have different policies


@dataclass(frozen=True)
class Key:
    """An access key. token and expires belong to temporary keys."""

    access_key: str
    secret: str = field(repr=False)
    caller: Caller
    token: str | None = field(default=None, repr=False)
    expires: datetime | None = None


@dataclass(frozen=True)
class Policies:
    """The policies that bind a caller, as they stand now."""

    identity: tuple[iam.Policy, ...]
    boundary: iam.Policy | None = None
    session: iam.Policy | None = None


@dataclass(frozen=True)
class Session:
    """What Moto does not keep of an assumed role: which role it was (a new one of the same name is another),
    the session's policies and its tags."""

    role_id: str
    policies: tuple[iam.Policy, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    issued: datetime = field(default_factory=lambda: datetime.now(UTC))


_SESSIONS: "weakref.WeakKeyDictionary[Any, Session]" = weakref.WeakKeyDictionary()


def _backend(service: str, region: str = "aws") -> Any:
    """Moto's state of a service in a region; global services keep theirs under the partition."""
    return get_backend(service)[ACCOUNT][region]  # type: ignore[call-overload] # any of Moto's names


def _iam() -> Any:
    return _backend("iam")


def _sts() -> Any:
    return _backend("sts")


def _tags(given: Any) -> dict[str, str]:
    pairs = given if isinstance(given, list) else [{"Key": k, "Value": v} for k, v in (given or {}).items()]
    return {str(tag["Key"]): str(tag["Value"]) for tag in pairs}


# --- keys and who is behind them ----------------------------------------------------------------------


def administrator() -> Caller:
    """The account's root."""
    context = {"aws:principalarn": ROOT, "aws:userid": ACCOUNT, "aws:principaltype": "Account"}
    return Caller(iam.Principal(ROOT, ACCOUNT), _with_account(context), administrator=True)


def _with_account(context: Mapping[str, str]) -> dict[str, str]:
    return {**context, "aws:principalaccount": ACCOUNT, "aws:principalisawsservice": "false"}


def key(access_key: str) -> Key | None:
    """The active key of an IAM user, or the temporary key of a role that still exists."""
    found = _iam().access_keys.get(access_key)
    if found is None:
        return None
    if found.user_name:
        return _user_key(found)
    assumed = _assumed(access_key)
    return _role_key(assumed) if assumed else None


def _assumed(access_key: str) -> Any | None:
    return next((a for a in reversed(_sts().assumed_roles) if a.access_key_id == access_key), None)


def _user_key(found: Any) -> Key | None:
    user = _iam().users.get(found.user_name)
    if user is None or found.status != "Active":
        return None
    tags = {f"aws:principaltag/{k.lower()}": v for k, v in _tags(user.tags or []).items()}
    context = {"aws:principalarn": user.arn, "aws:userid": user.id, "aws:username": user.name, **tags}
    caller = Caller(
        iam.Principal(user.arn, ACCOUNT), _with_account({**context, "aws:principaltype": "User"})
    )  # fmt: skip
    return Key(found.access_key_id, found.secret_access_key, caller)


def _role_key(assumed: Any) -> Key | None:
    role = role_by_arn(assumed.role_arn)
    session = _SESSIONS.get(assumed)
    if role is None or (session and session.role_id != role.id):
        return None
    tags = {**_tags(role.tags), **(session.tags if session else {})}
    context = {
        "aws:principalarn": role.arn,
        "aws:userid": f"{role.id}:{assumed.session_name}",
        "aws:principaltype": "AssumedRole",
        **{f"aws:principaltag/{k.lower()}": v for k, v in tags.items()},
    }
    if session:
        context["aws:tokenissuetime"] = session.issued.strftime("%Y-%m-%dT%H:%M:%SZ")
    who = iam.Principal(assumed.arn, ACCOUNT, role=role.arn)
    caller = Caller(who, _with_account(context), access_key=assumed.access_key_id)
    expires = assumed.expiration.replace(tzinfo=assumed.expiration.tzinfo or UTC)
    return Key(assumed.access_key_id, assumed.secret_access_key, caller, assumed.session_token, expires)


def role_by_arn(arn: str) -> Any | None:
    """Moto's role with this ARN."""
    return next((r for r in _iam().roles.values() if r.arn == arn), None)


def as_root(answer: bytes) -> bytes:
    """Moto's answer to a key that it does not know says who somebody is; this is the account's root."""
    answer = answer.replace(f"arn:aws:sts::{ACCOUNT}:user/moto".encode(), ROOT.encode())
    return answer.replace(b"<UserId>AKIAIOSFODNN7EXAMPLE<", f"<UserId>{ACCOUNT}<".encode())


# --- policies -----------------------------------------------------------------------------------------


def policies(caller: Caller) -> Policies:
    """The caller's identity policies, boundary and session policy. A boundary that is gone denies."""
    if caller.administrator:
        return Policies((EVERYTHING,))
    if caller.principal.role:
        role = role_by_arn(caller.principal.role)
        if role is None:
            return Policies(())
        return Policies(tuple(_attached(role)), _boundary(role), _session_policy(_assumed(caller.access_key)))
    user = next((u for u in _iam().users.values() if u.arn == caller.principal.arn), None)
    if user is None:
        return Policies(())
    groups = [g for g in _iam().groups.values() if user in g.users]
    found = [p for owner in (user, *groups) for p in _attached(owner)]
    return Policies(tuple(found))


def _attached(owner: Any) -> Iterable[iam.Policy]:
    for name, document in owner.policies.items():
        yield iam.policy(name, document)
    for managed in owner.managed_policies.values():
        yield _managed(managed)


def _managed(managed: Any) -> iam.Policy:
    version = next(v for v in managed.versions if v.version_id == managed.default_version_id)
    return iam.policy(managed.name, version.document)


def managed_policy(arn: str) -> iam.Policy | None:
    """The managed policy with this ARN, the account's or AWS's own."""
    found = _iam().managed_policies.get(arn)
    return _managed(found) if found else None


def _boundary(owner: Any) -> iam.Policy | None:
    if not (arn := owner.permissions_boundary_arn):
        return None
    return managed_policy(arn) or iam.Policy(arn, flaw=f"the permissions boundary {arn} does not exist")


def _session_policy(assumed: Any | None) -> iam.Policy | None:
    session = _SESSIONS.get(assumed) if assumed else None
    found = list(session.policies) if session else []
    if assumed and assumed.policy and not session:
        found.append(iam.policy("session policy", assumed.policy))
    if not found:
        return None
    flaw = next((p.flaw for p in found if p.flaw), None)
    return iam.Policy("of the session", tuple(s for p in found for s in p.statements), flaw)


def resource_policy(arn: str) -> iam.Policy | None:
    """The policy of the resource itself, if it has one."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return None
    reader = _RESOURCE_POLICIES.get(parts[2])
    text = reader(arn, parts[3], parts[5]) if reader else None
    return iam.policy(f"policy of {arn}", text) if text else None


def _bucket_policy(_arn: str, _region: str, name: str) -> str | None:
    found = bucket(name.split("/", 1)[0])
    return found.policy.decode() if found and found.policy else None


def _key_policy(arn: str, region: str, _name: str) -> str | None:
    found = encryption_key(arn, region)
    if found is None:
        return None
    document = json.loads(found.policy)
    statements = document.get("Statement", [])
    granted = [_grant_statement(grant) for grant in found.grants.values()]
    document["Statement"] = [*(statements if isinstance(statements, list) else [statements]), *granted]
    return json.dumps(document)


def _grant_statement(grant: Any) -> dict[str, Any]:
    """A KMS grant, said as a statement of the key's policy."""
    equals: dict[str, Any] = {}
    constraints = grant.constraints or {}
    for name in ("EncryptionContextEquals", "EncryptionContextSubset"):
        equals |= {f"kms:EncryptionContext:{k}": v for k, v in constraints.get(name, {}).items()}
    condition: dict[str, Any] = {"StringEquals": equals} if equals else {}
    if names := list(constraints.get("EncryptionContextEquals", {})):
        condition["ForAllValues:StringEquals"] = {"kms:EncryptionContextKeys": names}
    return {
        "Sid": f"grant {grant.id}",
        "Effect": "Allow",
        "Principal": {"AWS": grant.grantee_principal},
        "Action": [f"kms:{operation}" for operation in grant.operations],
        "Resource": "*",
        "Condition": condition,
    }


def _queue_policy(_arn: str, region: str, name: str) -> str | None:
    found = _backend("sqs", region).queues.get(name)
    policy = found.policy if found else None
    return json.dumps(policy) if isinstance(policy, dict) else policy


def _topic_policy(arn: str, region: str, _name: str) -> str | None:
    found = _backend("sns", region).topics.get(arn)
    return found.policy if found else None


def _secret_policy(arn: str, region: str, _name: str) -> str | None:
    found = secret(arn, region)
    return found.policy if found else None


def _repository_policy(_arn: str, region: str, name: str) -> str | None:
    found = _backend("ecr", region).repositories.get(name.removeprefix("repository/"))
    policy = found.policy if found else None
    return json.dumps(policy) if isinstance(policy, dict) else policy


def _trust_policy(arn: str, _region: str, _name: str) -> str | None:
    role = role_by_arn(arn)
    document = role.assume_role_policy_document if role else None
    return json.dumps(document) if isinstance(document, dict) else document


_RESOURCE_POLICIES = {
    "s3": _bucket_policy,
    "kms": _key_policy,
    "sqs": _queue_policy,
    "sns": _topic_policy,
    "secretsmanager": _secret_policy,
    "ecr": _repository_policy,
    "iam": _trust_policy,
}


# --- resources ----------------------------------------------------------------------------------------


def bucket(name: str) -> Any | None:
    """Moto's bucket."""
    return _backend("s3").buckets.get(name)


def stored_object(bucket_name: str, object_key: str, version: str | None = None) -> Any | None:
    """Moto's object, or None for none or a delete marker."""
    if bucket(bucket_name) is None:
        return None
    return _backend("s3").get_object(bucket_name, object_key, version_id=version)


def object_tags(found: Any) -> dict[str, str]:
    """An object's tags."""
    tags: dict[str, str] = _backend("s3").tagger.get_tag_dict_for_resource(found.arn)
    return tags


def upload(bucket_name: str, upload_id: str) -> Any | None:
    """Moto's multipart upload under way."""
    found = bucket(bucket_name)
    return found.multiparts.get(upload_id) if found else None


def encryption_key(name: str, region: str) -> Any | None:
    """Moto's KMS key for an id, an alias or an ARN of either; None if there is none in its region."""
    if name.startswith("arn:"):
        parts = name.split(":", 5)
        if len(parts) < 6 or parts[4] != ACCOUNT:
            return None
        region = parts[3]
    backend = _backend("kms", region)
    try:
        return backend.keys.get(backend.any_id_to_key_id(name))
    except (KeyError, TypeError, AttributeError):
        return None


def secret(name: str, region: str) -> Any | None:
    """Moto's secret for a name or an ARN."""
    return _backend("secretsmanager", region).secrets.get(name)


# --- sessions -----------------------------------------------------------------------------------------


def assume(role: Any, session_name: str, seconds: int) -> Key:
    """Temporary credentials of a role; whoever calls has decided that they may be had."""
    assumed = _sts().assume_role(
        region_name="us-east-1", role_session_name=session_name, role_arn=role.arn, policy=None,
        duration=seconds, external_id=None,
    )  # fmt: skip
    _SESSIONS[assumed] = Session(role.id)
    found = _role_key(assumed)
    assert found is not None  # noqa: S101 - the role was just read
    return found


def describe_last_session(parameters: Mapping[str, Any]) -> None:
    """Keeps what an AssumeRole call said of the session that Moto issued for it just now, and Moto did not."""
    assumed, role = _sts().assumed_roles[-1], role_by_arn(parameters["RoleArn"])
    if role is not None and assumed.role_arn == role.arn:
        _SESSIONS[assumed] = _session_for(role, parameters)


def _session_for(role: Any, parameters: Mapping[str, Any]) -> Session:
    """A managed session policy that does not exist denies everything."""
    found = [iam.policy("session policy", parameters["Policy"])] if parameters.get("Policy") else []
    for entry in parameters.get("PolicyArns") or []:
        arn = str(entry.get("arn"))
        found.append(managed_policy(arn) or iam.Policy(arn, flaw=f"the session policy {arn} does not exist"))
    return Session(role.id, tuple(found), _tags(parameters.get("Tags") or []))


def parameter_key(name: str, region: str) -> str | None:
    """The KMS key of a secure SSM parameter."""
    found = _backend("ssm", region).get_parameter(name)
    return found.keyid if found and found.parameter_type == "SecureString" else None
