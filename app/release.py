"""Which code this is: the hash of the application's own files, and the commit they came from."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
_HELD = ("*.py", "schemas/*.json", "static/*")  # what the image holds too: app/Dockerfile.dockerignore
_RELEASE = re.compile(r"sha256:[0-9a-f]{64}")


@cache
def code_hash(folder: Path = _FOLDER) -> str:
    """`sha256:` and 64 digits over what runs of `folder`, code, schemas and pages: names, lengths and contents."""
    digest = hashlib.sha256()
    files = (file for pattern in _HELD for file in folder.glob(pattern) if file.is_file())
    for file in sorted(files, key=lambda file: file.relative_to(folder).as_posix()):
        data = file.read_bytes()
        digest.update(f"{file.relative_to(folder).as_posix()}\0{len(data)}\0".encode() + data)
    return f"sha256:{digest.hexdigest()}"


def release() -> str:
    """The release that the platform says it runs (RELEASE), or the hash of the files where it says none."""
    stated = os.environ.get("RELEASE", "")
    return stated if _RELEASE.fullmatch(stated) else code_hash()


@cache
def commit() -> str:
    """The commit in COMMIT, or the one checked out (`-dirty` with changes on top), or `unknown`."""
    stated = os.environ.get("COMMIT", "")
    if re.fullmatch(r"[0-9a-f]{40}", stated):
        return stated
    git = shutil.which("git")
    if git is None or not (_FOLDER.parent / ".git").exists():
        return "unknown"
    command = [git, "-C", str(_FOLDER.parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    found = result.stdout.strip()
    return found if re.fullmatch(r"[0-9a-f]{40}(-dirty)?", found) else "unknown"


def code() -> dict[str, str]:
    """What manifests say about the code: release and commit."""
    return {"release": release(), "commit": commit()}
