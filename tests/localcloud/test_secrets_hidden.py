"""Planted secrets, searched for wherever a person or a file could get them from."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud import __main__ as cli
from localcloud import secrets
from localcloud.masking import Mask
from localcloud.secrets import Passphrase, new_salt
from localcloud.state import StateFile
from localcloud.values import Properties
from tests.localcloud.clouds import Provider, World

# Of the settings, of the program, of a provider's answer, and one that JSON and Python write otherwise.
PLANTED = {
    "setting": "planted-in-settings-7261",
    "program": "planted-in-the-program-9914",
    "output": "planted-in-an-output-3380",
    "lines": 'planted\nin "two" lines-5527',
}
PROGRAM = """
config = pulumi.Config()
setting = config.require_secret("token")
own = pulumi.Output.secret("planted-in-the-program-9914")
lines = pulumi.Output.secret('planted\\nin "two" lines-5527')
thing = Thing("a", password=None, fixed=setting, own=own, deep={"list": [lines, "open"]},
              opts=Options(additional_secret_outputs=["password"]))
Thing("b", value=thing.password, json=pulumi.Output.json_dumps({"own": own, "lines": lines}))
Thing("c", tags=[own], opts=Options(replacement_trigger=own))
pulumi.export("own", own)
pulumi.export("all", pulumi.Output.all(setting, lines, thing.password))
"""
# What follows the program → which command runs it. Each ends in an error that has a secret in its own text.
FAILING = {
    "an error of the program": 'raise ValueError(config.require("token"))',
    "an error in apply": "own.apply(lambda text: [][text])",
    "an error in apply with several lines": "lines.apply(lambda text: {}[text])",
    "RunError": "lines.apply(lambda text: (_ for _ in ()).throw(pulumi.RunError(text)))",
    "a transform": (
        "def change(args):\n    raise ValueError(config.require('token'))\n"
        "pulumi.runtime.register_stack_transform(change)\nThing('late')"
    ),
    "a hook": (
        "def hook(args):\n    raise ValueError('planted-in-the-program-9914')\n"
        "Thing('late', opts=Options(hooks=pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook('h', hook, "
        "pulumi.ResourceHookOptions(on_dry_run=True))])))"
    ),
    "what it logs and prints": (
        "import sys\nown.apply(lambda text: pulumi.log.warn(text))\nlines.apply(print)\n"
        "lines.apply(lambda text: print(text, file=sys.stderr))\nprint(config.require('token'))\n"
        "pulumi.log.error(config.require('token'))\nraise ValueError('over')"
    ),
}
DYNAMIC = """
import pulumi.dynamic
class Provider(pulumi.dynamic.ResourceProvider):
    def create(self, props):
        raise ValueError(f"no {props['own']} of {props}")
class Made(pulumi.dynamic.Resource):
    def __init__(self, name, own):
        super().__init__(Provider(), name, {"own": own})
Made("made", own)
"""


class Answering(Provider):
    """Answers with a password of its own for the thing "a"."""

    def read(self, token: str, id_: str, inputs: Properties) -> tuple[Properties, Properties] | None:
        found = super().read(token, id_, inputs)
        made = {"password": PLANTED["output"]} if id_.startswith("a-") else {}
        return (found[0], found[1] | made) if found else None


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    monkeypatch.setattr(secrets, "ITERATIONS", 1000)
    world = World(tmp_path)
    keys = Passphrase("correct horse", salt := new_salt("correct horse"))
    sealed = keys.encrypt(PLANTED["setting"])
    (tmp_path / "Pulumi.dev.yaml").write_text(
        f"encryptionsalt: {salt}\nconfig:\n  demo:token:\n    secure: {sealed}\n", encoding="utf-8"
    )
    world.program(PROGRAM)
    monkeypatch.setattr(cli, "providers", lambda: {"test": lambda _config: Answering(world.cloud)})
    return world


def said(world: World, *words: str) -> str:
    """All that a command writes to standard output and error, and the code that it ends with."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main([words[0], "-C", str(world.root), "-s", "dev", *words[1:]])
    return f"{out.getvalue()}\n{err.getvalue()}\nended with {code}\n"


def leaks(text: str) -> list[str]:
    """The names of planted secrets that a text holds, in clear or as JSON, Python or base64 write them."""
    return [
        name
        for name, secret in PLANTED.items()
        if any(
            form in text
            for form in (
                secret,
                json.dumps(secret)[1:-1],
                repr(secret)[1:-1],
                base64.b64encode(secret.encode()).decode(),
            )
        )
    ]


def files(world: World) -> Iterator[tuple[Path, str]]:
    """The files that the runs left: states current and kept, journal, lock, pages."""
    for path in world.root.rglob("*"):
        if path.is_file() and path.name not in ("__main__.py",) and "__pycache__" not in path.parts:
            yield path, path.read_text(encoding="utf-8", errors="replace")


def up(world: World) -> None:
    said(world, "up")
    assert len(world.cloud.resources) == 3


def drifted(world: World) -> None:
    up(world)
    for row in world.cloud.resources.values():
        row["inputs"] |= {"own": "other", "deep": "other"}


def changed(world: World) -> None:
    up(world)
    text = PROGRAM.replace(
        'fixed=setting, own=own, deep={"list": [lines, "open"]}', "fixed='open', own='open', deep=own"
    )
    world.program(text.replace("replacement_trigger=own", "replacement_trigger=setting"))


def failing(verb: str) -> Callable[[World], None]:
    """The provider's error quotes what it was given."""

    def prepare(world: World) -> None:
        if verb != "create":
            changed(world)
        if verb == "delete":
            world.program("pulumi.export('none', 1)")
        name = "b" if verb == "update" else "a"
        if verb == "update":
            world.program(PROGRAM.replace("tags=[own]", "tags=[setting]").replace('"own": own,', '"own": own, "x": 1,'))
        known = [secret for name, secret in PLANTED.items() if (verb, name) != ("create", "output")]
        world.cloud.fail[f"{verb} {name}"] = RuntimeError(f"not {known} but {PLANTED['lines']}")

    return prepare


def nothing(_world: World) -> None:
    """As the fixture left it."""


COMMANDS: dict[str, tuple[Callable[[World], None], tuple[str, ...], str]] = {
    # surface: how it comes about, the command, what it must say for the test to have looked at the right thing
    "plan of nothing known": (nothing, ("plan",), "ended with"),
    "preview": (nothing, ("preview",), "3 to create"),
    "preview --diff": (nothing, ("preview", "--diff"), "[secret]"),
    "preview --json": (nothing, ("preview", "--json"), "[secret]"),
    "up --diff": (nothing, ("up", "--diff"), "[secret]"),
    "up --json": (nothing, ("up", "--json"), "[secret]"),
    "a changed preview --diff": (changed, ("preview", "--diff"), "[secret]"),
    "a changed preview --json": (changed, ("preview", "--json"), '"op": "replace"'),
    "a changed up --diff": (changed, ("up", "--diff"), "replace"),
    "refresh --diff": (drifted, ("refresh", "--diff"), "drift"),
    "refresh --json": (drifted, ("refresh", "--json"), "drifted"),
    "up --refresh --diff": (drifted, ("up", "--refresh", "--diff"), "drift"),
    "destroy --json": (up, ("destroy", "--json"), "ended with 0"),
    "output": (up, ("output",), "[secret]"),
    "output --json": (up, ("output", "--json"), "[secret]"),
    "export": (up, ("export",), "ciphertext"),
    "graph as Mermaid": (up, ("graph",), "flowchart"),
    "graph as JSON": (up, ("graph", "--json"), "urn:pulumi"),
    "graph of a preview": (changed, ("graph", "--preview"), "replace"),
    "a provider's error in up": (failing("create"), ("up",), "failed: not ["),
    "a provider's error in an update": (failing("update"), ("up", "--diff"), "failed: not ["),
    "a provider's error in a replacement": (failing("create"), ("up", "--json"), "failed: not ["),
    "a provider's error in destroy": (failing("delete"), ("destroy",), "failed: not ["),
}


@pytest.mark.parametrize("surface", COMMANDS)
def test_no_planted_secret_is_shown_or_kept_in_clear(world: World, surface: str) -> None:
    prepare, words, expected = COMMANDS[surface]
    prepare(world)
    text = said(world, *words)
    assert expected in text
    assert leaks(text) == []
    assert [(path.name, found) for path, content in files(world) if (found := leaks(content))] == []


@pytest.mark.parametrize("command", ["up", "preview --json", "plan"])
@pytest.mark.parametrize("error", FAILING)
def test_no_planted_secret_is_in_what_the_program_says_when_it_fails(world: World, error: str, command: str) -> None:
    text = PROGRAM if command != "plan" else PROGRAM[: PROGRAM.index("thing = ")]  # no SDK has those things
    if command == "plan" and "Thing(" in FAILING[error]:
        text += "Thing = lambda name, opts=None: pulumi.ProviderResource('aws', name, {'own': own}, opts)\n"
    world.program(text + FAILING[error])
    found = said(world, *command.split())
    assert "ended with 1" in found or "hook" in error
    assert leaks(found) == []
    assert [(path.name, names) for path, content in files(world) if (names := leaks(content))] == []


def test_no_planted_secret_is_in_a_dynamic_providers_error(world: World) -> None:
    world.program(PROGRAM + DYNAMIC)
    found = said(world, "up")
    assert "The create of the dynamic" in found
    assert "[secret]" in found
    assert leaks(found) == []


def test_no_planted_secret_is_on_the_page_of_the_graph(world: World) -> None:
    changed(world)
    said(world, "graph", "--preview", "-o", str(world.root / "graph.html"))
    page = (world.root / "graph.html").read_text(encoding="utf-8")
    assert "data-facts" in page
    assert leaks(page) == []


def test_each_planted_secret_is_in_the_state_and_opens_with_the_passphrase(world: World) -> None:
    """Else the searches above would find nothing because there is nothing."""
    up(world)
    file = StateFile(world.project().state_file, world.project().salt)
    opened = json.dumps(file.render(file.load(), show_secrets=True))
    assert {name for name, secret in PLANTED.items() if json.dumps(json.dumps(secret)[1:-1])[1:-1] in opened} == set(
        PLANTED
    )
    assert sorted(leaks(said(world, "output", "--show-secrets", "--json"))) == ["lines", "output", "program", "setting"]


def test_a_fault_of_localclouds_own_shows_no_traceback_and_no_secret(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_options: Any, project: Any) -> int:
        raise ZeroDivisionError(project.config["demo:token"])

    monkeypatch.setitem(cli.HANDLERS, "up", broken)
    found = said(world, "up")
    assert "error: localcloud itself failed at test_secrets_hidden.py:" in found
    assert "Traceback" not in found
    assert leaks(found) == []


def test_a_mask_hides_the_longest_secret_first_and_no_word_that_says_nothing() -> None:
    mask = Mask(["abcd", "abcdef", "true", "xyz"])
    assert mask("abcdef abcd true xyz") == "[secret] [secret] true xyz"
