"""Run other programs to their end, always with a time limit; `stream` hears them."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from colabmagic.host.process import ProcessOutcome, kill, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

MOST_BYTES: Final = 2**20  # of which the last 20 kB would tell why it failed
_LAST_WAIT_S: Final = 0.2  # for a killed child; one in the kernel's hands may never go
_CHUNK_BYTES: Final = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOutcome(ProcessOutcome):
    """How a program ended, with what it wrote."""

    stdout: str


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    most_bytes: int = MOST_BYTES,
) -> CommandOutcome:
    """Run a program to its end or its limits; never raise for its failure.

    Parameters
    ----------
    argv
        Program and arguments; no shell is involved.
    timeout_s
        After this many seconds the program and its children are killed.
    env
        The whole environment; ours where it is left out.
    most_bytes
        What it may write, output and errors together: one that writes more is killed
        with its children, for it may never end and would fill our memory.
    """
    started = time.monotonic()
    try:
        process = start(argv, env)
    except (OSError, ValueError) as error:
        return CommandOutcome(
            returncode=None,
            stdout="",
            stderr="",
            timed_out=False,
            elapsed_s=time.monotonic() - started,
            error=str(error),
        )
    pipes = _Pipes(process, most_bytes)
    ended = False
    try:
        ended = pipes.drain(started + timeout_s)
    finally:
        flooded = pipes.is_flooded
        if not ended:  # one of its limits, or Ctrl-C: leave no orphan
            _stop(process, pipes)
        pipes.close()
    return CommandOutcome(
        returncode=process.returncode if ended else None,
        stdout=pipes.text(0),
        stderr=pipes.text(1),
        timed_out=not ended and not flooded,
        flooded=flooded,
        elapsed_s=time.monotonic() - started,
    )


class _Pipes:
    """What a program has written so far, and the pipes that it comes by."""

    def __init__(self, process: subprocess.Popen[str], most_bytes: int) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._pipes = (process.stdout, process.stderr)
        self._open = {0, 1}
        self._written = (bytearray(), bytearray())
        self._most_bytes = most_bytes

    @property
    def is_flooded(self) -> bool:
        """Tell whether more was written than may be."""
        return sum(map(len, self._written)) > self._most_bytes

    def drain(self, until: float) -> bool:
        """Read to the end of the program; return whether that came within the limits."""
        import selectors  # noqa: PLC0415 (loaded by subprocess)

        if os.name != "posix":
            return self._communicate(until)
        with selectors.DefaultSelector() as waiting:
            for number in self._open:
                waiting.register(self._pipes[number], selectors.EVENT_READ, number)
            while waiting.get_map():
                left = until - time.monotonic()
                ready = waiting.select(left) if left > 0 else []
                if not ready and time.monotonic() >= until:
                    return False
                for key, _ in ready:
                    part = os.read(key.fd, _CHUNK_BYTES)
                    self._written[key.data].extend(part)
                    if not part:
                        waiting.unregister(key.fileobj)
                        self._open.discard(key.data)
                if self.is_flooded:
                    return False
        return self._has_ended(until)

    def _communicate(self, until: float) -> bool:
        """Do the same where no pipe can be waited for: the bound is looked at late."""
        import subprocess  # noqa: PLC0415 (loaded already)

        try:
            said = self._process.communicate(timeout=max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        for number, text in enumerate(said):
            self._written[number].extend(text.encode())
        return not self.is_flooded

    def _has_ended(self, until: float) -> bool:
        """Wait for the end of a program whose pipes are closed."""
        import subprocess  # noqa: PLC0415 (loaded already)

        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def text(self, number: int) -> str:
        """Return the output (0) or the errors (1), with line ends as Python has them."""
        text = self._written[number].decode("utf-8", "replace")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def close(self) -> None:
        """Close both pipes; whoever still writes to them is told by a signal."""
        for pipe in self._pipes:
            pipe.close()


def _stop(process: subprocess.Popen[str], pipes: _Pipes) -> None:
    """Kill a program with its children, and read what it had written.

    A process that waits inside a driver cannot be killed: it is left behind, for
    waiting would hang us as well.
    """
    import subprocess  # noqa: PLC0415 (loaded already)

    kill(process)
    if not pipes.is_flooded:
        pipes.drain(time.monotonic() + _LAST_WAIT_S)
        return
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_LAST_WAIT_S)
