"""Run other programs to their end, always with a time limit; `stream` hears them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from colabmagic.host.process import ProcessOutcome, kill, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

_LAST_WAIT_S = 0.2  # for a killed child; one in the kernel's hands may never go


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOutcome(ProcessOutcome):
    """How a program ended, with what it wrote."""

    stdout: str


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
        process = start(argv, env)
    except (OSError, ValueError) as error:
        return _outcome(None, ("", ""), started, error=str(error))
    try:
        output = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return _outcome(None, _stop(process), started, timed_out=True)
    except BaseException:  # Ctrl-C: leave no orphan
        _stop(process)
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

    kill(process)
    try:
        return process.communicate(timeout=_LAST_WAIT_S)
    except subprocess.TimeoutExpired:
        return "", ""
