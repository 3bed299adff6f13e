"""The one connection of the process: what it is made of, and when it is made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import session
from colabmagic.drive.errors import DriveAuthError, DriveFileNotFoundError
from colabmagic.drive.plan import Access

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def access(login: Path) -> Iterator[Access]:
    """Yield a login for the Drive; afterwards there is no connection."""
    yield Access(credentials=str(login))
    session.STATE.client = session.STATE.client_key = None


def test_the_same_wish_has_the_same_connection(
    access: Access, login: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another login, drive or address has another one."""
    first = session.client(access)
    assert session.client(access) is first
    other = Access(credentials=str(login.rename(login.with_name("two.json"))))
    assert session.client(other) is not first
    now = session.client(other)
    monkeypatch.setenv(session.API_ROOT_VARIABLE, "http://127.0.0.1:1")
    assert session.client(other) is not now
    inside = Access(credentials=other.credentials, drive_id="x")
    assert session.client(inside) is not session.client(other)


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
