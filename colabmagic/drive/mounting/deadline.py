"""Bound in time what has no time limit of its own, in the thread that runs it.

Google's code reads the kernel's messages in the thread that called it, so it cannot be
moved into another one that could be given up.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

# One that nobody listens to wakes the main thread; they end a process by default, so
# nobody sends them for fun.
_SIGNALS: Final = ("SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR2")


class DeadlinePassed(BaseException):
    """The time of a block is over; no ``except Exception`` on the way holds it up."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """End the block with `DeadlinePassed` when its time is over.

    Parameters
    ----------
    seconds
        How long the block may take.

    Notes
    -----
    In the main thread a signal cuts system calls short too. Elsewhere, or where all
    signals are in use, the block ends with the next step of its Python code.
    """
    number = _free_signal()
    if number is None:
        with _watched(seconds, _throw_into_this_thread()):
            yield
        return
    armed = True

    def ring(number: int, frame: FrameType | None) -> None:
        del number, frame
        if armed:
            raise DeadlinePassed

    caller = threading.get_ident()
    signal.signal(number, ring)
    try:
        with _watched(seconds, lambda: signal.pthread_kill(caller, number)):
            try:
                yield
            finally:
                armed = False
    finally:
        signal.signal(number, signal.SIG_DFL)


def _free_signal() -> signal.Signals | None:
    """Return a signal that can be used here and now."""
    if threading.current_thread() is not threading.main_thread():
        return None  # Python runs its handlers in the main thread only
    for name in _SIGNALS:
        number: signal.Signals | None = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            return number
    return None


def _throw_into_this_thread() -> Callable[[], object]:
    """Return what raises `DeadlinePassed` in the thread that runs now."""
    caller = ctypes.c_ulong(threading.get_ident())
    throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
    return lambda: throw(caller, ctypes.py_object(DeadlinePassed))


@contextlib.contextmanager
def _watched(seconds: float, ring: Callable[[], object]) -> Iterator[None]:
    """Call `ring` from a thread when the time is over, and never after the block."""
    over, lock = threading.Event(), threading.Lock()

    def watch() -> None:
        if over.wait(seconds):
            return
        with lock:
            if not over.is_set():
                ring()

    watcher = threading.Thread(target=watch, name="colabmagic-deadline", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        with lock:
            over.set()
        watcher.join()
