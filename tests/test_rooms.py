"""The arrows between the rooms, as the imports draw them; and what is used of the clouds' SDKs."""

import ast
import re
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# room → the other rooms that it may import
ARROWS: dict[str, set[str]] = {
    "stacks": {"infra"},
    "infra": set(),
    "localcloud": set(),
    "app": set(),
    "policies": set(),
    "rollout": {"localcloud", "policies"},
}
# room → the requirements that its imports must be named in
REQUIREMENTS = {
    "stacks": "plan",
    "infra": "plan",
    "localcloud": "local",
    "app": "image",
    "policies": "plan",
    "rollout": "deploy",
}
# Run by themselves in the scanners' environment, on JSON: they import nothing of ours.
SCANS = {Path("policies/checkov/scan.py"), Path("policies/iam/scan.py")}
CLOUD_SDKS = {"pulumi_aws", "pulumi_gcp", "pulumi_azure_native", "boto3", "botocore", "moto"}
ROOMS = [room for room in ARROWS if (ROOT / room / "__init__.py").exists()]


def imports(source: str, package: str) -> set[str]:
    """The dotted modules that `source`, a module of `package`, imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            parent = package.split(".")[: len(package.split(".")) - node.level + 1]
            found.add(".".join([*parent, *([node.module] if node.module else [])]))
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            found |= {
                part.value for part in node.args[:1] if isinstance(part, ast.Constant) and isinstance(part.value, str)
            }
    return found


def roots(room: str) -> dict[str, str]:
    """The top-level modules that a room imports, each with one file that does so."""
    files = {path.relative_to(ROOT) for path in (ROOT / room).rglob("*.py")} - SCANS
    return {name: str(path) for path in sorted(files) for name in roots_of(path)}


def roots_of(path: Path) -> set[str]:
    """The top-level modules that one file imports."""
    package = ".".join(path.parent.parts)
    return {name.partition(".")[0] for name in imports((ROOT / path).read_text(), package)}


def named(requirements: str) -> set[str]:
    """The distributions that a requirements/*.in names, with those of the files that it includes."""
    found = set()
    for line in (ROOT / "requirements" / f"{requirements}.in").read_text().splitlines():
        if line.startswith("-r "):
            found |= named(line[3:].removesuffix(".in").strip())
        elif match := re.match(r"[A-Za-z0-9._-]+", line):
            found.add(re.sub(r"[-_.]+", "-", match[0]).lower())
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_that_the_design_lets_it(room: str) -> None:
    others = (set(ARROWS) | {"up", "drift_demo", "install", "tests"}) - {room} - ARROWS[room]
    crossed = {name: path for name, path in roots(room).items() if name in others}
    assert not crossed, f"{room} may import {ARROWS[room] or 'no other room'}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_packages_that_its_requirements_name(room: str) -> None:
    distributions = packages_distributions()
    known = named(REQUIREMENTS[room])
    foreign = {name: path for name, path in roots(room).items() if name not in sys.stdlib_module_names | set(ARROWS)}
    missing = {
        name: path
        for name, path in foreign.items()
        if not {re.sub(r"[-_.]+", "-", dist).lower() for dist in distributions.get(name, [])} & known
    }
    assert not missing, f"not named in requirements/{REQUIREMENTS[room]}.in"


@pytest.mark.parametrize("scan", sorted(SCANS), ids=str)
def test_a_scan_imports_what_its_own_environment_has_and_nothing_of_ours(scan: Path) -> None:
    foreign = roots_of(scan) - sys.stdlib_module_names
    assert {name.replace("_", "-") for name in foreign} <= {name.replace("_", "-") for name in named("scanners")}


def test_the_app_does_not_import_pulumi() -> None:
    assert not [name for name in roots("app") if name.startswith("pulumi")]


def test_policies_import_no_cloud_sdk() -> None:
    assert not CLOUD_SDKS & set(roots("policies"))


def test_localcloud_has_no_name_of_ours_in_it() -> None:
    ours = re.compile(r"groundwork|height|\bpredict(?!edCapacity)|make up\b|\bup\.py", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "localcloud").rglob("*"))
        if path.suffix in {".py", ".json", ".toml", ".yaml", ".md"}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if ours.search(line)
    ]
    assert not found


def test_install_py_needs_nothing_but_the_standard_library() -> None:
    used = {name.partition(".")[0] for name in imports((ROOT / "install.py").read_text(), "")}
    assert used <= sys.stdlib_module_names


def test_every_folder_with_python_in_it_is_a_room_of_the_design() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/*.py") if not path.parent.name.startswith(".")}
    assert folders <= set(ARROWS) | {"tests", "docs"}


def used(source: str, sdks: set[str]) -> set[str]:
    """What a module names of SDKs: `pulumi_aws.s3` for `from pulumi_aws import s3` and for `aws.s3.Bucket`."""
    nodes = list(ast.walk(ast.parse(source)))
    direct = {alias.asname or alias.name: alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
    names = {
        f"{direct.get(n.value.id)}.{n.attr}"
        for n in nodes
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
    }
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {".".join(name.split(".")[:2]) for name in names if name.split(".")[0] in sdks}


def test_mypy_reads_every_service_of_an_sdk_that_is_used() -> None:
    """The others are passed over; what is used of one that is not listed would be of any type."""
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    (skipped,) = [row["module"] for row in overrides if row.get("follow_imports") == "skip"]
    (read,) = [row["module"] for row in overrides if row.get("follow_imports") == "normal"]
    sdks = {name.removesuffix(".*") for name in skipped}
    files = [
        path for room in [*ARROWS, "tests"] for path in (ROOT / room).rglob("*.py") if "programs" not in path.parts
    ]
    names = {name for path in files for name in used(path.read_text(), sdks)}
    site = Path(str(distribution("pulumi-aws").locate_file("")))
    services = {f"{name}.*" for name in names if (site / name.replace(".", "/")).is_dir()}
    assert len(services) > 60
    assert services == {name for name in read if name.endswith(".*")}


def test_relative_and_dynamic_imports_are_seen_too() -> None:
    source = "from ..shape import Store\nfrom . import keys\nimport importlib\nimportlib.import_module('boto3.s3')\n"
    assert imports(source, "infra.aws") == {"infra.shape", "infra.aws", "importlib", "boto3.s3"}
