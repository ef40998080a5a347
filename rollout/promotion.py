"""Which image a stack is to run: what was built, in the first environment; later, what the one before it runs."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from rollout import branches, outputs, record
from rollout.branches import Map, shown
from rollout.errors import RolloutError

RELEASE = re.compile(r"sha256:[0-9a-f]{64}")
NONE = "sha256:" + 64 * "0"  # what the settings in git say as no image was built yet


def release(map_: Map, stack: str, records: Path, verify: record.Verify, *, built: str = "") -> str:
    """The digest of the image that a stack is to run.

    The first environment runs what was just built. A later one runs what the environment before it was last brought up
    with in success; that record has to be vouched for.

    :param built: the digest of what was just built; "" where nothing was
    :raises RolloutError: the first has nothing built, a later one has, or nothing was deployed before it
    """
    before = map_.before(stack)
    if before is None:
        if not built:
            raise RolloutError(f"{stack} is the first environment: say with --built which image was built for it.")
        return checked(built)
    if built:
        raise RolloutError(
            f"{stack} runs what {before.stack} runs, and no image that was built for it: leave --built out."
        )
    found = record.last(records, before.stack, verify=verify)
    if found is None:
        raise RolloutError(
            f"{stack} runs what {before.stack} was last deployed with in success, and {before.stack} never was. Deploy "
            f"it first: push to {before.branch}."
        )
    return checked(found.release)


def checked(digest: str) -> str:
    """The digest, if it can be one of an image. Raises RolloutError."""
    if not RELEASE.fullmatch(digest) or digest == NONE:
        raise RolloutError(f"{shown(digest)} is no digest of an image: `sha256:` and 64 hex digits name one.")
    return digest


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `release`."""
    parser.add_argument("--stack", required=True)
    parser.add_argument("--records", type=Path, required=True, metavar="DIR", help="the branch rollout-records")
    parser.add_argument("--built", default="", metavar="sha256:…", help="the image built just now: first environment")
    parser.add_argument("--unsigned", action="store_true", help="believe records that nobody signed (a laptop)")
    parser.add_argument("--map", type=Path, default=branches.MAP, help="the file to read for .github/branches.yaml")
    parser.add_argument("--github-output", action="store_true", help="also hand the answer to later steps")


def run(options: argparse.Namespace) -> int:
    """Prints the digest."""
    map_ = branches.read(options.map)
    verify = record.verifier(unsigned=options.unsigned, map_=map_)
    found = release(map_, options.stack, options.records, verify, built=options.built)
    if options.github_output:
        outputs.write({"release": found})
    sys.stdout.write(f"{found}\n")
    return 0
