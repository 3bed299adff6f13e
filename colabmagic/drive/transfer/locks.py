"""Files that one process alone writes, and why one cannot be written."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import TargetFullError
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from pathlib import Path

_NOT_MINE: Final = {errno.EROFS, errno.EACCES, errno.EPERM}


def locked(part: Path) -> int:
    """Open a file that this process alone writes, until it is closed.

    Two downloads to one target would write into each other's file: what one has already
    given its name is still open in the other.

    Parameters
    ----------
    part
        The file; it is made if it is not there.

    Raises
    ------
    BlockingIOError
        Another process has it.
    """
    while True:
        descriptor = os.open(
            part,
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK,
            0o666,
        )
        try:
            is_free = try_lock(descriptor)
            if is_free and _is_at(descriptor, part):
                return descriptor
        except BaseException:  # also Ctrl-C: what stays open stays locked
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not is_free:
            raise BlockingIOError
        # else whoever had it has just given it its name


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether an open file is still the one of a name."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def lock(path: Path) -> int | None:
    """Return the descriptor of a lock that is ours now; None if it is another's.

    Parameters
    ----------
    path
        Of the lock; who has it removes it, and closes the descriptor.

    Raises
    ------
    TargetFullError
        It cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return locked(path)
    except BlockingIOError:
        return None
    except OSError as error:
        raise unwritable(path.parent, error) from None


def try_lock(descriptor: int) -> bool:
    """Lock an open file; tell whether this worked, also where locks are unknown.

    Parameters
    ----------
    descriptor
        Of the file; closing it ends the lock, and so does the end of the process.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some file systems have no locks
        return True
    return True


def refuse_full(target: Path, wanted: int) -> None:
    """Raise if a disk has less room than is wanted.

    Parameters
    ----------
    target
        What would lie on it; its folder is there.
    wanted
        Bytes.

    Raises
    ------
    TargetFullError
        It has.
    """
    free = shutil.disk_usage(target.parent).free
    if wanted > free:
        raise TargetFullError(
            f"there is no room for {clean(target.name)}",
            seen=f"{wanted:,} bytes wanted, {free:,} free in {clean(str(target.parent))}",
            hint="free some, or another folder",
        )


def unwritable(target: Path, error: OSError) -> TargetFullError:
    """Return the error for a file that cannot be written.

    Parameters
    ----------
    target
        The file.
    error
        What the system says.
    """
    if error.errno == errno.ENAMETOOLONG:
        return TargetFullError(
            f"{clean(str(target))} is a name that the disk cannot have",
            seen=f"{len(os.fsencode(target.name))} bytes",
            hint="a shorter name",
        )
    return TargetFullError(
        f"{clean(str(target))} cannot be written",
        seen=f"{error.strerror or type(error).__name__}",
        hint="another folder, that you may write"
        if error.errno in _NOT_MINE
        else "free room on the disk, or choose another folder",
    )
