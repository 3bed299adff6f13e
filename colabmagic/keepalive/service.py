"""The one beater of this process: started, asked, ended."""

from __future__ import annotations

import atexit
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from colabmagic.host.vm_clock import VmClock
from colabmagic.keepalive import activity as _activity
from colabmagic.keepalive.beater import Beater
from colabmagic.keepalive.notify import Notifier
from colabmagic.keepalive.options import KeepaliveOptions
from colabmagic.keepalive.state import Cause, KeepaliveStatus
from colabmagic.keepalive.world import World
from colabmagic.report.model import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.keepalive.expiry import Hook
    from colabmagic.keepalive.place import Place


class _Current:
    """What runs in this process.

    The lock is for those who start and end it. The thread never takes it: whoever holds
    it may wait for the thread.
    """

    def __init__(self) -> None:
        self.acting = threading.RLock()
        self.beater: Beater | None = None
        self.place: Place | None = None
        self.changed: Callable[[], object] | None = None


_EXIT_S: Final = 0.2
_CURRENT: Final = _Current()


def start(  # noqa: PLR0913 (by keyword)
    options: KeepaliveOptions | None = None,
    *,
    send: Callable[[], object],
    place: Place | None = None,
    tell: Callable[[str], object] | None = None,
    changed: Callable[[], object] | None = None,
    leave: Callable[[], object] | None = None,
    hooks: Callable[[], tuple[Hook, ...]] | None = None,
) -> KeepaliveStatus:
    """Begin to beat; what runs already ends before.

    Parameters
    ----------
    options
        How long, how often, while what.
    send
        Sends one beat; called in the thread.
    place
        Where this runs, for the status.
    tell
        Shows a sentence to the user; called in the thread.
    changed
        Called in the thread when the status reads otherwise.
    leave
        Gives the machine back.
    hooks
        Returns what is to run before the end; those of `on_expiry` if left out.
    """
    options = options or KeepaliveOptions()
    given = {"tell": tell, "changed": changed, "hooks": hooks}
    work = _activity.activity()
    world = World(
        send=send,
        busy=lambda: work.reason(options.while_, options.gpu_percent),
        at_work=lambda: work.reason("busy", options.gpu_percent),
        problems=work.notes,
        life=life_s,
        leave=leave,
        notifier=Notifier(options.notify_url) if options.notify_url else None,
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )
    with _CURRENT.acting:
        if _CURRENT.beater is not None:
            _CURRENT.beater.stop(Cause.REPLACED)
        _CURRENT.beater, _CURRENT.place = Beater(options, world), place
        work.begun = _go_on
        _CURRENT.changed = world.changed
        _CURRENT.beater.start()
    return status()


def resume() -> bool:
    """Go on after a rest, as a cell runs; return whether it runs now."""
    with _CURRENT.acting:
        beater = _CURRENT.beater
        if beater is None:
            return False
        if beater.rests:
            beater.start()
        return beater.running


def _go_on() -> None:
    """Go on after a rest, for a job or a process that begins outside of a cell."""
    beater, changed = _CURRENT.beater, _CURRENT.changed
    if beater is not None and beater.rests and resume() and changed is not None:
        changed()


def keep() -> None:
    """Do not give the machine back soon: a person has run a cell, however short."""
    beater = _CURRENT.beater
    if beater is not None:
        beater.keep()


def stop(cause: Cause | None = None) -> KeepaliveStatus:
    """End it; return how it stood.

    Parameters
    ----------
    cause
        Why; the user, if left out.
    """
    with _CURRENT.acting:
        if _CURRENT.beater is not None:
            _CURRENT.beater.stop(cause)
    return status()


def status() -> KeepaliveStatus:
    """Return how it stands; asks nothing."""
    beater, place = _CURRENT.beater, _CURRENT.place
    found = KeepaliveStatus() if beater is None else beater.status()
    return found if place is None else described(found, place)


def described(found: KeepaliveStatus, place: Place) -> KeepaliveStatus:
    """Return a status with the advice of a place, and how old the machine is.

    Parameters
    ----------
    found
        The status.
    place
        The place.
    """
    age = VmClock().describe()
    aged = (age,) if age else ()
    return replace(found, place=place.name, advice=(*aged, *place.advice))


def life_s() -> float | None:
    """Return how long the machine lives at most, in seconds; None where unknown."""
    left = VmClock().left_s()
    return None if isinstance(left, Unknown) else left


@atexit.register
def _at_exit() -> None:
    """End it before the kernel's sockets are taken apart."""
    if _CURRENT.beater is not None:
        _CURRENT.beater.stop(timeout_s=_EXIT_S)


def _forget_in_child() -> None:
    """Begin anew in a forked process: threads are not copied, and the parent beats on."""
    _CURRENT.acting = threading.RLock()
    _CURRENT.beater = _CURRENT.place = _CURRENT.changed = None
    _activity.forget_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
