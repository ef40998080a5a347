"""Small stand-ins for what the app talks to in clouds, on loopback: written by us from the services' documentation.

They are no proof of how the services themselves behave: that is seen in S3's case on Moto, in Azure Blob Storage's on
Azurite where it is installed, and else on the real thing alone.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Asked(NamedTuple):
    """A request that arrived: `query` has the last value of each name."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """What is answered."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}


class Fake:
    """A service at `url`; `asked` are the requests so far. `broken` is answered to every one while it is set."""

    url = ""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.broken: Answer | None = None

    def answer(self, asked: Asked) -> Answer:
        """What this service answers."""
        raise NotImplementedError


@contextmanager
def serving(fake: Fake) -> Iterator[Fake]:
    """Serves it while the `with` lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            asked = Asked(self.command, parts.path, query, headers, body)
            fake.asked.append(asked)
            answer = fake.broken or fake.answer(asked)
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if answer.status != 304:
                self.wfile.write(answer.body)

        do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - what the base class calls

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Stored(NamedTuple):
    """An object: its bytes, and the number that changes with them."""

    data: bytes
    number: int

    @property
    def md5(self) -> str:
        """As HTTP spells it."""
        return base64.b64encode(md5(self.data, usedforsecurity=False).digest()).decode()


class Objects(Fake):
    """What both storages have in common: containers with objects, the versions of before, and a number that is never
    given twice. A listing gives `page` objects at a time."""

    def __init__(self, *containers: str) -> None:
        super().__init__()
        self.containers: dict[str, dict[str, Stored]] = {name: {} for name in containers}
        self.before: dict[str, list[tuple[str, Stored]]] = {name: [] for name in containers}
        self.damaged = False  # reads give other bytes than were written
        self.page = 2
        self._number = 1_000
        self._lock = threading.Lock()

    def put(self, container: str, key: str, data: bytes) -> Stored:
        """Stores an object, as somebody else would too."""
        self._number += 1
        self.keep(container, key)
        self.containers[container][key] = Stored(data, self._number)
        return self.containers[container][key]

    def keep(self, container: str, key: str) -> None:
        """The object becomes a version of before, if there is one."""
        found = self.containers[container].pop(key, None)
        if found is not None:
            self.before[container].append((key, found))

    def forget(self, container: str, key: str, number: int) -> bool:
        """Removes one version for good; False if there is none of that number."""
        rest = [each for each in self.before[container] if (each[0], each[1].number) != (key, number)]
        found = len(rest) < len(self.before[container])
        self.before[container] = rest
        live = self.containers[container].get(key)
        if live is not None and live.number == number:
            del self.containers[container][key]
            found = True
        return found

    def listed(self, container: str, prefix: str, versions: bool, start: str) -> tuple[list[tuple[str, Stored]], str]:
        """A page of what starts with a prefix, by name and number, and where the next page starts, if there is one."""
        rows = [*self.containers[container].items(), *(self.before[container] if versions else [])]
        rows = sorted(
            ((key, each) for key, each in rows if key.startswith(prefix)), key=lambda row: (row[0], row[1][1])
        )
        first = int(start or 0)
        more = first + self.page
        return rows[first:more], str(more) if more < len(rows) else ""

    def shown(self, stored: Stored) -> bytes:
        """What a read gives."""
        return b"?" + stored.data[1:] if self.damaged else stored.data


class Gcs(Objects):
    """Google Cloud Storage's JSON API, in versioned buckets: uploads and downloads of whole objects, with their
    preconditions, listings, and the deletion of a generation."""

    def answer(self, asked: Asked) -> Answer:
        parts = asked.path.split("/")
        container = parts[parts.index("b") + 1]
        if container not in self.containers:
            return _error(404, "The specified bucket does not exist.")
        with self._lock:
            if asked.method == "POST" and asked.path.startswith("/upload/"):
                return self._upload(container, asked)
            if asked.method == "DELETE":
                gone = self.forget(container, unquote(parts[-1]), int(asked.query["generation"]))
                return Answer(204) if gone else _error(404, f"No such object: {container}")
            if parts[-1] == "o":
                return self._list(container, asked)
            return self._download(container, unquote(parts[-1]), asked)

    def _list(self, container: str, asked: Asked) -> Answer:
        versions = asked.query.get("versions", "").lower() == "true"
        rows, more = self.listed(container, asked.query["prefix"], versions, asked.query.get("pageToken", ""))
        document: dict[str, Any] = {"items": [{"name": key, "generation": str(each.number)} for key, each in rows]}
        if more:
            document["nextPageToken"] = more
        return Answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _upload(self, container: str, asked: Asked) -> Answer:
        assert asked.query["uploadType"] == "multipart"
        boundary = b"--" + asked.headers["content-type"].partition("boundary=")[2].strip('"').encode("ascii")
        _, metadata, content, _ = asked.body.split(boundary)  # which is random: no content has it
        name = json.loads(metadata.partition(b"\r\n\r\n")[2])["name"]
        data = content.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
        found = self.containers[container].get(name)
        wanted = asked.query.get("ifGenerationMatch")
        if wanted is not None and int(wanted) != (found.number if found else 0):
            return _error(412, "At least one of the pre-conditions you specified did not hold.")
        stored = self.put(container, name, data)
        document = {"name": name, "generation": str(stored.number), "md5Hash": stored.md5, "crc32c": _crc32c(data)}
        return Answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _download(self, container: str, key: str, asked: Asked) -> Answer:
        assert asked.query["alt"] == "media"
        found = self.containers[container].get(key)
        if found is None:
            return Answer(404, f"No such object: {container}/{key}".encode())
        if asked.query.get("ifGenerationNotMatch") == str(found.number):
            return Answer(304)
        hashes = f"crc32c={_crc32c(found.data)},md5={found.md5}"
        return Answer(200, self.shown(found), {"X-Goog-Generation": str(found.number), "X-Goog-Hash": hashes})


def _error(code: int, message: str) -> Answer:
    document = {"error": {"code": code, "message": message}}
    return Answer(code, json.dumps(document).encode(), {"Content-Type": "application/json"})


def _crc32c(data: bytes) -> str:
    import google_crc32c  # noqa: PLC0415 - of the image alone

    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


class Blobs(Objects):
    """Azure Blob Storage with versions, under /ACCOUNT/CONTAINER/KEY: Put Blob and Get Blob, with their conditions,
    List Blobs and Delete Blob."""

    def answer(self, asked: Asked) -> Answer:
        _, _, container, key = [*unquote(asked.path).split("/", 3), ""][:4]
        if container not in self.containers:
            return _failed(404, "ContainerNotFound")
        with self._lock:
            if asked.query.get("comp") == "list":
                return self._list(container, asked)
            verbs = {"PUT": self._put, "DELETE": self._delete, "GET": self._get}
            return verbs[asked.method](container, key, self.containers[container].get(key), asked)

    def _get(self, _: str, __: str, found: Stored | None, asked: Asked) -> Answer:
        if found is None:
            return _failed(404, "BlobNotFound")
        if asked.headers.get("if-none-match") == _etag(found):
            return _failed(304, "ConditionNotMet")
        return self._got(found, asked)

    def _list(self, container: str, asked: Asked) -> Answer:
        versions = "versions" in asked.query.get("include", "")
        rows, more = self.listed(container, asked.query["prefix"], versions, asked.query.get("marker", ""))
        blobs = "".join(
            f"<Blob><Name>{escape(key)}</Name><VersionId>{each.number}</VersionId>"
            f"<Properties><Etag>{escape(_etag(each))}</Etag><BlobType>BlockBlob</BlobType></Properties></Blob>"
            for key, each in rows
        )
        where = f'ServiceEndpoint="{self.url}/account" ContainerName="{container}"'
        prefix = f"<Prefix>{escape(asked.query['prefix'])}</Prefix>"  # the client asks for the next page by this one
        rest = f"<Blobs>{blobs}</Blobs><NextMarker>{more}</NextMarker>"
        body = f"<EnumerationResults {where}>{prefix}{rest}</EnumerationResults>"
        return Answer(
            200, f'<?xml version="1.0" encoding="utf-8"?>{body}'.encode(), {"Content-Type": "application/xml"}
        )

    def _delete(self, container: str, key: str, found: Stored | None, asked: Asked) -> Answer:
        """Of a version, it is gone; of the blob itself, what was there becomes a version."""
        version = asked.query.get("versionid")
        if version is not None:
            if found is not None and found.number == int(version):
                return _failed(403, "OperationNotAllowedOnRootBlob")
            return Answer(202) if self.forget(container, key, int(version)) else _failed(404, "BlobNotFound")
        assert asked.headers["x-ms-delete-snapshots"] == "include"
        if found is None:
            return _failed(404, "BlobNotFound")
        self.keep(container, key)
        return Answer(202)

    def _put(self, container: str, key: str, found: Stored | None, asked: Asked) -> Answer:
        if found is not None and asked.headers.get("if-none-match") == "*":
            return _failed(409, "BlobAlreadyExists")
        if "if-match" in asked.headers and (found is None or asked.headers["if-match"] != _etag(found)):
            return _failed(412, "ConditionNotMet")
        stored = Stored(asked.body, 0)
        if asked.headers.get("content-md5") != stored.md5:
            return _failed(400, "Md5Mismatch")
        return Answer(201, b"", {"ETag": _etag(self.put(container, key, asked.body)), "Content-MD5": stored.md5})

    def _got(self, found: Stored, asked: Asked) -> Answer:
        data = self.shown(found)
        first, _, last = asked.headers.get("x-ms-range", "bytes=0-").removeprefix("bytes=").partition("-")
        if not data:
            return _failed(416, "InvalidRange") if "x-ms-range" in asked.headers else self._whole(found, data)
        part = Stored(found.data[int(first) : int(last or len(data)) + 1], 0)
        body = data[int(first) : int(last or len(data)) + 1]
        headers = {
            "ETag": _etag(found),
            "Content-Range": f"bytes {first}-{int(first) + len(body) - 1}/{len(data)}",
            "Content-MD5": part.md5,
            "x-ms-blob-type": "BlockBlob",
        }
        return Answer(206, body, headers)

    def _whole(self, found: Stored, data: bytes) -> Answer:
        return Answer(200, data, {"ETag": _etag(found), "Content-MD5": found.md5, "x-ms-blob-type": "BlockBlob"})


def _etag(stored: Stored) -> str:
    return f'"0x{stored.number:X}"'


def _failed(status: int, code: str) -> Answer:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return Answer(status, body.encode(), {"x-ms-error-code": code, "Content-Type": "application/xml"})


class Tables(Fake):
    """What stores a call: Firestore's documents, by name, and Azure's entities, by partition and row; a query of these
    looks at one a page. `answers` are given first."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answer] = []
        self.documents: dict[str, Any] = {}
        self.entities: dict[tuple[str, str], Any] = {}

    def answer(self, asked: Asked) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        if "x-ms-version" in asked.headers:
            return self._entity(asked)
        return self._document(asked) if asked.path.startswith("/v1/") else Answer(200, b"{}")

    def _document(self, asked: Asked) -> Answer:
        if asked.method == "POST":
            self.documents[asked.query["documentId"]] = json.loads(asked.body)
            return Answer(200, b"{}")
        name = asked.path.rpartition("/")[2]
        if asked.method == "DELETE":  # which answers the same whether there was one or not
            self.documents.pop(name, None)
        elif name not in self.documents:
            return _error(404, f'Document "{asked.path}" not found.')
        return Answer(200, b"{}")

    def _entity(self, asked: Asked) -> Answer:
        if asked.method == "POST":
            entity = json.loads(asked.body)
            self.entities[entity["PartitionKey"], entity["RowKey"]] = entity
            return Answer(204)
        if asked.method == "DELETE":
            assert asked.headers["if-match"] == "*"
            said = re.fullmatch(r"/calls\(PartitionKey='(.+)',RowKey='(.+)'\)", unquote(asked.path))
            assert said
            return Answer(204 if self.entities.pop((said[1], said[2]), None) else 404)
        keys = sorted(self.entities)
        start = (asked.query.get("NextPartitionKey", ""), asked.query.get("NextRowKey", ""))
        keys = [key for key in keys if key >= start]
        rows = [{"PartitionKey": key[0]} for key in keys[:1] if asked.query["$filter"] == f"RowKey eq '{key[1]}'"]
        names = ("x-ms-continuation-NextPartitionKey", "x-ms-continuation-NextRowKey")
        more = dict(zip(names, keys[1], strict=True)) if len(keys) > 1 else {}
        return Answer(200, json.dumps({"value": rows}).encode(), more)


class Lambda(Fake):
    """The Lambda Runtime API: hands out `events` and keeps what is said of each; then there are no more."""

    def __init__(self, *events: bytes) -> None:
        super().__init__()
        self.events = list(events)
        self.said: dict[str, Any] = {}
        self._number = 0

    def answer(self, asked: Asked) -> Answer:
        path = asked.path.removeprefix("/2018-06-01/runtime/")
        if path == "invocation/next":
            if not self.events:
                return Answer(410)  # the real one waits; a test is over
            self._number += 1
            return Answer(200, self.events.pop(0), {"Lambda-Runtime-Aws-Request-Id": f"call-{self._number}"})
        self.said[path] = json.loads(asked.body)
        return Answer(202)
