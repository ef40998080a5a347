"""Evaluates a program for any cloud without one: every resource is answered with synthetic outputs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from localcloud import kubernetes, references, synthetic
from localcloud.callbacks import Callbacks, HookCall
from localcloud.errors import LocalcloudError
from localcloud.monitor import STACK_TYPE, Inspect, Monitor, Registration
from localcloud.program import run
from localcloud.project import Project
from localcloud.providers import PROVIDER_PREFIX
from localcloud.sdk import UnknownTypeError
from localcloud.values import UNKNOWN, Properties, Secret, has_secret, plain, walk


@dataclass(frozen=True)
class Planned:
    """One resource of a plan: what the program declared, and the outputs that it was answered with.

    synthetic: paths of the outputs that were made up. id: made up too, "" for components.
    """

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    provider: str
    inputs: Properties
    outputs: Properties
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    source_file: str = ""
    source_line: int = 0
    synthetic: frozenset[str] = frozenset()
    id: str = ""


@dataclass
class Evaluation:
    """A whole evaluated program: its project, resources in the order in which they were declared, stack outputs.

    looked_up: what functions answered and nobody had given them, so that it is made up.
    """

    project: Project
    resources: list[Planned] = field(default_factory=list)
    outputs: Properties = field(default_factory=dict)
    looked_up: frozenset[Any] = frozenset()


class _Evaluator:
    """A Host that knows no cloud: providers and resources alike are answered with what the SDK says they look like."""

    planning = True
    callbacks: Callbacks

    def __init__(self, project: Project, inspect: Inspect | None) -> None:
        self.stopping = threading.Event()
        self.outputs_given: dict[str, Properties] = {}
        self.resources: list[Planned] = []
        self.looked_up: set[Any] = set()
        self._project = project
        self._inspect = inspect
        self._providers: dict[str, Properties] = {}
        self._by_urn: dict[str, Planned] = {}
        self._inside: set[str] = set()  # URNs of resources that only a component's plugin would declare
        self._lock = threading.Lock()

    def register(self, registration: Registration) -> tuple[str, Properties]:
        call = HookCall(registration.urn, "", registration.name, registration.type, new_inputs=registration.inputs)
        self._run_hooks(registration, "BeforeCreate", call)
        id_, outputs = self._answer(registration, None)
        self._run_hooks(registration, "AfterCreate", replace(call, id=id_, new_outputs=outputs))
        return id_, outputs

    def _run_hooks(self, registration: Registration, when: str, call: HookCall) -> None:
        if names := registration.hooks.get(when):
            self.callbacks.run_hooks(names, when, call)

    def read(self, registration: Registration, id_: str) -> tuple[str, Properties]:
        return self._answer(registration, id_)

    def invoke(self, token: str, arguments: Properties, provider: str) -> Properties:
        if token == "pulumi:pulumi:getResource":  # noqa: S105 - a function's token
            found = self._by_urn.get(arguments["urn"])
            if found is None and arguments["urn"] in self._inside:
                return self._inside_answer(arguments["urn"])
            if found is None:
                raise LocalcloudError(f"The program asks for {arguments['urn']}, which it has not declared.")
            return {"urn": found.urn, "id": found.id, "state": found.outputs}
        if token in kubernetes.RENDERING:
            what = f"a {kubernetes.RENDERING[token]} is rendered by the provider: nothing of what is inside is planned."
            self.callbacks.log("warning", f"{token}: {what}")
        given = plain(arguments)
        result = synthetic.invoke(token, given, None, self._context(provider))
        if token not in synthetic.RENDERED:
            known = {leaf for _, leaf in walk([given, self._project.config])}
            with self._lock:
                self.looked_up |= {leaf for _, leaf in walk(result) if leaf is not UNKNOWN} - known
        return result

    def outputs(self, urn: str, outputs: Properties) -> None:
        with self._lock:
            self.outputs_given[urn] = outputs

    def _answer(self, registration: Registration, id_: str | None) -> tuple[str, Properties]:
        if not registration.custom and not registration.remote:
            return self._keep(registration, "", {}, frozenset())
        if self._inspect is not None and not registration.type.startswith(PROVIDER_PREFIX):
            registration = replace(registration, inputs=self._inspect(registration, registration.inputs))
        context = self._context(registration.provider)
        if registration.type == references.TYPE:
            context = replace(context, references=self._referred(str(registration.inputs.get("name") or id_)))
        try:
            answer = synthetic.outputs(
                registration.type, registration.name, registration.urn, registration.inputs, context, id_=id_
            )
        except UnknownTypeError as error:
            raise UnknownTypeError(f"{registration.where}: {error}") from error
        if registration.type.startswith(PROVIDER_PREFIX):
            with self._lock:
                self._providers[registration.urn] = registration.inputs
        secret = {name for name, value in registration.inputs.items() if has_secret(value)}
        secret |= set(registration.options.get("additionalSecretOutputs", ()))
        outputs = {
            name: Secret(value) if name in secret and not has_secret(value) else value
            for name, value in answer.outputs.items()
        }
        if registration.remote:
            with self._lock:
                self._inside |= {leaf for path, leaf in walk(outputs) if path.endswith("urn") and isinstance(leaf, str)}
            message = "is made by a plugin: the plan has its outputs, made up, and nothing of what is inside."
            self.callbacks.log("warning", f"{registration.where} {message}")
        return self._keep(registration, "" if registration.remote else answer.id, outputs, answer.paths)

    def _referred(self, name: str) -> dict[str, Properties]:
        """Another stack's outputs: as deployed here, else as planned, if it is a stack of this project."""
        found = references.deployed(self._project, name)
        if found is None and (found := references.planned(self._project, name)) is not None:
            with self._lock:
                self.looked_up |= {leaf for _, leaf in walk(found) if leaf is not UNKNOWN}
        return {} if found is None else {name: found}

    def _inside_answer(self, urn: str) -> Properties:
        """A resource inside of a component that a plugin makes: nobody declared it, so all of it is made up."""
        chain, name = urn.split("::")[2:]
        answer = synthetic.outputs(chain.rpartition("$")[2], name, urn, {}, self._context(""))
        with self._lock:
            self.looked_up |= {leaf for _, leaf in walk(answer.outputs) if leaf is not UNKNOWN}
        return {"urn": urn, "id": answer.id, "state": answer.outputs}

    def _keep(
        self, registration: Registration, id_: str, outputs: Properties, paths: frozenset[str]
    ) -> tuple[str, Properties]:
        declared = {name: value for name, value in vars(registration).items() if name in Planned.__match_args__}
        if registration.aliases:  # whoever compares two plans must know what was renamed
            declared["options"] = {**registration.options, "aliases": sorted(registration.aliases)}
        planned = Planned(**declared, outputs=outputs, synthetic=paths, id=id_)
        with self._lock:
            self.resources.append(planned)
            self._by_urn[planned.urn] = planned
        return id_, outputs

    def _context(self, provider: str) -> synthetic.Context:
        return synthetic.Context(
            self._project.name,
            self._project.stack,
            self._project.config,
            self._providers.get(provider.rpartition("::")[0], {}),
        )


def evaluate(
    project: Project,
    log: Callable[[str, str], None],
    inspect: Inspect | None = None,
) -> Evaluation:
    """Runs the program once. Needs no cloud, no credentials and no state.

    inspect: called with each custom resource's registration and inputs, as policies want to see them.
    """
    host = _Evaluator(project, inspect)
    run(Monitor(host, project, dry_run=False), log)
    resources = [
        Planned(**{**vars(row), "outputs": host.outputs_given[row.urn]}) if row.urn in host.outputs_given else row
        for row in host.resources
    ]
    stack = next((row.outputs for row in resources if row.type == STACK_TYPE), {})
    return Evaluation(project, resources, stack, frozenset(host.looked_up))
