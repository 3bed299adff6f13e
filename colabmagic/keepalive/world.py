"""What the thread reaches of the rest: each a function, so that a test can be the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from colabmagic.keepalive.clock import RealClock
from colabmagic.keepalive.expiry import HOOKS, Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.keepalive.clock import Clock
    from colabmagic.keepalive.notify import Notifier


def _nothing() -> None:
    """Know of nothing."""
    return


def _tell_nobody(_text: str) -> None:
    """Show it to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the thread reaches of the rest, each a function.

    Attributes
    ----------
    send
        One beat; may raise.
    busy
        Returns what is at work, in words, or None.
    at_work
        The same, whatever the beats go by: asked before the machine is given back. None
        where `busy` knows of all.
    life
        Returns how long the machine lives at most, in seconds, or None.
    tell
        Shows a sentence to the user; called in the thread.
    leave
        Gives the machine back; None where that cannot be.
    hooks
        Returns what is to run before the end.
    problems
        Returns what could not be looked at.
    changed
        Called when it has ended, so that the status line reads otherwise.
    """

    send: Callable[[], object]
    busy: Callable[[], str | None] = _nothing
    at_work: Callable[[], str | None] | None = None
    life: Callable[[], float | None] = _nothing
    tell: Callable[[str], object] = _tell_nobody
    leave: Callable[[], object] | None = None
    hooks: Callable[[], tuple[Hook, ...]] = HOOKS.all
    problems: Callable[[], tuple[str, ...]] = tuple
    changed: Callable[[], object] = _nothing
    clock: Clock = field(default_factory=RealClock)
    notifier: Notifier | None = None
