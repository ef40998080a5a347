"""`python -m app function` as a process, with S3 and DynamoDB on Moto and the Lambda Runtime API on loopback."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.app import processes
from tests.app.fakes import Lambda, Tables, serving
from tests.app.test_function import event

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cloud() -> Iterator[dict[str, str]]:
    """A published model and a table, in Moto; what the platform sets for the function."""
    with processes.moto_server() as url:
        variables = processes.environment(url)
        for command in (["train", "--rows", "500"], ["evaluate"], ["publish"]):
            result = processes.run(command, variables)
            assert result.returncode == 0, result.stderr
        dynamodb(url).create_table(
            TableName="calls",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield {**variables, "CALLS": "dynamodb://calls"}


def dynamodb(url: str) -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("dynamodb", endpoint_url=url, region_name="us-east-1", **keys)


def items(cloud: dict[str, str]) -> list[dict[str, Any]]:
    return list(dynamodb(cloud["AWS_ENDPOINT_URL"]).scan(TableName="calls")["Items"])


def test_the_command_answers_calls_of_lambda_and_stores_each(cloud: dict[str, str]) -> None:
    before = len(items(cloud))
    fake = Lambda(*(json.dumps(event({"height": height})).encode() for height in (68, "tall", 70)))
    with serving(fake):
        result = processes.run(["function"], {**cloud, "AWS_LAMBDA_RUNTIME_API": fake.url.removeprefix("http://")})
    assert result.returncode == 1  # the Runtime API of this test ends; Lambda's never does
    assert [fake.said[f"invocation/call-{n}/response"]["statusCode"] for n in (1, 2, 3)] == [200, 400, 200]
    found = items(cloud)
    assert len(found) - before == 2
    assert {float(item["heights"]["L"][0]["N"]) for item in found} >= {68.0, 70.0}
    events = [json.loads(line) for line in result.stdout.splitlines()][1:]
    told = [(each["path"], each["status"], each["count"]) for each in events if each["event"] == "request"]
    assert told == [("/predict", 200, 1), ("/predict", 400, 1), ("/predict", 200, 1)]


def test_a_function_that_cannot_start_tells_lambda_why(cloud: dict[str, str]) -> None:
    for change, sentence in (
        ({"CALLS": ""}, "CALLS is not set; give the table's address"),
        ({"CALLS": "calls"}, "CALLS is 'calls'; write it as dynamodb://TABLE"),
        ({"MODEL_STORE": "models"}, "'models' is not a store"),
    ):
        fake = Lambda()
        with serving(fake):
            address = {"AWS_LAMBDA_RUNTIME_API": fake.url.removeprefix("http://")}
            result = processes.run(["function"], {**cloud, **change, **address})
        assert result.returncode == 1
        assert sentence in fake.said["init/error"]["errorMessage"]
        assert sentence in result.stderr


def test_without_lambda_the_function_answers_http_and_stores_each_call(cloud: dict[str, str]) -> None:
    before = len(items(cloud))
    with processes.Running(cloud, "function") as running:
        processes.wait_until_ready(running.url)
        done = subprocess.run(
            [str(processes.ROOT / "make_prediction.sh"), "71", running.url], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert len(items(cloud)) == before + 1
        until = time.monotonic() + 5
        while "/predict" not in [event_.get("path") for event_ in running.events] and time.monotonic() < until:
            time.sleep(0.05)
    [told] = [event_ for event_ in running.events if event_.get("path") == "/predict"]
    assert set(told) == {"event", "path", "status", "seconds", "count", "request"}


def test_make_prediction_sends_a_token_and_refuses_what_is_none() -> None:
    fake = Tables()
    with serving(fake):
        script = ["/bin/sh", str(processes.ROOT / "make_prediction.sh")]
        sent = processes.run(["68", fake.url], {"TOKEN": "abc.DEF-1_2"}, program=script)
        refused = processes.run(["68", fake.url], {"TOKEN": 'a"\nurl = "http://127.0.0.1'}, program=script)
    assert sent.returncode == 0, sent.stderr
    assert [asked.headers.get("authorization") for asked in fake.asked] == ["Bearer abc.DEF-1_2"]
    assert (refused.returncode, "TOKEN is no bearer token" in refused.stderr) == (1, True)
