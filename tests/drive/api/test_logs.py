"""What the libraries log of requests, and what they must not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.api.address import Address

if TYPE_CHECKING:
    from colabmagic.drive.api.files import Files
    from tests.fakes.drive import FakeDrive


def test_libraries_log_no_key_of_an_upload(
    drive: FakeDrive, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where urllib3 names the address in a warning, which notebooks show."""
    drive.faults.load([{"kind": "cut_headers"}, {"kind": "reset"}])
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            with pytest.raises(errors.DriveError):
                files.transport.request(
                    "PUT",
                    "/upload/drive/v3/files?uploadType=resumable&upload_id=KEY&x=1",
                    attempts=1,
                    whole=lambda _: False,
                )
    assert "upload_id=…&x=1" in caplog.text
    assert "KEY" not in caplog.text
    assert drive.token not in caplog.text
    drive.reset_counters()


def test_google_auth_logs_no_key_of_an_upload(
    drive: FakeDrive,
    files: Files,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its records bear the address beside their text, which handlers of logs store."""
    logger = logging.getLogger("google.auth.transport.requests")
    monkeypatch.setattr(logging.getLogger("google"), "propagate", True)
    place = Address(f"{drive.url}/upload/drive/v3/files?upload_id=KEY&x=1")
    with caplog.at_level(logging.DEBUG, logger.name):
        files.transport.once("PUT", place, data=b"")
        logger.debug(  # as it does once its logging is turned on
            "Making request...",
            extra={"httpRequest": {"method": "PUT", "url": place.text}},
        )
    told = "".join(str(vars(record)) for record in caplog.records)
    assert "upload_id=…&x=1" in told
    assert "KEY" not in told
    drive.reset_counters()
