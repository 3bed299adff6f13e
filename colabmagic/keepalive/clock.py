"""Time for a thread that shall neither drift nor believe a clock that somebody sets."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import threading

# Of those that run on while the computer sleeps: `time.monotonic` stands still then.
_SLEEPLESS: Final = {"linux": "CLOCK_BOOTTIME", "darwin": "CLOCK_MONOTONIC"}


class Clock(Protocol):
    """What the beats go by."""

    def now(self) -> float:
        """Return seconds since some point; never set back, also counted asleep."""

    def wall(self) -> float:
        """Return Unix time, for people: it may jump."""

    def wait(self, wake: threading.Event, timeout_s: float) -> bool:
        """Wait until the event or the time; return whether it was the event."""


@dataclass(frozen=True, slots=True)
class RealClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Return seconds since the machine was started."""
        kind = getattr(time, _SLEEPLESS.get(sys.platform, ""), None)
        return time.monotonic() if kind is None else time.clock_gettime(kind)

    def wall(self) -> float:
        """Return Unix time."""
        return time.time()

    def wait(self, wake: threading.Event, timeout_s: float) -> bool:
        """Wait."""
        return wake.wait(timeout_s)
