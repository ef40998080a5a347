"""The command line: `python -m policies check PLAN.json… --out DIR`, and `python -m policies verify DIR`.

check: 0, nothing is in the way of a deployment; 1, a mandatory policy is broken or nobody can say whether it is, a
waiver does not hold, or a tool could not look; 2, something does not parse: nothing was judged, and no pack is there.
verify: 0, the pack is whole and unaltered; 1, it is not.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console

from policies import console, evidence
from policies.check import ASSESSORS, WAIVERS, Assessor, check
from policies.graph import PlanError

LARGEST_PLAN = 200_000_000  # bytes
_SURROGATE = re.compile(r"\\ud[89a-f]", re.IGNORECASE)


def main(arguments: Sequence[str] | None = None, assessors: Mapping[str, Assessor] = ASSESSORS) -> int:
    """Runs one command and returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may know fewer letters than a plan
    options = _parser().parse_args(arguments)
    if options.command == "verify":
        return _verify(options)
    try:
        return _check(options, assessors)
    except PlanError as error:
        _say(f"error: {error}")
    except Exception as error:  # noqa: BLE001 - a mistake of ours must not read as a result
        _say(f"error: the check itself failed ({type(error).__name__} in {_place(error)}). Report it with this line.")
    _say("Nothing was judged.")
    _clear(options.out)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m policies", description="Judges plans before anything is deployed.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    command = commands.add_parser("check", help="judge plans, and write the evidence of it")
    command.add_argument(
        "plans", nargs="+", metavar="PLAN.json", help="of `localcloud plan --json`; - is standard input"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="where the evidence pack is written")
    command.add_argument("--waivers", type=Path, default=WAIVERS, metavar="FILE", help="findings that may stand")
    command.add_argument("--complete", action="store_true", help="these are all stacks: any waiver must match")
    command = commands.add_parser("verify", help="tell whether a pack is whole and unaltered")
    command.add_argument("pack", type=Path, metavar="DIR")
    command.add_argument("--digest", default="", help="the digest that `check` printed, kept apart from the pack")
    return parser


def _check(options: argparse.Namespace, assessors: Mapping[str, Assessor]) -> int:
    if options.out is not None:
        evidence.refuse_foreign(options.out)
    documents = {"standard input" if name == "-" else name: _document(name) for name in options.plans}
    today = date.today()
    report = check(documents, options.waivers, today, assessors, complete=options.complete)
    digest = evidence.write(report, options.out) if options.out is not None else ""
    screen = Console(soft_wrap=False, highlight=False)
    console.show(report, screen)
    if digest:
        screen.print(f"Evidence: {options.out}, digest {digest}", markup=False, soft_wrap=True)
    return 0 if report.passed else 1


def _document(name: str) -> Any:
    """The JSON in a file. Raises PlanError for what is none, or holds numbers that JSON does not have."""
    try:
        if name != "-" and os.stat(name).st_size > LARGEST_PLAN:
            raise PlanError(f"{name} is larger than {LARGEST_PLAN} bytes: no plan is.")
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        document = json.loads(text, parse_constant=_no_number)
        if _SURROGATE.search(text):
            json.dumps(document, ensure_ascii=False).encode()  # half a letter, which no report could hold: ValueError
        return document
    except OSError as error:
        raise PlanError(f"{name} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        where = "Standard input" if name == "-" else name
        raise PlanError(f"{where} is no JSON: {' '.join(str(error).split())}. Make the plan again.") from error


def _no_number(name: str) -> float:
    raise ValueError(f"it holds the number {name}")


def _clear(directory: Path | None) -> None:
    """Takes away the pack of an earlier run: it is not what this run found."""
    try:
        if directory is not None and directory.is_dir() and any(directory.iterdir()):
            evidence.remove(directory)
            _say(f"The pack that was in {directory} is of an earlier run, and was removed.")
    except (PlanError, OSError):
        return  # the error that was told says it already, or there is nothing of ours there


def _verify(options: argparse.Namespace) -> int:
    problems = evidence.verify(options.pack, options.digest)
    for problem in problems:
        _say(problem)
    if not problems:
        sys.stdout.write(f"{options.pack} is whole and unaltered.\n")
    return 1 if problems else 0


def _say(text: str) -> None:
    """Tells a person; whatever a plan or a file name holds moves no cursor."""
    sys.stderr.write("".join(letter if letter.isprintable() else "?" for letter in text) + "\n")


def _place(error: BaseException) -> str:
    """The innermost line of ours that an error passed."""
    ours = Path(__file__).parent
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if ours in Path(frame.filename).parents]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "another library"


if __name__ == "__main__":
    gc.disable()  # one short run: looking for garbage takes a tenth of it
    sys.exit(main())
