"""An S3 that keeps models and forgets the lake, as a process: what is measured is the service, not an emulator.

    python -m tests.app.bench.sink FOLDER        prints its URL, then answers until it is killed

FOLDER holds what there is, as BUCKET/KEY. GET /written answers how many lines were written, and forgotten.
"""

from __future__ import annotations

import os
import sys
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar


class Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder: Path
    lines: ClassVar[dict[str, int]] = {}  # by object: what is sent twice is there once

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].lstrip("/")
        if name == "written":
            self._answer(200, b"%d" % sum(list(self.lines.values())))
            return
        path = self.folder / name
        if ".." in name or not path.is_file():
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        data = path.read_bytes()
        tag = f'"{md5(data).hexdigest()}"'
        if self.headers.get("If-None-Match") == tag:
            self._answer(304, b"", tag)
        else:
            self._answer(200, data, tag)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.lines[self.path] = body.count(b"\n")  # a sum would lose counts, where two add to it at once
        self._answer(200, b"", '"0"')

    def _answer(self, status: int, body: bytes, tag: str = "") -> None:
        self.send_response(status)
        if tag:
            self.send_header("ETag", tag)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


if __name__ == "__main__":
    Sink.folder = Path(sys.argv[1])
    os.nice(19)  # a real one would not be on these cores
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
