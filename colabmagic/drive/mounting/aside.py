"""Rename what is in the way of a mountpoint; nothing is ever deleted."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final

from colabmagic.drive.errors import MountpointError
from colabmagic.drive.mounting.preflight import another
from colabmagic.drive.words import quoted

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
    """Refuse what somebody stands on: the system's folders, home, the working directory."""
    try:
        here: Path | None = Path.cwd()
    except OSError:  # it is gone
        here = None
    why = None
    if path.parent == path.parent.parent:
        why = "it is a folder of the system"
    elif path == Path.home() or path in Path.home().parents:
        why = "your home is in it"
    elif here is not None and (path == here or path in here.parents):
        why = "the working directory is in it"
    if why is not None:
        raise MountpointError(
            f"{quoted(path)} is not moved aside: {why}",
            hint=f"mount in a folder of its own: %mount_drive {quoted(path / 'drive')}",
        )
