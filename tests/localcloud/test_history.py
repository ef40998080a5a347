"""Earlier states are kept and can be put back; a broken state, a full disk and a second writer lose nothing."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localcloud import history, journal
from localcloud.__main__ import main
from localcloud.errors import LocalcloudError
from localcloud.files import write_private
from localcloud.state import StateFile, lock
from tests.localcloud.clouds import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.program("a = Thing('a', value='1')\nThing('b', value=a.value)")
    return made


def urns(path: Path) -> list[str]:
    return [row["urn"].rpartition("::")[2] for row in json.loads(path.read_text())["deployment"]["resources"]]


def command(world: World, *words: str) -> int:
    return main([words[0], "-C", str(world.root), "-s", "dev", *words[1:]])


def test_each_run_keeps_the_state_that_it_found(world: World) -> None:
    world.up()
    path = world.project().state_file
    assert history.kept(path) == []
    world.program("Thing('a', value='1')")
    world.up()
    (before,) = history.kept(path)
    assert "b" in urns(before)
    assert "b" not in urns(path)


def test_a_run_that_changes_nothing_keeps_nothing_new(world: World) -> None:
    for _ in range(4):
        world.up()
    assert len(history.kept(world.project().state_file)) <= 1


def test_the_newest_twenty_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    for number in range(25):
        write_private(path, f"time\n{number}".encode())
        history.keep(path)
    assert [one.read_bytes() for one in history.kept(path)] == [f"time\n{number}".encode() for number in range(5, 25)]


def test_an_earlier_state_is_put_back_and_what_it_replaces_is_kept(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.up()
    world.program("Thing('a', value='1')")
    world.up()
    path = world.project().state_file
    command(world, "restore", "--list")
    name = capsys.readouterr().out.strip()
    assert command(world, "restore", name) == 0
    assert "b" in urns(path)
    assert command(world, "restore") == 0
    assert "b" not in urns(path)
    assert command(world, "restore", "yesterday") == 1
    assert f"There are: {name}" in capsys.readouterr().err


def cut(text: str) -> str:
    return text[: len(text) // 2]


def doubled(text: str) -> str:
    document = json.loads(text)
    document["deployment"]["resources"].append(document["deployment"]["resources"][-1])
    return json.dumps(document)


def without_the_first(text: str) -> str:
    document = json.loads(text)
    del document["deployment"]["resources"][0]
    return json.dumps(document)


def misnamed(text: str) -> str:
    return text.replace("urn:pulumi:dev::demo::test:index:Thing::b", "b")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (cut, "JSONDecodeError"),
        (doubled, "stands there 2 times"),
        (without_the_first, "which is not there"),
        (misnamed, "is no URN"),
        (lambda _: "\x00" * 100, "JSONDecodeError"),
        (lambda _: "[" * 100_000, "RecursionError"),
    ],
)
def test_a_state_cut_short_or_edited_is_told_and_the_one_before_can_be_put_back(
    world: World, edit: Callable[[str], str], said: str
) -> None:
    world.up()
    world.program("a = Thing('a', value='2')\nThing('b', value=a.value)")
    world.up()
    path = world.project().state_file
    path.write_text(edit(path.read_text()))
    broken = path.read_text()
    with pytest.raises(LocalcloudError, match=said) as error:
        world.up()
    assert "python -m localcloud restore" in str(error.value)
    assert path.read_text() == broken
    history.restore(path)
    world.up()
    assert sorted(row["inputs"]["value"] for row in world.cloud.resources.values()) == ["2", "2"]
    assert sorted(world.cloud.resources) == ["a-1", "b-2"], "nothing is made twice"


def test_a_state_that_lacks_what_it_names_is_not_imported(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.up()
    path = world.project().state_file
    before = path.read_text()
    (tmp_path / "edited.json").write_text(without_the_first(before))
    assert command(world, "import", "--file", str(tmp_path / "edited.json")) == 1
    assert "which is not there" in capsys.readouterr().err
    assert path.read_text() == before


@pytest.mark.parametrize("full_after", range(9))
def test_a_disk_that_is_full_at_any_save_ends_in_a_sentence_and_the_next_run_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, full_after: int
) -> None:
    writes = [0]

    def limited(write: Callable[..., None]) -> Callable[..., None]:
        def one(*arguments: Any) -> None:
            writes[0] += 1
            if writes[0] > full_after:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(*arguments)

        return one

    with monkeypatch.context() as patch:
        patch.setattr(journal, "write_private", limited(write_private))
        patch.setattr(journal.Writer, "append", limited(journal.Writer.append))
        if full_after < 5:  # two resources, two writes each, and one at the end
            with pytest.raises(LocalcloudError, match="No space left on device"):
                world.up()
        else:
            world.up()
    world.up()
    assert sorted(world.cloud.resources) == ["a-1", "b-2"], "nothing is made twice"
    assert "pending_operations" not in world.project().state_file.read_text()


SMALL = """
import resource, signal, sys
from pathlib import Path
from localcloud.files import write_private
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_private(Path(sys.argv[1]), b"x" * 5000)
"""


def test_a_file_that_the_system_does_not_take_whole_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    write_private(path, b"old")
    done = subprocess.run([sys.executable, "-c", SMALL, str(path)], capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["s.json"]


def test_what_a_kill_in_the_middle_of_a_save_left_goes_with_the_next_run(world: World) -> None:
    world.up()
    path = world.project().state_file
    draft, other = path.with_name(f".{path.name}.abcd1234"), path.with_name(".other.json.abcd1234")
    draft.write_text('{"version": 3, "depl')
    other.write_text("of another stack")
    world.up()
    assert not draft.exists()
    assert other.exists()


def test_a_second_writer_is_told_who_the_first_is_and_changes_nothing(world: World) -> None:
    world.up()
    path = world.project().state_file
    before = path.read_bytes()
    with lock(world.project().lock_file):
        for words in (["restore"], ["import", "--file", str(path)]):
            assert command(world, *words) == 1
        with pytest.raises(LocalcloudError, match=rf"locked by process {os.getpid()} "):
            world.up()
    assert path.read_bytes() == before


def test_the_text_of_a_save_is_the_document_that_an_export_renders(world: World) -> None:
    world.up()
    file = StateFile(world.project().state_file)
    shown: Any = json.loads(json.dumps(file.render(file.load())))
    saved = json.loads(world.project().state_file.read_text())
    del shown["deployment"]["manifest"], saved["deployment"]["manifest"]
    assert saved == shown


def test_no_state_current_or_kept_or_of_a_failed_run_holds_a_secret_in_clear(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    for number in range(3):
        world.program(f"Thing('a', value=pulumi.Output.secret('planted-{number}'))")
        if number == 2:
            world.cloud.fail["update a"] = LocalcloudError("no")
            with pytest.raises(LocalcloudError, match="no"):
                world.up()
        else:
            world.up()
    assert command(world, "export") == 0
    files = [path for path in (world.root / ".localcloud").rglob("*") if path.is_file()]
    assert len(history.kept(world.project().state_file)) == 2
    texts = [path.read_text() for path in files] + [*capsys.readouterr()]
    assert [text for text in texts if "planted" in text] == []
    assert any("ciphertext" in text for text in texts)
