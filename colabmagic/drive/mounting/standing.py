"""Mounts of Colab's Drive that stand now: find them, and end them with care.

Colab's machine has one program for Drive. A second mount ends the first, and with it what
the first has not uploaded yet.
"""

from __future__ import annotations

import contextlib
import errno
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import (
    MountFailedError,
    MountHungError,
    MountpointError,
)
from colabmagic.drive.mounting.pending import Pending, look_for_pending
from colabmagic.drive.mounting.preflight import another
from colabmagic.drive.watching import mounts
from colabmagic.drive.watching.mounts import MountPoint, drive_mounts, mount_at
from colabmagic.drive.watching.own_use import WorkingDirectory
from colabmagic.drive.watching.probe import Health, Probe, look
from colabmagic.drive.words import named, quoted, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Tell = Callable[[str], object]

_GONE: Final = frozenset({errno.ENOTCONN, errno.ENOENT, errno.ESTALE})
_DETACH_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 1.0
_COME_BACK_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Colab's mounts by what became of them.

    Attributes
    ----------
    alive
        Those that work, the one at the wanted place first.
    dead
        Nothing is behind them any more: they can be taken away.
    doubtful
        Those that hang or fail, and may come to life again.
    """

    alive: tuple[MountPoint, ...] = ()
    dead: tuple[MountPoint, ...] = ()
    doubtful: tuple[tuple[MountPoint, Probe], ...] = ()

    @property
    def broken(self) -> tuple[Path, ...]:
        """Where those are that do not work."""
        doubtful = tuple(point for point, _ in self.doubtful)
        return tuple(point.path for point in (*self.dead, *doubtful))

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where they all are."""
        return (*(point.path for point in self.alive), *self.broken)


def mount_table(sysroot: Path) -> Path:
    """Return the table of this process's mounts.

    Parameters
    ----------
    sysroot
        Where the file system begins.
    """
    return sysroot / "proc/self/mounts"


def find_standing(path: Path | None, sysroot: Path = Path("/")) -> Standing:
    """Find Colab's mounts, and see which of them answer.

    Parameters
    ----------
    path
        The wanted mountpoint; None for all there are.
    sysroot
        Where the file system begins.

    Raises
    ------
    MountpointError
        Something that is not Colab's is mounted at the path, or the path lies in a mount.
    """
    table = mount_table(sysroot)
    if path is not None:
        _check_foreign(path, table)
    points = [point for point in drive_mounts(table) if point.is_colabs]
    points.sort(key=lambda point: point.path != path)
    alive, dead, doubtful = [], [], []
    for point in points:
        answer = look(point.path)
        if answer.health is Health.ALIVE:
            alive.append(point)
        elif answer.health is Health.DEAD or answer.errno in _GONE:
            dead.append(point)
        else:
            doubtful.append((point, answer))
    return Standing(alive=tuple(alive), dead=tuple(dead), doubtful=tuple(doubtful))


def _check_foreign(path: Path, table: Path) -> None:
    """Refuse a place where something else is mounted, or inside of Drive."""
    here = mount_at(path, table)
    if here is not None and not here.is_colabs:
        raise MountpointError(
            f"something else is mounted at {path}",
            seen=f"{shown(here.source)!r} of type {shown(here.kind)!r}",
            hint=f"%mount_drive {another(path)}\n"
            "or, if that is a Drive of yours: %mount_drive --unmount",
        )
    above = next((p for p in drive_mounts(table) if p.path in path.parents), None)
    if above is not None:
        raise MountpointError(
            f"{path} lies inside of Drive, which is mounted at {shown(above.path)}",
            hint=f"use it there: {shown(above.path / 'MyDrive')}",
        )


def prepare_end(
    standing: Standing, *, force: bool, tell: Tell, grace_s: float, again: str
) -> None:
    """Say what the end of the mounts costs, and give uploads some time.

    Parameters
    ----------
    standing
        The mounts.
    force
        Whether to go on where something may be lost.
    tell
        Gets what the user must know before it happens.
    grace_s
        How long uploads may take.
    again
        What to type to go on anyway.

    Raises
    ------
    MountHungError, MountFailedError
        A mount may come to life again, and `force` was not given.
    """
    for point, answer in standing.doubtful:
        if not force:
            raise _doubtful(point, answer, again)
        tell(
            f"Drive at {shown(point.path)} does not answer; what it had not uploaded is lost "
            "with the old mount"
        )
    for point in standing.alive:
        _wait_for_uploads(point.path, tell, grace_s)


def _doubtful(
    point: MountPoint, answer: Probe, again: str
) -> MountHungError | MountFailedError:
    """Return the error for a mount that may work again."""
    if answer.health is Health.HUNG:
        return MountHungError(
            f"Drive at {shown(point.path)} is mounted, and does not answer",
            seen=answer.seen,
            hint="wait, and run the cell again\n"
            f"or, which loses what is not uploaded yet: {again} --force",
        )
    return MountFailedError(
        f"Drive at {shown(point.path)} is mounted, and fails",
        seen=answer.seen,
        hint="run the cell again\n"
        f"or, which loses what is not uploaded yet: {again} --force",
    )


def _wait_for_uploads(path: Path, tell: Tell, grace_s: float) -> None:
    """Tell what is not uploaded, wait for it, and tell what is left."""
    end = time.monotonic() + grace_s
    pending = look_for_pending(path)
    if not pending.paths:
        if not pending.complete:
            tell(
                f"not all of {shown(path)} could be searched for files not uploaded yet"
            )
        return
    tell(
        f"{_files(pending)} under {shown(path)} not uploaded yet; waiting {grace_s:.0f} s"
    )
    while pending.paths and time.monotonic() < end:
        time.sleep(min(_POLL_S, max(0.0, end - time.monotonic())))
        pending = look_for_pending(path)
    if pending.paths:
        tell(f"the old mount ends with {_files(pending)} not uploaded")
    else:
        tell("they are uploaded now")


def _files(pending: Pending) -> str:
    """Return how many files these are, and some of their names."""
    count = len(pending.paths)
    names = named([path.name for path in pending.paths])
    return f"{count} file{'s' if count > 1 else ''} ({names})"


def detach(path: Path, sysroot: Path = Path("/")) -> None:
    """Take a mount out of the way at once, even where it is in use or hangs.

    Colab's own code looks into the folder before it ends an old mount, and would hang
    with it.

    Parameters
    ----------
    path
        The mountpoint.
    sysroot
        Where the file system begins.

    Raises
    ------
    MountFailedError
        It is still there.
    """
    mounts.detach(
        path,
        _DETACH_TIMEOUT_S,
        table=mount_table(sysroot),
        umount=str(sysroot / "bin/umount"),
    )


@contextlib.contextmanager
def outside(paths: Sequence[Path], tell: Tell) -> Iterator[None]:
    """Leave the working directory while mounts end, and come back to it.

    Parameters
    ----------
    paths
        Of the mounts.
    tell
        Gets a sentence where there is no way back.
    """
    places = [WorkingDirectory(path) for path in paths]
    for place in places:
        place.leave()
    try:
        yield
    finally:
        for place in places:
            left = place.left
            reason = place.come_back(_COME_BACK_S)
            if reason is not None:
                tell(
                    f"the working directory {shown(left)} is not there ({reason}); "
                    f"%cd {quoted(left)} when it is"
                )
