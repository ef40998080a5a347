"""The options of the command line, against those of the Pulumi CLI, and the table of them in README."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import Any

import pytest

from localcloud import __main__ as cli
from localcloud import options
from localcloud.errors import LocalcloudError
from tests.localcloud.clouds import World

README = Path(options.__file__).with_name("README.md")
TEXT = 'a = Thing("a", value="1"); Thing("b", value="1")'
A, B = (f"urn:pulumi:dev::demo::test:index:Thing::{name}" for name in "ab")

# The flags of the CLI's preview, up, refresh and destroy (pkg/cmd/pulumi/operations, August 2026) but hidden ones.
FLAGS = """attach-debugger clear-pending-creates config config-file config-path continue-on-error copilot debug diff
event-log exclude exclude-dependents exclude-protected expect-no-changes ignore-protect import-file
import-pending-creates json message neo parallel plan policy-pack policy-pack-config preview-only refresh remove replace
run-program save-plan secrets-provider show-config show-full-output show-policy-remediations show-reads
show-replacement-steps show-sames show-secrets skip-config-validation skip-pending-creates skip-plugin-pre-install
skip-preview stack strict suppress-outputs suppress-permalink suppress-progress target target-dependents target-replace
urns yes"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    world = World(tmp_path)
    world.program(TEXT)
    monkeypatch.setattr(cli, "providers", world.factories)
    return world


def run(world: World, command: str, *words: str) -> int:
    world.cloud.calls.clear()
    return cli.main([command, "-C", str(world.root), "-s", "dev", *words])


def changes(world: World) -> list[tuple[str, str]]:
    return [call for call in world.cloud.calls if call[0] != "read"]


def test_the_readme_shows_the_options_as_they_are() -> None:
    section = README.read_text(encoding="utf-8").partition("## Options\n")[2].partition("\n## ")[0]
    assert section.strip() == "\n".join(options.table()).strip()


def test_each_option_of_the_cli_is_there_or_refused_with_a_reason_and_none_is_both() -> None:
    here = {name for option in options.OPTIONS for name in option.names}
    missing = {f"--{flag}" for flag in FLAGS.split()} - here - options.UNSUPPORTED.keys()
    assert not missing
    assert not here & options.UNSUPPORTED.keys()


def test_the_table_lists_the_arguments_that_the_parser_takes_and_no_other() -> None:
    (commands,) = (each for each in options.parser()._actions if isinstance(each, argparse._SubParsersAction))
    assert list(commands.choices) == list(options.COMMANDS) == list(cli.HANDLERS)
    for name, command in commands.choices.items():
        taken = {tuple(action.option_strings) or (action.dest,) for action in command._actions} - {("-h", "--help")}
        assert taken == {option.names for option in options.OPTIONS if name in option.commands}


@pytest.mark.parametrize("name", sorted(options.UNSUPPORTED))
def test_an_option_that_only_the_cli_has_is_refused_with_what_to_do(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["up", "-s", "dev", f"{name}=1"]) == 1
    assert capsys.readouterr().err == f"error: localcloud has no {name}: {options.UNSUPPORTED[name]}.\n"


def test_no_option_is_guessed_from_its_beginning(world: World) -> None:
    with pytest.raises(SystemExit):
        run(world, "preview", "--expect")


def test_targets_are_options_of_preview_up_refresh_and_destroy(world: World) -> None:
    assert run(world, "up", "--yes", "--target", A) == 0
    assert changes(world) == [("create", "a")]
    assert run(world, "up", "--exclude", A) == 0
    assert changes(world) == [("create", "b")]
    assert run(world, "refresh", "-t", B) == 0
    assert world.cloud.calls == [("read", "b")]
    assert run(world, "destroy", "-t", "**::b") == 0
    assert changes(world) == [("delete", "b")]


def test_target_replace_is_target_and_replace(world: World) -> None:
    run(world, "up")
    world.program(TEXT.replace('"1"', '"2"'))
    assert run(world, "up", "--target-replace", A) == 0
    assert changes(world) == [("create", "a"), ("delete", "a")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--target", A, "--exclude", B], "--target and --exclude cannot be given together"),
        (["--target-dependents"], "--target-dependents says nothing without --target"),
        (["--exclude-dependents"], "--exclude-dependents says nothing without --exclude"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    world: World, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert run(world, "up", *words) == 1
    assert sentence in capsys.readouterr().err
    assert changes(world) == []


def test_preview_only_changes_neither_cloud_nor_state(world: World) -> None:
    run(world, "up")
    made = next(id_ for id_ in world.cloud.resources if id_.startswith("a-"))  # which is made first, none can say
    world.cloud.resources[made]["inputs"]["value"] = "by hand"
    before = world.project().state_file.read_bytes()
    assert run(world, "refresh", "--preview-only") == 0
    assert run(world, "destroy", "--preview-only", "--json") == 0
    assert changes(world) == []
    assert world.project().state_file.read_bytes() == before


def test_expect_no_changes_is_about_components_and_providers_too(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    run(world, "up")
    assert run(world, "preview", "--expect-no-changes") == 0
    world.program(TEXT + '; pulumi.ComponentResource("demo:index:Part", "part")')
    assert run(world, "preview", "--expect-no-changes") == 1
    assert "1 components or providers change, as urn:pulumi:dev::demo::demo:index:Part::part" in capsys.readouterr().err


def test_the_preview_before_an_update_has_its_targets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def fails(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(subprocess, "run", fails)
    words = [f"--target={A}", f"--replace={A}", "--target-dependents", "--refresh"]
    assert run(world, "up", "--policy-pack", "pack", *words) == 1
    assert ran[0][-4:] == words


def test_a_selection_without_targets_is_everything() -> None:
    parsed = options.parser().parse_args(["up", "-s", "dev"])
    assert not options.selection(parsed).constrained
    parsed.target_dependents = True
    with pytest.raises(LocalcloudError, match="says nothing without"):
        options.selection(parsed)
