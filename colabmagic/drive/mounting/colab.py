"""Drive as a folder by Colab's own means.

``google.colab.drive.mount`` asks for permission, ends whatever mount there is, and only
then looks at the folder. Here all that can be known is known before; a mount that works
is used again; and what goes wrong gets its cause.
"""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.drive.errors import (
    DriveError,
    MountFailedError,
    MountUnsupportedError,
)
from colabmagic.drive.mounting import drive_log, preflight
from colabmagic.drive.mounting.aside import put_back, set_aside
from colabmagic.drive.mounting.colab_package import part
from colabmagic.drive.mounting.deadline import DeadlinePassed, deadline
from colabmagic.drive.mounting.drive_log import clean
from colabmagic.drive.mounting.mount_failures import Attempt, mount_failure
from colabmagic.drive.mounting.quiet import heard_stdout
from colabmagic.drive.mounting.standing import (
    Standing,
    detach,
    find_standing,
    outside,
    prepare_end,
)
from colabmagic.drive.watching.mounts import MountPoint, inside
from colabmagic.drive.watching.own_use import working_directory
from colabmagic.drive.watching.probe import Health, look
from colabmagic.drive.words import quoted, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_ROOT: Final = Path("/")
# What Colab's mount may take besides the two waits that get our time limit: it gives its
# program 30 s more, and once in a while waits 150 s for a prompt that never comes.
_MOUNT_SPARE_S: Final = 180.0
_FLUSH_SPARE_S: Final = 60.0
# What it prints when all is well: the result says it already.
_NO_NEWS: Final = ("Mounted at ", "Drive already mounted at ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounted:
    """Drive as a folder.

    Attributes
    ----------
    path, root
        The mountpoint, and the user's own files in it.
    reused
        It was there already, and nobody was asked.
    readonly
        Whether nothing can be written.
    moved_aside
        New places of what was in the way.
    notes
        What the user should know, a sentence each.
    """

    path: Path
    root: Path
    reused: bool
    readonly: bool
    moved_aside: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What `mount` was asked for, and where."""

    path: Path
    readonly: bool
    force: bool
    timeout_s: float
    env: Mapping[str, str]
    sysroot: Path

    @property
    def home(self) -> Path:
        """Where Colab's Drive program keeps its files."""
        return Path(self.env.get("HOME") or "/root")  # as its own code has it


def mount(  # noqa: PLR0913 (the options of %mount_drive)
    path: Path | str,
    *,
    readonly: bool = False,
    force: bool = False,
    timeout_s: float = 600,
    move_aside: bool = False,
    env: Mapping[str, str] = os.environ,
    sysroot: Path = _ROOT,
    notify: Callable[[str], object] | None = None,
    grace_s: float = 30.0,
) -> Mounted:
    """Mount Drive, or use the mount that is there.

    Parameters
    ----------
    path
        The mountpoint.
    readonly
        Nothing can be written under it.
    force
        Mount anew even where a mount works, or may work again.
    timeout_s
        For the user's permission, and again for the mount itself.
    move_aside
        Rename what is in the way.
    env, sysroot
        The environment, and where the file system begins.
    notify
        Gets what must be said before it happens, for example that an old mount ends
        with files not uploaded; it is in the notes too.
    grace_s
        How long an old mount may take to upload what it still has, before it is ended.

    Raises
    ------
    MountpointError, MountPolicyError, MountUnsupportedError
        Known before anybody was asked.
    MountHungError
        A mount does not answer, and `force` was not given.
    ConsentDeclinedError, MountFailedError, MountDeadError
        It was tried.
    """
    wish = _Wish(
        path=Path(os.path.abspath(Path(path).expanduser())),  # noqa: PTH100 (follows no link)
        readonly=readonly,
        force=force,
        timeout_s=max(1.0, timeout_s),  # Colab takes less than a second for no limit
        env=env,
        sysroot=sysroot,
    )
    _raise_if(preflight.refuse_host(preflight.colab_facts(env, sysroot)))
    _raise_if(preflight.refuse_name(wish.path))
    standing = find_standing(wish.path, sysroot)
    if standing.alive and not force:
        return _reused(standing.alive[0], wish)
    notes: list[str] = []

    def tell(text: str) -> None:
        notes.append(text)
        if notify is not None:
            notify(text)

    moved: tuple[Path, ...] = ()
    try:
        if wish.path not in standing.paths:  # else what is there is the mount itself
            moved = _make_room(wish.path, move_aside=move_aside)
        prepare_end(
            standing, force=force, tell=tell, grace_s=grace_s, again=_command(wish)
        )
        with outside(standing.paths, tell):
            for old in standing.broken:
                detach(old, sysroot)
            if wish.path in standing.broken:  # now what it has hidden can be seen
                moved = _make_room(wish.path, move_aside=move_aside)
            notes += _mount_anew(wish)
            _clear_away(wish, standing)
    except BaseException as error:  # Ctrl-C too: what was moved comes back
        _undo(wish.path, moved, error)
        raise
    return Mounted(
        path=wish.path,
        root=wish.path / "MyDrive",
        reused=False,
        readonly=readonly,
        moved_aside=moved,
        notes=tuple(notes),
    )


def _raise_if(error: DriveError | None) -> None:
    """Raise an error, if there is one."""
    if error is not None:
        raise error


def _command(wish: _Wish) -> str:
    """Return what to type for this mount."""
    return f"%mount_drive {quoted(wish.path)}"


def _reused(point: MountPoint, wish: _Wish) -> Mounted:
    """Return a mount that works, with what the user should know of it."""
    readonly = point.readonly
    notes, where = [], quoted(point.path)
    if point.path != wish.path:
        notes.append(
            f"Drive is mounted at {where} already, and used from there: a second "
            f"mount would end the first ({_command(wish)} --force does that)"
        )
    if wish.readonly and not readonly:
        notes.append(
            "it can be written to: it was mounted so "
            f"(%mount_drive {where} --readonly --force mounts it anew)"
        )
    if readonly and not wish.readonly:
        notes.append(
            "it cannot be written to: it was mounted so "
            f"(%mount_drive {where} --force mounts it anew)"
        )
    return Mounted(
        path=point.path,
        root=point.path / "MyDrive",
        reused=True,
        readonly=readonly,
        notes=tuple(notes),
    )


def _make_room(path: Path, *, move_aside: bool) -> tuple[Path, ...]:
    """Rename what is in the way, where that is wished; else refuse."""
    place = preflight.look(path)
    refusal = preflight.refuse_place(place)
    if refusal is None:
        return ()
    movable = {
        preflight.PlaceKind.FILES,
        preflight.PlaceKind.FILE,
        preflight.PlaceKind.LINK,
    }
    if not move_aside or place.kind not in movable:
        raise refusal
    return (set_aside(path),)


def _undo(path: Path, moved: tuple[Path, ...], error: BaseException) -> None:
    """Put back what was moved for a mount that came to nothing, or say where it is."""
    for aside in moved:
        if not put_back(path, aside) and isinstance(error, DriveError):
            seen = f"{error.seen}; " if error.seen else ""
            error.seen = f"{seen}what was at {path} is at {shown(aside)} now"


def _mount_anew(wish: _Wish) -> list[str]:
    """Have Colab mount Drive, past an old mount that is in use; return its notes."""
    try:
        return _mount_once(wish)
    except OSError as error:
        # Its own `umount` fails where a file is open, and the folder is dead by then.
        if isinstance(error, DriveError) or error.errno != errno.ENOTCONN:
            raise
    detach(wish.path, wish.sysroot)
    try:
        return _mount_once(wish)
    except OSError as error:
        if isinstance(error, DriveError):
            raise
        attempt = Attempt(
            path=wish.path,
            timeout_s=wish.timeout_s,
            elapsed_s=0,
            log=drive_log.LogFindings(),
        )
        raise mount_failure(error, attempt) from None


def _clear_away(wish: _Wish, standing: Standing) -> None:
    """Take away what the new mount has ended elsewhere: it would answer ENOTCONN for ever."""
    for point in standing.alive:
        if point.path != wish.path and look(point.path).health is not Health.ALIVE:
            detach(point.path, wish.sysroot)


def _mount_once(wish: _Wish) -> list[str]:
    """Call Colab's mount once; return what it said.

    Raises
    ------
    OSError
        The folder is dead (ENOTCONN): the caller knows what helps.
    """
    written = drive_log.mark(wish.home)
    started = time.monotonic()
    heard: list[str] = []
    try:
        with heard_stdout() as heard, deadline(2 * wish.timeout_s + _MOUNT_SPARE_S):
            part("drive").mount(
                str(wish.path),
                force_remount=wish.force,
                timeout_ms=int(wish.timeout_s * 1000),
                readonly=wish.readonly,
            )
    except (Exception, DeadlinePassed) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOTCONN:
            raise
        attempt = Attempt(
            path=wish.path,
            timeout_s=wish.timeout_s,
            elapsed_s=time.monotonic() - started,
            log=drive_log.read_log(written),
        )
        raise mount_failure(error, attempt) from None
    _check_it_works(wish, heard)
    return _news(heard)


def _check_it_works(wish: _Wish, heard: list[str]) -> None:
    """Trust no word of success: look."""
    answer = look(wish.path)
    if answer.health is not Health.ALIVE:
        raise MountFailedError(
            "Colab says that Drive is mounted, and it does not answer",
            seen=f"{answer.seen}; {clean(' '.join(heard))}",
            hint=f"{_command(wish)} --force",
        )


def _news(heard: list[str]) -> list[str]:
    """Return what Colab printed, but for what the result says anyway."""
    lines = [clean(line, 300) for line in "".join(heard).splitlines()]
    return [f"Colab says: {x}" for x in lines if x and not x.startswith(_NO_NEWS)]


def flush_and_unmount(
    timeout_s: float,
    *,
    env: Mapping[str, str] = os.environ,
    sysroot: Path = _ROOT,
) -> tuple[str, ...]:
    """Upload what is not uploaded yet, and take Drive away; return notes.

    Parameters
    ----------
    timeout_s
        For the uploads.
    env, sysroot
        The environment, and where the file system begins.

    Raises
    ------
    MountUnsupportedError
        Colab cannot do that here.
    MountFailedError
        It failed, or did not end in time: files may be missing on Drive.
    """
    _raise_if(preflight.refuse_host(preflight.colab_facts(env, sysroot)))
    _raise_if(preflight.refuse_flush(sysroot))
    standing = find_standing(None, sysroot)
    for point in standing.dead:
        detach(point.path, sysroot)
    if not standing.alive and not standing.doubtful:
        gone = tuple(
            f"Drive at {shown(point.path)} was dead: what it had not uploaded is lost"
            for point in standing.dead
        )
        return gone or ("Drive is not mounted, so there is nothing to upload",)
    here = working_directory()
    was_inside = here is not None and any(inside(here, path) for path in standing.paths)
    heard = _flush(timeout_s)
    notes = _news(heard)
    if was_inside:
        notes.append(f"the working directory {shown(here)} was in Drive: %cd /content")
    return tuple(notes)


def _flush(timeout_s: float) -> list[str]:
    """Call Colab's flush; return what it said."""
    try:
        with heard_stdout() as heard, deadline(timeout_s + _FLUSH_SPARE_S):
            part("drive").flush_and_unmount(timeout_ms=int(max(1.0, timeout_s) * 1000))
    except NotImplementedError as error:
        raise MountUnsupportedError(
            "Colab cannot upload and unmount on this machine",
            seen=clean(str(error)),
            hint="%mount_drive --sync uploads by itself",
        ) from None
    except (Exception, DeadlinePassed) as error:  # noqa: BLE001 (whatever it was)
        raise MountFailedError(
            "Drive could not be unmounted in good order; files may be missing on it",
            seen=f"{type(error).__name__}: {clean(str(error))}",
            hint="%mount_drive --sync compares with the server, and uploads what is not "
            "there",
        ) from None
    return heard
