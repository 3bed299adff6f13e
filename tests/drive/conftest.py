"""A Drive on loopback, and ours to talk to it, without long waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.oauth2.credentials import Credentials

from colabmagic.drive.files import Files
from colabmagic.drive.http import Transport, Waits
from tests.fakes.drive import FakeDrive

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def drive() -> Iterator[FakeDrive]:
    """Yield a running Drive; whatever we have asked it keeps to Google's document."""
    with FakeDrive() as running:
        yield running
        assert running.violations == []


@pytest.fixture
def files(drive: FakeDrive) -> Files:
    """Return our client for it."""
    credentials = Credentials(  # type: ignore[no-untyped-call]
        drive.token,
        refresh_token="fake-refresh",  # noqa: S106
        token_uri=f"{drive.url}/token",
        client_id="id",
        client_secret="secret",  # noqa: S106
    )
    waits = Waits(0.001, 0.002)
    return Files(Transport(credentials, drive.url, waits=waits, read_timeout_s=1.0))
