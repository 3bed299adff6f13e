"""Drive as a real folder without Colab: read-only, through FUSE, over Drive's API.

Needs Linux with ``/dev/fuse``, libfuse and the package ``mfusepy`` (``pip install
'colabmagic[fuse]'``). A process of its own serves the folder; it ends when the folder is
unmounted, or with this process.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import pickle
import select
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.drive import errors
from colabmagic.drive.errors import (
    DriveError,
    MissingPackageError,
    MountFailedError,
    MountpointError,
    MountUnsupportedError,
)
from colabmagic.drive.watching.mounts import SUBTYPE, MountPoint, detach, mount_at
from colabmagic.drive.watching.own_use import open_files
from colabmagic.drive.watching.probe import Health, probe
from colabmagic.drive.words import home, named, quoted, shown
from colabmagic.host.child import ask, program
from colabmagic.host.process import ended, start_service

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from colabmagic.host.process import Service

TIMEOUT_S: Final = 30.0
_DEVICE: Final = Path("/dev/fuse")
_END_S: Final = 5.0
_LAST_WAIT_S: Final = 0.5
_ANSWER_S: Final = 2.0
_PIP: Final = "%pip install 'colabmagic[fuse]'"
_APT: Final = "!apt-get install -y fuse3"
_INSTEAD: Final = "--mode api reads and writes Drive without a folder"

_lock = threading.Lock()
_daemons: dict[str, Service] = {}


def can_mount() -> str | None:
    """Return why Drive cannot be a folder here, in words; None if it can."""
    refusal = _refusal()
    return None if refusal is None else refusal.what


def mount(
    path: Path,
    *,
    credentials: Credentials,
    api_root: str | None = None,
    drive_id: str | None = None,
    timeout_s: float = TIMEOUT_S,
) -> MountPoint:
    """Show Drive as a folder that can be read; one that works already stays.

    A mount of ours that is dead or hangs is replaced: nothing can be lost in it.

    Parameters
    ----------
    path
        The folder; it is made if it is not there.
    credentials
        Any of google-auth that can be sent to another process; through a pipe.
    api_root
        Where Drive is; Google's own by default.
    drive_id
        A shared drive, whose files lie at the top of the folder.
    timeout_s
        How long it may take.

    Raises
    ------
    MountUnsupportedError, MissingPackageError
        This machine cannot do that; with what to type.
    MountpointError
        The folder is something else already.
    DriveError
        Drive refuses the credentials, or FUSE the mount.
    """
    refusal = _refusal()
    if refusal is not None:
        raise refusal
    path = Path(os.path.abspath(path))  # noqa: PTH100 (resolve() would touch it)
    there = mount_at(path)
    if there is not None and not _is_ours(there):
        raise MountpointError(
            f"something else is mounted at {shown(path)}",
            seen=shown(f"{there.source}, type {there.kind}"),
            hint=f"%mount_drive {another(path)}",
        )
    if there is not None:
        if probe(path, _ANSWER_S).health is Health.ALIVE:
            return there
        detach(path)
        _end(path, wait_s=0)
    _make_ready(path)
    return _start(path, _packed(path, credentials, api_root, drive_id), timeout_s)


def another(path: Path) -> str:
    """Return a folder to try instead of one, as it is typed.

    Parameters
    ----------
    path
        The one that will not do.
    """
    return "~/drive" if path != home() / "drive" else "~/gdrive"


def unmount(path: Path) -> None:
    """Take away a folder that `mount` has made, and end its process.

    Parameters
    ----------
    path
        Where it is; nothing happens where nothing is mounted.

    Raises
    ------
    MountFailedError
        It is in use.
    MountpointError
        It is not ours.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 (resolve() would touch it)
    there = mount_at(path)
    if there is not None and not _is_ours(there):
        raise MountpointError(
            f"what is mounted at {shown(path)} is not ours to unmount",
            seen=shown(f"{there.source}, type {there.kind}"),
            hint=f"!umount {quoted(path)}",
        )
    if there is not None:
        if probe(path, _ANSWER_S).health is Health.ALIVE:
            _unmount_politely(path)
        else:
            detach(path)
    _end(path, wait_s=_END_S)


def _refusal() -> DriveError | None:
    """Return the error that says why it cannot be; None if it can."""
    if sys.platform != "linux" or not _DEVICE.exists():
        return MountUnsupportedError(
            "this machine has no FUSE, so Drive cannot be a folder here",
            seen=f"no {_DEVICE}",
            hint=_INSTEAD,
        )
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return MountUnsupportedError(
            "this user may not use FUSE, so Drive cannot be a folder here",
            seen=f"{_DEVICE} may not be opened",
            hint=_INSTEAD,
        )
    if importlib.util.find_spec("mfusepy") is None:
        return MissingPackageError("the package mfusepy is not installed", hint=_PIP)
    if program("fusermount3") is None and program("fusermount") is None:
        return MissingPackageError(
            "libfuse is not installed", seen="no program fusermount3", hint=_APT
        )
    return None


def _is_ours(there: MountPoint) -> bool:
    """Tell whether a mount is one of this module's."""
    return there.kind == f"fuse.{SUBTYPE}"


def _make_ready(path: Path) -> None:
    """Make the folder, or see that it is empty: what lies in it would be hidden."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        inside = sorted(os.listdir(path))  # noqa: PTH208
    except OSError as error:
        raise MountpointError(
            f"{shown(path)} cannot be the folder",
            seen=error.strerror or type(error).__name__,
            hint=f"%mount_drive {another(path)}",
        ) from None
    if inside:
        raise MountpointError(
            f"{shown(path)} is not empty: Drive would hide what lies in it",
            seen=named(inside),
            hint=f"%mount_drive {quoted(path)} --move-aside",
        )


def _packed(
    path: Path, credentials: Credentials, api_root: str | None, drive_id: str | None
) -> bytes:
    """Return what the daemon is to know."""
    from colabmagic.drive.api.http import API_ROOT  # noqa: PLC0415 (brings in requests)

    root = (api_root or API_ROOT).rstrip("/")
    wanted = {
        "path": str(path), "credentials": credentials, "api_root": root,
        "drive_id": drive_id,
    }  # fmt: skip
    try:
        return pickle.dumps(wanted)
    except Exception as error:  # noqa: BLE001 (whatever the credentials hold)
        raise MountUnsupportedError(
            "these credentials cannot be given to another process, which the folder needs",
            seen=f"{type(credentials).__name__}: {type(error).__name__}",
            hint="%mount_drive --creds FILE\nor " + _INSTEAD,
        ) from None


def _start(path: Path, packed: bytes, timeout_s: float) -> MountPoint:
    """Start the daemon, and wait until the kernel has its mount."""
    places = [str(Path(__file__).parents[3]), *filter(None, sys.path)]
    daemon = start_service(
        [
            sys.executable or "python3",
            "-P",
            "-m",
            "colabmagic.drive.mounting.fuse_daemon",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
    )
    try:
        assert daemon.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it says why
            daemon.stdin.write(packed)
            daemon.stdin.flush()
        told, complaint = _heard(daemon, timeout_s)
        there = mount_at(path)
        if told == {} and there is not None:
            with _lock:
                _daemons[str(path)] = daemon
            return there
        seen = complaint or _how_it_ended(daemon, timeout_s)
        raise _failure(path, told, seen)  # noqa: TRY301 (the daemon has to go)
    except BaseException:  # Ctrl-C too: neither process nor mount stays
        _kill(daemon)
        with contextlib.suppress(DriveError):
            detach(path)
        raise
    finally:
        for pipe in (daemon.stdout, daemon.stderr):
            if pipe is not None:
                pipe.close()


def _heard(daemon: Service, timeout_s: float) -> tuple[dict[str, str] | None, str]:
    """Return the line of the daemon, and what libfuse has said; None if no line came."""
    assert daemon.stdout is not None
    assert daemon.stderr is not None
    pipes = {daemon.stdout.fileno(): b"", daemon.stderr.fileno(): b""}
    first, live = daemon.stdout.fileno(), set(pipes)
    end = time.monotonic() + timeout_s
    while live and b"\n" not in pipes[first] and time.monotonic() < end:
        ready, _, _ = select.select(live, [], [], max(0.0, end - time.monotonic()))
        for descriptor in ready:
            data = os.read(descriptor, 65536)
            pipes[descriptor] = (pipes[descriptor] + data)[-65536:]
            if not data:
                live.discard(descriptor)
    complaint = pipes[daemon.stderr.fileno()].decode("utf-8", "replace").strip()
    try:
        return json.loads(pipes[first]), complaint
    except ValueError:
        return None, complaint


def _how_it_ended(daemon: Service, timeout_s: float) -> str:
    """Say how a daemon ended that said nothing."""
    status = ended(daemon, _LAST_WAIT_S)
    if status is None:
        return f"nothing came within {timeout_s:g} s"
    return f"its process ended with {status}"


def _failure(path: Path, told: dict[str, str] | None, seen: str) -> DriveError:
    """Return the error for a daemon that did not mount."""
    if told:
        kind = getattr(errors, told["kind"], DriveError)
        error: DriveError = kind(told["what"], seen=told["seen"], hint=told["hint"])
        return error
    last = seen.splitlines()[-1]
    return MountFailedError(
        f"Drive could not be mounted at {shown(path)}",
        seen=shown(last)[:200],
        hint=_INSTEAD,
    )


def _unmount_politely(path: Path) -> None:
    """Unmount what is not in use."""
    seen = ""
    for name in ("fusermount3", "fusermount", "umount"):
        where = program(name)
        if where is None:
            continue
        options = [] if name == "umount" else ["-u"]
        answer = ask([where, *options, "--", str(path)], _END_S)
        if answer.returncode == 0:
            return
        seen = seen or answer.stderr.strip()[-200:]
    used = open_files(path)
    raise MountFailedError(
        f"{shown(path)} is in use and stays mounted",
        seen=f"open here: {named(used)}" if used else shown(seen),
        hint="close its files, %cd out of it, and run %mount_drive --unmount again",
    )


def _end(path: Path, wait_s: float) -> None:
    """End the daemon of a folder; it unmounts if that has not been done."""
    with _lock:
        daemon = _daemons.pop(str(path), None)
    if daemon is None:
        return
    if wait_s:
        _hang_up(daemon)
        ended(daemon, wait_s)
    _kill(daemon)


@atexit.register
def _end_all() -> None:
    """Leave no folder behind when the process ends."""
    for path in list(_daemons):
        _end(Path(path), _END_S)


def _hang_up(daemon: Service) -> None:
    """Close a daemon's input: it ends by itself."""
    if daemon.stdin is not None:
        with contextlib.suppress(OSError):
            daemon.stdin.close()


def _kill(daemon: Service) -> None:
    """Kill a daemon, if it has not ended."""
    if daemon.poll() is None:
        daemon.kill()
    ended(daemon, _END_S)
    _hang_up(daemon)
