"""Drive in this process: one mount or connection, and what the verbs do with it.

Everything here takes plain values and returns a report; `magics/drive.py` reads the line
and shows the report.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from colabmagic.drive.client import connect
from colabmagic.drive.errors import (
    DriveError,
    MountUnsupportedError,
    NoCredentialsError,
)
from colabmagic.drive.mounting import folders
from colabmagic.drive.plan import TIMEOUT_S, Access, Plan
from colabmagic.drive.report import Account, DoneReport, MountReport
from colabmagic.drive.session import (
    KEY_VARIABLE,
    STATE,
    Mounted,
    ask_account,
    client,
)
from colabmagic.drive.state_report import StatusReport
from colabmagic.drive.words import local, remote, shown

__all__ = [
    "TIMEOUT_S",
    "Access",
    "Plan",
    "client",
    "doctor",
    "login",
    "mount",
    "status",
    "stop",
    "unmount",
    "watcher",
]

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from colabmagic.drive.watching.watch import Watcher

_NOT_ASKED: Final = (
    "account and quota: %mount_drive --status --creds FILE, or after a --save"
)
_FLUSH_S: Final = 24 * 3600.0


def mount(
    plan: Plan,
    *,
    tell: Callable[[str], object] | None = None,
    notify: Callable[[str], object] = lambda _: None,
    wait_for: Callable[[], str | None] = lambda: None,
    env: Mapping[str, str] | None = None,
) -> MountReport:
    """Make Drive be there: as a folder where that works, else by its API.

    Parameters
    ----------
    plan
        What is asked for.
    tell
        Called at once with what the user must know before the end; the report has it too.
    notify
        Called, in another thread, with what the watcher has to tell.
    wait_for
        Returns why the user cannot be asked for permission now; called there too.
    env
        Environment variables; those of the process where left out.

    Raises
    ------
    DriveError
        It is not there; nothing was changed but what the error says.
    """
    began = time.monotonic()
    if plan.folder is not None:
        remote(plan.folder)  # an odd one is told before anything is done
    before = STATE.mounted
    plan, mode, notes = _placed(plan, before, env)
    if mode == "api" and plan.folder is not None:
        raise MountUnsupportedError(
            "--cd needs Drive as a folder, and here it is reached by its API",
            seen=notes[0] if notes else "--mode api",
            hint=f'%mount_drive --stage "{plan.folder}.tar.zst", or %mount_drive --ls',
        )
    if mode == "api" and before is not None and before.path is not None:
        return _connect_beside(plan, before, notes, began)
    watched = _stop_watching()
    since_s = time.time()
    try:
        # What the watcher has begun ends first: two questions would take each other's answer.
        with watched.paused() if watched else contextlib.nullcontext():
            report = (
                _connect(plan, notes)
                if mode == "api"
                else _as_folder(plan, mode, notes, tell)
            )
    except BaseException:  # Ctrl-C too: what was mounted before still is
        _watch_again(watched)
        raise
    mounted = Mounted(plan, mode, report.path, since_s, report)
    if report.reused:  # files may have been written before
        mounted.since_s = before.since_s if before else folders.boot_time()
    STATE.mounted = mounted
    if watched is not None:  # healing may have left one's folder, and come to nothing
        watched.come_back()
    report = replace(report, notes=(*report.notes, *_leave(before, report.path)))
    if report.path is not None:
        if plan.watch is not False:
            mounted.watcher = folders.watch(plan, mode, report.path, notify, wait_for)
        if plan.folder is not None:
            report = replace(report, folder=folders.enter(report.path, plan.folder))
    mounted.report = replace(
        report,
        watched=mounted.watcher is not None,
        seconds=time.monotonic() - began,
    )
    return mounted.report


def _placed(
    plan: Plan, before: Mounted | None, env: Mapping[str, str] | None
) -> tuple[Plan, str, tuple[str, ...]]:
    """Return the plan with its folder, how it is mounted, and what the user should know.

    A folder that is there stays, unless another one is asked for, and can be.
    """
    there = before.path if before is not None else None
    named = plan.path
    path = named or there or folders.default_path(env)
    wish = plan.mode
    if before is not None and there == path and wish == "auto":
        wish = before.mode
    mode, notes = folders.choose(
        wish, path, env, wanted=named is not None or plan.move_aside
    )
    if mode == "api" and wish == "auto" and before is not None and there is not None:
        path, mode = there, before.mode
        notes = (f"Drive is at {path} already, and used from there", *notes)
    elif mode == "api" and wish == "api" and named is not None:
        notes = (f"no folder is made at {shown(named)}: that is --mode api",)
    if before is not None:  # whose folder shows what it was made with
        known = before.plan.access
        plan = replace(plan, access=plan.access.beside(known))
        is_other = mode == before.mode == "fuse" and plan.access != known
        plan = replace(plan, force=plan.force or is_other)
    return replace(plan, path=path), mode, notes


def _connect_beside(
    plan: Plan, before: Mounted, notes: tuple[str, ...], began: float
) -> MountReport:
    """Connect to the API, and leave the folder that is mounted as it is."""
    report = _connect(plan, notes)
    before.plan = replace(before.plan, access=plan.access)
    stays = f"the folder at {before.path} stays; %mount_drive --unmount takes it away"
    return replace(
        report, notes=(*report.notes, stays), seconds=time.monotonic() - began
    )


def _leave(before: Mounted | None, path: Path | None) -> tuple[str, ...]:
    """Take away a folder of ours that another mount has replaced: nothing is lost in it."""
    if before is None or before.mode != "fuse" or before.path in {None, path}:
        return ()
    assert before.path is not None
    try:
        folders.unmount(before.path, "fuse", _FLUSH_S)
    except DriveError as error:
        return (f"the folder at {before.path} is still there: {error.what}",)
    return (
        f"the folder at {before.path} was taken away: Drive is in one folder at a time",
    )


def _watch_again(watched: Watcher | None) -> None:
    """Go on watching what is still mounted."""
    if STATE.mounted is not None and watched is not None:
        STATE.mounted.watcher = watched
        watched.start()


def _connect(plan: Plan, notes: tuple[str, ...]) -> MountReport:
    """Connect to the API, and see whether it answers."""
    STATE.client = None  # new credentials may be in the old place
    account = ask_account(plan.access)
    return MountReport(
        mode="api", path=None, account=account, notes=notes, readonly=plan.readonly
    )


def _as_folder(
    plan: Plan,
    mode: str,
    notes: tuple[str, ...],
    tell: Callable[[str], object] | None,
) -> MountReport:
    """Mount Drive as a folder, and tell of the account where that asks nobody."""
    account = None
    if mode == "fuse":
        account = ask_account(plan.access)
        done = folders.mount_fuse(plan, client(plan.access))
    else:
        done = folders.mount_colab(plan, tell)
        if plan.access.credentials is not None:
            account = ask_account(plan.access)
    return replace(done, account=account, notes=(*done.notes, *notes))


def status(access: Access | None = None) -> StatusReport:
    """Tell how the mounted Drive is; nothing is asked of the user.

    Parameters
    ----------
    access
        The API, for account and quota.
    """
    mounted = STATE.mounted
    if mounted is None:
        return _status_without(access)
    notes: list[str] = list(mounted.report.notes)
    account, refused = None, None
    named = access is not None and access.credentials is not None
    if mounted.mode != "colab" or STATE.client is not None or named:
        account, refused = _account_if_known(access)
    else:  # on Colab credentials may have to be asked for: not for this
        notes.append(_NOT_ASKED)
    if mounted.path is None:
        found = StatusReport(mode=mounted.mode)
    else:
        found = folders.status(mounted.path, mounted.watcher)
    return replace(
        found, mode=mounted.mode, account=account, notes=tuple(notes), refused=refused
    )


def _status_without(access: Access | None) -> StatusReport:
    """Tell how Drive can be reached where this process has not mounted it."""
    found = folders.status_of_others()
    on_colab = folders.on_colab()
    notes = list(found.notes)
    account, refused = None, None
    if not on_colab or STATE.client is not None or (access and access.credentials):
        account, refused = _account_if_known(access)
    elif found.path is not None:
        notes.append(_NOT_ASKED)
    return replace(
        found, account=account, notes=tuple(notes), refused=refused,
        needs_login=not on_colab,
    )  # fmt: skip


def _account_if_known(
    access: Access | None,
) -> tuple[Account | None, DriveError | None]:
    """Return who is logged in; where that is not known, why."""
    try:
        return ask_account(access), None
    except DriveError as error:
        is_plain = isinstance(error, NoCredentialsError) and STATE.mounted is None
        is_told = not is_plain or (access is not None and bool(access.credentials))
        return None, error.with_traceback(None) if is_told else None


def unmount(*, timeout_s: float | None = None) -> DoneReport:
    """Take the mount away, after Drive has uploaded what is left; end the watcher.

    Parameters
    ----------
    timeout_s
        How long uploading may take.
    """
    mounted = STATE.mounted
    found = folders.status_of_others() if mounted is None else None
    mode = mounted.mode if mounted else found.mode if found else None
    path = mounted.path if mounted else found.path if found else None
    watched = _stop_watching()
    told: tuple[str, ...] = ()
    if path is not None:
        try:
            with watched.paused() if watched else contextlib.nullcontext():
                told = folders.unmount(path, mode or "colab", timeout_s or _FLUSH_S)
        except BaseException:  # Ctrl-C too: it is still there
            _watch_again(watched)
            raise
    STATE.mounted = STATE.client = STATE.client_key = None
    if mode is None:
        return DoneReport(verb="unmount", verdict="NOTHING WAS MOUNTED")
    if path is None:
        return DoneReport(
            verb="unmount", verdict="DISCONNECTED", summary="there was no folder"
        )
    summary = f"{path}; all was uploaded" if mode == "colab" else str(path)
    return DoneReport(
        verb="unmount", verdict="UNMOUNTED", path=path, summary=summary, notes=told
    )


def stop() -> None:
    """End the watcher, and leave the mount as it is: for ``%unload_ext``."""
    _stop_watching()


def watcher() -> Watcher | None:
    """Return the watcher of the mount, if one runs."""
    return STATE.mounted.watcher if STATE.mounted else None


def _stop_watching() -> Watcher | None:
    """End the watcher; return it."""
    mounted = STATE.mounted
    if mounted is None or mounted.watcher is None:
        return None
    stopped, mounted.watcher = mounted.watcher, None
    stopped.stop()
    return stopped


def doctor(access: Access | None = None) -> Any:  # noqa: ANN401 (a report of its own kind)
    """Look for each known cause of trouble.

    Parameters
    ----------
    access
        The API.
    """
    from colabmagic.drive.trouble.doctor import examine  # noqa: PLC0415 (rarely asked for)

    return examine(credentials=(access or Access()).credentials)


def login(
    client_file: str,
    *,
    show: Callable[[str], object],
    ask: Callable[[str], str] | None = None,
    timeout_s: float = 300.0,
) -> DoneReport:
    """Log in once; the login is kept for this user alone.

    Parameters
    ----------
    client_file
        The JSON of the user's own OAuth client.
    show
        Tells the user what to do.
    ask
        Asks him for a line, where his browser cannot reach this machine.
    timeout_s
        How long to wait for him.
    """
    from colabmagic.drive.account.login import login as ask_google  # noqa: PLC0415 (once)

    kept = ask_google(local(client_file), show=show, ask=ask, timeout_s=timeout_s)
    STATE.client = None
    account = Account.of(connect(credentials=str(kept)).health())
    notes: tuple[str, ...] = ()
    if os.environ.get(KEY_VARIABLE):
        notes = (
            f"{KEY_VARIABLE} is set, and goes before this login: unset it to use the login",
        )
    return DoneReport(
        verb="login", verdict="LOGGED IN", path=kept, notes=notes,
        summary=f"{account.user or 'unknown account'}; kept in {kept}, for you alone",
    )  # fmt: skip
