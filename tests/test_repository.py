"""What must hold for every file in git."""

import ast
import io
import os
import re
import shutil
import subprocess
import sys
import tokenize
from functools import cache
from pathlib import Path

import pytest
import yaml

import install

ROOT = Path(__file__).parent.parent
DATA = re.compile(
    r"\.(csv|tsv|parquet|feather|arrow|np[yz]|h5|hdf5|joblib|pkl|pickle|sqlite|pem|key|p12|pfx)$|(^|/)\.env$"
)
# written so that they do not match themselves
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(root|home/[a-z]\w*|Users/\w+|work|opt/wheels|tmp/probe)/[\w.-]")
INDEX_ADDRESS = re.compile(
    r"https?://(pypi|files|index|registry|proxy|deb|repo\d?|static)[.][\w.-]+/|--(extra-)?index[-]url +h"
)
TARGETS = [
    "init",
    "install",
    "up",
    "down",
    "preview",
    "plan",
    "bootstrap",
    "lint",
    "check",
    "test",
    "pin-dependencies",
    "upgrade-dependencies",
    "build-image",
    "push-image",
    "bench-up",
    "crash-matrix",
    "clean",
]


@cache
def tracked() -> list[Path]:
    """The files in git, and those that are about to be."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [ROOT / name for name in sorted(set(listing.split("\0"))) if name and (ROOT / name).is_file()]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lines_matching(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{name(path)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def pins(requirements: str) -> dict[str, str]:
    """name → version, as a compiled file has them."""
    text = (ROOT / "requirements" / requirements).read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*])?==([^ ;\\]+)", text, re.MULTILINE))


def sources() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def test_no_data_set_and_no_key_is_in_git() -> None:
    assert not [name(path) for path in tracked() if DATA.search(name(path))]


def test_no_file_is_larger_than_half_a_megabyte() -> None:
    assert not [name(path) for path in tracked() if path.stat().st_size > 500_000]


@pytest.mark.parametrize(
    "planted",
    [
        'key = "AKIA' + 'IOSFODNN7ABCDEFG"',
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        'url = "https://someone:' + 'hunter2x@packages.corp.net/x"',
        'token = "ghp_' + "a1B2" * 9 + '"',
    ],
    ids=["AWS key", "private key", "password in a URL", "GitHub token"],
)
def test_a_commit_with_a_secret_in_it_is_refused(tmp_path: Path, planted: str) -> None:
    refused = commit(tmp_path, "settings.py", planted + "\n")
    assert refused.returncode != 0
    assert "secrets" in refused.stderr
    assert "Failed" in refused.stderr
    assert "settings.py:1" in refused.stderr


def test_a_commit_with_a_data_set_in_it_is_refused(tmp_path: Path) -> None:
    refused = commit(tmp_path, "people.csv", "height,weight\n68,127\n")
    assert refused.returncode != 0
    assert "data bucket" in refused.stderr


def test_a_clean_commit_passes_the_hooks(tmp_path: Path) -> None:
    passed = commit(tmp_path, "notes.md", "Nothing to hide.\n")
    assert passed.returncode == 0, passed.stderr


def lay_hooks(folder: Path) -> None:
    """Lay this repository's hooks into a folder: settings, scanner, and the interpreter's tools as its .venv."""
    settings = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    settings["repos"][0]["hooks"] = [hook for hook in settings["repos"][0]["hooks"] if hook["id"] != "types"]  # slow
    (folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(settings))
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/secrets", folder / ".ci/secrets")
    (folder / ".venv").symlink_to(sys.prefix)


def commit(folder: Path, file: str, content: str) -> subprocess.CompletedProcess[str]:
    """Commit one file in a repository of its own that has this one's hooks."""
    lay_hooks(folder)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {
        "PRE_COMMIT_HOME": str(folder / ".git/pre-commit"),
        "HOME": str(folder),
        "PRE_COMMIT_COLOR": "never",
    }
    (folder / file).write_text(content)

    def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    assert run("git", "init", "-q").returncode == 0
    installed = run(Path(sys.executable).parent / "pre-commit", "install")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    run("git", "add", ".pre-commit-config.yaml", ".ci", file)
    return run("git", *who, "commit", "-q", "-m", "Add a file")


def test_no_path_of_a_machine_is_in_git() -> None:
    # an image has a home of its own
    assert not lines_matching(MACHINE_PATH, [path for path in tracked() if path.name != "Dockerfile"])


def test_no_address_of_a_package_index_is_in_git() -> None:
    assert not lines_matching(INDEX_ADDRESS, tracked())


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_compiled_requirements_hold_pins_with_hashes_and_nothing_else(path: Path) -> None:
    text = re.sub(r" \\\n", " ", path.read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    form = re.compile(r"[a-z0-9._-]+(\[[a-z0-9,_-]+])?==[^ ]+( ; .+?)?(\s+--hash=sha256:[0-9a-f]{64})+$")
    assert not [line[:80] for line in lines if not form.match(line)]


def test_all_compiled_requirements_agree_on_every_version() -> None:
    everything = pins("dev.txt")
    apart = {ROOT / f"requirements/{name}.txt" for name in install.APART}  # environments of their own
    for path in {*(ROOT / "requirements").glob("*.txt")} - apart:
        differing = {package: version for package, version in pins(path.name).items() if everything[package] != version}
        assert not differing, path.name


@pytest.mark.parametrize("level", ["image", "local", "plan", "dev", "install", "scanners", "loadtest", "fuzz"])
def test_every_requirement_that_is_asked_for_is_pinned(level: str) -> None:
    asked = re.findall(r"^([A-Za-z][\w.-]*)", (ROOT / "requirements" / f"{level}.in").read_text(), re.MULTILINE)
    assert asked
    assert {re.sub(r"[-_.]+", "-", package).lower() for package in asked} <= set(pins(f"{level}.txt"))


def silenced(comment: str) -> str | None:
    """What a comment silences without a code or a reason; None if it is in order, or silences nothing."""
    marks = re.findall(r"type:\s*ignore(\[[\w, -]+])?|noqa(:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?", comment)
    if not marks:
        return None
    rest = re.sub(r"type:\s*ignore(\[[\w, -]+])?|noqa(:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?", "", comment)
    if all(any(codes) for codes in marks) and re.search(r"[A-Za-z]{3,}", rest):
        return None
    return comment


def test_everything_that_is_silenced_has_a_code_and_a_reason() -> None:
    found = [
        f"{name(path)}:{token.start[0]}: {token.string}"
        for path in sources()
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
        if token.type == tokenize.COMMENT and silenced(token.string)
    ]
    assert not found


def test_a_silenced_line_without_a_reason_would_be_found() -> None:
    ignore, quiet = "# type: " + "ignore", "# no" + "qa"
    assert silenced(ignore)
    assert silenced(ignore + "[arg-type]")
    assert silenced(quiet + ": S310")
    assert silenced(quiet + " a reason but no code")
    assert silenced(ignore + "[arg-type]  # the stubs lag behind") is None
    assert silenced(quiet + ": S310 (the address is ours)") is None
    assert silenced("# a comment") is None


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    long = {name(path): len(path.read_text().splitlines()) for path in sources() if "tests" not in path.parts}
    assert not {path: lines for path, lines in long.items() if lines > 400}


def test_test_names_are_sentences() -> None:
    short = [
        f"{name(path)}: {node.name}"
        for path in sources()
        if path.name.startswith("test_")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and node.name.count("_") < 3
    ]
    assert not short


def test_every_python_file_under_tests_with_a_test_in_it_is_collected() -> None:
    missed = [
        name(path)
        for path in sources()
        if "tests" in path.parts
        and not path.name.startswith("test_")
        and re.search(r"^\s*def test_", path.read_text(), re.M)
    ]
    assert not missed


def test_relative_links_in_documents_lead_somewhere() -> None:
    broken = [
        f"{name(path)}: {target}"
        for path in tracked()
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text())
        if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists()
    ]
    assert not broken


def test_scripts_can_be_run() -> None:
    scripts = [path for path in tracked() if path.read_bytes().startswith(b"#!")]
    assert scripts
    assert not [name(path) for path in scripts if not os.access(path, os.X_OK)]


def test_make_alone_lists_every_target() -> None:
    listing = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not [target for target in TARGETS if f"make {target} " not in listing]


def test_image_targets_say_what_is_missing_where_no_docker_engine_answers() -> None:
    environment = os.environ | {"DOCKER_HOST": "tcp://127.0.0.1:1"}
    for target in ("build-image", "push-image"):
        refused = subprocess.run(
            ["make", target], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert refused.returncode != 0
        assert "No Docker engine answers here" in refused.stderr


def test_the_image_is_never_tagged_latest() -> None:
    recipe = subprocess.run(
        ["make", "--dry-run", "build-image"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r'--tag "groundwork-app:[0-9a-f]{12}(-dirty)?"', recipe)


def test_ci_runs_the_command_that_people_run() -> None:
    commands = [
        line for line in (ROOT / ".ci/run").read_text().splitlines() if line.strip() and not line.startswith("#")
    ]
    assert commands == ["set -eu", 'cd "$(dirname "$0")/.."', "make test"]


def test_the_contributors_guide_is_two_pages_at_most() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().split()) <= 1000


@pytest.mark.xdist_group("together")
def test_tests_of_a_group_run_in_one_process(request: pytest.FixtureRequest) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("groups are asked for by make test: -n 2 --dist loadgroup")
    assert request.node.nodeid.endswith("@together")
