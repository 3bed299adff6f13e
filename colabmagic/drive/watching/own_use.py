"""What this process itself has in a mount: its working directory, its open files.

All of it is read from ``/proc/self``, as text: nothing in the mount is touched.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.drive.watching.mounts import inside
from colabmagic.drive.watching.probe import Health, look

if TYPE_CHECKING:
    from colabmagic.drive.watching.probe import Probe

_SELF: Final = Path("/proc/self")


def working_directory() -> str | None:
    """Return the working directory; None where the system does not tell.

    ``os.getcwd`` may look at the folder itself, which a hung mount does not allow.
    """
    try:
        return os.readlink(_SELF / "cwd")  # noqa: PTH115 (as text)
    except OSError:
        return None


def open_files(mountpoint: Path) -> list[str]:
    """Return the files of this process that are open in a mount, or mapped from it.

    Parameters
    ----------
    mountpoint
        Where it is mounted.
    """
    found = set()
    with contextlib.suppress(OSError):
        for entry in os.scandir(_SELF / "fd"):
            with contextlib.suppress(OSError):  # closed meanwhile
                found.add(os.readlink(entry.path))  # noqa: PTH115 (as text)
    with contextlib.suppress(OSError):
        maps = (_SELF / "maps").read_text("utf-8", "replace")
        found.update(
            line[line.index("/") :] for line in maps.splitlines() if "/" in line
        )
    return sorted(name for name in found if inside(name, mountpoint))


class WorkingDirectory:
    """Leaves a mount before it is mounted anew, and comes back after.

    A process that stays inside would be in the old, dead mount for ever.

    Parameters
    ----------
    mountpoint
        Where it is mounted.
    """

    def __init__(self, mountpoint: Path) -> None:
        self._mountpoint = mountpoint
        self._left: str | None = None
        self._refuge: str | None = None

    @property
    def left(self) -> str | None:
        """The folder that was left and is to be gone back to."""
        return self._left

    def leave(self) -> bool:
        """Leave the mount; tell whether this process was inside."""
        here = working_directory()
        if here is None or not inside(here, self._mountpoint):
            return False
        for refuge in (self._mountpoint.parent, Path("/")):
            with contextlib.suppress(OSError):
                os.chdir(refuge)
                self._left, self._refuge = here, working_directory()
                return True
        return False

    def come_back(self, timeout_s: float) -> str | None:
        """Go back to where this process was, unless the user has gone elsewhere.

        Parameters
        ----------
        timeout_s
            How long the folder may take to answer.

        Returns
        -------
        str or None
            Why it did not work; None if it did, or nothing was to do.
        """
        left, refuge = self._left, self._refuge
        if left is None:
            return None
        if working_directory() != refuge:
            self._left = self._refuge = None
            return None
        answer: Probe = look(Path(left), timeout_s, left)
        if answer.health is not Health.ALIVE:
            return answer.seen
        try:
            os.chdir(left)
        except OSError as error:
            return error.strerror or type(error).__name__
        self._left = self._refuge = None
        return None
