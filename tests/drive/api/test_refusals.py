"""What Google's refusals mean."""

from __future__ import annotations

import json

import pytest

from colabmagic.drive import errors
from colabmagic.drive.api.refusals import refusal
from tests.drive.api.test_answers import answer


def told(status: int, reason: str, message: str = "") -> errors.DriveError:
    """Return our error for a refusal in Drive's form."""
    body = {"error": {"errors": [{"reason": reason}], "message": message}}
    return refusal(answer(status, json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (403, "userRateLimitExceeded", errors.RateLimitedError),
        (429, "anything", errors.RateLimitedError),
        (403, "dailyLimitExceeded", errors.DailyLimitError),
        (403, "downloadQuotaExceeded", errors.DownloadQuotaError),
        (403, "storageQuotaExceeded", errors.StorageQuotaError),
        (403, "insufficientPermissions", errors.InsufficientScopeError),
        (403, "cannotDownloadAbusiveFile", errors.NotDownloadableError),
        (403, "exportSizeLimitExceeded", errors.NotDownloadableError),
        (403, "unheardOf", errors.DriveError),
        (401, "authError", errors.GrantExpiredError),
        (404, "notFound", errors.DriveFileNotFoundError),
        (410, "", errors.DriveFileNotFoundError),
        (416, "", errors.IntegrityError),
        (500, "", errors.ServerFailedError),
        (504, "", errors.ServerFailedError),
    ],
)
def test_classes(status: int, reason: str, kind: type) -> None:
    """By the reason; where it is not known, by the status."""
    error = told(status, reason)
    assert type(error) is kind
    assert error.seen is not None
    assert error.seen.startswith(f"HTTP {status}")
    assert error.hint


def test_a_login_without_the_right() -> None:
    """The line works for everybody; gcloud's, which needs a client of one's own, is not it."""
    hint = told(403, "insufficientPermissions").hint
    assert hint.splitlines()[0] == "%mount_drive --login --client client.json"
    assert "gcloud auth" not in hint
    for status, reason in ((403, "appNotAuthorizedToFile"), (401, "authError")):
        hint = told(status, reason).hint
        assert hint.splitlines()[0] == "%mount_drive --login --client client.json"


@pytest.mark.parametrize(
    ("message", "query"),
    [
        ("Drive API has not been used in project 123456789012 before", "123456789012"),
        ("Enable it: https://console.developers.google.com/x?project=55", "55"),
        ("Access Not Configured in project <b>", None),
        ("", None),
    ],
)
def test_an_api_that_is_off(message: str, query: str | None) -> None:
    """The page with the switch is told, of the very project where Google names it."""
    hint = told(403, "accessNotConfigured", message).hint
    address = "https://console.cloud.google.com/apis/library/drive.googleapis.com"
    assert hint.endswith(address if query is None else f"{address}?project={query}")
    assert "wait 5 minutes" in hint


def test_a_servers_text_is_made_plain() -> None:
    """It cannot steer a terminal, and is of one line."""
    error = told(403, "x\x1b[31m", "a\nb\x1b]0;title\x07")
    assert error.seen is not None
    assert error.seen.isprintable()


def test_bodies_of_other_forms() -> None:
    """Whatever it is, it is a refusal."""
    for body in (
        b"",
        b"<html>",
        b"[]",
        b'{"error": "invalid"}',
        b'{"error": {"errors": 5}}',
    ):
        assert isinstance(refusal(answer(502, body)), errors.ServerFailedError)
