"""The options of the command line as data: those that localcloud has, and those of the Pulumi CLI that it has not.

`localcloud/README.md` shows both, as `table` writes them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from localcloud.errors import LocalcloudError
from localcloud.targets import Selection

COMMANDS = {
    "plan": "evaluate the program for any cloud, with synthetic outputs and no emulator",
    "preview": "show what `up` would change",
    "up": "bring the stack to what the program declares",
    "refresh": "bring the state to what the emulator reports",
    "destroy": "delete every resource of the stack",
    "graph": "draw the resources, what needs what, and the step that each takes",
    "output": "show the stack's outputs, or the one named",
    "export": "print the state, as `pulumi stack export` does",
    "import": "take a state, as `pulumi stack import` does",
    "restore": "put an earlier state back; each run keeps the one that it found",
}
STEPPING = ("preview", "up", "refresh", "destroy")
DEPLOYING = ("preview", "up")
JUDGED = ("plan", "preview", "up")
LIST: dict[str, Any] = {"action": "append", "default": []}
FLAG: dict[str, Any] = {"action": "store_true"}


class Option(NamedTuple):
    """One option or, without dashes, argument. settings: those of argparse."""

    names: tuple[str, ...]
    commands: tuple[str, ...]
    text: str
    settings: dict[str, Any] = FLAG


OPTIONS = (
    Option(
        ("-C", "--cwd"), tuple(COMMANDS), "the project's directory", {"type": Path, "default": Path(), "metavar": "DIR"}
    ),
    Option(("-s", "--stack"), tuple(COMMANDS), "the stack's name; for `plan` several, their plans beside each other"),
    Option(("-c", "--config"), tuple(COMMANDS), "a setting to use", LIST | {"metavar": "KEY=VALUE"}),
    Option(("--config-path",), tuple(COMMANDS), "keys of -c are paths, as in `aws.region`"),
    Option(("-j", "--json"), tuple(COMMANDS), "print JSON, and nothing else, on standard output"),
    Option(("-p", "--parallel"), STEPPING, "how many steps at once (16)", {"type": int, "default": 16}),
    Option(("--diff",), STEPPING, "show each property that changes"),
    Option(("--expect-no-changes",), STEPPING, "fail if anything changes"),
    Option(("-r", "--refresh"), ("preview", "up", "destroy"), "ask the emulator before comparing"),
    Option(
        ("-t", "--target"),
        STEPPING,
        "a URN, or a glob (`*` stops at a colon, `**` does not): only this",
        LIST | {"metavar": "URN"},
    ),
    Option(("--target-dependents",), STEPPING, "and what depends on a target"),
    Option(("--exclude",), STEPPING, "a URN or a glob: all but this and what this needs", LIST | {"metavar": "URN"}),
    Option(("--exclude-dependents",), STEPPING, "nor what depends on it"),
    Option(("--replace",), DEPLOYING, "a URN or a glob: make it anew, changed or not", LIST | {"metavar": "URN"}),
    Option(("--target-replace",), DEPLOYING, "a URN or a glob: --target and --replace", LIST | {"metavar": "URN"}),
    Option(("--preview-only",), ("refresh", "destroy"), "only show what would be done"),
    Option(("--policy-pack",), JUDGED, "judge by a policy pack", LIST | {"type": Path, "metavar": "DIR"}),
    Option(
        ("--policy-pack-config",),
        JUDGED,
        "levels and properties of its policies, as JSON; one for each --policy-pack, in their order",
        LIST | {"type": Path, "metavar": "FILE"},
    ),
    Option(("-y", "--yes"), ("up", "refresh", "destroy"), "taken for the sake of scripts: nothing is ever asked"),
    Option(("-f", "--skip-preview"), ("up", "refresh", "destroy"), "with policy packs, judge while resources change"),
    Option(("--preview",), ("graph",), "colour by what `up` would do"),
    Option(
        ("-o", "--out"),
        ("graph",),
        "an .html page, or Mermaid (.mmd, .md); without it, Mermaid on standard output",
        {"type": Path, "metavar": "FILE"},
    ),
    Option(("--show-secrets",), ("output", "export"), "show secret values in clear"),
    Option(("name",), ("output",), "the output to show", {"nargs": "?"}),
    Option(("--list",), ("restore",), "only list the earlier states"),
    Option(("earlier",), ("restore",), "the earlier state to put back; the newest if left out", {"nargs": "?"}),
    Option(("--file",), ("import",), "the state to take; standard input if left out", {"type": Path}),
)

# Options of the Pulumi CLI's preview, up, refresh and destroy: why there is none here, and what to do instead.
UNSUPPORTED = {
    "--attach-debugger": "the program runs in this process: use `python -m pdb -m localcloud …`",
    "--clear-pending-creates": "a creation that was cut off is found again, or undone, by the next run",
    "--config-file": "settings are read from Pulumi.STACK.yaml; for one more use -c",
    "--continue-on-error": "the first error ends a run, and the next run goes on from there",
    "--copilot": "no service is asked",
    "--debug": "there is no trace of the engine; --diff shows what it compares",
    "--event-log": "--json tells what was done",
    "--exclude-protected": "name what is protected: --exclude URN",
    "--ignore-protect": "take `protect` out of the program, which replaces or deletes in the same run",
    "--import-file": "declare the resource with the option `import_`",
    "--import-pending-creates": "a creation that was cut off is found by the tag that it was made with",
    "--message": "a run leaves no record but the state",
    "--neo": "no service is asked",
    "--plan": "plans of `pulumi preview --save-plan` are not read; run `preview` before `up`",
    "--remove": "a stack is its settings and its state: delete Pulumi.STACK.yaml and `.localcloud`",
    "--run-program": "`up --refresh` does: it refreshes with the providers that the program declares",
    "--save-plan": "`preview --json` tells what `up` would do, and holds nobody to it",
    "--secrets-provider": "secrets are encrypted with a passphrase, PULUMI_CONFIG_PASSPHRASE or a file made once",
    "--show-config": "Pulumi.STACK.yaml shows it",
    "--show-full-output": "--json has values in full",
    "--show-policy-remediations": "a remediation is done and shows as a change of the resource",
    "--show-reads": "`preview --json` lists reads",
    "--show-replacement-steps": "a replacement is one step, and the deletion of the old resource another",
    "--show-sames": "what stays the same is counted in the last line",
    "--skip-config-validation": "settings are not validated by a schema of Pulumi.yaml",
    "--skip-pending-creates": "a creation that was cut off is found again, or undone, by the next run",
    "--skip-plugin-pre-install": "there are no plugins",
    "--strict": "plans of `pulumi preview --save-plan` are not read; run `preview` before `up`",
    "--suppress-outputs": "outputs are shown by the command `output` alone",
    "--suppress-permalink": "there are no links",
    "--suppress-progress": "send standard error elsewhere",
    "--urns": "--json has URNs",
}


def parser() -> argparse.ArgumentParser:
    """The parser; `command` names the command in what it returns."""
    made = argparse.ArgumentParser(
        prog="python -m localcloud",
        description="Runs a Pulumi Python program without the Pulumi CLI, and applies it to emulators on this machine.",
        allow_abbrev=False,
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False)
        for option in OPTIONS:
            if name in option.commands:
                settings = option.settings
                if option.names == ("-s", "--stack"):
                    settings = {"required": True} | ({"action": "append"} if name == "plan" else {})
                command.add_argument(*option.names, help=option.text, **settings)
    return made


def refuse_unsupported(words: Sequence[str]) -> None:
    """Raises LocalcloudError for an option that the Pulumi CLI has and localcloud has not, with what to do instead."""
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if name in UNSUPPORTED:
            raise LocalcloudError(f"localcloud has no {name}: {UNSUPPORTED[name]}.")


def selection(options: argparse.Namespace) -> Selection:
    """What the options say of targets."""
    both = getattr(options, "target_replace", [])
    targets = (*options.target, *both)
    if targets and options.exclude:
        raise LocalcloudError("--target and --exclude cannot be given together.")
    for flag, needed in (("target_dependents", targets), ("exclude_dependents", options.exclude)):
        if getattr(options, flag) and not needed:
            name = flag.replace("_", "-")
            raise LocalcloudError(f"--{name} says nothing without --{name.removesuffix('-dependents')}.")
    return Selection(
        targets,
        tuple(options.exclude),
        (*getattr(options, "replace", []), *both),
        dependents=options.target_dependents or options.exclude_dependents,
    )


def table() -> Iterator[str]:
    """The section "Options" of the README, line by line."""
    yield "| option | of | |"
    yield "|---|---|---|"
    for option in OPTIONS:
        names = ", ".join(f"`{name}`" for name in option.names)
        of = "all" if option.commands == tuple(COMMANDS) else ", ".join(option.commands)
        yield f"| {names} | {of} | {option.text} |"
    yield ""
    yield "Options of the Pulumi CLI that are refused by name:"
    yield ""
    yield "| option | why, and what to do |"
    yield "|---|---|"
    for name, text in UNSUPPORTED.items():
        yield f"| `{name}` | {text} |"
