"""The commands that answer predictions: `serve` in processes of its own, `function` from call to call."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from app.settings import SettingError, number, setting
from app.store import StoreError, open_store

if TYPE_CHECKING:
    from app.calls import Calls

WORKERS = 2
MOST = 64


def serve() -> int:
    """Answers HTTP on PORT until SIGTERM. Raises SettingError, StoreError."""
    _log()
    return _answer("serve", None)


def function() -> int:
    """On Lambda, from call to call; elsewhere a function is a container that answers HTTP, as `serve` does."""
    from app.calls import open_calls  # noqa: PLC0415 - functions alone need it

    _log()
    address = os.environ.get("AWS_LAMBDA_RUNTIME_API")
    try:
        days = number("CALLS_DAYS", 90, 1, 365)
        calls = open_calls(setting("CALLS", "the table's address, such as CALLS=dynamodb://TABLE"), days)
        return _answer_lambda(address, calls) if address else _answer("function", calls)
    except (SettingError, StoreError) as error:
        problem = SettingError(str(error))
    if address:
        _cannot_start(address, problem)
    raise problem


def _log() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("botocore", "azure", "google", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _answer(command: str, calls: Calls | None) -> int:
    from app import workers  # noqa: PLC0415 - the jobs need neither Flask nor waitress
    from app.lake import Lake, default_spool  # noqa: PLC0415 - as above
    from app.metrics import Metrics  # noqa: PLC0415 - as above
    from app.service import create_app  # noqa: PLC0415 - as above
    from app.serving import Models  # noqa: PLC0415 - as above

    host, port, processes = (
        os.environ.get("HOST") or "127.0.0.1",
        number("PORT", 8080, 0, 65535),
        number("WORKERS", WORKERS, 1, MOST),
    )
    try:
        listener = workers.listen(host, port)
    except workers.ServeError as error:
        raise SettingError(str(error)) from None
    models = Models(open_store(setting("MODEL_STORE"), seconds=5.0))
    lake_uri = os.environ.get("LAKE")
    lake = open_store(lake_uri, seconds=5.0) if lake_uri else None
    spool = Path(os.environ.get("SPOOL") or default_spool())
    if lake is not None:
        Lake(lake, spool, lambda _outcome, _lines: None)  # a folder that cannot be used is told before anybody comes
    app = create_app(models, None, calls, Metrics(processes))

    def started() -> None:
        shown, bound = listener.getsockname()[:2]
        url = f"http://[{shown}]:{bound}" if ":" in shown else f"http://{shown}:{bound}"
        _say(f"Serving on {url}.", {"command": command, "url": url, "pid": os.getpid(), "workers": processes})

    return workers.serve(workers.Service(app, models, lake, spool), listener, processes, started)


def _answer_lambda(address: str, calls: Calls) -> int:
    from app import function  # noqa: PLC0415 - the jobs need no Flask
    from app.service import create_app  # noqa: PLC0415 - as above
    from app.serving import Models  # noqa: PLC0415 - as above

    models = Models(open_store(setting("MODEL_STORE"), seconds=2.0), seconds=30.0)
    app = create_app(models, None, calls)  # the lake is written by a thread, which stands still between calls
    _say("Waiting for calls.", {"command": "function", "pid": os.getpid()})
    models.refresh()
    try:
        function.run(function.Runtime(address), app, models)
    except function.RuntimeApiError as error:
        raise SettingError(str(error)) from None
    return 0


def _cannot_start(address: str, problem: Exception) -> None:
    """Tells Lambda why, so that the sentence is in its log and in the caller's error."""
    from app.function import Runtime, RuntimeApiError  # noqa: PLC0415 - as above

    with contextlib.suppress(RuntimeApiError):
        Runtime(address).fail(problem)


def _say(sentence: str, answer: dict[str, object]) -> None:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - the command's answer, for people
    print(json.dumps(answer), flush=True)  # noqa: T201 - and for programs
