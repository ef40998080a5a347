"""The engine: turns what a program declares into steps (same, create, update, replace, delete) and takes them.

Semantics are those of the Pulumi CLI's engine; what differs is said in README. Each step is written to the state
before and after it happens, so that a killed run loses nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from localcloud.attempts import attempted
from localcloud.callbacks import Callbacks
from localcloud.cascade import Cascade
from localcloud.errors import LocalcloudError
from localcloud.events import Event
from localcloud.ledger import Ledger
from localcloud.monitor import STACK_TYPE, Inspect, Registration
from localcloud.project import Project
from localcloud.providers import PROVIDER_PREFIX, Provider, ProviderFactory, Providers
from localcloud.rows import declared, drifted, outputs_of
from localcloud.state import Operation, Resource, touched
from localcloud.targets import EVERYTHING, Chosen, Selection, refuse_missing
from localcloud.values import Properties, has_unknown, plain
from localcloud.verdict import adopt, completed, refuse_replacement, verdict


class StoppedError(LocalcloudError):
    """The run was told to stop, by an error elsewhere or by Ctrl-C, before this step began."""


class Engine:
    """A Host that compares what a program declares with the state and takes, or only tells, the steps between."""

    planning = False

    def __init__(
        self,
        ledger: Ledger,
        factories: Mapping[str, ProviderFactory],
        project: Project,
        on_event: Callable[[Event], None],
        *,
        dry_run: bool,
        refresh: bool,
        parallel: int = 16,
        inspect: Inspect | None = None,
        selection: Selection = EVERYTHING,
    ) -> None:
        self.ledger = ledger
        self.dry_run = dry_run
        self.refresh = refresh
        self.stopping = threading.Event()
        self.callbacks = Callbacks(project, dry_run)
        self.stack_outputs: Properties = {}
        self._on_event = on_event
        self._root = project.root
        self._inspect = inspect
        self._slots = threading.Semaphore(parallel)
        self._providers = Providers(ledger, factories, project)
        self.chosen = Chosen(selection)
        self.passed_over: set[str] = set()  # what is no target and stays as it is
        self.skipped: set[str] = set()  # what is no target and does not exist
        self._cascade = Cascade(ledger, self._providers, self.chosen)
        self._lock = threading.RLock()

    # Host

    def register(self, registration: Registration) -> tuple[str, Properties]:
        if registration.type.startswith(PROVIDER_PREFIX):
            return self._register_provider(registration)
        if not registration.custom:
            return self._register_component(registration)
        with self._slots:
            if self.stopping.is_set():
                raise StoppedError(f"{registration.where} was not begun.")
            return self._register_custom(registration)

    def read(self, registration: Registration, id_: str) -> tuple[str, Properties]:
        provider, reference = self._providers.serving(registration)
        found = provider.read(registration.type, id_, plain(registration.inputs))
        if found is None:
            raise LocalcloudError(f"{registration.where} asks for {id_!r}, which does not exist.")
        resource = replace(self._resource(registration, found[0], reference), id=id_, outputs=found[1], external=True)
        old = self.ledger.claim((registration.urn,), registration.urn)
        self._tell("noted", "read", resource, old=old)
        if old is None or old.external or old.id == id_:  # with the id it had it is let go of, not deleted
            self.ledger.record(resource)
            return id_, found[1]
        if old.protect:
            raise LocalcloudError(
                f"{registration.where} is to be read as {id_!r}, but was made as {old.id!r}, which is protected. "
                "Set protect=False and bring that up first."
            )
        self.ledger.end(self.ledger.begin("reading", resource), done=resource, condemned=old)
        return id_, found[1]

    def invoke(self, token: str, arguments: Properties, provider: str) -> Properties:
        if token == "pulumi:pulumi:getResource":  # noqa: S105 - a function's token
            found = self.ledger.find(arguments["urn"])
            if found is None:
                raise LocalcloudError(f"The program asks for {arguments['urn']}, which it has not declared.")
            return {"urn": found.urn, "id": found.id, "state": found.outputs}
        package = token.split(":", 1)[0]
        reference = provider or self._providers.default(package)
        return self._providers.get(reference).invoke(token, plain(arguments))

    def outputs(self, urn: str, outputs: Properties) -> None:
        if urn in self.passed_over or urn in self.skipped:
            return
        found = self.ledger.find(urn)
        if found is None:
            raise LocalcloudError(f"Outputs were given for {urn}, which is not declared.")
        if found.type == STACK_TYPE:
            self.stack_outputs = outputs
        if self.dry_run and has_unknown(outputs):
            return
        self.ledger.record(replace(found, outputs=outputs))

    # Providers and components

    def _register_provider(self, registration: Registration) -> tuple[str, Properties]:
        id_ = str(uuid.uuid5(uuid.NAMESPACE_URL, registration.urn))
        self._providers.configure(f"{registration.urn}::{id_}", registration.inputs)
        old = self.ledger.claim((registration.urn, *registration.aliases), registration.urn)
        resource = replace(self._resource(registration, registration.inputs, ""), id=id_, outputs=registration.inputs)
        self._keep(resource, old)
        return id_, registration.inputs

    def _register_component(self, registration: Registration) -> tuple[str, Properties]:
        old = self.ledger.claim((registration.urn, *registration.aliases), registration.urn)
        resource = self._resource(registration, registration.inputs, "")
        if registration.type != STACK_TYPE and not self.chosen.takes(resource):
            return self._pass_over(registration, old)
        refuse_missing(resource, registration.where, self.skipped, self.passed_over, self.ledger.old.values())
        self._keep(replace(resource, outputs=old.outputs if old else {}), old)
        return "", {}

    # What is no target

    def _pass_over(self, registration: Registration, old: Resource | None) -> tuple[str, Properties]:
        if old is None:
            self.skipped.add(registration.urn)
            return "", plain(registration.inputs) if registration.custom else {}
        self.passed_over.add(registration.urn)
        self._tell("done" if old.custom else "noted", "same", old, old=old)
        return old.id, old.outputs

    def _keep(self, resource: Resource, old: Resource | None) -> None:
        changed = old is not None and old.inputs != resource.inputs
        self._tell("noted", "update" if changed else "same" if old else "create", resource, old=old)
        self.ledger.keep(resource, old)

    # Steps of custom resources

    def _register_custom(self, registration: Registration) -> tuple[str, Properties]:
        provider, reference = self._providers.serving(registration)
        self._cascade.begin(urn := registration.urn)
        if self.stopping.is_set():
            raise StoppedError(f"{registration.where} was not begun.")
        old = self.ledger.claim((urn, *registration.aliases), urn)
        as_declared = self._resource(registration, registration.inputs, reference)
        if not self.chosen.takes(as_declared):
            return self._pass_over(registration, old)
        refuse_missing(as_declared, registration.where, self.skipped, self.passed_over, self.ledger.old.values())
        half_made = self.ledger.half_made(urn)
        if old is not None and old.external:
            old = None  # read so far: it is not ours to change, and what takes its place is made or imported
        if old is not None and (self.refresh or urn in self.ledger.unsettled):
            old = self.refreshed(old)
        checked = completed(provider, registration, old, self._inspect)
        resource = self._resource(registration, checked, reference)
        if old is None:
            return self._create(provider, registration, resource, half_made)
        changed, replaces, first = verdict(
            provider,
            registration,
            old,
            checked,
            asked_for=self.chosen.replaces(urn),
            replaced=self._cascade.replaced,
        )
        if replaces:
            fresh = replace(resource, id="", created="", modified="")
            return self._replace(
                provider,
                registration,
                fresh,
                old,
                changed,
                replaces=replaces,
                half_made=half_made,
                delete_first=first,
            )
        resource = replace(resource, id=old.id, created=old.created, modified=old.modified)
        if half_made:  # a replacement that is no longer wanted
            self.abandon(half_made)
        if changed:
            return self._update(provider, resource, old, changed)
        outputs = outputs_of(resource, plain(old.outputs) | checked)
        self.ledger.record(replace(resource, outputs=outputs))
        self._tell("done", "same", resource)
        return old.id, outputs

    def _create(
        self,
        provider: Provider,
        registration: Registration,
        resource: Resource,
        half_made: Operation | None,
        *,
        condemned: Resource | None = None,
        changed: tuple[str, ...] = (),
        replaces: tuple[str, ...] = (),
    ) -> tuple[str, Properties]:
        step = "replace" if condemned is not None or registration.urn in self._cascade.replaced else "create"
        inputs = plain(resource.inputs)
        if self.dry_run:
            self._tell("done", step, resource, changed, old=condemned, replaces=replaces)
            outputs = outputs_of(resource, inputs)
            self.ledger.record(replace(resource, id="", outputs=outputs))
            return "", outputs
        adopt = registration.options.get("importID") or ""
        with self._step(step, resource, "importing" if adopt else "creating", changed, old=condemned) as key:
            if not adopt and half_made is not None:
                adopt = self._fitting(provider, half_made.resource, resource)
                if not adopt:
                    self.ledger.settle(registration.urn)
            if adopt:
                id_ = self._adopted(provider, resource, adopt, registration)
            else:
                id_ = self._made(provider, registration, resource)
            done = self._read_back(provider, replace(resource, id=id_), new=True)
            self.ledger.end(key, done=done, condemned=condemned)
        return done.id, done.outputs

    def _made(self, provider: Provider, registration: Registration, resource: Resource) -> str:
        """Creates a resource; returns its id. A further try first looks for what the one before left."""
        tries = itertools.count()

        def make() -> str:
            left = self._fitting(provider, resource, resource) if next(tries) else ""
            if left:
                return self._adopted(provider, resource, left, registration)
            return provider.create(resource.type, resource.urn, plain(resource.inputs))

        return attempted(self, "create", resource, make)

    def _fitting(self, provider: Provider, half_made: Resource, resource: Resource) -> str:
        """The id of what an earlier run left half made; one that cannot become what is declared now is deleted."""
        id_ = self._found(provider, half_made)
        live = provider.read(resource.type, id_, plain(half_made.inputs)) if id_ else None
        if live is None or not provider.diff(resource.type, live[0], plain(resource.inputs)).replaces:
            return id_ if live else ""
        self.delete(replace(half_made, id=id_, delete=True))
        return ""

    def _adopted(self, provider: Provider, resource: Resource, id_: str, registration: Registration) -> str:
        """Brings a resource that exists already to the declared inputs; returns its id."""
        change = adopt(provider, resource, id_, registration.where)
        self._tell("adopt", "create", replace(resource, id=id_), change.changed)
        return id_

    def _update(
        self, provider: Provider, resource: Resource, old: Resource, changed: tuple[str, ...]
    ) -> tuple[str, Properties]:
        inputs = plain(resource.inputs)
        if self.dry_run:
            self._tell("done", "update", resource, changed, old=old)
            outputs = outputs_of(resource, plain(old.outputs) | inputs)
            self.ledger.record(replace(resource, outputs=outputs))
            return resource.id, outputs
        with self._step("update", resource, "updating", changed, old=old) as key:
            update = (resource.type, resource.id, plain(old.inputs), inputs)
            attempted(self, "update", resource, lambda: provider.update(*update), old)
            done = self._read_back(provider, resource, new=False)
            self.ledger.end(key, done=done)
        return done.id, done.outputs

    def _replace(
        self,
        provider: Provider,
        registration: Registration,
        resource: Resource,
        old: Resource,
        changed: tuple[str, ...],
        *,
        replaces: tuple[str, ...],
        half_made: Operation | None,
        delete_first: bool,
    ) -> tuple[str, Properties]:
        refuse_replacement(registration, old, resource, changed or replaces)
        self._cascade.replaced.add(registration.urn)
        if self.dry_run or resource.import_id or not delete_first:
            return self._create(
                provider, registration, resource, half_made, condemned=old, changed=changed, replaces=replaces
            )
        if half_made is not None:
            self.abandon(half_made)
        with self._cascade.deleting(old, registration.where) as rows:
            urns = {row.urn for row in rows if not row.retain_on_delete}
            for row in rows:
                self.delete(row, gone_with=row.deleted_with in urns)
        return self._create(provider, registration, resource, None, changed=changed)

    def delete(self, row: Resource, *, gone_with: bool = False) -> None:
        """Deletes one resource of the state, or only forgets it where its options say so or, with `gone_with`, since
        what it is `deleted_with` is (being) deleted."""
        if self.stopping.is_set():
            raise StoppedError(f"{row.urn} was not deleted.")
        silent = not row.custom or row.external or row.type.startswith(PROVIDER_PREFIX)
        if silent or self.dry_run or row.retain_on_delete or gone_with:
            self.ledger.drop(row)
            message = "retained" if row.retain_on_delete else "with what it is deleted with" if gone_with else ""
            self._tell("noted" if silent else "done", "delete", row, old=row, message=message)
            return
        provider = self._providers.get(row.provider)
        with self._step("delete", row, "deleting") as key:
            attempted(self, "delete", row, lambda: provider.delete(row.type, row.id, plain(row.inputs)))
            self.ledger.drop(row)
            self.ledger.end(key)

    def abandon(self, operation: Operation) -> None:
        """Settles an operation of an earlier run whose resource the program does not declare (any more), or not so."""
        row = operation.resource
        if operation.kind == "creating" and not self.dry_run:
            found = self._found(self._providers.get(row.provider), row)
            if found:
                self.delete(replace(row, id=found, delete=True))
        self.ledger.settle(row.urn)

    def _found(self, provider: Provider, row: Resource) -> str:
        return provider.find(row.type, row.urn, plain(row.inputs), self.ledger.known_ids(row.type)) or ""

    def refreshed(self, old: Resource) -> Resource | None:
        """The resource as the cloud has it now; None, told as `gone`, if it is no more."""
        provider = self._providers.get(old.provider)
        live = provider.read(old.type, old.id, plain(old.inputs))
        if live is None:
            self._tell("gone", "read", old, old=old)
            self.ledger.drop(old)
            return None
        fresh, changed = drifted(old, *live)
        if changed:
            self._tell("drift", "read", fresh, changed, old=old)
        return fresh

    def _read_back(self, provider: Provider, resource: Resource, *, new: bool) -> Resource:
        live = provider.read(resource.type, resource.id, plain(resource.inputs))
        if live is None:
            raise LocalcloudError(f"{resource.urn} was made as {resource.id!r}, but the cloud does not know it.")
        return touched(replace(resource, outputs=outputs_of(resource, live[1])), new=new)

    def _resource(self, registration: Registration, inputs: Properties, provider: str) -> Resource:
        return declared(registration, inputs, provider, self._root)

    @contextlib.contextmanager
    def _step(
        self, step: str, row: Resource, kind: str, changed: tuple[str, ...] = (), old: Resource | None = None
    ) -> Iterator[int]:
        """One step: told, written down before, left open in the state if it fails half-way."""
        self.callbacks.hooked("Before", step, row, old)
        key = self.ledger.begin(kind, row)
        self._tell("start", step, row, changed, old=old)
        begun = time.monotonic()
        try:
            yield key
        except BaseException as error:
            if getattr(error, "nothing_happened", False):
                self.ledger.end(key)
            else:
                self.ledger.leave_open(key)
            said = self.callbacks.project.masked(str(error))
            self._tell("failed", step, row, changed, message=said, seconds=time.monotonic() - begun)
            raise
        self._tell("done", step, row, changed, old=old, seconds=time.monotonic() - begun)
        self.callbacks.hooked("After", step, row if step == "delete" else self.ledger.find(row.urn) or row, old)

    def _tell(
        self,
        kind: str,
        step: str,
        row: Resource,
        changed: tuple[str, ...] = (),
        *,
        old: Resource | None = None,
        replaces: tuple[str, ...] = (),
        seconds: float = 0.0,
        message: str = "",
    ) -> None:
        if kind == "noted" or (kind == "done" and self.dry_run):  # no step surrounds these
            self.callbacks.hooked("Before", step, row, old)
            self.callbacks.hooked("After", step, row, old)
        with self._lock:
            self._on_event(Event(kind, step, row.urn, row.type, changed, replaces, old, row, seconds, message))
