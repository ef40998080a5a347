"""`make install`: what it makes, when it does nothing, and the one sentence for each thing that can be wrong.

The packages come from a folder of tiny wheels, so that no network is needed: pip and uv are the real ones.
"""

import base64
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import uv

import install

pytestmark = pytest.mark.drawn(4)
ROOT = Path(__file__).parent.parent
OLD_PYTHON = next((Path.home() / ".pyenv/versions").glob("3.8.*/bin/python"), None) or shutil.which("python3.8")


def plenty(path: Path) -> int:
    return 10**6


def wheel(folder: Path, name: str, files: dict[str, bytes], script: bool = False) -> str:
    """Write a wheel of version 1.0; returns its line for a requirements file, with its hash."""
    info = f"{name}-1.0.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    sums = {path: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=") for path, data in files.items()}
    record = "".join(f"{path},sha256={sums[path].decode()},{len(data)}\n" for path, data in files.items())
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in (files | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}).items():
            entry = zipfile.ZipInfo(file)
            entry.external_attr = 0o100755 << 16 if script and ".data/" in file else 0o100644 << 16
            archive.writestr(entry, data)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


BACKEND = '''
"""A build backend that is small enough for a test: editable, and nothing else."""
import pathlib, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "sample-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w") as archive:
        archive.writestr("sample.pth", str(pathlib.Path.cwd()))
        archive.writestr("sample-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: sample\\nVersion: 1.0\\n")
        archive.writestr("sample-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        archive.writestr("sample-1.0.dist-info/RECORD", "")
    return name
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that installs tiny packages, one a level, from a folder that pip is configured with."""
    root, wheels = tmp_path / "project", tmp_path / "wheels"
    (root / "requirements").mkdir(parents=True)
    (root / "room").mkdir()
    (root / "room/__init__.py").write_text("")
    wheels.mkdir()
    for file in ("install.py", "install.sh"):
        shutil.copy(ROOT / file, root / file)
    (root / "backend.py").write_text(BACKEND)
    (root / "pyproject.toml").write_text(
        '[project]\nname = "sample"\nversion = "1.0"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    binary = {"uv-1.0.data/scripts/uv": Path(uv.find_uv_bin()).read_bytes()}
    installer = wheel(wheels, "uv", binary, script=True)
    (root / "requirements/install.txt").write_text(installer)
    lines = installer
    for level in install.LEVELS:
        lines += wheel(wheels, f"for_{level}", {f"for_{level}/__init__.py": b"installed = True\n"})
        (root / f"requirements/{level}.txt").write_text(lines)
    for level in install.APART:
        lines = installer + wheel(wheels, f"for_{level}", {f"for_{level}/__init__.py": b"installed = True\n"})
        (root / f"requirements/{level}.txt").write_text(lines)
        monkeypatch.setitem(install.APART, level, (1, f"for_{level}"))
    for variable in [key for key in os.environ if key.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setattr(install, "IMPORTED", "for_local")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", f"{wheels} {tmp_path / 'not-there'}")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return root


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that are taken, without taking them: `.venv` has a bare interpreter, and nothing is installed."""
    taken: list[str] = []

    def run(command: list[str], step: str, environment: dict[str, str], root: Path) -> None:
        taken.append(step.partition(" with ")[0])
        if step.startswith(".venv"):
            folder = root / step.partition(" with ")[0]
            shutil.rmtree(folder, ignore_errors=True)
            (folder / "bin").mkdir(parents=True)
            (folder / "bin/python").symlink_to(sys.executable)

    monkeypatch.setattr(install, "run", run)
    return taken


def imports(root: Path, module: str, folder: str = ".venv") -> bool:
    command = [str(root / folder / "bin/python"), "-c", f"import {module}"]
    return subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0


EVERYTHING = [".venv", "uv, which installs the rest", "the packages of requirements/local.txt", "the project itself"]
EVERYTHING += ["a first import"]


@pytest.mark.slow
def test_a_fresh_clone_gets_the_level_that_is_asked_for_and_the_project_itself(project: Path) -> None:
    assert install.install(project, "local", plenty)
    assert imports(project, "for_local")
    assert imports(project, "room")
    assert not imports(project, "for_plan")


@pytest.mark.slow
def test_a_higher_level_adds_to_a_lower_one_and_stays(project: Path) -> None:
    install.install(project, "local", plenty)
    made = (project / ".venv/pyvenv.cfg").stat().st_mtime_ns
    assert install.install(project, "dev", plenty)
    assert not install.install(project, "local", plenty)
    assert imports(project, "for_local, for_plan, for_dev, room")
    assert (project / ".venv/pyvenv.cfg").stat().st_mtime_ns == made


@pytest.mark.slow
@pytest.mark.sampled(3)
@pytest.mark.parametrize("level", install.APART)
def test_what_stands_apart_has_an_environment_of_its_own(project: Path, level: str) -> None:
    install.install(project, "local", plenty)
    assert install.install(project, level, plenty)
    assert not install.install(project, level, plenty)
    assert imports(project, f"for_{level}", f".venv-{level}")
    assert not imports(project, "for_local", f".venv-{level}")
    assert not imports(project, f"for_{level}")
    assert not install.install(project, "local", plenty)


@pytest.mark.slow
def test_a_moved_project_gets_a_new_venv(project: Path) -> None:
    install.install(project, "plan", plenty)
    moved = project.rename(project.parent / "elsewhere")
    assert install.install(moved, "local", plenty)
    assert imports(moved, "for_local, room")
    assert str(moved) in (moved / ".venv/bin/activate").read_text()


@pytest.mark.slow
def test_a_package_with_another_hash_is_refused(project: Path, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "for_local", {"for_local/__init__.py": b"import os  # another one\n"})
    with pytest.raises(install.StoppedError, match=r"hash is not in requirements/.*do not trust that index"):
        install.install(project, "local", plenty)
    assert not imports(project, "for_local")


@pytest.mark.slow
def test_an_index_that_does_not_answer_is_told_apart_from_a_missing_package(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "requirements/install.txt").write_text("not-to-be-had==1.0 --hash=sha256:" + "0" * 64 + "\n")
    with pytest.raises(install.StoppedError, match="A pinned package is not to be had"):
        install.install(project, "local", plenty)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://someone:" + "pass-word@127.0.0.1:1/packages")
    with pytest.raises(install.StoppedError, match="The package index cannot be reached") as failure:
        install.install(project, "local", plenty)
    assert "pass-word" not in str(failure.value)


@pytest.mark.slow
def test_uv_too_says_when_the_index_does_not_answer(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install.install(project, "local", plenty)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/packages")
    with pytest.raises(install.StoppedError, match="The package index cannot be reached"):
        install.install(project, "dev", plenty)


@pytest.mark.slow
def test_a_run_that_is_killed_half_way_is_repaired_by_the_next(project: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "install.py", "local"], cwd=project, stdout=subprocess.DEVNULL, start_new_session=True
    )
    while not (project / ".venv/pyvenv.cfg").exists():
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, 9)
    process.wait()
    assert install.installed(project) is None
    assert install.install(project, "local", plenty)
    assert imports(project, "for_local, room")


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(project: Path) -> None:
    project.chmod(0o555)
    interpreter, user = sys.executable, None
    if os.geteuid() == 0:  # root may write everywhere, so somebody else tries
        interpreter, user = "/usr/bin/python3", 65534
        for path in list(project.parents)[:-2]:
            path.chmod(path.stat().st_mode | 0o555)
    newest = [interpreter, "-c", "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"]
    if not os.path.exists(interpreter) or subprocess.run(newest, user=user, cwd="/", check=False).returncode:
        pytest.skip("no Python 3.11 here that another user than root can run")
    refused = subprocess.run(
        [interpreter, "install.py", "local"], cwd=project, user=user, capture_output=True, text=True, check=False
    )
    project.chmod(0o755)
    assert refused.returncode == 1
    assert "not writable for you" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_second_run_takes_no_step(project: Path, steps: list[str]) -> None:
    assert install.install(project, "local", plenty)
    assert steps == EVERYTHING
    assert not install.install(project, "local", plenty)
    assert steps == EVERYTHING


def test_the_level_of_a_developer_brings_the_scanners_too(
    project: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "__file__", str(project / "install.py"))
    assert install.main(["dev"]) == 0
    assert (project / ".venv/installed.json").exists()
    assert (project / ".venv-scanners/installed.json").exists()
    assert "the packages of requirements/scanners.txt" in steps


def test_what_the_scanners_need_changes_nothing_in_the_other_venv(project: Path, steps: list[str]) -> None:
    install.install(project, "local", plenty)
    install.install(project, "scanners", plenty)
    with (project / "requirements/scanners.txt").open("a") as pins:
        pins.write("# another version\n")
    assert not install.install(project, "local", plenty)
    assert install.install(project, "scanners", plenty)
    assert steps.count(".venv") == 1
    assert steps.count(".venv-scanners") == 1


def test_other_pins_bring_the_same_venv_up_to_date(project: Path, steps: list[str]) -> None:
    install.install(project, "local", plenty)
    with (project / "requirements/local.txt").open("a") as pins:
        pins.write("# another version\n")
    assert install.install(project, "local", plenty)
    assert ".venv" not in steps[len(EVERYTHING) :]


def test_a_new_room_is_installed_too(project: Path, steps: list[str]) -> None:
    install.install(project, "local", plenty)
    (project / "another").mkdir()
    (project / "another/__init__.py").write_text("")
    assert install.install(project, "local", plenty)


def test_another_python_gets_a_new_venv(project: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    install.install(project, "local", plenty)
    monkeypatch.setattr(sys, "base_prefix", "/another/python")
    assert install.install(project, "local", plenty)
    assert steps.count(".venv") == 2


def test_a_venv_whose_python_has_gone_is_made_anew(project: Path, steps: list[str]) -> None:
    install.install(project, "local", plenty)
    (project / ".venv/bin/python").unlink()
    assert install.install(project, "local", plenty)
    assert steps.count(".venv") == 2


def test_a_step_that_fails_leaves_nothing_that_looks_finished(
    project: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install.install(project, "local", plenty)

    def fail(*_: object) -> None:
        raise install.StoppedError("no")

    monkeypatch.setattr(install, "fill", fail)
    with pytest.raises(install.StoppedError):
        install.install(project, "dev", plenty)
    assert install.installed(project) is None


def test_a_disk_that_is_too_full_is_told_before_anything_is_written(project: Path, steps: list[str]) -> None:
    with pytest.raises(install.StoppedError, match=r"needs 580 MB for `local`.* has 300 MB left"):
        install.install(project, "local", lambda path: 300)
    assert steps == []


def test_what_is_installed_already_needs_no_room_again(project: Path, steps: list[str]) -> None:
    install.install(project, "local", plenty)
    with pytest.raises(install.StoppedError, match="needs 500 MB for `plan`"):
        install.install(project, "plan", lambda path: 499)
    assert install.install(project, "plan", lambda path: 500)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_disk_that_fills_up_on_the_way_is_told_in_a_sentence(project: Path) -> None:
    command = [sys.executable, "-c", "print('x', file=open('/dev/full', 'w'), flush=True)"]
    with pytest.raises(install.StoppedError, match="The disk is full: free some space"):
        install.run(command, "a step", os.environ, project)


def test_a_python_that_is_too_old_is_told_in_a_sentence() -> None:
    with pytest.raises(install.StoppedError, match=r"Python 3\.11 or newer is needed, and .* is Python 3\.10\.13"):
        install.check_python((3, 10, 13))


@pytest.mark.skipif(OLD_PYTHON is None, reason="no Python 3.8 on this machine to try it with")
@pytest.mark.parametrize("way", ["install.py", "install.sh"])
def test_an_old_python_can_read_the_script_and_says_so(project: Path, way: str) -> None:
    command = {"install.py": [str(OLD_PYTHON), "install.py"], "install.sh": ["./install.sh"]}[way]
    environment = os.environ | {"PYTHON": str(OLD_PYTHON)}
    refused = subprocess.run(
        [*command, "local"], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "Python 3.11 or newer" in refused.stderr
    assert "3.8" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_python_without_venv_is_told_which_package_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str) -> object:
        return None if name == "ensurepip" else SimpleNamespace()

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(install.StoppedError, match=r"no module ensurepip.*apt install python3-venv"):
        install.check_python()


def fake_python(folder: Path, name: str, works: bool) -> None:
    """An interpreter that answers as a good one, or as one that is too old or has no venv."""
    folder.mkdir(exist_ok=True)
    body = f"""\
        #!/bin/sh
        case "$*" in
        --version) echo "Python {"3.11.9" if works else "3.9.2"}" ;;
        *install.py*) echo "$0 $*" ;;
        *) exit {0 if works else 1} ;;
        esac
        """
    (folder / name).write_text(textwrap.dedent(body))
    (folder / name).chmod(0o755)


@pytest.fixture
def path(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run install.sh where PATH holds only the interpreters that are given, name → whether it is good."""

    def run(**interpreters: bool) -> subprocess.CompletedProcess[str]:
        folder = project.parent / "bin"
        for name, works in interpreters.items():
            fake_python(folder, name.replace("_", "."), works)
        folder.mkdir(exist_ok=True)
        for tool in ("dirname", "sh"):
            (folder / tool).symlink_to(str(shutil.which(tool)))
        command = [str(shutil.which("sh")), "./install.sh", "local"]
        environment = {"PATH": str(folder), "PYTHON": ""}
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)

    return run


def test_a_good_python_is_found_behind_one_that_will_not_do(
    path: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    found = path(python3_11=False, python3_13=True, python3=False)
    assert "python3.13 -I install.py local" in found.stdout


def test_the_pinned_python_comes_first(path: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert "python3.11 -I install.py" in path(python3_11=True, python3_13=True, python3=True).stdout


def test_where_no_python_will_do_the_sentence_lists_what_was_seen(
    path: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    refused = path(python3=False)
    assert refused.returncode == 1
    assert "python3 is Python 3.9.2" in refused.stderr
    assert "python3-venv" in refused.stderr


def test_a_machine_without_python_is_told_so(path: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert "no Python at all" in path().stderr


def test_a_venv_that_serves_is_asked_first(
    project: Path, path: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    fake_python(project / ".venv", "python", works=True)
    (project / ".venv/bin").mkdir()
    (project / ".venv/python").rename(project / ".venv/bin/python")
    assert ".venv/bin/python -I install.py" in path(python3_11=True).stdout


def test_pip_settings_reach_uv(tmp_path: Path) -> None:
    listing = "\n".join(
        [
            "global.index-url='https://packages.corp.net/simple'",
            "global.cert='/etc/corp.pem'",
            "install.trusted-host='a.corp.net\\nb.corp.net'",
            "install.index-url='https://someone:" + "pass@nearer.corp.net/x'",
            f":env:.find-links='{tmp_path} {tmp_path}/gone https://wheels.corp.net/'",
            ":env:.proxy='http://127.0.0.1:3128'",
            ":env:.timeout='90'",
            "freeze.timeout='1'",
            "not a setting",
        ]
    )
    environment = install.uv_environment(install.pip_settings(listing), {"UV_HTTP_TIMEOUT": "7", "SSL_CERT_FILE": "/x"})
    assert environment["UV_DEFAULT_INDEX"] == "https://someone:" + "pass@nearer.corp.net/x"
    assert environment["UV_FIND_LINKS"] == f"{tmp_path},https://wheels.corp.net/"
    assert environment["UV_INSECURE_HOST"] == "a.corp.net b.corp.net"
    assert environment["HTTPS_PROXY"] == "http://127.0.0.1:3128"
    assert environment["SSL_CERT_FILE"] == "/etc/corp.pem"
    assert environment["UV_HTTP_TIMEOUT"] == "7", "what is set for uv itself wins"


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("error: Failed to install: x\n  Caused by: No space left on device (os error 28)", "The disk is full"),
        ("  Caused by: invalid peer certificate: UnknownIssuer", "certificate is not trusted"),
        ("WARNING: 403 Client Error: Forbidden for url: https://u:" + "secret-word@x/", "refused the access"),
        ("  Caused by: dns error\n  Caused by: failed to lookup address", "cannot be reached"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: 'x'",
            "Writing was refused",
        ),
        ("something else\nthat nobody foresaw", "The installer's last words"),
    ],
)
def test_what_installers_print_becomes_one_sentence(output: str, sentence: str) -> None:
    told = install.explain(output, "a step")
    assert sentence in told
    assert "secret-word" not in told


def test_a_step_that_takes_long_says_so_without_a_terminal(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "QUIET_SECONDS", 0.5)
    install.run([sys.executable, "-c", "import time; time.sleep(2.5)"], "a long step", os.environ, project)
    assert "a long step, 1 s so far" in capsys.readouterr().out


def test_a_second_installation_waits_for_the_first(
    project: Path, steps: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with install.alone(project):
        other = threading.Thread(target=install.install, args=(project, "local", plenty))
        other.start()
        other.join(0.5)
        assert other.is_alive()
        assert steps == []
    other.join(10)
    assert steps == EVERYTHING
    assert "waiting for another installation" in capsys.readouterr().out


def test_the_stamp_is_not_taken_from_a_damaged_file(project: Path, steps: list[str]) -> None:
    install.install(project, "local", plenty)
    for damaged in ("", "[]", "{}", json.dumps({"level": "all", "fingerprint": "x", "place": "y"})):
        (project / ".venv/installed.json").write_text(damaged)
        assert install.installed(project) is None
