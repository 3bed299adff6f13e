"""A server of files on loopback: ranges, validators, faults, and a count of its bytes."""

from __future__ import annotations

import hashlib
import http.server
import re
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

KINDS = frozenset(
    {
        "status",  # code, retry_after: an answer without the file
        "redirect",  # to: another address
        "reset",  # fraction: the connection breaks in the body
        "truncate",  # fraction: it ends in the body, as if all were sent
        "hold",  # fraction: it waits in the body until `FileServer.go` is set
        "slow",  # bytes, seconds: so many at a time
        "corrupt",  # a byte of the body is another one
        "length",  # more: Content-Length is so much larger
        "no_range",  # the whole comes although a range was asked for
        "wrong_range",  # another range comes than was asked for
        "no_validator",  # neither ETag nor Last-Modified
        "no_length",  # the length is not told
    }
)
_PIECE = 2**14
_PATIENCE_S = 20.0


@dataclass(kw_only=True)
class Fault:
    """What goes wrong, where, and how often.

    Attributes
    ----------
    kind
        One of `KINDS`.
    match
        Part of the path.
    times
        How often; below 0: always.
    options
        See `KINDS`.
    """

    kind: str
    match: str = ""
    times: int = 1
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request that came."""

    path: str
    headers: dict[str, str]


class FileServer:
    """Serves a folder, as a context manager.

    Parameters
    ----------
    root
        The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.sent: Counter[str] = Counter()  # bytes of bodies by path
        self.held = threading.Event()  # a body waits in its middle
        self.go = threading.Event()
        self.login = ""  # the header Authorization that all must have
        self._lock = threading.Lock()
        self._lines: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """Return its address, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fail(
        self,
        kind: str,
        match: str = "",
        *,
        times: int = 1,
        **options: Any,  # noqa: ANN401 (see `KINDS`)
    ) -> None:
        """Let something go wrong."""
        assert kind in KINDS, kind
        self.faults.append(Fault(kind=kind, match=match, times=times, options=options))

    def ranges(self, match: str = "") -> list[str | None]:
        """Return the ranges that were asked for, in order."""
        return [
            each.headers.get("Range") for each in self.requests if match in each.path
        ]

    def take(self, path: str) -> Fault | None:
        """Return the fault that is due, and count it."""
        with self._lock:
            for fault in self.faults:
                if fault.match in path and fault.times:
                    fault.times -= 1
                    return fault
        return None

    def count(self, path: str, size: int) -> None:
        """Note bytes that were sent."""
        with self._lock:
            self.sent[path] += size

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; nothing of it stays."""
        self.go.set()
        self._server.shutdown()
        for line in tuple(self._lines):
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._server.server_close()
        self._thread.join()


class _Server(http.server.ThreadingHTTPServer):
    """Knows the double that it belongs to."""

    daemon_threads = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], double: FileServer) -> None:
        self.double = double
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Say nothing: clients that break off are what the tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = _PATIENCE_S

    def setup(self) -> None:
        """Note the line, so that it can be cut."""
        super().setup()
        self.server.double._lines.add(self.connection)

    def finish(self) -> None:
        """Forget the line."""
        self.server.double._lines.discard(self.connection)
        super().finish()

    def log_message(self, *_: Any) -> None:  # noqa: ANN401
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """Answer with the file."""
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        """Answer, or do what a fault says."""
        double = self.server.double
        path = unquote(urlsplit(self.path).path)
        double.requests.append(Request(path=path, headers=dict(self.headers)))
        fault = double.take(path)
        kind = fault.kind if fault else ""
        options = fault.options if fault else {}
        if kind == "status":
            after = options.get("retry_after")
            extra = {"Retry-After": str(after)} if after is not None else {}
            self._short(options["code"], extra)
            return
        if kind == "redirect":
            self._short(302, {"Location": options["to"]})
            return
        login = double.login
        if login and self.headers.get("Authorization") != login:
            self._short(401, {"WWW-Authenticate": "Basic"})
            return
        if path.endswith("/"):
            path += "index.html"
        place = double.root / path.lstrip("/")
        if ".." in path or not place.is_file():
            self._short(404, {})
            return
        self._file(path, place.read_bytes(), kind, options, body=body)

    def _file(
        self,
        path: str,
        content: bytes,
        kind: str,
        options: dict[str, Any],
        *,
        body: bool,
    ) -> None:
        """Send a file, or a range of it."""
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        place = self.server.double.root / path.lstrip("/")
        modified = formatdate(int(place.stat().st_mtime), usegmt=True)
        start, status, headers = 0, 200, {}
        if kind != "no_validator":
            headers = {"ETag": etag, "Last-Modified": modified}
            if self.headers.get("If-None-Match") == etag:
                self._short(304, headers)
                return
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range") in {None, etag, modified}
        if asked and fresh and kind != "no_range":
            start = int(asked[1])
            if start >= len(content):
                self._short(416, {"Content-Range": f"bytes */{len(content)}"})
                return
            start = 0 if kind == "wrong_range" else start
            status = 206
            headers["Content-Range"] = (
                f"bytes {start}-{len(content) - 1}/{len(content)}"
            )
        data = content[start:]
        if kind == "corrupt":
            data = bytes([data[0] ^ 1]) + data[1:]
        self.send_response(status)
        page = path.endswith(".html")
        self.send_header(
            "Content-Type", "text/html" if page else "application/octet-stream"
        )
        for name, value in headers.items():
            self.send_header(name, value)
        if kind == "no_length":
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(data) + options.get("more", 0)))
        self.end_headers()
        if body:
            self._body(path, data, kind, options)

    def _body(self, path: str, data: bytes, kind: str, options: dict[str, Any]) -> None:
        """Send the body, as far as the fault lets it."""
        double = self.server.double
        size = options.get("bytes", _PIECE)
        end = len(data)
        if kind in {"reset", "truncate", "hold"}:
            end = int(len(data) * options.get("fraction", 0.5))
        for at in range(0, end, size):
            piece = data[at : min(at + size, end)]
            self.wfile.write(piece)
            double.count(path, len(piece))
            if kind == "slow":
                double.go.wait(options.get("seconds", 0.01))
        if kind == "hold":
            double.held.set()
            double.go.wait(_PATIENCE_S)
            self.wfile.write(data[end:])
            double.count(path, len(data) - end)
        if kind == "reset":
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self.connection.close()
        if kind in {"reset", "truncate"} or options.get("more"):
            self.close_connection = True

    def _short(self, status: int, headers: dict[str, str]) -> None:
        """Answer without a body."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
