"""A folder for what is made before its upload: gone afterwards, also after a kill.

Who has one holds a lock on it. One without a holder is of a process that was killed, and
the next process that wants one removes it: an archive in it may be as large as the disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import TargetFullError
from colabmagic.drive.transfer.locks import try_lock

if TYPE_CHECKING:
    from typing import Self

_PREFIX: Final = "colabmagic-work-"
_YOUNG_S: Final = 60.0  # its maker may not have locked it yet
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class WorkRoom:
    """A folder of one's own among the temporary files.

    Parameters
    ----------
    what
        Is made there, for the error.

    Attributes
    ----------
    path
        The folder.

    Raises
    ------
    TargetFullError
        There is no room for one.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._descriptor, self._maker = -1, os.getpid()
        try:
            _clear()
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._descriptor = os.open(self.path, _FOLDER)
        except OSError as error:
            raise self.no_room(error) from None
        try_lock(self._descriptor)

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        self.remove()

    def remove(self) -> None:
        """Remove it, with all that is in it; a second time does nothing.

        In a forked process it stays: it is the parent's.
        """
        if self._descriptor >= 0:
            if os.getpid() == self._maker:
                shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._descriptor)
            self._descriptor = -1

    def no_room(self, error: OSError) -> TargetFullError:
        """Return the error for what finds no room.

        Parameters
        ----------
        error
            What the system says.
        """
        return TargetFullError(
            f"there is no room for the {self._what} before its upload",
            seen=f"{error.strerror or type(error).__name__}: {where()}",
            hint="free room, or set TMPDIR to a folder on a larger disk",
        )


def where() -> str:
    """Return the folder of temporary files; the usual one where none can be written."""
    try:
        return tempfile.gettempdir()
    except OSError:  # all disks are full, or closed to this user
        return os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 (only shown)


def _clear() -> None:
    """Remove the folders of this user that nobody holds any more."""
    with os.scandir(tempfile.gettempdir()) as entries:
        found = [each.path for each in entries if each.name.startswith(_PREFIX)]
    for path in found:
        with contextlib.suppress(OSError):
            descriptor = os.open(path, _FOLDER)
            try:
                status = os.fstat(descriptor)
                is_old = time.time() - status.st_ctime > _YOUNG_S
                if status.st_uid == os.geteuid() and is_old and try_lock(descriptor):
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)
