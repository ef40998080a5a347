"""Where the function writes each call down, and `forget` removes it: one table per cloud, one record per answered
prediction.

    dynamodb://TABLE                                 an item with the key `id`
    firestore://PROJECT/DATABASE/COLLECTION          a document of that name
    https://ACCOUNT.table.core.windows.net/TABLE     an entity: PartitionKey is the date, RowKey the id

A record is a Prediction (app/records.py): nothing in it says who asked. It is written before the answer is given, as
a function may be frozen right after. A table that does not take it costs the record and never the answer: the event
`unstored` says so, and the answer goes out as it would have. From `expires` on, DynamoDB and Firestore remove a record
by themselves; a table of Azure's has no such rule.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from app.events import tell
from app.records import Prediction
from app.store import CONNECT_SECONDS, StoreError

log = logging.getLogger("app.calls")

SECONDS = 2.0  # that an answer waits for its record, at most twice
LOOKING = 30.0  # seconds in which a table finds or removes one, at most twice
DAY = 24 * 60 * 60
TOKEN = Callable[[], str]
Write = Callable[[Prediction], None]
Erase = Callable[[str], int]
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


class CallsError(StoreError):
    """A record was not stored or removed, or CALLS is no table; the message is a sentence without a secret or an id."""


class Table(NamedTuple):
    """`write` stores a call; `erase` removes the one with an id and says how many there were. Both raise CallsError."""

    write: Write
    erase: Erase


class Calls:
    """Stores calls by `write`, which raises CallsError; `store` never raises."""

    def __init__(self, write: Write) -> None:
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


def open_calls(address: str, days: int) -> Calls:
    """The table at `address`, whose records are kept for so many days. Raises CallsError."""
    return Calls(_open(address, days).write)


def open_eraser(address: str) -> Erase:
    """What removes a call from the table at `address`. Raises CallsError."""
    return _open(address, 0).erase


def _open(address: str, days: int) -> Table:
    """The table, with the environment's credentials."""
    pattern = _FORMS.get(address.partition("://")[0])
    match = pattern.fullmatch(address) if pattern else None
    if match is None:
        raise CallsError(
            f"CALLS is {address[:100]!r}; write it as dynamodb://TABLE, firestore://PROJECT/DATABASE/COLLECTION or "
            "https://ACCOUNT.table.core.windows.net/TABLE."
        )
    if address.startswith("dynamodb:"):
        return _dynamodb(match["table"], days)
    if address.startswith("firestore:"):
        return _firestore(match["project"], match["database"], match["collection"], days)
    return table(match["endpoint"], match["table"], _azure_token())


def _dynamodb(name: str, days: int) -> Table:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - each cloud's library takes time

    from app import s3  # noqa: PLC0415 - as above

    try:
        client = s3.client(SECONDS, "dynamodb", attempts=2)
    except StoreError as error:
        raise CallsError(str(error)) from None

    def numbers(values: list[float]) -> dict[str, Any]:
        return {"L": [{"N": repr(value)} for value in values]}

    def asked(operation: Callable[..., Any], what: str, **said: Any) -> Any:
        try:
            return operation(TableName=name, **said)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            raise CallsError(f"dynamodb://{name} did not {what} the record: {code}.") from None
        except (BotoCoreError, OSError) as error:
            raise CallsError(f"dynamodb://{name} cannot be reached: {type(error).__name__}.") from None

    def write(call: Prediction) -> None:
        item = {
            "id": {"S": call.id},
            "time": {"S": call.time},
            "heights": numbers(call.heights),
            "weights": numbers(call.weights),
            "model": {"S": call.model},
            "expires": {"N": str(_expiry(days))},
        }
        asked(client.put_item, "take", Item=item)

    def erase(prediction: str) -> int:
        answer = asked(client.delete_item, "remove", Key={"id": {"S": prediction}}, ReturnValues="ALL_OLD")
        return int("Attributes" in answer)

    return Table(write, erase)


def _firestore(project: str, database: str, collection: str, days: int) -> Table:
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
            "expires": {"timestampValue": datetime.fromtimestamp(_expiry(days), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
        }
        _post(url, {"documentId": call.id}, {"fields": fields}, token, {})

    def erase(prediction: str) -> int:
        if _look("GET", url, f"/{prediction}", token, params={"mask.fieldPaths": "model"}) is None:
            return 0
        _look("DELETE", url, f"/{prediction}", token)  # which tells nothing of whether it was there
        return 1

    return Table(write, erase)


def table(endpoint: str, name: str, token: TOKEN) -> Table:
    """A table of Azure's. Source: Microsoft, "Insert Entity", "Query Entities" and "Delete Entity" (Table service REST
    API)."""
    url = f"{endpoint}/{name}"

    def headers(**more: str) -> dict[str, str]:
        return {
            "Accept": "application/json;odata=nometadata",
            "x-ms-date": formatdate(usegmt=True),
            "x-ms-version": "2020-12-06",
            **more,
        }

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
        _post(url, {}, entity, token, headers(Prefer="return-no-content"))

    def erase(prediction: str) -> int:
        removed = 0
        asked = {"$filter": f"RowKey eq '{prediction}'", "$select": "PartitionKey"}  # an id does not say its day
        page: dict[str, str] | None = {}
        while page is not None:
            answer = _look("GET", url, "()", token, params={**asked, **page}, headers=headers())
            if answer is None:
                raise CallsError(f"{url} is not there.")
            for row in answer.json()["value"]:
                key = f"(PartitionKey='{row['PartitionKey']}',RowKey='{prediction}')"
                gone = _look("DELETE", url, key, token, headers=headers(**{"If-Match": "*"}))
                removed += gone is not None
            page = _next_page(answer.headers)
        return removed

    return Table(write, erase)


def _next_page(headers: Any) -> dict[str, str] | None:
    """What a query says to get the rest; None if that was all."""
    names = ("NextPartitionKey", "NextRowKey")
    found = {name: headers[f"x-ms-continuation-{name}"] for name in names if f"x-ms-continuation-{name}" in headers}
    return found or None


def _expiry(days: int) -> int:
    """When what is written now goes: seconds since 1970."""
    return int(time.time()) + days * DAY


def _post(url: str, query: dict[str, str], body: dict[str, Any], token: TOKEN, headers: dict[str, str]) -> None:
    """Creates what `body` says. Raises CallsError."""
    answer, attempt = _ask("POST", url, token, SECONDS, params=query, data=json.dumps(body), headers=headers)
    if answer.status_code in (200, 201, 204) or (answer.status_code == 409 and attempt == 2):
        return  # 409: the first try was carried out after all
    raise CallsError(f"{url} did not take the record: HTTP status {answer.status_code}.")


def _look(method: str, url: str, key: str, token: TOKEN, **said: Any) -> Any:
    """The answer about what has this key in the table; None if there is no such thing. Raises CallsError."""
    answer, _ = _ask(method, url + key, token, LOOKING, **said)
    if answer.status_code == 404:
        return None
    if answer.status_code not in (200, 204):
        raise CallsError(f"{url} did not find or remove the record: HTTP status {answer.status_code}.")
    return answer


def _ask(method: str, url: str, token: TOKEN, seconds: float, **said: Any) -> tuple[Any, int]:
    """The answer, and in which try it came: what ended without one, or by the other side's fault, is tried once more.
    Raises CallsError."""
    import requests  # noqa: PLC0415 - on the image alone

    headers = {"Authorization": f"Bearer {token()}", "Content-Type": "application/json", **said.pop("headers", {})}
    timeout = (min(seconds, CONNECT_SECONDS), seconds)
    trouble = ""
    for attempt in (1, 2):
        try:
            answer = requests.request(method, url, headers=headers, timeout=timeout, allow_redirects=False, **said)
        except requests.RequestException as error:
            trouble = type(error).__name__
            continue
        if answer.status_code < 500 or attempt == 2:
            return answer, attempt
    raise CallsError(f"{urlsplit(url).netloc} cannot be reached: {trouble}.")


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
