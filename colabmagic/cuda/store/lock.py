"""One kernel at a time changes our folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from typing import TYPE_CHECKING

from colabmagic.cuda.errors import BusyError
from colabmagic.cuda.store.trouble import unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colabmagic.cuda.store.layout import Home

_TICK_S = 0.1


@contextlib.contextmanager
def locked(home: Home, *, wait_s: float = 0.0) -> Iterator[None]:
    """Be the only one who changes our folder; the end of the process ends it too.

    Parameters
    ----------
    home
        Our folder.
    wait_s
        How long another may have it first.

    Raises
    ------
    BusyError
        Another kernel has it; its process is named.
    DiskFullError, NeedsRootError
        The folder cannot be written.
    """
    try:
        _make(home)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(home.lock, flags, 0o644)
    except OSError as error:
        raise unwritable(home.toolkits, error) from None
    try:
        _take(home, descriptor, time.monotonic() + wait_s)
        with contextlib.suppress(OSError):  # a full disk: nobody learns the number
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _make(home: Home) -> None:
    """Make our folders; nobody else may write to them, whatever the umask says.

    What lies there is run, and what the journal says is done: perhaps by root.
    """
    for folder in (home.root, home.toolkits):
        if folder.is_dir():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & stat.S_IWOTH:  # the files in it will be so, too
            with contextlib.suppress(OSError):  # some disks have no modes
                folder.chmod(stat.S_IRWXU)


def _take(home: Home, descriptor: int, until: float) -> None:
    """Wait for the lock until a moment of the monotonic clock."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(_TICK_S)
                continue
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            raise BusyError(
                "another kernel is changing CUDA toolkits just now",
                seen=f"process {holder or 'unknown'} holds {home.lock}",
                hint="wait until it is done, then run this cell again",
            ) from None
        except OSError:  # some network file systems have no locks
            return
        return
