"""The local environment as a newcomer meets it: `make up` twice, what the app may, kills, and `make down`.

The tests share one checkout and run in the order of the file: each leaves the environment up for the next.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, HTTPClientError

import up
from localcloud import pids, processes
from localcloud.aws import KINDS
from localcloud.aws.provider import Provider
from localcloud.aws.remains import SERVICES
from tests.end_to_end.conftest import REGION, Checkout

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("end_to_end")]

KILLS = 3  # at any moment of a run that takes sixteen steps at once; tests/crash kills at named ones


def prediction(text: str) -> float:
    found = re.search(r'"weight":([\d.]+)', text)
    assert found is not None, text
    return float(found[1])


def holds(checkout: Checkout) -> set[tuple[str, str]]:
    """What the emulator holds, of every kind that can be listed."""
    running = checkout.emulator()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment().items():
            patch.setenv(name, value)
        endpoints = json.dumps([dict.fromkeys(SERVICES, running.url)])
        return set(Provider({"region": REGION, "endpoints": endpoints}).inventory())


def listed(checkout: Checkout) -> set[tuple[str, str]]:
    """What the state says that it holds."""
    return {(row["type"], row["id"]) for row in checkout.state() if row["type"] in KINDS and KINDS[row["type"]].list}


def client(checkout: Checkout, service: str, **keys: str) -> Any:
    running = checkout.emulator()
    return boto3.client(service, region_name=REGION, endpoint_url=running.url, verify=str(running.ca_bundle), **keys)


def server_keys(checkout: Checkout) -> dict[str, str]:
    (role,) = (row["outputs"]["arn"] for row in checkout.state() if row["urn"].endswith("iam/role:Role::server"))
    got = processes.credentials(checkout.emulator(), role, processes.TASKS, "test", REGION)
    return processes.session_keys(got)


def bucket(checkout: Checkout, purpose: str) -> str:
    (name,) = (row["id"] for row in checkout.state() if row["urn"].endswith(f"s3/bucket:Bucket::{purpose}"))
    return str(name)


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


@pytest.fixture(scope="module")
def first(checkout: Checkout) -> str:
    done = checkout.make("up")
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_make_up_ends_with_a_prediction_and_a_summary(first: str, checkout: Checkout) -> None:
    assert prediction(first) == pytest.approx(127, abs=1)
    for word in ("Emulator", "Infrastructure", "Model", "Service", "created", "Next:"):
        assert word in first
    assert "Traceback" not in first


def test_the_emulator_holds_exactly_what_the_state_lists(first: str, checkout: Checkout) -> None:
    assert holds(checkout) == listed(checkout)


def test_make_up_again_changes_nothing_and_restarts_nothing(first: str, checkout: Checkout) -> None:
    before = checkout.emulator().identity, (checkout.files / "processes/groundwork-local-predict.json").read_bytes()
    done = checkout.make("up")
    assert done.returncode == 0, done.stdout
    assert "0 to change" in done.stdout
    assert "is current" in done.stdout
    after = checkout.emulator().identity, (checkout.files / "processes/groundwork-local-predict.json").read_bytes()
    assert after == before


def test_the_app_reads_the_model_and_writes_its_lake_and_nothing_else(first: str, checkout: Checkout) -> None:
    s3 = client(checkout, "s3", **server_keys(checkout))
    data, models = bucket(checkout, "data"), bucket(checkout, "models")
    s3.get_object(Bucket=models, Key="height-weight/current.json")
    s3.put_object(Bucket=data, Key="lake/test.jsonl", Body=b"{}")
    assert refusal(lambda: s3.get_object(Bucket=data, Key="people/manifest.json")) == "AccessDenied"
    assert refusal(lambda: s3.get_object(Bucket=data, Key="lake/test.jsonl")) == "AccessDenied"
    assert refusal(lambda: s3.put_object(Bucket=models, Key="height-weight/x", Body=b"")) == "AccessDenied"
    assert refusal(lambda: s3.put_object(Bucket=data, Key="people/x", Body=b"")) == "AccessDenied"
    assert refusal(s3.list_buckets) == "AccessDenied"
    ecs = client(checkout, "ecs", **server_keys(checkout))
    assert refusal(ecs.list_clusters) == "AccessDeniedException"


def test_each_decision_is_written_down_with_the_statement_that_made_it(first: str, checkout: Checkout) -> None:
    lines = (checkout.files / "emulator/calls.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    mine = [row for row in rows if "groundwork-local-server" in json.dumps(row)]
    assert any("s3:GetObject" in json.dumps(row) and "Allow" in json.dumps(row) for row in mine)
    assert any("Deny" in json.dumps(row) for row in mine)


def test_a_forged_signature_and_an_unknown_key_are_refused(first: str, checkout: Checkout) -> None:
    running = checkout.emulator()
    forged = client(
        checkout, "s3", aws_access_key_id=running.access_key, aws_secret_access_key=running.secret_key + "x"
    )
    assert refusal(forged.list_buckets) == "SignatureDoesNotMatch"
    unknown = client(checkout, "s3", aws_access_key_id="AKIA0000000000000000", aws_secret_access_key="x")
    assert refusal(unknown.list_buckets) == "InvalidAccessKeyId"


def test_a_call_in_clear_and_a_certificate_that_nobody_vouches_for_are_refused(first: str, checkout: Checkout) -> None:
    running = checkout.emulator()
    with pytest.raises((OSError, HTTPClientError)):
        urllib.request.urlopen(running.url.replace("https:", "http:"), timeout=5)
    with pytest.raises(urllib.error.URLError) as caught:
        urllib.request.urlopen(running.url, timeout=5)
    assert isinstance(caught.value.reason, ssl.SSLCertVerificationError)


@pytest.mark.drawn(3)
def test_kills_in_a_row_leave_what_the_next_run_completes(first: str, checkout: Checkout) -> None:
    """Each at a random moment of a run that has something to do: the emulator begins empty."""
    chance = random.Random(int(os.environ.get("KILL_SEED", "20261121")))
    os.kill(checkout.emulator().pid, signal.SIGKILL)
    for _ in range(KILLS):
        process = checkout.script("up")
        time.sleep(chance.uniform(0.5, 6.0))
        process.kill()
        process.wait()
    done = checkout.make("up")
    assert done.returncode == 0, done.stdout
    assert prediction(done.stdout) == pytest.approx(127, abs=1)
    assert holds(checkout) == listed(checkout)


@pytest.mark.drawn(3)
def test_kills_of_both_leave_what_the_next_run_rebuilds_and_it_says_so(first: str, checkout: Checkout) -> None:
    chance = random.Random(7)
    process = checkout.script("up")
    time.sleep(chance.uniform(0.5, 3.0))
    process.kill()
    process.wait()
    os.kill(checkout.emulator().pid, signal.SIGKILL)
    done = checkout.make("up")
    assert done.returncode == 0, done.stdout
    assert "had gone" in done.stdout
    assert prediction(done.stdout) == pytest.approx(127, abs=1)
    assert holds(checkout) == listed(checkout)


@pytest.mark.drawn(3)
def test_an_interrupt_is_answered_with_a_sentence_and_the_next_run_goes_on(first: str, checkout: Checkout) -> None:
    os.kill(checkout.emulator().pid, signal.SIGKILL)
    log = checkout.files / "up.log"
    log.unlink()
    process = checkout.script("up")
    until = time.monotonic() + 60
    while time.monotonic() < until and not (log.exists() and log.stat().st_size):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) in (0, 130)
    assert checkout.make("up").returncode == 0
    assert holds(checkout) == listed(checkout)


def test_the_loop_around_the_model_closes_and_the_model_can_be_taken_back(first: str, checkout: Checkout) -> None:
    done = checkout.make("drift-demo")
    assert done.returncode == 0, done.stdout
    rows = re.findall(
        r"^(as in training|taller people|new model|rolled back) +\d+ +([0-9a-f]{16}) +([\d.]+) lb", done.stdout, re.M
    )
    (_, old, before), (_, still, worse), (_, new, recovered), (_, back, _) = rows
    assert old == still == back != new
    assert float(worse) > 1.25 * float(before)
    assert float(recovered) < 1.1 * float(before)
    assert (checkout.files / "drift-demo.svg").read_text().count("<polyline") == len(rows)


def versions_with(checkout: Checkout, word: bytes) -> list[str]:
    """The objects of the data's bucket that have the word in one of their versions."""
    running, name = checkout.emulator(), bucket(checkout, "data")
    s3 = client(checkout, "s3", aws_access_key_id=running.access_key, aws_secret_access_key=running.secret_key)
    found = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for row in page.get("Versions", []):
            body = s3.get_object(Bucket=name, Key=row["Key"], VersionId=row["VersionId"])["Body"].read()
            found += [row["Key"]] if word in body else []
    return found


def test_one_identity_forgets_a_person_in_lake_and_labels_and_others_may_not(first: str, checkout: Checkout) -> None:
    labels = [key for key in versions_with(checkout, b"Height(Inches)") if key.endswith("/labels.csv")]
    assert labels  # the loop before has learned from some
    running = checkout.emulator()
    s3 = client(checkout, "s3", aws_access_key_id=running.access_key, aws_secret_access_key=running.secret_key)
    table = s3.get_object(Bucket=bucket(checkout, "data"), Key=labels[0])["Body"].read()
    who = table.splitlines()[1].partition(b",")[0]
    assert {key.split("/")[0] for key in versions_with(checkout, who)} == {"people", "lake"}
    (stack,) = [row for row in checkout.state() if row["type"] == "pulumi:pulumi:Stack"]
    place, told = up.Place(running, stack["outputs"]["aws"], REGION), list[str]()
    words = ("forget", who.decode())
    for other in ("server", "workflow"):
        with pytest.raises(processes.ProcessError):
            up.run_job(place, words, told.append, identity=other, assumed_by="ecs-tasks.amazonaws.com")
    answer = up.run_job(place, words, told.append, identity="eraser", assumed_by="ecs-tasks.amazonaws.com")
    assert min(answer["removed"][kind] for kind in ("predictions", "feedback", "labels")) >= 1
    assert answer["models"]
    assert versions_with(checkout, who) == []
    again = up.run_job(place, words, told.append, identity="eraser", assumed_by="ecs-tasks.amazonaws.com")
    assert again["record"] is None


@pytest.mark.drawn(3)
def test_a_service_that_died_is_started_again(first: str, checkout: Checkout) -> None:
    record = json.loads((checkout.files / "processes/groundwork-local-predict.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    done = checkout.make("up")
    assert "restarted" in done.stdout
    assert "0 to change" in done.stdout


@pytest.mark.drawn(3)
def test_your_own_table_makes_another_model(first: str, checkout: Checkout) -> None:
    rows = "".join(f"{60 + n % 20},{2 * (60 + n % 20) + n % 3}\n" for n in range(500))
    (checkout.root / "people.csv").write_text("height,weight\n" + rows)
    done = checkout.make("up", "DATA=people.csv")
    assert done.returncode == 0, done.stdout
    assert prediction(done.stdout) == pytest.approx(137, abs=1)
    assert "0 to change" in done.stdout


def test_make_down_leaves_no_process_and_no_resource(first: str, checkout: Checkout) -> None:
    emulator_pid = checkout.emulator().pid
    record = json.loads((checkout.files / "processes/groundwork-local-predict.json").read_text())
    done = checkout.make("down")
    assert done.returncode == 0, done.stdout
    assert "the emulator is as a fresh one" in done.stdout
    assert re.search(r"key [0-9a-f-]{36} .*pending deletion", done.stdout)
    assert checkout.state() == []
    for pid in (emulator_pid, record["pid"]):
        assert pids.start_time(pid) is None, "it runs still"
    assert checkout.make("down").returncode == 0
