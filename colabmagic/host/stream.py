"""Run a program and hear its lines as it writes them, always with a time limit."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from typing import IO, TYPE_CHECKING

from colabmagic.host.process import ProcessOutcome, kill, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping, Sequence

_LONGEST_LINE = 65_536  # characters; a longer line comes in parts
_KEPT_LINES = 200  # of the errors: the last ones tell the cause
_TICK_S = 0.2  # how soon the end of a program is noticed that keeps its pipe open
_LAST_WAIT_S = 0.5  # for a killed program; one in the kernel's hands may never go


def stream(
    argv: Sequence[str],
    *,
    timeout_s: float,
    on_line: Callable[[str], object],
    env: Mapping[str, str] | None = None,
    lines_give_time: bool = False,
) -> ProcessOutcome:
    """Run a program to its end or its time limit; never raise for its failure.

    Parameters
    ----------
    argv
        Program and arguments; no shell is involved.
    timeout_s
        After this many seconds the program and its children are killed.
    on_line
        Called in this thread with each line of its output, as it comes. What it
        raises ends the program and is passed on; so is an interrupt.
    env
        The whole environment; ours where it is left out.
    lines_give_time
        Each line gives the program the whole time anew: only silence ends it.

    Returns
    -------
    ProcessOutcome
        With the last lines of its errors.
    """
    started = time.monotonic()
    try:
        process = start(argv, env)
    except (OSError, ValueError) as error:
        return ProcessOutcome(
            returncode=None,
            stderr="",
            timed_out=False,
            elapsed_s=time.monotonic() - started,
            error=str(error),
        )
    readers = _Readers(process)
    ended = False
    try:
        ended = _listen(
            process, readers, timeout_s, on_line, lines_give_time=lines_give_time
        )
    finally:
        if not ended:  # its time is over, or Ctrl-C: leave no orphan
            _stop(process)
        readers.join()
    return ProcessOutcome(
        returncode=process.returncode if ended else None,
        stderr="".join(readers.errors),
        timed_out=not ended,
        elapsed_s=time.monotonic() - started,
    )


class _Readers:
    """Two threads that empty the pipes, for a full pipe would stop the program."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.errors: deque[str] = deque(maxlen=_KEPT_LINES)
        self._process = process
        self._threads = [
            threading.Thread(target=target, daemon=True, name="colabmagic-pipe")
            for target in (self._read_lines, self._read_errors)
        ]
        for thread in self._threads:
            thread.start()

    def _read_lines(self) -> None:
        """Pass on the output, then None as its end."""
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            for line in _lines(pipe):
                self.lines.put(line)
        self.lines.put(None)

    def _read_errors(self) -> None:
        """Keep the last lines of the errors."""
        assert self._process.stderr is not None
        with self._process.stderr as pipe:
            self.errors.extend(_lines(pipe))

    def join(self) -> None:
        """Wait for the threads, unless a grandchild keeps a pipe open."""
        for thread in self._threads:
            thread.join(_LAST_WAIT_S)


def _lines(pipe: IO[str]) -> Iterator[str]:
    """Yield lines, the very long ones in parts."""
    return iter(lambda: pipe.readline(_LONGEST_LINE), "")


def _listen(
    process: subprocess.Popen[str],
    readers: _Readers,
    timeout_s: float,
    on_line: Callable[[str], object],
    *,
    lines_give_time: bool,
) -> bool:
    """Pass on the lines; return whether the program ended in time."""
    import subprocess  # noqa: PLC0415 (loaded already)

    until = time.monotonic() + timeout_s
    has_ended = False
    while (left := until - time.monotonic()) > 0:
        try:
            line = readers.lines.get(timeout=min(left, _TICK_S))
        except queue.Empty:
            if has_ended:  # a tick ago: a grandchild holds the pipe open
                return True
            has_ended = process.poll() is not None
            continue
        if line is not None:
            on_line(line)
            if lines_give_time:
                until = time.monotonic() + timeout_s
            continue
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True
    return False


def _stop(process: subprocess.Popen[str]) -> None:
    """Kill the program; one that cannot be killed stays behind."""
    import subprocess  # noqa: PLC0415 (loaded already)

    kill(process)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_LAST_WAIT_S)
