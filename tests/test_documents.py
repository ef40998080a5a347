"""What the documents about threats and trouble name is there: tests, commands, workflows, files."""

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest
import yaml

from rollout import drift_issue
from rollout.__main__ import COMMANDS

ROOT = Path(__file__).parent.parent
THREATS = (ROOT / "docs/threat-model.md").read_text()
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def names_of_tests() -> set[str]:
    texts = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.M)}


def commands(document: str) -> list[str]:
    """The lines of the blocks of shell, continued ones joined."""
    blocks = re.findall(r"```sh\n(.*?)```", document, re.S)
    return [line for block in blocks for line in re.sub(r" \\\n *", " ", block).splitlines() if line.strip()]


def rollout_commands(document: str) -> list[list[str]]:
    """The words behind `python -m rollout` of each command that has it."""
    found = [line.partition(" -m rollout ")[2] for line in commands(document) if " -m rollout " in line]
    return [shlex.split(words) for words in found]


def parsed(words: list[str]) -> argparse.Namespace:
    """A command line as its command reads it; ends the process where it is wrong."""
    module, _ = COMMANDS[words[0]]
    parser = argparse.ArgumentParser(prog=words[0])
    importlib.import_module(module).arguments(parser)
    return parser.parse_args(words[1:])


def targets_named(document: str) -> set[str]:
    blocks = [line.split()[1] for line in commands(document) if line.startswith("make ")]
    return {*blocks, *re.findall(r"`make ([a-z-]+)", document)}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", THREATS))))
def test_a_test_that_the_threat_model_names_is_there(name: str) -> None:
    assert name in names_of_tests()


@pytest.mark.parametrize(
    "threat", ["A stranger's fork", "A colleague's branch", "Hostile data", "A poisoned model", "A stolen laptop"]
)
def test_the_threat_model_says_of_each_threat_what_stops_it_and_what_shows_it(threat: str) -> None:
    section = THREATS.partition(f"## {threat}\n")[2].partition("\n## ")[0]
    lines = re.split(r"\n(?=- )", section)
    assert len(lines) >= 3
    assert [line for line in lines if "`test_" not in line and "**What remains:**" not in line] == []


def test_the_threat_model_is_a_page_and_says_what_was_not_seen() -> None:
    assert len(THREATS.splitlines()) <= 60
    assert "**Not seen**" in THREATS


@pytest.mark.parametrize(
    "question",
    [
        "A deploy failed",
        "A lock is held",
        "Drift was found",
        "Roll back",
        "A new environment",
        "A new cloud",
        "Rotate trust after a repository move",
    ],
)
def test_the_runbook_answers_with_commands(question: str) -> None:
    assert commands(RUNBOOK.partition(f"## {question}\n")[2].partition("\n## ")[0])


@pytest.mark.parametrize("words", rollout_commands(RUNBOOK), ids=" ".join)
def test_a_rollout_command_of_the_runbook_is_one(words: list[str]) -> None:
    assert vars(parsed(words))


def test_a_rollout_command_with_a_mistake_in_it_would_be_found() -> None:
    assert len(rollout_commands(RUNBOOK)) >= 6
    with pytest.raises(SystemExit):
        parsed(["lock", "release", "--stack", "prod"])
    with pytest.raises(KeyError):
        parsed(["unlock", "--stack", "prod"])


def test_targets_of_make_that_the_documents_name_are_there() -> None:
    known = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
    assert {"plan", "policy", "bootstrap", "parity"} <= targets_named(RUNBOOK)
    assert targets_named(RUNBOOK) | targets_named(THREATS) <= known


def test_workflows_are_started_with_the_inputs_that_they_have() -> None:
    started = [shlex.split(line) for line in commands(RUNBOOK) if line.startswith("gh workflow run ")]
    assert started
    for words in started:
        workflow = yaml.safe_load((ROOT / ".github/workflows" / words[3]).read_text())
        inputs = workflow[True]["workflow_dispatch"]["inputs"]  # YAML reads `on` so
        given = {words[at + 1].partition("=")[0] for at, word in enumerate(words) if word == "--raw-field"}
        assert given <= set(inputs)
    assert f"--label {drift_issue.LABEL}" in RUNBOOK


def test_files_that_the_runbook_names_are_there() -> None:
    named = re.findall(r"`((?:\.github|infra|stacks|rollout|tests|docs)/[\w./-]*|[\w-]+\.yml)`", RUNBOOK)
    assert len(named) >= 6
    places = [ROOT, ROOT / ".github/workflows"]
    assert [name for name in named if not any((place / name).exists() for place in places)] == []
