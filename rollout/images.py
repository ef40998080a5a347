"""Brings an image, by its digest, from where it was built to the registries of an environment.

A registry is a part of the stack, and what the stack runs must be in it before the rest can come up: on a first
deployment the registries come first, with what they need. AWS and GCP are copied to; Azure's registry has no address
that a runner reaches, and fetches the image itself. What the clouds answer was not seen on an account.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollout import clouds
from rollout.engine import Engine
from rollout.errors import RolloutError
from rollout.plans import Plan

REGISTRIES = (
    "aws:ecr/repository:Repository",
    "gcp:artifactregistry/repository:Repository",
    "azure-native:containerregistry:Registry",
)
REPOSITORY = re.compile(r"[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+")
SECONDS = 900  # that copying one image may take


def _aws(host: str) -> tuple[str, str]:
    return clouds.ecr_login(region=host.split(".")[3])


def _gcp(_host: str) -> tuple[str, str]:
    return "oauth2accesstoken", clouds.token("gcp")


def _github(_host: str) -> tuple[str, str]:
    return os.environ.get("GITHUB_ACTOR", "x"), os.environ.get("GITHUB_TOKEN", "")


# host of a registry → who logs in there, and with what
LOGINS: tuple[tuple[re.Pattern[str], Callable[[str], tuple[str, str]]], ...] = (
    (re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com"), _aws),
    (re.compile(r"[a-z0-9-]+-docker\.pkg\.dev"), _gcp),
    (re.compile(r"ghcr\.io"), _github),
)
AZURE = re.compile(r"[a-z0-9]+\.azurecr\.io")


@dataclass(frozen=True)
class Images:
    """source: where the image was pushed, as in `ghcr.io/OWNER/NAME`, without a digest."""

    source: str

    def bring(
        self,
        plan: Plan,
        release: str,
        up: Callable[[Sequence[str]], None],
        engine: Engine,
    ) -> str:
        """Makes the registries that the plan declares and the outputs do not name yet, and copies the image to all.

        :param up: brings up some URNs of the stack
        :param engine: knows the stack's outputs (`CLOUD.registry` is the image's repository on a cloud) and its state
        :raises RolloutError: a copy fails, or what arrived is not what was sent
        """
        if not REPOSITORY.fullmatch(self.source):
            raise RolloutError(f"{self.source!a} is no repository of images: give HOST/OWNER/NAME, without a digest.")
        wanted = [row["urn"] for row in plan["resources"] if row["type"] in REGISTRIES]
        if not wanted:
            return "the stack has no registry"
        found = targets_of(engine.outputs()) if engine.state() else []
        if len(found) < len(wanted):
            up(closure(plan, wanted))
            found = targets_of(engine.outputs())
        if len(found) < len(wanted):
            raise RolloutError(
                f"{len(wanted)} registries are declared, and the stack's outputs name {len(found)} (CLOUD.registry)."
            )
        with tempfile.TemporaryDirectory(prefix="rollout-docker-") as directory:
            done = [self._copied(target, release, Path(directory), engine) for target in found]
        return ", ".join(done)

    def _copied(self, target: str, release: str, directory: Path, engine: Engine) -> str:
        """One copy. The tag keeps the image from being cleaned away as nameless; nothing is run by it."""
        host = target.partition("/")[0]
        source, tag = f"{self.source}@{release}", f"release-{release.removeprefix('sha256:')[:12]}"
        if AZURE.fullmatch(host):
            name = host.partition(".")[0]
            ids = [row["id"] for row in engine.resources() if row.get("type") == REGISTRIES[2] and row.get("id")]
            own = next((id_ for id_ in ids if id_.rsplit("/", 1)[-1].lower() == name), None)
            if own is None:
                raise RolloutError(f"The state has no registry {name} of Azure.")
            clouds.import_image(own, source, f"{target.partition('/')[2]}:{tag}", _github(host))
            return f"{host} fetched it"
        for one in (source.partition("/")[0], host):
            login(one, directory)
        if _digest(f"{target}@{release}", directory) == release:
            return f"{host} had it"
        # A copy of the very bytes: wrapped into an index, an image would have another digest.
        words = ["buildx", "imagetools", "create", "--prefer-index=false", "--tag", f"{target}:{tag}", source]
        code, said = _docker(words, directory)
        if code:
            raise RolloutError(f"The image was not copied to {host}: {said}")
        arrived = _digest(f"{target}:{tag}", directory)
        if arrived != release:
            raise RolloutError(f"What arrived at {host} is {arrived or 'nothing'}, not {release}.")
        return f"{host} got it"


def closure(plan: Plan, urns: Iterable[str]) -> list[str]:
    """The URNs and all that they need (parents, providers, dependencies), each after what it needs."""
    rows = {row["urn"]: row for row in plan["resources"]}
    found: dict[str, None] = {}

    def visit(urn: str) -> None:
        row = rows.get(urn)
        if row is None or urn in found:
            return
        needs = [*row["dependencies"], *(one for urns in row["propertyDependencies"].values() for one in urns)]
        for one in (row["parent"], (row["provider"] or "").rpartition("::")[0], row["provider"], *needs):
            if one and one != urn:
                visit(one)
        found[urn] = None

    for urn in urns:
        visit(urn)
    return list(found)


def targets_of(outputs: Mapping[str, Any]) -> list[str]:
    """The repositories that the stack's outputs name: `CLOUD.registry`."""
    found = [part["registry"] for part in outputs.values() if isinstance(part, Mapping) and part.get("registry")]
    for target in found:
        if not isinstance(target, str) or not REPOSITORY.fullmatch(target):
            raise RolloutError(f"The output `registry` is {str(target)[:100]!a}, which is no repository of images.")
    return found


def login(host: str, directory: Path) -> None:
    """Logs in to a registry, for the commands that have `directory` for their settings. Raises RolloutError."""
    credentials = next((given for pattern, given in LOGINS if pattern.fullmatch(host)), None)
    if credentials is None:
        raise RolloutError(f"Nobody knows how to log in to the registry {host!a} (LOGINS in rollout/images.py).")
    user, password = credentials(host)
    if not password:
        raise RolloutError(f"There is no password for the registry {host}: its identity is not logged in.")
    code, said = _docker(["login", "--username", user, "--password-stdin", host], directory, password)
    if code:
        raise RolloutError(f"The registry {host} refuses {user}: {said.replace(password, '[secret]')}")


def _digest(image: str, directory: Path) -> str:
    """The digest that a registry says an image has; "" where it has no such image."""
    code, said = _docker(["buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", image], directory)
    return said if not code and re.fullmatch(r"sha256:[0-9a-f]{64}", said) else ""


def _docker(words: Sequence[str], directory: Path, given: str = "") -> tuple[int, str]:
    """Runs docker with settings of its own, which are removed with what was logged in to; what it said at last."""
    environment = {**os.environ, "DOCKER_CONFIG": str(directory)}
    try:
        command = ["docker", *words]
        done = subprocess.run(
            command, env=environment, input=given, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return 1, f"docker {words[0]} took over {SECONDS} s"
    except OSError as error:
        raise RolloutError(f"docker cannot be run ({error.strerror}): images are copied with it.") from error
    said = (done.stdout if not done.returncode else done.stderr or done.stdout).strip()
    return done.returncode, (said.splitlines() or [""])[-1]
