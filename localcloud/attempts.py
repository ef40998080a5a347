"""Operations of a provider, tried again where the program's error hooks ask for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from localcloud.callbacks import BOUND, HookCall
from localcloud.errors import LocalcloudError
from localcloud.monitor import Host
from localcloud.state import Resource
from localcloud.timeouts import within

MOST = 100  # tries of one operation, as in Pulumi's engine (pkg/resource/deploy/retries.go)
Answer = TypeVar("Answer")


def attempted(
    host: Host, operation: str, row: Resource, act: Callable[[], Answer], old: Resource | None = None
) -> Answer:
    """What `act` returns, within the row's custom timeout, as often as error hooks ask for after a failure.

    operation: create, update or delete, of `row`; old: the resource before an update. Raises what `act` raises.
    """
    names = row.extra.get(BOUND, {}).get("OnError", ())
    failures: list[str] = []
    while True:
        try:
            return within(row, operation, act)
        except Exception as error:
            failures.insert(0, str(error))
            if not names or host.stopping.is_set():
                raise
            if len(failures) >= MOST:
                raise LocalcloudError(
                    f"{error} That was try {MOST} of {MOST} that its error hooks may ask for."
                ) from error
            if not host.callbacks.asks_to_retry(names, operation, _call(operation, row, old), failures):
                raise
        host.callbacks.log(
            "warning",
            f"Retrying the {operation} of {row.type} {row.name!r}, as an error hook asks ({len(failures)}/{MOST}).",
        )


def _call(operation: str, row: Resource, old: Resource | None) -> HookCall:
    """What a hook is told: of a deletion the resource as it was, of an update both, of a creation the new one."""
    before = row if operation == "delete" else old
    return HookCall(
        row.urn,
        row.id,
        row.name,
        row.type,
        new_inputs=None if operation == "delete" else row.inputs,
        old_inputs=before.inputs if before else None,
        old_outputs=before.outputs if before else None,
    )
