"""Role credentials for containers, served in the form of the ECS agent.

An engine registers a role and the service that assumes it; whoever holds the URI and its token gets
temporary credentials of that role, renewed before their end, for as long as the role's trust policy lets
the service assume it.
"""

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud import iam, moto_state, needs
from localcloud.moto_state import ACCOUNT, Key
from localcloud.record import Check, Log

SESSION_SECONDS = 3600
RENEW_BEFORE = timedelta(minutes=20)  # SDKs ask again from 15 minutes before the end
MAXIMUM = 1000
PATH = "/v2/credentials/"


class CredentialsError(Exception):
    """There are none to be had; the message is a sentence, `status` an HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class _Registration:
    role_arn: str
    service: str
    source_arn: str
    session: str
    token: str = field(repr=False)
    key: Key | None = None


class Registry:
    """The registrations of one emulator. Callers hold the gate's lock."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._found: dict[str, _Registration] = {}

    def register(self, given: Mapping[str, Any]) -> tuple[str, str]:
        """Path and token for `{"role_arn", "service", "source_arn"?, "session"?}`. Raises CredentialsError."""
        session = str(given.get("session") or secrets.token_hex(16))
        if not re.fullmatch(r"[\w+=,.@-]{2,64}", session, re.ASCII):
            text = f"The session name {session[:64]!r} is not 2 to 64 letters, digits or characters of _+=,.@-."
            raise CredentialsError(400, text)
        if not {"role_arn", "service"} <= set(given):
            raise CredentialsError(400, "role_arn and service are needed.")
        found = _Registration(
            str(given["role_arn"]), str(given["service"]), str(given.get("source_arn") or ""), session,
            secrets.token_urlsafe(32),
        )  # fmt: skip
        self._credentials(found)
        if len(self._found) >= MAXIMUM:
            self._found.pop(next(iter(self._found)))
        name = secrets.token_urlsafe(24)
        self._found[name] = found
        return PATH + name, found.token

    def serve(self, path: str, token: str) -> dict[str, str]:
        """The agent's answer to a container. Raises CredentialsError."""
        found = self._found.get(path.removeprefix(PATH))
        given = token.encode("utf-8", "replace")
        if found is None or not hmac.compare_digest(found.token.encode(), given):
            raise CredentialsError(403, "There are no credentials for this path and authorization token.")
        key = self._credentials(found)
        expires = key.expires or datetime.now(UTC)
        return {
            "RoleArn": found.role_arn,
            "AccessKeyId": key.access_key,
            "SecretAccessKey": key.secret,
            "Token": key.token or "",
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _credentials(self, found: _Registration) -> Key:
        key = moto_state.key(found.key.access_key) if found.key else None
        if key and key.expires and datetime.now(UTC) + RENEW_BEFORE < key.expires:
            return key
        role = moto_state.role_by_arn(found.role_arn)
        if role is None:
            raise CredentialsError(404, f"The role {found.role_arn} does not exist.")
        decision = self._decide(found)
        check = Check(decision.verdict, "sts:AssumeRole", found.role_arn, decision.statement, decision.reason)
        self._log.write("sts:AssumeRole", found.service, [check], 200 if decision.allowed else 403)
        if not decision.allowed:
            text = f"The trust policy of {found.role_arn} does not let {found.service} assume the role."
            raise CredentialsError(403, f"{text} {decision.reason}")
        found.key = moto_state.assume(role, found.session, SESSION_SECONDS)
        return found.key

    @staticmethod
    def _decide(found: _Registration) -> iam.Decision:
        context = {"aws:sourceaccount": ACCOUNT}
        if found.source_arn:
            context["aws:sourcearn"] = found.source_arn
        request = iam.Request(
            iam.Principal(service=found.service), "sts:AssumeRole", found.role_arn, context, ACCOUNT,
            insists=True, modelled=needs.table().services["sts"].modelled,
        )  # fmt: skip
        return iam.decide(request, (), moto_state.resource_policy(found.role_arn))
