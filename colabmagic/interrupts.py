"""Hold an interrupt back until a step that must not be cut in two is over."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextlib.contextmanager
def deferred_interrupts(*, deliver: bool = True, once: bool = False) -> Iterator[None]:
    """Let SIGINT wait while the block runs.

    Parameters
    ----------
    deliver
        Pass a SIGINT that came meanwhile on to the handler that was there before, when
        the block is over. It is dropped if the block raises: the cell stops anyway.
    once
        Let the first one wait, and pass a second one on at once: for a block that may
        take long, and that can be cut in two if it must be.

    Notes
    -----
    Python runs signal handlers in the main thread only: elsewhere nothing is done.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(
        before
    ):
        yield
        return
    pressed: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        if once and len(pressed) > 1:
            before(number, frame)

    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed and deliver:
        before(signal.SIGINT, sys._getframe())  # noqa: SLF001 (what Python passes too)
