"""How fast localcloud is, in ratios of one run (make bench-engine): `python -m tests.localcloud.bench [SIZE…]`.

`plan` against `cdk synth` of the same resources, where $CDK and $CDK_PYTHON name both; `up` of the full local stack
against the very same boto3 calls replayed bare, one after the other, on an emulator as fresh; the second `up` against
the first; and how time and memory grow with the number of resources, on a cloud in memory.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from localcloud import emulator
from tests.policies.bench import Run, measured

ROOT = Path(__file__).parents[2]
STACKS, RESOURCES = 3, 180
SIZES = (100, 1000, 5000)
ROUNDS = 3  # the fastest counts: the machine does other things, too

PULUMI = f"""
import pulumi, pulumi_aws as aws
for n in range({RESOURCES // 6}):
    key = aws.kms.Key(f"key-{{n}}", description=f"key {{n}}", enable_key_rotation=True)
    aws.s3.Bucket(f"bucket-{{n}}", bucket=f"{{pulumi.get_stack()}}-bucket-{{n}}", tags={{"owner": "me"}})
    aws.sqs.Queue(f"queue-{{n}}", kms_master_key_id=key.key_id)
    aws.sns.Topic(f"topic-{{n}}", kms_master_key_id=key.arn)
    aws.cloudwatch.LogGroup(f"log-{{n}}", retention_in_days=30, kms_key_id=key.arn)
    aws.ssm.Parameter(f"parameter-{{n}}", type="String", value=key.arn)
"""
CDK = f"""
import aws_cdk as cdk
from aws_cdk import aws_kms as kms, aws_logs as logs, aws_s3 as s3, aws_sns as sns, aws_sqs as sqs, aws_ssm as ssm
app = cdk.App()
for name in {[f"s{n}" for n in range(STACKS)]}:
    stack = cdk.Stack(app, name)
    for n in range({RESOURCES // 6}):
        key = kms.CfnKey(stack, f"key-{{n}}", description=f"key {{n}}", enable_key_rotation=True)
        owner = cdk.CfnTag(key="owner", value="me")
        s3.CfnBucket(stack, f"bucket-{{n}}", bucket_name=f"{{name}}-bucket-{{n}}", tags=[owner])
        sqs.CfnQueue(stack, f"queue-{{n}}", kms_master_key_id=key.ref)
        sns.CfnTopic(stack, f"topic-{{n}}", kms_master_key_id=key.attr_arn)
        logs.CfnLogGroup(stack, f"log-{{n}}", retention_in_days=30, kms_key_id=key.attr_arn)
        ssm.CfnParameter(stack, f"parameter-{{n}}", type="String", value=key.attr_arn)
app.synth()
"""


def fastest(command: list[str], environment: dict[str, str]) -> Run:
    """The fastest of some runs."""
    return min((measured(command, environment) for _ in range(ROUNDS)), key=lambda run: run.seconds)


def say(text: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def told(what: str, run: Run) -> None:
    """Prints a line on a run."""
    say(f"{what:58}{run.seconds:8.2f} s{run.memory:8.0f} MiB")


def planning(work: Path) -> None:
    """`plan` of the stacks against `cdk synth` of the same."""
    program = work / "plan"
    program.mkdir()
    (program / "Pulumi.yaml").write_text("name: bench\nruntime: python\n", encoding="utf-8")
    (program / "__main__.py").write_text(PULUMI, encoding="utf-8")
    stacks = [f"s{number}" for number in range(STACKS)]
    for stack in stacks:
        (program / f"Pulumi.{stack}.yaml").write_text("config:\n  aws:region: eu-west-1\n", encoding="utf-8")
    words = [word for stack in stacks for word in ("-s", stack)]
    plan = fastest([sys.executable, "-m", "localcloud", "plan", "-C", str(program), *words], dict(os.environ))
    told(f"plan of {STACKS} stacks of {RESOURCES} resources", plan)
    if "CDK" not in os.environ:
        return
    app = work / "app.py"
    app.write_text(CDK, encoding="utf-8")
    command = [os.environ["CDK"], "synth", "--quiet", "--app", f"{os.environ['CDK_PYTHON']} {app}"]
    synth = fastest([*command, "--output", str(work / "cdk.out")], {**os.environ, "CDK_DISABLE_CLI_TELEMETRY": "true"})
    told("cdk synth of the same, in Python", synth)
    made = [json.loads(path.read_text())["Resources"] for path in (work / "cdk.out").glob("s*.template.json")]
    numbers = sum(row["Type"] != "AWS::CDK::Metadata" for rows in made for row in rows.values())
    say(f"  {synth.seconds / plan.seconds:.1f} times faster, of {numbers} resources of both\n")


def replaying(work: Path) -> None:
    """The first and the second `up` of the local stack, and the calls of the first replayed bare."""
    turns = [_turn(work / str(number)) for number in range(ROUNDS)]
    first = min((up for up, _ in turns), key=lambda found: found["seconds"][0])
    bare = min((replayed for _, replayed in turns), key=lambda found: found["seconds"])
    say(f"{'first up of the local stack':58}{first['seconds'][0]:8.2f} s{first['memory']:8.0f} MiB")
    say(f"{'second up, nothing changed':58}{first['seconds'][1]:8.2f} s")
    say(f"{str(bare['calls']) + ' boto3 calls of the first, replayed bare':58}{bare['seconds']:8.2f} s")
    say(
        f"  first up / bare {first['seconds'][0] / bare['seconds']:.2f}, second / first "
        f"{first['seconds'][1] / first['seconds'][0]:.2f}; answered otherwise in the replay: {bare['otherwise']}\n"
    )


def _turn(work: Path) -> tuple[Any, Any]:
    """Both runs of `up` in a new project, and the replay."""
    project, calls = work / "project", work / "calls.pickle"
    project.mkdir(parents=True)
    for name in ("stacks", "infra", "app"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ROOT.glob("Pulumi*.yaml"):
        shutil.copy(file, project)
    return _child(work / "first", "up", str(project), str(calls)), _child(work / "bare", "replay", str(calls))


def _child(directory: Path, *words: str) -> Any:
    """What a process of its own answers, with an emulator as fresh."""
    running = emulator.start(directory)
    try:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment = {**kept, **running.environment()}
        command = [sys.executable, "-m", "tests.localcloud.bench_calls", running.url, *words]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])
    finally:
        emulator.stop(directory)


def growing(sizes: list[int]) -> None:
    """preview, up and second up of more and more resources, a tenth of them components."""
    say(f"{'resources, cloud in memory':30}{'preview':>10}{'up':>10}{'second up':>12}{'memory':>12}")
    for size in sizes:
        command = [sys.executable, "-m", "tests.localcloud.bench_calls", "", "grow", str(size)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        times = [f"{seconds:8.2f} s" for seconds in found["seconds"]]
        say(f"{size:<30}{times[0]}{times[1]}  {times[2]}{found['memory']:8.0f} MiB")


def main() -> None:
    """Measures all, and prints a line each."""
    with tempfile.TemporaryDirectory() as directory:
        planning(Path(directory))
        replaying(Path(directory))
    growing([int(word) for word in sys.argv[1:]] or list(SIZES))


if __name__ == "__main__":
    main()
