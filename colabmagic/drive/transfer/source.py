"""The file that is uploaded: that it is one, and that it stays what it was.

Google takes an upload as the new content of a file with its last chunk. So that chunk is
the moment to look: a file that has changed since the first one is not sent to its end, and
what is on Drive stays whole.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.api.refusals import unlike_google
from colabmagic.drive.errors import (
    DriveError,
    DrivePathError,
    IntegrityError,
    SessionLostError,
)

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_UNIT: Final = 256 * 1024  # a chunk is a multiple of it, except the last
_BLOCK: Final = 2**22


def is_folder(path: Path) -> bool:
    """Tell whether a path leads to a folder.

    Parameters
    ----------
    path
        On this machine.

    Raises
    ------
    DrivePathError
        Nobody can tell: the way there is closed, or a mount on it does not answer.
    """
    return stat.S_ISDIR(_kind(path))


def is_there(path: Path) -> bool:
    """Tell whether a path leads to anything; see `is_folder`.

    Parameters
    ----------
    path
        On this machine.
    """
    return _kind(path) != 0


def _kind(path: Path) -> int:
    """Return what kind of file a path leads to; 0 for nothing."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def check_source(path: Path) -> None:
    """Refuse what cannot be uploaded: nothing is made on Drive for it.

    Parameters
    ----------
    path
        The local file.

    Raises
    ------
    DrivePathError
        It is not there, or is no file: a folder, a pipe or a device, which may never end.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise DrivePathError(
            f"{str(path)!r} is no file that can be saved",
            seen=what,
            hint="a folder is put on Drive as one archive: %mount_drive --pack FOLDER"
            if stat.S_ISDIR(mode)
            else "write what comes from it into a file first",
        )


def open_source(path: Path) -> BinaryIO:
    """Return a file, opened for reading; never wait for somebody who writes to it.

    Parameters
    ----------
    path
        The local file.
    """
    check_source(path)
    try:
        file = open(path, "rb", opener=_opened)  # noqa: SIM115 (who calls closes it)
    except OSError as error:
        raise _unreadable(path, error) from None
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()  # exchanged since it was looked at
    raise DrivePathError(f"{str(path)!r} is no file any more", hint="look at it")


def _opened(path: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _unreadable(path: Path, error: Exception) -> DrivePathError:
    """Return the error for a file that cannot be had."""
    reason = error.strerror if isinstance(error, OSError) else None
    return DrivePathError(
        f"{str(path)!r} cannot be read",
        seen=reason or type(error).__name__,
        hint="look at its name",
    )


class Source:
    """What is sent of a file, chunk by chunk.

    Parameters
    ----------
    file
        Open for reading.
    name
        For errors.

    Attributes
    ----------
    size
        Bytes, when the upload began.
    md5
        Of the bytes that were sent, once all are; they are those on disk.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self.size = 0
        self.md5 = ""
        self._file = file
        self._stamp = (0, 0)
        self._sent: Any = None  # the hash of what the server has
        self._known = 0  # how many bytes those are
        self._pending = b""  # was sent after them
        self._checked = ""  # the MD5 on disk, once it was looked at
        self._start()

    def begin(self) -> None:
        """Begin at the first byte, with the file as it is now.

        Raises
        ------
        DrivePathError
            It has no size, and holds something: as the files of the kernel do.
        """
        self._stamp = self._stamped()
        self.size = self._stamp[0]
        self._start()
        self._file.seek(0)
        if not self.size and self._file.read(1):
            raise DrivePathError(
                f"{self.name!r} does not tell its size",
                seen="0 bytes, and yet there are some",
                hint="copy it first, and save the copy",
            )

    def chunk(self, position: int, length: int) -> bytes:
        """Return the bytes that are sent next; the last ones only of a file that is unchanged.

        Parameters
        ----------
        position
            How many bytes the server has.
        length
            How many are sent at most.

        Raises
        ------
        IntegrityError
            The file has changed since the upload began.
        """
        wanted = min(max(_UNIT, length - length % _UNIT), self.size - position)
        self._file.seek(position)
        self._pending = self._file.read(wanted)
        if len(self._pending) < wanted:
            raise self._changed("it became shorter")
        if position + wanted == self.size:
            self._check()
        return self._pending

    def arrived(self, reached: int) -> None:
        """Note what the server has; the bytes that it has are those that were sent.

        Parameters
        ----------
        reached
            How many it has.

        Raises
        ------
        SessionLostError
            It has lost bytes that it had.
        """
        if reached > self._known + len(self._pending):
            raise unlike_google(f"it has {reached} bytes, and was sent fewer")
        if reached and reached < self._known:
            raise SessionLostError(
                "Google has lost a part of the upload that was under way",
                seen=f"{reached} bytes of {self._known}",
                hint="run the cell again: it begins anew",
            )
        if not reached:
            self._start(checked=self._checked)
            return
        self._sent.update(memoryview(self._pending)[: reached - self._known])
        self._known, self._pending = reached, b""

    def _start(self, *, checked: str = "") -> None:
        """Have sent nothing."""
        self._sent = hashlib.md5(usedforsecurity=False)
        self._known, self._pending, self._checked = 0, b"", checked

    def _stamped(self) -> tuple[int, int]:
        """Return size and time of the last change."""
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns

    def _check(self) -> None:
        """Refuse to send the last bytes of a file that is not what was sent.

        Its times alone do not tell: they are coarse, and a file that is mapped into memory
        changes without them.
        """
        whole = self._sent.copy()
        whole.update(self._pending)
        self.md5 = whole.hexdigest()
        if not self._checked:
            self._checked = self._on_disk()
        if self._checked != self.md5 or self._stamp != self._stamped():
            raise self._changed("it changed")

    def _on_disk(self) -> str:
        """Return the MD5 of what is on disk now."""
        digest = hashlib.md5(usedforsecurity=False)
        self._file.seek(0)
        while data := self._file.read(_BLOCK):
            digest.update(data)
        return digest.hexdigest()

    def _changed(self, what: str) -> DriveError:
        """Return the error for a file that somebody else writes to."""
        return IntegrityError(
            f"{self.name!r} was not saved: {what} while it was uploaded",
            seen=f"{self.size} bytes at first, {self._stamped()[0]} now",
            hint="run it again, when nobody writes to the file; Drive has what it had before",
        )
