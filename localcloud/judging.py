"""Policy packs over a run: each resource before its step, the whole stack at the end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from localcloud.errors import LocalcloudError
from localcloud.monitor import Registration
from localcloud.packs import Analyzed, PolicyPack, Violation
from localcloud.project import Project
from localcloud.values import Properties


class PolicyViolationError(LocalcloudError):
    """A mandatory policy was violated; the text tells how many and that the violations are above."""


class Judge:
    """The packs of a run, started with `with`. Violations go to `report` as they are found, and stay in `violations`.

    packs: the directory of each, and its configuration as `PolicyPack` takes it.
    stop_at_once: a mandatory violation raises before the resource's step, as an update needs; otherwise `finish` does.
    """

    def __init__(
        self,
        packs: Sequence[tuple[Path, Mapping[str, Any]]],
        project: Project,
        report: Callable[[Violation], None],
        *,
        dry_run: bool,
        stop_at_once: bool,
    ) -> None:
        self.violations: list[Violation] = []
        self._report = report
        self._stop_at_once = stop_at_once
        self._stack = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._inputs: dict[str, Analyzed] = {}
        self._packs = [
            PolicyPack(
                directory,
                project=project.name,
                stack=project.stack,
                config=config,
                dry_run=dry_run,
                stack_config=project.config,
                secret_keys=project.secret_keys,
            )
            for directory, config in packs
        ]

    def __enter__(self) -> Judge:
        with contextlib.ExitStack() as opened:
            for pack in self._packs:
                opened.enter_context(pack)
            self._stack = opened.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def inspect(self, registration: Registration, inputs: Properties) -> Properties:
        """Asks every pack about one resource's inputs; returns them as remediating policies want them."""
        with self._lock:
            provider = self._inputs.get(registration.provider.rpartition("::")[0])
        subject = Analyzed(
            urn=registration.urn,
            type=registration.type,
            name=registration.name,
            properties=inputs,
            options={**registration.options, "aliases": list(registration.aliases)},
            provider=provider,
            parent=registration.parent,
            dependencies=registration.dependencies,
            property_dependencies=registration.property_dependencies,
        )
        found: list[Violation] = []
        for pack in self._packs:
            subject, told = pack.remediate(subject)
            found += told
        for pack in self._packs:
            found += pack.analyze(subject)
        with self._lock:
            self._inputs[registration.urn] = subject
        self._note(found)
        if self._stop_at_once:
            self._refuse(found)
        return subject.properties

    def finish(self, outputs: dict[str, Properties]) -> None:
        """Asks every pack about the whole stack, outputs by URN; raises if anything mandatory was violated."""
        subjects = [
            Analyzed(**{**vars(subject), "properties": outputs.get(urn, subject.properties)})
            for urn, subject in self._inputs.items()
        ]
        for pack in self._packs:
            self._note(pack.analyze_stack(subjects))
        self._refuse(self.violations)

    def _note(self, found: Sequence[Violation]) -> None:
        with self._lock:
            self.violations.extend(found)
            for violation in found:
                self._report(violation)

    def _refuse(self, violations: Sequence[Violation]) -> None:
        mandatory = [violation for violation in violations if violation.level == "mandatory"]
        if mandatory:
            count = (
                "1 mandatory policy violation"
                if len(mandatory) == 1
                else f"{len(mandatory)} mandatory policy violations"
            )
            raise PolicyViolationError(
                f"Stopped by {count}: "
                + "; ".join(f"{one.policy}: {' '.join(one.message.split())}" for one in mandatory[:3])
            )
