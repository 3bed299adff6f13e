"""Watch GPUs while other work runs: `Watch` reads and draws, `LiveRun` repeats it.

Neither knows who shows the frames.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from colabmagic.gpu.live.sources import sources_for
from colabmagic.gpu.live.view import frame, seconds
from colabmagic.report.html import render_html
from colabmagic.report.model import Field
from colabmagic.report.text import render_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from colabmagic.gpu.check import GpuReport
    from colabmagic.gpu.live.sources import Reading, Source
    from colabmagic.report.model import Report

EVERY_S: Final = 2.0
FOR_S: Final = 60.0
LEAST_EVERY_S: Final = 0.1
_MOST_READINGS: Final = 10_000  # a device; older ones are forgotten


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How often to read, for how long, and what a person types to end it before."""

    every_s: float = EVERY_S
    for_s: float = FOR_S
    stop_hint: str = "%gpu_check --live --for 0"


class Watch:
    """What has been read of all devices so far, and how it looks.

    Parameters
    ----------
    sources
        What is read.
    plan
        `LiveRun` keeps to it.
    absence
        Why there is no GPU to watch; empty where there is one.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        plan: Plan,
        *,
        absence: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        self._sources = sources
        self._absence = absence
        self._clock = clock
        self._started = clock()
        self._lock = threading.Lock()  # the reader adds while a front end looks
        self._history: dict[str, deque[tuple[float, Reading]]] = {}
        self._notes: tuple[str, ...] = ()
        self._count = 0
        self._end: tuple[float, str] | None = None

    @classmethod
    def of(cls, report: GpuReport, plan: Plan) -> Watch:
        """Return a watch of the machine that a check has just looked at."""
        sources = sources_for(report.facts)
        absence = ""
        if len(sources) == 1:  # the machine itself
            nvml = report.facts.nvml
            absence = report.reason or nvml.reason or "no GPU can be measured"
        return cls(sources, plan, absence=absence)

    @property
    def running(self) -> bool:
        """Tell whether it has not been ended."""
        return self._end is None

    @property
    def elapsed_s(self) -> float:
        """Return how long it has run, or did run."""
        now = self._end[0] if self._end else self._clock() - self._started
        return min(now, self.plan.for_s)

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Return all readings, the oldest first, as plain dicts."""
        with self._lock:
            rows = [row for history in self._history.values() for row in history]
        rows.sort(key=lambda row: row[0])  # stable: devices keep their order
        return [
            {"elapsed_s": round(at, 3), **dataclasses.asdict(reading)}
            for at, reading in rows
        ]

    @property
    def summary(self) -> str:
        """Return how far it is, in a few words."""
        elapsed = seconds(self.elapsed_s)
        if self._end is None:
            plan = self.plan
            rhythm = f"a reading every {plan.every_s:g} s"
            return f"{elapsed} of {plan.for_s:g} s, {rhythm}"
        readings = f"{self._count} reading{'' if self._count == 1 else 's'}"
        return ", ".join(filter(None, [f"{elapsed} s", readings, self._end[1]]))

    @property
    def text(self) -> str:
        """Return the frame as text of at most 80 columns."""
        return render_text(self._frame(wide=False))

    @property
    def html(self) -> str:
        """Return the frame as HTML."""
        return render_html(self._frame(wide=True))

    def take(self) -> None:
        """Read all devices once."""
        at = self.elapsed_s
        answers = [source.read() for source in self._sources]
        with self._lock:
            if self._end is not None:
                return  # it ended while the driver took its time
            self._count += 1
            self._notes = tuple(note for _, note in answers if note)
            for reading in (one for found, _ in answers for one in found):
                empty: deque[tuple[float, Reading]] = deque(maxlen=_MOST_READINGS)
                self._history.setdefault(reading.device, empty).append((at, reading))

    def end(self, how: str = "") -> None:
        """Take no more readings; `how` says why, where it was not the time."""
        with self._lock:
            if self._end is None:
                self._end = (self._clock() - self._started, how)

    def close(self) -> None:
        """Let the sources go."""
        for source in self._sources:
            source.close()

    def _frame(self, *, wide: bool) -> Report:
        """Return what is shown now."""
        with self._lock:
            histories = [list(history) for history in self._history.values()]
            notes = self._notes
        said = [("PROBLEM:", note) for note in notes]
        said += [("No GPU to watch:", self._absence)] if self._absence else []
        said += [("Stop:", self.plan.stop_hint)] if self.running else []
        return frame(
            histories,
            ended=not self.running,
            wide=wide,
            summary=self.summary,
            remarks=[Field(label=label, value=value) for label, value in said],
        )


class LiveRun:
    """A watch that is repeated until its time is up or somebody stops it.

    Parameters
    ----------
    show
        Called with each new frame, the last one included. It must not raise.
    """

    def __init__(self, watch: Watch, show: Callable[[Watch], None]) -> None:
        self.watch = watch
        self._show = show
        self._woken = threading.Event()
        self._lock = threading.Lock()  # no running frame may follow the last one
        self._ended = False
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Tell whether more frames will come."""
        return not self._ended

    def start(self) -> None:
        """Repeat it in a thread of its own."""
        self._thread = threading.Thread(
            target=self.loop, name="colabmagic-live", daemon=True
        )
        self._thread.start()

    def loop(self) -> None:
        """Repeat it here, until the end; the first reading has been taken.

        An interrupt ends it as `stop` does, where this is the main thread.
        """
        try:
            while not self._is_stopped_within(self._pause_s()):
                if self.watch.elapsed_s >= self.watch.plan.for_s:
                    break
                self.watch.take()
                self._draw()
            self.stop()
        except KeyboardInterrupt:
            self.stop("stopped")
        except Exception as error:  # noqa: BLE001 (the thread is the border)
            self.stop(f"broke: {type(error).__name__}: {error}")
        finally:
            with contextlib.suppress(Exception):
                self.watch.close()

    def stop(self, how: str = "") -> None:
        """End it and show the last frame; never waits for a driver."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self.watch.end(how)
            self._woken.set()
            self._show(self.watch)

    def join(self, timeout_s: float) -> None:
        """Wait until the thread has gone, which a slow driver may delay."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _draw(self) -> None:
        """Show a frame, unless the last one has been shown."""
        with self._lock:
            if not self._ended:
                self._show(self.watch)

    def _is_stopped_within(self, pause_s: float) -> bool:
        """Wait for the next reading; tell whether somebody ended the watch meanwhile."""
        if self._thread is None:
            # Nobody else is here, and Ctrl-C may come between the steps of an event.
            time.sleep(pause_s)
            return self._ended
        return self._woken.wait(pause_s)

    def _pause_s(self) -> float:
        """Return how long to wait for the next reading; those missed are left out."""
        elapsed, every = self.watch.elapsed_s, self.watch.plan.every_s
        due = (elapsed // every + 1) * every
        return max(0.0, min(due, self.watch.plan.for_s) - elapsed)
