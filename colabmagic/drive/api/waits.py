"""How long to wait before a request is sent again."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from colabmagic.drive.api import patience

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 32.0


class Waits:
    """How long to wait before each further attempt: full jitter, or what the server asks.

    Parameters
    ----------
    first_s, longest_s
        Bounds of the random wait: at first, and in the end.
    sleep
        Waits so many seconds.
    """

    def __init__(
        self,
        first_s: float = _FIRST_WAIT_S,
        longest_s: float = _LONGEST_WAIT_S,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.first_s, self.longest_s, self.sleep = first_s, longest_s, sleep

    def wait(
        self,
        attempt: int,
        asked_s: float | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Wait after an attempt, counted from 0.

        Parameters
        ----------
        attempt
            Which one has failed.
        asked_s
            The server's ``Retry-After``.
        stop
            Ends the wait.
        """
        bound = min(self.longest_s, self.first_s * 2**attempt)
        chosen = random.uniform(0, bound)  # noqa: S311 (jitter)
        seconds = chosen if asked_s is None else asked_s + chosen * 0.1
        patience.waiting(seconds)
        if stop is not None and self.sleep is time.sleep:
            stop.wait(seconds)
        else:
            self.sleep(seconds)
