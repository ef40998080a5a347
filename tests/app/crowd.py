"""People for the loop around the model: whom the service is asked about, and what comes back of them in the lake."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from app import dataset, jobs, labels, records, verdict
from app.dataset import People
from app.records import Feedback, Prediction
from tests.app.memory import Memory

CALL = 20  # people of a call
NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=20)  # time may pass
SLOPE = dataset.CORRELATION * dataset.WEIGHT_SD / dataset.HEIGHT_SD
SPREAD = dataset.WEIGHT_SD * (1 - dataset.CORRELATION**2) ** 0.5  # of weights at one height


def people(count: int, seed: int, *, taller: float = 0.0, heavier: float = 0.0, steeper: float = 0.0) -> People:
    """People drawn as the generated table is, moved: inches, pounds at any height, pounds for each inch."""
    chance = random.Random(seed)
    heights = tuple(chance.gauss(dataset.HEIGHT_MEAN + taller, dataset.HEIGHT_SD) for _ in range(count))
    lines = (dataset.WEIGHT_MEAN + heavier + (SLOPE + steeper) * (h - dataset.HEIGHT_MEAN) for h in heights)
    return People(heights, tuple(chance.gauss(line, SPREAD) for line in lines))


@dataclass
class Loop:
    """The stores of an environment in memory, and the steps of its workflow. Time passes with each call."""

    data: Memory = field(default_factory=Memory)
    models: Memory = field(default_factory=Memory)
    lake: Memory = field(default_factory=Memory)
    now: datetime = NOW
    calls: int = 0

    def ask(self, crowd: People, *, tell: bool = True, call: int = CALL) -> list[str]:
        """The crowd's heights are asked about, `call` a call, and its weights are told; returns the calls' ids."""
        ids = []
        for start in range(0, len(crowd), call):
            part = crowd.rows(list(range(start, min(start + call, len(crowd)))))
            self.calls += 1
            self.now += timedelta(seconds=1)
            ids.append(f"{self.calls:032x}")
            moment = self.moment()
            asked = Prediction(ids[-1], moment, list(part.heights), [127.0] * len(part), "a" * 16)
            self.put("predictions", [records.line(asked)])
            if tell:
                self.put(
                    "feedback", [records.line(Feedback(ids[-1], n, moment, w)) for n, w in enumerate(part.weights)]
                )
        return ids

    def moment(self) -> str:
        """Now, as records spell it."""
        return self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def put(self, kind: str, lines: Iterable[bytes]) -> None:
        """Puts lines into the lake."""
        name = f"{self.now:%Y%m%dT%H%M%S}-{len(self.lake.objects):06}"
        self.lake.write(f"{kind}/date={self.now:%Y-%m-%d}/hour={self.now:%H}/{name}.jsonl", b"".join(lines))

    def gather(self) -> list[labels.Label]:
        """What training finds in the lake."""
        return labels.gather(self.lake, Counter(), self.now)

    def train(self, table: People | None = None) -> dict[str, Any]:
        """Trains on a table (2,000 generated people) and on the lake."""
        table = table or dataset.generate(2_000)
        return jobs.train(table, "a test", 1, self.data, self.models, told=self.gather())

    def learn(self, table: People | None = None) -> dict[str, Any]:
        """Trains, evaluates and publishes; returns what these answered, the last one's first."""
        trained = self.train(table)
        evaluated = jobs.evaluate(self.data, self.models)
        return {"trained": trained, "evaluated": evaluated, **jobs.publish(self.models)}

    def verdict(self) -> dict[str, Any]:
        """What the drift job finds."""
        found = verdict.check(self.models, self.lake, self.now)
        assert found is not None
        return found
