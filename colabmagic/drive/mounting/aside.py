"""Rename what is in the way of a mountpoint; nothing is ever deleted."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import MountpointError
from colabmagic.drive.mounting.preflight import another, why_it_stays
from colabmagic.drive.words import quoted

if TYPE_CHECKING:
    from pathlib import Path

_TRIES: Final = 100


def set_aside(path: Path) -> Path:
    """Rename what is at a path to ``PATH.local-TIME`` and return its new place.

    Parameters
    ----------
    path
        Absolute; a folder, a file or a link.

    Raises
    ------
    MountpointError
        It must stay where it is, or cannot be renamed.
    """
    _check_may_move(path)
    target = _free_name(path)
    try:
        path.rename(target)
    except OSError as error:
        raise MountpointError(
            f"{quoted(path)} cannot be renamed",
            seen=error.strerror or type(error).__name__,
            hint=f"give another folder: %mount_drive {another(path)}",
        ) from None
    return target


def put_back(path: Path, aside: Path) -> bool:
    """Undo `set_aside` after a mount that came to nothing; tell whether it is done.

    Parameters
    ----------
    path
        Where it was; an empty folder there is taken away, anything else stays.
    aside
        Where it is now.
    """
    with contextlib.suppress(OSError):
        path.rmdir()
    if os.path.lexists(path):
        return False
    try:
        aside.rename(path)
    except OSError:
        return False
    return True


def _free_name(path: Path) -> Path:
    """Return a name beside a path that nothing has: a rename would replace it."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in range(_TRIES):
        suffix = f"-{number}" if number else ""
        target = path.with_name(f"{path.name}.local-{stamp}{suffix}")
        if not os.path.lexists(target):
            return target
    raise MountpointError(
        f"no name is free to move {quoted(path)} to",
        hint="rename it by hand",
    )


def _check_may_move(path: Path) -> None:
    """Refuse what somebody stands on."""
    why = why_it_stays(path)
    if why is not None:
        raise MountpointError(
            f"{quoted(path)} is not moved aside: {why}",
            hint=f"mount in a folder of its own: %mount_drive {quoted(path / 'drive')}",
        )
