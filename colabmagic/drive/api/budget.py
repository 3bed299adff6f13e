"""Google's quota units: what a request costs, and how fast they may be spent.

Source: Drive API, "Usage limits" (units since 2026-05-01).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

GET: Final = 5
LIST: Final = 100
DOWNLOAD: Final = 200
WRITE: Final = 50
FREE: Final = 0  # the chunks of an upload: it was paid for at its start

UNITS_PER_MINUTE: Final = 325_000  # for each user of a project
_SHARE: Final = 0.9  # others use the same project, and clocks differ
_BURST_S: Final = 10.0


class UnitBudget:
    """A bucket of units that fills steadily; who takes more than is in it waits.

    Parameters
    ----------
    units_per_minute
        How fast it fills.
    clock, sleep
        Seconds.
    """

    def __init__(
        self,
        units_per_minute: float = UNITS_PER_MINUTE * _SHARE,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._per_second = units_per_minute / 60
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._left = self._per_second * _BURST_S
        self._then = clock()
        self.spent = 0

    def begin_in_child(self) -> None:
        """Take a lock of its own in a forked process."""
        self._lock = threading.Lock()

    def take(self, units: int) -> None:
        """Spend units; wait until they are there.

        Parameters
        ----------
        units
            What a request costs.
        """
        if not units:
            return
        with self._lock:  # who comes later waits behind
            now = self._clock()
            most = max(self._per_second * _BURST_S, units)
            self._left = min(most, self._left + (now - self._then) * self._per_second)
            self._then = now
            self._left -= units
            self.spent += units
            wait = -self._left / self._per_second
        if wait > 0:
            self._sleep(wait)
