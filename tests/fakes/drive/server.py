"""The fake Drive as an HTTP server on the loopback interface."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

from tests.fakes.drive.api import DriveApi, cost
from tests.fakes.drive.contract import DriveContract, Match
from tests.fakes.drive.faults import Fault, FaultScript
from tests.fakes.drive.messages import Body, DriveError, Media, Reply, Request
from tests.fakes.drive.oauth import AUTH_PATHS, OAuthPages
from tests.fakes.drive.store import Store, blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

ADMIN_PATH = "/_admin"
TOKEN_PATHS = {"/token", "/oauth2/token", "/oauth2/v4/token"}
BLOCK = 256 * 1024
MINUTE = 60.0
OK_STATUSES = range(200, 300)
UNAUTHORIZED = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'}


@dataclass(frozen=True)
class Record:
    """One request that was served (or broken on purpose)."""

    line: str
    operation: str
    status: int | None
    units: int
    fault: str | None
    bytes_in: int
    headers: Mapping[str, str]


class FakeDrive:
    """A Drive v3 service on ``http://127.0.0.1:<port>``.

    Use it as a context manager::

        with FakeDrive() as drive:
            entry = drive.store.add_file("a.bin", b"hello")
            drive.faults.load([{"kind": "status", "code": 503, "match": "alt=media"}])
            ...                                   # talk to drive.url
            assert not drive.violations

    Parameters
    ----------
    port
        0 for any free one.
    blob_dir
        Folder for file contents; None keeps them in memory.
    latency_s
        Pause before each answer.
    bytes_per_second
        Speed of each connection for downloads; None for as fast as it goes.
    units_per_minute
        Quota; more is answered with 403 ``userRateLimitExceeded``. None: no limit.
    storage_limit
        Bytes of storage; more is answered with 403 ``storageQuotaExceeded``.
    strict
        Answer 400 to a request that breaks the contract. It is noted in
        ``violations`` in either case.
    clock
        Replacement for ``time.time``.
    tls
        Serve HTTPS with this context.
    store
        The files of another one, for a second door to them.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        blob_dir: Path | None = None,
        latency_s: float = 0.0,
        bytes_per_second: float | None = None,
        units_per_minute: int | None = None,
        storage_limit: int | None = None,
        strict: bool = True,
        clock: Callable[[], float] = time.time,
        tls: ssl.SSLContext | None = None,
        store: Store | None = None,
    ) -> None:
        self.contract = DriveContract()
        self.store = store or Store(blob_dir, storage_limit, clock)
        self.oauth = OAuthPages(self.store)
        self.faults = FaultScript()
        self.latency_s = latency_s
        self.bytes_per_second = bytes_per_second
        self.units_per_minute = units_per_minute
        self.strict = strict
        self.violations: list[str] = []
        self.requests: list[Record] = []
        self.units_used = 0
        self.token = "valid-token"  # noqa: S105 - the token of the fake
        self._api = DriveApi(self.store, self.contract)
        self._recent: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.005},  # a test waits for it at its end
            name="fake-drive",
            daemon=True,
        )

    def __enter__(self) -> Self:
        """Start serving."""
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop serving."""
        self._closing.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def pause(self, seconds: float) -> None:
        """Wait, unless the server is being stopped."""
        self._closing.wait(seconds)

    # What happened

    @property
    def operations(self) -> Counter[str]:
        """How often each operation was asked for."""
        return Counter(record.operation for record in list(self.requests))

    def reset_counters(self) -> None:
        """Forget requests, quota units and violations; keep the files."""
        with self._lock:
            self.requests.clear()
            self.violations.clear()
            self._recent.clear()
            self.units_used = 0

    def report(self) -> dict[str, Any]:
        """Return all counts as plain data."""
        return {
            "requests": len(self.requests),
            "operations": dict(self.operations),
            "units": self.units_used,
            "faults_injected": dict(self.faults.injected),
            "faults_left": self.faults.left,
            "violations": list(self.violations),
        }

    # Answering

    def answer(self, request: Request, fault: Fault | None) -> tuple[Reply, str, int]:
        """Return the reply to a request, the name of the operation and its cost."""
        if request.path == ADMIN_PATH:
            return (
                Reply(200, self._admin(json.loads(request.body.read() or b"{}"))),
                ("admin"),
                0,
            )
        if request.path in AUTH_PATHS:
            return self.oauth.authorize(request), "consent", 0
        if request.path in TOKEN_PATHS:
            return self._token(request), "token", 0
        match = self.contract.find(
            "POST" if _is_session(request) else request.method, request.path
        ) or self.contract.find("PATCH", request.path)
        if match is None or (
            match.method.http_method != request.method and not _is_session(request)
        ):
            self.violations.append(f"{request.line}: no such method")
            return DriveError(404, "notFound", "Not Found").reply(), "unknown", 0
        operation, units = _operation(request, match), cost(match, request)
        try:
            self._check_request(request, match)
            self._authorize(request, fault)
            self._charge(units)
            reply = self._api.handle(request, match, fault)
        except DriveError as error:
            if error.reason == "contract":
                self.violations.append(f"{request.line}: {error}")
            return error.reply(), operation, units
        self._check_reply(request, match, reply)
        return reply, operation, units

    def _check_request(self, request: Request, match: Match) -> None:
        problems = self.contract.check_parameters(match, request.all_params)
        self.violations += [f"{request.line}: {problem}" for problem in problems]
        if problems and self.strict:
            raise DriveError(400, "invalidParameter", "; ".join(problems))

    def _check_reply(self, request: Request, match: Match, reply: Reply) -> None:
        if reply.media or reply.status not in OK_STATUSES or reply.body is None:
            return
        problems = self.contract.check_response(match.method, reply.body)
        self.violations += [f"REPLY {request.line}: {text}" for text in problems]

    def _authorize(self, request: Request, fault: Fault | None) -> None:
        if fault is not None and fault.kind == "revoke_tokens":
            self.store.access_tokens.clear()
        if _is_session(request):
            return  # the address of the session is the secret
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not self.store.token_is_valid(token):
            raise DriveError(401, "authError", "Invalid Credentials", UNAUTHORIZED)

    def _charge(self, units: int) -> None:
        now = self.store.clock()
        with self._lock:
            while self._recent and self._recent[0][0] <= now - MINUTE:
                self._recent.popleft()
            used = sum(spent for _, spent in self._recent)
            limit = self.units_per_minute
            if limit is not None and used + units > limit:
                message = "User Rate Limit Exceeded"
                raise DriveError(403, "userRateLimitExceeded", message)
            if limit is not None:
                self._recent.append((now, units))
            self.units_used += units

    def _token(self, request: Request) -> Reply:
        form = parse_qs(request.body.read().decode())
        refresh_token = form.get("refresh_token", [""])[0]
        if refresh_token in self.store.revoked_refresh_tokens:
            return _oauth_error(400, "invalid_grant", "Token has been revoked.")
        if not form.get("grant_type"):
            return _oauth_error(400, "invalid_request", "Missing grant_type")
        if form["grant_type"] == ["authorization_code"]:
            return self.oauth.exchange(request, form)
        body = {
            "access_token": self.store.issue_token(),
            "expires_in": 3600,
            "token_type": "Bearer",
            "scope": "https://www.googleapis.com/auth/drive",
        }
        return Reply(200, body)

    def _admin(self, order: dict[str, Any]) -> dict[str, Any]:
        for name in ("latency_s", "bytes_per_second", "units_per_minute"):
            if name in order:
                setattr(self, name, order[name])
        if "faults" in order:
            self.faults.load(order["faults"], order.get("seed"))
        if "bulk" in order:
            self.store.add_many(**order["bulk"])
        report = self.report()
        if order.get("reset_counters"):
            self.reset_counters()
        return report


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    request_queue_size = 256

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End all connections, so that nobody waits for the next request."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: clients that go away are part of the tests."""


def _handler(drive: FakeDrive) -> type[BaseHTTPRequestHandler]:
    """Return a handler class bound to a fake Drive."""

    class Handler(_Handler):
        fake = drive

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    fake: FakeDrive

    def log_message(self, *_args: object) -> None:
        """Keep the test output clean."""

    def _serve(self) -> None:
        fake = self.fake
        scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        request = Request(
            method=self.command,
            target=self.path,
            headers=self.headers,
            body=Body(self.rfile, self.headers),
            base_url=f"{scheme}://{self.headers.get('Host')}",
        )
        admin = request.path == ADMIN_PATH
        fault = None if admin else fake.faults.take(request.line)
        if fake.latency_s and not admin:
            fake.pause(fake.latency_s)
        reply, operation, units = self._reply(request, fault)
        if not admin:
            fake.requests.append(
                Record(
                    line=request.line,
                    operation=operation,
                    status=reply.status if reply else None,
                    units=units,
                    fault=fault.kind if fault else None,
                    bytes_in=request.body.received,
                    headers=dict(self.headers.items()),
                )
            )
        if reply is None or (fault is not None and fault.kind == "lost_reply"):
            self._reset()
            return
        request.body.drain()
        if not request.body.complete:
            self.close_connection = True
            return
        self._send(reply, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _reply(
        self, request: Request, fault: Fault | None
    ) -> tuple[Reply | None, str, int]:
        """Return the reply (None: hang up), also for faults that replace it."""
        kind = fault.kind if fault else None
        if fault is None or kind not in {"reset", "status", "oauth_error"}:
            return self.fake.answer(request, fault)
        if kind == "reset":
            return None, "broken", 0
        request.body.drain()
        options = fault.options
        if kind == "oauth_error":
            reply = _oauth_error(
                options["code"], options["error"], options["description"]
            )
            return reply, "broken", 0
        wait = options["retry_after"]
        headers = {} if wait is None else {"Retry-After": str(wait)}
        error = DriveError(
            options["code"], options["reason"], options["message"], headers
        )
        return error.reply(), "broken", 0

    def _send(self, reply: Reply, fault: Fault | None) -> None:
        payload = reply.payload()
        headers = list(reply.headers)
        media = reply.media
        kind = fault.kind if fault else None
        if media is not None:
            headers += _media_headers(media, kind)
            whole = kind == "ignore_range" or not media.partial
            status = 200 if whole else reply.status
            length = media.blob.size if whole else media.stop - media.start
        else:
            status, length = reply.status, len(payload)
            if reply.body is not None:
                headers.append(("Content-Type", "application/json; charset=UTF-8"))
        if kind == "cut_headers":
            self.wfile.write(f"HTTP/1.1 {status} OK\r\nContent-Le".encode())
            self._hang_up()
            return
        self.send_response(status, "" if status == 499 else None)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        if media is None:
            self.wfile.write(payload)
        else:
            self._send_media(media, length, fault)

    def _send_media(self, media: Media, length: int, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        options = fault.options if fault else {}
        mark = int(length * options.get("fraction", 1.0))
        if kind == "corrupt":
            mark = min(mark, length - 1)
        sent = 0
        for block in _media_blocks(media, length, fault):
            data = block
            if kind == "corrupt" and sent <= mark < sent + len(data):
                at = mark - sent
                data = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
            if kind in {"truncate", "body_reset", "stall"} and sent + len(data) > mark:
                head = max(0, mark - sent)
                self.wfile.write(data[:head])
                self.wfile.flush()
                if kind == "truncate":
                    self._hang_up()
                    return
                if kind == "body_reset":
                    self._reset()
                    return
                self.fake.pause(options["seconds"])
                mark = length + 1  # once is enough
                self.wfile.write(data[head:])
            else:
                self.wfile.write(data)
            sent += len(data)
            if kind == "drip":
                self.wfile.flush()
                self.fake.pause(options["seconds"])
            elif self.fake.bytes_per_second:
                self.fake.pause(len(data) / self.fake.bytes_per_second)

    def _reset(self) -> None:
        """Break the connection with a TCP reset."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.rfile.close()

    def _hang_up(self) -> None:
        """Close the connection in good order, but too early."""
        self.wfile.flush()
        self.close_connection = True


def _media_headers(media: Media, kind: str | None) -> list[tuple[str, str]]:
    headers = [("Content-Type", media.content_type), ("Accept-Ranges", "bytes")]
    if media.partial and kind != "ignore_range":
        shift = 1 if kind == "wrong_content_range" else 0
        first, last = media.start + shift, media.stop - 1 + shift
        value = f"bytes {first}-{last}/{media.blob.size}"
        headers.append(("Content-Range", value))
    return headers


def _media_blocks(media: Media, length: int, fault: Fault | None) -> Iterator[bytes]:
    kind = fault.kind if fault else None
    start = 0 if kind == "ignore_range" else media.start
    if fault is not None and kind == "shift_range":
        room = media.blob.size - length
        start = (start + fault.options["bytes"]) % (room + 1)
    size = fault.options["bytes"] if fault is not None and kind == "drip" else BLOCK
    return blocks(media.blob, start, start + length, size)


def _oauth_error(status: int, error: str, description: str) -> Reply:
    return Reply(status, {"error": error, "error_description": description})


def _is_session(request: Request) -> bool:
    return "upload_id" in request.params and request.method in {"PUT", "DELETE"}


def _operation(request: Request, match: Match) -> str:
    """Return a short name: ``files.list``, ``files.get media``, ``upload chunk``."""
    if _is_session(request):
        asks = request.headers.get("Content-Range", "").startswith("bytes */")
        return "upload question" if asks else "upload chunk"
    name = re.sub(r"^drive\.", "", match.method.id)
    if request.params.get("alt") == "media":
        return f"{name} media"
    if match.is_upload:
        return f"{name} {request.params.get('uploadType')}"
    return name
