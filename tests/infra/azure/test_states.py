"""The definition of a workflow's Logic App: its order, its end on a failure, and when it starts."""

import itertools
from typing import Any

import pytest

from infra.azure.states import definition, schedule
from infra.shape import Step, Unsupported
from tests.infra.azure.logic_apps import Run

STEPS = ("train", "evaluate", "publish")
JOBS = {step: f"/subscriptions/s/resourceGroups/g/providers/Microsoft.App/jobs/retrain-{step}" for step in STEPS}
APP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/predict"
QUEUE = "https://bell.queue.core.windows.net/landed"
DEFINITION = definition([Step(step, ("true",)) for step in STEPS], JOBS, APP, QUEUE, schedule("30 2 * * 0"))


class Azure:
    """What the workflow calls: each job's execution runs for two looks, then ends as `ends` says."""

    def __init__(self, **ends: str) -> None:
        self.ends, self.clock = ends, itertools.count()
        self.calls: list[str] = []
        self.executions: dict[str, list[dict[str, Any]]] = {
            step: [{"properties": {"startTime": "2026-01-01T00:00:00+00:00", "status": "Succeeded"}}] for step in STEPS
        }
        self.looks = dict.fromkeys(STEPS, 0)

    def now(self) -> str:
        return f"2026-01-02T00:{next(self.clock):02}:00.1234567Z"

    def __call__(self, method: str, uri: str) -> Any:
        path, _, query = uri.partition("?")
        if path.startswith(QUEUE):
            self.calls.append(f"{method} {path.removeprefix(QUEUE)}")
            return None
        assert query.startswith("api-version="), uri
        what = path.removeprefix(
            "https://management.azure.com/subscriptions/s/resourceGroups/g/providers/Microsoft.App/"
        )
        kind, name, *verb = what.split("/")
        if kind == "containerApps" and not verb:
            return {"properties": {"latestReadyRevisionName": "predict--7"}}
        if kind == "jobs" and verb == ["executions"]:
            return {"value": self._look(name.removeprefix("retrain-"))}
        self.calls.append(f"{method} {what}")
        if verb == ["start"]:
            started = {"startTime": self.now()[:19] + "+00:00", "status": "Running"}
            self.executions[name.removeprefix("retrain-")].insert(0, {"properties": started})
        return None

    def _look(self, step: str) -> list[dict[str, Any]]:
        self.looks[step] += 1
        if self.looks[step] > 2:
            self.executions[step][0]["properties"]["status"] = self.ends.get(step, "Succeeded")
        return self.executions[step]


def test_the_steps_run_in_their_order_and_then_the_copies_are_replaced() -> None:
    azure = Azure()
    assert Run(DEFINITION["actions"], azure, azure.now).go() == "Succeeded"
    assert azure.calls == [
        "DELETE /messages",
        "POST jobs/retrain-train/start",
        "POST jobs/retrain-evaluate/start",
        "POST jobs/retrain-publish/start",
        "POST containerApps/predict/revisions/predict--7/restart",
    ]
    assert azure.looks == dict.fromkeys(STEPS, 3)  # each was waited for


@pytest.mark.parametrize("end", ["Failed", "Stopped", "Degraded"])
@pytest.mark.parametrize("step", STEPS)
def test_the_first_step_that_does_not_succeed_ends_the_run(step: str, end: str) -> None:
    azure = Azure(**{step: end})
    run = Run(DEFINITION["actions"], azure, azure.now)
    assert run.go() == "Failed"
    assert run.ended == f"The step '{step}' ended as {end}."
    assert azure.calls[-1] == f"POST jobs/retrain-{step}/start"


def test_a_call_that_is_refused_ends_the_run() -> None:
    class Refusing(Azure):
        def __call__(self, method: str, uri: str) -> Any:
            if uri.partition("?")[0].endswith("retrain-evaluate/start"):
                raise RuntimeError("403")
            return super().__call__(method, uri)

    azure = Refusing()
    assert Run(DEFINITION["actions"], azure, azure.now).go() == "Failed"
    assert azure.calls[-1] == "POST jobs/retrain-train/start"


def test_yesterdays_success_is_not_taken_for_todays() -> None:
    azure = Azure(train="Failed")
    assert Run(DEFINITION["actions"], azure, azure.now).go() == "Failed"


@pytest.mark.parametrize(("count", "starts"), [("0", False), (None, False), ("1", True), ("250", True)])
def test_objects_that_landed_start_one_run(count: str | None, starts: bool) -> None:
    trigger = DEFINITION["triggers"]["object-landed"]
    assert trigger["inputs"]["uri"] == f"{QUEUE}?comp=metadata"
    headers = {} if count is None else {"x-ms-approximate-messages-count": count}
    run = Run({}, lambda *_: None, str, trigger={"headers": headers})
    (condition,) = trigger["conditions"]
    assert run.value(condition["expression"]) is starts


def test_a_trigger_has_one_run_at_a_time() -> None:
    for trigger in DEFINITION["triggers"].values():
        assert trigger["runtimeConfiguration"] == {"concurrency": {"runs": 1}}


def test_every_call_is_made_under_the_workflows_own_identity() -> None:
    found: list[dict[str, Any]] = []

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            if "uri" in node:
                found.append(node)
            for value in node.values():
                collect(value)

    collect(DEFINITION)
    assert len(found) == 2 + 2 * len(STEPS) + 2
    for request in found:
        audience = "https://storage.azure.com" if request["uri"].startswith(QUEUE) else "https://management.azure.com"
        assert request["authentication"] == {"type": "ManagedServiceIdentity", "audience": audience}


def test_every_time_of_a_schedule_is_said_to_the_logic_app() -> None:
    fixed = {"interval": 1, "timeZone": "UTC", "startTime": "2024-01-01T00:00:00Z"}
    assert schedule("30 2 * * 0") == {
        "frequency": "Week",
        **fixed,
        "schedule": {"hours": [2], "minutes": [30], "weekDays": ["Sunday"]},
    }
    assert schedule("0,30 6-8 * * *") == {
        "frequency": "Day",
        **fixed,
        "schedule": {"hours": [6, 7, 8], "minutes": [0, 30]},
    }
    assert schedule("*/20 */12 * * 1-5")["schedule"] == {
        "hours": [0, 12],
        "minutes": [0, 20, 40],
        "weekDays": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"],
    }
    assert schedule("5/25 1 * * 7")["schedule"] == {"hours": [1], "minutes": [5, 30, 55], "weekDays": ["Sunday"]}
    assert schedule("0 0 * * 0-7")["schedule"]["weekDays"] == [
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    ]  # fmt: skip # a week reads best in a line


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("0 2 1 * *", r"^azure: the schedule '0 2 1 \* \*' names days of the month or months"),
        ("0 2 * 6 *", "names days of the month or months"),
        ("0 2 * *", "needs five fields"),
        ("60 2 * * *", "has '60' where numbers from 0 to 59 belong"),
        ("0 24 * * *", "has '24' where numbers from 0 to 23 belong"),
        ("0 2 * * 8", "has '8'"),
        ("0 2 * * MON", "has 'MON'"),
        ("0 5-2 * * *", "has '5-2'"),
        ("*/0 2 * * *", r"has '\*/0'"),
        ("-1 2 * * *", "has '-1'"),
    ],
)
def test_a_schedule_that_cannot_be_said_is_refused_with_a_sentence(cron: str, why: str) -> None:
    with pytest.raises(Unsupported, match=why):
        schedule(cron)
