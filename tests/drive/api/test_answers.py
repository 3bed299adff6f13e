"""What an answer says beyond its content, or why there is none."""

from __future__ import annotations

from email.utils import formatdate
from time import time

import pytest
import requests
from google.auth.exceptions import RefreshError, TransportError

from colabmagic.drive import errors
from colabmagic.drive.api.answers import failure, has_object, read_refusal, retry_after

BROKE = errors.ConnectionFailedError
URL = "https://www.googleapis.com/upload?upload_id=KEY"


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
    [("7", 7), (" 7 ", 7), ("9999", 300), ("", None), ("-3", None), ("soon", None)],
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


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        (requests.ConnectionError(f"GET {URL}"), BROKE, "run the cell"),
        (requests.ConnectionError("Failed to resolve"), BROKE, "Kaggle"),
        (requests.ConnectionError("CERTIFICATE_VERIFY_FAILED"), BROKE, "clock"),
        (TransportError("token KEY"), BROKE, "run the cell"),
        (RefreshError("KEY", retryable=True), BROKE, "minute"),
        (RefreshError("invalid_grant: KEY"), errors.GrantExpiredError, "7 days"),
        (RefreshError("invalid_grant: Invalid JWT KEY"), errors.GrantExpiredError, "clock"),
    ],
)  # fmt: skip
def test_failures(error: Exception, kind: type, hint: str) -> None:
    """Each has its class and what to do, and repeats nothing of its text."""
    told = failure(error, URL)
    assert type(told) is kind
    assert hint in told.hint
    assert "KEY" not in f"{told} {told!r}"


def test_answers_that_are_cut_off() -> None:
    """They look like a success, and are none."""
    assert has_object(answer(body=b'{"a": 1}'))
    assert not any(has_object(answer(body=text)) for text in (b"", b'{"a"', b"[]"))


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
