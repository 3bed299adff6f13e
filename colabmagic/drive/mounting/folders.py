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

from colabmagic.drive.errors import MountHungError, MountUnsupportedError
from colabmagic.drive.report import MountReport
from colabmagic.drive.state_report import StatusReport
from colabmagic.drive.watching.mounts import inside
from colabmagic.drive.watching.own_use import working_directory
from colabmagic.host.detect import detect
from colabmagic.host.facts import HostKind
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from colabmagic.drive.client import Drive
    from colabmagic.drive.service import Plan
    from colabmagic.drive.watching.watch import Watcher

SYSROOT = Path("/")  # where the file system begins; tests have a machine in a folder
_MOST_PENDING: Final = 100
_REMOUNT_S: Final = 120.0  # nobody may be there to allow it, and others wait meanwhile


def choose(
    mode: str, path: Path, env: Mapping[str, str] | None = None
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

    Raises
    ------
    MountUnsupportedError
        What was asked for does not work here.
    """
    host = detect(env, SYSROOT)
    on_colab = host.kind is HostKind.COLAB
    if mode == "api":
        return "api", ()
    if mode == "colab" or (
        mode == "auto" and on_colab and host.variant != "enterprise"
    ):
        if not on_colab:
            raise MountUnsupportedError(
                "--mode colab works on Colab alone",
                seen=f"this is {host.name}",
                hint="%mount_drive --mode auto",
            )
        return "colab", ()
    if mode == "fuse":  # which says itself what is missing, and what brings it
        return "fuse", ()
    reason = _no_fuse(path)
    return ("api", (f"no folder: {reason}",)) if reason else ("fuse", ())


def _no_fuse(path: Path) -> str | None:
    """Return why there can be no folder of ours; None if there can."""
    from colabmagic.drive.mounting import fuse  # noqa: PLC0415 (not on Colab)

    reason: str | None = fuse.can_mount()
    if reason is not None:
        return reason
    above = path.parent  # never the folder itself: it may be a mount that is dead
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK):
        return f"{above} cannot be written by you: another folder, such as ~/drive"
    return None


def mount_colab(plan: Plan) -> MountReport:
    """Mount by Google's own program."""
    from colabmagic.drive.mounting import colab  # noqa: PLC0415 (on Colab alone)

    done = colab.mount(
        plan.path,
        readonly=plan.readonly,
        force=plan.force,
        timeout_s=plan.timeout_s,
        move_aside=plan.move_aside,
        sysroot=SYSROOT,
    )
    return MountReport(
        mode="colab", path=done.path, reused=done.reused, readonly=done.readonly,
        moved_aside=done.moved_aside, notes=done.notes,
    )  # fmt: skip


def mount_fuse(plan: Plan, drive: Drive) -> MountReport:
    """Mount by FUSE."""
    from colabmagic.drive.mounting import aside, fuse  # noqa: PLC0415 (not on Colab)
    from colabmagic.drive.watching import mounts  # noqa: PLC0415 (not on Colab)

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
            plan.path, credentials=transport.credentials, api_root=transport.api_root
        )
    except BaseException:
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
    from colabmagic.drive.watching.vm_clock import VmClock  # noqa: PLC0415 (only with a folder)
    from colabmagic.drive.watching.watch import Watcher  # noqa: PLC0415

    def remount() -> object:
        from colabmagic.drive import service  # noqa: PLC0415 (in a circle)

        again = replace(
            plan, path=path, force=True, move_aside=False,
            timeout_s=min(plan.timeout_s, _REMOUNT_S),
        )  # fmt: skip
        return (
            mount_colab(again)
            if mode == "colab"
            else mount_fuse(again, service.client())
        )

    def not_uploaded() -> tuple[Path, ...]:
        from colabmagic.drive.mounting.pending import look_for_pending  # noqa: PLC0415 (on Colab)

        found = look_for_pending(path, limit=_MOST_PENDING)
        if found.trouble is not None:  # then the watcher goes by what it knew before
            raise MountHungError("its files cannot be asked", hint=found.trouble)
        return found.paths

    on_colab = mode == "colab"  # elsewhere the folder is read-only, and nobody is asked
    more: dict[str, Any] = {
        "pending": not_uploaded,
        "clock": VmClock(sysroot=SYSROOT),
        "wait_for": wait_for,
    }
    watcher = Watcher(
        path, remount=remount, notify=notify, **(more if on_colab else {})
    )
    watcher.start()
    return watcher


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
    except BaseException:
        if notes and here is not None:  # it is still there, and so are we
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
    from colabmagic.drive.watching.vm_clock import VmClock  # noqa: PLC0415

    seen = probe(path)
    told = None if watcher is None else watcher.status()
    clock = VmClock(sysroot=SYSROOT)
    age, left = clock.age_s(), clock.left_s()
    is_alive, on_colab = seen.health is Health.ALIVE, clock.on_colab
    waiting = (
        look_for_pending(path, limit=_MOST_PENDING) if is_alive and on_colab else None
    )
    return StatusReport(
        mode=None, path=path, health=seen.health.value, seen=seen.seen,
        watched=told is not None and told.running,
        probes=told.probes if told else 0,
        healed=told.healed if told else 0,
        failed=told.failed if told else 0,
        events=told.events if told else (),
        vm_age_s=None if isinstance(age, Unknown) or not on_colab else age,
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

    if detect(None, SYSROOT).kind is not HostKind.COLAB:
        return StatusReport(mode=None)
    table = mount_table(SYSROOT)
    found = [row for row in drive_mounts(table) if row.kind == "fuse.drive"]
    if not found:
        return StatusReport(mode=None)
    note = "it was mounted by drive.mount; %mount_drive takes it over, and watches it"
    report = status(found[-1].path, None)
    return replace(report, mode="colab", notes=(note,))


def boot_time() -> float:
    """Return when this machine began, as Unix time; 0 where that is not known."""
    from colabmagic.drive.watching.vm_clock import VmClock  # noqa: PLC0415 (rarely asked for)

    age = VmClock(sysroot=SYSROOT).age_s()
    return 0.0 if isinstance(age, Unknown) else time.time() - age
