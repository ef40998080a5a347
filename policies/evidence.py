"""The evidence pack: a folder of renderings that was made at once, and whose manifest tells whether it still is whole.

The manifest's digest covers the manifest; whoever keeps the digest elsewhere can tell a forged pack from this one, too.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from policies import own
from policies.check import Report, counts
from policies.graph import PlanError
from policies.report import document, junit, sarif
from policies.rules import all_rules

MANIFEST = "manifest.json"
VERSION = 1
LARGEST_MANIFEST = 5_000_000  # bytes
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\.[a-z]+")
_HASH = re.compile(r"[0-9a-f]{64}")


class PackError(PlanError):
    """A folder that cannot take a pack; the text says why. Nothing of a pack is left there."""


def _html(report: Report) -> str:
    """Imported when it is asked: everything else is rendered without its templates."""
    text: str = import_module("policies.report.html").render(report)
    return text


RENDERINGS: Mapping[str, Callable[[Report], str]] = {
    "results.json": document.render,
    "results.sarif": sarif.render,
    "results.xml": junit.render,
    "report.html": _html,
}
NAMES = frozenset({MANIFEST, *RENDERINGS})


def write(report: Report, directory: Path, renderings: Mapping[str, Callable[[Report], str]] = RENDERINGS) -> str:
    """Makes the pack elsewhere and puts it in the directory's place in one step; returns its digest.

    What was there is replaced if it is a pack, or empty; anything else is refused with a PackError.
    """
    refuse_foreign(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        day = replace(report, made=report.made[:10])  # the time is in the manifest alone
        files = {name: render(day).encode() for name, render in renderings.items()}
        manifest = _manifest(report, files)
        files[MANIFEST] = _text(manifest)
        for name, content in files.items():
            (made / name).write_bytes(content)
        made.chmod(0o755)
        remove(directory)
        made.rename(directory)
    except OSError as error:
        raise PackError(f"The pack {directory} cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return str(manifest["made"]["digest"])


def refuse_foreign(directory: Path) -> None:
    """Raises a PackError if what is in the directory's place is no pack of ours, or where whoever runs this stands."""
    if directory.resolve() == Path.cwd():
        raise PackError(f"{directory} is the current folder, which a pack cannot replace: name another with --out.")
    if not directory.exists() and not directory.is_symlink():
        return
    if directory.is_symlink() or not directory.is_dir():
        raise PackError(f"{directory} is no folder: name another one with --out.")
    foreign = sorted(path.name for path in directory.iterdir() if path.name not in NAMES or not _plain_file(path))
    if foreign:
        raise PackError(f"{directory} holds {foreign[0]!r}, which is not of a pack: name another folder with --out.")


def remove(directory: Path) -> None:
    """Takes away the pack that is there; what is none is refused with a PackError and stays."""
    refuse_foreign(directory)
    if directory.exists():
        shutil.rmtree(directory)


def _manifest(report: Report, files: Mapping[str, bytes]) -> dict[str, Any]:
    """`made` is the one field in which two runs differ: when, and the digest of everything, the time included."""
    manifest = {
        "version": VERSION,
        "made": {"at": report.made, "digest": ""},
        "commit": report.commit,
        "passed": report.passed,
        "stacks": [f"{graph.project}/{graph.stack}" for graph in report.graphs],
        "counts": counts(report.findings),
        "tools": {**report.versions, "python": ".".join(map(str, sys.version_info[:3]))},
        "policies": policy_versions(report),
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in sorted(files.items())
        },
    }
    return _signed(manifest)


def _signed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with the digest that belongs to it."""
    made = {"at": manifest["made"]["at"]}
    digest = hashlib.sha256(_text({**manifest, "made": made})).hexdigest()
    return {**manifest, "made": {**made, "digest": digest}}


def _text(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=1) + "\n").encode()


def policy_versions(report: Report) -> dict[str, str]:
    """A hash of each policy's text, and of its code or the version of the tool that runs it: 16 hex digits by id."""
    code = {rule.id: own.source_hash(rule) for rule in all_rules()}
    versions = dict(report.versions)
    return {
        name: hashlib.sha256(
            "\n".join(
                (
                    json.dumps(asdict(policy), sort_keys=True),
                    code.get(name) or versions.get(policy.tool) or json.dumps(versions, sort_keys=True),
                )
            ).encode()
        ).hexdigest()[:16]
        for name, policy in sorted(report.policies.items())
    }


def verify(directory: Path, digest: str = "") -> list[str]:
    """What is wrong with a pack, a sentence each; nothing if it is whole and unaltered, and of this digest if given."""
    manifest, problem = _read(directory)
    if problem:
        return [problem]
    problems = []
    if (directory / MANIFEST).read_bytes() != _text(_signed(manifest)):
        problems.append(f"{MANIFEST} is altered: its digest is not that of its content.")
    if digest and manifest["made"]["digest"] != digest:
        problems.append(f"{directory} is another pack: its digest is {manifest['made']['digest']}.")
    files: dict[str, dict[str, Any]] = manifest["files"]
    for name, known in sorted(files.items()):
        path = directory / name
        if not _plain_file(path):
            problems.append(f"{name} is missing.")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != known["sha256"]:
            problems.append(f"{name} is altered.")
    extra = sorted(path.name for path in directory.iterdir() if path.name not in {MANIFEST, *files})
    return problems + [f"{name!r} is an extra file, which the pack was made without." for name in extra]


def _read(directory: Path) -> tuple[dict[str, Any], str]:
    """The manifest, or why there is none to trust: its form and its names are checked before a file is touched."""
    path = directory / MANIFEST
    if not _plain_file(path):
        return {}, f"{directory} is no pack: {MANIFEST} is missing."
    if path.stat().st_size > LARGEST_MANIFEST:
        return {}, f"{MANIFEST} is larger than any that was made here."
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        files = manifest["files"]
        made = manifest["made"]
        sound = manifest["version"] == VERSION and isinstance(made["at"], str) and isinstance(made["digest"], str)
        sound = (
            sound
            and isinstance(files, dict)
            and all(isinstance(row, dict) and _HASH.fullmatch(row["sha256"]) for row in files.values())
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound or not files:
        return {}, f"{MANIFEST} is altered: it has not the form of a manifest."
    if hostile := sorted(name for name in files if not _NAME.fullmatch(name) or name == MANIFEST):
        return {}, f"{MANIFEST} is refused: it names {hostile[0]!r}, which no pack holds."
    return manifest, ""


def _plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
