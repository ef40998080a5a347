from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app import checkpoints, dataset, documents, jobs
from app.checkpoints import Gathered
from app.labels import Label
from app.s3 import S3Store
from tests.app.crowd import Loop, people
from tests.app.memory import Memory
from tests.app.processes import ROOT, environment, moto_server, run, s3

TOLD = [Label(f"{number:032x}", 0, "2026-11-20T12:00:00.000Z", 68.0, 130.0 + number) for number in range(3)]
GATHERED = Gathered(dataset.generate(50), "a test", 7, TOLD)
TRAINING = "a" * 64


def test_what_was_gathered_comes_back_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "for it"
    checkpoints.save(folder, TRAINING, GATHERED)
    assert checkpoints.load(folder, TRAINING) == GATHERED
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())  # people's data
    checkpoints.clear(folder)
    assert checkpoints.load(folder, TRAINING) is None
    assert list(folder.iterdir()) == []
    checkpoints.clear(folder)


def test_another_trainings_checkpoint_is_not_taken(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, TRAINING, GATHERED)
    assert checkpoints.load(tmp_path, "b" * 64) is None


@pytest.mark.parametrize("hours", [25, -1])
def test_a_checkpoint_of_another_day_is_not_taken(tmp_path: Path, hours: int) -> None:
    checkpoints.save(tmp_path, TRAINING, GATHERED)
    file = tmp_path / "checkpoint.json"
    created = datetime.now(UTC) - timedelta(hours=hours)
    document = {**json.loads(file.read_bytes()), "created": created.strftime("%Y-%m-%dT%H:%M:%SZ")}
    file.write_bytes(documents.dump(document))
    assert checkpoints.load(tmp_path, TRAINING) is None


@pytest.mark.parametrize("name", ["checkpoint.json", "table.csv", "labels.csv"])
@pytest.mark.parametrize("content", [None, b"", b"x", b"\xff" * 100])
def test_a_checkpoint_that_is_not_whole_is_not_taken(tmp_path: Path, name: str, content: bytes | None) -> None:
    checkpoints.save(tmp_path, TRAINING, GATHERED)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    assert checkpoints.load(tmp_path, TRAINING) is None


def test_a_save_that_was_cut_off_leaves_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced: list[Path] = []
    replace = Path.replace

    def cut_off(self: Path, target: Path) -> Path:
        if len(replaced) == 2:
            raise KeyboardInterrupt
        replaced.append(self)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", cut_off)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(tmp_path, TRAINING, GATHERED)
    assert checkpoints.load(tmp_path, TRAINING) is None


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with moto_server() as found:
        yield found


@pytest.mark.sampled(2)
@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_training_that_is_killed_goes_on_to_the_model_it_would_have_made(
    url: str, tmp_path: Path, how: signal.Signals
) -> None:
    place = how.name.lower()
    addresses = {
        "DATA_STORE": f"s3://data/{place}/people/",
        "MODEL_STORE": f"s3://models/{place}/",
        "LAKE": f"s3://data/{place}/lake/",
    }
    variables = {**environment(url), **addresses, "CHECKPOINTS": str(tmp_path)}
    lake = S3Store(addresses["LAKE"], s3(url))
    loop = Loop(now=datetime.now(UTC))
    loop.ask(people(800, 1))
    alone = jobs.train(dataset.generate(), "a test", dataset.SEED, Memory(), Memory(), told=loop.gather())
    for key, content in loop.lake.objects.items():
        lake.write(key, content)

    own = {"PATH": os.environ["PATH"], **variables}
    with subprocess.Popen([sys.executable, "-m", "app", "train"], cwd=ROOT, env=own, stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 60
        while not (tmp_path / "checkpoint.json").exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        process.send_signal(how)
        assert process.wait(30) in (-how, 128 + how)
    assert "Contents" not in s3(url).list_objects_v2(Bucket="models", Prefix=f"{place}/candidate.json")

    loop.ask(people(400, 2, heavier=5.0))  # the lake moves on
    for key, content in loop.lake.objects.items():
        lake.write(key, content)
    second = json.loads(run(["train"], variables).stdout)
    assert (second["version"], second["resumed"]) == (alone["version"], True)
    assert list(tmp_path.iterdir()) == []
    third = json.loads(run(["train"], variables).stdout)
    assert (third["resumed"], third["version"] == alone["version"]) == (False, False)
