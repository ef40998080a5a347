"""What stands in for others when workflows run on this machine.

`stub.py action NAME INPUTS_AS_JSON`: an action of others. `stub.py command NAME WORD…`: a program that is not here, or
that must not do here what it does on a runner. Each use is a line of $STUB_HELD/log. Check-outs, uploads and downloads
do the work of the real ones, between the repository $STUB_ORIGIN, the workspace and $STUB_HELD/artifacts. Whatever is
signed is remembered by its hash in $STUB_HELD/signed, and only that is verified. `pulumi` is localcloud.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HELD = Path(os.environ["STUB_HELD"])
ORIGIN = os.environ["STUB_ORIGIN"]
# Words of Pulumi's command line that localcloud has no need of.
UNSPOKEN = {"--non-interactive", "--color", "never", "--yes", "--skip-preview", "--suppress-outputs"}


def log(**fields: object) -> None:
    with (HELD / "log").open("a") as file:
        file.write(json.dumps({"job": os.environ.get("GITHUB_JOB", ""), **fields}) + "\n")


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, stdout=subprocess.DEVNULL)


def checkout(given: dict[str, str]) -> None:
    """Clones with as much history as was asked for, and leaves no credential behind."""
    folder = Path(os.environ["GITHUB_WORKSPACE"]) / given["path"]
    folder.mkdir(parents=True, exist_ok=True)
    ref = given["ref"] or os.environ["GITHUB_SHA"]
    whole = given["fetch-depth"] == "0"
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", f"file://{ORIGIN}")
    if whole:
        git(folder, "fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
    git(folder, "fetch", "--quiet", *([] if whole else [f"--depth={given['fetch-depth'] or 1}"]), "origin", ref)
    git(folder, "checkout", "--quiet", "--detach", "FETCH_HEAD")


def upload(given: dict[str, str]) -> None:
    source, target = Path(given["path"]), HELD / "artifacts" / given["name"]
    if not source.exists():
        if given["if-no-files-found"] == "error":
            sys.exit(f"No files were found with the provided path: {source}")
        return
    if target.exists():
        sys.exit(f"An artifact {given['name']} is there already.")
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        target.mkdir(parents=True)
        shutil.copy(source, target)


def download(given: dict[str, str]) -> None:
    held = sorted((HELD / "artifacts").iterdir())
    wanted = given["name"] or given["pattern"]
    chosen = [path for path in held if fnmatch.fnmatch(path.name, wanted)]
    if given["name"] and not chosen:
        sys.exit(f"Unable to download artifact(s): Artifact not found for name: {given['name']}")
    for path in chosen:
        flat = given["name"] or given["merge-multiple"] == "true"
        shutil.copytree(path, Path(given["path"]) / ("" if flat else path.name), dirs_exist_ok=True)


def attest(given: dict[str, str]) -> None:
    """Remembers the subject; of an image also the commit that it was built of, as a signature does."""
    if given.get("sbom-path"):
        json.loads(Path(given["sbom-path"]).read_text())
        return  # not the provenance, which is what is verified
    if given["subject-path"]:
        names = [hashlib.sha256(path.read_bytes()).hexdigest() for path in Path().glob(given["subject-path"])]
    else:
        names = [f"oci://{given['subject-name']}:{os.environ['GITHUB_SHA']} {given['subject-digest']}"]
    if not names:
        sys.exit(f"Could not find subject at path {given['subject-path']}")
    with (HELD / "signed").open("a") as file:
        file.writelines(f"{name}\n" for name in names)


def docker(words: list[str]) -> int:
    if "login" in words:
        sys.stdin.read()
    if "--metadata-file" in words:
        digest = "sha256:" + hashlib.sha256(os.urandom(16)).hexdigest()  # no two builds are the same
        Path(words[words.index("--metadata-file") + 1]).write_text(json.dumps({"containerimage.digest": digest}))
    if "--format" in words:
        sys.stdout.write('{"spdxVersion": "SPDX-2.3"}\n')
    return 0


def gh(words: list[str]) -> int:
    """`gh attestation verify SUBJECT …`"""
    subject, signed = words[2], (HELD / "signed").read_text().splitlines()
    if subject.startswith("oci://"):
        known = [line.rpartition(" ")[2] for line in signed if line.startswith(f"{subject} ")]
        if known:
            sys.stdout.write(f"digest={known[-1]}\n")
        return 0 if known else 1
    if hashlib.sha256(Path(subject).read_bytes()).hexdigest() in signed:
        sys.stdout.write("[]\n" if "--format" in words else "")
        return 0
    sys.stderr.write('Error: verifying with issuer "sigstore.dev": no attestation was found\n')
    return 1


def pulumi(words: list[str]) -> int:
    """The Pulumi CLI's command line, spoken to localcloud."""
    words = [word for word in words if word not in UNSPOKEN]
    state = Path(words[words.index("-C") + 1]) / ".localcloud"
    if not state.is_symlink():
        (HELD / "localcloud").mkdir(mode=0o700, exist_ok=True)
        state.symlink_to(HELD / "localcloud")  # as a bucket does, it outlives the machine
    if words[:2] == ["stack", "select"]:
        return 0
    if words[0] == "stack":
        words = words[1:]
    export = words[0] == "export"
    done = subprocess.run(
        [sys.executable, "-m", "localcloud", *words], stdout=subprocess.PIPE if export else None, check=False
    )
    if export:  # localcloud says when it was exported, where the CLI says when it was saved
        exported = json.loads(done.stdout)
        exported["deployment"]["manifest"]["time"] = "2026-11-21T20:00:00Z"
        sys.stdout.write(json.dumps(exported))
    return done.returncode


def main(kind: str, name: str, *words: str) -> int:
    if kind == "command":
        log(command=name, words=words)
        commands = {"docker": docker, "gh": gh, "pulumi": pulumi}
        return commands[name](list(words)) if name in commands else 0
    given = json.loads(words[0])
    log(action=name, **{"with": {key: value for key, value in given.items() if value}})
    doing = {
        "actions/checkout": checkout,
        "actions/upload-artifact": upload,
        "actions/download-artifact": download,
        "actions/attest": attest,
    }
    if name in doing:
        doing[name](given)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
