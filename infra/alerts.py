"""The few alerts that each cloud raises: what is measured, from where on someone must act, and why. Pure.

More than five would be read by nobody. The log fields are those that the app writes, one JSON object a line.
"""

from dataclasses import dataclass
from typing import Literal

AlertId = Literal["errors", "latency", "capacity", "drift", "retraining"]


@dataclass(frozen=True)
class Alert:
    """`measure` was over `threshold` for `minutes` (0: once is enough); `act` says what its owner has to do."""

    id: AlertId
    measure: str
    threshold: float
    minutes: int
    act: str

    def link(self, runbook: str) -> str:
        """The chapter of the runbook that says what to do."""
        return f"{runbook}#{self.id}"

    def text(self, owner: str, runbook: str) -> str:
        """What whoever is woken by it reads first, in one line."""
        lasting = f" for {self.minutes} minutes" if self.minutes else ""
        over = f" over {self.threshold:g}" if self.threshold else ""
        return f"{self.measure}{over}{lasting}. {self.act} Owner: {owner}. Runbook: {self.link(runbook)}"


ERRORS = Alert(
    "errors",
    "Share of calls that the service failed (5xx)",
    0.01,
    10,
    "Callers get no predictions: roll back or mend.",
)
LATENCY = Alert(
    "latency",
    "Seconds that the slowest hundredth of calls takes (p99)",
    0.5,
    10,
    "Callers give up: find what is slow.",
)
CAPACITY = Alert(
    "capacity",
    "The service runs as many copies as it may",
    0,  # copies under the maximum
    30,
    "It cannot grow with its load any more: raise the maximum or find the waste.",
)
DRIFT = Alert(
    "drift",
    "Distance of live inputs from the training data, as a share of it,",
    0.25,
    0,
    "Predictions are about other people than the model knows: retrain on fresh data.",
)
RETRAINING = Alert(
    "retraining",
    "The workflow that retrains the model failed",
    0,  # failures
    0,
    "The old model goes on serving and grows older: mend the step that failed and start it again.",
)

ALERTS = (ERRORS, LATENCY, CAPACITY, DRIFT, RETRAINING)

# What is counted in the app's log: the event's name in the field `event`, and the number that it brings. One line about
# requests stands for `count` of them, as the app says where it writes them (app/events.py).
REQUEST_EVENT, REQUEST_SECONDS, REQUEST_STATUS, REQUEST_COUNT = "request", "seconds", "status", "count"
EVALUATION_EVENT, EVALUATION_ERROR = "evaluation", "rmse"
DRIFT_EVENT, DRIFT_SHARE = "drift", "share"

BUDGET_SHARES = (50, 80, 100)  # per cent of a month's budget at which its owner is told
LOG_DAYS = 365  # how long what is logged is kept
