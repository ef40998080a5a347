"""The record of a deployment: an in-toto statement (record.schema.json), its file, and who vouches for it.

Records are files STACK/BEGAN-RUN-ATTEMPT.json of a directory, the branch rollout-records checked out. What is in it
is believed only with a signature: an attestation of deploy.yml's run on the stack's own branch. That GitHub makes and
verifies such attestations was not seen here; what is done with the answer was.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from rollout import branches, record_branch, untrusted
from rollout.branches import shown
from rollout.errors import RolloutError

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://example.com/groundwork/rollout-record/v1"
WORKFLOW = ".github/workflows/deploy.yml"
SUCCEEDED, STOPPED, ROLLED_BACK, FAILED = "succeeded", "stopped", "rolled back", "failed"
NAME = re.compile(r"(20\d{6}T\d{6}Z)-(0|[1-9]\d{0,18})-(0|[1-9]\d{0,8})\.json")
LARGEST = 1_000_000  # bytes of one record; ours have 5,000
MOST = 100_000  # files of one stack
SECONDS = 120  # that a verification may take


@dataclass(frozen=True)
class Record:
    """One record, and the file that it was read from."""

    path: Path
    statement: Mapping[str, Any]

    @property
    def predicate(self) -> Mapping[str, Any]:
        """What happened (record.schema.json)."""
        found: Mapping[str, Any] = self.statement["predicate"]
        return found

    @property
    def stack(self) -> str:
        """The stack that was deployed."""
        return str(self.predicate["stack"])

    @property
    def commit(self) -> str:
        """40 hex digits."""
        return str(self.predicate["commit"])

    @property
    def release(self) -> str:
        """`sha256:` and 64 hex digits."""
        return str(self.predicate["release"])

    @property
    def outcome(self) -> str:
        """succeeded, stopped, rolled back or failed."""
        return str(self.predicate["outcome"])


Verify = Callable[[Record], None]


@cache
def _schema() -> Any:
    return json.loads(Path(__file__).with_name("record.schema.json").read_text(encoding="utf-8"))


def statement(predicate: Mapping[str, Any], image: str = "") -> dict[str, Any]:
    """The statement about a deployment's commit and image.

    :param image: what the image is called, without its digest; its digest is the predicate's release
    :raises RolloutError: it is not of the form of record.schema.json
    """
    subjects = [{"name": f"git+{predicate['branch']}", "digest": {"gitCommit": predicate["commit"]}}]
    if image:
        subjects.append({"name": image, "digest": {"sha256": predicate["release"].removeprefix("sha256:")}})
    made = {"_type": STATEMENT, "subject": subjects, "predicateType": PREDICATE, "predicate": dict(predicate)}
    _check(made, "The record")
    return made


def _check(document: Any, where: str) -> None:
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(_schema()).iter_errors(document))
    if error is not None:
        place = "/".join(str(part) for part in error.absolute_path)
        raise RolloutError(f"{where} is no record: {shown(place) if place else 'it'} is not as the form says.")


def file_name(made: Mapping[str, Any]) -> str:
    """STACK/BEGAN-RUN-ATTEMPT.json of a statement; run and attempt are 0 outside of a workflow."""
    predicate = made["predicate"]
    began = datetime.strptime(predicate["began"], "%Y-%m-%dT%H:%M:%S%z").strftime("%Y%m%dT%H%M%SZ")
    run_ = predicate["run"] or {"id": 0, "attempt": 0}
    return f"{predicate['stack']}/{began}-{run_['id']}-{run_['attempt']}.json"


def write(made: Mapping[str, Any], out: Path) -> Path:
    """Writes record.json, and predicate.json for actions/attest, into a directory; the path of the record.

    :raises RolloutError: it cannot be written
    """
    path = out / "record.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file, content in ((path, made), (out / "predicate.json", made["predicate"])):
            file.write_text(f"{json.dumps(content, indent=2, sort_keys=True)}\n", encoding="utf-8")
    except OSError as error:
        raise RolloutError(f"The record cannot be written to {out}: {error.strerror}.") from error
    return path


def read(path: Path) -> Record:
    """The record in a file, whoever wrote it.

    :raises RolloutError: it is no plain file, is too large, or is not of the form of record.schema.json
    """
    try:
        if path.is_symlink() or not path.is_file():
            raise RolloutError(f"{_where(path)} is no plain file, and so no record.")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise RolloutError(f"{_where(path)} cannot be read: {error.strerror}.") from error
    if len(content) > LARGEST:
        raise RolloutError(f"{_where(path)} has over {LARGEST:,} bytes; no record has.")
    document = untrusted.parse(content, _where(path))
    _check(document, _where(path))
    return Record(path, document)


def _where(path: Path) -> str:
    return shown("/".join(path.parts[-2:]))


def newest_first(records: Path, stack: str) -> Iterator[Record]:
    """A stack's records, the newest first, each read when it is asked for; none where the stack has no directory.

    :raises RolloutError: a file there is no record, or is not where its content says that it belongs
    """
    directory = records / stack
    if not branches.NAME.fullmatch(stack) or directory.is_symlink():
        raise RolloutError(f"{shown(stack)} is no stack with records.")
    names = [entry.name for entry in directory.iterdir()] if directory.is_dir() else []
    if len(names) > MOST:
        raise RolloutError(f"{shown(stack)} has over {MOST:,} records. Move the oldest away.")
    for name in names:
        if not NAME.fullmatch(name):
            raise RolloutError(f"{shown(f'{stack}/{name}')} is no name of a record. Remove it from the records.")
    for name in sorted(names, key=_age, reverse=True):
        found = read(directory / name)
        if file_name(found.statement) != f"{stack}/{name}":
            raise RolloutError(
                f"{shown(f'{stack}/{name}')} says that it is the record {file_name(found.statement)}. "
                "Remove it from the records."
            )
        yield found


def _age(name: str) -> tuple[str, int, int]:
    match = NAME.fullmatch(name)
    return (match[1], int(match[2]), int(match[3])) if match else ("", 0, 0)


def last(records: Path, stack: str, *, outcome: str = SUCCEEDED, verify: Verify) -> Record | None:
    """The newest record of a stack with this outcome, once it is vouched for; None if there is none.

    :raises RolloutError: a newer file is no record, or nobody vouches for this one
    """
    for found in newest_first(records, stack):
        if found.outcome == outcome:
            verify(found)
            return found
    return None


def verifier(*, unsigned: bool, map_: branches.Map | None = None) -> Verify:
    """What vouches for a record: nobody has to if `unsigned` (a laptop, a test), else `gh attestation verify`."""
    if unsigned:
        return lambda _found: None
    known = map_ or branches.read()
    repository = os.environ.get("GITHUB_REPOSITORY", "")
    if not branches.REPOSITORY.fullmatch(repository):
        raise RolloutError("GITHUB_REPOSITORY is not set, so no signature of a record can be verified (--unsigned).")
    return lambda found: _verify(found, known, repository)


def _verify(found: Record, known: branches.Map, repository: str) -> None:
    """Only a run of deploy.yml on the branch that the map gives to the stack can have signed what is believed."""
    row = known.of_stack(found.stack)
    if row is None:
        raise RolloutError(f"No branch changes the stack {shown(found.stack)}: its records have no signer.")
    words = ["gh", "attestation", "verify", str(found.path), "--repo", repository]
    words += ["--signer-workflow", f"{repository}/{WORKFLOW}", "--source-ref", f"refs/heads/{row.branch}"]
    words += ["--predicate-type", PREDICATE, "--deny-self-hosted-runners"]
    environment = {"GH_TOKEN": os.environ.get("GITHUB_TOKEN", ""), "GH_PROMPT_DISABLED": "1", **os.environ}
    try:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RolloutError(
            f"The signature of {_where(found.path)} cannot be verified, and without it the record is not believed: "
            f"gh {'does not answer' if isinstance(error, subprocess.TimeoutExpired) else 'cannot be run'}."
        ) from None
    if done.returncode:
        raise RolloutError(
            f"Nobody vouches for the record {_where(found.path)}: no run of {WORKFLOW} on {row.branch} signed it "
            "as it is. Find out who put it there; nothing is done with it."
        )


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `record`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, text in (("push", "keep a record on its branch"), ("fetch", "get all that are on it")):
        command = actions.add_parser(action, help=text)
        command.add_argument("--records", type=Path, required=True, metavar="DIR", help="the directory of records")
        command.add_argument("--remote", default="", help="the repository; by default GitHub's, or git's `origin`")
        if action == "push":
            command.add_argument("file", type=Path, metavar="RECORD.json", help="the one to keep")


def _refuse_foreign(found: Record) -> None:
    """A job hands on what another made: it keeps that only where it is about this very run, commit and branch."""
    told, run_ = os.environ, found.predicate["run"] or {}
    ours = (told["GITHUB_RUN_ID"], told["GITHUB_RUN_ATTEMPT"], told["GITHUB_SHA"], told["GITHUB_REF"])
    said = (str(run_.get("id")), str(run_.get("attempt")), found.commit, f"refs/heads/{found.predicate['branch']}")
    row = branches.read().of_branch(str(found.predicate["branch"]))
    if said != ours or row is None or row.stack != found.stack:
        raise RolloutError(f"The record is about another deployment than this run's: {shown(' '.join(said))}.")


def run(options: argparse.Namespace) -> int:
    """Pushes one record, or fetches all."""
    remote = options.remote or record_branch.remote()
    if options.action == "fetch":
        record_branch.fetch(remote, options.records)
        return 0
    found = read(options.file)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _refuse_foreign(found)
    name = file_name(found.statement)
    record_branch.push(remote, name, options.file.read_bytes(), options.records)
    sys.stdout.write(f"{name} is on {record_branch.BRANCH}.\n")
    return 0
