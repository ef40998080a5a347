"""The record of calls: who called what, with which answer, and the statement that decided. JSON lines.

    {"time": ISO 8601, "principal": ARN, service or null, "operation": "s3:GetObject", "action": or null,
     "resource": ARN or null, "decision": "Allow" | "ImplicitDeny" | "ExplicitDeny" | "NotModelled" | "Refused",
     "statement": policy and Sid or index, or null, "reason": sentence, "status": HTTP status,
     "also": [{"action", "resource", "decision", "statement"}]}

A call that needs several actions is told by the one that decided it; `also` holds the others. "Refused" is
a call that no known key signed.
"""

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

LIMIT = 64 * 2**20  # bytes; then calls.jsonl becomes calls.jsonl.1


@dataclass(frozen=True)
class Check:
    """One decided need of a call."""

    decision: str
    action: str | None = None
    resource: str | None = None
    statement: str | None = None
    reason: str = ""


class Log:
    """Appends to one file, from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def write(self, operation: str, principal: str | None, checks: Sequence[Check], status: int) -> None:
        """One call. The first check that is no allow has decided it, or else the first."""
        told = next((c for c in checks if c.decision != "Allow"), checks[0])
        line: dict[str, object] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "principal": principal,
            "operation": operation,
            "action": told.action,
            "resource": told.resource,
            "decision": told.decision,
            "statement": told.statement,
            "reason": told.reason,
            "status": status,
        }
        if others := [c for c in checks if c is not told]:
            line["also"] = [
                {"action": c.action, "resource": c.resource, "decision": c.decision, "statement": c.statement}
                for c in others
            ]
        data = json.dumps(line).encode() + b"\n"
        with self._lock:
            if os.fstat(self._file).st_size > LIMIT:
                os.close(self._file)
                self._path.replace(self._path.with_suffix(".jsonl.1"))
                self._file = self._open()
            os.write(self._file, data)
