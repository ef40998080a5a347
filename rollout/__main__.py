"""The command line: `python -m rollout COMMAND`. A step of a workflow is one of these commands."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from rollout.errors import RolloutError

# Each is a module with `arguments(parser)` and `run(options) -> int`, loaded only when it is asked for.
COMMANDS = {
    "resolve": ("rollout.branches", "which stacks a ref and an event may change"),
    "preview": ("rollout.preview", "what a change does to every stack, against its base, with no account"),
    "comment": ("rollout.comment", "say it in the pull request"),
    "preview-cloud": ("rollout.preview_cloud", "what the Pulumi CLI would change in a stack"),
    "release": ("rollout.promotion", "which image a stack is to run"),
    "deploy": ("rollout.deploy", "bring a stack to its commit and image; roll back on failure; write the record"),
    "record": ("rollout.record", "keep the record of a deployment"),
    "drift": ("rollout.drift", "whether a stack is as it was deployed, changing nothing"),
    "drift-issue": ("rollout.drift_issue", "open, update or close the one issue about drift"),
    "reach": ("rollout.reach", "where a stack's service answers, and what its callers may"),
    "lock": ("rollout.lock", "who holds a stack, and letting go of what CI left"),
    "bootstrap": ("rollout.bootstrap", "what must exist before the first deployment, and the commands for it"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. 0: done; 1: an error or a refusal, told in a sentence; 2: the command line; 130: Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m rollout", description="From a pull request to prod.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if given[:1] == [name]:
            importlib.import_module(module).arguments(command)
    options = parser.parse_args(given)
    try:
        done: int = importlib.import_module(COMMANDS[options.command][0]).run(options)
    except RolloutError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return done


if __name__ == "__main__":
    sys.exit(main())
