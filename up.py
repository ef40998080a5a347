"""`make up`, `make down`, `make preview`: the local environment, from nothing to a prediction and back.

The one place that strings the rooms together: the emulator comes up, the program in stacks/ is applied to it, the
model is trained and published, the deployed service runs as a process, and a prediction is asked for.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports, Ctrl-C ends it, and no traceback is shown

import argparse
import gc
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console, RenderableType
from rich.text import Text

from app.release import code_hash
from localcloud import display, emulator, operations, processes
from localcloud.__main__ import providers
from localcloud.aws import RECORDED
from localcloud.aws.remains import remains
from localcloud.errors import LocalcloudError
from localcloud.events import Event
from localcloud.processes import Command
from localcloud.project import Project, load
from localcloud.steps import Step, Steps
from localcloud.values import reveal

ROOT = Path(__file__).resolve().parent
STACK = "local"
FILES = ROOT / ".localcloud"
EMULATOR, PROCESSES, EVENTS = FILES / "emulator", FILES / "processes", FILES / "up.log"
HEIGHT = 68  # inches
READY_SECONDS = 30.0
SHOWN = 7  # services that the summary names
APP = (sys.executable, "-m", "app")


def main() -> int:
    """Runs one command. 0: done; 1: an error, told in a sentence; 130: Ctrl-C."""
    parser = argparse.ArgumentParser(prog="up.py", description="The local environment.")
    parser.add_argument("command", choices=("up", "down", "preview"))
    parser.add_argument("--data", type=Path, help="your own table of heights and weights, as CSV")
    parser.add_argument("--port", type=int, help="a port for the service, if that of Pulumi.local.yaml is taken")
    options = parser.parse_args()
    command = {"up": up, "down": down, "preview": preview}[options.command]
    return run(lambda steps: command(steps, options))


def run(command: Callable[[Steps], RenderableType]) -> int:
    """Runs what shows steps and returns what is printed at the end; errors are told as `main` says."""
    signal.signal(signal.SIGTERM, _interrupt)
    FILES.mkdir(mode=0o700, exist_ok=True)
    try:
        with Steps() as steps:
            summary = command(steps)
        Console(highlight=False).print(summary, soft_wrap=True)  # steps and errors go to standard error
    except (LocalcloudError, BotoCoreError, ClientError) as error:
        steps.console.print(Text(f"\nerror: {error}", style="red"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        steps.console.print("\nStopped. What was done is kept; the same command goes on from there.")
        return 130
    return 0


class Place(NamedTuple):
    """Where the environment is: its emulator, and what the program put out for AWS."""

    running: emulator.Emulator
    found: dict[str, Any]
    region: str


class Environment(NamedTuple):
    """The local environment as it runs, with the deployed service and the model that it serves."""

    place: Place
    result: operations.Result
    model: dict[str, Any]
    task: processes.Task


def bring_up(steps: Steps, options: argparse.Namespace) -> Environment:
    """Emulator, infrastructure, model and service, each from where it stands."""
    if options.data is not None and not options.data.is_file():
        raise LocalcloudError(f"There is no file {options.data}. Name a CSV of heights and weights: make up DATA=FILE")
    running = _emulator(steps)
    project = _project(running, options)
    with steps.step("Infrastructure") as step:
        tell, log = display.tellers(step, EVENTS)
        result = operations.up(project, providers(), tell, log, refresh=True)
        step.say(display.summary(result, dry_run=False))
    found = reveal(result.outputs)["aws"]
    region = json.loads(project.config["groundwork:aws"])["region"]
    place = Place(running, found, region)
    model = _train(steps, place, options.data)
    return Environment(place, result, model, _serve(steps, place, model["version"]))


def up(steps: Steps, options: argparse.Namespace) -> Text:
    """The whole path; returns the summary."""
    place, result, model, task = bring_up(steps, options)
    with steps.step("Prediction") as step:
        answer = _predict(task)
        step.say(f"{json.loads(answer)['weight']} lb for {HEIGHT} in")
    with steps.step("Access") as step:
        rows = _tried(place)
        step.say(f"{sum(row.allowed for row in rows)} calls allowed, {sum(not row.allowed for row in rows)} refused")
    return _summary(place.running.url, result, task, model=model, answer=answer, rows=rows)


def down(steps: Steps, options: argparse.Namespace) -> Text:
    """Destroys the stack, shows that nothing is left, and stops every process."""
    with steps.step("Service") as step:
        stopped = processes.stop_all(PROCESSES)
        step.say(f"{len(stopped)} stopped" if stopped else "was not running")
    running = _emulator(steps)
    project = _project(running, options)
    with steps.step("Infrastructure") as step:
        result = operations.destroy(project, providers(), display.tellers(step, EVENTS)[0], refresh=True)
        step.say(display.summary(result, dry_run=False))
    with steps.step("Nothing left") as step:
        region = json.loads(project.config["groundwork:aws"])["region"]
        left, kept = remains(region)
        if left:
            names = ", ".join(f"{display.short(token)} {id_}" for token, id_ in left)
            raise LocalcloudError(f"The emulator still holds {names}. Run `make down` again, or `make clean`.")
        step.say("the emulator is as a fresh one" + (", but for what AWS keeps" if kept else ""))
    with steps.step("Emulator") as step:
        emulator.stop(EMULATOR)
        step.say("stopped")
    return Text(
        "".join(f"\n  kept, as AWS does   {line}" for line in kept) + "\n\nEverything is down. Up again: make up"
    )


def preview(steps: Steps, options: argparse.Namespace) -> Text:
    """What `up` would change in the emulator; returns it line by line."""
    running = _emulator(steps)
    lines: list[str] = []

    def tell(event: Event) -> None:
        lines.extend(display.event_lines(event, dry_run=True))

    with steps.step("Infrastructure") as step:
        step.say("comparing the program with the emulator")
        _, log = display.tellers(step, EVENTS)
        result = operations.preview(_project(running, options), providers(), tell, log, refresh=True)
        step.say(display.summary(result, dry_run=True))
    return Text("\n".join(["", *lines] if lines else ["", "Nothing would change."]))


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _project(running: emulator.Emulator, options: argparse.Namespace) -> Project:
    """The stack, with what only this machine knows: where the emulator is, and which release of the app this is."""
    settings = [f"groundwork:aws.endpoint={running.url}", f"groundwork:release={code_hash()}"]
    settings += [f"groundwork:port={options.port}"] if options.port else []
    return load(ROOT, STACK, settings, paths=True)


def _emulator(steps: Steps) -> emulator.Emulator:
    """The emulator, with this process as its administrator, whatever credentials lie around."""
    with steps.step("Emulator") as step:
        step.say("starting Moto behind the gate")
        running = emulator.start(EMULATOR)
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(running.environment())
        step.say(f"{running.url}, {'started empty' if running.started else 'was running'}")
        return running


def run_job(
    place: Place,
    words: tuple[str, ...],
    on_line: Callable[[str], None],
    *,
    identity: str = "trainer",
    assumed_by: str = "ec2.amazonaws.com",
    lake: bool = True,
) -> dict[str, Any]:
    """Runs a command of the app as the role of an identity, on the environment's stores; returns its answer."""
    from stacks.environment import LAKE, MODEL, PEOPLE  # noqa: PLC0415 - the program's own room; Pulumi is loaded by now

    stores = place.found["stores"]
    environment = {
        "DATA_STORE": f"s3://{stores['data']}/{PEOPLE}",
        "MODEL_STORE": f"s3://{stores['models']}/{MODEL}",
    } | ({"LAKE": f"s3://{stores['data']}/{LAKE}"} if lake else {})
    printed = processes.run(
        place.running,
        Command((*APP, *words), ROOT),
        role_arn=place.found["identities"][identity],
        assumed_by=assumed_by,
        region=place.region,
        environment=environment,
        on_line=on_line,
    )
    # The last line is the command's answer; before it, there may be events.
    answer: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return answer


def _train(steps: Steps, place: Place, data: Path | None) -> dict[str, Any]:
    """The model that is served: the current one, or one trained, evaluated and published as the trainer's role.

    A current model stays, whatever the lake has learned since: to retrain it is the workflow's work, not this one's.
    """
    with steps.step("Model") as step:
        shown = None if data else _current(place, step)
        if shown:
            step.say(f"{shown['version']} is current: {shown['rmse']:.1f} lb rmse on {shown['rows']} held-out rows")
            return shown
        for job in ("train", "evaluate", "publish"):
            step.say(job)
            words = (job, *(("--data", str(data.resolve())) if job == "train" and data else ()))
            answer = run_job(place, words, step.say, lake=False)
        shown = _current(place, step)
        if shown is None:
            raise LocalcloudError(f"No model can be served: {answer['why']}")
        step.say(
            f"{shown['version']} {'published' if answer['created'] else 'stays'}: "
            f"{shown['rmse']:.1f} lb rmse on {shown['rows']} held-out rows"
        )
    return shown


def _current(place: Place, step: Step) -> dict[str, Any] | None:
    """The published model with its data and error; None if there is none that can be read and was evaluated."""
    try:
        shown = run_job(place, ("models", "show"), lambda _line: step.say("looking for one"))
    except processes.ProcessError:
        return None
    if shown["evaluation"] is None:
        return None
    return {
        "version": shown["version"],
        "data_version": shown["manifest"]["data"]["version"],
        "rmse": shown["evaluation"]["metrics"]["rmse"],
        "rows": shown["evaluation"]["rows"],
    }


def _serve(steps: Steps, place: Place, version: str) -> processes.Task:
    """The deployed service as a process, ready to predict with this version of the model."""
    repository = place.found["registry"].partition("/")[2]
    service = place.found["service"]
    with steps.step("Service") as step:
        try:
            task = processes.start(
                PROCESSES,
                place.running,
                cluster=service["cluster"],
                service=service["name"],
                region=place.region,
                images={repository: Command((*APP, "serve"), ROOT)},
            )
        except processes.PortInUseError as error:
            raise LocalcloudError(f"{error} Another port: make up PORT=8090") from None
        step.say(f"{task.url}  waiting until it is ready")
        wait_until_ready(task, version)
        step.say(f"{task.url}, {'was running' if task.happened == 'running' else task.happened}")
    return task


def wait_until_ready(task: processes.Task, version: str) -> None:
    """Waits until it serves this version of the model; a service that was running looks for a new one in turns."""
    deadline = time.monotonic() + READY_SECONDS
    reason = "it does not answer"
    while time.monotonic() < deadline:
        try:
            get(f"{task.url}/readyz")
            serving = json.loads(get(f"{task.url}/version"))["model"]["version"]
            if serving == version:
                return
            reason = f"it still serves model {serving}, not {version}"
        except urllib.error.HTTPError as error:
            reason = error.read(2000).decode(errors="replace").strip()
        except OSError as error:
            reason = str(error)
        if processes.ended(task):
            last = task.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise LocalcloudError(f"The service ended before it was ready: {' '.join(last)} (all of it: {task.log})")
        time.sleep(0.05)
    raise LocalcloudError(f"The service was not ready after {READY_SECONDS:.0f} s: {reason}. Its log: {task.log}")


def get(url: str) -> bytes:
    """What the service answers. Raises OSError."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy gets to see what is meant for us
    with direct.open(url, timeout=2) as answer:
        content: bytes = answer.read()
    return content


def _predict(task: processes.Task) -> str:
    """The answer of make_prediction.sh, the very command that a user types."""
    done = subprocess.run(
        ["./make_prediction.sh", str(HEIGHT), task.url], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LocalcloudError(f"The prediction failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


class Tried(NamedTuple):
    """One call that was tried as the app, and whether it was let through."""

    what: str
    allowed: bool


def _tried(place: Place) -> list[Tried]:
    """What the app's own role can and cannot do: each is a call made with its credentials. Nothing is left behind."""
    from stacks.environment import LAKE, MODEL, PEOPLE  # noqa: PLC0415 - the program's own room; Pulumi is loaded by now

    got = processes.credentials(
        place.running, place.found["identities"]["server"], processes.TASKS, "access", place.region
    )
    s3 = boto3.client("s3", region_name=place.region, **processes.session_keys(got))
    stores = place.found["stores"]

    def write(bucket: str, key: str) -> None:
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]  # needs what PutObject needs
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)

    calls: list[tuple[str, Callable[[], Any]]] = [
        (f"read models/{MODEL}", lambda: s3.get_object(Bucket=stores["models"], Key=f"{MODEL}current.json")),
        (f"write data/{LAKE}", lambda: write(stores["data"], f"{LAKE}access")),
        (f"read data/{PEOPLE}", lambda: s3.list_objects_v2(Bucket=stores["data"], Prefix=PEOPLE)),
        (f"write models/{MODEL}", lambda: write(stores["models"], f"{MODEL}current.json")),
        ("read audit/", lambda: s3.list_objects_v2(Bucket=stores["audit"])),
        (f"delete data/{LAKE}", lambda: s3.delete_object(Bucket=stores["data"], Key=f"{LAKE}access")),
    ]
    return [Tried(what, _allowed(call)) for what, call in calls]


def _allowed(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False
    return True


def _summary(
    url: str, result: operations.Result, task: processes.Task, *, model: dict[str, Any], answer: str, rows: list[Tried]
) -> Text:
    rows_of_aws = [row for row in result.resources if row.type.startswith("aws:")]
    kinds = Counter(display.short(row.type).split(":")[1] for row in rows_of_aws)
    recorded = Counter(display.short(row.type) for row in rows_of_aws if row.type in RECORDED)
    text = Text("\n")
    for title, value in (
        ("Prediction", f"{HEIGHT} in → {answer}"),
        ("Service", f"{task.url}   a page to try it on; /docs says what else it answers"),
        ("Model", f"{model['version']}, trained on data {model['data_version']}"),
        ("AWS, emulated", f"{url}   {kinds.total()} resources: {_counted(kinds)}"),
        ("noted alone", f"{_counted(recorded)}: in the state and nowhere else, as the emulator has nothing like it"),
        ("The app may", "; ".join(row.what for row in rows if row.allowed)),
        ("and may not", "; ".join(row.what for row in rows if not row.allowed)),
    ):
        text.append(f"  {title:15}", style="bold").append(f"{value}\n")
    return text.append("\n  Next: ./make_prediction.sh 70    make drift-demo    make preview    make down")


def _counted(kinds: Counter[str]) -> str:
    """The most frequent first, and how many there are of the others."""
    shown = [f"{count} {kind}" for kind, count in kinds.most_common(SHOWN)]
    others = kinds.total() - sum(count for _, count in kinds.most_common(SHOWN))
    return ", ".join(shown) + (f", {others} of {len(kinds) - SHOWN} others" if others else "")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()  # one short run: looking for garbage took a quarter of it, and found none worth having
    sys.exit(main())
