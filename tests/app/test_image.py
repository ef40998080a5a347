"""The image's recipe, read: no machine that tests this project can build it."""

from __future__ import annotations

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "app/Dockerfile").read_text()


def instructions() -> list[str]:
    lines = [line for line in DOCKERFILE.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()


def test_the_base_is_pinned_by_tag_and_digest_and_is_never_latest() -> None:
    (base,) = (line.removeprefix("ARG BASE=") for line in instructions() if line.startswith("ARG"))
    assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", base)
    assert {line.split()[1] for line in instructions() if line.startswith("FROM")} == {"${BASE}"}
    assert "latest" not in DOCKERFILE


def test_the_image_runs_as_a_numbered_user_that_is_not_root() -> None:
    last_user = [line for line in instructions() if line.startswith("USER")][-1]
    assert re.fullmatch(r"USER [1-9]\d{3,}:[1-9]\d{3,}", last_user)
    after = instructions()[instructions().index(last_user) :]
    assert not any(line.startswith(("RUN", "COPY")) for line in after)


def test_packages_are_installed_by_hash_and_secrets_are_mounts() -> None:
    (install,) = (line for line in instructions() if "pip install" in line)
    assert "--require-hashes" in install
    assert "--mount=type=secret" in install
    assert not re.search(r"(ARG|ENV) .*(TOKEN|PASSWORD|SECRET|INDEX)", DOCKERFILE)


def test_the_image_has_a_health_check_of_the_route_that_needs_no_model() -> None:
    (check,) = (line for line in instructions() if line.startswith("HEALTHCHECK"))
    assert "/healthz" in check


def test_what_a_part_of_the_infrastructure_runs_are_arguments_of_the_app() -> None:
    assert instructions()[-2:] == ['ENTRYPOINT ["python", "-m", "app"]', 'CMD ["serve"]']


def test_the_build_context_holds_what_the_release_hashes_and_nothing_else() -> None:
    rules = [line for line in (ROOT / "app/Dockerfile.dockerignore").read_text().splitlines() if line[:1] not in "#"]
    assert rules[0] == "*"
    kept = [rule.removeprefix("!") for rule in rules[1:]]
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "app").rglob("*") if path.is_file()]
    sent = {name for name in files if any(fnmatch(name, rule) for rule in kept)}
    assert sent == {name for name in files if name.endswith((".py", ".json")) and "__pycache__" not in name}


GUARD = """
import sys
before = set(sys.modules)
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pulumi", "pulumi_aws", "infra", "stacks", "localcloud", "numpy", "sklearn"):
            raise AssertionError(f"the app imports {name}")
sys.meta_path.insert(0, Guard())
import pkgutil, importlib, app
"""
EVERYTHING = """
for module in pkgutil.walk_packages(app.__path__, "app."):
    importlib.import_module(module.name)
import google.auth.transport.requests, azure.identity  # what functions import when they are called
"""
LOCAL = """
from app import __main__, calls, function, server, store
import os; os.environ["AWS_REGION"] = "eu-central-1"
store.open_store("s3://bucket/prefix/")
calls.open_calls("dynamodb://calls")
"""
REPORT = """
from importlib.metadata import distributions
files = {getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - before}
for each in distributions():
    if any(str(each.locate_file(file)) in files for file in each.files or ()):
        print(each.name)
"""
# What a library of the image imports where it happens to be installed, and does without in the image.
OPTIONAL = {"grpcio", "opentelemetry-api", "opentelemetry-semantic-conventions"}


def imported(program: str) -> set[str]:
    """The distributions that a program of the app has imported."""
    # -I keeps the environment and the user's packages out; the root is put back by hand.
    source = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{GUARD}{program}{REPORT}"
    result = subprocess.run(
        [sys.executable, "-I", "-c", source], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return {re.sub(r"[-_.]+", "-", name).lower() for name in result.stdout.split()}


def pinned(level: str) -> set[str]:
    """The distributions that a compiled file of requirements names."""
    text = (ROOT / f"requirements/{level}.txt").read_text()
    return set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))


def test_the_app_imports_nothing_but_the_packages_of_its_image_and_no_pulumi() -> None:
    found = imported(EVERYTHING)
    assert found - OPTIONAL - {"groundwork"} <= pinned("image")
    assert {"flask", "boto3", "google-cloud-storage", "azure-storage-blob", "azure-identity"} <= found


def test_the_local_path_has_and_imports_no_other_cloud_s_library() -> None:
    foreign = re.compile(r"google-(auth|cloud|api-core|resumable)|azure-|msal")
    found = imported(LOCAL)
    assert "boto3" in found
    assert not [name for name in found | pinned("local") if foreign.match(name)]
