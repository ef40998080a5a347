"""What is said to an engine, and what becomes of what it says. The engines are scripts."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rollout import engine as engines
from rollout import worktree
from rollout.engine import ENGINES, Engine, changes, counted, execute, group
from rollout.errors import RolloutError
from rollout.redact import Redactor

RELEASE = f"sha256:{'1' * 64}"
DIGEST = {"changeSummary": {"same": 3, "create": 2, "read": 1, "refresh": 4, "update": 0}, "steps": []}
STUB = """#!/bin/sh
printf '%s\\n' "$@" >{directory}/words
env >{directory}/environment
pwd >{directory}/where
echo said on the side >&2
cat {directory}/answer 2>/dev/null
exit $(cat {directory}/code 2>/dev/null || echo 0)
"""


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a `pulumi` that writes down what it is asked and answers what stands in `answer`."""
    stub = tmp_path / "bin" / "pulumi"
    stub.parent.mkdir()
    stub.write_text(STUB.format(directory=tmp_path))
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stub.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return tmp_path


def words(directory: Path) -> list[str]:
    return (directory / "words").read_text().splitlines()


def an_engine(directory: Path) -> Engine:
    (directory / "project").mkdir(exist_ok=True)
    return Engine("pulumi", directory / "project", "dev", RELEASE, ("demo:aws.region=x",))


def test_pulumi_is_asked_for_its_digest_with_a_look_at_the_cloud(pulumi: Path) -> None:
    (pulumi / "answer").write_text(json.dumps(DIGEST))
    assert an_engine(pulumi).preview() == DIGEST
    said = words(pulumi)
    assert said[0] == "preview"
    assert {"--json", "--refresh", "--non-interactive", "--config-path"} <= set(said)
    assert said[said.index("-s") + 1] == "dev"
    assert said[said.index("-C") + 1] == str(pulumi / "project")
    given = [said[at + 1] for at, word in enumerate(said) if word == "-c"]
    assert given == [f"groundwork:release={RELEASE}", "demo:aws.region=x"]
    environment = (pulumi / "environment").read_text()
    assert "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER=true" in environment
    assert f"PYTHONPATH={pulumi / 'project'}" in environment
    assert (pulumi / "where").read_text().strip() == str(pulumi / "project")


def test_up_takes_targets_and_asks_nobody(pulumi: Path) -> None:
    an_engine(pulumi).up(["urn:a", "urn:b"])
    said = words(pulumi)
    assert {"up", "--yes", "--skip-preview", "--refresh"} <= set(said)
    assert [said[at + 1] for at, word in enumerate(said) if word == "--target"] == ["urn:a", "urn:b"]


def test_a_stack_is_made_with_the_key_of_its_secrets(pulumi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_KEY", raising=False)
    with pytest.raises(RolloutError, match="STATE_KEY is not set"):
        an_engine(pulumi).select()
    monkeypatch.setenv("STATE_KEY", "awskms://alias/state")
    an_engine(pulumi).select()
    said = words(pulumi)
    assert said[:3] == ["stack", "select", "--create"]
    assert said[said.index("--secrets-provider") + 1] == "awskms://alias/state"
    assert "-c" not in said


def test_outputs_and_state_are_what_pulumi_prints(pulumi: Path) -> None:
    (pulumi / "answer").write_text('{"a": 1}')
    assert an_engine(pulumi).outputs() == {"a": 1}
    assert words(pulumi)[:3] == ["stack", "output", "--json"]
    assert an_engine(pulumi).state() == b'{"a": 1}'
    assert words(pulumi)[:2] == ["stack", "export"]


@pytest.mark.parametrize("answer", ["", "[1]", "{", "{}", '{"changeSummary": []}', '{"changeSummary": {}, "steps": 1}'])
def test_an_answer_of_another_form_is_an_error(pulumi: Path, answer: str) -> None:
    (pulumi / "answer").write_text(answer)
    with pytest.raises(RolloutError, match="The preview is"):
        an_engine(pulumi).preview()


def test_an_engine_that_fails_or_is_not_there_is_a_sentence(
    pulumi: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (pulumi / "code").write_text("255")
    with pytest.raises(RolloutError, match="`pulumi … up` of dev ended with 255"):
        an_engine(pulumi).up()
    assert "said on the side" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RolloutError, match="pulumi cannot be run"):
        an_engine(pulumi).up()


def test_a_work_tree_is_installed_before_pulumi_runs_in_it(pulumi: Path) -> None:
    found = an_engine(pulumi)
    script = found.directory / "install.sh"
    script.write_text(f'#!/bin/sh\necho "$@" >{pulumi}/installed\n')
    script.chmod(0o755)
    found.install()
    assert (pulumi / "installed").read_text() == "plan\n"
    Engine("localcloud", found.directory, "dev", RELEASE).install()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (b"[", "cannot be read back"),
        (b"[]", "cannot be read back"),
        (b'{"deployment": {"pending_operations": [{}, {}]}}', "2 operations of which nobody knows the end"),
    ],
)
def test_a_state_that_tells_nothing_is_an_error(pulumi: Path, state: bytes, said: str) -> None:
    (pulumi / "answer").write_bytes(state)
    with pytest.raises(RolloutError, match=said):
        an_engine(pulumi).resources()


def test_a_stack_without_a_deployment_has_no_resources(pulumi: Path) -> None:
    for state in (b"", b'{"version": 3, "deployment": null}', b'{"deployment": {"resources": null}}'):
        (pulumi / "answer").write_bytes(state)
        assert an_engine(pulumi).resources() == []


def test_the_state_of_localcloud_is_its_file(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: demo\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")
    found = Engine("localcloud", tmp_path, "dev", RELEASE)
    assert found.state() == b""
    file = tmp_path / ".localcloud" / "stacks" / "demo" / "dev.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"{}")
    assert found.state() == b"{}"
    with pytest.raises(RolloutError, match="There is no stack 'prod'"):
        Engine("localcloud", tmp_path, "prod", RELEASE).state()


def test_what_stays_the_same_is_no_change() -> None:
    assert changes(DIGEST) == {"create": 2}
    assert counted(changes(DIGEST)) == "2 to create"
    assert counted({}) == "0 changes"


def test_both_engines_are_told_everything() -> None:
    assert set(ENGINES) == {"pulumi", "localcloud"}
    for dialect in ENGINES.values():
        assert "--refresh" in dialect.preview
        assert "--json" in dialect.preview


# What people see of a tool


def say(text: str, monkeypatch: pytest.MonkeyPatch, *, actions: bool = True) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true" if actions else "")
    with group("Up of dev", Redactor(["hunter22"])) as show:
        execute(["printf", "%b", text], Path(), os.environ, show, answer=False)


def test_what_a_tool_prints_is_no_command_to_the_runner(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "::set-output name=a::b\\n::endgroup::\\n::add-mask::x\\n::stop-commands::mine\\n::mine::\\n"
    say(hostile, monkeypatch)
    say(hostile, monkeypatch)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "::group::Up of dev"
    token = lines[1].removeprefix("::stop-commands::")
    assert len(token) == 32
    assert lines.count(f"::{token}::") == 1
    assert lines.index(f"::{token}::") > lines.index("::mine::")
    assert lines[lines.index(f"::{token}::") + 1] == "::endgroup::"
    assert len({line for line in lines if line.startswith("::stop-commands::") and "mine" not in line}) == 2


def test_commands_are_let_in_again_when_the_tool_cannot_be_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(RolloutError), group("Up", Redactor()) as show:
        execute(["/nowhere/at/all"], Path(), os.environ, show, answer=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [f"::{lines[1].removeprefix('::stop-commands::')}::", "::endgroup::"]


def test_what_is_shown_has_no_secret_no_colour_and_no_control_character(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "-----BEGIN " + "PRIVATE KEY-----\\nMIIEvQIBADAN\\nBgkqhkiG9w0BAQ\\n-----END PRIVATE KEY-----\\nafter"
    say(f"\\033[31mred\\033[0m hunter22\\rover\\a\\n\\033]0;title\\a\\xff\\n{key}\\n", monkeypatch, actions=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Up of dev", "red [secret]?over?", "\ufffd", "[secret]", "[secret]", "[secret]", "[secret]", "after",
    ]  # fmt: skip


def test_an_interrupted_engine_ends_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets one SIGINT of ours, has time to write its state, and may fill its pipe while it does."""
    program = tmp_path / "program.py"
    program.write_text(
        "import signal, sys, time, pathlib\n"
        "def stop(*_):\n"
        "    sys.stdout.write('x' * 1_000_000)\n"
        "    sys.stdout.flush()\n"
        f"    pathlib.Path({str(tmp_path / 'ended')!r}).touch()\n"
        "    sys.exit(1)\n"
        "signal.signal(signal.SIGINT, stop)\n"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\n"
        "time.sleep(60)\n"
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt), group("Preview", Redactor()) as show:
            execute([sys.executable, str(program)], tmp_path, os.environ, show, answer=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "ended").exists()


def test_ctrl_c_in_a_terminal_reaches_an_engine_through_us_alone(tmp_path: Path) -> None:
    """Twice, it would end without writing down what it did."""
    words_ = [sys.executable, "-c", "import os; print(os.getpgrp() == os.getpid(), os.getsid(0) == os.getpid())"]
    with group("Preview", Redactor()) as show:
        assert execute(words_, tmp_path, os.environ, show, answer=True) == (0, b"True True\n")


def test_an_engine_that_does_not_end_is_killed_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "GRACE", 0.1)
    script = f"trap '' INT; sleep 60 & echo $! >{tmp_path}/child; wait"
    process = subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True)
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text().strip():
        time.sleep(0.01)
    engines._stop(process, drain=False)
    status = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/status")
    for _ in range(200):  # the kernel takes a moment
        if not status.exists() or "Z (zombie)" in status.read_text():
            return
        time.sleep(0.01)
    raise AssertionError("what it started lives on")


def test_an_answer_without_end_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "LARGEST", 1000)
    with pytest.raises(RolloutError, match="prints over 1000 bytes"), group("Preview", Redactor()) as show:
        execute(["yes"], tmp_path, os.environ, show, answer=True)


# Work trees


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, str]:
    """A project in a directory of a repository, and its first commit; the second has another file."""
    top = tmp_path / "repository"
    project = top / "deep" / "project"
    project.mkdir(parents=True)

    def git(*words_: str) -> str:
        names = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        done = subprocess.run(["git", "-C", str(top), *names, *words_], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "--quiet")
    for content in ("first", "second"):
        (project / "file").write_text(content)
        git("add", ".")
        git("commit", "--quiet", "-m", content)
    return project, git("rev-parse", "HEAD^")


def test_a_work_tree_has_the_files_of_its_commit_and_goes(repository: tuple[Path, str]) -> None:
    project, first = repository
    with worktree.at(first, project, (".localcloud",)) as tree:
        assert (tree / "file").read_text() == "first"
        (tree / ".localcloud" / "state").write_text("ours")
        assert worktree.environment(tree)["PYTHONPATH"].split(os.pathsep)[0] == str(tree)
    assert not tree.exists()
    assert (project / ".localcloud" / "state").read_text() == "ours"
    assert stat.S_IMODE((project / ".localcloud").stat().st_mode) == 0o700
    assert worktree.git(project, "worktree", "list").count("\n") == 0


def test_a_work_tree_goes_whatever_happens_in_it(repository: tuple[Path, str]) -> None:
    project, first = repository
    with pytest.raises(KeyboardInterrupt), worktree.at(first, project) as tree:
        raise KeyboardInterrupt
    assert not tree.exists()
    assert worktree.git(project, "worktree", "list").count("\n") == 0


def test_no_hook_runs_when_a_work_tree_is_made(repository: tuple[Path, str], tmp_path: Path) -> None:
    project, first = repository
    hook = project.parents[1] / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    with worktree.at(first, project):
        pass
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("commit", "said"), [("HEAD", "is no commit"), ("--help", "is no commit"), ("f" * 40, "fetch-depth: 0")]
)
def test_what_is_no_commit_of_the_clone_has_no_files(repository: tuple[Path, str], commit: str, said: str) -> None:
    with pytest.raises(RolloutError, match=said), worktree.at(commit, repository[0]):
        pass


def test_outside_of_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match="not a git repository"):
        worktree.commit(tmp_path)
