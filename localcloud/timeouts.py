"""Custom timeouts: how long the user lets one operation of a resource take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from localcloud.errors import LocalcloudError
from localcloud.state import Resource

Answer = TypeVar("Answer")


def within(row: Resource, operation: str, act: Callable[[], Answer]) -> Answer:
    """What `act` returns or raises; LocalcloudError once it takes longer than the row's timeout for the operation
    (create, update or delete). What it does then goes on in its thread: how it ends is for the next run to find out.
    """
    limit = row.custom_timeouts.get(operation)
    if not limit:
        return act()
    done: Future[Answer] = Future()

    def work() -> None:
        try:
            done.set_result(act())
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return done.result(limit)
    except TimeoutError:
        if done.done():
            raise
        raise LocalcloudError(
            f"The {operation} of {row.type} {row.name!r} took longer than its custom timeout of {limit:g} s. Run the "
            "same command again: it finds out how that ended. Or allow more in custom_timeouts."
        ) from None
