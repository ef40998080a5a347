"""`python -m rollout deploy`: one deployment (rollout/deployment.py), as the command line asks for it."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from rollout import branches, judging, promotion, record, review, smoke, worktree
from rollout.deployment import Deployment, deploy
from rollout.engine import add_engine, engines
from rollout.errors import RolloutError
from rollout.github import Api
from rollout.images import Images
from rollout.markdown import text as escaped
from rollout.redact import Redactor


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `deploy`."""
    parser.add_argument("--stack", required=True)
    parser.add_argument("--release", required=True, metavar="sha256:…", help="the image to run, as `release` says it")
    parser.add_argument("--records", type=Path, required=True, metavar="DIR", help="the branch rollout-records")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where record.json is written")
    parser.add_argument("--image", default="", metavar="ghcr.io/…", help="where the image was pushed, without a digest")
    parser.add_argument("--unreviewed", default="", metavar="REASON", help="deploy what no pull request showed")
    parser.add_argument(
        "--smoke-url", default="", metavar="URL", help="where the service answers, if it can be reached"
    )
    add_engine(parser)


def row_of(map_: branches.Map, stack: str) -> branches.Branch:
    """The map's row of a stack. In a workflow it must be the branch that this runs on. Raises RolloutError."""
    row = map_.of_stack(stack)
    if row is None:
        raise RolloutError(f"No branch changes the stack {branches.shown(stack)} (.github/branches.yaml).")
    ref = os.environ.get("GITHUB_REF", "")
    if os.environ.get("GITHUB_ACTIONS") == "true" and ref != f"refs/heads/{row.branch}":
        raise RolloutError(f"{stack} is deployed from {row.branch} alone; this runs at {branches.shown(ref)}.")
    return row


def prepared(options: argparse.Namespace) -> Deployment:
    """The deployment that the command line asks for. Raises RolloutError where it asks for none that can be."""
    map_ = branches.read(options.map)
    row, directory, redactor = row_of(map_, options.stack), options.cwd.resolve(), Redactor()
    in_workflow, reason = os.environ.get("GITHUB_ACTIONS") == "true", options.unreviewed.strip()
    if reason and in_workflow and os.environ.get("GITHUB_EVENT_NAME") != "workflow_dispatch":
        raise RolloutError("Only a deployment that a person starts by hand can be unreviewed: leave --unreviewed out.")
    commit = worktree.commit(directory)
    api = Api.from_environment() if in_workflow or not reason else None
    return Deployment(
        row=row,
        directory=directory,
        commit=commit,
        release=promotion.checked(options.release),
        engine=engines(options, redactor),
        records=options.records,
        verify=record.verifier(unsigned=options.unsigned, map_=map_),
        judge=lambda plan: judging.judge(plan, options.out / "policies"),
        smoke=lambda one: smoke.check(one, smoke_url=options.smoke_url, api_urls=options.engine == "pulumi"),
        reviewed=None if reason or api is None else lambda: review.find(api, commit, row.branch),
        approvers=lambda: approvers(api, row.environment) if api and in_workflow else (),
        images=Images(options.image) if options.image and options.engine == "pulumi" else None,
        unreviewed=reason,
        redactor=redactor,
    )


def approvers(api: Api, environment: str) -> list[str]:
    """Logins of those who approved this run for an environment."""
    rows = api.get(f"actions/runs/{int(os.environ['GITHUB_RUN_ID'])}/approvals")
    return [
        str((row["user"] or {"login": "somebody who is gone"})["login"])
        for row in rows
        if row["state"] == "approved" and environment in [one["name"] for one in row["environments"]]
    ]


def run(options: argparse.Namespace) -> int:
    """Deploys, and writes record.json and predicate.json, whatever comes of it. 0: succeeded; 1: anything else."""
    this = prepared(options)

    def keep(predicate: dict[str, Any]) -> None:
        record.write(record.statement(predicate, options.image), options.out)

    this.keep = keep
    with this.interrupts.caught():
        predicate = deploy(this, lambda line: _say(this.redactor.text(line)))
        keep(predicate)
    _summarize(predicate)
    _say(f"{this.stack}: {predicate['outcome']}. The record is {options.out / 'record.json'}.")
    return 0 if predicate["outcome"] == record.SUCCEEDED else 1


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _summarize(predicate: dict[str, Any]) -> None:
    """The steps as a table on the run's page, where there is one."""
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return
    rows = [
        f"### {escaped(predicate['stack'])}: {predicate['outcome']}",
        "",
        "| step | | seconds | |",
        "|---|---|--:|---|",
    ]
    rows += [
        f"| {row['name']} | {row['outcome']} | {row['seconds']} | {escaped(row['detail'])} |"
        for row in predicate["steps"]
    ]
    with contextlib.suppress(OSError), Path(target).open("a", encoding="utf-8") as file:
        file.write("\n".join(rows) + "\n\n")
