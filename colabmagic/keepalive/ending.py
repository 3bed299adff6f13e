"""The end that is known in advance: when to warn, what to run, and giving back."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from colabmagic.keepalive.expiry import Hook, HookResult, HookRun, Hooks
from colabmagic.keepalive.options import in_words
from colabmagic.keepalive.state import Cause

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.keepalive.world import World

_SPARE_S: Final = 60.0  # between the last function and the end
_SHARE: Final = 0.25  # of a short run, at most so much is its end
_LEAVE_S: Final = 60.0
_POST_S: Final = 45.0


class Ending:
    """One end.

    Parameters
    ----------
    began
        When it all began, on the clock that never jumps.
    total_s
        How long it may last.
    is_machine
        Whether the machine ends then, and not only we.
    warn_s
        How long before there is a notice; 0 for none.
    """

    def __init__(
        self, *, began: float, total_s: float, is_machine: bool, warn_s: float
    ) -> None:
        self.at = began + total_s
        self.is_machine = is_machine
        self._most_s = total_s if is_machine else total_s * _SHARE
        self._warn_s = min(warn_s, self._most_s)
        self._warned = warn_s <= 0
        self._is_held = False  # the notice, until it is known which end comes
        self._run: HookRun | None = None
        self._leaving: HookRun | None = None
        self._told = 0

    # --- when -------------------------------------------------------------------------

    def due(self, longest_s: float) -> list[float]:
        """Return the times at which something is to be done.

        Parameters
        ----------
        longest_s
            How long what is to run may take.
        """
        due = [self.at]
        if not (self._warned or self._is_held):
            due.append(self.at - self._warn_s)
        if self._run is None:
            due.append(self.at - self._margin_s(longest_s))
        return due

    def _margin_s(self, longest_s: float) -> float:
        """Return how long before the end what is to run begins.

        Of a machine only the latest end is known, so there it begins with the notice.
        """
        if not longest_s:
            return 0.0
        needed = min(longest_s + _SPARE_S, self._most_s)
        return max(needed, self._warn_s) if self.is_machine else needed

    def warns(self, now: float, *, is_leaving: bool = False) -> bool:
        """Tell once that it is time for the notice.

        Parameters
        ----------
        now
            The time.
        is_leaving
            Whether the machine is given back before; if that is called off, the notice
            is due after all.
        """
        if self._warned or now < self.at - self._warn_s:
            return False
        self._warned, self._is_held = not is_leaving, is_leaving
        return self._warned and now < self.at

    def wants(self, now: float, longest_s: float) -> bool:
        """Tell whether it is time for what is to run."""
        return now >= self.at - self._margin_s(longest_s)

    def notice(self, now: float, wall: float) -> str:
        """Return the words of the notice.

        Parameters
        ----------
        now, wall
            The time, as the clock tells it and as people do.
        """
        left_s = max(0.0, self.at - now)
        at = time.strftime("%H:%M %Z", time.localtime(wall + left_s))
        if self.is_machine:
            return (
                f"this machine ends in about {in_words(left_s)} (at {at}) at the latest, "
                "with all that is on its disk. Save what you need to Drive now"
            )
        return (
            f"the time that was set ends in {in_words(left_s)} (at {at}). To go on, "
            "type %keepalive"
        )

    # --- what is to run ---------------------------------------------------------------

    @property
    def has_begun(self) -> bool:
        """Whether what is to run has begun."""
        return self._run is not None

    @property
    def is_running(self) -> bool:
        """Whether somebody has to look again soon."""
        return self._run is not None and math.isfinite(self.due_s)

    @property
    def due_s(self) -> float:
        """Seconds until something is given up."""
        runs = (run for run in (self._run, self._leaving) if run is not None)
        return min((run.due_s for run in runs), default=math.inf)

    def begin(
        self,
        hooks: tuple[Hook, ...],
        now: Callable[[], float],
        done: Callable[[], object],
    ) -> None:
        """Run them, one after the other."""
        self._run = HookRun(hooks, now, done)

    def follow(self, hooks: tuple[Hook, ...], now: float) -> None:
        """Go by what is registered now; after the end nothing new is taken in."""
        if self._run is not None:
            self._run.follow(hooks, more=now < self.at)

    def poll(self) -> bool:
        """Move on; return whether all are through."""
        return self._run is not None and self._run.poll()

    def forget(self) -> None:
        """Let all run again at the next end: this one was none."""
        self._run, self._told = None, 0

    @property
    def results(self) -> tuple[HookResult, ...]:
        """What became of those that ran."""
        return () if self._run is None else tuple(self._run.results)

    @property
    def ok(self) -> bool:
        """Whether all ended well."""
        return self._run is not None and self._run.ok

    def untold(self) -> tuple[HookResult, ...]:
        """Return what did not end well, each once."""
        new = self.results[self._told :]
        self._told = len(self.results)
        return tuple(result for result in new if result.state != "ok")

    @property
    def is_leaving(self) -> bool:
        """Whether giving back has begun."""
        return self._leaving is not None

    # --- giving back ------------------------------------------------------------------

    def leaves(
        self, world: World, now: Callable[[], float], done: Callable[[], object]
    ) -> bool:
        """Give the machine back; return whether that is through."""
        if self._leaving is None:
            assert world.leave is not None
            last = Hooks()
            notifier = world.notifier
            if notifier is not None:  # afterwards nobody can post any more
                notifier.post(
                    "colabmagic keepalive: all was done, the machine is given back"
                )

                def posted() -> None:
                    notifier.join(_POST_S)

                last.add(posted, timeout_s=_POST_S + 1, name="notify")
            last.add(world.leave, timeout_s=_LEAVE_S, name="give back")
            self._leaving = HookRun(last.all(), now, done)
        return self._leaving.poll()

    def left_with(self, say: Callable[[str], object]) -> Cause:
        """Return what came of giving back, and say it where it failed."""
        assert self._leaving is not None
        result = self._leaving.results[-1]
        if result.state == "ok":
            return Cause.LEFT
        say(
            f"the machine could not be given back: {result.text}. Click Runtime > "
            "Disconnect and delete runtime"
        )
        return Cause.MACHINE if self.is_machine else Cause.BOUND
