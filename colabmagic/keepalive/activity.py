"""What counts as work: a running cell, a job, a process, a GPU in use."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from colabmagic.keepalive.errors import NoProcessError
from colabmagic.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from colabmagic.keepalive.gpu_use import GpuUse

_STATE: Final = 0  # of /proc/PID/stat, behind the name
_STARTED: Final = 19
_GONE: Final = frozenset("ZXx")
_LONGEST_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class WatchedProcess:
    """A process that counts as work while it lives.

    Parameters
    ----------
    pid
        Its number.
    started
        When, by the kernel's count: the number alone may be another one's later. None
        where the system does not tell.
    """

    pid: int
    started: str | None = None

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        state = _state_of(self.pid)
        if state is not None:
            return state[0] not in _GONE and state[1] == self.started
        return self.started is None and _exists(self.pid)


def _state_of(pid: int) -> tuple[str, str] | None:
    """Return the state of a process and when it was started; None where unknown."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        fields = text.rpartition(")")[2].split()
        return fields[_STATE], fields[_STARTED]
    except (OSError, IndexError):
        return None


def _exists(pid: int) -> bool:
    """Tell whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # another user's
    except (OSError, OverflowError):
        return False
    return True


@dataclass(eq=False, slots=True)
class Activity:
    """All that may be at work in this process.

    Parameters
    ----------
    gpu
        Reads how much GPUs are used; None: nobody asks them.
    begun
        Called when a job or a process is there that was not: one that rests goes on.
    """

    gpu: GpuUse | None = None
    begun: Callable[[], object] | None = None
    cell_runs: bool = False
    _jobs: dict[int, str] = field(default_factory=dict)
    _processes: dict[int, WatchedProcess] = field(default_factory=dict)
    _keys: Iterator[int] = field(default_factory=itertools.count)

    def cell_begins(self) -> None:
        """Note that a cell runs."""
        self.cell_runs = True

    def cell_ends(self) -> None:
        """Note that none runs any more."""
        self.cell_runs = False

    @contextlib.contextmanager
    def job(self, name: str = "job") -> Iterator[None]:
        """Count a block as work; any thread may.

        Parameters
        ----------
        name
            What the status calls it.
        """
        key = next(self._keys)
        self._jobs[key] = clean(str(name))[:_LONGEST_NAME] or "job"
        try:
            self._tell_begun()
            yield
        finally:
            del self._jobs[key]

    def watch_pid(self, pid: int) -> Callable[[], None]:
        """Count a process as work, as long as it lives.

        Parameters
        ----------
        pid
            Its number.

        Returns
        -------
        callable
            Ends that before the process ends.

        Raises
        ------
        NoProcessError
            There is none.
        """
        number: object = pid  # the process itself is easily given instead
        if not isinstance(number, int) or isinstance(number, bool):
            raise NoProcessError(
                f"watch_pid takes the number of a process, not {type(pid).__name__}",
                hint="p = subprocess.Popen(…); keepalive.watch_pid(p.pid)",
            )
        if pid == os.getpid():
            raise NoProcessError(
                "this is the process of the notebook itself, which always runs",
                hint="%keepalive --while always",
            )
        state = _state_of(pid)
        process = WatchedProcess(pid, None if state is None else state[1])
        if pid <= 0 or not process.alive:
            raise NoProcessError(
                f"there is no process {pid}",
                hint="p = subprocess.Popen(…); keepalive.watch_pid(p.pid)",
            )
        key = next(self._keys)
        self._processes[key] = process
        self._tell_begun()

        def forget() -> None:
            self._processes.pop(key, None)

        return forget

    def _tell_begun(self) -> None:
        """Let one that rests go on."""
        if self.begun is not None:
            self.begun()

    def reason(self, while_: str, gpu_percent: float) -> str | None:
        """Return what is at work, in words; None if nothing is.

        The cheapest is asked first.

        Parameters
        ----------
        while_
            ``busy`` or ``gpu``; see `KeepaliveOptions`.
        gpu_percent
            From which use on a GPU counts.
        """
        if while_ == "busy":
            if self.cell_runs:
                return "a cell runs"
            for name in list(self._jobs.values()):
                return f"job {name}"
            for key, process in list(self._processes.items()):
                if process.alive:
                    return f"process {process.pid}"
                self._processes.pop(key, None)
        if self.gpu is None:
            return None
        percent = self.gpu.percent()
        if percent is None or percent < gpu_percent:
            return None
        return f"GPU use {percent:.0f} %"

    def notes(self) -> tuple[str, ...]:
        """Return what could not be looked at."""
        problem = None if self.gpu is None else self.gpu.problem
        return () if problem is None else (problem,)


_OWN: Final[list[Activity]] = []  # of this process, or nothing yet
_making = threading.Lock()


def activity() -> Activity:
    """Return that of this process."""
    with _making:
        if not _OWN:
            from colabmagic.keepalive.gpu_use import GpuUse  # noqa: PLC0415 (lazy)

            _OWN.append(Activity(gpu=GpuUse()))
        return _OWN[0]


def job(name: str = "job") -> contextlib.AbstractContextManager[None]:
    """Count a block as work for ``%keepalive``: ``with keepalive.job("train"):``.

    Parameters
    ----------
    name
        What the status calls it.
    """
    return activity().job(name)


def watch_pid(pid: int) -> Callable[[], None]:
    """Count a process as work for ``%keepalive``, as long as it lives.

    Parameters
    ----------
    pid
        Its number.

    Returns
    -------
    callable
        Ends that before the process ends.

    Raises
    ------
    NoProcessError
        There is none.
    """
    return activity().watch_pid(pid)


def forget_in_child() -> None:
    """Begin anew in a forked process: what its parent works at is not its work."""
    global _making  # noqa: PLW0603 (a thread that is not here may hold the old one)
    _making = threading.Lock()
    _OWN.clear()
