"""Files that one process alone writes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import threading
    from pathlib import Path

_TICK_S: Final = 0.05


def open_locked(path: Path, stop: threading.Event) -> int | None:
    """Open a file that this process alone writes, until it is closed.

    Parameters
    ----------
    path
        The file; it is made if it is not there. Its folder is there.
    stop
        Ends the wait for another process.

    Returns
    -------
    int or None
        A descriptor; None once `stop` is set.

    Raises
    ------
    OSError
        The file cannot be made.
    """
    while not stop.is_set():
        descriptor = try_open_locked(path)
        if descriptor is not None:
            return descriptor
        stop.wait(_TICK_S)
    return None


def try_open_locked(path: Path) -> int | None:
    """Open a file that this process alone writes; None if another one has it.

    Parameters
    ----------
    path
        The file; it is made if it is not there.
    """
    descriptor = os.open(
        path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666
    )
    ours = False
    try:
        ours = _locks(descriptor) and _is_at(descriptor, path)
    finally:
        if not ours:  # or whoever had it has just given it its name
            os.close(descriptor)
    return descriptor if ours else None


def _locks(descriptor: int) -> bool:
    """Tell whether a file could be locked; some file systems have no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether an open file is still the one of a name."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def age_s(path: Path) -> float:
    """Return the seconds since a file was last written or used; 0 if it is gone.

    Parameters
    ----------
    path
        Of the file.
    """
    with contextlib.suppress(OSError):
        return max(0.0, time.time() - path.stat().st_mtime)
    return 0.0
