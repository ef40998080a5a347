"""What the commands do: up and preview, refresh, destroy, on one stack of one project."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from localcloud.callbacks import refuse_hooked
from localcloud.engine import Engine
from localcloud.errors import LocalcloudError
from localcloud.events import Event
from localcloud.ledger import Ledger, in_parallel
from localcloud.monitor import STACK_TYPE, Inspect, Monitor
from localcloud.program import run
from localcloud.project import Project
from localcloud.providers import PROVIDER_PREFIX, ProviderFactory
from localcloud.state import Resource, Snapshot, StateFile, lock
from localcloud.targets import EVERYTHING, Selection, to_delete
from localcloud.values import Properties

CHANGES = ("create", "update", "replace", "delete")
OnEvent = Callable[[Event], None]


@dataclass
class Result:
    """What a command did or, in a preview, would do.

    steps: how many of each step (same, create, update, replace, delete), components and providers left out.
    gone, drifted: URNs that a refresh found missing or changed. others: URNs of components and providers that change.
    outputs: the stack's, with marks.
    """

    steps: Counter[str] = field(default_factory=Counter)
    gone: list[str] = field(default_factory=list)
    drifted: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    outputs: Properties = field(default_factory=dict)
    resources: list[Resource] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def changes(self) -> int:
        """How many resources were (or would be) created, updated, replaced or deleted."""
        return sum(self.steps[step] for step in CHANGES)

    def note(self, event: Event) -> None:
        """Counts an event."""
        if event.kind == "done" and event.step != "read":
            self.steps[event.step] += 1
        elif event.kind == "noted" and event.step in CHANGES:
            self.others.append(event.urn)
        elif event.kind == "gone":
            self.gone.append(event.urn)
        elif event.kind == "drift":
            self.drifted.append(event.urn)


class _Run:
    """One run on a stack: its state, ledger and engine, and the result that grows with the events."""

    def __init__(
        self,
        project: Project,
        factories: Mapping[str, ProviderFactory],
        on_event: OnEvent,
        *,
        dry_run: bool,
        refresh: bool = False,
        parallel: int = 16,
        inspect: Inspect | None = None,
        selection: Selection = EVERYTHING,
    ) -> None:
        self.selection = selection
        self.file = StateFile(project.state_file, project.salt)
        self.snapshot = self.file.load()
        for row in (*self.snapshot.resources, *(operation.resource for operation in self.snapshot.operations)):
            project.mask.learn([row.inputs, row.outputs])
        self.ledger = Ledger(self.snapshot, None if dry_run else self.file)
        self.result = Result()
        self.parallel = parallel
        self.begun = time.monotonic()

        def tell(event: Event) -> None:
            self.result.note(event)
            on_event(event)

        self.engine = Engine(
            self.ledger,
            factories,
            project,
            tell,
            dry_run=dry_run,
            refresh=refresh,
            parallel=parallel,
            inspect=inspect,
            selection=selection,
        )
        self.declared_before = frozenset(row.urn for row in self.snapshot.resources)
        selection.check(self.declared_before, selection.replaces)

    def delete(self, rows: list[Resource]) -> None:
        """Deletes the rows, each after those that need it."""
        urns = {row.urn for row in rows if not row.retain_on_delete}
        gone_with: dict[str, list[Resource]] = {}
        for row in rows:
            if row.deleted_with in urns:
                gone_with.setdefault(row.deleted_with, []).append(row)
        rows = [row for row in rows if row.deleted_with not in urns]
        users: dict[str, set[int]] = {}
        for index, row in enumerate(rows):
            for urn in row.needs:
                users.setdefault(urn, set()).add(index)

        def delete(row: Resource) -> None:
            self.engine.delete(row)
            others = gone_with.pop(row.urn, [])
            while others:
                other = others.pop()
                self.engine.delete(other, gone_with=True)
                others += gone_with.pop(other.urn, [])

        in_parallel(rows, lambda row: users.get(row.urn, ()), delete, self.parallel)

    def to_delete(self, rows: list[Resource]) -> list[Resource]:
        """Those of the rows that the selection lets go, and no passed-over resource needs."""
        every = self.ledger.snapshot().resources
        known = self.declared_before | {row.urn for row in every} | self.engine.skipped
        self.selection.check(known, (*self.selection.targets, *self.selection.excludes))
        return to_delete(rows, every, self.selection, kept=self.engine.passed_over)

    def settle(self) -> None:
        """Finishes what an earlier run left open and nothing of this run took up."""
        for operation in list(self.ledger.unsettled.values()):
            if self.engine.chosen.takes(operation.resource):
                self.engine.abandon(operation)

    def keep_outputs(self) -> None:
        """After an error, that an output is not there says nothing: those of the run before stay beside the new."""
        for row in list(self.ledger.new.values()):
            if row.type == STACK_TYPE:
                self.ledger.record(replace(row, outputs=outputs_of(self.snapshot) | row.outputs))

    def finish(self) -> Result:
        self.ledger.save()
        self.result.resources = self.ledger.snapshot().resources
        self.result.outputs = self.engine.stack_outputs
        self.result.seconds = time.monotonic() - self.begun
        return self.result


@contextlib.contextmanager
def _stopping(run_: _Run) -> Iterator[None]:
    """Whatever ends the run, Ctrl-C included: nothing new begins, and the state is saved as it stands."""
    try:
        yield
    except BaseException:
        run_.engine.stopping.set()
        run_.keep_outputs()
        run_.ledger.save()
        raise


def _alone(project: Project, *, dry_run: bool) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if dry_run else lock(project.lock_file)


def up(
    project: Project,
    factories: Mapping[str, ProviderFactory],
    on_event: OnEvent,
    log: Callable[[str, str], None],
    *,
    refresh: bool = False,
    parallel: int = 16,
    inspect: Inspect | None = None,
    selection: Selection = EVERYTHING,
) -> Result:
    """Brings the stack to what the program declares."""
    with lock(project.lock_file):
        this = _Run(
            project,
            factories,
            on_event,
            dry_run=False,
            refresh=refresh,
            parallel=parallel,
            inspect=inspect,
            selection=selection,
        )
        return _deploy(this, project, log)


def preview(
    project: Project,
    factories: Mapping[str, ProviderFactory],
    on_event: OnEvent,
    log: Callable[[str, str], None],
    *,
    refresh: bool = False,
    parallel: int = 16,
    inspect: Inspect | None = None,
    selection: Selection = EVERYTHING,
) -> Result:
    """What `up` would do. Changes neither the cloud nor the state."""
    this = _Run(
        project,
        factories,
        on_event,
        dry_run=True,
        refresh=refresh,
        parallel=parallel,
        inspect=inspect,
        selection=selection,
    )
    return _deploy(this, project, log)


def _deploy(this: _Run, project: Project, log: Callable[[str, str], None]) -> Result:
    with _stopping(this):
        monitor = Monitor(this.engine, project, dry_run=this.engine.dry_run)

        def let_go() -> None:  # while the program lives: it has the hooks of deletions
            this.settle()
            undeclared = [row for row in this.ledger.old.values() if row.urn not in this.engine.passed_over]
            going = this.to_delete([*this.ledger.condemned, *undeclared])
            if this.engine.refresh:  # what the program declares was asked for as it was declared
                going = [fresh for row in going if (fresh := row if _untold(row) else this.engine.refreshed(row))]
            _refuse_protected(going, "is no longer declared by the program")
            this.delete(going)

        monitor.at_end = let_go
        run(monitor, log)
        return this.finish()


def refresh(
    project: Project,
    factories: Mapping[str, ProviderFactory],
    on_event: OnEvent,
    *,
    parallel: int = 16,
    selection: Selection = EVERYTHING,
    dry_run: bool = False,
) -> Result:
    """Brings the state to what the cloud reports; changes no cloud. With dry_run, no state either."""
    with _alone(project, dry_run=dry_run):
        this = _Run(project, factories, on_event, dry_run=dry_run, parallel=parallel, selection=selection)
        with _stopping(this):
            selection.check(this.declared_before, (*selection.targets, *selection.excludes))
            _refresh(this)
            this.engine.stack_outputs = outputs_of(this.snapshot)
            return this.finish()


def _refresh(this: _Run) -> None:
    for operation in list(this.ledger.unsettled.values()):
        if operation.kind == "creating" and this.engine.chosen.takes(operation.resource):
            this.engine.abandon(operation)

    def one(row: Resource) -> None:
        if not _untold(row):
            fresh = this.engine.refreshed(row)
            if fresh is not None and not row.delete:
                this.ledger.renew(fresh)
        this.ledger.settle(row.urn)

    rows = [row for row in (*this.ledger.old.values(), *this.ledger.condemned) if this.engine.chosen.takes(row)]
    in_parallel(rows, lambda _row: (), one, this.parallel)


def _untold(row: Resource) -> bool:
    """Whether no provider is to be asked about the row: components and providers."""
    return not row.custom or row.type.startswith(PROVIDER_PREFIX)


def destroy(
    project: Project,
    factories: Mapping[str, ProviderFactory],
    on_event: OnEvent,
    *,
    refresh: bool = False,
    parallel: int = 16,
    selection: Selection = EVERYTHING,
    dry_run: bool = False,
) -> Result:
    """Deletes every resource of the stack; refuses before the first one if some resource is protected. With dry_run,
    only tells."""
    with _alone(project, dry_run=dry_run):
        this = _Run(project, factories, on_event, dry_run=dry_run, parallel=parallel, selection=selection)
        with _stopping(this):
            refuse_hooked(this.ledger.old.values())
            if refresh:
                _refresh(this)
            _refuse_protected(this.to_delete(list(this.ledger.old.values())), "would be destroyed")
            this.settle()
            this.delete(this.to_delete([*this.ledger.condemned, *this.ledger.old.values()]))
            return this.finish()


def _refuse_protected(rows: list[Resource], why: str) -> None:
    protected = [row for row in rows if row.protect and not row.delete]
    if protected:
        names = ", ".join(f"{row.type} {row.name!r}" for row in protected[:5])
        more = f" and {len(protected) - 5} more" if len(protected) > 5 else ""
        raise LocalcloudError(
            f"Nothing was deleted: {names}{more} {why} but protected. "
            "Set protect=False and bring that up first, if it may really go."
        )


def outputs_of(snapshot: Snapshot) -> Properties:
    """The stack outputs of a state, with marks."""
    return next((row.outputs for row in snapshot.resources if row.type == "pulumi:pulumi:Stack"), {})
