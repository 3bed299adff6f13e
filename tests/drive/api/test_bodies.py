"""Bodies of answers: what makes no sense is an error of ours, and no body is endless."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.oauth2.credentials import Credentials

from colabmagic.drive import errors
from colabmagic.drive.api.bodies import read_bounded
from colabmagic.drive.api.http import Transport, Waits
from colabmagic.drive.client import Drive
from tests.drive.api.raw import RawServer, reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

DATA = b"x" * 100
HEAD = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-99/100\r\n"
FILE = {
    "id": "x", "name": "x", "mimeType": "text/plain", "size": "100",
    "md5Checksum": hashlib.md5(DATA, usedforsecurity=False).hexdigest(),
}  # fmt: skip


@pytest.fixture
def served() -> Iterator[Callable[..., Drive]]:
    """Return what makes a client of a Drive with one file, whose bytes come as they are told."""
    running: list[RawServer] = []

    def run(media: Callable[[], Iterable[bytes | float]], **changed: Any) -> Drive:  # noqa: ANN401
        meta = FILE | changed

        def answer(line: str) -> Iterable[bytes | float]:
            if "alt=media" in line:
                return media()
            found = meta if "/files/x" in line else {"files": [meta]}
            return [reply(json.dumps(found).encode())]

        running.append(RawServer(answer).__enter__())
        login = Credentials("valid-token")  # type: ignore[no-untyped-call]
        waits = Waits(0.0, 0.0)
        return Drive(Transport(login, running[-1].url, waits=waits, attempts=2))

    yield run
    for server in running:
        server.__exit__()


@pytest.mark.parametrize("size", [1, 10, 2**16 + 1])
def test_a_body_of_a_bounded_size(size: int) -> None:
    """As large as it may be it is read whole; a byte more is too much."""
    with RawServer(lambda _: [reply(b"x" * size)]) as server:
        whole = requests.get(server.url, stream=True, timeout=10)
        read_bounded(whole, size, 60.0)
        assert whole.content == b"x" * size
        large = requests.get(server.url, stream=True, timeout=10)
        with pytest.raises(errors.ServerFailedError, match="form") as caught:
            read_bounded(large, size - 1, 60.0)
    assert caught.value.seen == f"more than {size - 1} bytes"
    assert large.raw.closed


@pytest.mark.parametrize("size", [b"-5", b"ZZZ", b"9" * 30, b""])
def test_chunks_whose_size_makes_no_sense(
    served: Callable[..., Drive], tmp_path: Path, size: bytes
) -> None:
    """One error of ours, and nothing under the name."""
    body = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + DATA
    drive = served(lambda: [body])
    with pytest.raises(errors.DriveError):
        drive.download("MyDrive/x", tmp_path / "x")
    assert not (tmp_path / "x").exists()
    with drive.open("MyDrive/x") as file, pytest.raises(errors.DriveError):
        file.read()


def test_a_range_without_an_end(served: Callable[..., Drive], tmp_path: Path) -> None:
    """Only a little more than was asked for is taken into memory."""
    sent = itertools.count()

    def media() -> Iterator[bytes]:
        yield HEAD + b"Connection: close\r\n\r\n"
        for _ in range(200):
            next(sent)
            yield bytes(2**20)

    drive = served(media)
    with drive.open("MyDrive/x") as file, pytest.raises(errors.DriveError):
        file.read()
    with pytest.raises(errors.DriveError):
        drive.download("MyDrive/x", tmp_path / "x")
    assert next(sent) < 100  # what the system holds of each of four answers


def test_a_checksum_in_large_letters(
    served: Callable[..., Drive], tmp_path: Path
) -> None:
    """Is the same checksum."""
    whole = HEAD + b"Content-Length: 100\r\n\r\n" + DATA
    drive = served(lambda: [whole], md5Checksum=FILE["md5Checksum"].upper())
    drive.download("MyDrive/x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == DATA
    with drive.open("MyDrive/x") as file:
        assert file.read() == DATA
