"""Runs a Pulumi program in this process, its requests answered by a monitor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import runpy
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, TextIO, cast

import pulumi
import pulumi.resource as pulumi_sdk_resource
from google.protobuf import empty_pb2
from pulumi.runtime import config as pulumi_config
from pulumi.runtime import resource as pulumi_resource
from pulumi.runtime import settings as pulumi_settings
from pulumi.runtime import stack as pulumi_stack
from pulumi.runtime.proto import engine_pb2, source_pb2

from localcloud.errors import LocalcloudError
from localcloud.masking import Masked
from localcloud.monitor import Monitor
from localcloud.project import Project
from localcloud.values import Secret

# One thread waits for each resource under way; a callback of the SDK's that needs one must still find one free.
THREADS = 256
FRAMES = 25  # looked through for the program's own line
PLACE = "_localcloud_place"
CONSTRUCTORS = 3  # one in the other: of Resource, CustomResource or ComponentResource, and the class of the resource
PAUSE = 2e-5  # seconds for each that is waited for: what looks at them all takes a small part of the time


class EngineLog:
    """The SDK's Engine: takes what the program logs."""

    def __init__(self, log: Callable[[str, str], None]) -> None:
        self._log = log
        self._root = ""

    def Log(self, request: Any, _context: Any = None) -> Any:  # noqa: N802 - protocol
        severity = engine_pb2.LogSeverity.Name(request.severity).lower()
        if severity != "debug":
            self._log(severity, request.message)
        return empty_pb2.Empty()

    def GetRootResource(self, _request: Any, _context: Any = None) -> Any:  # noqa: N802 - protocol
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, _context: Any = None) -> Any:  # noqa: N802 - protocol
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()


@contextlib.contextmanager
def _prints_aside(project: Project) -> Iterator[None]:
    """What the program prints, or a process that it starts, goes to standard error: standard output holds results.

    What it prints itself is masked; what a process of its writes, is not."""
    kept = os.dup(1)
    sys.stdout.flush()
    os.dup2(2, 1)
    try:
        masked = cast("TextIO", Masked(sys.stderr, project.mask))
        with contextlib.redirect_stdout(masked), contextlib.redirect_stderr(masked):
            yield
    finally:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def _sources_in_project(project: Project) -> Iterator[None]:
    """Makes the SDK tell the innermost line of the project that declares a resource. By itself it tells none for a
    resource without a class of its own (`pulumi.CustomResource(...)`), and a line of the SDK for a provider."""
    told = pulumi_resource._get_stack_trace
    places: dict[str, tuple[str, bool]] = {}  # file → its URI, and whether it is the project's

    def place(file: str) -> tuple[str, bool]:
        if file not in places:
            path = Path(file).absolute()
            places[file] = (path.as_uri(), _is_ours(path, project))
        return places[file]

    def trace() -> source_pb2.StackTrace:
        frames, beyond, constructors = [], 0, 0
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            frames.append((frame.f_code.co_filename, frame.f_lineno))
            constructors += frame.f_code.co_name == "__init__"
            if constructors == CONSTRUCTORS and not beyond:
                beyond = len(frames)  # where the class was called
            frame = frame.f_back
        frames = frames[beyond:] or frames
        file, line = next(((file, line) for file, line in frames if place(file)[1]), frames[0])
        position = source_pb2.SourcePosition(uri=place(file)[0], line=line)
        return source_pb2.StackTrace(frames=[source_pb2.StackFrame(pc=position)])

    pulumi_resource._get_stack_trace = trace
    try:
        yield
    finally:
        pulumi_resource._get_stack_trace = told


@contextlib.contextmanager
def _aliases_as_they_are() -> Iterator[None]:
    """Spares the SDK the URN of each alias, for engines that take no alias but URNs: this one does. An azure-native
    resource has up to fifty aliases, and their URNs took seven eighths of the time of a plan."""
    told = getattr(pulumi_sdk_resource, "collapse_alias_to_urn")  # noqa: B009 - an import there
    setattr(pulumi_sdk_resource, "collapse_alias_to_urn", lambda alias, *_: alias)  # noqa: B010 - an import there
    try:
        yield
    finally:
        setattr(pulumi_sdk_resource, "collapse_alias_to_urn", told)  # noqa: B010 - an import there


class _Asyncio:
    """asyncio for the SDK's wait for all outputs, which looks at every output each time that one is done: a square of
    their number. This one looks at them all a few times a second."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def wait(tasks: Collection[asyncio.Future[Any]], **_: Any) -> tuple[set[Any], set[Any]]:
        """Those that are done, none perhaps, and the others."""
        return await asyncio.wait(tasks, timeout=0.01 + PAUSE * len(tasks), return_when=asyncio.FIRST_EXCEPTION)


@contextlib.contextmanager
def _outputs_together() -> Iterator[None]:
    setattr(pulumi_stack, "asyncio", _Asyncio())  # noqa: B010 - an import there
    try:
        yield
    finally:
        setattr(pulumi_stack, "asyncio", asyncio)  # noqa: B010 - an import there


@contextlib.contextmanager
def _places_of_applies(project: Project) -> Iterator[None]:
    """Notes on an error in an `apply` the line of the program that asked for it: for `thing.items["key"]` the SDK does,
    and no frame of the error's own stack is the program's. Learns the secrets that are applied."""
    told = pulumi.Output.apply
    root = f"{project.root}{os.sep}"

    def apply(self: Any, func: Callable[[Any], Any], *rest: Any, **named: Any) -> Any:
        frame, place = sys._getframe(1), ("", 0)
        for _ in range(FRAMES):
            name = frame.f_code.co_filename
            if name.startswith(root) and "site-packages" not in name:
                place = (name, frame.f_lineno)
                break
            if frame.f_back is None:
                break
            frame = frame.f_back
        if not place[0]:
            return told(self, func, *rest, **named)

        def noted(value: Any) -> Any:
            if self._data.done() and self._data.result().is_secret:
                project.mask.learn(Secret(value))  # the program may raise, log or print it
            try:
                return func(value)
            except Exception as error:
                if not hasattr(error, PLACE):
                    setattr(error, PLACE, place)
                raise

        return told(self, noted, *rest, **named)

    setattr(pulumi.Output, "apply", apply)  # noqa: B010 - mypy takes no assignment to a method
    try:
        yield
    finally:
        setattr(pulumi.Output, "apply", told)  # noqa: B010 - as above


def _is_ours(file: Path, project: Project) -> bool:
    """Whether a file is the project's own: no installed package, and not what runs the program."""
    if not file.is_relative_to(project.root) or file.is_relative_to(Path(__file__).parent):
        return False
    return "site-packages" not in file.relative_to(project.root).parts


class ProgramError(LocalcloudError):
    """The program itself raised; the text tells its error and the line of the program where it happened."""


def run(monitor: Monitor, log: Callable[[str, str], None], arguments: Sequence[str] = ()) -> None:
    """Runs the project's program to its end, every request answered by the monitor's host.

    The working directory, `sys.path`, `sys.argv` and the SDK's settings are global: one program at a time, and for
    programs with modules of the same name one process each. Raises the host's first error, else ProgramError.
    """
    project = monitor.project
    pulumi_settings.reset_options(project=project.name, stack=project.stack, preview=monitor.dry_run)
    monitor.callbacks.log = lambda severity, message: log(severity, project.masked(message))
    pulumi_settings.configure(
        pulumi_settings.Settings(
            project=project.name,
            stack=project.stack,
            monitor=monitor,
            engine=EngineLog(monitor.callbacks.log),
            dry_run=monitor.dry_run,
            organization="organization",
            root_directory=str(project.root),
        )
    )
    pulumi_config.set_all_config(project.config, sorted(project.secret_keys))
    before = (Path.cwd(), list(sys.path), list(sys.argv))
    os.chdir(project.main)
    sys.path.insert(0, str(project.main))
    sys.argv = [str(project.main), *arguments]
    try:
        with (
            _prints_aside(project),
            _sources_in_project(project),
            _places_of_applies(project),
            _aliases_as_they_are(),
            _outputs_together(),
        ):
            _run_in_loop(monitor)
    finally:
        os.chdir(before[0])
        sys.path[:] = before[1]
        sys.argv[:] = before[2]


def _run_in_loop(monitor: Monitor) -> None:
    loop = asyncio.new_event_loop()
    executor = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="localcloud")
    loop.set_default_executor(executor)
    loop.set_exception_handler(lambda _loop, _context: None)  # what other tasks say of the first error is no news
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(pulumi_stack.run_in_stack(lambda: _program(monitor.project.main)))
    except (Exception, SystemExit) as error:
        monitor.host.stopping.set()
        executor.shutdown(wait=True, cancel_futures=True)
        if monitor.error is not None:
            raise monitor.error from None
        raise _program_error(error, monitor.project) from error
    finally:
        monitor.host.stopping.set()
        executor.shutdown(wait=True, cancel_futures=True)  # steps under way end and are written down
        monitor.callbacks.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        asyncio.set_event_loop(None)
        loop.close()


def _program(main: Path) -> None:
    """From its source: kept bytecode of a file that changed within a second, its length the same, is the old one."""
    source = main / "__main__.py"
    runpy.run_path(str(source if source.is_file() else main), run_name="__main__")


def _of_the_environment(error: KeyError) -> bool:
    """Whether it was `os.environ[...]` that raised."""
    steps = traceback.extract_tb(error.__traceback__)
    return bool(steps) and steps[-1].name == "__getitem__" and steps[-1].filename in (os.__file__, "<frozen os>")


def _program_error(error: BaseException, project: Project) -> LocalcloudError:
    """The error as a sentence with the innermost line that belongs to the project."""
    place = ""
    step = error.__traceback__
    while step is not None:
        file = Path(step.tb_frame.f_code.co_filename)
        if _is_ours(file, project):
            place = f" ({file.relative_to(project.root)}:{step.tb_lineno})"
        step = step.tb_next
    if not place and (asked := getattr(error, PLACE, None)):
        place = f" ({Path(asked[0]).relative_to(project.root)}:{asked[1]})"
    if isinstance(error, LocalcloudError):
        return error
    if isinstance(error, pulumi.RunError):
        return ProgramError(project.masked(f"{error}"))
    text = str(error) or "no message"
    if isinstance(error, KeyError) and _of_the_environment(error):
        text = f"the environment variable {text} is not set. Set it for this command, as the program reads it"
    if isinstance(error, SyntaxError) and error.filename:
        text, file = error.msg, Path(error.filename)
        place = f" ({file.relative_to(project.root) if _is_ours(file, project) else file}:{error.lineno})"
    return ProgramError(
        project.masked(f"The program of {project.name!r} stopped: {type(error).__name__}: {text}{place}")
    )
