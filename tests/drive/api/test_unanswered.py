"""Why no answer came: in words, with what to do, and without what is secret."""

from __future__ import annotations

import errno
import socket

import pytest
import requests
from google.auth.exceptions import RefreshError, TransportError
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError

from colabmagic.drive import errors
from colabmagic.drive.account.hints import LOGIN
from colabmagic.drive.api.unanswered import failure, goes_on

BROKE = errors.ConnectionFailedError
URL = "https://www.googleapis.com/upload?upload_id=KEY"


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        (requests.ConnectionError(f"GET {URL}"), BROKE, "run the cell"),
        (requests.ConnectionError("Failed to resolve"), BROKE, "Kaggle"),
        (requests.exceptions.ProxyError("KEY"), BROKE, "HTTPS_PROXY"),
        (requests.ConnectionError("CERTIFICATE_VERIFY_FAILED"), BROKE, "clock"),
        (TransportError("token KEY"), BROKE, "run the cell"),
        (RefreshError("KEY", retryable=True), BROKE, "minute"),
        (RefreshError("invalid_grant: KEY"), errors.GrantExpiredError, "7 days"),
        (RefreshError("KEY"), errors.GrantExpiredError, f"{LOGIN}\n"),
        (RefreshError("invalid_grant: Invalid JWT KEY"), errors.GrantExpiredError, "clock"),
    ],
)  # fmt: skip
def test_failures(error: Exception, kind: type, hint: str) -> None:
    """Each has its class and what to do, and repeats nothing of its text."""
    told = failure(error, URL)
    assert type(told) is kind
    assert hint in told.hint
    assert "KEY" not in f"{told} {told!r}"


def caused(cause: Exception) -> requests.ConnectionError:
    """Return an error as requests wraps what the system has said."""
    new = NewConnectionError(HTTPSConnection("www.googleapis.com"), f"{cause} KEY")
    new.__cause__ = cause
    reason = MaxRetryError(HTTPSConnectionPool("www.googleapis.com"), URL, new)
    return requests.ConnectionError(reason)


@pytest.mark.parametrize(
    ("cause", "seen"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "its name is not found"),
        (OSError(errno.ENETUNREACH, "x"), "no way to it"),
        (OSError(errno.EHOSTUNREACH, "x"), "no way to it"),
        (TimeoutError(errno.ETIMEDOUT, "x"), "no answer"),
    ],
)
def test_who_was_never_reached(cause: Exception, seen: str) -> None:
    """The reason is in words, however deep it lies; nobody says that anything goes on."""
    for error in (caused(cause), TransportError(caused(cause))):
        told = failure(error, URL)
        assert isinstance(told, BROKE)
        assert not told.reached
        assert told.what == "cannot reach www.googleapis.com"
        assert str(told.seen).startswith(seen)
        assert "stopped" not in told.hint
        assert "KEY" not in f"{told} {told!r}"


@pytest.mark.parametrize(
    ("error", "what", "seen"),
    [
        (requests.ReadTimeout("KEY"), "does not answer", "nothing came in time"),
        (requests.ConnectTimeout("KEY"), "cannot reach", "no answer"),
        (ConnectionResetError(errno.ECONNRESET, "KEY"), "broke", "cut off"),
        (EOFError("KEY"), "broke", "cut off"),
        (requests.exceptions.ChunkedEncodingError("KEY"), "broke", "cut off"),
        (requests.exceptions.SSLError("KEY"), "broke", "SSLError"),
    ],
)
def test_what_broke(error: Exception, what: str, seen: str) -> None:
    """No name of a class where there are words."""
    told = failure(error, URL)
    assert what in told.what
    assert seen in str(told.seen)
    assert "KEY" not in f"{told} {told!r}"


def test_a_transfer_goes_on() -> None:
    """That is said of what a second run takes up again, once, and of nothing that stays."""
    broke = failure(EOFError(), URL)
    assert "stopped" not in broke.hint
    assert goes_on(goes_on(broke)) is broke
    assert broke.hint.count("it goes on where it stopped") == 1
    away = failure(caused(ConnectionRefusedError(errno.ECONNREFUSED, "x")), URL)
    lines = goes_on(away).hint.splitlines()
    assert lines[0].endswith("run the cell again: it goes on where it stopped")
    full = errors.StorageQuotaError("full", hint="delete files")
    assert goes_on(full).hint == "delete files"
