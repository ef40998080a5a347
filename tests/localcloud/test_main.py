"""The command line, over a cloud in memory."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localcloud import __main__ as cli
from tests.localcloud.clouds import World

PROGRAM = """
a = Thing("a", value="1", password=pulumi.Output.secret("hunter2"))
pulumi.export("arn", a.arn)
pulumi.export("password", a.value.apply(lambda _: pulumi.Output.secret("hunter2")))
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    world = World(tmp_path)
    world.program(PROGRAM)
    monkeypatch.setattr(cli, "providers", world.factories)
    return world


def run(world: World, command: str, *words: str) -> int:
    return cli.main([command, "-C", str(world.root), "-s", "dev", *words])


def test_up_then_output_then_destroy(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world, "up") == 0
    said = capsys.readouterr().err
    assert "+ create  test:index:Thing a" in said
    assert "1 created, 0 unchanged" in said
    assert run(world, "output", "arn") == 0
    assert capsys.readouterr().out == "arn:a-1\n"
    assert run(world, "destroy") == 0
    assert world.cloud.resources == {}


def test_json_is_all_that_standard_output_holds(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, "up", "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["steps"]["create"] == 1
    assert document["outputs"] == {"arn": "arn:a-1", "password": "[secret]"}


def test_secrets_are_masked_everywhere_unless_asked_for(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("preview", "--diff"), ("up", "--diff"), ("output",), ("output", "--json"), ("export",)):
        run(world, *words)
    printed = capsys.readouterr()
    assert "hunter2" not in printed.out + printed.err
    run(world, "output", "password", "--show-secrets")
    assert capsys.readouterr().out == "hunter2\n"


def test_diff_shows_the_properties_that_change(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, "up")
    world.program(PROGRAM.replace('"1"', '"2"'))
    capsys.readouterr()
    run(world, "preview", "--diff")
    assert '~ value: "1" => "2"' in capsys.readouterr().err


def test_expect_no_changes_fails_when_something_would_change(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world, "preview", "--expect-no-changes") == 1
    assert "No changes were expected, and there are 1" in capsys.readouterr().err
    run(world, "up")
    assert run(world, "up", "--expect-no-changes") == 0


def test_what_is_exported_can_be_imported(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(world, "up")
    capsys.readouterr()
    run(world, "export")
    text = capsys.readouterr().out
    world.project().state_file.unlink()
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert run(world, "import") == 0
    assert run(world, "up", "--expect-no-changes") == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense", "cannot be read"),
        ("[]", "no deployment"),
        (
            '{"version": 3, "deployment": {"resources": [{"urn": "urn:pulumi:x::y::t::n", "type": "t"}]}}',
            "another stack",
        ),
    ],
)
def test_a_state_that_is_none_of_ours_is_refused_and_the_old_one_stays(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    run(world, "up")
    before = world.project().state_file.read_bytes()
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert run(world, "import") == 1
    assert sentence in capsys.readouterr().err
    assert world.project().state_file.read_bytes() == before


def test_an_error_is_one_sentence_and_no_traceback(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["up", "-C", str(world.root), "-s", "nowhere"]) == 1
    assert capsys.readouterr().err.startswith("error: There is no stack 'nowhere'")


def test_refresh_tells_what_is_gone(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    run(world, "up")
    world.cloud.resources.clear()
    capsys.readouterr()
    assert run(world, "refresh", "--expect-no-changes") == 1
    said = capsys.readouterr().err
    assert "? gone    test:index:Thing a" in said
    assert "1 gone, 0 drifted" in said


PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

def no_ones(args, report):
    if args.props.get("value") == "1":
        report("the value is one; take two")

PolicyPack("pack", policies=[ResourceValidationPolicy(
    name="no-ones", description="No ones.", enforcement_level=EnforcementLevel.{level}, validate=no_ones)])
"""


def make_pack(directory: Path, level: str) -> Path:
    directory.mkdir()
    (directory / "PulumiPolicy.yaml").write_text("runtime: python\n")
    (directory / "__main__.py").write_text(PACK.replace("{level}", level))
    return directory


@pytest.mark.slow
@pytest.mark.parametrize("level", ["MANDATORY", "ADVISORY"])
def test_a_mandatory_violation_stops_before_the_first_change(
    world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str], level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_preview_first", lambda _options: None)  # its process would not know the cloud in memory
    pack = make_pack(tmp_path / "pack", level)
    world.program('Thing("b", opts=Options(depends_on=[Thing("a", value="1")]))')
    assert run(world, "preview", "--policy-pack", str(pack)) == (level == "MANDATORY")
    assert run(world, "up", "--policy-pack", str(pack)) == (level == "MANDATORY")
    assert "no-ones on a: No ones. the value is one; take two" in capfd.readouterr().err
    assert len(world.cloud.resources) == (0 if level == "MANDATORY" else 2)


@pytest.mark.slow
def test_configuration_sets_a_packs_levels_and_each_pack_has_its_own(
    world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_preview_first", lambda _options: None)  # its process would not know the cloud in memory
    stern, mild = make_pack(tmp_path / "stern", "MANDATORY"), make_pack(tmp_path / "mild", "ADVISORY")
    advisory, mandatory = tmp_path / "advisory.json", tmp_path / "mandatory.json"
    advisory.write_text('{"no-ones": "advisory"}')
    mandatory.write_text('{"all": {"enforcementLevel": "mandatory"}}')
    world.program('Thing("a", value="1")')
    packs = ["--policy-pack", str(stern), "--policy-pack", str(mild)]

    def judged(command: str, *files: Path) -> int:
        return run(world, command, *packs, *(word for file in files for word in ("--policy-pack-config", str(file))))

    assert judged("preview") == 1
    assert judged("preview", advisory, advisory) == 0
    assert judged("up", advisory, mandatory) == 1
    assert world.cloud.resources == {}
    assert judged("up", advisory, advisory) == 0
    assert "no-ones on a: No ones. the value is one; take two" in capfd.readouterr().err
    assert len(world.cloud.resources) == 1


def test_the_preview_before_an_update_has_the_configuration_of_its_packs(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def fails(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(subprocess, "run", fails)
    file = tmp_path / "config.json"
    file.write_text('{"all": "advisory"}')
    options = ["--policy-pack", "pack", "--policy-pack-config", str(file)]
    assert run(world, "up", *options) == 1
    (command,) = ran
    assert command[:4] == [sys.executable, "-m", "localcloud", "preview"]
    assert command[-4:] == options


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('"advisory"', "is no JSON object"),
    ],
)
def test_a_pack_configuration_that_is_none_is_refused_before_anything_runs(
    world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str | None, sentence: str
) -> None:
    file = tmp_path / "config.json"
    if text is not None:
        file.write_text(text)
    world.program("raise SystemExit('it ran')")
    for command in ("plan", "preview", "up"):
        assert run(world, command, "--policy-pack", "pack", "--policy-pack-config", str(file)) == 1
        told = capfd.readouterr().err
        assert told.startswith(f"error: The policy pack configuration {file} {sentence}")
        assert len(told.splitlines()) == 1


@pytest.mark.parametrize("packs", [[], ["--policy-pack", "a", "--policy-pack", "b"]])
def test_packs_all_have_a_configuration_or_none_has(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], packs: list[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text("")
    assert run(world, "preview", *packs, "--policy-pack-config", str(file)) == 1
    assert f"1 --policy-pack-config for {len(packs) // 2} --policy-pack" in capsys.readouterr().err


def test_the_plans_of_several_stacks_stand_beside_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: pair\nruntime: python\n", encoding="utf-8")
    (tmp_path / "__main__.py").write_text(
        "import pulumi\n"
        "for number in range(pulumi.Config().require_int('count')):\n"
        "    pulumi.ComponentResource('test:index:Part', f'part-{number}')\n",
        encoding="utf-8",
    )
    for stack, count in (("small", 0), ("large", 12)):
        settings = f"config:\n  pair:count: {count}\n"
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(settings, encoding="utf-8")
    command = ["plan", "-C", str(tmp_path), "-s", "small", "-s", "large"]
    assert cli.main(command) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["COMPONENT", "small", "large"] in lines
    assert ["test:index:Part", "-", "12"] in lines
    assert cli.main([*command, "--json"]) == 0
    assert [plan["stack"] for plan in json.loads(capsys.readouterr().out)] == ["small", "large"]
    assert cli.main([*command, "-s", "nowhere"]) == 1
    assert "error: No plan of nowhere: see above." in capsys.readouterr().err
