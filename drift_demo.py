"""`make drift-demo`: on the running local environment, the loop around the model closes by itself.

People as in the training data are asked about, then people of another kind; their true weights come back. The commands
of the retraining workflow run as its own role: drift sees it, a model is trained, judged and published, the service
takes it up while it answers, and accuracy recovers. Then the model is taken back.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports, Ctrl-C ends it, and no traceback is shown

import argparse
import gc
import json
import math
import random
import re
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Group
from rich.table import Table
from rich.text import Text

import up
from app import dataset
from localcloud.errors import LocalcloudError
from localcloud.steps import Steps

CALLS, CALL = 5, 20  # calls of a batch, and people of a call: of one call, training takes no more rows
BATCH = CALLS * CALL
AGREE = 30
LAKE_SECONDS = 60.0  # that what was told may take to the lake
TASKS = "ecs-tasks.amazonaws.com"
PICTURE = up.FILES / "drift-demo.svg"


class People(NamedTuple):
    """A kind of people, by how it differs from the training data: inches taller, and pounds more for each inch."""

    taller: float
    heavier: float


class Phase(NamedTuple):
    """A stretch of the story: what it is called, who is asked about, in how many batches."""

    name: str
    people: People
    batches: int


AS_TRAINED, SHIFTED = People(0.0, 0.0), People(4.0, 3.0)
BEFORE = Phase("as in training", AS_TRAINED, 10)
DRIFTED = Phase("taller people", SHIFTED, 20)
RETRAINED = Phase("new model", SHIFTED, 10)
ROLLED_BACK = Phase("rolled back", SHIFTED, 5)


class Seen(NamedTuple):
    """What one phase showed: the model that answered, and the error of each of its batches, in pounds (rmse)."""

    phase: Phase
    model: str
    errors: list[float]

    @property
    def rmse(self) -> float:
        """The error over all batches, which are of one size."""
        return math.sqrt(sum(error * error for error in self.errors) / len(self.errors))


def main() -> int:
    """Runs the story. 0: the loop closed; 1: it did not, or an error, told in a sentence; 130: Ctrl-C."""
    parser = argparse.ArgumentParser(prog="drift_demo.py", description=str(__doc__).splitlines()[0])
    parser.add_argument("--port", type=int, help="the port that the service was brought up on")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where the plot is written (%(default)s)")
    options = parser.parse_args(namespace=argparse.Namespace(data=None))
    return up.run(lambda steps: story(steps, options))


def story(steps: Steps, options: argparse.Namespace) -> Group:
    """All of it, from a running environment to the rolled back model; returns what is printed at the end.

    Raises LocalcloudError where a link of the loop does not hold.
    """
    place = up.bring_up(steps, options)
    before = _written(place)
    chance = random.Random(time.time_ns())  # noqa: S311 - people are drawn, nothing is secret
    seen = [_live(steps, place, BEFORE, chance)]
    calm = _judged(steps, place, before + _records(BEFORE))
    seen.append(_live(steps, place, DRIFTED, chance))
    found = _judged(steps, place, before + _records(BEFORE) + _records(DRIFTED))
    if not found["rebuild"]:
        raise LocalcloudError(f"Drift was not noticed: {json.dumps(found)}")
    for job in ("train", "evaluate"):
        _job(steps, place, job)
    published = _job(steps, place, "publish")
    if not published["created"]:
        raise LocalcloudError(f"The new model was not published: {published.get('why')}")
    _taken_up(steps, place, published["version"])
    seen.append(_live(steps, place, RETRAINED, chance))
    _taken_up(steps, place, _job(steps, place, "models", "rollback")["version"])
    seen.append(_live(steps, place, ROLLED_BACK, chance))
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    options.picture.write_text(picture(seen), encoding="utf-8")
    if not seen[2].rmse < (seen[0].rmse + seen[1].rmse) / 2:
        raise LocalcloudError(f"Accuracy did not recover: {_figures(seen)}. The plot: {options.picture}")
    return _told(seen, (calm, found), options.picture)


def _live(steps: Steps, place: up.Environment, phase: Phase, chance: random.Random) -> Seen:
    """Asks about the people of a phase, and tells their true weights."""
    errors: list[float] = []
    models: set[str] = set()
    with steps.step(phase.name.capitalize()) as step:
        for _ in range(phase.batches):
            squares: list[float] = []
            for _call in range(CALLS):
                people = population(phase.people, CALL, chance)
                answer = _post(f"{place.task.url}/predict", {"heights": [height for height, _ in people]})
                weights = [weight for _, weight in people]
                _post(f"{place.task.url}/feedback", {"id": answer["id"], "weights": weights})
                squares += [(ours - true) ** 2 for ours, true in zip(answer["weights"], weights, strict=True)]
                models.add(answer["model"])
            errors.append(math.sqrt(math.fsum(squares) / BATCH))
            step.say(f"{len(errors) * BATCH} people, {errors[-1]:.1f} lb rmse")
        if len(models) != 1:
            raise LocalcloudError(
                f"More than one model answered while nothing was published: {', '.join(sorted(models))}."
            )
        seen = Seen(phase, models.pop(), errors)
        step.say(f"{phase.batches * BATCH} people, model {seen.model}: {seen.rmse:.1f} lb rmse")
    return seen


def population(people: People, count: int, chance: random.Random) -> list[tuple[float, float]]:
    """Heights (inches) and weights (pounds) of people drawn as the training data is, moved by `people`."""
    slope = dataset.CORRELATION * dataset.WEIGHT_SD / dataset.HEIGHT_SD
    spread = dataset.WEIGHT_SD * math.sqrt(1 - dataset.CORRELATION**2)
    found = []
    for _ in range(count):
        height = chance.gauss(dataset.HEIGHT_MEAN + people.taller, dataset.HEIGHT_SD)
        line = dataset.WEIGHT_MEAN + (slope + people.heavier) * (height - dataset.HEIGHT_MEAN)
        found.append((round(height, 2), round(chance.gauss(line, spread), 2)))
    return found


def _job(steps: Steps, place: up.Environment, *words: str) -> dict[str, Any]:
    """Runs a step of the retraining workflow, or what a person would type, as the workflow's role."""
    said: list[str] = []
    with steps.step(" ".join(words).capitalize()) as step:
        answer = up.run_job(place.place, words, said.append, identity="workflow", assumed_by=TASKS)
        step.say(next((line for line in reversed(said) if line), ""))
    return answer


def _judged(steps: Steps, place: up.Environment, records: int) -> dict[str, Any]:
    """What `drift` says once the lake has so many records more: they travel in batches, in the background."""
    with steps.step("Lake") as step:
        deadline = time.monotonic() + LAKE_SECONDS
        while (waiting := records - _written(place)) > 0:
            if time.monotonic() > deadline:
                raise LocalcloudError(f"{waiting} records did not come to the lake in {LAKE_SECONDS:.0f} s.")
            step.say(f"{waiting} records are under way")
            time.sleep(0.2)
        step.say("has every prediction and every true weight")
    return _job(steps, place, "drift")


def _records(phase: Phase) -> int:
    """What a phase leaves in the lake: one record a call, and one a true weight."""
    return phase.batches * (CALLS + BATCH)


def _written(place: up.Environment) -> int:
    """The records that the service has written to the lake since it was started."""
    shown = up.get(f"{place.task.url}/metrics").decode()
    found = re.search(r'^lake_records_total\{outcome="written"\} (\S+)$', shown, re.MULTILINE)
    return int(float(found[1])) if found else 0


def _taken_up(steps: Steps, place: up.Environment, version: str) -> None:
    with steps.step("Taken up") as step:
        began = time.monotonic()
        agreed = 0  # answers in a row: each is from any of the service's processes, which look for a new model in turns
        while agreed < AGREE:
            up.wait_until_ready(place.task, version)
            serving = json.loads(up.get(f"{place.task.url}/version"))["model"]["version"]
            agreed = agreed + 1 if serving == version else 0
        step.say(f"model {version}, after {time.monotonic() - began:.1f} s, by a service that went on running")


def _post(url: str, document: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps(document).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - our own service
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
    except OSError as error:
        raise LocalcloudError(
            f"{url} did not answer as it should: {error}. Is it the service of this project?"
        ) from None
    return found


def _figures(seen: list[Seen]) -> str:
    return ", ".join(f"{phase.phase.name} {phase.rmse:.1f} lb" for phase in seen)


def _told(seen: list[Seen], verdicts: tuple[dict[str, Any], dict[str, Any]], file: Path) -> Group:
    """The table at the end."""
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    for title in ("", "people", "model", "rmse", "change"):
        table.add_column(title, justify="right" if title in ("people", "rmse") else "left")
    words = [*(_verdict(found) for found in verdicts), "", ""]
    for phase, said in zip(seen, words, strict=True):
        people = str(len(phase.errors) * BATCH)
        table.add_row(phase.phase.name, people, phase.model, f"{phase.rmse:.1f} lb", said)
    return Group("", table, Text(f"\nThe plot: {file}. The model that was current before is current again."))


def _verdict(found: dict[str, Any]) -> str:
    """What `drift` found, in a few words."""
    return f"{found['share']:.0%}, {'rebuild' if found['rebuild'] else 'fine'}"


WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 880, 360, 64, 64, 52  # of the picture, in px
COLOURS = ("#0b6e4f", "#c0392b", "#1f5fa8", "#8a6d00")  # one a phase; also told apart by their place and name


def picture(seen: list[Seen]) -> str:
    """An SVG of the error of each batch over the people who were asked about, phase by phase."""
    batches = sum(len(phase.errors) for phase in seen)
    most = max(math.ceil(max(phase.errors) / 10) * 10 for phase in seen)
    wide, high = WIDTH - LEFT - 24, HEIGHT - TOP - BOTTOM

    def across(batch: float) -> float:
        return LEFT + wide * batch / batches

    def up_(error: float) -> float:
        return TOP + high * (1 - error / most)

    shapes = [
        f'<line x1="{LEFT}" y1="{up_(tick):.1f}" x2="{LEFT + wide}" y2="{up_(tick):.1f}" stroke="#ddd"/>'
        f'<text x="{LEFT - 10}" y="{up_(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in range(0, most + 1, 10)
    ]
    begun = 0
    for phase, colour in zip(seen, COLOURS, strict=True):
        points = " ".join(f"{across(begun + i + 0.5):.1f},{up_(error):.1f}" for i, error in enumerate(phase.errors))
        place = f'x="{across(begun + len(phase.errors) / 2):.1f}" text-anchor="middle" fill="{colour}"'
        shapes.append(
            f'<text {place} y="{TOP - 34}" font-weight="600">{phase.phase.name}</text>'
            f'<text {place} y="{TOP - 18}">{phase.rmse:.1f} lb · {phase.model[:6]}</text>'
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5" stroke-linejoin="round"/>'
        )
        if begun:
            x = f"{across(begun):.1f}"
            shapes.append(
                f'<line x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{TOP + high}" stroke="#999" stroke-dasharray="4 4"/>'
            )
        begun += len(phase.errors)
        shapes.append(
            f'<text x="{across(begun):.1f}" y="{TOP + high + 20}" text-anchor="middle">{begun * BATCH}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#444">'
        f"<title>Error of the predictions: {_figures(seen)}</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{"".join(shapes)}'
        f'<text x="{LEFT + wide / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">people asked about</text>'
        f'<text transform="translate(18 {TOP + high / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"error, lb (rmse of {BATCH})</text></svg>\n"
    )


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()  # one short run, as in up.py
    sys.exit(main())
