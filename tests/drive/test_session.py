"""The one connection of the process: what it is made of, and when it is made anew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import session
from colabmagic.drive.errors import DriveAuthError, DriveFileNotFoundError
from colabmagic.drive.plan import Access

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.drive import FakeDrive


@pytest.fixture
def access(
    drive: FakeDrive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Access]:
    """Yield a login for the Drive; afterwards there is no connection."""
    login = {
        "type": "authorized_user",
        "refresh_token": "SECRET-R",
        "token_uri": f"{drive.url}/token",
        "client_id": "id",
        "client_secret": "SECRET-C",
    }
    for name in ("one.json", "two.json"):
        (tmp_path / name).write_text(json.dumps(login))
    monkeypatch.setenv(session.API_ROOT_VARIABLE, drive.url)
    yield Access(credentials=str(tmp_path / "one.json"))
    session.STATE.client = session.STATE.client_key = None


def test_the_same_wish_has_the_same_connection(
    access: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another login, drive or address has another one."""
    first = session.client(access)
    assert session.client(access) is first
    other = Access(credentials=str(tmp_path / "two.json"))
    assert session.client(other) is not first
    assert session.client(Access(credentials=access.credentials, drive_id="x"))
    now = session.client(access)
    monkeypatch.setenv(session.API_ROOT_VARIABLE, "http://127.0.0.1:1")
    assert session.client(access) is not now


def test_a_refused_login_is_not_used_again(access: Access) -> None:
    """Any other error keeps the connection."""
    with pytest.raises(DriveFileNotFoundError), session.connected(access) as drive:
        drive.stat("MyDrive/none")
    assert session.client(access) is drive
    with pytest.raises(DriveAuthError), session.connected(access):
        raise DriveAuthError("refused", hint="log in")
    assert session.STATE.client is None


def test_who_is_logged_in(access: Access) -> None:
    """The address is shortened: notebooks get shared."""
    account = session.ask_account(access)
    assert account.user == "u…@example.com"
    assert account.used_bytes >= 0
