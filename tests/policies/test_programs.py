"""Programs as people write them: what is unsound is stopped, and SARIF points at its line; what is sound stays green.

A program of `programs/` is planned for no account at all. In it, `# unsound: TOPIC` marks the line of a declaration
that must be stopped.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from policies import evidence, own
from policies.check import Report, check
from policies.report import sarif
from tests.localcloud import emulated
from tests.policies.samples import TODAY, waivers

pytestmark = pytest.mark.drawn(4)
ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
PACK = ROOT / "policies" / "pack"
SCANNERS = ROOT / ".venv-scanners"
SETTINGS = {"aws:region": "us-east-1", "gcp:project": "planned", "gcp:region": "europe-west1"}
CLOUDS = ("aws", "azure", "gcp", "kubernetes")
MARK = re.compile(r"[(\w)]  # unsound: (.+)")
MARKED = [
    (cloud, match[1], number)
    for cloud in CLOUDS
    for number, line in enumerate((PROGRAMS / f"{cloud}_unsound.py").read_text().splitlines(), 1)
    if (match := MARK.search(line))
]
TOPICS = {"ssh", "public", "star", "privileged", "OIDC", "latest", "mutable"}


def project(directory: Path, program: str, **settings: str) -> Path:
    """A project of this program, with the stack `dev`."""
    (directory / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (directory / "Pulumi.dev.yaml").write_text(json.dumps({"config": SETTINGS | settings}))
    (directory / "__main__.py").write_text((PROGRAMS / f"{program}.py").read_text())
    return directory


def localcloud(command: str, directory: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "localcloud", command, "-C", str(directory), "-s", "dev", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, **environment, "PULUMI_CONFIG_PASSPHRASE": "test"},
        check=False,
    )


@cache
def planned(program: str, directory: Path) -> dict[str, Any]:
    done = localcloud("plan", project(directory, program), "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(name="plan", scope="module")
def _plan(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folders: dict[str, Path] = {}

    def plan(program: str) -> dict[str, Any]:
        if program not in folders:
            folders[program] = tmp_path_factory.mktemp(program)
        return planned(program, folders[program])

    return plan


def judged(document: dict[str, Any], directory: Path) -> Report:
    return check({"plan.json": document}, waivers(directory), TODAY, {own.TOOL: own.assess})


def test_every_topic_is_tried_on_every_cloud_that_has_it() -> None:
    tried = {(cloud, word) for cloud, topic, _ in MARKED for word in topic.split() if word in TOPICS}
    without = {
        ("gcp", "privileged"),  # Cloud Run has no privileged containers; GKE's are Kubernetes'
        ("azure", "mutable"),  # a registry of Azure locks tags one by one, at run time
        ("kubernetes", "public"),
        ("kubernetes", "OIDC"),
        ("kubernetes", "mutable"),
    }
    assert tried == {(cloud, topic) for cloud in CLOUDS for topic in TOPICS} - without


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("cloud", "topic", "line"), MARKED)
def test_an_unsound_declaration_is_stopped_and_sarif_points_at_its_line(
    plan: Any, tmp_path: Path, cloud: str, topic: str, line: int
) -> None:
    report = judged(plan(f"{cloud}_unsound"), tmp_path)
    assert not report.passed
    (run,) = json.loads(sarif.render(report))["runs"]
    places = [row["locations"][0]["physicalLocation"] for row in run["results"] if row["level"] == "error"]
    assert {"artifactLocation": {"uri": "__main__.py"}, "region": {"startLine": line}} in places, topic


@pytest.mark.sampled(2)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_nothing_else_of_an_unsound_program_is_stopped(plan: Any, tmp_path: Path, cloud: str) -> None:
    report = judged(plan(f"{cloud}_unsound"), tmp_path)
    marked = {line for name, _, line in MARKED if name == cloud}
    beside = {(row.policy, row.line) for row in report.findings if report.blocks(row)}
    assert {line for _, line in beside} <= marked, beside


@pytest.mark.sampled(2)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_sound_program_stays_green(plan: Any, tmp_path: Path, cloud: str) -> None:
    report = judged(plan(f"{cloud}_sound"), tmp_path)
    assert [(row.policy, row.line, row.message) for row in report.findings if report.blocks(row)] == []
    assert report.passed
    assert len(report.findings) >= 15


@pytest.mark.sampled(2)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_pack_stops_each_unsound_declaration_over_the_real_protocol(plan: Any, tmp_path: Path, cloud: str) -> None:
    lines = {row["source"]["line"]: row["name"] for row in plan(f"{cloud}_unsound")["resources"] if row["source"]}
    done = localcloud("plan", project(tmp_path, f"{cloud}_unsound"), "--policy-pack", str(PACK))
    assert done.returncode == 1
    stopped = set(re.findall(r"mandatory GW-[A-Z0-9]+-\d+ on (.+?):", done.stderr))
    assert {lines[line] for name, _, line in MARKED if name == cloud} <= stopped, done.stderr
    assert "Stopped by" in done.stderr
    assert done.stdout == ""


@pytest.mark.sampled(2)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_pack_lets_a_sound_program_through(tmp_path: Path, cloud: str) -> None:
    done = localcloud("plan", project(tmp_path, f"{cloud}_sound"), "--policy-pack", str(PACK))
    assert done.returncode == 0, done.stderr
    assert "mandatory" not in done.stderr


UPDATE = """
import json

import pulumi_aws as aws

STATEMENT = {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::data-of-the-shop/*"}
CLOSED = {"Effect": "Deny", "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
OPEN = {"Effect": "Allow", "Principal": "*"}

bucket = aws.s3.Bucket("data", bucket="data-of-the-shop")
policy = json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT | WHICH]})
aws.s3.BucketPolicy("data", bucket=bucket.id, policy=policy)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "level", "stopped"),
    [("CLOSED", "mandatory", False), ("OPEN", "mandatory", True), ("OPEN", "advisory", False)],
)
def test_a_violation_stops_an_update_before_the_first_change(
    tmp_path: Path, which: str, level: str, stopped: bool
) -> None:
    config = tmp_path / "levels.json"
    config.write_text(json.dumps({"GW-AWS-021": level}))
    with emulated.running(tmp_path / "emulator") as cloud:
        endpoints = json.dumps([{"s3": cloud.url, "sts": cloud.url}])
        directory = project(tmp_path, "aws_sound", **{"aws:endpoints": endpoints, "aws:s3UsePathStyle": "true"})
        (directory / "__main__.py").write_text(UPDATE.replace("WHICH", which))
        options = ("--policy-pack", str(PACK), "--policy-pack-config", str(config))
        done = localcloud("up", directory, *options, **cloud.environment())
        buckets = emulated.client(cloud, "s3").list_buckets()["Buckets"]
    assert done.returncode == int(stopped), done.stderr
    assert len(buckets) == (0 if stopped else 1)
    assert ("Nothing was changed: the preview failed" in done.stderr) is stopped
    assert (f"{level} GW-AWS-021 on data" in done.stderr) is (which == "OPEN")


@pytest.mark.slow
@pytest.mark.skipif(not SCANNERS.exists(), reason="the scanners are not installed: make install-scanners")
def test_two_runs_with_every_tool_differ_in_the_time_alone(plan: Any, tmp_path: Path) -> None:
    plans = []
    for cloud in ("aws", "azure", "gcp"):
        text = json.dumps(plan(f"{cloud}_unsound")).replace("urn:pulumi:dev::", f"urn:pulumi:{cloud}::")
        plans.append(str(tmp_path / f"{cloud}.json"))
        Path(plans[-1]).write_text(json.dumps(json.loads(text) | {"stack": cloud}))
    for name in ("first", "second"):
        command = [sys.executable, "-m", "policies", "check", *plans, "--out", str(tmp_path / name)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stderr
        assert "assessed nothing" not in done.stdout
        assert evidence.verify(tmp_path / name) == []
    for name in evidence.RENDERINGS:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name
    first, second = (json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("first", "second"))
    assert {key for key in first if first[key] != second[key]} == {"made"}
    assert {"checkov", "groundwork", "parliament"} <= first["tools"].keys()
