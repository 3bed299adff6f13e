"""Files that hold a login: whoever has one can use the account, so none is uploaded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from colabmagic.drive.account.tokens import token_path
from colabmagic.drive.errors import DrivePathError
from colabmagic.drive.words import quoted

_MOST_BYTES: Final = 64 * 1024
_NAMED_SO: Final = ".json"
_ENTRIES: Final = (b'"refresh_token"', b'"client_secret"')


def _kept_here() -> tuple[int, int] | None:
    """Return device and number of the login that is kept here; None without one."""
    try:
        status = token_path().stat()
    except (OSError, RuntimeError):  # there is none, or no home
        return None
    return status.st_dev, status.st_ino


@dataclass(frozen=True, slots=True)
class Logins:
    """Recognises a user's login: ours, wherever it lies, or that of another tool."""

    kept: tuple[int, int] | None = field(default_factory=_kept_here)

    def may_be(self, status: os.stat_result, name: str) -> bool:
        """Tell whether a file must be read to know: few have to.

        Parameters
        ----------
        status
            Of the file.
        name
            Of it.
        """
        if not 0 < status.st_size <= _MOST_BYTES:
            return False
        return _NAMED_SO in name.lower() or self._is_kept(status)

    def has(self, descriptor: int, name: str) -> bool:
        """Tell whether a file is a login.

        Parameters
        ----------
        descriptor
            Of the file, open for reading; its position stays.
        name
            Of it.
        """
        status = os.fstat(descriptor)
        if not self.may_be(status, name):
            return False
        data = os.pread(descriptor, _MOST_BYTES, 0)
        return all(entry in data for entry in _ENTRIES) or self._is_kept(status)

    def _is_kept(self, status: os.stat_result) -> bool:
        """Tell whether it is the login that `find_credentials` would take."""
        return (status.st_dev, status.st_ino) == self.kept


def refuse_login(descriptor: int, path: object, name: str) -> None:
    """Raise if a file that is to be uploaded is a login.

    Parameters
    ----------
    descriptor
        Of the file.
    path
        As it was given.
    name
        Of the file, here or on Drive.

    Raises
    ------
    DrivePathError
        It is.
    """
    if Logins().has(descriptor, name):
        raise DrivePathError(
            f"{quoted(path)} is a login: whoever reads it can use your Google account",
            seen="a refresh token is in it",
            hint="leave it here; another machine gets its own by %mount_drive --login",
        )
