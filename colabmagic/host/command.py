"""Run other programs to their end, always with a time limit; `stream` hears them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

_LAST_WAIT_S = 0.2  # for a killed child; one in the kernel's hands may never go


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOutcome:
    """How a program ended; `returncode` is None when it did not."""

    returncode: int | None
    stdout: str
    stderr: str
    timed_out: bool
    elapsed_s: float
    error: str | None = None  # why it could not be started

    @property
    def ok(self) -> bool:
        """Tell whether the program ended well."""
        return self.returncode == 0


def run(
    argv: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None
) -> CommandOutcome:
    """Run a program to its end or its time limit; never raise for its failure.

    Parameters
    ----------
    argv
        Program and arguments; no shell is involved.
    timeout_s
        After this many seconds the program and its children are killed.
    env
        The whole environment; ours where it is left out.
    """
    import subprocess  # noqa: PLC0415 (10 ms that a mere import need not pay)

    started = time.monotonic()
    try:
        process = subprocess.Popen(  # noqa: S603 (a list, not a shell line)
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if env is None else dict(env),
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=os.name == "posix",  # so that its children die too
        )
    except (OSError, ValueError) as error:
        return _outcome(None, ("", ""), started, error=str(error))
    try:
        output = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return _outcome(None, _stop(process), started, timed_out=True)
    except BaseException:
        _stop(process)  # Ctrl-C: leave no orphan
        raise
    return _outcome(process.returncode, output, started)


def _outcome(
    returncode: int | None,
    output: tuple[str, str],
    started: float,
    *,
    timed_out: bool = False,
    error: str | None = None,
) -> CommandOutcome:
    """Gather what is known about the end of a program."""
    return CommandOutcome(
        returncode=returncode,
        stdout=output[0],
        stderr=output[1],
        timed_out=timed_out,
        elapsed_s=time.monotonic() - started,
        error=error,
    )


def _stop(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Kill a program with its children and return what it had written.

    A process that waits inside a driver cannot be killed: it is left behind, for
    waiting would hang us as well.
    """
    import subprocess  # noqa: PLC0415 (loaded already)

    try:
        if os.name == "posix":
            import signal  # noqa: PLC0415 (loaded by subprocess)

            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except OSError:
        pass  # it has just ended
    try:
        return process.communicate(timeout=_LAST_WAIT_S)
    except subprocess.TimeoutExpired:
        return "", ""
