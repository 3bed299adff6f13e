"""Answers that Google does not give: of a proxy, of a page to log in at, without an end."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from google.oauth2.credentials import Credentials

from colabmagic.drive import errors
from colabmagic.drive.api.http import Transport, Waits
from colabmagic.drive.client import Drive
from tests.drive.api.raw import RawServer, reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

DEEP = b"[" * 100_000 + b"]" * 100_000
HTML = reply(b"<html>Welcome to the hotel</html>", kind="text/html")
DIGITS = "9" * 5000
FILE = {"id": "x", "name": "x", "mimeType": "text/plain", "size": "5"}
STRANGE = (errors.ServerFailedError, errors.ConnectionFailedError)


def as_json(found: object) -> bytes:
    """Return an answer with JSON."""
    return reply(json.dumps(found).encode())


def connected(url: str, **options: Any) -> Drive:  # noqa: ANN401 (of Transport)
    """Return a client that has logged in."""
    waits = Waits(0.0, 0.0)
    credentials = Credentials("valid-token")  # type: ignore[no-untyped-call]
    return Drive(Transport(credentials, url, waits=waits, attempts=2, **options))


@pytest.fixture
def answered() -> Iterator[Callable[..., Drive]]:
    """Return what makes a client that is always answered the same."""
    running: list[RawServer] = []

    def run(
        answer: bytes | Callable[[str], Iterable[bytes | float]],
        **more: Any,  # noqa: ANN401 (of Transport)
    ) -> Drive:
        made = (lambda _: [answer]) if isinstance(answer, bytes) else answer
        running.append(RawServer(made).__enter__())
        return connected(running[-1].url, **more)

    yield run
    for server in running:
        server.__exit__()


ANYWHERE = {
    "a page": HTML,
    "nothing": reply(status="204 No Content"),
    "a list": reply(b"[]"),
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Le",
    "deep": reply(DEEP),
    "308": reply(b"{}", "308 Permanent Redirect", "application/json", "Location: /x"),
    "302": reply(b"", "302 Found", "text/html", "Location: http://hotel.example/"),
    "a deep refusal": reply(DEEP, "403 Forbidden"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
}


@pytest.mark.parametrize("what", ANYWHERE)
def test_what_is_no_answer_is_an_error_of_ours(
    answered: Callable[..., Drive], tmp_path: Path, what: str
) -> None:
    """Whatever was asked for; and what a hotel says is not taken for Google's."""
    drive = answered(ANYWHERE[what])
    (tmp_path / "up").write_text("hello")
    for ask in (
        drive.health,
        lambda: list(drive.ls("MyDrive")),
        lambda: list(drive.ls("Shareddrives")),
        lambda: drive.stat("MyDrive/x"),
        lambda: drive.files.by_id("x"),
        drive.files.new_id,
        lambda: drive.save(tmp_path / "up", "MyDrive/x/y"),
    ):
        with pytest.raises(errors.DriveError) as caught:
            ask()
        assert caught.value.__cause__ is None
    if what in {"a page", "308", "302"}:
        assert "proxy" in caught.value.hint


@pytest.mark.parametrize("what", ["a page", "302"])
def test_a_page_to_log_in_at_is_told_soon(
    answered: Callable[..., Drive], what: str
) -> None:
    """It stays until somebody logs in: two of them are enough."""
    drive = answered(ANYWHERE[what])
    transport = drive.files.transport
    transport.attempts = 8
    with pytest.raises(errors.ServerFailedError, match="form") as caught:
        drive.health()
    assert caught.value.foreign
    assert transport.requests_made == 2


def test_what_is_no_page_is_asked_for_as_often_as_ever(
    answered: Callable[..., Drive],
) -> None:
    """A fault of a server's, such as the wrong bytes for a range, may pass."""
    drive = answered(reply(b"bytes", kind="application/octet-stream"))
    transport = drive.files.transport
    transport.attempts = 5
    with pytest.raises(errors.ServerFailedError, match="form") as caught:
        drive.health()
    assert not caught.value.foreign
    assert transport.requests_made == 5


def test_a_server_that_fails_is_no_page_to_log_in_at(
    answered: Callable[..., Drive],
) -> None:
    """One such page between failures of Google's is not taken for two."""
    failed = reply(b"", "503 Service Unavailable")
    answers = iter([failed, HTML, failed, as_json({"user": {"emailAddress": "me"}})])
    drive = answered(lambda _: [next(answers)])
    drive.files.transport.attempts = 8
    assert drive.health()["user"] == "me"


@pytest.mark.parametrize(
    "about",
    [
        {"user": "x"}, {"user": {"emailAddress": 5}}, {"storageQuota": []},
        {"storageQuota": {"limit": "much"}}, {"storageQuota": {"usage": DIGITS}},
        {"storageQuota": {"usage": -1}}, {"storageQuota": {"usage": True}},
    ],
    ids=lambda found: str(found)[:40],
)  # fmt: skip
def test_health_of_another_form(answered: Callable[..., Drive], about: object) -> None:
    """It is said that the answer is strange."""
    with pytest.raises(errors.ServerFailedError, match="form"):
        answered(as_json(about)).health()


def test_health_that_lacks_something(answered: Callable[..., Drive]) -> None:
    """What is left out or null is not known; numbers count as they are, too."""
    drive = answered(as_json({"user": None, "storageQuota": {"usage": 7}}))
    assert drive.health() == {
        "user": None, "used_bytes": 7, "limit_bytes": None, "trash_bytes": 0,
    }  # fmt: skip
    assert answered(as_json({"storageQuota": None})).health()["used_bytes"] == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"id": None}, {"id": 5}, {"id": ""}, {"name": 5}, {"mimeType": []},
        {"size": "abc"}, {"size": DIGITS}, {"size": "-5"}, {"size": 1.5},
        {"parents": "x"}, {"parents": [5]}, {"shortcutDetails": []},
        {"shortcutDetails": {"targetId": 5}}, {"modifiedTime": 5}, {"md5Checksum": {}},
    ],
    ids=lambda found: str(found)[:40],
)  # fmt: skip
def test_files_of_another_form(
    answered: Callable[..., Drive], changed: dict[str, Any]
) -> None:
    """In a list, and asked for by its id."""
    meta = FILE | changed
    with pytest.raises(errors.ServerFailedError, match="form"):
        list(answered(as_json({"files": [meta]})).ls("MyDrive"))
    with pytest.raises(errors.ServerFailedError, match="form"):
        answered(as_json(meta)).files.by_id("x")


def test_what_is_null_is_left_out(answered: Callable[..., Drive]) -> None:
    """Also a whole list."""
    meta = FILE | {"parents": None, "shortcutDetails": None, "size": None, "name": None}
    (one,) = answered(as_json({"files": [meta]})).ls("MyDrive")
    assert (one.id, one.name, one.size, one.parents) == ("x", "", None, frozenset())
    assert list(answered(as_json({"files": None})).ls("MyDrive")) == []


@pytest.mark.parametrize(
    "page", [{"files": {}}, {"files": [5]}, {"files": [], "nextPageToken": 5}], ids=str
)
def test_lists_of_another_form(answered: Callable[..., Drive], page: object) -> None:
    """It is said that the answer is strange."""
    with pytest.raises(errors.ServerFailedError, match="form"):
        list(answered(as_json(page)).ls("MyDrive"))


@pytest.mark.parametrize(
    "ids", [{}, {"ids": []}, {"ids": [5]}, {"ids": "abc"}], ids=str
)
def test_ids_that_are_none(answered: Callable[..., Drive], ids: object) -> None:
    """They are not taken for ids."""
    with pytest.raises(errors.ServerFailedError, match="form"):
        answered(as_json(ids)).files.new_id()


@pytest.mark.parametrize(
    "span", ["bytes=0-999", f"bytes=0-{DIGITS}", "bytes=5-9", "all", ""]
)
def test_an_upload_of_which_more_has_come_than_was_sent(
    answered: Callable[..., Drive], tmp_path: Path, span: str
) -> None:
    """A proxy has taken part in it: it is not gone on with."""
    (tmp_path / "up").write_text("hello")

    def answer(line: str) -> list[bytes]:
        place = f"Location: {drive.files.transport.api_root}/upload?upload_id=KEY"
        if line.startswith("PUT"):
            return [reply(b"", "308 Resume", "text/plain", f"Range: {span}")]
        if "generateIds" in line:
            return [as_json({"ids": ["x"]})]
        return [reply(b"{}", "200 OK", "application/json", place)]

    drive = answered(answer)
    with pytest.raises(errors.ServerFailedError, match="form"):
        drive.save(tmp_path / "up", "MyDrive/up")


@pytest.mark.parametrize("path", ["MyDrive", "Shareddrives"])
@pytest.mark.parametrize("fresh", [True, False], ids=["new tokens", "one token"])
def test_a_list_without_an_end(
    answered: Callable[..., Drive], path: str, *, fresh: bool
) -> None:
    """It goes in a circle, or brings nothing any more."""
    number = itertools.count()

    def answer(_: str) -> list[bytes]:
        page = {"nextPageToken": f"t{next(number)}" if fresh else "t"}
        return [as_json(page)]

    with pytest.raises(errors.ServerFailedError, match="in full"):
        list(answered(answer).ls(path))


def test_a_body_without_an_end(answered: Callable[..., Drive]) -> None:
    """It is not read for ever, nor into all of the memory."""

    def answer(_: str) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"
        yield from itertools.repeat(b" " * 2**16)

    with pytest.raises(errors.ServerFailedError, match="form"):
        answered(answer, most_bytes=2**22).health()


@pytest.mark.parametrize("length", ["", "Content-Length: 9999\r\n", "chunked"])
def test_a_body_that_drips(answered: Callable[..., Drive], length: str) -> None:
    """Each piece comes in time, and the whole does not."""
    chunked = length == "chunked"

    def answer(_: str) -> Iterator[bytes | float]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        yield (
            b"Transfer-Encoding: chunked\r\n\r\n"
            if chunked
            else f"{length}\r\n".encode()
        )
        while True:
            yield b"1\r\n \r\n" if chunked else b" "
            yield 0.02

    began = time.monotonic()
    with pytest.raises(errors.ConnectionFailedError):
        answered(answer, answer_s=0.3).health()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "answer",
    [
        HTML, reply(DEEP), reply(b"[]"), reply(b"5"), as_json({"access_token": 5}),
        as_json({"access_token": "t", "expires_in": "soon"}),
        as_json({"access_token": "t", "expires_in": 10**30}),
        reply(b"[]", "400 Bad Request"), as_json({"access_token": None}),
    ],
    ids=range(9),
)  # fmt: skip
def test_a_login_that_is_renewed_by_another(answer: bytes) -> None:
    """It is an error of ours, which shows nothing of what came."""
    with RawServer(lambda _: [answer]) as server:
        credentials = Credentials(  # type: ignore[no-untyped-call]
            None,
            refresh_token="r",  # noqa: S106
            token_uri=f"{server.url}/token",
            client_id="i",
            client_secret="s",  # noqa: S106
        )
        waits = Waits(0.0, 0.0)
        drive = Drive(Transport(credentials, server.url, waits=waits, attempts=1))
        with pytest.raises(errors.DriveError):
            drive.health()
