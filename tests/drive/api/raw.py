"""A server that answers what a test tells it to, byte by byte."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def reply(
    body: bytes = b"",
    status: str = "200 OK",
    kind: str = "application/json",
    *more: str,
) -> bytes:
    """Return a whole answer of HTTP."""
    lines = [
        f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}",
        "Connection: close", *more, "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + body


class RawServer:
    """Answers each request with what ``answer`` makes of its first line.

    Parameters
    ----------
    answer
        Returns pieces, which are sent one after the other; a number waits so long.
    """

    def __init__(self, answer: Callable[[str], Iterable[bytes | float]]) -> None:
        self.lines: list[str] = []
        self._answer = answer
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        """Answer one connection after the other."""
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    self._one(connection)
                except OSError:
                    continue

    def _one(self, connection: socket.socket) -> None:
        """Answer one request."""
        with connection.makefile("rb") as file:
            line = file.readline().decode().strip()
            length = 0
            while header := file.readline().strip().lower():
                if header.startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            file.read(length)
        self.lines.append(line)
        for piece in self._answer(line):
            if self._closing.is_set():
                return
            if isinstance(piece, bytes):
                connection.sendall(piece)
            else:
                self._closing.wait(piece)
