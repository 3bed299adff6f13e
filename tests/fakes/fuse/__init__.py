"""A file system on the real FUSE that is mounted, killed and stopped for real.

See ``daemon.py``: it looks like Colab's Drive (``type fuse.drive``), and it is small enough
to be mounted a hundred times.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

DAEMON = Path(__file__).with_name("daemon.py")
START_S = 20.0


def why_not() -> str | None:
    """Return why FUSE cannot be used here; None if it can."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be used here"
    if importlib.util.find_spec("mfusepy") is None:
        return "mfusepy is not installed"
    if not any(Path(f"/{name}/fusermount3").exists() for name in ("usr/bin", "bin")):
        return "fuse3 is not installed"
    return None


class FuseFolder:
    """A mountpoint, and the daemons that serve it one after the other.

    Parameters
    ----------
    path
        Where it is mounted; a control file of the daemons lies beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stuck_while = path.with_name(path.name + ".stuck")
        self.fail_while = path.with_name(path.name + ".fail")
        self.started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Mount."""
        self.path.mkdir(exist_ok=True)
        self.mount()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave neither mount nor process."""
        self.close()

    @property
    def daemon(self) -> subprocess.Popen[bytes]:
        """The last one."""
        return self.started[-1]

    def mounted(self) -> bool:
        """Tell whether the kernel's table has it."""
        table = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape")
        wanted = str(self.path).replace(" ", "\\040")
        return any(line.split(" ")[1] == wanted for line in table.splitlines())

    def mount(self) -> None:
        """Start a daemon and wait until the kernel has its mount."""
        self.started.append(
            subprocess.Popen(
                [
                    sys.executable, "-I", str(DAEMON), str(self.path),
                    "--stuck-while", str(self.stuck_while),
                    "--fail-while", str(self.fail_while),
                ],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, cwd="/",
            )
        )  # fmt: skip
        end = time.monotonic() + START_S
        while not self.mounted():
            if self.daemon.poll() is not None or time.monotonic() > end:
                message = f"the daemon did not mount (exit {self.daemon.returncode})"
                raise RuntimeError(message)
            time.sleep(0.005)

    def kill(self) -> None:
        """Kill the daemon: the mount is dead."""
        self.daemon.kill()
        self.daemon.wait()

    def stop(self) -> None:
        """Stop the daemon, all its threads: the mount hangs."""
        self.daemon.send_signal(signal.SIGSTOP)
        end = time.monotonic() + START_S
        while any(state != "T" for state in self._states()):
            assert time.monotonic() < end, "the daemon does not stop"
            time.sleep(0.002)

    def _states(self) -> list[str]:
        """Return the state of each thread of the daemon."""
        tasks = Path(f"/proc/{self.daemon.pid}/task")
        return [
            (task / "stat").read_text("utf-8").rpartition(") ")[2][0]
            for task in tasks.iterdir()
        ]

    def go_on(self) -> None:
        """Let a stopped daemon go on."""
        self.daemon.send_signal(signal.SIGCONT)

    def unmount(self) -> None:
        """Take the mount away, whatever is behind it."""
        while self.mounted():
            subprocess.run(
                ["/usr/bin/umount", "-f", "-l", str(self.path)]
                if os.geteuid() == 0
                else ["/usr/bin/fusermount3", "-u", "-z", str(self.path)],
                check=True, cwd="/", timeout=10, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def remount(self) -> None:
        """Take away what is there and mount anew."""
        self.unmount()
        for daemon in self.started:
            daemon.kill()
        self.mount()

    def close(self) -> None:
        """Take the mount away and end all daemons."""
        for control in (self.stuck_while, self.fail_while):
            control.unlink(missing_ok=True)
        self.unmount()
        for daemon in self.started:
            with contextlib.suppress(ProcessLookupError):
                daemon.kill()
            daemon.wait(10)
