"""Hold an interrupt back until a step that must not be cut in two is over."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Handler: TypeAlias = Callable[[int, FrameType | None], Any]


@dataclass(eq=False, slots=True)
class _Deferral:
    """A block in which interrupts wait."""

    before: Handler  # gets them afterwards
    handler: Handler | None = None  # gets them meanwhile


_deferrals: list[_Deferral] = []
_MOMENT_S: Final = 0.02


@contextlib.contextmanager
def deferred_interrupts(
    *,
    deliver: bool = True,
    once: bool = False,
    later: bool = False,
    waits: Callable[[], object] | None = None,
) -> Iterator[None]:
    """Let SIGINT wait while the block runs.

    Parameters
    ----------
    deliver
        Pass a SIGINT that came meanwhile on to the handler that was there before, when
        the block is over. It is dropped if the block raises: the cell stops anyway. Not
        with `once`: the error may be one that the cell handles.
    once
        Let the first one wait, and pass a second one on at once: for a block that may
        take long, and that can be cut in two if it must be. Inside of another block, that
        one counts them.
    later
        Deliver it a moment after the block: for what runs in ``__del__``, where Python
        prints what is raised, and goes on.

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
    if once and waits is None and _deferrals and _deferrals[-1].handler is before:
        yield
        return
    pressed: list[int] = []
    over, failed = False, True
    deferral = _Deferral(before)

    def remember(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        if waits is not None and len(pressed) == 1:
            waits()
        if once and len(pressed) > 1 and not over:
            deferral.before(number, frame)

    deferral.handler = remember
    signal.signal(signal.SIGINT, remember)
    _deferrals.append(deferral)
    try:
        yield
        failed = False
    finally:
        over = True  # what is done here is not cut in two
        _deferrals.remove(deferral)
        signal.signal(signal.SIGINT, deferral.before)
        is_error = failed and isinstance(sys.exception(), Exception)
        if pressed and deliver and (not failed or later or (once and is_error)):
            if later:
                _press_again()
            else:
                _deliver(deferral.before, after_error=failed)


def _deliver(handler: Handler, *, after_error: bool) -> None:
    """Call a handler as Python does."""
    try:
        handler(signal.SIGINT, sys._getframe())  # noqa: SLF001
    except BaseException as stop:
        # As without us: what was cut off is not shown, and its frames are not the user's.
        stop.__suppress_context__ |= after_error
        raise


def _press_again() -> None:
    """Interrupt the main thread when it has left where it is now."""

    def press() -> None:
        main = threading.main_thread().ident
        if hasattr(signal, "pthread_kill") and main is not None:
            signal.pthread_kill(main, signal.SIGINT)  # it ends a sleep, too
        else:
            _thread.interrupt_main()

    timer = threading.Timer(_MOMENT_S, press)
    timer.daemon = True
    timer.start()


def handle_interrupts(handler: Handler) -> Handler | None:
    """Let a handler take SIGINT, where interrupts wait from the end of that block on.

    Parameters
    ----------
    handler
        As for ``signal.signal``.

    Returns
    -------
    callable or None
        The handler of before, to be called by `handler` and given to `handle_as_before`;
        None where nothing was done: in another thread, and where SIGINT is ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return None
    if _deferrals:
        outermost = _deferrals[0]
        before, outermost.before = outermost.before, handler
        return before
    current = signal.getsignal(signal.SIGINT)
    if not callable(current):
        return None
    signal.signal(signal.SIGINT, handler)
    return current


def handle_as_before(handler: Handler, before: Handler) -> None:
    """Undo `handle_interrupts`, unless somebody else has taken SIGINT since.

    Parameters
    ----------
    handler
        What was given to it.
    before
        What it returned.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if _deferrals and _deferrals[0].before is handler:
        _deferrals[0].before = before
    elif signal.getsignal(signal.SIGINT) is handler:
        signal.signal(signal.SIGINT, before)


def _deliver_in_child() -> None:
    """Let a forked process be interrupted: the block that interrupts wait for is not its."""
    if not _deferrals:
        return
    before = _deferrals[0].before
    _deferrals.clear()
    signal.signal(signal.SIGINT, before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_deliver_in_child)
