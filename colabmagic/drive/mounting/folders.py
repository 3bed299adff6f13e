"""Drive as a folder: which way there is here, and what is the same for both.

On Colab Google's own program shows Drive; elsewhere ours does, by FUSE, read-only.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.errors import (
    DrivePathError,
    MountHungError,
    MountpointError,
    MountUnsupportedError,
)
from colabmagic.drive.report import MountReport
from colabmagic.drive.session import client
from colabmagic.drive.state_report import StatusReport
from colabmagic.drive.watching.mounts import inside
from colabmagic.drive.watching.own_use import working_directory
from colabmagic.drive.words import home, quoted, shown
from colabmagic.host.detect import detect
from colabmagic.host.facts import HostKind
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from colabmagic.drive.client import Drive
    from colabmagic.drive.plan import Plan
    from colabmagic.drive.watching.watch import Watcher

COLABS: Final = Path("/content/drive")
SYSROOT = Path("/")  # where the file system begins; tests have a machine in a folder
_MOST_PENDING: Final = 100
_DRIVES: Final = (
    "Colab's folder shows all shared drives below Shareddrives; --drive counts for --ls, "
    "--stage, --save and --pack"
)
_REMOUNT_S: Final = 120.0  # nobody may be there to allow it, and others wait meanwhile


def default_path(env: Mapping[str, str] | None = None) -> Path:
    """Return where Drive is shown if nobody says: where Colab has it, or in one's home.

    Parameters
    ----------
    env
        Environment variables; those of the process where left out.
    """
    return COLABS if on_colab(env) else home() / COLABS.name


def on_colab(env: Mapping[str, str] | None = None) -> bool:
    """Tell whether this is a machine of Colab.

    Parameters
    ----------
    env
        Environment variables; those of the process where left out.
    """
    return detect(env, SYSROOT).kind is HostKind.COLAB


def choose(
    mode: str,
    path: Path,
    env: Mapping[str, str] | None = None,
    *,
    wanted: bool = False,
) -> tuple[str, tuple[str, ...]]:
    """Return ``colab``, ``fuse`` or ``api``, and why there is no folder.

    Parameters
    ----------
    mode
        As asked for; ``auto`` takes the best that works here.
    path
        Where the folder is wanted.
    env
        Environment variables; those of the process where left out.
    wanted
        The user has named this very folder: he is told where it will not do. That of
        Colab stands in notebooks that come from there, and is no such wish elsewhere.

    Raises
    ------
    MountUnsupportedError
        What was asked for does not work here.
    MountpointError
        Drive can be a folder here, and not at this path.
    """
    host = detect(env, SYSROOT)
    is_colab = host.kind is HostKind.COLAB
    if mode == "api":
        return "api", ()
    if mode == "colab" or (
        mode == "auto" and is_colab and host.variant != "enterprise"
    ):
        if not is_colab:
            raise MountUnsupportedError(
                "--mode colab works on Colab alone",
                seen=f"this runs on: {host.name}",
                hint="%mount_drive --mode auto",
            )
        return "colab", ()
    if mode == "fuse":  # which says itself what is missing, and what brings it
        return "fuse", ()
    from colabmagic.drive.mounting import fuse  # noqa: PLC0415 (not on Colab)

    wanted = wanted and path != COLABS
    reason: str | None = fuse.can_mount()
    if reason is None:
        reason = _no_place(path, also_full=not wanted)
        if reason is not None and wanted:
            raise MountpointError(
                f"Drive cannot be a folder at {shown(path)}",
                seen=reason,
                hint=f"%mount_drive {fuse.another(path)}",
            )
    return ("api", (f"no folder: {reason}",)) if reason else ("fuse", ())


def _no_place(path: Path, *, also_full: bool) -> str | None:
    """Return why a path cannot be the folder; None if it can.

    Neither it nor what is above it is touched where that is a mount of Drive: it may be
    dead, or hang.
    """
    from colabmagic.drive.mounting import fuse  # noqa: PLC0415 (not on Colab)
    from colabmagic.drive.watching import mounts  # noqa: PLC0415 (rarely asked for)

    if mounts.mount_at(path) is not None:
        return None
    above = path.parent
    for each in mounts.drive_mounts():
        if inside(str(above), each.path):
            return f"it lies in Drive itself, which is at {shown(each.path)}, read-only"
    while not os.path.exists(above) and above != above.parent:  # noqa: PTH110 (as below)
        above = above.parent
    if not (os.path.isdir(above) and os.access(above, os.W_OK)):  # noqa: PTH112
        return (
            f"{shown(above)} cannot be written by you: another folder, such as ~/drive"
        )
    if also_full and _is_in_the_way(path):
        instead = f"%mount_drive {fuse.another(path)}"
        return f"{shown(path)} has files in it; for a folder elsewhere: {instead}"
    return None


def mount_colab(plan: Plan, tell: Callable[[str], object] | None = None) -> MountReport:
    """Mount by Google's own program.

    Parameters
    ----------
    plan
        With its path.
    tell
        Gets at once what the end of an old mount costs: whoever hears of it only in a
        report hears nothing where the new mount fails.
    """
    from colabmagic.drive.mounting import colab  # noqa: PLC0415 (on Colab alone)

    assert plan.path is not None
    done = colab.mount(
        plan.path,
        readonly=plan.readonly,
        force=plan.force,
        timeout_s=plan.timeout_s,
        move_aside=plan.move_aside,
        sysroot=SYSROOT,
        notify=tell,
    )
    return MountReport(
        mode="colab", path=done.path, reused=done.reused, readonly=done.readonly,
        moved_aside=done.moved_aside,
        notes=done.notes if plan.access.drive_id is None else (*done.notes, _DRIVES),
    )  # fmt: skip


def mount_fuse(plan: Plan, drive: Drive) -> MountReport:
    """Mount by FUSE."""
    from colabmagic.drive.mounting import aside, fuse  # noqa: PLC0415 (not on Colab)
    from colabmagic.drive.watching import mounts  # noqa: PLC0415 (not on Colab)

    assert plan.path is not None
    if plan.force and mounts.mount_at(plan.path) is not None:
        fuse.unmount(plan.path)
    there = mounts.mount_at(plan.path)
    moved: tuple[Path, ...] = ()
    was_there = there is not None and _is_alive(plan.path)
    if plan.move_aside and there is None and _is_in_the_way(plan.path):
        moved = (aside.set_aside(plan.path),)
    transport = drive.files.transport
    try:
        fuse.mount(
            plan.path,
            credentials=transport.credentials,
            api_root=transport.api_root,
            drive_id=drive.files.drive_id,
        )
    except BaseException:  # Ctrl-C too: what was moved comes back
        for each in moved:
            aside.put_back(plan.path, each)
        raise
    return MountReport(
        mode="fuse", path=plan.path, reused=was_there, readonly=True, moved_aside=moved
    )


def _is_in_the_way(path: Path) -> bool:
    """Tell whether something is at a path that is no empty folder."""
    return os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir()))


def _is_alive(path: Path) -> bool:
    """Tell whether a mount answers."""
    from colabmagic.drive.watching.probe import Health, probe  # noqa: PLC0415 (rarely asked for)

    return probe(path).health is Health.ALIVE


def watch(
    plan: Plan,
    mode: str,
    path: Path,
    notify: Callable[[str], object],
    wait_for: Callable[[], str | None],
) -> Watcher:
    """Start to look after a mount.

    Parameters
    ----------
    plan, mode, path
        How it was mounted.
    notify
        Tells the user; called in the watcher's thread.
    wait_for
        Returns why the user cannot be asked for permission now.
    """
    from colabmagic.drive.watching.watch import Watcher  # noqa: PLC0415
    from colabmagic.host.vm_clock import VmClock  # noqa: PLC0415 (only with a folder)

    def remount() -> object:
        again = replace(
            plan, path=path, force=True, move_aside=False,
            timeout_s=min(plan.timeout_s, _REMOUNT_S),
        )  # fmt: skip
        return mount_colab(again) if mode == "colab" else mount_fuse(again, client())

    def not_uploaded() -> tuple[Path, ...]:
        from colabmagic.drive.mounting.pending import look_for_pending  # noqa: PLC0415 (on Colab)

        found = look_for_pending(path, limit=_MOST_PENDING)
        if found.trouble is not None:  # then the watcher goes by what it knew before
            raise MountHungError("its files cannot be asked", hint=found.trouble)
        return found.paths

    by_google = mode == "colab"  # else the folder is read-only, and nobody is asked
    more: dict[str, Any] = {
        "pending": not_uploaded,
        "clock": VmClock(sysroot=SYSROOT),
        "wait_for": wait_for,
    }
    watcher = Watcher(
        path, remount=remount, notify=notify, **(more if by_google else {})
    )
    watcher.start()
    return watcher


def enter(root: Path, folder: str) -> Path:
    """Make a folder below the mount the working directory.

    Parameters
    ----------
    root
        The mount.
    folder
        As the user names it.
    """
    wanted = Path(folder)
    if wanted.is_absolute() and wanted.is_relative_to(root):
        wanted = wanted.relative_to(root)
    names = [name for name in wanted.parts if name not in {"/", "."}]
    if ".." in names or wanted.is_absolute():
        raise DrivePathError(
            f"--cd leads out of {root}",
            seen=repr(folder),
            hint='a folder below it: --cd "MyDrive/project"',
        )
    if names and names[0] == "My Drive" and not (root / names[0]).is_dir():
        names[0] = "MyDrive"
    target = root.joinpath(*names)
    try:
        os.chdir(target)
    except OSError as error:
        raise DrivePathError(
            f"Drive is mounted, but there is no folder {target}",
            seen=error.strerror or type(error).__name__,
            hint=f"%ls {quoted(root / 'MyDrive')}",
        ) from None
    return target


def unmount(path: Path, mode: str, timeout_s: float) -> tuple[str, ...]:
    """Take a mount away; return what the user should know.

    Parameters
    ----------
    path
        The mount.
    mode
        How it was mounted.
    timeout_s
        How long Drive's own uploads may take.
    """
    notes, here = [], working_directory()
    if here is None or inside(here, path):
        os.chdir(path.parent)  # else it stays busy
        notes.append(f"the working directory was in Drive; it is {path.parent} now")
    try:
        if mode == "fuse":
            from colabmagic.drive.mounting import fuse  # noqa: PLC0415 (not on Colab)

            fuse.unmount(path)
        else:
            from colabmagic.drive.mounting import colab  # noqa: PLC0415 (on Colab alone)

            notes += colab.flush_and_unmount(timeout_s, sysroot=SYSROOT)
    except BaseException:  # Ctrl-C too: it is still there, and so are we
        if notes and here is not None:
            with contextlib.suppress(OSError):
                os.chdir(here)
        raise
    return tuple(notes)


def status(path: Path, watcher: Watcher | None) -> StatusReport:
    """Return how a folder is.

    Parameters
    ----------
    path
        The mount.
    watcher
        Its watcher, if one runs.
    """
    from colabmagic.drive.mounting.pending import look_for_pending  # noqa: PLC0415
    from colabmagic.drive.watching.probe import Health, probe  # noqa: PLC0415 (with a folder)
    from colabmagic.host.vm_clock import VmClock  # noqa: PLC0415

    seen = probe(path)
    told = None if watcher is None else watcher.status()
    clock = VmClock(sysroot=SYSROOT)
    age, left = clock.age_s(), clock.left_s()
    is_alive, has_end = seen.health is Health.ALIVE, clock.on_colab
    waiting = (
        look_for_pending(path, limit=_MOST_PENDING) if is_alive and has_end else None
    )
    return StatusReport(
        mode=None, path=path, health=seen.health.value, seen=seen.seen,
        watched=told is not None and told.running,
        probes=told.probes if told else 0,
        healed=told.healed if told else 0,
        failed=told.failed if told else 0,
        events=told.events if told else (),
        vm_age_s=None if isinstance(age, Unknown) or not has_end else age,
        vm_left_s=None if isinstance(left, Unknown) else left,
        pending=() if waiting is None else waiting.paths,
        pending_known=waiting is not None and waiting.complete,
    )  # fmt: skip


def status_of_others() -> StatusReport:
    """Return what Colab has mounted without this process; nothing where there is none.

    A folder that another process shows by FUSE is that process's own affair.
    """
    from colabmagic.drive.mounting.standing import mount_table  # noqa: PLC0415
    from colabmagic.drive.watching.mounts import drive_mounts  # noqa: PLC0415 (rarely asked for)

    if not on_colab():
        return StatusReport(mode=None)
    table = mount_table(SYSROOT)
    found = [row for row in drive_mounts(table) if row.is_colabs]
    if not found:
        return StatusReport(mode=None)
    note = "it was mounted by drive.mount; %mount_drive takes it over, and watches it"
    report = status(found[-1].path, None)
    return replace(report, mode="colab", notes=(note,))


def boot_time() -> float:
    """Return when this machine began, as Unix time; 0 where that is not known."""
    from colabmagic.host.vm_clock import VmClock  # noqa: PLC0415 (rarely asked for)

    age = VmClock(sysroot=SYSROOT).age_s()
    return 0.0 if isinstance(age, Unknown) else time.time() - age
