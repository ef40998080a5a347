"""The processes of the service: one that keeps the others, and WORKERS of them that answer.

    the first    listens, makes the application, forks the workers and waits; it has no thread and answers nobody
    a worker     answers; looks for new models; sends records to the lake; tells what it did

A worker that dies is replaced. On SIGTERM or SIGINT (a stop, or a spot machine's notice: both come so) all answer
what they were asked, write what they know, and end. A worker whose first process is gone ends in the same way.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from flask import Flask

from app import events
from app.fast import Fast
from app.lake import Lake
from app.metrics import Metrics
from app.server import GRACE, Worker
from app.serving import Models
from app.store import Store

log = logging.getLogger("app.workers")

_BEAT = 0.1  # seconds between two writings of what waits to be told
_STATE = 1.0  # seconds between two looks at drift and lake, and between two lines about what was counted
_LAKE_SECONDS = 8.0  # of the stop, for what waits for the lake; the rest stays on disk
_KILL = GRACE + _LAKE_SECONDS + 4.0  # seconds after which a worker that does not end is killed; platforms wait for 30
_SWITCH = 0.001  # seconds that a thread computes before another may: a fast answer waits for no slow one
_CRASHES, _WITHIN = 10, 60.0  # so many deaths of workers in so many seconds, and the service gives up


class ServeError(Exception):
    """The service cannot be served; the message is a sentence."""


class Service(NamedTuple):
    """What a worker serves. The lake is made in the worker, of its store and the folder where records wait."""

    app: Flask
    models: Models
    lake: Store | None
    spool: Path


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ServeError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ServeError(f"HOST {host!r} is not an address to listen on: {error}.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise ServeError(f"{host}:{port} cannot be listened on: {error.strerror}. Set PORT.") from None
    return listener


def serve(service: Service, listener: socket.socket, number: int, started: Callable[[], None]) -> int:
    """Serves with `number` workers until SIGTERM or SIGINT, then ends as gracefully as they do. Returns 0, or 1 if
    workers died again and again. `started` is called once connections are taken. For the main thread, with no other.
    """
    waited = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    alive, keep_alive = os.pipe()
    _use_one_arena()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # a connection is a file, and 1,024 the usual bound
    resource.setrlimit(resource.RLIMIT_NOFILE, (most if most != resource.RLIM_INFINITY else 65_536, most))
    gc.collect()
    gc.freeze()  # what all share is looked at no more, and so stays shared
    workers = {_fork(index, service, listener, (alive, keep_alive)): index for index in range(number)}
    started()
    deaths: list[float] = []
    while True:
        if signal.sigwait(waited) != signal.SIGCHLD:
            failed = False
            break
        for pid, code in _ended(workers):
            index = workers.pop(pid)
            deaths = [*(then for then in deaths if time.monotonic() - then < _WITHIN), time.monotonic()]
            log.error("worker %d (process %d) ended with %d", index, pid, code)
            events.tell("worker", worker=index, code=code)
            if len(deaths) < _CRASHES:
                workers[_fork(index, service, listener, (alive, keep_alive))] = index
            else:
                service.app.extensions["metrics"].ended(index)
        if not workers:
            failed = True
            break
    listener.close()  # the workers have it, and close it last
    _stop(workers)
    return int(failed)


def _use_one_arena() -> None:
    """Has glibc keep the memory of all threads in one place: each with its own, a worker takes 8 MB more under load."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(-8, 1)  # M_ARENA_MAX of malloc.h


def _stop(workers: dict[int, int]) -> None:
    """Has the workers end, and waits for them."""
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + _KILL
    while workers:
        for pid, _ in _ended(workers):
            workers.pop(pid)
        if workers and signal.sigtimedwait({signal.SIGCHLD}, max(0.0, until - time.monotonic())) is None:
            for pid, index in workers.items():
                log.error("worker %d did not end and is killed", index)
                os.kill(pid, signal.SIGKILL)
            until = time.monotonic() + 60.0


def _ended(workers: dict[int, int]) -> list[tuple[int, int]]:
    """The workers that have ended, with their exit codes, or minus the signal that ended them."""
    found = []
    for pid in list(workers):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            found.append((pid, os.waitstatus_to_exitcode(status)))
    return found


def _fork(index: int, service: Service, listener: socket.socket, pipe: tuple[int, int]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.close(pipe[1])
        _work(index, service, listener, pipe[0])
        code = 0
    except BaseException:  # it must never return into what the first process does
        log.exception("worker %d failed", index)
    finally:
        events.write_waiting()
        logging.shutdown()
        os._exit(code)


def _work(index: int, service: Service, listener: socket.socket, alive: int) -> None:
    """What a worker does, from its fork to its end."""
    sys.setswitchinterval(_SWITCH)
    extensions = service.app.extensions
    metrics: Metrics = extensions["metrics"]
    metrics.use(index)
    events.start_worker()
    told: events.Requests = extensions["requests"]
    worker = Worker(service.app, listener, Fast(extensions["answers"], metrics, told), metrics, told)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a terminal sends it to all of us; the first process says what it means
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
    lake = Lake(service.lake, service.spool, metrics.count_records) if service.lake is not None else None
    if lake is not None:
        lake.start()
        extensions["answers"].lake = lake
    service.models.start()
    ending = threading.Event()
    beat = threading.Thread(target=_beat, args=(service, metrics, lake, ending), name="beat", daemon=True)
    beat.start()
    threading.Thread(target=_watch, args=(alive, worker), name="watch", daemon=True).start()
    worker.run()
    service.models.stop()
    if lake is not None:
        lake.stop(_LAKE_SECONDS)
    ending.set()
    beat.join(1.0)


def _beat(service: Service, metrics: Metrics, lake: Lake | None, ending: threading.Event) -> None:
    """Tells what waits to be told, again and again."""
    due = 0.0
    drift = service.app.extensions["drift"]
    while True:
        last = ending.wait(_BEAT)
        try:
            if last or time.monotonic() >= due:
                due = time.monotonic() + _STATE
                version = service.models.served.version
                share = drift.share(version.model) if version is not None else None
                metrics.show_state(share, lake.waiting() if lake is not None else 0)
                service.app.extensions["requests"].tell_rest()
            events.write_waiting()
        except Exception:  # the thread must outlive whatever a disk can do
            log.exception("the worker's state cannot be told")
        if last:
            return


def _watch(alive: int, worker: Worker) -> None:
    """Stops the worker when the first process is gone: nobody holds the pipe's other end then."""
    select.select([alive], [], [])
    worker.stop()
