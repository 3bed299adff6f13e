"""Requests and replies of the fake Drive, free of sockets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, urlsplit

from tests.fakes.drive.store import BLOCK, Blob

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import Message

TOO_MUCH_METADATA = 64 << 20


class Readable(Protocol):
    """The part of a binary stream that is needed to read a body."""

    def read(self, size: int, /) -> bytes:
        """Return at most size bytes."""

    def readline(self) -> bytes:
        """Return a line."""


class Body:
    """A request body, with a length or chunked, read once."""

    def __init__(self, stream: Readable, headers: Message) -> None:
        self._stream = stream
        self._chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        self._left = 0 if self._chunked else int(headers.get("Content-Length") or 0)
        self.received = 0
        self.complete = not self._chunked and self._left == 0

    def blocks(self) -> Iterator[bytes]:
        """Yield the body as it arrives; ends early if the client goes away."""
        while not self.complete:
            if self._chunked and self._left == 0:
                self._left = int(self._stream.readline().split(b";")[0] or b"0", 16)
                if self._left == 0:
                    self._stream.readline()
                    self.complete = True
                    return
            data = self._stream.read(min(self._left, BLOCK))
            if not data:
                return
            self._left -= len(data)
            self.received += len(data)
            if self._left == 0:
                if self._chunked:
                    self._stream.readline()
                else:
                    self.complete = True
            yield data

    def read(self) -> bytes:
        """Return all of it."""
        return b"".join(self.blocks())

    def drain(self) -> None:
        """Read and forget the rest, so that the connection can be reused."""
        for _ in self.blocks():
            pass


@dataclass
class Request:
    """A request as it came in."""

    method: str
    target: str
    headers: Message
    body: Body
    base_url: str

    def __post_init__(self) -> None:
        """Take the target apart."""
        parts = urlsplit(self.target)
        self.path = parts.path
        self.all_params = parse_qs(parts.query, keep_blank_values=True)
        self.params = {name: values[0] for name, values in self.all_params.items()}

    @property
    def line(self) -> str:
        """What fault rules are matched against."""
        return f"{self.method} {self.target}"

    def flag(self, name: str) -> bool:
        """Return the value of a boolean parameter."""
        return self.params.get(name) == "true"


@dataclass
class Media:
    """Bytes of a file to send, from start up to stop."""

    blob: Blob
    start: int
    stop: int
    content_type: str
    partial: bool


@dataclass
class Reply:
    """An answer; ``media`` goes out as bytes, otherwise ``body`` as JSON."""

    status: int = 200
    body: Any = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    media: Media | None = None

    def payload(self) -> bytes:
        """Return the JSON body as bytes."""
        return b"" if self.body is None else json.dumps(self.body).encode()


class DriveError(Exception):
    """An error reply in Drive's form."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message or reason)
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})

    def reply(self) -> Reply:
        """Return what goes over the wire."""
        usage = "limit" in self.reason.lower() or "quota" in self.reason.lower()
        detail = {
            "domain": "usageLimits" if usage else "global",
            "reason": self.reason,
            "message": str(self),
        }
        error = {"code": self.status, "message": str(self), "errors": [detail]}
        return Reply(self.status, {"error": error}, list(self.headers.items()))
