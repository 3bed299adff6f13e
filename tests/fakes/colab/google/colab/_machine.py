"""The pretended machine: its files below one folder, and how it is to behave.

The real package has fixed paths; here they begin at the folder in FAKE_COLAB_ROOT.
``behaviour.json`` there is read at each use:

=========  =====================================================================
mount      works, exits, refuses (policy), hangs
flush      works, fails, hangs
log        lines that the Drive program writes when it starts
busy       whether files are open in a mount, so that umount fails
daemon     command that shows a folder by the real FUSE, its path behind it: a mount
           that is in the kernel's table too, and answers ENOTCONN when that is killed
pad_s      what a hanging mount waits beyond its time limit: 30, as the real one
=========  =====================================================================
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT_VARIABLE = "FAKE_COLAB_ROOT"
STORE = "google/drive"  # Drive's contents, while nothing shows them
FOLDERS = ("MyDrive", "Shareddrives")
START_S = 20.0
_daemons: list[subprocess.Popen[bytes]] = []
DEFAULTS: dict[str, Any] = {
    "mount": "works",
    "flush": "works",
    "log": [],
    "busy": False,
    "daemon": [],
    "pad_s": 30,
}


def at(path: str) -> Path:
    """Return where a path of the machine is."""
    return Path(os.environ[ROOT_VARIABLE]) / path.lstrip("/")


def behaviour(name: str) -> Any:  # noqa: ANN401 (plain JSON)
    """Return how the machine is to behave in one thing."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        found = json.loads(at("behaviour.json").read_text("utf-8"))
    return found.get(name, DEFAULTS[name])


# --- mounts: rows of a table, and the contents of Drive in a folder ----------------


def table() -> list[list[str]]:
    """Return the rows of the mount table, each as its words."""
    return [row.split() for row in at("/proc/self/mounts").read_text().splitlines()]


def write_table(rows: list[list[str]]) -> None:
    """Write the mount table."""
    at("/proc/self/mounts").write_text("".join(" ".join(row) + "\n" for row in rows))


def mounted() -> list[Path]:
    """Return the mountpoints of Drive."""
    return [Path(row[1]) for row in table() if row[2] == "fuse.drive"]


def attach(mountpoint: str, *, readonly: bool) -> None:
    """Show Drive at a folder."""
    path = Path(mountpoint)
    path.mkdir(exist_ok=True)
    if behaviour("daemon"):
        _start_daemon(path)
    else:
        for name in FOLDERS:
            shutil.move(at(STORE) / name, path / name)
        (path / "My Drive").symlink_to("MyDrive")
    options = "ro" if readonly else "rw"
    row = ["drive", str(path), "fuse.drive", f"{options},nosuid,nodev", "0", "0"]
    write_table([*table(), row])


def _start_daemon(path: Path) -> None:
    """Show a folder by the real FUSE; its process is noted, and lives on its own."""
    daemon = subprocess.Popen(
        [*behaviour("daemon"), str(path)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd="/", start_new_session=True,
    )  # fmt: skip
    _daemons.append(daemon)
    at("drive.pid").write_text(str(daemon.pid))
    end = time.monotonic() + START_S
    while not _in_kernel(path):
        if daemon.poll() is not None or time.monotonic() > end:
            raise RuntimeError("the daemon did not mount")
        time.sleep(0.01)


def _in_kernel(path: Path) -> bool:
    """Tell whether the kernel's own table has a mount."""
    return f" {path} " in Path("/proc/self/mounts").read_text("utf-8", "replace")


def end_daemons() -> None:
    """End all that was started here; what is mounted answers ENOTCONN then."""
    for daemon in _daemons:
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
    _daemons.clear()


def withdraw(path: Path) -> None:
    """Take Drive's contents away from a folder, as the end of its program does."""
    for name in FOLDERS:
        if (path / name).is_dir():
            shutil.move(path / name, at(STORE) / name)
    with contextlib.suppress(FileNotFoundError):
        (path / "My Drive").unlink()


def unmount(path: Path) -> None:
    """Take a mount out of the table; its folder stays, and is empty."""
    if path in mounted():
        if _in_kernel(path):
            subprocess.run(["umount", "-l", str(path)], check=True)  # noqa: S607
        withdraw(path)
        path.mkdir(exist_ok=True)
        write_table([row for row in table() if row[1] != str(path)])


def kill_program() -> None:
    """End the one program of Drive: each mount stays in the table, with nothing behind it.

    A real one answers ENOTCONN; a plain folder can only be gone.
    """
    end_daemons()
    for path in mounted():
        if not _in_kernel(path):
            withdraw(path)
            with contextlib.suppress(OSError):
                path.rmdir()
