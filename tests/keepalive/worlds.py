"""A clock that a test moves, and a beater that is led through hours in no time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from colabmagic.keepalive.beater import Beater
from colabmagic.keepalive.expiry import Hooks
from colabmagic.keepalive.options import KeepaliveOptions
from colabmagic.keepalive.world import World

if TYPE_CHECKING:
    import threading

HOUR_S = 3600.0


@dataclass
class FakeClock:
    """Time as a test wants it."""

    at: float = 1000.0
    wall_at: float = 1_800_000_000.0

    def now(self) -> float:
        """Return the time that never jumps."""
        return self.at

    def wall(self) -> float:
        """Return the time of people."""
        return self.wall_at

    def wait(self, wake: threading.Event, timeout_s: float) -> bool:
        """Let time pass; for a thread."""
        self.advance(timeout_s)
        return wake.is_set()

    def advance(self, seconds: float) -> None:
        """Let time pass on both."""
        self.at += seconds
        self.wall_at += seconds


@dataclass
class Play:
    """A beater in a world that a test decides about.

    Attributes
    ----------
    work
        What is at work: a text, None, or a function of the seconds since the start.
    """

    options: KeepaliveOptions = field(default_factory=KeepaliveOptions)
    work: Any = None
    life_s: float | None = None
    leave: Any = None
    notifier: Any = None
    send_fails: bool = False
    clock: FakeClock = field(default_factory=FakeClock)
    hooks: Hooks = field(default_factory=Hooks)
    beats: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    beater: Beater = field(init=False)

    def __post_init__(self) -> None:
        """Begin; the thread is this test."""
        self.began = self.clock.now()
        world = World(
            send=self._send,
            busy=self._busy,
            life=lambda: self.life_s,
            tell=self.told.append,
            changed=lambda: self.changes.append(self.beater.status().headline),
            leave=self.leave,
            hooks=self.hooks.all,
            notifier=self.notifier,
            clock=self.clock,
        )
        self.beater = Beater(self.options, world)

    @property
    def age_s(self) -> float:
        """Seconds since the start."""
        return self.clock.now() - self.began

    def _send(self) -> None:
        if self.send_fails:
            raise OSError("no socket")
        self.beats.append(self.age_s)

    def _busy(self) -> str | None:
        found = self.work(self.age_s) if callable(self.work) else self.work
        if isinstance(found, Exception):
            raise found
        return found

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return not self.beater.status().running

    def until(self, age_s: float) -> None:
        """Lead it to an age; what runs in real threads gets a moment."""
        end = time.monotonic() + 20
        while self.age_s < age_s and not self.over:
            wait_s = self.beater.step()
            self.clock.advance(min(wait_s, age_s - self.age_s))
            if self.beater.ending.has_begun:
                time.sleep(0.002)
            assert time.monotonic() < end, "it does not get there"

    def to_the_end(self, most_s: float = 25 * HOUR_S) -> float:
        """Lead it to its end; return its age."""
        self.until(most_s)
        assert self.over
        return self.age_s


def options(**given: Any) -> KeepaliveOptions:  # noqa: ANN401 (of any kind)
    """Return options, beating in any case if nothing else is said."""
    return KeepaliveOptions(**{"while_": "always", **given})
