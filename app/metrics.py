"""What /metrics shows: counted by each worker in memory that all of them share, added up when somebody asks.

A worker writes to a block of its own, so no process waits for another, and a block outlives a worker that dies.
Numbers are 64 bits wide and written whole. Routes, statuses and outcomes are known before the workers start: nothing
that a client sends makes a new time series.
"""

from __future__ import annotations

import mmap
import os
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from app.serving import Served

CONTENT_TYPE = CONTENT_TYPE_LATEST
NO_ROUTE = "none"
PREDICT = "/predict"
BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # s
RECENT = 1_024  # answers to /predict whose time each worker remembers

_STATUSES = (*(200, 202, 204, 206, 301, 302, 304, 308), *range(400, 418), 431, 500, 501, 503)
_STATUS_AT = {status: index for index, status in enumerate(_STATUSES)}
_LABELS = (*map(str, _STATUSES), "other")
_LOADS = ("loaded", "refused", "unreachable")
_RECORDS = ("written", "dropped", "lost")
_ROUTES = 32  # at most
_MODELS = 32  # versions whose predictions are counted apart; what is predicted with more of them, together

# Where a block keeps its whole numbers …
_PID, _LIVE, _READY, _STALE, _MODEL, _DATA, _FEEDBACK, _WAITING, _ANSWERS, _REBUILD = range(10)
_LOADS_AT = 16
_RECORDS_AT = _LOADS_AT + len(_LOADS)
_MODELS_AT = _RECORDS_AT + len(_RECORDS)  # pairs: a version, the weights predicted with it
_STATUSES_AT = _MODELS_AT + 2 * _MODELS
_TIMES_AT = _STATUSES_AT + _ROUTES * len(_LABELS)
_WHOLE = _TIMES_AT + _ROUTES * (len(BUCKETS) + 1)
# … and its seconds and shares, of which -1 is none.
_SHARE, _CHECKED, _RMSE, _EXPECTED, _TRUE = range(5)
_SUMS_AT = 8
_RECENT_AT = _SUMS_AT + _ROUTES
_REAL = _RECENT_AT + RECENT
_BLOCK = 8 * (_WHOLE + _REAL)


class Metrics:
    """The numbers of one service, which `workers` processes count; made before they are forked."""

    def __init__(self, workers: int = 1) -> None:
        memory = memoryview(mmap.mmap(-1, workers * _BLOCK))
        blocks = [memory[at * _BLOCK : (at + 1) * _BLOCK] for at in range(workers)]
        self._counts = [block[: 8 * _WHOLE].cast("Q") for block in blocks]
        self._reals = [block[8 * _WHOLE :].cast("d") for block in blocks]
        for counts, reals in zip(self._counts, self._reals, strict=True):
            counts[_LIVE] = 1
            _know_nothing(reals)
        self._routes: dict[str, int] = {NO_ROUTE: 0, PREDICT: 1}
        self._lock = threading.Lock()  # of this process's threads
        self._model_at: dict[str, int] = {}
        self._registry = CollectorRegistry()
        self._registry.register(_All(self))
        self.use(0)

    def use(self, worker: int) -> None:
        """Counts in the block of this worker from now on: called in it, once, before anything is counted."""
        self._own, self._own_reals = self._counts[worker], self._reals[worker]
        self._model_at = {}
        self._lock = threading.Lock()
        self._own[_PID] = os.getpid()

    def know(self, routes: Iterable[str]) -> None:
        """Names the routes that are counted apart; before the workers are forked. Raises ValueError for too many."""
        for route in routes:
            self._routes.setdefault(route, len(self._routes))
        if len(self._routes) > _ROUTES:
            raise ValueError(
                f"{len(self._routes)} routes are more than the {_ROUTES} that app/metrics.py has room for."
            )

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Counts an answer: its route (a rule, not a path), its status, and how long it took."""
        at = self._routes.get(route, 0)
        status_at = _STATUS_AT.get(status, len(_STATUSES))
        time_at = bisect_left(BUCKETS, seconds)
        counts, reals = self._own, self._own_reals
        with self._lock:
            counts[_STATUSES_AT + at * len(_LABELS) + status_at] += 1
            counts[_TIMES_AT + at * (len(BUCKETS) + 1) + time_at] += 1
            reals[_SUMS_AT + at] += seconds
            if at == 1:
                number = counts[_ANSWERS]
                reals[_RECENT_AT + number % RECENT] = seconds
                counts[_ANSWERS] = number + 1

    def predicted(self, model: str, rows: int) -> None:
        """Counts weights that were predicted with a version."""
        with self._lock:
            at = self._model_at.get(model)
            if at is None:
                at = self._model_at[model] = self._place(int(model, 16))
            self._own[at + 1] += rows

    def _place(self, version: int) -> int:
        """Where a version's weights are counted. The last place is everybody's, as version 0."""
        last = _MODELS_AT + 2 * (_MODELS - 1)
        for at in range(_MODELS_AT, last, 2):
            if self._own[at] in (0, version):
                self._own[at] = version
                return at
        return last

    def told(self, rows: int) -> None:
        """Counts true weights that came back."""
        with self._lock:
            self._own[_FEEDBACK] += rows

    def count_records(self, outcome: str, records: int) -> None:
        """Counts records of the lake by what became of them: `written`, `dropped` or `lost`."""
        with self._lock:
            self._own[_RECORDS_AT + _RECORDS.index(outcome)] += records

    def show(self, served: Served, loads: dict[str, int]) -> None:
        """Takes what this worker serves: called after each look for a model."""
        counts, version = self._own, served.version
        counts[_STALE] = served.trouble is not None
        if version is not None:
            counts[_MODEL], counts[_DATA] = int(version.version, 16), int(version.manifest["data"]["version"], 16)
        for at, outcome in enumerate(_LOADS):
            counts[_LOADS_AT + at] = loads[outcome]
        verdict = served.verdict
        accuracy = verdict["accuracy"] if verdict else None
        reals = self._own_reals
        reals[_CHECKED] = verdict["share"] if verdict and verdict["share"] is not None else -1.0
        for at, name in ((_RMSE, "rmse"), (_EXPECTED, "expected"), (_TRUE, "labels")):
            reals[at] = accuracy[name] if accuracy else -1.0
        counts[_REBUILD] = bool(verdict and verdict["rebuild"])
        counts[_READY] = version is not None

    def show_state(self, share: float | None, waiting: int) -> None:
        """Takes how far this worker's live heights have drifted, and how many bytes wait for the lake."""
        self._own_reals[_SHARE] = -1.0 if share is None else share
        self._own[_WAITING] = waiting

    def ended(self, worker: int) -> None:
        """The worker is gone and none takes its place: what it counted stays, what it was ends."""
        counts, reals = self._counts[worker], self._reals[worker]
        counts[_LIVE] = counts[_PID] = counts[_READY] = counts[_STALE] = counts[_MODEL] = counts[_WAITING] = 0
        _know_nothing(reals)

    @property
    def ready(self) -> bool:
        """Whether every worker has a checked model."""
        return all(counts[_READY] for counts in self._live())

    def recent(self) -> dict[str, Any]:
        """The answers to /predict of all workers: {"requests": how many, "p50": …, "p99": …}, the latter seconds of
        the last ones of each worker, or None before the first."""
        numbers = [counts[_ANSWERS] for counts in self._counts]
        times = sorted(
            seconds
            for number, reals in zip(numbers, self._reals, strict=True)
            for seconds in reals[_RECENT_AT : _RECENT_AT + min(number, RECENT)]
        )
        parts = {"p50": 0.5, "p99": 0.99}
        ranks = {name: times[int(part * (len(times) - 1))] if times else None for name, part in parts.items()}
        return {"requests": sum(numbers), **ranks}

    def share(self) -> float | None:
        """The largest share of the workers, or None while each knows too few heights."""
        largest = max(reals[_SHARE] for reals in self._reals)
        return largest if largest >= 0 else None

    def exposition(self) -> bytes:
        """All of it as Prometheus reads it."""
        return generate_latest(self._registry)

    def _live(self) -> list[memoryview]:
        return [counts for counts in self._counts if counts[_LIVE]]

    def _sum(self, at: int) -> int:
        return sum(counts[at] for counts in self._counts)

    def collect(self) -> Iterator[Metric]:
        """The families, for Prometheus's library."""
        yield from self._requests()
        yield from self._predictions()
        yield from self._states()
        yield from _processes([counts[_PID] for counts in self._live()])

    def _requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("http_requests", "Requests answered.", labels=["route", "status"])
        seconds = HistogramMetricFamily("http_request_duration_seconds", "Time to answer.", labels=["route"])
        for route, at in self._routes.items():
            for status_at, label in enumerate(_LABELS):
                if number := self._sum(_STATUSES_AT + at * len(_LABELS) + status_at):
                    requests.add_metric([route, label], number)
            buckets, total = [], 0
            for time_at, limit in enumerate((*map(str, BUCKETS), "+Inf")):
                total += self._sum(_TIMES_AT + at * (len(BUCKETS) + 1) + time_at)
                buckets.append((limit, total))
            if total:
                seconds.add_metric([route], buckets, sum(reals[_SUMS_AT + at] for reals in self._reals))
        yield requests
        yield seconds

    def _predictions(self) -> Iterator[Metric]:
        predictions = CounterMetricFamily("predictions", "Weights predicted.", labels=["model"])
        by_model: dict[int, int] = {}
        for counts in self._counts:
            for at in range(_MODELS_AT, _MODELS_AT + 2 * _MODELS, 2):
                if counts[at + 1]:
                    by_model[counts[at]] = by_model.get(counts[at], 0) + counts[at + 1]
        for version, number in by_model.items():
            predictions.add_metric([f"{version:016x}" if version else "other"], number)
        yield predictions
        yield CounterMetricFamily("feedback", "True weights that came back.", self._sum(_FEEDBACK))
        records = CounterMetricFamily("lake_records", "Records by what became of them.", labels=["outcome"])
        for at, outcome in enumerate(_RECORDS):  # at 0 too: a counter that exists can be watched for its first rise
            records.add_metric([outcome], self._sum(_RECORDS_AT + at))
        yield records

    def _states(self) -> Iterator[Metric]:
        live = self._live()
        loads = CounterMetricFamily("model_loads", "Looks for a model that changed or failed.", labels=["outcome"])
        for at, outcome in enumerate(_LOADS):
            loads.add_metric([outcome], self._sum(_LOADS_AT + at))
        yield loads
        info = GaugeMetricFamily("model_info", "The model that is served.", labels=["version", "data"])
        for version, data in {(counts[_MODEL], counts[_DATA]) for counts in live if counts[_READY]}:
            info.add_metric([f"{version:016x}", f"{data:016x}"], 1)
        yield info
        for name, text, value in (
            ("model_ready", "1 if each worker has a checked model.", float(self.ready)),
            ("model_stale", "1 if a worker's last look for a model failed.", max(counts[_STALE] for counts in live)),
            ("workers", "Processes that answer.", len(live)),
            ("lake_waiting_bytes", "Bytes on this machine's disk for the lake.", max(c[_WAITING] for c in live)),
            (
                "drift_rebuild",
                "1 if the last look at the lake found that the model is to be built again.",
                max(c[_REBUILD] for c in live),
            ),
        ):
            yield GaugeMetricFamily(name, text, value)
        for name, text, at in (
            ("drift_share", "How far live heights are from the model's; rebuild it from 0.25 on.", _SHARE),
            ("drift_checked_share", "The same, as the last look at the lake found it.", _CHECKED),
            ("model_rmse", "Error on true weights that came back, as the last look at the lake found it, lb.", _RMSE),
            ("model_rmse_expected", "Error that is expected of the model, lb.", _EXPECTED),
            ("model_labels", "True weights that the last look at the lake found.", _TRUE),
        ):
            largest = max(reals[at] for reals in self._reals)
            family = GaugeMetricFamily(name, text)
            if largest >= 0:
                family.add_metric([], largest)
            yield family


def _know_nothing(reals: memoryview[float]) -> None:
    for at in (_SHARE, _CHECKED, _RMSE, _EXPECTED, _TRUE):
        reals[at] = -1.0


class _All(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.collect()


def _processes(pids: list[int]) -> Iterator[Metric]:
    """What the workers take, as Linux tells it, added up; nothing where it does not."""
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    seconds = memory = files = 0.0
    try:
        for pid in pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            seconds += (int(fields[11]) + int(fields[12])) / ticks
            memory += int(fields[21]) * page
            files += len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, IndexError, ValueError):
        return
    yield CounterMetricFamily("process_cpu_seconds", "Processor time of all workers.", seconds)
    yield GaugeMetricFamily("process_resident_memory_bytes", "Memory of all workers; shared pages count twice.", memory)
    yield GaugeMetricFamily("process_open_fds", "Open files of all workers.", files)
