"""What a cell has ended with, for the doctor: three texts, and nothing that holds memory.

The error itself is freed before the next cell runs, with all that its frames hold.
"""

from __future__ import annotations

import sys
from typing import Final

from colabmagic.drive.errors import DriveError

_OURS: Final = DriveError.__module__
_KNOWN: Final[list[DriveError]] = []  # one, or none
_SETTLED: Final[list[int]] = []  # which of those that Python keeps is answered


def remember(error: DriveError) -> None:
    """Keep what an error says.

    Parameters
    ----------
    error
        That a cell has ended with; neither it nor its frames are kept.
    """
    kind = next(one for one in type(error).__mro__ if one.__module__ == _OURS)
    assert issubclass(kind, DriveError)
    _KNOWN[:] = [kind(error.what, seen=error.seen, hint=error.hint)]
    _SETTLED.clear()


def forget() -> None:
    """Forget it: Drive has answered since."""
    _KNOWN.clear()
    _SETTLED[:] = [id(getattr(sys, "last_value", None))]


def known() -> DriveError | None:
    """Return what is remembered; else what Python keeps itself, where no shell is ours."""
    if _KNOWN:
        return _KNOWN[0]
    last = getattr(sys, "last_value", None)
    return last if isinstance(last, DriveError) and id(last) not in _SETTLED else None
