"""Run a small piece of Python in a fork of this process: a fresh one costs 13 ms more.

Only for a process that does nothing else, as a command line does: a fork of one with
threads may wait for ever for a lock that a thread held.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from typing import NoReturn

from colabmagic.host.command import CommandOutcome

_LAST_WAIT_S = 0.2  # for a killed child; one in the kernel's hands may never go
_CHUNK_BYTES = 2**16


def can_fork() -> bool:
    """Tell whether a fork is possible here, and safe."""
    return hasattr(os, "fork") and threading.active_count() == 1


class Forked:
    """A piece of Python that runs in a fork; `finish` returns what it wrote.

    Parameters
    ----------
    source
        The code; it writes to ``sys.stdout`` and shall import what it needs.
    """

    def __init__(self, source: str) -> None:
        code = compile(source, "<child>", "exec")
        self._started = time.monotonic()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # a shell may have closed it
                stream.flush()
        self._is_over = False
        self._read_end, write_end = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _run(code, write_end)
        os.close(write_end)

    def finish(self, timeout_s: float) -> CommandOutcome:
        """Wait for the end, at most so long; then the child is killed."""
        until = time.monotonic() + timeout_s
        parts: list[bytes] = []
        try:
            is_over = self._drain(parts, until)
        except BaseException:  # Ctrl-C: do not wait for it
            self.close()
            raise
        status = self._reap(until)
        os.close(self._read_end)
        self._is_over = True
        return CommandOutcome(
            returncode=status,
            stdout=b"".join(parts).decode("utf-8", "replace"),
            stderr="",
            timed_out=not is_over,
            elapsed_s=time.monotonic() - self._started,
        )

    def close(self) -> None:
        """End the child at once, if it is still there."""
        if not self._is_over:
            self._is_over = True
            os.close(self._read_end)
            self._reap(0.0)

    def _drain(self, parts: list[bytes], until: float) -> bool:
        """Read until the child closes its end; tell whether it did in time."""
        while True:
            left = until - time.monotonic()
            ready, _, _ = select.select([self._read_end], [], [], max(0.0, left))
            if not ready:
                return False
            part = os.read(self._read_end, _CHUNK_BYTES)
            if not part:
                return True
            parts.append(part)

    def _reap(self, until: float) -> int | None:
        """Wait for the child to go, kill it if need be; return its exit status."""
        status = self._wait(until)
        if status is None:
            with contextlib.suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)
            status = self._wait(time.monotonic() + _LAST_WAIT_S)
        return status

    def _wait(self, until: float) -> int | None:
        """Return the exit status, None if the child is still there."""
        pause_s = 0.0005
        while True:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() >= until:
                return None
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.05)


def _run(code: object, write_end: int) -> NoReturn:
    """Run the code in the child and end it, whatever happens."""
    status = 1
    try:
        os.setsid()  # so that its own children die with it
        empty = os.open(os.devnull, os.O_RDWR)
        for number, target in ((0, empty), (1, write_end), (2, empty)):
            os.dup2(target, number)
        exec(code, {"__name__": "__child__"})  # type: ignore[arg-type]  # noqa: S102 (our own text)
        status = 0
    except SystemExit:
        status = 0
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
        os._exit(status)
