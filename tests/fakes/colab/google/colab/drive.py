"""``drive``: the real one's order, texts and errors, on the pretended machine.

A mount is a folder with Drive's contents in it and a row of the mount table.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from . import _machine, _message
from . import output as _output

__all__ = ["flush_and_unmount", "mount"]

LOGS = ".config/Google/DriveFS/Logs"
FAQ = "https://research.google.com/colaboratory/faq.html#drive-timeout"
ENOTCONN = 107


def _log_file() -> Path:
    return Path(os.environ["HOME"]) / LOGS / "drive_fs.txt"


def flush_and_unmount(timeout_ms: int = 24 * 60 * 60 * 1000) -> None:
    """Unmount Drive, and upload what waits for it."""
    if _machine.at("/var/colab/mp").exists():
        raise NotImplementedError(__name__ + " is unsupported in this environment.")
    if not _machine.mounted():
        print("Drive not mounted, so nothing to flush and unmount.")  # noqa: T201
        return
    how = _machine.behaviour("flush")
    if how == "hangs":  # its program has a time limit, and may not keep to it
        time.sleep(timeout_ms / 1000 + _machine.behaviour("pad_s"))
    if how != "works":
        raise ValueError("flush_and_unmount failed")
    for path in _machine.mounted():
        _machine.unmount(path)


def mount(
    mountpoint: str,
    force_remount: bool = False,  # noqa: FBT001, FBT002 (the real signature)
    timeout_ms: int = 120000,
    readonly: bool = False,  # noqa: FBT001, FBT002
) -> None:
    """Mount Drive."""
    if not _machine.at("/var/colab/hostname").exists():
        raise NotImplementedError(
            "Mounting drive is unsupported in this environment. Use PyDrive2"
            " instead. See examples at"
            " https://colab.research.google.com/notebooks/io.ipynb#scrollTo=7taylj9wpsA2."
        )
    if " " in mountpoint:
        raise ValueError("Mountpoint must not contain a space.")
    if os.environ.get("VERTEX_PRODUCT") == "COLAB_ENTERPRISE":
        raise NotImplementedError(
            "google.colab.drive.mount is not supported in Colab Enterprise."
        )
    os.environ["TBE_EPHEM_CREDS_ADDR"]  # the real one reads it: a bare KeyError
    # Before it looks whether Drive is mounted; no answer is ignored.
    _message.blocking_request(
        "request_auth",
        request={"authType": "dfs_ephemeral"},
        timeout_sec=int(timeout_ms / 1000),
    )
    mountpoint = str(Path(mountpoint).expanduser())
    if not force_remount and (Path(mountpoint) / "My Drive").is_dir():
        print(  # noqa: T201
            f"Drive already mounted at {mountpoint}; to attempt to forcibly "
            f'remount, call drive.mount("{mountpoint}", force_remount=True).'
        )
        return
    _end_old_mounts(mountpoint)
    _check_mountpoint(mountpoint)
    _start_program(mountpoint, timeout_ms, readonly=readonly)
    _output.clear(wait=True, output_tags="dfs-auth-dance")
    print(f"Mounted at {mountpoint}")  # noqa: T201


def _end_old_mounts(mountpoint: str) -> None:
    """``umount`` this one, and kill the program of all others with it."""
    if not _machine.behaviour("busy"):
        _machine.unmount(Path(mountpoint))
    _machine.kill_program()


def _check_mountpoint(mountpoint: str) -> None:
    """Look at the folder only now, when the old mount is dead already."""
    path = Path(mountpoint)
    if path in _machine.mounted():  # `umount` could not: the folder cannot be listed
        raise OSError(ENOTCONN, "Transport endpoint is not connected", mountpoint)
    if path.is_symlink():
        raise ValueError("Mountpoint must not be a symlink")
    if path.is_dir() and any(path.iterdir()):
        raise ValueError("Mountpoint must not already contain files")
    if not path.is_dir() and path.exists():
        raise ValueError("Mountpoint must either be a directory or not exist")
    if not path.parent.exists():
        raise ValueError("Mountpoint must be in a directory that exists")


def _start_program(mountpoint: str, timeout_ms: int, *, readonly: bool) -> None:
    """Start the Drive program and wait until the folder is not empty."""
    log = _log_file()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in _machine.behaviour("log"))
    how = _machine.behaviour("mount")
    if how == "hangs":
        import pexpect

        time.sleep(timeout_ms / 1000 + _machine.behaviour("pad_s"))
        raise pexpect.exceptions.TIMEOUT("Timeout exceeded.")
    if how == "refuses":
        raise ValueError(
            "The domain policy has disabled Drive File Stream: "
            "https://support.google.com/a/answer/7496409"
        )
    if how == "exits" or not _message.answered:  # nobody gives it credentials
        reason = ""
        if "QueryManager timed out" in log.read_text("utf-8"):  # however old
            reason = (
                ": timeout during initial read of root folder; for more info: " + FAQ
            )
        raise ValueError("mount failed" + reason)
    _machine.attach(mountpoint, readonly=readonly)
