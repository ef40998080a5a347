"""What callers do, for Locust: predict one, predict many, and tell the true weight of an earlier one.

Run by run.py, in an environment that has Locust and nothing of ours. Heights and weights are of PEOPLE, a JSON list
of [inches, pounds], made as training data is made: so load looks like what the model knows and is no drift. RATE is
calls a second over all USERS, for SECONDS from the first call on; a user keeps its pace if answers are slow by waiting
less, so what was asked for and what was reached can be compared. Each call's start, duration, name and outcome go to
OUTCOME.
"""

import json
import os
import random
import time
import urllib.parse
import urllib.request
from collections import deque
from pathlib import Path
from typing import Any

from gevent import spawn_later  # type: ignore[import-untyped] # run apart
from locust import FastHttpUser, constant_throughput, events, task  # type: ignore[import-not-found] # run apart

PEOPLE: list[list[float]] = json.loads(Path(os.environ["PEOPLE"]).read_text())
PACE = float(os.environ["RATE"]) / int(os.environ["USERS"])  # calls a second of one user
MANY = 100  # rows
TOKEN_SECONDS = 240.0  # GitHub's tokens live for five minutes and more
calls: list[tuple[float, float, str, str]] = []  # start (seconds since the epoch), seconds, name, "" or what was wrong
_runner: list[Any] = []
_token: dict[str, Any] = {"value": os.environ.get("TOKEN", ""), "until": 0.0}


def authority() -> dict[str, str]:
    """The header that names the caller, where the service asks for one: TOKEN, or a token of the job that runs this.

    A job's own token is made out to AUDIENCE, and traded at TOKEN_URL (RFC 8693) where the service believes another
    issuer than GitHub.
    """
    if os.environ.get("AUDIENCE") and time.monotonic() >= _token["until"]:
        _token["until"] = time.monotonic() + TOKEN_SECONDS  # first, so that one caller fetches it for all
        _token["value"] = _fetch(os.environ["AUDIENCE"])
    return {"Authorization": f"Bearer {_token['value']}"} if _token["value"] else {}


def _fetch(audience: str) -> str:
    address = os.environ["ACTIONS_ID_TOKEN_REQUEST_URL"] + "&" + urllib.parse.urlencode({"audience": audience})
    own = _ask(address, None, {"Authorization": f"Bearer {os.environ['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"})["value"]
    if not os.environ.get("TOKEN_URL"):
        return str(own)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": audience,
        "subject_token": own,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    }
    return str(_ask(os.environ["TOKEN_URL"], urllib.parse.urlencode(form).encode(), {})["access_token"])


def _ask(address: str, body: bytes | None, headers: dict[str, str]) -> Any:
    with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=10) as answer:
        return json.load(answer)


class Caller(FastHttpUser):  # type: ignore[misc] # as above
    """One of USERS, over one connection that is kept."""

    wait_time = constant_throughput(PACE)
    connection_timeout = network_timeout = 10.0

    def on_start(self) -> None:
        self.told: deque[tuple[str, float]] = deque(maxlen=100)  # ids, and the true weight

    def ask(self, path: str, body: dict[str, Any], status: int, field: str, name: str) -> Any:
        """The answer if it is what was asked for; what is wrong with it otherwise counts as an error."""
        with self.client.post(path, json=body, headers=authority(), name=name, catch_response=True) as answer:
            try:
                found = json.loads(answer.text or "")
            except ValueError:
                found = {}
            if answer.status_code != status:
                answer.failure(f"status {answer.status_code}")
            elif not isinstance(found, dict) or field not in found:
                answer.failure(f"no {field} in the answer")
            else:
                return found
        return None

    @task(6)  # type: ignore[untyped-decorator] # as above
    def predict(self) -> None:
        height, weight = random.choice(PEOPLE)
        if found := self.ask("/predict", {"height": height}, 200, "weight", "predict one"):
            self.told.append((found.get("id", ""), weight))

    @task(2)  # type: ignore[untyped-decorator] # as above
    def predict_many(self) -> None:
        heights = [height for height, _ in random.choices(PEOPLE, k=MANY)]
        self.ask("/predict", {"heights": heights}, 200, "weights", f"predict {MANY}")

    @task(2)  # type: ignore[untyped-decorator] # as above
    def feedback(self) -> None:
        if self.told:
            prediction, weight = self.told.popleft()
            self.ask("/feedback", {"id": prediction, "weight": weight}, 202, "taken", "feedback")
        else:
            self.predict()


@events.test_start.add_listener  # type: ignore[untyped-decorator] # as above
def _begin(environment: Any, **_: Any) -> None:
    authority()  # before the first call
    _runner.append(environment.runner)


@events.request.add_listener  # type: ignore[untyped-decorator] # as above
def _note(response_time: float, name: str, exception: Any, start_time: float, **_: Any) -> None:
    if not calls:  # Locust's own clock starts before its first call
        spawn_later(float(os.environ["SECONDS"]) - response_time / 1000, _runner[0].quit)
    calls.append((start_time, response_time / 1000, name, str(exception)[:200] if exception else ""))


@events.quitting.add_listener  # type: ignore[untyped-decorator] # as above
def _write(**_: Any) -> None:
    Path(os.environ["OUTCOME"]).write_text(json.dumps(calls))
