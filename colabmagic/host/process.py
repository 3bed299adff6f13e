"""Start a program and kill it: what `command` and `stream` share."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

    Service = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOutcome:
    """How a program ended; `returncode` is None when it did not by itself."""

    returncode: int | None
    stderr: str
    timed_out: bool
    elapsed_s: float
    error: str | None = None  # why it could not be started
    flooded: bool = False  # it wrote more than it may, and was killed for that

    @property
    def how(self) -> str:
        """Return how it ended, in words."""
        if self.flooded:
            return "it printed without end and was stopped"
        return f"exit status {self.returncode}"

    @property
    def ok(self) -> bool:
        """Tell whether the program ended well."""
        return self.returncode == 0


def cpu_seconds(pid: int) -> float | None:
    """Return how long a process has computed; None where the system does not tell.

    Parameters
    ----------
    pid
        Of the process.
    """
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        user, system = words.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):  # no Linux, or it has ended
        return None


def start_service(
    argv: Sequence[str], *, env: Mapping[str, str], folder: str = "/"
) -> Service:
    """Start a program that stays, with pipes for all that it hears and says.

    Parameters
    ----------
    argv
        Program and arguments; no shell is involved.
    env
        The whole environment.
    folder
        Its working directory; ours may be one that goes.

    Raises
    ------
    OSError, ValueError
        The program cannot be started.
    """
    import subprocess  # noqa: PLC0415 (10 ms that a mere import need not pay)

    return subprocess.Popen(  # noqa: S603 (a list, not a shell line)
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(env),
        cwd=folder,
        start_new_session=os.name == "posix",  # Ctrl-C is for the cell
    )


def ended(process: Service, timeout_s: float) -> int | None:
    """Wait for the end of a program; return its status, None if it goes on.

    Parameters
    ----------
    process
        The program.
    timeout_s
        How long to wait.
    """
    import subprocess  # noqa: PLC0415 (loaded already)

    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None


def start(
    argv: Sequence[str], env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a program with pipes for its output and its errors, and no input.

    Parameters
    ----------
    argv
        Program and arguments; no shell is involved.
    env
        The whole environment; ours where it is left out.

    Raises
    ------
    OSError, ValueError
        The program cannot be started.
    """
    import subprocess  # noqa: PLC0415 (10 ms that a mere import need not pay)

    return subprocess.Popen(  # noqa: S603 (a list, not a shell line)
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if env is None else dict(env),
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=os.name == "posix",  # so that `kill` finds its children
    )


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a program with its children; wait for nothing.

    A process that waits inside a driver cannot be killed: the caller shall bound its
    own wait for the end.
    """
    with contextlib.suppress(OSError):  # it has ended
        if os.name == "posix":
            import signal  # noqa: PLC0415 (loaded by subprocess)

            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
