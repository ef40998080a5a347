"""Where the function writes each call down: one table per cloud, one record per answered prediction.

    dynamodb://TABLE                                 an item with the key `id`
    firestore://PROJECT/DATABASE/COLLECTION          a document of that name
    https://ACCOUNT.table.core.windows.net/TABLE     an entity: PartitionKey is the date, RowKey the id

A record is a Prediction (app/records.py): nothing in it says who asked. It is written before the answer is given, as
a function may be frozen right after. A table that does not take it costs the record and never the answer: the event
`unstored` says so, and the answer goes out as it would have.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from app.events import tell
from app.records import Prediction
from app.store import CONNECT_SECONDS, StoreError

log = logging.getLogger("app.calls")

SECONDS = 2.0  # that an answer waits for its record, at most twice
TOKEN = Callable[[], str]
_FORMS = {
    "dynamodb": re.compile(r"dynamodb://(?P<table>[A-Za-z0-9_.-]{3,255})"),
    "firestore": re.compile(
        r"firestore://(?P<project>[a-z0-9][a-z0-9:.-]{4,61})/(?P<database>\(default\)|[a-z0-9-]{4,63})"
        r"/(?P<collection>[A-Za-z0-9_-]{1,100})"
    ),
    "https": re.compile(
        r"(?P<endpoint>https://[a-z0-9]{3,24}\.table\.core\.windows\.net)/(?P<table>[A-Za-z][A-Za-z0-9]{2,62})"
    ),
}


class CallsError(Exception):
    """A record was not stored, or CALLS is no table; the message is a sentence without a secret."""


class Calls:
    """Stores calls by `write`, which raises CallsError; `store` never raises."""

    def __init__(self, write: Callable[[Prediction], None]) -> None:
        self._write = write

    def store(self, call: Prediction) -> bool:
        """Writes one call down. False, and an event, if that failed."""
        try:
            self._write(call)
        except CallsError as error:
            tell("unstored", id=call.id, reason=str(error))
        except Exception as error:  # an answer must outlive whatever a table can do
            log.exception("storing call %s failed", call.id)
            tell("unstored", id=call.id, reason=f"{type(error).__name__}, see the log.")
        else:
            return True
        return False


def open_calls(address: str) -> Calls:
    """The table at `address`, with the environment's credentials. Raises CallsError."""
    pattern = _FORMS.get(address.partition("://")[0])
    match = pattern.fullmatch(address) if pattern else None
    if match is None:
        raise CallsError(
            f"CALLS is {address[:100]!r}; write it as dynamodb://TABLE, firestore://PROJECT/DATABASE/COLLECTION or "
            "https://ACCOUNT.table.core.windows.net/TABLE."
        )
    if address.startswith("dynamodb:"):
        return Calls(_dynamodb(match["table"]))
    if address.startswith("firestore:"):
        return Calls(_firestore(match["project"], match["database"], match["collection"]))
    return Calls(table(match["endpoint"], match["table"], _azure_token()))


def _dynamodb(name: str) -> Callable[[Prediction], None]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - each cloud's library takes time

    from app import s3  # noqa: PLC0415 - as above

    try:
        client = s3.client(SECONDS, "dynamodb", attempts=2)
    except StoreError as error:
        raise CallsError(str(error)) from None

    def numbers(values: list[float]) -> dict[str, Any]:
        return {"L": [{"N": repr(value)} for value in values]}

    def write(call: Prediction) -> None:
        item = {
            "id": {"S": call.id},
            "time": {"S": call.time},
            "heights": numbers(call.heights),
            "weights": numbers(call.weights),
            "model": {"S": call.model},
        }
        try:
            client.put_item(TableName=name, Item=item)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            raise CallsError(f"dynamodb://{name} did not take the record: {code}.") from None
        except (BotoCoreError, OSError) as error:
            raise CallsError(f"dynamodb://{name} cannot be reached: {type(error).__name__}.") from None

    return write


def _firestore(project: str, database: str, collection: str) -> Callable[[Prediction], None]:
    host = os.environ.get("FIRESTORE_EMULATOR_HOST")  # Google's own name for it
    root = f"http://{host}" if host else "https://firestore.googleapis.com"
    url = f"{root}/v1/projects/{project}/databases/{database}/documents/{collection}"
    token = (lambda: "owner") if host else _google_token()

    def numbers(values: list[float]) -> dict[str, Any]:
        return {"arrayValue": {"values": [{"doubleValue": value} for value in values]}}

    def write(call: Prediction) -> None:
        fields = {
            "time": {"timestampValue": call.time},
            "heights": numbers(call.heights),
            "weights": numbers(call.weights),
            "model": {"stringValue": call.model},
        }
        _post(url, {"documentId": call.id}, {"fields": fields}, token, {})

    return write


def table(endpoint: str, name: str, token: TOKEN) -> Callable[[Prediction], None]:
    """What writes an entity to an Azure table. Source: Microsoft, "Insert Entity" (Table service REST API)."""

    def write(call: Prediction) -> None:
        entity = {
            "PartitionKey": call.time[:10],
            "RowKey": call.id,
            "time": call.time,
            "time@odata.type": "Edm.DateTime",
            "heights": json.dumps(call.heights),  # a table has no lists; 1,000 numbers fit into its 64 KiB
            "weights": json.dumps(call.weights),
            "model": call.model,
        }
        headers = {
            "Accept": "application/json;odata=nometadata",
            "Prefer": "return-no-content",
            "x-ms-date": formatdate(usegmt=True),
            "x-ms-version": "2020-12-06",
        }
        _post(f"{endpoint}/{name}", {}, entity, token, headers)

    return write


def _post(url: str, query: dict[str, str], body: dict[str, Any], token: TOKEN, headers: dict[str, str]) -> None:
    """Creates what `body` says, once again if the first try ended without an answer. Raises CallsError."""
    import requests  # noqa: PLC0415 - on the image alone

    for attempt in (1, 2):
        try:
            answer = requests.post(
                url,
                params=query,
                data=json.dumps(body),
                headers={"Authorization": f"Bearer {token()}", "Content-Type": "application/json", **headers},
                timeout=(min(SECONDS, CONNECT_SECONDS), SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            if attempt == 2:
                raise CallsError(f"{url} cannot be reached: {type(error).__name__}.") from None
            continue
        if answer.status_code in (200, 201, 204) or (answer.status_code == 409 and attempt == 2):
            return  # 409: the first try was carried out after all
        if answer.status_code < 500 or attempt == 2:
            raise CallsError(f"{url} did not take the record: HTTP status {answer.status_code}.")


def _google_token() -> TOKEN:
    try:
        import google.auth  # noqa: PLC0415 - on the image alone
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - as above
        from google.auth.transport.requests import Request  # noqa: PLC0415 - as above
    except ImportError:
        raise _missing("google-auth") from None
    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/datastore"])
    except GoogleAuthError as error:
        raise CallsError(f"Firestore cannot be used: {type(error).__name__}: {str(error)[:200]}") from None

    def token() -> str:
        try:
            if not credentials.valid:
                credentials.refresh(Request())  # type: ignore[no-untyped-call] # the library types it so
        except GoogleAuthError as error:
            raise CallsError(f"There is no token for Firestore: {type(error).__name__}.") from None
        return str(credentials.token)

    return token


def _azure_token() -> TOKEN:
    try:
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - on the image alone
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - as above
    except ImportError:
        raise _missing("azure-identity") from None
    credential = DefaultAzureCredential()

    def token() -> str:
        try:
            return str(credential.get_token("https://storage.azure.com/.default").token)
        except AzureError as error:
            raise CallsError(f"There is no token for the table: {type(error).__name__}.") from None

    return token


def _missing(package: str) -> CallsError:
    return CallsError(
        f"CALLS needs the package {package}, which is not installed: the image has it, "
        "or `pip install -r requirements/image.txt`."
    )
