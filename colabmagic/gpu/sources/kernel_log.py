"""The driver's last error number in the system's log, where this user may read it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_XID: Final = re.compile(rb"NVRM: Xid \([^)]*\): (\d+)")
_RECORD_BYTES: Final = 8192
_MOST_RECORDS: Final = 20_000


def last_xid(sysroot: Path) -> int | None:
    """Return the number of the last Xid error; None where none is to be seen.

    Parameters
    ----------
    sysroot
        The root of the file system.
    """
    try:
        log = os.open(sysroot / "dev/kmsg", os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    last = None
    try:
        for _ in range(_MOST_RECORDS):
            record = os.read(log, _RECORD_BYTES)  # one message of the kernel's
            if not record:
                break
            numbers = _XID.findall(record)
            last = int(numbers[-1]) if numbers else last
    except OSError:  # the end of the log, or a part that was overwritten
        pass
    finally:
        os.close(log)
    return last
