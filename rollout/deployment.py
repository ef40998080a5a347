"""Brings a stack to a commit and an image: a list of steps, the way back when one fails, and a record in every case.

succeeded    the cloud is as the commit declares it, the release serves, and a second preview shows 0 changes
stopped      nothing was changed
rolled back  it failed after the first change, and the stack is again at the last deployment that succeeded
failed       it failed after the first change, and there was nothing to go back to, or going back failed too
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rollout import branches, judging, plans, record, review, worktree
from rollout.engine import Engine, changes, counted
from rollout.errors import RolloutError
from rollout.images import Images
from rollout.redact import Redactor

LONGEST = 1000  # characters of what a record says of a step
SHOWN = 5  # URNs that a sentence names
Log = Callable[[str], None]


class Interrupts:
    """Ctrl-C and SIGTERM, which reach a step under way at once, and what is between two steps with the next one."""

    def __init__(self) -> None:
        self._pending = False
        self._armed = False

    def __call__(self, _number: int, _frame: Any) -> None:
        """As a signal's handler."""
        self._pending = True
        if self._armed:
            self._armed = self._pending = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def reaching(self) -> Iterator[None]:
        """Lets them in, those too that came before."""
        self._armed = True
        try:
            if self._pending:
                self._pending = False
                raise KeyboardInterrupt
            yield
        finally:
            self._armed = False

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Takes the signals in place of the handlers that are there."""
        before = {number: signal.signal(number, self) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass
class Deployment:
    """One deployment as it goes: what it is of, whom it asks, and what is known so far.

    engine: gives the engine for a project's directory and a release. reviewed: what was shown of the commit, and who
    approved; raises RolloutError. judge: the policies' verdict on a plan. smoke: sees whether an engine's stack serves
    its release. keep: is given, before each step, the record that holds if this process is killed in it. last: the
    deployment to go back to. changed: whether anything was.
    """

    row: branches.Branch
    directory: Path
    commit: str
    release: str
    engine: Callable[[Path, str], Engine]
    records: Path
    verify: record.Verify
    judge: Callable[[plans.Plan], judging.Verdict]
    smoke: Callable[[Engine], str]
    reviewed: Callable[[], review.Review] | None
    approvers: Callable[[], Sequence[str]] = tuple
    images: Images | None = None
    unreviewed: str = ""
    redactor: Redactor = field(default_factory=Redactor)
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    keep: Callable[[dict[str, Any]], None] = lambda _predicate: None
    interrupts: Interrupts = field(default_factory=Interrupts)
    began: str = ""
    plan: plans.Plan = field(default_factory=dict)
    last: record.Record | None = None
    changed: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.row.stack

    @property
    def ours(self) -> Engine:
        """The engine for the commit that is deployed."""
        return self.engine(self.directory, self.release)


@dataclass(frozen=True)
class Step:
    """What is done, and what it says of it in the record. It raises what stops the deployment."""

    name: str
    act: Callable[[Deployment], str]


def _records(this: Deployment) -> str:
    this.last = record.last(this.records, this.stack, verify=this.verify)
    return f"the last success is {this.last.commit[:12]}" if this.last else "nothing was deployed before"


def _plan(this: Deployment) -> str:
    this.plan = plans.check(this.ours.plan(), f"The plan of {this.stack}")
    this.facts["plan"] = {"sha256": shown_digest(this.plan)}
    return f"{len(this.plan['resources'])} resources"


def shown_digest(plan: plans.Plan) -> str:
    """The digest of a plan as a pull request shows it: without secrets. This machine's own are in no plan."""
    return plans.digest(Redactor(environment={}).plan(plan))


def _review(this: Deployment) -> str:
    this.facts["approvers"] = [_line(this, login) for login in this.approvers()]
    if this.reviewed is None:
        this.facts["unreviewed"] = _line(this, this.unreviewed)
        return "unreviewed, with a reason"
    found = this.reviewed()
    own = this.facts["plan"]["sha256"]
    this.facts["reviewed"] = {"pullRequest": found.pull_request, "head": found.head, "sha256": own}
    try:
        review.compare(found, this.stack, own, lambda: _digest_at(this, worktree.before(this.directory)))
    except RolloutError:
        del this.facts["reviewed"]
        raise
    return f"the plan is the one that #{found.pull_request} showed"


def _digest_at(this: Deployment, commit: str) -> str | None:
    with worktree.at(commit, this.directory) as tree:
        if not (tree / f"Pulumi.{this.stack}.yaml").is_file():
            return None
        return shown_digest(plans.check(this.engine(tree, this.release).plan(), f"The plan at {commit[:12]}"))


def _policies(this: Deployment) -> str:
    verdict = this.judge(this.plan)
    this.facts["policy"] = {"passed": verdict.passed, "counts": verdict.counts, "sha256": verdict.sha256}
    this.facts["waivers"] = [{name: _line(this, text) for name, text in row.items()} for row in verdict.waivers]
    if not verdict.passed:
        raise RolloutError(f"The policies do not let the plan of {this.stack} pass: {verdict.why}")
    return f"{verdict.counts['pass']} passed, {verdict.counts['waived']} waived"


def _state(this: Deployment) -> str:
    this.ours.select()
    this.facts["before"] = _hashed(this.ours)
    return "kept" if this.facts["before"] else "there is none yet"


def _preview(this: Deployment) -> str:
    return counted(changes(this.ours.preview()))


def _images(this: Deployment) -> str:
    if this.images is None:
        return "no image was named"

    def up(targets: Sequence[str]) -> None:
        this.changed = True
        this.ours.up(targets)

    return this.images.bring(this.plan, this.release, up, this.ours)


def _up(this: Deployment) -> str:
    this.changed = True
    this.ours.up()
    return "up"


def _smoke(this: Deployment) -> str:
    return this.smoke(this.ours)


def _unchanged(this: Deployment) -> str:
    digest = this.ours.preview()
    if found := changes(digest):
        urns = [str(step.get("urn", "")) for step in digest.get("steps", []) if step.get("op") in found]
        names = ", ".join(urn.rsplit("::", 1)[-1] for urn in urns[:SHOWN])
        raise RolloutError(f"A second preview would change things again ({counted(found)}): {names}.")
    return "0 changes"


STEPS = (
    Step("records", _records),
    Step("plan", _plan),
    Step("review", _review),
    Step("policies", _policies),
    Step("state", _state),
    Step("preview", _preview),
    Step("images", _images),
    Step("up", _up),
    Step("smoke", _smoke),
    Step("second preview", _unchanged),
)
CHANGING = ("images", "up")


def deploy(this: Deployment, log: Log) -> dict[str, Any]:
    """Takes the steps, and the way back if one fails after the first change; the predicate of the record.

    What goes wrong is in the record and not raised. Whoever interrupts it (Ctrl-C, SIGTERM) gets a record, too, and no
    way back: there is no time for one.
    """
    this.began = _time(this.now())
    error = _through(this, STEPS, log)
    outcome, target = record.SUCCEEDED, None
    if error is not None and not this.changed:
        outcome = record.STOPPED
    elif isinstance(error, KeyboardInterrupt):
        outcome = record.FAILED
    elif error is not None:
        outcome = record.FAILED
        if _rolled_back(this, log) and this.last:
            outcome, target = record.ROLLED_BACK, {"commit": this.last.commit, "release": this.last.release}
    return _predicate(this, outcome, this.steps, target, _state_after(this))


def _predicate(
    this: Deployment,
    outcome: str,
    steps: Sequence[dict[str, Any]],
    target: dict[str, str] | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    facts = this.facts
    return {
        "version": 1,
        "stack": this.stack,
        "environment": this.row.environment,
        "branch": this.row.branch,
        "commit": this.commit,
        "release": this.release,
        "plan": facts.get("plan"),
        "reviewed": facts.get("reviewed"),
        "unreviewed": facts.get("unreviewed"),
        "state": {"before": facts.get("before"), "after": after},
        "policy": facts.get("policy"),
        "waivers": facts.get("waivers", []),
        "approvers": facts.get("approvers", []),
        "run": workflow_run(),
        "outcome": outcome,
        "steps": list(steps),
        "rolledBackTo": target,
        "began": this.began,
        "ended": _time(this.now()),
    }


def _through(this: Deployment, steps: Sequence[Step], log: Log) -> BaseException | None:
    """Takes the steps up to the first that fails, and returns what it raised; those after it are skipped."""
    failed: BaseException | None = None
    for step in steps:
        if failed is not None:
            this.steps.append({"name": step.name, "outcome": "skipped", "seconds": 0, "detail": ""})
            continue
        begun = this.clock()
        killed = {"name": step.name, "outcome": "failed", "seconds": 0, "detail": "It was killed before it ended."}
        could_change = this.changed or step.name in CHANGING
        try:
            this.keep(_predicate(this, record.FAILED if could_change else record.STOPPED, [*this.steps, killed]))
            with this.interrupts.reaching():
                detail, outcome = step.act(this), "succeeded"
        except RolloutError as error:
            failed, detail, outcome = error, str(error), "failed"
        except KeyboardInterrupt as error:
            failed, detail, outcome = (
                error,
                "It was interrupted. What was done is in the state; deploy again.",
                "failed",
            )
        except Exception as error:  # noqa: BLE001 - a mistake of ours must leave a record, too
            failed, detail, outcome = error, f"A mistake of the rollout: {type(error).__name__}: {error}", "failed"
        seconds = round(max(this.clock() - begun, 0), 1)
        row = {"name": step.name, "outcome": outcome, "seconds": seconds, "detail": _line(this, detail)}
        this.steps.append(row)
        log(f"{'✗' if failed else '✓'} {step.name:16} {seconds:7.1f} s   {row['detail']}")
    return failed


def _rolled_back(this: Deployment, log: Log) -> bool:
    """Applies the commit and the image of the last deployment that succeeded; whether the stack is there again."""
    last = this.last
    if last is None:

        def nothing(_this: Deployment) -> str:
            raise RolloutError(
                f"Nothing was deployed to {this.stack} in success before: there is nothing to go back to. Mend what "
                "failed and deploy again."
            )

        return _through(this, [Step("roll back", nothing)], log) is None
    made: list[Engine] = []
    with contextlib.ExitStack() as held:

        def files(_this: Deployment) -> str:
            tree = held.enter_context(worktree.at(last.commit, this.directory, this.ours.dialect.shared))
            made.append(this.engine(tree, last.release))
            made[0].install()
            return f"{last.commit[:12]} with {last.release[:19]}…"

        def up(_this: Deployment) -> str:
            made[0].up()
            return "up"

        steps = (
            Step("roll back: files", files),
            Step("roll back: up", up),
            Step("roll back: smoke", lambda _this: this.smoke(made[0])),
        )
        return _through(this, steps, log) is None


def _hashed(engine: Engine) -> str | None:
    content = engine.state()
    return hashlib.sha256(content).hexdigest() if content else None


def _state_after(this: Deployment) -> str | None:
    try:
        return _hashed(this.ours)
    except (RolloutError, KeyboardInterrupt):
        return None


def _line(this: Deployment, detail: str) -> str:
    shown = this.redactor.text(" ".join(detail.split()))
    return "".join(letter if letter.isprintable() else "?" for letter in shown)[:LONGEST]


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def workflow_run() -> dict[str, Any] | None:
    """The run of the workflow that this is a step of, as the record has it; None outside of a workflow."""
    found = os.environ
    if found.get("GITHUB_ACTIONS") != "true":
        return None
    number, attempt = int(found["GITHUB_RUN_ID"]), int(found["GITHUB_RUN_ATTEMPT"])
    return {
        "id": number,
        "attempt": attempt,
        "url": f"{found['GITHUB_SERVER_URL']}/{found['GITHUB_REPOSITORY']}/actions/runs/{number}/attempts/{attempt}",
        "event": found["GITHUB_EVENT_NAME"],
        "actor": found["GITHUB_ACTOR"],
    }
