"""The command line: exit codes, and that nothing passes which was not judged."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from policies import evidence
from policies.__main__ import main
from policies.finding import Assessment
from policies.graph import Graph
from tests.policies.samples import assessor, plan, resource, rule, waiver, waivers

ROOT = Path(__file__).parents[2]
TOOLS = assessor(rule(1), rule(2, "low", "advisory"))


def file(directory: Path, document: Any, name: str = "plan.json") -> str:
    path = directory / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return str(path)


def run(directory: Path, *arguments: str, rows: Sequence[dict[str, str]] = ()) -> int:
    return main(["check", "--waivers", str(waivers(directory, *rows)), *arguments], TOOLS)


SOUND = plan(resource("sound", {}))
UNSOUND = plan(resource("data", {"fails": ["acl"]}))


@pytest.mark.parametrize(
    ("document", "rows", "code"),
    [
        (SOUND, [], 0),
        (UNSOUND, [], 1),
        (UNSOUND, [waiver(), waiver(policy="GW-TEST-002")], 0),
        (UNSOUND, [waiver(expires="2020-01-01")], 1),
        (SOUND, [waiver("sound")], 1),
        (plan(resource("data", {"wonders": ["acl"]})), [], 1),
        (plan(resource("data", {"raise": "x"})), [], 1),
        ([SOUND, plan(resource("data", {}, stack="prod"), stack="prod")], [], 0),
    ],
)
def test_the_exit_code_tells_what_is_in_the_way(
    tmp_path: Path, document: Any, rows: list[dict[str, str]], code: int
) -> None:
    assert run(tmp_path, file(tmp_path, document), "--out", str(tmp_path / "pack"), rows=rows) == code
    assert main(["verify", str(tmp_path / "pack")]) == 0
    assert json.loads((tmp_path / "pack" / "results.json").read_text())["passed"] is (code == 0)


def test_a_plan_comes_from_standard_input_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(UNSOUND)))
    assert run(tmp_path, "-") == 1
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))  # of a plan that failed
    assert run(tmp_path, "-") == 2


BROKEN = [
    "",
    "{",
    "[]",
    "null",
    "pass",
    "{}",
    json.dumps(SOUND | {"version": 2}),
    json.dumps(SOUND)[:-40],
    json.dumps(SOUND).replace("7", "NaN"),
    json.dumps(SOUND).replace('"sound"', '"\\ud800"'),
    "[" * 100_000,
]


@pytest.mark.parametrize("text", BROKEN)
def test_what_does_not_parse_ends_with_two_and_leaves_no_pack(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = tmp_path / "pack"
    assert run(tmp_path, file(tmp_path, SOUND), "--out", str(pack)) == 0
    capsys.readouterr()
    assert run(tmp_path, file(tmp_path, SOUND), file(tmp_path, text, "broken.json"), "--out", str(pack)) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert "broken.json" in told.err
    assert "Nothing was judged." in told.err
    assert "Traceback" not in told.err
    assert "pass" not in told.err.replace(str(tmp_path), "").lower()
    assert not pack.exists()


def test_bytes_that_are_no_text_end_with_two(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(b"\xff\xfe\x00")
    assert run(tmp_path, str(tmp_path / "plan.json")) == 2
    assert run(tmp_path, str(tmp_path / "nothing.json")) == 2
    assert run(tmp_path, str(tmp_path)) == 2


def test_waivers_that_do_not_parse_end_with_two(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("waivers: [")
    arguments = ["check", file(tmp_path, SOUND), "--waivers", str(tmp_path / "broken.yaml")]
    assert main([*arguments, "--out", str(tmp_path / "pack")], TOOLS) == 2
    assert not (tmp_path / "pack").exists()


def test_a_folder_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("years of work")
    assert run(tmp_path, file(tmp_path, SOUND), "--out", str(tmp_path / "work")) == 2
    assert run(tmp_path, file(tmp_path, "{"), "--out", str(tmp_path / "work")) == 2
    assert (tmp_path / "work" / "thesis.txt").exists()


def test_a_mistake_of_ours_reads_as_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> str:
        raise KeyError("template")

    monkeypatch.setattr(evidence, "write", broken)
    assert run(tmp_path, file(tmp_path, SOUND), "--out", str(tmp_path / "pack")) == 2
    told = capsys.readouterr()
    assert "the check itself failed (KeyError in __main__.py:" in told.err
    assert told.out == ""


def test_a_tool_that_is_not_there_is_an_error_and_not_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_graphs: Sequence[Graph]) -> Assessment:
        raise FileNotFoundError("its environment is not installed")

    arguments = ["check", file(tmp_path, SOUND), "--waivers", str(waivers(tmp_path))]
    assert main(arguments, {**TOOLS, "scanner": missing}) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "scanner assessed nothing: FileNotFoundError: its environment is not installed." in told


def test_verify_ends_with_one_where_a_pack_is_not_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, file(tmp_path, SOUND), "--out", str(tmp_path / "pack"))
    digest = capsys.readouterr().out.split()[-1]
    assert main(["verify", str(tmp_path / "pack"), "--digest", digest]) == 0
    assert main(["verify", str(tmp_path / "pack"), "--digest", "0" * 64]) == 1
    (tmp_path / "pack" / "results.sarif").write_text("{}")
    assert main(["verify", str(tmp_path / "pack")]) == 1
    assert "results.sarif is altered." in capsys.readouterr().err


def test_the_command_prints_no_letter_that_its_terminal_lacks(tmp_path: Path) -> None:
    document = plan(resource("sœur\u202e", {}))
    command = [sys.executable, "-m", "policies", "check", file(tmp_path, document), "--waivers"]
    command += [str(waivers(tmp_path)), "--out", str(tmp_path / "pack")]
    done = subprocess.run(command, capture_output=True, env={"PYTHONIOENCODING": "ascii"}, check=False)
    assert b"Traceback" not in done.stderr
    assert b"Stacks of shop" in done.stdout, done.stderr


@pytest.mark.slow
def test_where_it_is_run_changes_nothing_but_the_commit(tmp_path: Path) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    file(project, plan(resource("data", {"acl": "public-read"})))

    def results(directory: Path, document: str, out: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "policies", "check", document, "--out", out],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT), "GIT_CEILING_DIRECTORIES": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert main(["verify", str(directory / out)]) == 0
        found: dict[str, Any] = json.loads((directory / out / "results.json").read_text())
        return found

    here = results(ROOT, str(project / "plan.json"), str(tmp_path / "here"))
    there = results(elsewhere, "../project/plan.json", "there")
    assert there["commit"] == ""
    assert here["findings"]
    assert {**here, "commit": ""} == there


def test_without_a_plan_there_is_nothing_to_judge() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check"])
    assert caught.value.code == 2
