"""Random programs, edits and failures against a simple model of what must be there.

The program is a list of things instead of Python text: its registrations are made here, in as many threads as the
SDK would wait in, so that hundreds of runs take seconds. All else is the engine as it is: state file, steps, deletions.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from localcloud import operations
from localcloud.errors import LocalcloudError
from localcloud.monitor import STACK_TYPE, Monitor, Registration
from localcloud.state import Resource, Snapshot, StateFile
from localcloud.targets import EVERYTHING, Selection
from localcloud.values import UNKNOWN, Properties
from tests.localcloud.clouds import World

NAMES = "abcde"
TYPE = "test:index:Thing"
STACK = f"urn:pulumi:dev::demo::{STACK_TYPE}::demo-dev"
EXAMPLES = int(os.environ.get("ENGINE_MODEL_EXAMPLES", "60"))


class InjectedError(Exception):
    """A provider's call that the scenario lets fail."""


@dataclass(frozen=True)
class Thing:
    """One resource. value changes in place, fixed replaces; *_of is another thing whose ARN is used instead."""

    name: str
    value: int = 0
    fixed: int = 0
    value_of: str = ""
    fixed_of: str = ""
    after: str = ""
    within: str = ""
    renamed: bool = False
    first: bool = False
    delete_first: bool | None = None
    ignore: bool = False
    replace_on_value: bool = False
    protect: bool = False
    retain: bool = False

    def __repr__(self) -> str:
        given = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) != one.default}
        return f"Thing({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({self.value_of, self.fixed_of, self.after, self.within} - {""})

    @property
    def urn(self) -> str:
        return urn(self.name + ("2" if self.renamed else ""))

    def inputs(self, arns: dict[str, Any]) -> Properties:
        given: Properties = {
            "value": arns[self.value_of] if self.value_of else self.value,
            "fixed": arns[self.fixed_of] if self.fixed_of else self.fixed,
        }
        return given | ({"first": True} if self.first else {})

    def registration(self, arns: dict[str, Any], urns: dict[str, str]) -> Registration:
        options: dict[str, Any] = {
            "protect": self.protect,
            "retainOnDelete": self.retain,
            "ignoreChanges": ["value"] if self.ignore else [],
            "replaceOnChanges": ["value"] if self.replace_on_value else [],
            "deletedWith": urns.get(self.within, ""),
        }
        options = {name: value for name, value in options.items() if value}
        if self.delete_first is not None:
            options["deleteBeforeReplace"] = self.delete_first
        uses = {"value": self.value_of, "fixed": self.fixed_of}
        return Registration(
            urn=self.urn,
            type=TYPE,
            name=self.urn.rsplit("::", 1)[1],
            parent=STACK,
            custom=True,
            provider="",
            inputs=self.inputs(arns),
            dependencies=tuple(sorted(urns[name] for name in self.needs - {self.within})),
            property_dependencies={name: (urns[used],) for name, used in uses.items() if used},
            options=options,
            aliases=(urn(self.name if self.renamed else self.name + "2"),),
        )


def urn(name: str) -> str:
    return f"urn:pulumi:dev::demo::{TYPE}::{name}"


Program = tuple[Thing, ...]


@dataclass(frozen=True)
class Command:
    """up, preview, refresh or destroy; failing: calls, as `create a`, that fail before or after their effect."""

    kind: str
    program: Program
    failing: dict[str, bool] = field(default_factory=dict)
    parallel: int = 1
    vanished: str = ""
    target: str = ""


RARE = st.integers(0, 7).map(lambda number: number == 7)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    names = draw(st.permutations(NAMES))[: draw(st.integers(0, len(NAMES)))]
    things: list[Thing] = []
    for name in names:
        earlier = st.sampled_from(["", "", *(thing.name for thing in things)])
        owners = st.sampled_from(["", "", "", *(thing.name for thing in things if not thing.retain)])
        bits = st.integers(0, 1)
        thing = Thing(
            name,
            value=draw(bits),
            fixed=draw(bits),
            value_of=draw(earlier),
            fixed_of=draw(earlier),
            after=draw(earlier),
            within=draw(owners),
            renamed=draw(RARE),
            first=draw(RARE),
            delete_first=draw(st.sampled_from([None, None, True, False])),
            ignore=draw(RARE),
            replace_on_value=draw(RARE),
            protect=draw(RARE),
            retain=draw(RARE),
        )
        things.append(thing)
    return tuple(things)


@st.composite
def commands(draw: st.DrawFn) -> list[Command]:
    found = []
    for _ in range(draw(st.integers(2, 5))):
        verbs = st.sampled_from(["create", "update", "delete", "read"])
        calls = st.builds("{} {}".format, verbs, st.sampled_from([*NAMES, *(f"{name}2" for name in NAMES)]))
        found.append(
            Command(
                draw(st.sampled_from(["up", "up", "up", "up", "preview", "refresh", "destroy"])),
                draw(programs()),
                draw(st.dictionaries(calls, st.booleans(), max_size=3)),
                draw(st.sampled_from([1, 4])),
                draw(st.sampled_from(["", "", "", *NAMES])),
                draw(st.sampled_from(["", "", "", *NAMES])),
            )
        )
    return found


def declare(program: Program, monitor: Monitor) -> None:
    """Runs a program: what does not wait for another thing's outputs registers at once."""
    host = monitor.host
    host.register(Registration(STACK, STACK_TYPE, "demo-dev", "", custom=False, provider="", inputs={}))
    urns = {thing.name: thing.urn for thing in program}
    done: dict[str, Future[Any]] = {}

    def register(thing: Thing) -> Any:
        arns = {name: done[name].result() for name in thing.needs}
        if host.stopping.is_set():
            raise AssertionError("not begun")
        try:
            return host.register(thing.registration(arns, urns))[1].get("arn", UNKNOWN)
        except BaseException as error:
            monitor.error = monitor.error or error
            host.stopping.set()
            raise

    with ThreadPoolExecutor(len(NAMES)) as pool:
        for thing in program:
            done[thing.name] = pool.submit(register, thing)
        wait(done.values())
    if monitor.error is not None:
        raise monitor.error
    monitor.at_end()


class Model:
    """A world and what must hold in it after each command."""

    def __init__(self, root: Path) -> None:
        self.world = World(root)
        self.cloud = self.world.cloud
        self.project = self.world.project()
        self.clean = True  # the state and the cloud are known to agree with the last program
        self.let_go: set[str] = set()  # ids that options left in the cloud

    def state(self) -> Snapshot:
        return StateFile(self.project.state_file).load()

    def things(self, snapshot: Snapshot) -> list[Resource]:
        return [row for row in snapshot.resources if row.type == TYPE]

    @contextmanager
    def failing(self, calls: dict[str, bool]) -> Iterator[None]:
        left = dict(calls)
        provider = type(self.world.factories()["test"]({}))

        def wrapped(verb: str, method: Callable[..., Any]) -> Callable[..., Any]:
            def call(this: Any, token: str, what: str, *rest: Any) -> Any:
                name = what.rsplit("::", 1)[1] if verb == "create" else what.rsplit("-", 1)[0]
                after = left.pop(f"{verb} {name}", None)
                if after is False:
                    raise InjectedError(f"{verb} {name} before")
                result = method(this, token, what, *rest)
                if after is True:
                    raise InjectedError(f"{verb} {name} after")
                return result

            return call

        with ExitStack() as patches:
            for verb in ("create", "read", "update", "delete"):
                patches.enter_context(mock.patch.object(provider, verb, wrapped(verb, getattr(provider, verb))))
            yield

    def run(self, command: Command) -> None:
        before = self.state()
        cloud_before = {id_: dict(row["inputs"]) for id_, row in self.cloud.resources.items()}
        vanished = [row for row in self.things(before) if row.name == command.vanished and command.kind == "up"]
        for row in vanished:
            self.cloud.resources.pop(row.id, None)
        target = command.target if command.kind == "up" and not vanished else ""
        selection = Selection(targets=(f"**::{target}", f"**::{target}2")) if target else EVERYTHING
        error: BaseException | None = None
        try:
            with self.failing(command.failing):
                self.do(command, selection, refresh=bool(vanished))
        except (InjectedError, LocalcloudError) as raised:
            error = raised
        after = self.state()
        self.check_nothing_is_lost(before, after, command)
        self.check_protected(before, command, cloud_before)
        if vanished and error is not None:
            operations.refresh(self.project, self.world.factories(), self.world.note)
        if isinstance(error, LocalcloudError):
            self.check_reason(error, before, command, target)
        if command.kind == "preview":
            assert self.cloud.calls == [call for call in self.cloud.calls if call[0] == "read"]
        if target:
            others = {row.id for row in self.things(before) if row.name.rstrip("2") != target and not row.delete}
            for id_ in others & cloud_before.keys():
                assert error or self.cloud.resources[id_]["inputs"] == cloud_before[id_]
        if command.kind == "up" and error is None and not target:
            self.check_as_declared(command.program, before, after, kept=self.clean and not vanished)
        self.clean = error is None and not target and (self.clean or command.kind in ("up", "destroy"))

    def do(self, command: Command, selection: Selection, *, refresh: bool) -> None:
        self.cloud.calls.clear()
        factories, note = self.world.factories(), self.world.note
        if command.kind == "refresh":
            operations.refresh(self.project, factories, note, parallel=command.parallel)
        elif command.kind == "destroy":
            operations.destroy(self.project, factories, note, parallel=command.parallel)
        else:
            run = operations.up if command.kind == "up" else operations.preview
            with mock.patch.object(operations, "run", lambda monitor, _log: declare(command.program, monitor)):
                run(
                    self.project,
                    factories,
                    note,
                    self.world.log,
                    refresh=refresh,
                    parallel=command.parallel,
                    selection=selection,
                )

    def check_nothing_is_lost(self, before: Snapshot, after: Snapshot, command: Command) -> None:
        """What lives in the cloud stands in the state, or an option says that it is to be left."""
        known = {row.id for row in self.things(after)}
        half_made = {operation.resource.urn for operation in after.operations if operation.kind == "creating"}
        rows = [*self.things(before), *self.things(after), *(operation.resource for operation in before.operations)]
        retained = {row.id for row in rows if row.retain_on_delete}
        retained_urns = {row.urn for row in rows if row.retain_on_delete}
        retained_urns |= {thing.urn for thing in command.program if thing.retain}
        lost = {id_ for id_ in self.cloud.resources if id_ not in known | self.let_go}
        lost -= {id_ for id_ in lost if self.cloud.resources[id_]["urn"] in half_made}
        while along := {row.id for row in rows if row.id in lost and self.is_gone(row.deleted_with, rows)}:
            for id_ in along:  # the cloud deletes it with its owner
                del self.cloud.resources[id_]
            lost -= along
        for id_ in lost:
            assert id_ in retained or self.cloud.resources[id_]["urn"] in retained_urns, f"{id_} is an orphan"
        self.let_go |= lost
        urns = [row.urn for row in self.things(after) if not row.delete]
        assert len(urns) == len(set(urns)), "a URN stands twice in the state"
        check_order(after)

    def is_gone(self, owner: str, rows: list[Resource]) -> bool:
        return any(row.urn == owner and row.id and row.id not in self.cloud.resources for row in rows)

    def check_protected(self, before: Snapshot, command: Command, living: dict[str, Properties]) -> None:
        declared = {thing.name: thing for thing in command.program}
        for row in self.things(before):
            thing = declared.get(row.name.rstrip("2"))
            still = command.kind != "up" or thing is None or thing.protect
            if row.protect and still and not row.delete and row.id in living and row.name != command.vanished:
                assert row.id in self.cloud.resources, f"{row.id} was protected"

    def check_reason(self, error: LocalcloudError, before: Snapshot, command: Command, target: str) -> None:
        text = str(error)
        if "protected" in text:
            assert any(row.protect for row in self.things(before))
        else:
            assert target, text
            assert "target" in text

    def check_as_declared(self, program: Program, before: Snapshot, after: Snapshot, *, kept: bool) -> None:
        """Each thing is there once, as declared; where the last run ended well, the same one unless it had to go."""
        old = {row.name.rstrip("2"): row for row in self.things(before) if not row.delete}
        new = {row.name.rstrip("2"): row for row in self.things(after)}
        assert {row.urn for row in self.things(after)} == {thing.urn for thing in program}
        assert not after.operations
        arns = {name: f"arn:{row.id}" for name, row in new.items()}
        assert {row.id for row in new.values()} | self.let_go >= self.cloud.resources.keys()
        replaced: set[str] = set()
        for thing in program:
            row, was = new[thing.name], old.get(thing.name)
            live, wanted = self.cloud.resources[row.id]["inputs"], thing.inputs(arns) | {"default": "yes"}
            if thing.ignore and was is not None:
                wanted["value"] = was.inputs.get("value", wanted["value"])
            if kept or not thing.ignore:
                assert live == wanted
            assert row.inputs == live
            assert row.outputs == live | {"arn": f"arn:{row.id}"}
            if not kept or was is None:
                continue
            must = was.inputs["fixed"] != wanted["fixed"] or thing.within in replaced
            must = must or (thing.replace_on_value and was.inputs["value"] != wanted["value"])
            along = {name.rstrip("2") for name in map(_name, (was.deleted_with, *_used(was))) if name}
            if row.id != was.id:
                replaced.add(thing.name)
                assert must or along & replaced, f"{row.id} was replaced for nothing"
            else:
                assert not must, f"{row.id} was not replaced"


def check_order(snapshot: Snapshot) -> None:
    """Each row stands behind all that it needs, also after a run that failed: a state that the CLI takes."""
    seen: set[str] = set()
    for row in snapshot.resources:
        assert row.needs <= seen, f"{row.urn} stands before what it needs: {row.needs - seen}"
        seen.add(row.urn)


def _name(urn_: str) -> str:
    return urn_.rsplit("::", 1)[-1]


def _used(row: Resource) -> list[str]:
    return [urn_ for urns in row.property_dependencies.values() for urn_ in urns]


@pytest.fixture(autouse=True)
def passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="ENGINE_MODEL_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(commands(), programs())
def test_random_programs_edits_and_failures_end_as_a_simple_model_says(steps: list[Command], last: Program) -> None:
    with tempfile.TemporaryDirectory() as root, mock.patch("os.fsync"):
        note(f"steps = {steps}\nlast = {last}")
        model = Model(Path(root))
        for step in steps:
            model.run(step)
        kept = {row.name.rstrip("2") for row in model.things(model.state()) if row.protect}
        unprotected = tuple(Thing(name) for name in sorted(kept))  # what is protected has to be let go of first
        model.run(Command("up", unprotected))
        model.run(Command("up", last))
        if any(row.protect for row in model.things(model.state())):
            return
        model.run(Command("up", last))
        assert model.cloud.calls == []
        model.run(Command("destroy", ()))
        assert set(model.cloud.resources) <= model.let_go
        assert model.state().resources == []
