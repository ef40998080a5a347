"""`python -m rollout comment`: says in a pull request what its preview found.

Runs on the default branch's code with a token that may comment, after a workflow that ran the pull request's own code:
so nothing that workflow made is believed. Which run it was, which commit it ran and which pull request that is come
from GitHub; the changes are computed here, from the plans in the artifact.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rollout import artifact, branches, markdown, preview_cloud, render, sticky, untrusted
from rollout.artifact import Preview
from rollout.errors import RolloutError
from rollout.github import Api, field
from rollout.preview_cloud import CloudPreview

PREVIEW = ".github/workflows/preview.yml"
CLOUD = ".github/workflows/preview-cloud.yml"
ARTIFACT = "preview"  # what preview.yml names its artifact
REVIEWED = "reviewed.json"
FAILED = ("failure", "timed_out", "startup_failure")
Row = Mapping[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `comment`."""
    parser.add_argument("--run", type=int, required=True, help="the id of the finished run of preview or preview-cloud")
    parser.add_argument("--reviewed", type=Path, required=True, help=f"the folder that gets {REVIEWED}")
    parser.add_argument("--map", type=Path, default=branches.MAP, help="the file that says which branch is which stack")


def run(options: argparse.Namespace) -> int:
    """0: said, or there is nothing to say; 1: the artifact is refused (which the comment says), or GitHub refuses."""
    reviewed: Path = options.reviewed / REVIEWED
    reviewed.unlink(missing_ok=True)
    told, document = respond(Api.from_environment(), options.run, branches.read(options.map))
    if document is not None:
        reviewed.parent.mkdir(parents=True, exist_ok=True)
        reviewed.write_text(f"{json.dumps(document, indent=2)}\n", encoding="utf-8")
    sys.stdout.write(f"{told}\n")
    return 0


def respond(api: Api, run_id: int, mapped: branches.Map) -> tuple[str, dict[str, Any] | None]:
    """Comments on what a run found.

    :returns: what was done, as a sentence, and what was shown (reviewed.schema.json) if anything was
    :raises RolloutError: the run is none of ours, its artifact is refused, or GitHub refuses
    """
    source = _run(api, run_id)
    pulls = _open_pulls(api, source)
    current = [pull for pull in pulls if field(pull, "head", "sha") == source["head_sha"]]
    if not current:
        for pull in pulls:
            sticky.supersede(api, int(pull["number"]), str(field(pull, "head", "sha")))
        return f"No open pull request has the head {source['head_sha']}: nothing is said of it.", None
    if _workflow(source) == CLOUD:
        preview_run = _newest(api, PREVIEW, source)
        if preview_run is None:
            return "The preview of this head is not done yet; when it is, the comment shows both.", None
        source = preview_run
    if source["conclusion"] in FAILED:
        return _say_failed(api, source, current), None
    if source["conclusion"] != "success":
        for pull in current:
            sticky.supersede(api, int(pull["number"]), source["head_sha"])
        return "The preview was stopped before its end: nothing is said of it.", None
    return _show(api, source, current, mapped)


def _show(api: Api, source: Row, pulls: Sequence[Row], mapped: branches.Map) -> tuple[str, dict[str, Any] | None]:
    sha = str(source["head_sha"])
    try:
        url, content = _download(api, source, ARTIFACT)
        preview = artifact.read(content)
        if preview.head != sha:
            raise RolloutError(f"The preview says that it is of another commit than {sha}, which its run ran.")
        pull = _with_base(api, pulls, preview.base)
    except RolloutError as error:
        if len(pulls) == 1:
            _say(api, int(pulls[0]["number"]), sha, f"**Preview refused.** {markdown.text(error)}", source)
        raise
    number = int(pull["number"])
    text = render.comment(preview, marker=sticky.marker(sha), artifact_url=url, cloud=_cloud(api, source, pull, mapped))
    if not sticky.upsert(api, number, text, sha):
        return f"The head of #{number} has moved on from {sha}: the comment leaves it to the next run.", None
    document = _reviewed(number, preview)
    return f"#{number} shows the preview of {sha}.", document


def _run(api: Api, run_id: int) -> Row:
    """The run that was named, if it is one of a preview of a pull request and done."""
    found: Row = api.get(f"actions/runs/{run_id}")
    ours = (
        _workflow(found) in (PREVIEW, CLOUD)
        and found.get("event") == "pull_request"
        and found.get("status") == "completed"
        and str(field(found, "repository", "full_name")).lower() == api.repository.lower()
    )
    if not ours:
        raise RolloutError(f"The run {run_id} is no finished run of {PREVIEW} or {CLOUD} for a pull request.")
    return found


def _workflow(row: Row) -> str:
    """The file of a run's workflow; GitHub may say behind an @ at which ref."""
    return str(row.get("path")).partition("@")[0]


def _open_pulls(api: Api, source: Row) -> list[Row]:
    """The open pull requests from the branch that a run ran, most often one.

    GitHub leaves a run's own list of them empty where the branch is a fork's.
    """
    repository, owner = field(source, "head_repository", "id"), field(source, "head_repository", "owner", "login")
    if repository is None or not owner:
        return []  # the fork is deleted
    rows = api.pages("pulls", state="open", head=f"{owner}:{source['head_branch']}")
    return [
        row
        for row in rows
        if field(row, "head", "repo", "id") == repository and field(row, "head", "ref") == source["head_branch"]
    ]


def _newest(api: Api, workflow: str, source: Row) -> Row | None:
    """The last finished run of another workflow for the same head of the same repository."""
    path = f"actions/workflows/{workflow.rpartition('/')[2]}/runs"
    rows = [
        row
        for row in api.pages(path, "workflow_runs", event="pull_request", head_sha=str(source["head_sha"]))
        if row["status"] == "completed"
        and row["head_sha"] == source["head_sha"]
        and _workflow(row) == workflow
        and field(row, "head_repository", "id") == field(source, "head_repository", "id")
    ]
    return max(rows, key=lambda row: int(row["id"]), default=None)


def _download(api: Api, source: Row, name: str) -> tuple[str, bytes]:
    """The page and the content of a run's artifact, the newest of that name."""
    rows = [
        row
        for row in api.pages(f"actions/runs/{source['id']}/artifacts", "artifacts", name=name)
        if row["name"] == name and not row["expired"]
    ]
    if not rows:
        raise RolloutError(f"The run has no artifact {name}, or it has expired. Run the preview again.")
    row = max(rows, key=lambda row: int(row["id"]))
    content = api.download(f"actions/artifacts/{int(row['id'])}/zip", untrusted.ARCHIVE_LIMIT)
    return f"{source['html_url']}/artifacts/{int(row['id'])}", content


def _with_base(api: Api, pulls: Sequence[Row], base: str) -> Row:
    """The pull request whose base branch holds the commit that the preview compared with.

    A fork may name any commit as its base; this one GitHub knows on the branch that the change is to go to.
    """
    held = [pull for pull in pulls if _holds(api, str(field(pull, "base", "ref")), base)]
    if not held:
        raise RolloutError(f"The preview was made against {base}, which the pull request's base branch does not hold.")
    # One head in several pull requests: the base as GitHub last knew it tells them apart.
    exact = [pull for pull in held if field(pull, "base", "sha") == base] or held
    if len(exact) > 1:
        numbers = ", ".join(f"#{pull['number']}" for pull in exact)
        raise RolloutError(f"{numbers} have the same head and base: nobody can say whose preview this is. Close one.")
    return exact[0]


def _holds(api: Api, branch: str, commit: str) -> bool:
    # Of a comparison's second page GitHub leaves out the files, which nobody needs here.
    try:
        found = api.get(f"compare/{commit}...{quote(branch, safe='')}", page=2, per_page=1)
    except RolloutError as error:
        if getattr(error, "status", 0) == 404:  # no such commit here
            return False
        raise
    return field(found, "status") in ("ahead", "identical")


def _cloud(api: Api, source: Row, pull: Row, mapped: branches.Map) -> list[CloudPreview]:
    """What the Pulumi CLI found in the cloud, for the stack of the pull request's base; none for a fork's."""
    row = mapped.of_branch(str(field(pull, "base", "ref")))
    if row is None or field(pull, "head", "repo", "id") != field(pull, "base", "repo", "id"):
        return []
    found = _newest(api, CLOUD, source)
    if found is None or found["conclusion"] != "success":
        return []
    try:
        return [_read_cloud(_download(api, found, f"preview-cloud-{row.stack}")[1], row.stack)]
    except RolloutError as error:
        sys.stderr.write(f"warning: the preview in the cloud is left out: {error}\n")
        return []


def _read_cloud(archive: bytes, stack: str) -> CloudPreview:
    """The preview in the cloud in the zip of an artifact, which the pull request's own code made, too."""
    files = untrusted.members(archive, re.compile(re.escape(preview_cloud.FILE)))
    document = untrusted.parse(files.get(preview_cloud.FILE, b""), preview_cloud.FILE)
    found = CloudPreview.parse(artifact.conforming(document, "preview-cloud.schema.json", preview_cloud.FILE))
    if found.stack != stack:
        raise RolloutError(f"{preview_cloud.FILE} is about another stack than {stack}.")
    return found


def _say_failed(api: Api, source: Row, pulls: Sequence[Row]) -> str:
    if len(pulls) > 1:
        return "The preview failed; several pull requests have this head, and none is told."
    number, sha = int(pulls[0]["number"]), str(source["head_sha"])
    _say(api, number, sha, "**Preview failed**, so nobody knows what this change does.", source)
    return f"#{number} is told that the preview of {sha} failed."


def _say(api: Api, number: int, sha: str, text: str, source: Row) -> None:
    """A comment of one line, with a link to the run."""
    link = markdown.link("Its run", str(source["html_url"]))
    sticky.upsert(api, number, f"{sticky.marker(sha)}\n{text} {link} says why.\n", sha)


def _reviewed(number: int, preview: Preview) -> dict[str, Any] | None:
    """What the comment showed (reviewed.schema.json); None where no stack could be planned."""
    stacks = {name: {"head": row.head_digest, "base": row.base_digest} for name, row in preview.stacks.items()}
    if not stacks:
        return None
    return {"version": 1, "pullRequest": number, "head": preview.head, "base": preview.base, "stacks": stacks}
