"""What an answer says beyond its content."""

from __future__ import annotations

from email.utils import formatdate
from time import time

import pytest
import requests

from colabmagic.drive import errors
from colabmagic.drive.api.answers import (
    has_object,
    not_whole,
    object_of,
    read_refusal,
    retry_after,
)


def answer(status: int = 200, body: bytes = b"", **headers: str) -> requests.Response:
    """Return an answer as requests has it."""
    made = requests.Response()
    made.status_code = status
    made._content = body
    made.headers.update(
        {name.replace("_", "-"): text for name, text in headers.items()}
    )
    return made


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("9999", 300),
        ("", None),
        ("-3", None),
        ("soon", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2020 00:00:00 +99999999999999", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    """Seconds, with a bound; what cannot be read counts as nothing."""
    assert retry_after(answer(Retry_After=text)) == seconds


def test_retry_after_is_compared_with_the_servers_clock() -> None:
    """Where the server tells its time; else with ours."""
    then = formatdate(5_000_000_030, usegmt=True)
    there = formatdate(5_000_000_000, usegmt=True)
    assert retry_after(answer(Retry_After=then, Date=there)) == 30
    assert retry_after(answer(Retry_After=there, Date=then)) == 0
    ours = retry_after(answer(Retry_After=formatdate(time() + 60, usegmt=True)))
    assert ours == pytest.approx(60, abs=3)


def test_answers_that_are_cut_off() -> None:
    """They look like a success, and are none."""
    assert not any(has_object(answer(body=text)) for text in (b"", b'{"a"', b"[]"))
    whole = answer(body=b'{"a": 1}')
    assert has_object(whole)
    assert object_of(whole) == {"a": 1}


@pytest.mark.parametrize(
    ("status", "kind", "body", "seen"),
    [
        (200, "", b'{"a"', "it was cut off"),
        (200, "application/json; charset=UTF-8", b"", "it was cut off"),
        (204, "", b"", "HTTP 204"),
        (200, "application/json", b"[]\n", "HTTP 200 application/json"),
        (200, "text/html\x1b" + "x" * 99, b"<html>", "HTTP 200 text/html"),
    ],
)
def test_why_a_success_is_none(status: int, kind: str, body: bytes, seen: str) -> None:
    """JSON without its end was cut off, and is asked for again; else it is not Google's."""
    broken = answer(status, body, **({"Content_Type": kind} if kind else {}))
    told = not_whole(broken, "https://www.googleapis.com")
    assert str(told.seen).startswith(seen)
    assert str(told.seen).isprintable()
    assert len(str(told.seen)) < 80
    assert isinstance(told, errors.ConnectionFailedError) == (seen == "it was cut off")


@pytest.mark.parametrize("status", [301, 302, 308, 399])
def test_an_answer_that_leads_elsewhere(status: int) -> None:
    """It is a proxy's, or that of a page to log in at, whatever its body says."""
    told = read_refusal(
        answer(status, b'{"error": {"errors": [{"reason": "notFound"}]}}')
    )
    assert told.seen == f"HTTP {status}: it leads elsewhere"
    assert "proxy" in told.hint


def test_a_refusal_whose_text_is_lost() -> None:
    """Its status still tells what it is."""
    lost = answer(403)
    lost._content = False
    lost.raw = None
    assert isinstance(read_refusal(lost), errors.DriveError)
    broken = answer(503)
    broken._content = False

    class Raw:
        """Breaks while it is read."""

        def stream(self, *_args: object, **_options: object) -> object:
            """Break."""
            raise requests.ConnectionError("KEY")

        def release_conn(self) -> None:
            """Do nothing."""

    broken.raw = Raw()
    assert isinstance(read_refusal(broken), errors.ServerFailedError)
