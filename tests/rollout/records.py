"""Records for tests, as `deploy` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rollout import record

COMMIT = "c" * 40
RELEASE = f"sha256:{'1' * 64}"


def predicate(stack: str = "dev", **changed: Any) -> dict[str, Any]:
    """What a deployment that succeeded says."""
    return {
        "version": 1,
        "stack": stack,
        "environment": stack,
        "branch": stack,
        "commit": COMMIT,
        "release": RELEASE,
        "plan": {"sha256": "a" * 64},
        "reviewed": {"pullRequest": 7, "head": "d" * 40, "sha256": "a" * 64},
        "unreviewed": None,
        "state": {"before": None, "after": "b" * 64},
        "policy": {
            "passed": True,
            "counts": {"fail": 0, "undetermined": 0, "waived": 0, "pass": 9},
            "sha256": "e" * 64,
        },
        "waivers": [],
        "approvers": ["someone"],
        "run": {"id": 41, "attempt": 1, "url": "https://example.com/41", "event": "push", "actor": "someone"},
        "outcome": "succeeded",
        "steps": [{"name": "up", "outcome": "succeeded", "seconds": 1.5, "detail": "up"}],
        "rolledBackTo": None,
        "began": "2026-11-21T20:30:00Z",
        "ended": "2026-11-21T20:31:00Z",
        **changed,
    }


def keep(records: Path, stack: str = "dev", **changed: Any) -> Path:
    """Writes a record where it belongs."""
    made = record.statement(predicate(stack, **changed), "ghcr.io/example/app")
    path = records / record.file_name(made)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made), encoding="utf-8")
    return path
