"""A package index on loopback with tiny real wheels; see README.md."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Wheel:
    """A wheel: the name of its file, and its bytes."""

    file: str
    data: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """Return the package's name."""
        return self.file.partition("-")[0].replace("_", "-").lower()

    @property
    def sha256(self) -> str:
        """Return its checksum."""
        return hashlib.sha256(self.data).hexdigest()


def make_wheel(
    name: str, version: str, requires: Sequence[str] = (), tag: str = "py3-none-any"
) -> Wheel:
    """Return a wheel with one module that knows its version."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {each}" for each in requires),
    ]
    files = {
        f"{module}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": "\n".join([*metadata, "", ""]),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\n"
        f"Root-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/top_level.txt": f"{module}\n",
    }
    record = "".join(
        f"{path},sha256={_digest(text)},{len(text.encode())}\n"
        for path, text in files.items()
    )
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return Wheel(f"{module}-{version}-{tag}.whl", buffer.getvalue())


def _digest(text: str) -> str:
    """Return a checksum as RECORD has it."""
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class WheelIndex:
    """A server of wheels; use it as a context manager."""

    def __init__(self) -> None:
        self.pages: dict[str, list[Wheel]] = {}
        self.faults: dict[str, str] = {}
        self.logins: dict[str, str] = {}
        self.requests: list[str] = []
        index = self

        class Handler(_Handler):
            of = index

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    @property
    def netloc(self) -> str:
        """Return "127.0.0.1:4711"."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """Return the address."""
        return f"http://{self.netloc}"

    def add(self, folder: str, *wheels: Wheel) -> None:
        """List wheels, each on the page of its package."""
        for wheel in wheels:
            self.pages.setdefault(f"/{folder}/{wheel.name}/", []).append(wheel)

    def add_flat(self, folder: str, *wheels: Wheel) -> None:
        """List wheels on one page."""
        self.pages.setdefault(f"/{folder}/", []).extend(wheels)

    def fault(self, wheel: Wheel, folder: str, what: str) -> None:
        """Spoil a wheel in one folder: wrong_bytes, wrong_hash, no_hash or cut."""
        self.faults[f"/{folder}/{wheel.file}"] = what

    def need_login(self, folder: str, user: str, password: str) -> None:
        """Let nobody in who does not know the password."""
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.logins[f"/{folder}/"] = f"Basic {pair}"

    def asked(self, folder: str) -> list[str]:
        """Return what was asked for below a folder."""
        return [path for path in self.requests if path.startswith(f"/{folder}/")]


class _Server(ThreadingHTTPServer):
    """Waits for its threads when it ends."""

    daemon_threads = False


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    of: ClassVar[WheelIndex]
    protocol_version = "HTTP/1.1"
    is_cut = False
    timeout = 10  # for a client that keeps its connection open and says nothing

    def do_GET(self) -> None:
        """Send a page or a wheel."""
        index = self.of
        path = unquote(self.path.partition("?")[0])
        index.requests.append(path)
        for folder, login in index.logins.items():
            if path.startswith(folder) and self.headers["Authorization"] != login:
                self._send(401, b"", {"WWW-Authenticate": 'Basic realm="wheels"'})
                return
        if path in index.pages:
            self._send(200, self._page(path), {"Content-Type": "text/html"})
            return
        page, _, file = path.rpartition("/")
        for wheel in index.pages.get(f"{page}/", ()):
            if wheel.file == file:
                fault = self._fault(page, wheel)
                data = wheel.data
                if fault == "wrong_bytes":
                    data = make_wheel(wheel.name, "0").data
                self.is_cut = fault == "cut"
                self._send(200, data, {"Content-Type": "application/octet-stream"})
                return
        self._send(404, b"", {})

    def _fault(self, page: str, wheel: Wheel) -> str | None:
        """Return what is spoiled; the fault is noted for the folder above."""
        for folder in (page, page.rpartition("/")[0]):
            if found := self.of.faults.get(f"{folder}/{wheel.file}"):
                return found
        return None

    def _page(self, path: str) -> bytes:
        """Return a page of links."""
        lines = ["<!DOCTYPE html><html><body>"]
        for wheel in self.of.pages[path]:
            fault = self._fault(path.rstrip("/"), wheel)
            digest = "0" * 64 if fault == "wrong_hash" else wheel.sha256
            fragment = "" if fault == "no_hash" else f"#sha256={digest}"
            href = html.escape(quote(wheel.file) + fragment)
            lines.append(f'<a href="{href}">{html.escape(wheel.file)}</a><br>')
        return "\n".join([*lines, "</body></html>"]).encode()

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.is_cut:
            data = data[: len(data) // 2]
            self.close_connection = True
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
