"""One run of the engine over the full local stack in a process of its own, told where to die.

A boundary has a name that is the same in each run: what the engine was doing, to which resource, and the call or save
that it stands before or after. Steps come one at a time, so that a boundary is one state of the world.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import shutil
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from localcloud import journal, operations, secrets
from localcloud.aws.calls import is_change
from localcloud.aws.provider import Provider
from localcloud.files import write_private
from localcloud.ledger import Ledger
from localcloud.project import Project, load
from localcloud.state import StateFile
from tests.crash import copies

ROOT = Path(__file__).parents[2]
RELEASE = "sha256:" + "0" * 64
TIMELY = (
    b'{"version": ',
    b'{"saved": ',
)  # lines that differ with the time of writing: first ones, and digests of files
VERBS = ("create", "read", "update", "delete", "find")


@dataclass(frozen=True)
class World:
    """What a kill leaves: an emulator, and the folder with the state."""

    emulator: copies.Copy
    files: Path

    def copy(self, path: Path) -> World:
        """Another world that is as this one is now."""
        shutil.copytree(self.files, path / "files")
        return World(self.emulator.copy(path / "socket"), path / "files")


@dataclass(frozen=True)
class Elsewhere(Project):
    """The project with its state in another folder."""

    files: ClassVar[Path]

    @property
    def state_file(self) -> Path:
        return self.files / "local.json"


def project(world: World) -> Project:
    """The stack `local` of this checkout, its state and its emulator those of the world."""
    settings = [f"groundwork:aws.endpoint={copies.URL}", f"groundwork:release={RELEASE}"]
    found = load(ROOT, "local", settings, paths=True)
    Elsewhere.files = world.files
    return Elsewhere(**vars(found))


class Book:
    """The boundaries that a run passed, each a line in a file: name, digest of the state, changing calls so far."""

    def __init__(self, path: Path, files: Path, die_at: str | int | None, digests: bool) -> None:
        self._path, self._state, self._die_at, self._with_digests = path, files / "local.json", die_at, digests
        self._seen: Counter[str] = Counter()
        self._digests: dict[tuple[tuple[int, int, int], ...], str] = {}
        self.changes = 0
        self.doing = "between steps"

    def note(self, **row: Any) -> None:
        """Adds a line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def boundary(self, place: str) -> None:
        """A place where a kill may come, and comes if it is the one."""
        name = f"{self.doing}: {place}"
        self._seen[name] += 1
        if self._seen[name] > 1:
            name += f" ({self._seen[name]})"
        if self._with_digests:
            self.note(boundary=name, state=self._digest(), changes=self.changes)
        if self._die_at in (name, self._seen.total()):
            self.note(died=name)
            os.kill(os.getpid(), signal.SIGKILL)

    def _digest(self) -> str:
        """Of all that the state and its journal say but for the time of its writing."""
        files = [file for file in (self._state, journal.beside(self._state)) if file.exists()]
        key = tuple((found.st_ino, found.st_mtime_ns, found.st_size) for found in map(Path.stat, files))
        if key not in self._digests:
            lines = [line for file in files for line in file.read_bytes().splitlines()]
            said = [line for line in lines if not line.startswith(TIMELY)]
            self._digests = {key: hashlib.sha256(b"\n".join(said)).hexdigest()}
        return self._digests[key]


class Watched(Provider):
    """The provider for AWS, with a boundary before and after each of its calls and after each change of the cloud."""

    book: ClassVar[Book]

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.account._session.events.register("after-call", self._called)

    def _called(self, model: Any, **_: Any) -> None:
        if is_change(model.name):
            self.book.changes += 1
            self.book.boundary(f"after {model.name}")


def _watched(verb: str) -> Callable[..., Any]:
    def call(self: Watched, *arguments: Any) -> Any:
        self.book.boundary(f"before {verb}")
        answer = getattr(Provider, verb)(self, *arguments)
        if verb == "create":
            self.book.note(created=arguments[1], id=answer)
        elif verb == "delete":
            self.book.note(deleted=arguments[1])
        self.book.boundary(f"after {verb}")
        return answer

    return call


for _verb in VERBS:
    setattr(Watched, _verb, _watched(_verb))


def _watch(book: Book) -> None:
    """Boundaries around each line of the journal and each save; and what is being done, which the ledger is told."""
    Watched.book = book
    append, save, begin, end = StateFile.append, StateFile.save, Ledger.begin, Ledger.end

    def appending(self: StateFile, entries: Any) -> bool:
        book.boundary("before a line")
        if not append(self, entries):
            return False  # a save follows in its stead
        book.boundary("after a line")
        return True

    def saving(self: StateFile, snapshot: Any) -> None:
        book.boundary("before a save")
        save(self, snapshot)
        book.boundary("after a save")

    def beginning(self: Ledger, kind: str, resource: Any) -> int:
        book.doing = f"{kind} {resource.urn.rpartition('::')[0].rpartition('$')[2].rpartition('::')[2]} {resource.name}"
        return begin(self, kind, resource)

    def ending(self: Ledger, key: int, **rest: Any) -> None:
        end(self, key, **rest)
        book.doing = "between steps"

    def within(function: Callable[..., None], place: str) -> Callable[..., None]:
        def work(*arguments: Any) -> None:
            function(*arguments)
            book.boundary(place)

        return work

    journal._mark = within(journal._mark, "in a save, after the mark")
    journal.write_private = within(write_private, "in a save, before the journal goes")  # type: ignore[attr-defined] # an import there
    StateFile.append = appending  # type: ignore[method-assign] # in this process alone
    StateFile.save = saving  # type: ignore[method-assign] # likewise
    Ledger.begin, Ledger.end = beginning, ending  # type: ignore[method-assign] # likewise


def run(
    command: str,
    world: World,
    book: Path,
    *,
    die_at: str | int | None = None,
    refresh: bool = False,
    digests: bool = True,
) -> int:
    """Runs up, refresh, destroy or preview in a child process. Returns its exit code, negative for a signal.

    die_at: the name of the boundary at which it kills itself, or how many it passes. What it says of an error is in the
    file `error` of the world. digests: whether the book tells states apart.
    """
    return in_a_child(
        lambda: _command(command, world, Book(book, world.files, die_at, digests), refresh), world.files / "error"
    )


def in_a_child(work: Callable[[], object], errors: Path | None = None) -> int:
    """The exit code of a child process that does the work, negative for a signal."""
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - whatever it is: the child must end here
            with errors.open("a") if errors else contextlib.nullcontext(sys.stderr) as file:
                traceback.print_exc(file=file)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _command(command: str, world: World, book: Book, refresh: bool) -> None:
    gc.disable()
    os.fsync = lambda fd: None  # a process that dies loses nothing of what it wrote; only a machine does
    secrets.ITERATIONS = 1000  # a key a process, and thousands of processes
    os.environ["PULUMI_CONFIG_PASSPHRASE"] = "crash"
    os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"] = copies.ADMINISTRATOR
    copies.call_only(world.emulator)
    this = project(world)
    _watch(book)
    factories: dict[str, Any] = {"aws": Watched}

    def quiet(*_: object) -> None:
        pass

    if command == "refresh":
        result = operations.refresh(this, factories, quiet, parallel=1)
    elif command == "destroy":
        result = operations.destroy(this, factories, quiet, refresh=refresh, parallel=1)
    else:
        work = operations.up if command == "up" else operations.preview
        result = work(this, factories, quiet, quiet, refresh=refresh, parallel=1)
    book.note(result=dict(result.steps), gone=len(result.gone), drifted=len(result.drifted), seconds=result.seconds)
    modules = [name for name in sys.modules if name.partition(".")[0] in PRELOADED]
    book.note(modules=modules)


PRELOADED = ("pulumi", "pulumi_aws", "boto3", "botocore", "grpc", "yaml", "google", "asyncio", "concurrent")


def lines(book: Path) -> list[dict[str, Any]]:
    """What a book holds."""
    return [json.loads(line) for line in book.read_text(encoding="utf-8").splitlines()]
