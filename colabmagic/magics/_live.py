"""``%gpu_check --live``: frames that a thread puts into the cell that asked for them.

In a notebook each update goes out as a message of its own. ``print`` and the usual
``display`` would do two things that a thread must not do beside a running cell: empty
its streams, and on older kernels write in the name of whichever cell runs.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import shutil
import sys
import uuid
from typing import TYPE_CHECKING, Any, Final

from IPython import get_ipython
from IPython.core.error import UsageError
from IPython.display import display

from colabmagic.gpu.check import check
from colabmagic.gpu.live import EVERY_S, FOR_S, LEAST_EVERY_S, LiveRun, Plan, Watch
from colabmagic.gpu.probe import DEADLINE_S
from colabmagic.magics._shown import send_update

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.gpu.check import GpuReport

_JOIN_S: Final = 1.0  # for the thread that is replaced; only a driver takes longer
_PID: Final = os.getpid()
_NEWEST: list[_Output] = []  # the newest output of a kernel, or nothing


def start(
    every_s: float = EVERY_S, for_s: float = FOR_S, *, deadline_s: float = DEADLINE_S
) -> LiveView | None:
    """Watch the GPUs in the running cell; a view that still runs ends.

    In a notebook this returns at once; in a terminal when the time is up or at Ctrl-C.

    Parameters
    ----------
    every_s
        Seconds between two readings.
    for_s
        Seconds until it ends by itself; 0 only ends the view that runs.
    deadline_s
        Seconds that the check at the beginning may take.

    Returns
    -------
    The view. With `for_s` 0 the one that was ended, None where there was none.
    """
    if not LEAST_EVERY_S <= every_s < math.inf:
        raise UsageError(f"%gpu_check: --every needs {LEAST_EVERY_S} seconds or more")
    if not 0 <= for_s < math.inf:
        raise UsageError("%gpu_check: --for needs a number of seconds; 0 stops")
    if for_s == 0:
        run = _end("stopped")
        return None if run is None else LiveView(run)
    replaced = _end("replaced by a newer one")
    if replaced is not None:
        replaced.join(_JOIN_S)
    report = check(deadline_s=deadline_s)
    shell = get_ipython()
    if shell is None or getattr(shell, "kernel", None) is None:
        return _in_terminal(report, every_s, for_s)
    watch = Watch.of(report, Plan(every_s=every_s, for_s=for_s))
    watch.take()
    output = _Output(shell, watch)
    _NEWEST[:] = [output]
    output.open()
    output.run.start()
    return LiveView(output.run)


def _in_terminal(report: GpuReport, every_s: float, for_s: float) -> LiveView:
    """Watch here: a thread would write into what is being typed."""
    terminal = _Terminal()
    plan = Plan(every_s=every_s, for_s=for_s, stop_hint="Ctrl-C")
    watch = Watch.of(report, plan)
    watch.take()
    terminal.show(watch)
    run = LiveRun(watch, terminal.show)
    run.loop()
    return LiveView(run)


def stop() -> None:
    """End the view that runs and leave nothing behind: for ``%unload_ext``."""
    _end("stopped")
    for output in _NEWEST:
        output.close()
    _NEWEST.clear()


def _end(how: str) -> LiveRun | None:
    """End the newest view of a kernel, and return it."""
    for output in _NEWEST:
        output.run.stop(how)
        return output.run
    return None


@atexit.register
def _at_exit() -> None:
    """Say in the saved notebook that it ended; a forked child has nothing to end."""
    if os.getpid() == _PID:
        _end("the kernel ended")


class LiveView:
    """A live view, as ``view = %gpu_check --live`` returns it.

    ``view.stop()`` ends it; ``view.samples`` is what was read, as plain dicts.
    """

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._made_in = _cell_number()

    @property
    def running(self) -> bool:
        """Tell whether it still reads."""
        return self._run.running

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Return what was read, a dict for each device and time, the oldest first."""
        return self._run.watch.samples

    def stop(self) -> None:
        """End it; its last frame stays where it is."""
        self._run.stop("stopped")

    def __repr__(self) -> str:
        """Return how far it is."""
        state = "runs" if self.running else "ended"
        return f"<GPU live view: {state}, {self._run.watch.summary}>"

    def _ipython_display_(self) -> None:
        """Show the frame as it is now, but not again in the cell that shows it live."""
        if getattr(get_ipython(), "kernel", None) is None:
            raise NotImplementedError  # a terminal has seen it: the repr is enough
        if _cell_number() != self._made_in:
            display(_bundle(self._run.watch), raw=True)


class _Output:
    """The output of one view, in the cell of a kernel that asked for it."""

    def __init__(self, shell: InteractiveShell, watch: Watch) -> None:
        self.run = LiveRun(watch, self._update)
        self._shell = shell
        self._display_id = f"colabmagic-live-{uuid.uuid4().hex}"
        # Under %%capture this is something without a session: nobody sees updates.
        self._publisher: Any = shell.display_pub
        self._parent = self._running_cell()

    def open(self) -> None:
        """Show the first frame, as any output of the cell."""
        display(_bundle(self.run.watch), raw=True, display_id=self._display_id)
        self._shell.events.register("post_run_cell", self._after_cell)

    def close(self) -> None:
        """Take the hook back."""
        with contextlib.suppress(ValueError):  # it has gone already
            self._shell.events.unregister("post_run_cell", self._after_cell)

    def _running_cell(self) -> dict[str, Any]:
        """Return the header of the message that the kernel works on."""
        return dict(getattr(self._publisher, "parent_header", None) or {})

    def _update(self, watch: Watch) -> None:
        """Put a frame into the cell that began, whichever cell runs now."""
        self._send(watch, self._parent)

    def _after_cell(self, _result: object) -> None:
        """Send the frame once more, in the name of the cell that has just run.

        Programs that run notebooks (nbclient, and what is built on it) hear only the
        messages of the cell that they wait for; they find the output by its id.
        """
        ended = not self.run.running
        current = self._running_cell()
        if current.get("msg_id") != self._parent.get("msg_id"):
            self._send(self.run.watch, current)
        if ended:
            self.close()

    def _send(self, watch: Watch, parent: dict[str, Any]) -> None:
        """Send a frame in the name of a cell."""
        send_update(self._publisher, self._display_id, _bundle(watch), parent)


class _Terminal:
    """The frames of one view in a terminal, each in the place of the one before.

    A terminal that cannot go back, such as a file, gets the last frame only.
    """

    def __init__(self) -> None:
        self._lines = 0
        is_dumb = os.environ.get("TERM") == "dumb"
        self._can_go_back = sys.stdout.isatty() and not is_dumb

    def show(self, watch: Watch) -> None:
        """Print a frame over the one before."""
        lines = watch.text.splitlines()
        columns, height = shutil.get_terminal_size()
        fits = len(lines) < height and max(map(len, lines)) < columns
        if watch.running and not (self._can_go_back and fits):
            return
        back = f"\x1b[{self._lines}F\x1b[J" if self._lines else ""
        print(back + "\n".join(lines), flush=True)  # noqa: T201 (a terminal)
        self._lines = len(lines)


def _bundle(watch: Watch) -> dict[str, str]:
    """Return a frame in the forms that front ends know."""
    return {"text/plain": watch.text, "text/html": watch.html}


def _cell_number() -> int:
    """Return the number of the cell that runs."""
    shell = get_ipython()
    return -1 if shell is None else int(shell.execution_count)
