"""Between saves of the whole state, a journal: read back at any moment, cut anywhere, it says what the run has done."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from localcloud import history, journal
from localcloud.__main__ import main
from localcloud.book import Entry
from localcloud.errors import LocalcloudError
from localcloud.files import write_private
from localcloud.ledger import Ledger
from localcloud.snapshot import Operation, Resource, Snapshot, in_order, without_missing
from localcloud.state import StateFile
from localcloud.values import reveal
from tests.localcloud.clouds import World

FIRST = """
part = pulumi.ComponentResource('test:index:Part', 'part')
a = Thing('a', value='1', fixed='1')
b = Thing('b', value=a.arn, opts=Options(parent=part))
c = Thing('c', value=b.arn, first='1', fixed='1')
d = Thing('d', value=c.arn, opts=Options(deleted_with=c))
Thing('e', value='1')
"""
SECOND = """
part = pulumi.ComponentResource('test:index:Part', 'part')
a = Thing('a', value='1', fixed='2')
b = Thing('new', value=a.arn, opts=Options(aliases=[pulumi.Alias(name='b', parent=part)]))
c = Thing('c', value=b.arn, first='1', fixed='2')
Thing('f', value=pulumi.Output.secret('planted'))
Thing('g', value=c.arn)
"""


@pytest.fixture(autouse=True)
def _passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "project").mkdir()
    return World(tmp_path / "project")


class KilledError(Exception):
    """Nothing is written after it, as after SIGKILL."""


def killed_at(world: World, patch: pytest.MonkeyPatch, number: int) -> Path:
    """A run that ends right after so many lines of its journal; its state file."""
    lines = [0]

    def append(self: StateFile, entries: Sequence[Entry]) -> bool:
        if lines[0] == number:
            raise KilledError
        done = kept(self, entries)
        lines[0] += done
        return done

    def save(self: StateFile, snapshot: Snapshot) -> None:
        if lines[0] == number:
            raise KilledError
        whole(self, snapshot)

    kept, whole = StateFile.append, StateFile.save
    with patch.context() as context:
        context.setattr(StateFile, "append", append)
        context.setattr(StateFile, "save", save)
        with pytest.raises((KilledError, LocalcloudError)):
            world.up(parallel=1)
    path: Path = world.project().state_file
    return path


def told(snapshot: Snapshot) -> tuple[list[Resource], list[str]]:
    assert in_order(snapshot.resources) == snapshot.resources
    return sorted(snapshot.resources, key=lambda row: (row.urn, row.id)), sorted(
        f"{one.kind} {one.resource.urn} {one.resource.inputs}" for one in snapshot.operations
    )


def test_at_each_moment_of_a_run_the_state_and_its_journal_say_what_the_run_knows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledgers: list[Ledger] = []
    made, append = Ledger.__init__, StateFile.append
    checked = [0]

    def noted(self: Ledger, *arguments: Any) -> None:
        made(self, *arguments)
        ledgers.append(self)

    def compared(self: StateFile, entries: Sequence[Entry]) -> bool:
        done = append(self, entries)
        if done:
            assert told(StateFile(self.path).load()) == told(ledgers[-1].snapshot())
            checked[0] += 1
        return done

    monkeypatch.setattr(Ledger, "__init__", noted)
    monkeypatch.setattr(StateFile, "append", compared)
    world.up(FIRST, parallel=1)
    before = checked[0]
    world.cloud.resources.pop(next(id_ for id_ in world.cloud.resources if id_.startswith("e-")))
    world.cloud.fail["create g"] = LocalcloudError("no")
    with pytest.raises(LocalcloudError, match="no"):
        world.up(SECOND, parallel=1, refresh=True)
    world.up(parallel=1, refresh=True)
    world.refresh(parallel=1)
    world.destroy(parallel=1)
    assert before >= 8
    assert checked[0] > before + 20


def test_a_journal_cut_anywhere_says_what_its_whole_lines_say(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.up(FIRST)
    world.program(SECOND.replace("pulumi.Output.secret('planted')", "'1'"))
    path = killed_at(world, monkeypatch, 7)
    lines = journal.beside(path).read_bytes()
    whole: dict[int, Any] = {}
    for end in range(len(lines) + 1):
        journal.beside(path).write_bytes(lines[:end])
        if (number := lines[:end].count(b"\n")) not in whole or end % 97 == 0 or end == len(lines):
            if not number and end:  # a journal whose first line is cut was begun, and nothing else
                lines_of_the_state = StateFile(path).content()
                assert lines_of_the_state == path.read_bytes()
            found = told(StateFile(path).load())
            assert whole.setdefault(number, found) == found
    assert len(whole) == 9
    assert len({str(one) for one in whole.values()}) == 8


@pytest.mark.parametrize("number", range(1, 14))
def test_a_run_killed_after_any_line_is_completed_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    world.up(FIRST)
    world.program(SECOND.replace("pulumi.Output.secret('planted')", "'1'"))
    path = killed_at(world, monkeypatch, number)
    assert journal.beside(path).exists()
    world.up()
    names = sorted(id_.rpartition("-")[0] for id_ in world.cloud.resources)
    assert [name for name in names if name != "d"] == ["a", "b", "c", "f", "g"]  # d went with the old c, unasked
    assert not journal.beside(path).exists()
    assert "pending_operations" not in path.read_text()
    assert world.preview().changes == 0


def test_a_killed_runs_state_can_be_exported_and_is_kept_whole_and_put_back(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.up(FIRST)
    world.program(SECOND)
    path = killed_at(world, monkeypatch, 3)
    assert main(["export", "-C", str(world.root), "-s", "dev"]) == 0
    exported = json.loads(capsys.readouterr().out)["deployment"]
    cut_off = told(StateFile(path).load())
    assert sorted(row["urn"] for row in exported["resources"]) == [row.urn for row in cut_off[0]]
    closed = json.loads(StateFile(path).content())["deployment"]
    assert sorted(row["urn"] for row in closed["resources"]) == [row.urn for row in cut_off[0]]
    world.up()
    assert main(["restore", "-C", str(world.root), "-s", "dev"]) == 0
    assert told(StateFile(path).load()) == cut_off
    world.up()
    assert not journal.beside(path).exists()


def test_a_state_that_was_changed_by_hand_after_a_kill_is_refused_and_a_good_one_can_be_put_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.up(FIRST)
    world.up(FIRST.replace("value='1'", "value='2'"))
    world.program(SECOND)
    path = killed_at(world, monkeypatch, 3)
    path.write_text(path.read_text() + "\n")
    with pytest.raises(LocalcloudError, match=r"changed by hand since.*restore"):
        world.up()
    assert main(["restore", "-C", str(world.root), "-s", "dev"]) == 0
    StateFile(path).load()


def test_a_line_that_is_broken_is_told_with_its_number(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.up(FIRST)
    world.program(SECOND)
    path = killed_at(world, monkeypatch, 4)
    lines = journal.beside(path).read_bytes().splitlines(keepends=True)
    for broken in (b'["over"\n', b'[["exec", "x"]]\n', b'[["over", 99]]\n', b"17\n", b'[["begun", 1]]\n', b"[[[]]]\n"):
        journal.beside(path).write_bytes(b"".join([*lines[:2], broken, *lines[3:]]))
        with pytest.raises(LocalcloudError, match="journal") as error:
            StateFile(path).load()
        assert "Traceback" not in str(error.value)


def test_a_kill_between_the_new_state_and_the_end_of_its_journal_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.up(FIRST)
    world.program(SECOND)
    path = killed_at(world, monkeypatch, 5)
    shutil.copytree(path.parent, world.root / "aside")
    file = StateFile(path)
    expected = file.load()
    monkeypatch.setattr(Path, "unlink", lambda _self, missing_ok=False: None)
    file.save(expected)
    monkeypatch.undo()
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    assert journal.beside(path).exists()
    assert told(StateFile(path).load()) == told(expected)
    shutil.copy(world.root / "aside" / path.name, path)  # or the kill came before the new state was there
    assert told(StateFile(path).load()) == told(expected)


def rows(count: int) -> Iterator[Resource]:
    for number in range(count):
        urn = f"urn:pulumi:dev::demo::test:index:Thing::t{number}"
        yield Resource(urn, "test:index:Thing", custom=True, id=str(number), inputs={"value": "x" * 500})


def test_what_is_written_grows_in_line_with_the_number_of_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [0]

    def counted(write: Callable[..., None]) -> Callable[..., None]:
        def one(*arguments: Any) -> None:
            written[0] += len(arguments[1])
            write(*arguments)

        return one

    monkeypatch.setattr(journal, "write_private", counted(write_private))
    monkeypatch.setattr(journal.Writer, "append", counted(journal.Writer.append))
    sizes = []
    for count in (400, 1600):
        written[0] = 0
        ledger = Ledger(Snapshot(), StateFile(tmp_path / f"{count}.json"))
        for row in rows(count):
            ledger.end(ledger.begin("creating", row), done=row)
        ledger.save()
        sizes.append(written[0])
        assert len(StateFile(tmp_path / f"{count}.json").load().resources) == count
    assert sizes[1] < 6 * sizes[0]


def test_the_first_secret_is_never_in_a_journal_without_the_salt_that_opens_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.up(FIRST)
    world.program(FIRST + "Thing('f', value=pulumi.Output.secret('planted'), opts=Options(depends_on=[d]))\nThing('h')")
    for number in range(3):
        path = killed_at(world, monkeypatch, number)
        assert not [one for one in path.parent.rglob("*.j*") if "planted" in one.read_text()]
        StateFile(path).load()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        if journal.beside(path).exists():
            assert stat.S_IMODE(journal.beside(path).stat().st_mode) == 0o600
    world.up()
    assert "planted" in {reveal(row.inputs).get("value") for row in StateFile(path).load().resources}


FULL = """
import resource, signal, sys
from pathlib import Path
from localcloud import journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
state = Path(sys.argv[1])
state.write_bytes(b"state")
writer = journal.Writer(state, journal.digest(b"state"))
writer.append(b'[["settled", "a"]]\\n')
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
writer.append(b'[["settled", "' + b"x" * 5000 + b'"]]\\n')
"""


def test_a_line_that_the_system_does_not_take_whole_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
    assert journal.read(path) == (b"state", [("settled", "a")])
    assert journal.beside(path).read_bytes().endswith(b'"a"]]\n')


def test_after_a_write_that_failed_the_whole_state_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = StateFile(tmp_path / "s.json")
    ledger = Ledger(Snapshot(), file)
    ledger.save()
    one, two, three = rows(3)
    ledger.begin("creating", one)

    def full(_self: journal.Writer, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal.Writer, "append", full)
        with pytest.raises(LocalcloudError, match="No space left"):
            ledger.begin("creating", two)
    ledger.begin("creating", three)
    assert {one.resource.id for one in StateFile(file.path).load().operations} == {"0", "1", "2"}


def test_who_reads_while_a_run_writes_finds_a_state_that_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from localcloud import state  # noqa: PLC0415 - patched here alone

    monkeypatch.setattr(state, "JOURNAL_BYTES", 2000)
    path, over, seen = tmp_path / "s.json", threading.Event(), []

    def read() -> None:
        while not over.is_set():
            seen.append(len(StateFile(path).load().resources))

    ledger = Ledger(Snapshot(), StateFile(path))
    ledger.save()
    reader = threading.Thread(target=read)
    reader.start()
    for row in rows(150):
        ledger.end(ledger.begin("creating", row), done=row)
    over.set()
    reader.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 3


def test_a_renewed_and_a_renamed_resource_are_read_back() -> None:
    old, user = list(rows(2))
    user = Resource(**{**vars(user), "dependencies": (old.urn,)})
    begun = Snapshot(in_order(without_missing([old, user])), [Operation("updating", user)])
    entries: list[Entry] = [("renamed", old.urn, f"{old.urn}-new"), ("settled", user.urn)]
    found = journal.continued(begun, entries)
    assert [row.urn for row in found.resources] == [f"{old.urn}-new", user.urn]
    assert found.operations == []
    assert history.kept(Path("nowhere.json")) == []
