"""Steps that neither an interrupt nor the garbage collector should come between."""

from __future__ import annotations

import gc
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back until the block is done; then it is raised.

    Python runs signal handlers in the main thread only, so nothing is to be held back
    in another one.
    """
    outer = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(outer):
        yield
        return
    caught: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: caught.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, outer)
        if caught:
            outer(*caught[-1])


@contextmanager
def paused_collector() -> Iterator[None]:
    """Hold the garbage collector back.

    A big model means thousands of small objects at once, and each full collection that
    they set off walks everything that torch has: more work than the block itself.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
