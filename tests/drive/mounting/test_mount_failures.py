"""Errors of Google's code get their cause, by names and words alone."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from colabmagic.drive.errors import (
    ConsentDeclinedError,
    DriveError,
    MountDeadError,
    MountFailedError,
    MountpointError,
    MountPolicyError,
    MountUnsupportedError,
    NoCredentialsError,
)
from colabmagic.drive.mounting.drive_log import LogFindings
from colabmagic.drive.mounting.mount_failures import (
    Attempt,
    class_names,
    consent_failure,
    mount_failure,
    nobody_answered,
    secret_failure,
)

PATH = Path("/content/drive")
QUIET = LogFindings()
TIMEOUT_S = 600


def foreign(name: str, text: str, base: type[Exception] = Exception) -> Exception:
    """Return an error of a class that we cannot import."""
    error: Exception = type(name, (type("Error", (base,), {}),), {})(text)
    return error


def failure(
    error: BaseException, elapsed_s: float = 5, log: LogFindings = QUIET
) -> DriveError:
    """Return what a mount that failed so is called."""
    return mount_failure(
        error, Attempt(path=PATH, timeout_s=TIMEOUT_S, elapsed_s=elapsed_s, log=log)
    )


def test_a_refusal_in_full() -> None:
    """Each cause that is known for Google's words, and what helps against it."""
    error = failure(
        foreign("MessageError", "Error: credential propagation was unsuccessful")
    )
    assert error.render() == [
        "ConsentDeclinedError: Google was not allowed to give this notebook your Drive",
        (
            "  seen: Error: credential propagation was unsuccessful: a box left unticked, "
            "another account than the notebook's, or a window that the browser held back"
        ),
        (
            "  try:  %mount_drive /content/drive again; tick every box in Google's window, "
            "with the notebook's own account, and allow pop-ups and third-party cookies"
        ),
    ]


@pytest.mark.parametrize(
    ("error", "elapsed_s", "log", "kind", "words"),
    [
        (foreign("MessageError", "boom"), 1, QUIET, ConsentDeclinedError, "reload"),
        (foreign("TIMEOUT", "x"), 630, QUIET, MountFailedError, "630 s"),
        (foreign("TIMEOUT", "x"), 1231, QUIET, ConsentDeclinedError, "nobody"),
        (foreign("EOF", "x"), 3, QUIET, MountFailedError, "--timeout 1200"),
        (
            foreign("TIMEOUT", "x"),
            1231,
            LogFindings(timed_out="opendir timed out", tail=("a",)),
            MountFailedError,
            "its log: opendir timed out",
        ),
        (NotImplementedError("no"), 0, QUIET, MountUnsupportedError, "api"),
        (KeyError("TBE_EPHEM_CREDS_ADDR"), 0, QUIET, MountUnsupportedError, "TBE_"),
        (ImportError("google.colab"), 0, QUIET, MountUnsupportedError, "google.colab"),
        (
            OSError(errno.ENOTCONN, "not connected"),
            0,
            QUIET,
            MountDeadError,
            "close files",
        ),
        (OSError(errno.EIO, "I/O"), 0, QUIET, MountFailedError, "OSError"),
        (
            ValueError("The domain policy has disabled Drive File Stream: https://x"),
            1,
            QUIET,
            MountPolicyError,
            "answer/7496409",
        ),
        (
            ValueError("mount failed"),
            1,
            LogFindings(policy="policy says no"),
            MountPolicyError,
            "policy says no",
        ),
        (
            ValueError("Mountpoint must not already contain files"),
            1,
            QUIET,
            MountpointError,
            "--move-aside",
        ),
        (ValueError("mount failed"), 599, QUIET, MountFailedError, "ended at once"),
        (ValueError("mount failed"), 600, QUIET, ConsentDeclinedError, "nobody"),
        (
            ValueError("mount failed: timeout during initial read of root folder"),
            5,
            LogFindings(timed_out="QueryManager timed out"),
            MountFailedError,
            "first folder",
        ),
        (AttributeError("no such"), 0, QUIET, MountFailedError, "--doctor"),
    ],
)
def test_each_failure(
    error: BaseException,
    elapsed_s: float,
    log: LogFindings,
    kind: type[DriveError],
    words: str,
) -> None:
    """The class for programs, the words for people."""
    found = failure(error, elapsed_s, log)
    assert type(found) is kind
    assert words in str(found)
    assert len(found.render()) <= 4


def test_foreign_words_are_cleaned() -> None:
    """No control, no credential, one line."""
    text = str(failure(RuntimeError("a\n\x1b[2J Bearer ya29.secret-token")))
    assert "ya29" not in text
    assert "\x1b" not in text
    assert "\n" not in text


def test_names_of_classes_are_enough() -> None:
    """Those above count too."""
    assert {"MessageError", "Error", "Exception"} <= class_names(
        foreign("MessageError", "x")
    )


def test_questions_without_an_answer() -> None:
    """The causes, and what to type."""
    error = nobody_answered(12.3, "%mount_drive --mode api")
    assert "no answer in 12 s" in str(error)
    assert error.hint.startswith("%mount_drive --mode api")
    assert "permission" in consent_failure(Exception("x"), "y").what


def test_secrets() -> None:
    """None for one that does not exist; the three others say what to do."""
    assert secret_failure(foreign("SecretNotFoundError", "x"), "KEY") is None
    for error, words in (
        (foreign("NotebookAccessError", "x"), "Notebook access"),
        (foreign("TimeoutException", "x"), "--creds FILE"),
        (ValueError("x"), "without spaces"),
        (RuntimeError("x"), "RuntimeError: x"),
    ):
        found = secret_failure(error, "KEY\x1b")
        assert isinstance(found, NoCredentialsError)
        assert words in str(found)
        assert "\x1b" not in str(found)
