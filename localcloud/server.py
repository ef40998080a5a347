"""A small threaded HTTP/1.1 server for one WSGI application on the loopback interface, with or without TLS.

Why not one from the shelf: it keeps connections alive under TLS with TCP_NODELAY (a client library that
opens a handshake per call is ten times slower), asks for a body (`100 Continue`) only when the
application reads it, so that a refused upload is never sent, and hands on the raw path and headers that
a signature is made over.

Beyond WSGI, `environ` carries `localcloud.headers`: the request's headers as received, a list of
(lower-case name, value), and `localcloud.tls`: the TLS version (`1.3`) or nothing.
"""

import contextlib
import io
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote_to_bytes

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

MAXIMUM_BODY = 512 * 2**20  # bytes; the emulator keeps everything in memory
IDLE_SECONDS = 75.0
MAXIMUM_CONNECTIONS = 96


class BodyTooLargeError(Exception):
    """The request's body is longer than MAXIMUM_BODY."""


class Body(io.RawIOBase):
    """A request's body, read on demand. `left` is None when its length is only known at its end (chunked)."""

    def __init__(self, handler: "_Handler", length: int | None) -> None:
        self._handler = handler
        self.left = length
        self.done = length == 0
        self._chunk = 0
        self._total = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or the rest. Raises BodyTooLargeError, or ConnectionError if it ends early."""
        parts = []
        while not self.done and size != 0:
            part = self._read_some(min(2**20, size) if size > 0 else 2**20)
            parts.append(part)
            size -= len(part) if size > 0 else 0
        return b"".join(parts)

    def _read_some(self, size: int) -> bytes:
        self._handler.invite()
        if self.left is None:
            return self._read_chunked(size)
        if self.left > MAXIMUM_BODY:
            raise BodyTooLargeError
        part = self._exactly(min(size, self.left))
        self.left -= len(part)
        self.done = self.left == 0
        return part

    def _read_chunked(self, size: int) -> bytes:
        if self._chunk == 0:
            line = self._handler.rfile.readline(1024)
            try:
                self._chunk = int(line.split(b";")[0], 16)
            except ValueError:
                raise ConnectionError("a chunk of the request has no length") from None
            if self._chunk <= 0:
                while self._handler.rfile.readline(1024) not in {b"\r\n", b"\n", b""}:
                    pass  # trailers of the transfer coding are of no use here
                self.done = True
                return b""
        part = self._exactly(min(size, self._chunk))
        self._total += len(part)
        if self._total > MAXIMUM_BODY:
            raise BodyTooLargeError
        self._chunk -= len(part)
        if self._chunk == 0:
            self._handler.rfile.readline(1024)
        return part

    def _exactly(self, size: int) -> bytes:
        part = self._handler.rfile.read(size)
        if len(part) < size:
            raise ConnectionError("the request ended early")
        return part


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server: "Server"
    connection: socket.socket

    def setup(self) -> None:
        self.request.settimeout(self.timeout)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.server.tls:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle_expect_100(self) -> bool:
        self._expected = True
        return True

    def invite(self) -> None:
        """Tells a client that waits for it to send the body."""
        if self._expected:
            self._expected = False
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    _expected = False

    def _respond(self) -> None:
        self._expected = self._expected and self.request_version == "HTTP/1.1"
        try:
            body = self._body()
        except ValueError:
            self.close_connection = True
            self._send("400 Bad Request", [("Content-Type", "text/plain")], b"The request's length is unclear.\n")
            return
        try:
            status, headers, content = self._run(self._environ(body))
        except (ConnectionError, TimeoutError):
            self.close_connection = True
            return
        except BodyTooLargeError:
            text = f"The body is longer than {MAXIMUM_BODY} bytes.\n".encode()
            status, headers, content = "413 Content Too Large", [("Content-Type", "text/plain")], text
        except Exception:  # noqa: BLE001 - the client gets a plain answer, the log gets the trace
            traceback.print_exc(file=sys.stderr)
            sys.stderr.flush()
            text = b"The emulator failed on this request; its log has the details.\n"
            status, headers, content = "500 Internal Server Error", [("Content-Type", "text/plain")], text
        if not body.done:
            self.close_connection = True
        self._send(status, headers, content)

    def _body(self) -> Body:
        lengths = self.headers.get_all("content-length", [])
        codings = self.headers.get_all("transfer-encoding", [])
        if codings:
            if lengths or [c.strip().lower() for c in codings] != ["chunked"]:
                raise ValueError
            return Body(self, None)
        if len(lengths) > 1 or not all(n.isascii() and n.isdigit() for n in lengths):
            raise ValueError
        return Body(self, int(lengths[0]) if lengths else 0)

    def _environ(self, body: Body) -> Environ:
        path, _, query = self.path.partition("?")
        headers = [(name.lower(), value) for name, value in self.headers.items()]
        tls = self.request.version() if isinstance(self.request, ssl.SSLSocket) else None
        environ: Environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "REQUEST_URI": self.path,
            "RAW_URI": self.path,
            "SERVER_PROTOCOL": self.request_version,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": str(self.server.server_address[1]),
            "REMOTE_ADDR": self.client_address[0],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if tls else "http",
            "wsgi.input": body,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "localcloud.headers": headers,
            "localcloud.tls": (tls or "").removeprefix("TLSv"),
        }
        for name, value in headers:
            if "_" in name:
                continue  # it would pass for the name with dashes
            key = name.upper().replace("-", "_")
            key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ

    def _run(self, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            started[:] = [(status, headers)]

        result = self.server.application(environ, start_response)
        try:
            content = b"".join(result)
        finally:
            if hasattr(result, "close"):
                result.close()
        return *started[0], content

    def _send(self, status: str, headers: list[tuple[str, str]], content: bytes) -> None:
        code = int(status.split(" ", 1)[0])
        bodiless = self.command == "HEAD" or code in {204, 304}
        names = {name.lower() for name, _ in headers}
        lines = [f"HTTP/1.1 {status}", *(f"{n}: {v}" for n, v in headers if n.lower() != "connection")]
        if code != 204 and not ("content-length" in names and self.command == "HEAD"):
            lines = [line for line in lines if not line.lower().startswith("content-length:")]
            lines.append(f"Content-Length: {len(content)}")
        if "date" not in names:
            lines.append(f"Date: {self.date_time_string()}")
        if self.close_connection:
            lines.append("Connection: close")
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("a response header holds a line break")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        with contextlib.suppress(ConnectionError, TimeoutError):
            if bodiless or not content:
                self.wfile.write(head)
            elif len(content) < 2**16:
                self.wfile.write(head + content)
            else:
                self.wfile.write(head)
                self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        pass


for _method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"):
    setattr(_Handler, f"do_{_method}", _Handler._respond)


class Server(ThreadingHTTPServer):
    """Serves `application` on `listener`, a bound and listening socket, until `shutdown()`."""

    daemon_threads = True

    def __init__(self, application: Application, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.application = application
        self.tls = tls
        self._places = threading.BoundedSemaphore(MAXIMUM_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, ssl.SSLError | ConnectionError | TimeoutError):
            return  # a client that speaks plain http, does not trust the certificate, or went away
        super().handle_error(request, client_address)


def tls_context(chain: str, key: str) -> ssl.SSLContext:
    """TLS 1.2 or newer with the certificate in these PEM files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(chain, key)
    return context


def listen(port: int) -> socket.socket:
    """A socket that listens on 127.0.0.1. Port 0 takes a free one. Raises OSError if the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener
