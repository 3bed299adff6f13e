"""The one thread: beats while there is work, and minds the end.

Nothing here knows a kernel: what a beat is, what is at work and who is told comes from
outside. Each `step` does what is due and returns how long nothing is, so that twelve
hours can be tested in a second.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Final

from colabmagic.keepalive.ending import Ending
from colabmagic.keepalive.expiry import longest_s
from colabmagic.keepalive.state import Cause, KeepaliveStatus, Phase
from colabmagic.keepalive.telling import Teller

if TYPE_CHECKING:
    from colabmagic.keepalive.expiry import Hook
    from colabmagic.keepalive.options import KeepaliveOptions
    from colabmagic.keepalive.world import World

THREAD: Final = "colabmagic-keepalive"
LOOK_S: Final = 15.0  # between two looks for work
GRACE_S: Final = 30.0  # so long nothing may be at work before it has ended
LEAVE_GRACE_S: Final = 300.0  # before the machine is given back for want of work
STOP_S: Final = 2.0
_LAST_S: Final = 0.05  # between two looks whether it has said its last words
_POLL_S: Final = 1.0  # while something runs that nobody wakes us for


class Beater:
    """Beats from its `start` until the work, the time, the machine or the user ends it.

    Parameters
    ----------
    options
        How long, how often, while what.
    world
        Everything else.
    """

    def __init__(self, options: KeepaliveOptions, world: World) -> None:
        self.options, self._world, self._clock = options, world, world.clock
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._phase, self._cause = Phase.WAITING, Cause.NONE
        self._is_over = False  # set by whoever ends it, looked at by the thread
        self._ending_it = threading.Lock()
        self._why: str | None = None
        self._look_s = min(LOOK_S, options.every_s)
        self._grace_s = min(GRACE_S, 2 * self._look_s)
        self._teller = Teller(world)
        self.beats = self.failed_beats = self.missed_beats = 0
        self._began, self._wall_began = self._clock.now(), self._clock.wall()
        self._last_beat: float | None = None
        self._next_beat = self._began
        self._next_look = self._began + self._look_s
        self._last_busy = -math.inf
        self._failure: str | None = None
        self._leave_at: float | None = None
        self._is_owed = False  # the machine, as soon as nothing at all is at work
        self._is_kept = False  # set by a person's cell
        self._is_unknown = False  # what is to run before the end
        if options.while_ == "always":
            self._phase, self._why = Phase.BEATING, "you asked for --while always"
        life = self._teller.guarded(world.life, "the age of the machine is not known")
        is_machine = life is not None and life < options.for_s
        total = life if is_machine and life is not None else options.for_s
        self.ending = Ending(
            began=self._began,
            total_s=max(0.0, total),
            is_machine=is_machine,
            warn_s=options.warn_s,
        )

    # --- from outside -----------------------------------------------------------------

    def start(self) -> None:
        """Begin, or go on after it has ended for want of work."""
        ends = time.monotonic() + STOP_S
        while self._is_over and self.running and time.monotonic() < ends:
            self._thread.join(_LAST_S)  # type: ignore[union-attr]  # there is one
        if self.running:  # it goes on after all, or hangs
            return
        self.wait_for_work_again()
        self._wake.clear()
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self._thread.start()

    def wait_for_work_again(self) -> None:
        """End a rest: the grid of the beats and the bound stay what they were."""
        if self._cause is Cause.WORK:
            self._phase, self._cause, self._is_over = Phase.WAITING, Cause.NONE, False
            self._why = None
            now = self._clock.now()
            self._next_look = now + self._look_s
            self._next_beat = self._after(now)

    def keep(self) -> None:
        """Do not give the machine back for want of work just now."""
        if self._phase is Phase.LEAVING:
            self._is_kept = True
            self._wake.set()

    def stop(self, cause: Cause | None = None, timeout_s: float = STOP_S) -> bool:
        """End it; return whether the thread is gone.

        Parameters
        ----------
        cause
            Why; the user, if left out.
        timeout_s
            How long to wait for it.
        """
        with self._ending_it:
            if not self._is_over or self._cause is Cause.WORK:
                self._is_over, self._cause = True, cause or Cause.USER
        self._wake.set()
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    @property
    def running(self) -> bool:
        """Whether the thread lives."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    @property
    def rests(self) -> bool:
        """Whether it has ended for want of work, and has time left for more of it."""
        return self._cause is Cause.WORK and self._clock.now() < self.ending.at

    def status(self) -> KeepaliveStatus:
        """Return how it stands; asks nothing."""
        on = not self._is_over
        beating = on and self._phase is Phase.BEATING
        shift = self._clock.wall() - self._clock.now()  # people's clocks may be set
        return KeepaliveStatus(
            running=on,
            phase=(self._phase if on else Phase.ENDED).value,
            beats=self.beats,
            failed_beats=self.failed_beats,
            missed_beats=self.missed_beats,
            every_s=self.options.every_s,
            while_=self.options.while_,
            then=self.options.then,
            started=self._wall_began,
            last=None if self._last_beat is None else self._last_beat + shift,
            next=self._next_beat + shift if beating else None,
            expires=self.ending.at + shift if on or self.rests else None,
            expires_with_machine=self.ending.is_machine,
            rests=not on and self.rests,
            reason=self._reason(),
            cause=self._cause.value,
            notify=None if self._world.notifier is None else self._world.notifier.shown,
            hooks=tuple(str(each) for each in self.ending.results),
            notes=self._teller.notes,
        )

    # --- the thread -------------------------------------------------------------------

    def _run(self) -> None:
        """Do what is due until it has ended."""
        try:
            while not self._is_over:
                if self._clock.wait(self._wake, self.step()) and not self._is_over:
                    self._wake.clear()
        except Exception as error:  # noqa: BLE001 (a thread's last words)
            self._failure = f"{type(error).__name__}: {error}"
            self._end(Cause.FAILED)

    def step(self) -> float:
        """Do what is due; return the seconds until something is."""
        now = self._clock.now()
        kept, self._is_kept = self._is_kept, False
        if kept and self._phase is Phase.LEAVING:
            self._last_busy, self._why = now, "a cell has run"
            self._work_begins(now)
        if now >= self._next_look or self._leaves_now(now):
            self._next_look = now + self._look_s
            self._look(now)
        if self._phase is Phase.BEATING and now < self.ending.at:
            self._beat(now)
        self._mind_the_end(now)
        return self._wait_s(now)

    def _leaves_now(self, now: float) -> bool:
        """Tell whether the machine is about to be given back, and nothing has begun."""
        due = self._leave_at is not None and now >= self._leave_at
        return due and not self.ending.has_begun

    def _wait_s(self, now: float) -> float:
        """Return how long nothing is due."""
        due = [self._next_look, *self.ending.due(longest_s(self._hooks()))]
        if self._phase is Phase.BEATING:
            due.append(self._next_beat)
        if self._leave_at is not None:
            due.append(self._leave_at)
        wait_s = min(due) - now
        if self.ending.is_running:
            wait_s = min(wait_s, _POLL_S, self.ending.due_s)
        return max(0.01, wait_s)

    def _look(self, now: float) -> None:
        """See whether there is work."""
        if self.options.while_ == "always":
            return
        if self._phase is Phase.LEAVING:
            reason = self._at_work()
        else:
            reason = self._teller.guarded(
                self._world.busy, "what is at work is not known"
            )
        if reason is not None:
            self._last_busy, self._why = now, reason
            if self._phase is not Phase.BEATING:
                self._work_begins(now)
        elif self._is_owed or (
            self._phase is Phase.BEATING and now - self._last_busy >= self._grace_s
        ):
            self._work_ends(now)

    def _work_begins(self, now: float) -> None:
        """Beat at once: nobody knows for how long nothing has happened."""
        if self.ending.is_leaving:
            return  # nobody can call that back
        self._is_owed = False
        if self._leave_at is not None:
            self._leave_at = None
            self.ending.forget()
            self._teller.say("there is work again, so the machine is not given back")
        self._phase = Phase.BEATING
        self._next_beat = min(self._next_beat, now)

    def _work_ends(self, now: float) -> None:
        """Rest, or make ready to give the machine back."""
        self._why = None
        if self.options.then == "disconnect" and self._world.leave is not None:
            self._is_owed = self._at_work() is not None
            if self._is_owed:  # a cell without the GPU that the beats go by
                self._phase = Phase.WAITING
                return
            self._phase = Phase.LEAVING
            self._leave_at = min(now + LEAVE_GRACE_S, self.ending.at)
            minutes = (self._leave_at - now) / 60
            self._teller.say(
                f"the work has ended; the machine is given back in {minutes:.0f} min "
                "unless a cell runs. To keep it, type %keepalive stop",
                post=True,
            )
            return
        self._rest()

    def _rest(self) -> None:
        """End for want of work, unless some has begun since that was looked for."""
        if not self._is_now_over(Cause.WORK):
            return
        # From here on, who begins to work finds a rest, and lets it go on.
        self._why = self._teller.guarded(self._world.busy, "")
        if self._why is None:
            self._tell_end()
            return
        with self._ending_it:
            if self._cause is Cause.WORK:  # nobody has stopped it meanwhile
                self._is_over, self._cause = False, Cause.NONE
                self._last_busy = self._clock.now()

    def _beat(self, now: float) -> None:
        """Send what is due: one, however many were slept through."""
        if now < self._next_beat:
            return
        every_s = self.options.every_s
        late = int((now - self._next_beat) // every_s)
        if self._last_beat is not None and now - self._last_beat > 2 * every_s:
            self.missed_beats += late
        self._next_beat = self._after(now)
        try:
            self._world.send()
        except Exception as error:  # noqa: BLE001 (told once; the next one may work)
            self.failed_beats += 1
            if self.failed_beats == 1:
                self._teller.note(
                    f"a beat could not be sent: {type(error).__name__}: {error}"
                )
            return
        self.beats += 1
        self._last_beat = now

    def _after(self, now: float) -> float:
        """Return the next point of the grid: beats do not drift."""
        every_s = self.options.every_s
        return self._began + (math.floor((now - self._began) / every_s) + 1) * every_s

    # --- the end ----------------------------------------------------------------------

    def _mind_the_end(self, now: float) -> None:
        """Warn, run what is to run, and end."""
        if self._is_over:
            return
        leaving = self._leave_at is not None and now >= self._leave_at
        if self.ending.warns(now, is_leaving=self._leave_at is not None):
            self._teller.say(self.ending.notice(now, self._clock.wall()), post=True)
        hooks = self._hooks()
        if self.ending.has_begun:
            if not self._is_unknown:
                self.ending.follow(hooks, now)
        elif leaving or self.ending.wants(now, longest_s(hooks)):
            self.ending.begin(hooks, self._clock.now, self._wake.set)
        is_through = self.ending.poll()
        # At once: there may be time to save by hand.
        for result in self.ending.untold():
            self._teller.say(f"before the end: {result}")
            self._teller.post(f"before the end: {result.name} {result.state}")
        if not is_through or not (leaving or now >= self.ending.at):
            return
        if self.ending.is_leaving or self._gives_back(now):
            if not self.ending.leaves(self._world, self._clock.now, self._wake.set):
                return
            self._end(
                self.ending.left_with(lambda text: self._teller.say(text, post=True))
            )
            return
        self._end(Cause.MACHINE if self.ending.is_machine else Cause.BOUND)

    def _gives_back(self, now: float) -> bool:
        """Tell whether the machine is given back; say why not, where that was asked for."""
        if self.options.then != "disconnect" or self._world.leave is None:
            return False
        why = None
        if not self.ending.ok:
            why = "not all that was to be done before ended well"
        elif self._is_unknown:
            why = "what was to be done before is not known"
        elif self._leave_at is None and not self.ending.results and self._is_busy(now):
            why = "something is at work, and nothing was registered that saves it"
        if why is not None:
            self._teller.say(f"the machine is not given back: {why}", post=True)
        return why is None

    def _is_busy(self, now: float) -> bool:
        """Tell whether there is work, or was a moment ago."""
        return now - self._last_busy < self._grace_s or self._at_work() is not None

    def _at_work(self) -> str | None:
        """Return what is at work, whatever the beats go by; what is not known is."""
        try:
            return (self._world.at_work or self._world.busy)()
        except Exception:  # noqa: BLE001 (others' code; in doubt the machine stays)
            return "what is at work is not known"

    def _end(self, cause: Cause) -> None:
        """Be over, and say so."""
        if self._is_now_over(cause):
            self._tell_end()

    def _is_now_over(self, cause: Cause) -> bool:
        """Be over; tell whether it was not before."""
        with self._ending_it:
            was_over = self._is_over
            if not was_over:
                self._is_over, self._cause = True, cause
        return not was_over

    def _tell_end(self) -> None:
        """Say why it is over."""
        text = self._reason()
        self._teller.show(text)
        if self.options.tells_the_end:
            self._teller.post(text)
        self._teller.guarded(self._world.changed, "")

    def _reason(self) -> str:
        """Say why it beats, waits or has ended."""
        if self._is_over:
            told = self._cause.told(self.rests)
            return f"{told} ({self._failure})" if self._failure else told
        if self._phase is Phase.BEATING:
            return self._why or "there was work a moment ago"
        if self._phase is Phase.LEAVING:
            return "the work has ended; the machine is given back soon"
        return "nothing is at work yet"

    def _hooks(self) -> tuple[Hook, ...]:
        """Return what is to run before the end."""
        found = self._teller.guarded(self._world.hooks, "what is to run is not known")
        self._is_unknown = found is None
        return found or ()
