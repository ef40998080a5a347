from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from azure.identity import CredentialUnavailableError
from google.auth.exceptions import DefaultCredentialsError

from app import calls, service
from app.calls import DAY, Calls, CallsError, open_calls, open_eraser, table
from app.records import Prediction
from app.requests import MAX_HEIGHTS
from tests.app.fakes import Answer, Tables, serving
from tests.app.test_app_service import Fixed, without_id

CALL = Prediction("c" * 32, "2026-11-21T15:00:00.123Z", [68.0, 70.5], [127.1, 134.6], "a" * 16)
OTHER = CALL._replace(id="d" * 32)


@pytest.fixture
def fake() -> Iterator[Tables]:
    found = Tables()
    with serving(found):
        yield found


def test_a_call_is_an_item_of_dynamodb(dynamodb: Any) -> None:
    assert open_calls("dynamodb://calls", 30).store(CALL)
    (item,) = dynamodb.scan(TableName="calls")["Items"]
    assert set(item) == {"id", "time", "heights", "weights", "model", "expires"}  # and nothing about who asked
    # Moto keeps "68.0" where DynamoDB makes "68" of it.
    assert [float(each["N"]) for each in item["heights"]["L"]] == [68.0, 70.5]
    assert [float(each["N"]) for each in item["weights"]["L"]] == [127.1, 134.6]
    assert item["model"] == {"S": "a" * 16}
    assert (item["id"], item["time"]) == ({"S": CALL.id}, {"S": CALL.time})
    assert abs(int(item["expires"]["N"]) - (time.time() + 30 * DAY)) < 60


def test_a_call_is_a_document_of_firestore(fake: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", fake.url.removeprefix("http://"))
    assert open_calls("firestore://project-1/(default)/calls", 30).store(CALL)
    (asked,) = fake.asked
    assert asked.path == "/v1/projects/project-1/databases/(default)/documents/calls"
    fields = json.loads(asked.body)["fields"]
    assert set(fields) == {"time", "heights", "weights", "model", "expires"}
    expires = datetime.fromisoformat(fields["expires"]["timestampValue"])
    assert abs(expires.timestamp() - (time.time() + 30 * DAY)) < 60
    assert fields["heights"] == {"arrayValue": {"values": [{"doubleValue": 68.0}, {"doubleValue": 70.5}]}}
    assert asked.query == {"documentId": CALL.id}


def test_a_call_is_an_entity_of_an_azure_table(fake: Tables) -> None:
    table(fake.url, "calls", lambda: "TOKEN").write(CALL)
    (asked,) = fake.asked
    assert asked.path == "/calls"
    assert asked.headers["authorization"] == "Bearer TOKEN"
    assert {"x-ms-version", "x-ms-date"} <= set(asked.headers)
    entity = json.loads(asked.body)
    assert (entity["PartitionKey"], entity["RowKey"]) == ("2026-11-21", CALL.id)
    assert json.loads(entity["heights"]) == CALL.heights
    assert json.loads(entity["weights"]) == CALL.weights


def test_a_call_goes_from_dynamodb_by_its_id(dynamodb: Any) -> None:
    for call in (CALL, OTHER):
        assert open_calls("dynamodb://calls", 30).store(call)
    erase = open_eraser("dynamodb://calls")
    assert [erase(CALL.id), erase(CALL.id)] == [1, 0]
    (item,) = dynamodb.scan(TableName="calls")["Items"]
    assert item["id"]["S"] == OTHER.id
    with pytest.raises(CallsError, match=r"dynamodb://none did not remove the record: ResourceNotFoundException"):
        open_eraser("dynamodb://none")(CALL.id)


def test_a_call_goes_from_firestore_by_its_id(fake: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", fake.url.removeprefix("http://"))
    address = "firestore://project-1/(default)/calls"
    for call in (CALL, OTHER):
        assert open_calls(address, 30).store(call)
    erase = open_eraser(address)
    assert [erase(CALL.id), erase(CALL.id)] == [1, 0]
    assert list(fake.documents) == [OTHER.id]


def test_a_call_goes_from_an_azure_table_by_its_id_on_whatever_day_it_was(fake: Tables) -> None:
    calls_ = table(fake.url, "calls", lambda: "TOKEN")
    for call in (OTHER, CALL, CALL._replace(time="2026-11-22T00:00:00.000Z")):  # a try that came after midnight
        calls_.write(call)
    assert [calls_.erase(CALL.id), calls_.erase(CALL.id)] == [2, 0]
    assert list(fake.entities) == [(OTHER.time[:10], OTHER.id)]


def test_a_table_that_removes_nothing_is_a_sentence_without_the_id(fake: Tables) -> None:
    calls_ = table(fake.url, "calls", lambda: "TOKEN")
    calls_.write(CALL)
    for status in (403, 404, 500):
        fake.broken = Answer(status)
        with pytest.raises(CallsError) as caught:
            calls_.erase(CALL.id)
        assert CALL.id not in str(caught.value)
    fake.broken = None
    assert calls_.erase(CALL.id) == 1


def test_a_thousand_heights_fit_into_what_an_azure_table_takes() -> None:
    longest = [20.0 + 1 / 3 + i / 7_000 for i in range(MAX_HEIGHTS)]
    assert len(json.dumps(longest)) * 2 < 64 * 1024  # UTF-16


def test_a_try_that_ended_without_an_answer_is_made_again_and_counts_once(fake: Tables) -> None:
    fake.answers = [Answer(503), Answer(409)]  # the first was carried out all the same
    table(fake.url, "calls", lambda: "TOKEN").write(CALL)
    assert len(fake.asked) == 2
    assert fake.asked[0].body == fake.asked[1].body


@pytest.mark.parametrize("status", [302, 400, 403, 404, 409])
def test_a_refusal_is_not_tried_again(fake: Tables, status: int) -> None:
    fake.broken = Answer(status)
    with pytest.raises(CallsError, match=f"/calls did not take the record: HTTP status {status}"):
        table(fake.url, "calls", lambda: "TOKEN").write(CALL)
    assert len(fake.asked) == 1


@pytest.mark.parametrize("error", [CallsError("The table is away."), RuntimeError("a bug")])
def test_a_table_that_takes_nothing_costs_the_record_and_not_the_answer(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(_: Prediction) -> None:
        raise error

    client = service.create_app(Fixed(), None, Calls(write)).test_client()
    response = client.post("/predict", json={"height": 68})
    assert (response.status_code, without_id(response.json)["weight"]) == (200, 127.0)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (unstored,) = [event for event in events if event["event"] == "unstored"]
    assert set(unstored) == {"event", "id", "reason"}


def test_each_answered_prediction_is_one_call_and_a_refused_one_is_none() -> None:
    stored: list[Prediction] = []
    client = service.create_app(Fixed(), None, Calls(stored.append)).test_client()
    first = client.post("/predict", json={"heights": [68, 70]}).json
    second = client.post("/predict", json={"height": 68 * 2.54, "unit": "cm"}).json
    client.post("/predict", json={"height": "tall"})
    client.get("/version")
    assert [call.heights for call in stored] == [[68.0, 70.0], [68.0]]
    assert [call.weights for call in stored] == [[127.0, 133.0], [127.0]]
    assert [call.id for call in stored] == [first["id"], second["id"]]  # type: ignore[index] # both are objects


def test_a_missing_or_unreachable_table_of_dynamodb_is_told(
    dynamodb: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not open_calls("dynamodb://none", 30).store(CALL)
    assert "dynamodb://none did not take the record: ResourceNotFoundException." in capsys.readouterr().out
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert not open_calls("dynamodb://calls", 30).store(CALL)
    assert "dynamodb://calls cannot be reached" in capsys.readouterr().out


@pytest.mark.parametrize(
    "address",
    [
        "",
        "calls",
        "dynamodb://",
        "dynamodb://a b",
        "firestore://project-1",
        "firestore://project-1/(default)/a/b",
        "https://example.com/calls",
        "https://account.blob.core.windows.net/calls",
        "http://account.table.core.windows.net/calls",
    ],
)
def test_an_address_that_is_none_is_refused_with_the_forms_there_are(address: str) -> None:
    with pytest.raises(CallsError, match=r"write it as dynamodb://TABLE, firestore://"):
        open_calls(address, 30)
    with pytest.raises(CallsError, match=r"write it as dynamodb://TABLE, firestore://"):
        open_eraser(address)


def test_no_credentials_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def nobody(*_: Any, **__: Any) -> Any:
        raise DefaultCredentialsError("nobody")  # type: ignore[no-untyped-call] # the library types it so

    def nothing(*_: Any, **__: Any) -> Any:
        raise CredentialUnavailableError("nobody")

    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    monkeypatch.setattr("google.auth.default", nobody)
    with pytest.raises(CallsError, match="Firestore cannot be used: DefaultCredentialsError"):
        open_calls("firestore://project-1/(default)/calls", 30)
    monkeypatch.setattr("azure.identity.DefaultAzureCredential.get_token", nothing)
    assert not open_calls("https://account.table.core.windows.net/calls", 30).store(CALL)
    assert "There is no token for the table: CredentialUnavailableError." in capsys.readouterr().out


def test_waiting_for_a_record_is_bounded(fake: Tables) -> None:
    assert calls.SECONDS * 2 < 5  # a gateway gives a function 29 seconds, a caller less
